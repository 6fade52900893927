"""What is not the desk's, and what cannot be read, is named in the log once a day."""

from datetime import UTC, datetime

import pytest

from Departments.brokers.base import ForeignOrder, Orders, RowNames, UnreadableRow
from Departments.core.platform.clock import SimulatedClock


def test_a_strange_row_is_named_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = SimulatedClock(datetime(2025, 11, 10, 15, tzinfo=UTC))
    names = RowNames(clock)
    spread = ForeignOrder("7e4c", "mleg", "", None)
    rows: Orders = Orders((), (spread,), (UnreadableRow("odd-1", "", "T", "qty is empty"),))
    for days in (1, 2):
        for _ in range(3):
            assert names.name("The order", rows) is rows
        said = [record.getMessage() for record in caplog.records]
        assert [sum(name in text for text in said) for name in ("7e4c (mleg)", "odd-1")] == [days, days]
        clock.sleep(86_400)
