from __future__ import annotations

import textwrap
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

import pytest

from Departments.core.errors import BadInput
from Departments.core.orders import OrderClass, TimeInForce
from Departments.core.orders import OrderStatus as S
from Departments.exchange import faults as module
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript, load_faults
from Departments.exchange.records import ExchangeRefusal, Outage


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def example(tmp_path: Path) -> Path:
    """Return a file that holds the example of the module's documentation."""
    text = module.__doc__ or ""
    start = text.index("    faults:")
    path = tmp_path / "faults.yaml"
    path.write_text(textwrap.dedent(text[start : text.index("The exchange's file counts")]), encoding="utf-8")
    return path


def test_the_documented_example_loads_and_shows_every_deed(tmp_path: Path) -> None:
    script = load_faults(example(tmp_path))
    assert {fault.do for fault in script.faults} == set(get_args(module.Deed))


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("faults: [{call: submit, do: explode}]", "faults.0.do", "must be '"),
        ("faults: [{call: think, do: malformed}]", "faults.0.call", "must be '"),
        ("faults: [{do: malformed}]", "faults.0.call", "is missing"),
        ("faults: [{call: submit, do: reject, when: now}]", "faults.0.when", "not a known key"),
        ("faults: [{call: cancel, do: reject}]", "faults.0", "give call: submit"),
        ("faults: [{call: submit, do: invisible}]", "faults.0", "lacks its seconds"),
        ("faults: [{call: any, do: set_price, of: UPS}]", "faults.0", "lacks its price"),
        ("faults: [{call: submit, do: invisible, seconds: -1}]", "faults.0.seconds", "must not be negative"),
        ("faults: [{call: submit, do: reject, occurrence: 0}]", "faults.0.occurrence", "must be at least 1"),
        ("fault: []", "fault", "not a known key"),
    ],
)
def test_a_wrong_script_is_refused_in_one_sentence(tmp_path: Path, text: str, key: str, words: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refusal:
        load_faults(path)
    assert str(refusal.value).startswith(f"{path}: {key}")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("deed", "status"), [("timeout_before", None), ("rate_limit", 429), ("server_error", 500)])
def test_a_call_that_fails_before_acceptance_leaves_no_order(opened: Opener, deed: str, status: int | None) -> None:
    stand = opened(faults=[{"call": "submit", "do": deed}])
    with pytest.raises(Outage) as error:
        stand.sell()
    assert error.value.http_status == status
    assert stand.exchange.floor.all_orders() == []
    stand.sell()


@pytest.mark.parametrize(("deed", "status"), [("timeout_after", None), ("gateway_timeout", 504), ("malformed", 200)])
def test_a_call_that_fails_after_acceptance_leaves_the_order_alive(
    opened: Opener, deed: str, status: int | None
) -> None:
    stand = opened(faults=[{"call": "submit", "do": deed}])
    with pytest.raises(Outage) as error:
        stand.sell()
    assert error.value.http_status == status
    with pytest.raises(ExchangeRefusal, match="must be unique"):
        stand.sell()
    stand.wait()
    assert stand.exchange.order_by_client_id("SELL-UPS").status is S.FILLED


def test_a_timeout_takes_its_time(opened: Opener) -> None:
    stand = opened(faults=[{"call": "account", "do": "timeout_before", "takes": 15}])
    start = stand.clock.now()
    with pytest.raises(Outage):
        stand.exchange.account()
    assert (stand.clock.now() - start).total_seconds() == 15


def test_a_refusal_carries_the_scripted_body(opened: Opener) -> None:
    entry = {
        "call": "submit",
        "do": "refuse",
        "code": 42210000,
        "http_status": 422,
        "message": "no",
        "body": {"a": "1"},
    }
    stand = opened(faults=[entry])
    with pytest.raises(ExchangeRefusal) as refusal:
        stand.sell()
    assert (refusal.value.http_status, refusal.value.code) == (422, 42210000)
    assert refusal.value.body == {"code": 42210000, "message": "no", "a": "1"}
    assert stand.exchange.floor.all_orders() == []


def test_refused_credentials_are_not_an_outage(opened: Opener) -> None:
    with pytest.raises(ExchangeRefusal, match="unauthorized"):
        opened(faults=[{"call": "positions", "do": "unauthorized"}]).exchange.positions()


def test_an_order_can_be_accepted_and_then_rejected(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "reject"}])
    exits = {"profit": "19.74", "loss": "15.66", "time_in_force": TimeInForce.GTC}
    order = stand.buy(order_class=OrderClass.BRACKET, **exits)
    assert stand.seen(order) == [S.PENDING_NEW, S.REJECTED]
    assert {leg.status for leg in stand.exchange.order(order.id).legs} == {S.CANCELED}


def test_an_order_that_would_be_rejected_can_be_cancelled_first(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "reject"}], latency={"fill": [1, 1], "cancel": [5, 5]})
    order = stand.sell()
    stand.exchange.cancel(order.id)
    stand.wait(6)
    assert (stand.status(order), stand.held("UPS")) == (S.CANCELED, 70)


def test_an_entry_strikes_the_named_occurrences_only(opened: Opener) -> None:
    stand = opened(faults=[{"call": "account", "do": "rate_limit", "occurrence": 2, "times": 2}])
    struck = []
    for _ in range(5):
        try:
            stand.exchange.account()
        except Outage:
            struck.append(True)
        else:
            struck.append(False)
    assert struck == [False, True, True, False, False]


def test_times_zero_strikes_for_ever(opened: Opener) -> None:
    stand = opened(faults=[{"call": "any", "do": "server_error", "times": 0}])
    for ask in (stand.exchange.account, stand.exchange.positions, stand.exchange.market_clock):
        with pytest.raises(Outage):
            ask()


@pytest.mark.parametrize("call", ["quotes", "bars", "assets"])
def test_a_question_about_many_symbols_concerns_each_of_them(opened: Opener, call: str) -> None:
    exchange = opened(faults=[{"call": call, "symbol": "COMM", "do": "timeout_before"}]).exchange
    ask: Callable[..., object] = partial(exchange.bars, days=5) if call == "bars" else getattr(exchange, call)
    ask(iter(["UPS", "DVN"]))
    with pytest.raises(Outage):
        ask(iter(["UPS", "COMM"]))


def test_an_entry_counts_only_its_own_symbol_side_and_id(opened: Opener) -> None:
    stand = opened(
        faults=[
            {"call": "submit", "symbol": "COMM", "do": "timeout_before"},
            {"call": "submit", "side": "SELL", "do": "timeout_before"},
            {"call": "order_by_client_id", "client_order_id": "mine", "do": "timeout_before"},
        ]
    )
    with pytest.raises(Outage):
        stand.sell(qty=1)
    stand.sell(qty=1)
    with pytest.raises(Outage):
        stand.buy(qty=1)
    stand.buy(qty=1, id="mine")
    stand.exchange.order_by_client_id("SELL-UPS")
    with pytest.raises(Outage):
        stand.exchange.order_by_client_id("mine")


def test_occurrences_go_on_counting_after_a_restart(opened: Opener, tmp_path: Path) -> None:
    entry = {"call": "account", "do": "rate_limit", "occurrence": 2}
    stand = opened(faults=[entry])
    stand.exchange.account()
    script = FaultScript.model_validate({"faults": [entry]})
    again = SimulatedExchange(tmp_path / "exchange.db", stand.clock, faults=script)
    with pytest.raises(Outage):
        again.account()
    again.close()


def test_an_invisible_order_is_not_found_until_it_shows(opened: Opener) -> None:
    entries = [{"call": "submit", "do": "timeout_after"}, {"call": "submit", "do": "invisible", "seconds": 5}]
    stand = opened(faults=entries)
    with pytest.raises(Outage):
        stand.sell()
    with pytest.raises(ExchangeRefusal, match="order not found"):
        stand.exchange.order_by_client_id("SELL-UPS")
    assert stand.exchange.orders("all") == []
    stand.wait(5)
    assert stand.exchange.order_by_client_id("SELL-UPS").status is S.FILLED


def test_the_legs_of_an_invisible_order_are_invisible_too(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "invisible", "seconds": 5}])
    order = stand.buy(order_class=OrderClass.BRACKET, profit="19.74", loss="15.66")
    with pytest.raises(ExchangeRefusal, match="order not found"):
        stand.exchange.order(order.legs[0].id)
    stand.wait()
    assert stand.exchange.order(order.legs[0].id).status is S.NEW


def test_an_invisible_order_still_uses_up_its_id(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "invisible", "seconds": 5}])
    stand.sell()
    with pytest.raises(ExchangeRefusal, match="must be unique"):
        stand.sell()


def test_partial_then_silence_leaves_the_rest_open(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": 0.4}])
    order = stand.sell()
    stand.wait(600)
    found = stand.exchange.order(order.id)
    assert (found.status, found.filled_qty) == (S.PARTIALLY_FILLED, 28)
    stand.exchange.cancel(order.id)
    stand.wait()
    found = stand.exchange.order(order.id)
    assert (found.status, found.filled_qty) == (S.CANCELED, 28)


def test_no_price_ends_the_silence(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence"}])
    order = stand.sell()
    stand.wait()
    stand.exchange.floor.set_price("UPS", Decimal(94))
    stand.wait()
    assert stand.status(order) is S.PARTIALLY_FILLED


def test_no_price_moves_a_stuck_cancel(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "stuck_cancel"}])
    order = stand.buy(limit="10")
    stand.wait()
    stand.exchange.cancel(order.id)
    stand.exchange.floor.set_price("COMM", Decimal(9))
    stand.wait()
    assert stand.status(order) is S.PENDING_CANCEL


def test_an_exit_whose_entry_is_open_does_not_fill_on_its_cancel(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "fill_on_cancel"}])
    exits = {"profit": "19.74", "loss": "15", "time_in_force": TimeInForce.GTC}
    order = stand.buy(order_class=OrderClass.BRACKET, limit="16", **exits)
    stand.exchange.cancel(order.legs[0].id)
    stand.wait()
    assert stand.exchange.floor.fills() == []


def test_silence_may_end(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "seconds": 20}])
    order = stand.sell()
    stand.wait(15)
    assert stand.status(order) is S.PARTIALLY_FILLED
    stand.wait(10)
    assert stand.status(order) is S.FILLED


def test_a_fill_may_win_against_any_cancel(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "fill_on_cancel"}])
    order = stand.buy(limit="10")
    stand.wait()
    stand.exchange.cancel(order.id)
    assert stand.seen(order) == [S.PENDING_CANCEL, S.FILLED]
    assert stand.exchange.floor.fills()[0].price == 10


def test_a_fill_wins_where_cancels_are_confirmed_at_once(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "fill_on_cancel"}], latency={"cancel": [0, 0]})
    order = stand.buy(limit="10")
    stand.wait()
    stand.exchange.cancel(order.id)
    stand.wait()
    assert stand.status(order) is S.FILLED


def test_a_part_may_fill_before_the_cancel_is_confirmed(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "fill_on_cancel", "part": 0.3}])
    order = stand.buy(limit="10")
    stand.wait()
    stand.exchange.cancel(order.id)
    assert stand.seen(order) == [S.PENDING_CANCEL, S.CANCELED]
    assert stand.exchange.order(order.id).filled_qty == 30


@pytest.mark.parametrize(("seconds", "later"), [(60, S.CANCELED), (None, S.PENDING_CANCEL)])
def test_a_cancel_may_be_stuck(opened: Opener, seconds: int | None, later: S) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "stuck_cancel", "seconds": seconds}])
    order = stand.sell()
    stand.exchange.cancel(order.id)
    stand.wait(59)
    assert stand.status(order) is S.PENDING_CANCEL
    stand.wait(5)
    assert stand.status(order) is later


def test_a_stuck_cancel_of_a_day_order_ends_at_the_close(opened: Opener) -> None:
    stand = opened(faults=[{"call": "cancel", "do": "stuck_cancel"}])
    order = stand.sell()
    stand.exchange.cancel(order.id)
    stand.wait(86_400)
    assert stand.status(order) is S.EXPIRED


def test_a_halted_symbol_trades_when_the_halt_is_over(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "symbol": "UPS", "do": "halt", "seconds": 30}])
    order = stand.sell()
    stand.wait(29)
    assert stand.status(order) is S.NEW
    stand.wait(2)
    assert stand.status(order) is S.FILLED


def test_the_proceeds_of_one_sale_may_come_late(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "cash_lag", "seconds": 8}])
    order = stand.sell()
    stand.wait(5)
    assert (stand.status(order), stand.cash) == (S.FILLED, 5000)
    stand.wait(8)
    assert stand.cash == 5000 + 70 * Decimal("93.58")


def test_a_price_may_move_and_trigger_a_stop(opened: Opener) -> None:
    stand = opened(faults=[{"call": "account", "do": "set_price", "of": "UPS", "price": 80}])
    order = stand.sell(stop="85")
    stand.wait()
    stand.exchange.account()
    stand.wait()
    assert stand.status(order) is S.FILLED


def test_somebody_else_may_trade_on_the_account_and_it_is_on_record(opened: Opener) -> None:
    stand = opened(faults=[{"call": "positions", "do": "trade_outside", "of": "UPS", "qty": -20}])
    assert stand.exchange.positions()[0].qty == 50
    assert stand.cash == 5000 + 20 * Decimal("93.58")
    change = stand.exchange.floor.adjustments()[0]
    assert (change.symbol, change.qty, change.cash) == ("UPS", -20, 20 * Decimal("93.58"))


def test_nobody_else_can_sell_more_than_is_held(opened: Opener) -> None:
    stand = opened()
    stand.exchange.floor.trade_outside("UPS", Decimal(-100))
    assert stand.exchange.positions() == []
    assert stand.exchange.floor.adjustments()[0].qty == -70


def test_nobody_else_can_sell_what_an_open_order_holds(opened: Opener) -> None:
    stand = opened()
    order = stand.sell(50, limit="120")
    stand.exchange.floor.trade_outside("UPS", Decimal(-60))
    assert (stand.held("UPS"), stand.exchange.positions()[0].qty_available) == (50, 0)
    stand.exchange.floor.trade_outside("UPS", Decimal(-1))
    assert [a.qty for a in stand.exchange.floor.adjustments()] == [-20]
    stand.exchange.floor.set_price("UPS", Decimal(125))
    stand.wait()
    assert (stand.status(order), stand.held("UPS")) == (S.FILLED, 0)


def test_an_answer_may_show_a_status_nobody_knows(opened: Opener) -> None:
    stand = opened(faults=[{"call": "order", "do": "show_status", "status": "pondering"}])
    order = stand.sell()
    assert stand.status(order) is S.UNKNOWN
    assert stand.status(order) is S.PENDING_NEW
