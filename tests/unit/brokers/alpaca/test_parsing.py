from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from decimal import Decimal as D
from typing import Any

import pytest

from Departments.brokers.alpaca import parsing
from Departments.brokers.base import ForeignOrder, ForeignPosition
from Departments.brokers.snapshot import open_cost
from Departments.core.orders import OrderClass, OrderStatus, OrderType, Side, TimeInForce
from tests.fakes import alpaca_answers as alpaca


def test_an_order_is_read_with_decimals_and_aware_times() -> None:
    order = parsing.read_order(alpaca.order(filled_qty="12.5", filled_avg_price="93.575", status="partially_filled"))
    assert (order.qty, order.filled_qty, order.filled_avg_price) == (Decimal(70), Decimal("12.5"), Decimal("93.575"))
    assert (order.side, order.status, order.type) == (Side.SELL, OrderStatus.PARTIALLY_FILLED, OrderType.MARKET)
    assert order.submitted_at == datetime(2025, 11, 10, 15, 9, 12, 760093, tzinfo=UTC)
    assert order.order_class is OrderClass.SIMPLE


def test_a_bracket_is_read_with_its_held_legs() -> None:
    order = parsing.read_order(alpaca.bracket())
    target, stop = order.legs
    assert order.order_class is OrderClass.BRACKET
    assert (target.limit_price, target.status, target.type) == (Decimal("108.55"), OrderStatus.HELD, OrderType.LIMIT)
    assert (stop.stop_price, stop.id, stop.time_in_force) == (Decimal("86.09"), alpaca.STOP_ID, TimeInForce.GTC)


@pytest.mark.parametrize("word", ["a_new_word", "denied", ""])
def test_a_status_that_alpaca_never_had_is_unknown_and_not_terminal(word: str) -> None:
    order = parsing.read_order(alpaca.order(status=word))
    assert order.status is OrderStatus.UNKNOWN
    assert not order.status.is_terminal


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.DENIED}))
def test_every_status_of_alpaca_is_read_as_itself(status: OrderStatus) -> None:
    assert parsing.read_order(alpaca.order(status=str(status))).status is status


def test_unknown_words_of_type_class_and_duration_do_not_fail_an_order() -> None:
    order = parsing.read_order(alpaca.order(type="iceberg", order_class="mleg", time_in_force="opg"))
    assert (order.type, order.order_class, order.time_in_force) == (
        OrderType.MARKET,
        OrderClass.SIMPLE,
        TimeInForce.DAY,
    )


def test_a_trailing_stop_keeps_its_trail_and_an_entry_with_one_exit_counts_as_bracket() -> None:
    order = parsing.read_order(
        alpaca.order(type="trailing_stop", stop_price="86.09", trail_percent="5", order_class="oto")
    )
    assert (order.type, order.trail_percent) == (OrderType.TRAILING_STOP, Decimal(5))
    assert (order.stop_price, order.order_class) == (Decimal("86.09"), OrderClass.BRACKET)


def test_an_order_by_amount_has_what_it_filled_as_quantity() -> None:
    order = parsing.read_order(alpaca.order(qty=None, notional="500", filled_qty="5.3"))
    assert order.qty == Decimal("5.3")


COINS = {"symbol": "BTC/USD", "asset_class": "crypto", "side": "buy"}
ODD: list[tuple[str, Any, str]] = [
    ("qty is no number", alpaca.order(qty="many"), "many"),
    ("neither qty nor notional", alpaca.order(qty=None), "qty and notional are empty"),
    ("no symbol", alpaca.order(symbol=""), "symbol is empty"),
    ("no side", alpaca.order(side=None), "side is empty"),
    ("no status", {k: v for k, v in alpaca.order().items() if k != "status"}, "status is missing"),
    ("an option without an id", alpaca.option_order(id=None), "id is empty"),
    ("no object", 17, "it is not an object"),
    ("nothing", None, "it is not an object"),
]


@pytest.mark.parametrize(("row", "problem"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_an_unreadable_row_is_kept_beside_the_readable_orders(row: Any, problem: str) -> None:
    read = parsing.read_orders([alpaca.order(id="1"), row, alpaca.order(id="2")])
    assert [o.id for o in read] == ["1", "2"]
    (unreadable,) = read.unreadable
    assert problem in unreadable.problem
    assert unreadable.id == (row["id"] or "" if isinstance(row, dict) else "")


@pytest.mark.parametrize(
    ("row", "kind", "promised"),
    [
        (alpaca.spread(), "mleg", D(1_000)),
        (alpaca.spread(status="filled"), "mleg", D(0)),
        (alpaca.spread(limit_price="-1.2"), "mleg", D(0)),
        (alpaca.option_order(), "us_option", D(2_400)),
        (alpaca.option_order(filled_qty="4"), "us_option", D(1_440)),
        (alpaca.option_order(side="sell"), "us_option", D(0)),
        (alpaca.option_order(asset_class=""), "us_option", D(2_400)),
        (alpaca.option_order(type="market", limit_price=None), "us_option", None),
        (alpaca.option_order(type="stop", limit_price=None, stop_price="2.5"), "us_option", D(2_500)),
        (alpaca.order(**COINS, qty="0.5", limit_price=None, stop_price="95000"), "crypto", D(47_500)),
        (alpaca.order(**COINS, qty="0.5", limit_price="90000"), "crypto", D(45_000)),
        (alpaca.order(**COINS, qty=None, notional="700"), "crypto", D(700)),
    ],
)
def test_an_order_for_no_shares_is_foreign_and_promises_its_cost(
    row: dict[str, Any], kind: str, promised: Decimal | None
) -> None:
    read = parsing.read_orders([row])
    assert (list(read), read.unreadable) == ([], ())
    assert read.foreign == (ForeignOrder(row["id"], kind, row["symbol"], promised),)


def test_an_open_order_by_amount_promises_what_is_left_of_it() -> None:
    (order,) = parsing.read_orders([alpaca.order(side="buy", qty=None, notional="5000", status="new")])
    assert open_cost(order, {}) == D(5_000)
    part = {"filled_qty": "10", "filled_avg_price": "93.5", "status": "partially_filled"}
    (order,) = parsing.read_orders([alpaca.order(side="buy", qty=None, notional="5000", **part)])
    assert open_cost(order, {}) == D(4_065)


def test_a_stop_that_buys_promises_the_price_it_waits_for() -> None:
    row = alpaca.order(side="buy", type="stop", stop_price="120", limit_price=None, qty="10", status="new")
    (order,) = parsing.read_orders([row])
    assert open_cost(order, {}) == D(1_200)


def test_an_order_of_a_person_is_read_without_an_id_of_ours() -> None:
    (order,) = parsing.read_orders([alpaca.order(client_order_id=None)])
    assert order.client_order_id == ""


def test_positions_of_options_and_crypto_are_foreign_and_keep_their_value() -> None:
    calls = {"symbol": "AAPL251219C00150000", "asset_class": "us_option", "market_value": "41250", "qty": "5"}
    coins = {"symbol": "BTCUSD", "asset_class": "crypto", "market_value": None, "avg_entry_price": None}
    read = parsing.read_positions([alpaca.position(), alpaca.position(**calls), alpaca.position(**coins)])
    assert [p.symbol for p in read] == ["UPS"]
    assert read.foreign == (
        ForeignPosition("us_option", "AAPL251219C00150000", D(41_250)),
        ForeignPosition("crypto", "BTCUSD", None),
    )


NO_PRICE = {"current_price": None, "avg_entry_price": None}


@pytest.mark.parametrize("changes", [{"qty": None}, {"qty": "many"}, {"current_price": "soon"}, NO_PRICE])
def test_an_unreadable_position_is_kept_under_its_symbol(changes: dict[str, Any]) -> None:
    read = parsing.read_positions([alpaca.position(symbol="SN", **changes), alpaca.position()])
    assert ([p.symbol for p in read], [row.symbol for row in read.unreadable]) == (["UPS"], ["SN"])


@pytest.mark.parametrize("changes", [{"qty": "NaN"}, {"id": ""}, {"side": None}, {"status": None, "symbol": ""}])
def test_an_order_without_a_needed_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        parsing.read_order(alpaca.order(**changes))


def test_fields_that_alpaca_adds_or_drops_do_not_matter() -> None:
    lean = {"id": "x", "client_order_id": "c", "symbol": "UPS", "side": "buy", "status": "new", "qty": "1", "new": {}}
    assert parsing.read_order(lean).remaining_qty == Decimal(1)


def test_an_order_not_submitted_yet_counts_from_its_creation() -> None:
    assert parsing.read_order(alpaca.order(submitted_at=None)).submitted_at is not None


def test_the_account_is_read_to_the_cent() -> None:
    account = parsing.read_account(alpaca.account())
    assert (account.number, account.masked) == ("PA3000000001", "PA3…001")
    assert account.number not in repr(account)
    assert (account.cash, account.equity, account.buying_power) == (
        Decimal("12345.67"),
        Decimal("98950.01"),
        Decimal("45690.13"),
    )
    assert (account.multiplier, account.last_equity, account.may_trade) == (Decimal(2), Decimal(98800), True)
    assert account.unsettled_cash is None


@pytest.mark.parametrize(
    "gate",
    [
        {"status": "ACCOUNT_UPDATED"},
        {"status": None},
        {"trading_blocked": True},
        {"account_blocked": True},
        {"trade_suspended_by_user": True},
    ],
)
def test_every_gate_of_the_account_stops_trading(gate: dict[str, object]) -> None:
    assert not parsing.read_account(alpaca.account(**gate)).may_trade


def test_a_paper_only_account_trades_on_paper_and_not_live() -> None:
    row = alpaca.account(status="PAPER_ONLY")
    assert [parsing.read_account(row, live=live).may_trade for live in (False, True)] == [True, False]
    assert not parsing.read_account(row | {"trading_blocked": True}).may_trade


@pytest.mark.parametrize("key", ["cash", "equity", "buying_power"])
def test_missing_money_is_never_zero(key: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        parsing.read_account({k: v for k, v in alpaca.account().items() if k != key})


def test_a_position_knows_the_shares_held_by_open_orders() -> None:
    position = parsing.read_position(alpaca.position())
    assert (position.qty, position.available, position.current_price) == (Decimal(70), Decimal(0), Decimal("93.58"))


def test_a_position_without_an_entry_price_leaves_it_unknown_and_has_a_value() -> None:
    position = parsing.read_position(alpaca.position(avg_entry_price=None))
    assert (position.avg_entry_price, position.market_value) == (None, D("6550.6"))


def test_a_position_without_price_or_availability_leaves_them_unknown() -> None:
    position = parsing.read_position(alpaca.position(current_price=None, qty_available=None))
    assert (position.current_price, position.qty_available) == (None, None)


@pytest.mark.parametrize("qty", ["5", "-5"])
def test_a_short_position_is_negative_in_either_notation(qty: str) -> None:
    assert parsing.read_position(alpaca.position(side="short", qty=qty)).qty == Decimal(-5)


def test_an_inactive_asset_differs_from_an_untradable_one() -> None:
    asset = parsing.read_asset(alpaca.asset(status="inactive"))
    assert (asset.active, asset.tradable) == (False, True)
    assert not replace(parsing.read_asset(alpaca.asset(tradable=None)), active=True).tradable


def test_the_clock_is_read_with_its_offset() -> None:
    clock = parsing.read_clock(
        {
            "timestamp": "2025-11-10T10:10:00.123456789-05:00",
            "is_open": True,
            "next_open": "2025-11-11T09:30:00-05:00",
            "next_close": "2025-11-10T16:00:00-05:00",
        }
    )
    assert (clock.is_open, clock.next_close) == (True, datetime(2025, 11, 10, 21, tzinfo=UTC))


@pytest.mark.parametrize("midnight", ["2025-11-07T05:00:00Z", "2025-07-07T04:00:00Z"])
def test_a_daily_bar_belongs_to_the_day_in_new_york(midnight: str) -> None:
    bar = parsing.read_bar("SPY", {"t": midnight, "o": 670.25, "h": 675.0, "l": 669.1, "c": 671.930001, "v": 8.1e7})
    assert bar.day == date.fromisoformat(midnight[:10])
    assert (bar.open, bar.close, bar.volume) == (Decimal("670.25"), Decimal("671.93"), Decimal(81_000_000))
