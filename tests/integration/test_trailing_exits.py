"""`exits.kind: trailing`: a BUY has no bracket, and PROTECT gives its shares a trailing stop alive until cancelled."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal as D
from pathlib import Path

from Departments.core.orders import OrderClass, OrderType, Side, TimeInForce
from tests.builders.desk import desk, two_and_two, workspace

TRAILING = {"messaging": {"durability": "fast"}, "exits": {"kind": "trailing"}}


def test_bought_shares_have_a_trailing_stop_and_no_target(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path, settings=TRAILING))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        answer = opened.ceo.execute_approved_plan()
        assert answer["document"]["status"] == "COMPLETED"
        bought = [o for o in opened.broker.orders("all") if o.side is Side.BUY]
        assert {o.order_class for o in bought} == {OrderClass.SIMPLE}
        exits = {o.symbol: o for o in opened.broker.orders("open")}
        assert set(exits) == {"ALKS", "COMM"}
        for order in exits.values():
            assert (order.type, order.time_in_force) == (OrderType.TRAILING_STOP, TimeInForce.GTC)
            assert order.trail_percent == D(8)
        assert {s: o.remaining_qty for s, o in exits.items()} == {"ALKS": D(150), "COMM": D(250)}
        assert answer["document"]["unprotected"] == [] or all(row["until"] for row in answer["document"]["unprotected"])


def test_a_trailing_stop_of_ours_is_released_before_its_shares_are_sold(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path, settings=TRAILING))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.ceo.execute_approved_plan()
        opened.clock.sleep(24 * 3600)
        sell = {"ticker": "COMM", "action": "SELL", "shares": 250, "current_price": 17.02}
        plan = {"plan_id": "PLAN_20251111_150000", "generated_at": "2025-11-11T15:00:00Z", "trades": [sell]}
        opened.ceo.current_plan, opened.ceo.plan_approved = plan, True
        answer = opened.ceo.execute_approved_plan()
        assert [(r["ticker"], r["status"]) for r in answer["execution_results"]] == [("COMM", "filled")]
        assert {o.symbol for o in opened.broker.orders("open")} == {"ALKS"}
