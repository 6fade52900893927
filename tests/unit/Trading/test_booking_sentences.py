"""What the sentence about a booking says where its cash is against its kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from Departments.core.activities import Activity, ActivityKind
from Departments.Trading.bookkeeping import list_bookings

NOW = datetime(2025, 11, 10, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "cash", "sentence"),
    [
        (ActivityKind.INTEREST, "3.33", "Interest of $3.33 on 2025-11-10"),
        (ActivityKind.INTEREST, "-3.33", "Interest paid: $3.33 on 2025-11-10"),
        (ActivityKind.FEE, "-0.46", "Fee of $0.46 on 2025-11-10"),
        (ActivityKind.FEE, "0.46", "Fee refunded: $0.46 on 2025-11-10"),
        (ActivityKind.DEPOSIT, "100", "Deposit of $100.00 on 2025-11-10"),
        (ActivityKind.DEPOSIT, "-100", "Deposit taken back: $100.00 on 2025-11-10"),
        (ActivityKind.WITHDRAWAL, "-100", "Withdrawal of $100.00 on 2025-11-10"),
        (ActivityKind.WITHDRAWAL, "100", "Withdrawal returned: $100.00 on 2025-11-10"),
    ],
)
def test_cash_against_its_kind_is_told(kind: ActivityKind, cash: str, sentence: str) -> None:
    activity = Activity("1", kind, "WORD", NOW, date(2025, 11, 10), Decimal(cash))
    assert [b.sentence for b in list_bookings([activity], (), lambda _: False, NOW)] == [sentence]


@pytest.mark.parametrize(
    ("cash", "start"), [("8.20", "Dividend of UPS of $8.20"), ("-8.20", "Dividend paid of UPS: $8.20")]
)
def test_a_dividend_of_a_short_position_is_paid(cash: str, start: str) -> None:
    activity = Activity("1", ActivityKind.DIVIDEND, "DIV", NOW, date(2025, 11, 10), Decimal(cash), "UPS")
    (booking,) = list_bookings([activity], (), lambda _: False, NOW)
    assert booking.sentence == f"{start} on 2025-11-10"
