"""What other people do in the same account, over the wire: it is counted and named, and it stops nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.core.orders import OrderRequest, OrderType, Side, TimeInForce
from tests.builders.commands import say
from tests.builders.desk import MORNING, STATE, plan, trade, two_and_two
from tests.fakes import alpaca_answers as alpaca
from tests.fakes.loopback import Reply
from tests.integration.test_alpaca_day import A_DAY, Day, Opening, opening, planned

__all__ = ["opening"]
ORDERS, POSITIONS = "/v2/orders", "/v2/positions"
BUY_ONE = plan(trade("ALKS", "BUY", 150, 32.66))
POOR = {**STATE, "cash": 17_500}


def show(day: Day, row: Mapping[str, Any], path: str = ORDERS) -> None:
    day.line.gateway.strange.setdefault(path, []).append(dict(row))


@pytest.mark.parametrize(
    "row",
    [
        alpaca.spread(status="filled", filled_qty="1", filled_avg_price="1.28"),
        alpaca.spread(status="filled", legs=None),
        alpaca.spread(status="some_new_state", side=None, symbol=None),
        {"id": "7e4c1a7e-0000-4000-8000-000000000009", "status": "new"},
    ],
    ids=["a spread", "a spread without legs", "a spread of an unknown state", "a row of nearly nothing"],
)
def test_a_spread_by_hand_stops_neither_the_day_nor_the_next(opening: Opening, row: dict[str, Any]) -> None:
    day = opening()
    assert day.run(*planned(day, two_and_two())).code == 0
    show(day, row)
    day.clock.sleep((MORNING + A_DAY - day.clock.now()).total_seconds())
    sells = plan(trade("ALKS", "SELL", 90, 32.66), plan_id="PLAN_2", generated_at="2025-11-11T15:00:00.000000Z")
    said = day.run(*planned(day, sells))
    assert (said.order("ALKS")["status"], said.document["cash_identity"]["holds"]) == ("filled", True)
    assert said.document["unprotected"] == [] or all(each["until"] for each in said.document["unprotected"])
    assert "does not answer" not in said.err


def test_options_count_with_their_market_value_and_take_no_place(opening: Opening) -> None:
    day = opening()
    calls = alpaca.position(symbol="AAPL251219C00150000", asset_class="us_option", qty="5", market_value="41250")
    words = ("plan", "--workspace", day.folder, "--broker", "alpaca", *planned(day, BUY_ONE))
    before = read_deployment(say(day.capsys, *words).out)
    show(day, calls, POSITIONS)
    assert 20 < read_deployment(say(day.capsys, *words).out) - before < 70  # 41,250 of about 100,000 dollars


def read_deployment(text: str) -> float:
    return float(text.partition("Deployment after the plan: ")[2].partition("%")[0])


BY_AMOUNT = alpaca.order(side="buy", status="new", qty=None, notional="5000", client_order_id="x")
AT_MARKET = alpaca.option_order(type="market", limit_price=None)


@pytest.mark.parametrize(
    ("rows", "least", "most"),
    [([], 150, 150), ([alpaca.option_order()], 150, 150), ([BY_AMOUNT], 100, 149), ([AT_MARKET], 0, 0)],
    ids=["none", "ten contracts at 2.40", "5,000 dollars of a share", "ten contracts at market"],
)
def test_open_buys_of_a_person_are_counted_with_what_they_may_cost(
    opening: Opening, rows: list[dict[str, Any]], least: int, most: int
) -> None:
    day = opening(state=POOR)
    for row in rows:
        show(day, row)
    day.run(*planned(day, BUY_ONE))
    assert least <= day.held().get("ALKS", D(0)) <= most


def test_a_persons_buy_on_a_symbol_to_be_sold_is_named_when_the_plan_is_made(opening: Opening) -> None:
    day = opening()
    day.exchange.submit(
        OrderRequest("a-person", "CTVA", Side.BUY, D(20), OrderType.LIMIT, TimeInForce.GTC, limit_price=D(50))
    )
    said = say(
        day.capsys, "plan", "--workspace", day.folder, "--broker", "alpaca", "--json", *planned(day, two_and_two())
    )
    (note,) = [note for note in said.document["plan"]["notes"] if "somebody else's" in note]
    assert note.startswith("somebody else's BUY 20 CTVA at $50.00 is open: the broker refuses the SELL of CTVA")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, {"message": "endpoint not found"}),
        Reply(403, {"message": "not for this account"}),
        Reply(500, {"message": "trouble"}),
        Reply(200, "<html>"),
        Reply(200, {"activities": []}),
    ],
    ids=["404", "403", "500", "no JSON", "no list"],
)
def test_without_activities_the_day_goes_on_and_changes_have_no_names(opening: Opening, reply: Reply) -> None:
    day = opening()
    gateway = day.line.gateway
    day.line.gateway = lambda call: reply if "/account/activities" in call.path else gateway(call)  # type: ignore[assignment]
    said = day.run(*planned(day, two_and_two()))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert "its changes stay unexplained" in said.err
    assert len([1 for _, call, _ in day.line.calls if "/account/activities" in call.path]) < 150


@pytest.mark.parametrize("body", [{"bars": None}, {"bars": []}, {}, [], "<html>"])
def test_daily_bars_that_make_no_sense_are_unknown_volumes_and_no_end_of_the_plan(opening: Opening, body: Any) -> None:
    day = opening()
    gateway = day.line.gateway
    day.line.gateway = lambda call: Reply(200, body) if call.path.endswith("/bars") else gateway(call)  # type: ignore[assignment]
    said = day.run(*planned(day, two_and_two()))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
