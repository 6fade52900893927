"""A person edits a live BUY at the broker while the run waits for it: each fill counts once, and less is an issue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Choices, Desk
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.orders import OrderChange, OrderStatus, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState
from Departments.Trading.exits import resting_exits
from tests.builders.desk import MORNING, STATE, trade, workspace
from tests.contract.test_broker_contract import BROKERS
from tests.integration.test_account_truth import SETTINGS, final, plan_of

JUMP = {"call": "submit", "symbol": "ALKS", "do": "set_price", "of": "ALKS", "price": 34}
HALF = {"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": 0.6}
SIMPLE = {"exits": {"enabled": False}}
EDITABLE = {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}


class MeddledClock(SimulatedClock):
    """A clock whose sleeper lets a person act, until that has succeeded."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.act: Callable[[], bool] = lambda: False
        self.is_done = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.is_done = self.is_done or self.act()


def execute_edited(folder: Path, broker: str, fault: Any, change: Any, more: Any) -> tuple[dict[str, Any], D, list[D]]:
    """Execute a BUY of 150 that a person edits. Returns the document, the shares held and those under exits."""
    workspace(folder, settings={**SETTINGS, **more}, state=STATE)
    clock, state = MeddledClock(MORNING), ExchangeState.model_validate(STATE)
    file, script = folder / EXCHANGE_FILE, FaultScript.model_validate({"faults": [fault]})
    with BROKERS[broker](file, clock, state, script) as at_broker:
        exchange, opened = SimulatedExchange(file, clock), Desk(folder, Choices(clock=clock))
        opened.__dict__["broker"] = at_broker

        def edit() -> bool:
            buys = [o for o in exchange.orders("open") if (o.symbol, o.side) == ("ALKS", Side.BUY)]
            for order in (o for o in buys if o.status in EDITABLE):
                exchange.replace(order.id, OrderChange("by-a-person", limit_price=D(35), **change))
                return True
            return False

        clock.act = edit
        opened.ceo.current_plan, opened.ceo.plan_approved = (
            plan_of(0, trade("ALKS", "BUY", 150, 32.66), at=MORNING),
            True,
        )
        opened.ceo.execute_plan()
        assert clock.is_done
        clock.sleep(10)
        opened.trader.reconcile()
        document = final(opened, "PLAN_20251110_150000")
        position = exchange.position("ALKS")
        assert position is not None
        assert opened.ledger.book.balance().holdings["ALKS"] == position.qty
        assert sum(f.fill.qty for f in opened.ledger.orders.fills_of("ALKS", clock.now())) == position.qty
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.differences() == []
        stops = [o.remaining_qty for o, _ in resting_exits(at_broker, "ALKS") if o.stop_price is not None]
        opened.ledger.close()
        exchange.close()
    return document, position.qty, stops


@pytest.mark.parametrize("broker", ["simulated", "alpaca"])
@pytest.mark.parametrize(
    ("fault", "change", "more", "filled", "code"),
    [
        (JUMP, {}, {}, 150, ""),
        (HALF, {}, {}, 150, ""),
        (JUMP, {"qty": D(100)}, SIMPLE, 100, "FILLED_SHORT"),
        (HALF, {"qty": D(20)}, SIMPLE, None, "FILLED_SHORT"),
        (JUMP, {"qty": D(200)}, SIMPLE, 200, "FILLED_BEYOND"),
    ],
)
def test_a_buy_that_a_person_edits_in_mid_run_is_booked_once(
    tmp_path: Path, broker: str, fault: Any, change: Any, more: Any, filled: int | None, code: str
) -> None:
    document, held, stops = execute_edited(tmp_path, broker, fault, change, more)
    (order,) = [o for phase in document["phases"] for o in phase["orders"] if o["side"] == "BUY"]
    assert (order["status"], D(order["filled_qty"]), order["code"]) == ("filled", held, code)
    assert held == filled or (filled is None and 90 <= held < 150)
    assert stops == ([] if more else [D(150)])
    assert document["cash_identity"]["holds"]
    expected = ("COMPLETED_WITH_ISSUES", 1) if code else ("COMPLETED", 0)
    assert (document["status"], document["exit_code"]) == expected
