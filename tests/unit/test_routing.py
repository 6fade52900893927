"""Every message type of every department has a row, or is dead-lettered on purpose; nothing is forgotten."""

from pathlib import Path

import pytest

from Departments.core.departments import EXECUTIVE, OPERATIONS, REGIME_DETECTION, TRADING
from Departments.Executive import ceo
from Departments.messaging.message import MESSAGE_TYPES
from Departments.messaging.router import Skip
from Departments.Operations import operations_manager
from Departments.Regime import regime_department
from Departments.Trading import trading_department
from tests.builders.desk import desk, workspace

ON_PURPOSE = {
    EXECUTIVE: ceo.DEAD_LETTERED,
    OPERATIONS: operations_manager.DEAD_LETTERED,
    REGIME_DETECTION: regime_department.DEAD_LETTERED,
    TRADING: trading_department.DEAD_LETTERED,
}


@pytest.mark.parametrize("department", sorted(ON_PURPOSE))
def test_every_message_type_has_a_row_or_is_dead_lettered_on_purpose(tmp_path: Path, department: str) -> None:
    opened = desk(workspace(tmp_path))
    rows = set(opened.routers[department].rows)
    opened.close()
    assert rows | ON_PURPOSE[department] == set(MESSAGE_TYPES)
    assert not rows & ON_PURPOSE[department]


def test_regime_updates_are_skipped_by_trading_and_by_nobody_else(tmp_path: Path) -> None:
    opened = desk(workspace(tmp_path))
    rows = {name: router.rows.get("RegimeUpdate") for name, router in opened.routers.items()}
    opened.close()
    assert isinstance(rows[TRADING], Skip)
    assert not isinstance(rows[EXECUTIVE], Skip)
    assert not isinstance(rows[OPERATIONS], Skip)
