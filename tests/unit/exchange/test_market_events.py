"""What happens to an account from outside: money, corporate actions, orders of strangers."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.core.activities import ActivityKind
from Departments.core.orders import OrderClass, OrderStatus, OrderType, TimeInForce
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.market_events import ForeignOrderState, ForeignPositionState, MarketEvent
from Departments.exchange.records import ExchangeRefusal
from Departments.exchange.storage import SCHEMA
from tests.unit.exchange.conftest import MONDAY_NOON, Opener, Stand

GTC: dict[str, Any] = {"time_in_force": TimeInForce.GTC}
OCO: dict[str, Any] = {
    "order_class": OrderClass.OCO,
    "type": OrderType.LIMIT,
    "profit": "108.55",
    "loss": "86.09",
    **GTC,
}


def occur(stand: Stand, do: str, **terms: Any) -> str:
    return stand.exchange.floor.occur(MarketEvent.model_validate({"do": do, **terms}))


def kinds(stand: Stand) -> list[ActivityKind]:
    return [activity.kind for activity in stand.exchange.activities(MONDAY_NOON)]


# --- splits ---


@pytest.mark.parametrize(
    ("policy", "ratio", "status", "qty", "stop"),
    [
        ("multiply", "2", OrderStatus.NEW, 140, "86.09"),
        ("adjust", "2", OrderStatus.HELD, 140, "43.05"),
        ("cancel", "2", OrderStatus.CANCELED, 70, "86.09"),
        ("multiply", "1:2", OrderStatus.CANCELED, 70, "86.09"),
    ],
)
def test_open_orders_at_a_split_follow_the_setting_and_end_at_a_reverse_one(
    opened: Opener, policy: str, ratio: str, status: OrderStatus, qty: int, stop: str
) -> None:
    stand = opened(orders_at_split=policy)
    target = stand.sell(**OCO)
    stand.wait()
    said = occur(stand, "split", of="UPS", ratio=ratio)
    (leg,) = stand.exchange.order(target.id).legs
    assert (leg.status, leg.qty, leg.stop_price) == (status, Decimal(qty), Decimal(stop))
    assert "2 open orders" in said


def test_a_stop_that_a_split_left_above_the_price_sells_at_once(opened: Opener) -> None:
    stand = opened()
    stand.sell(**OCO)
    stand.wait()
    occur(stand, "split", of="UPS", ratio=10)
    stand.wait()
    assert stand.held("UPS") == 0
    assert [(fill.qty, fill.price) for fill in stand.exchange.floor.fills()] == [(Decimal(700), Decimal("9.36"))]


def test_a_partly_filled_order_ends_at_a_split(opened: Opener) -> None:
    stand = opened(faults=[{"call": "submit", "do": "partial_then_silence", "part": "0.5"}])
    order = stand.buy(limit="18", **GTC)
    stand.wait()
    occur(stand, "split", of="COMM", ratio=2)
    assert (stand.status(order), stand.held("COMM")) == (OrderStatus.CANCELED, Decimal(100))


def test_a_fraction_after_a_split_stays_or_is_paid(opened: Opener) -> None:
    ups = {"UPS": {"fractionable": False}}
    whole, fraction = opened(assets=ups), Decimal("0.5")
    whole.exchange.floor.trade_outside("UPS", Decimal(-1))
    cash = whole.cash
    occur(whole, "split", of="UPS", ratio="1:2")
    assert whole.held("UPS") == 34
    (paid,) = (a for a in whole.exchange.activities(MONDAY_NOON) if a.kind is ActivityKind.OTHER)
    assert (paid.word, whole.cash - cash, paid.cash) == ("CIL", Decimal("93.58"), fraction * Decimal("187.16"))


def test_a_split_divides_prices_of_the_past_in_daily_bars(opened: Opener) -> None:
    stand = opened(volumes={"COMM": 1_000})
    occur(stand, "split", of="COMM", ratio=2)
    assert stand.exchange.quotes(["COMM"])["COMM"].price == Decimal("8.51")
    assert {bar.close for bar in stand.exchange.bars(["COMM"], days=3)["COMM"]} == {Decimal("8.51")}


@pytest.mark.parametrize("mode", ["static", "walk"])
def test_a_split_leaves_the_account_worth_the_same_whatever_moved_the_price(opened: Opener, mode: str) -> None:
    stand = opened(price_mode=mode)
    stand.wait(600)
    stand.exchange.floor.set_price("UPS", Decimal(90))
    before = stand.exchange.account()
    occur(stand, "split", of="UPS", ratio=3)
    after = stand.exchange.account()
    assert (after.cash, after.equity) == (before.cash, before.equity)
    assert after.last_equity == before.last_equity
    stand.exchange.floor.set_price("UPS", Decimal(31))
    assert stand.exchange.quotes(["UPS"])["UPS"].price == 31


def test_two_splits_at_once_multiply(opened: Opener) -> None:
    stand = opened()
    occur(stand, "split", of="UPS", ratio=2)
    occur(stand, "split", of="UPS", ratio=5)
    assert (stand.held("UPS"), stand.exchange.quotes(["UPS"])["UPS"].price) == (Decimal(700), Decimal("9.36"))


# --- renames ---


@pytest.mark.parametrize(("policy", "status"), [("cancel", OrderStatus.CANCELED), ("keep", OrderStatus.NEW)])
def test_open_orders_at_a_rename_follow_the_setting(opened: Opener, policy: str, status: OrderStatus) -> None:
    stand = opened(orders_at_rename=policy)
    order = stand.sell(limit="120", **GTC)
    stand.wait()
    occur(stand, "rename", of="UPS", to="XYZ")
    assert stand.status(order) is status


def test_a_rename_to_a_symbol_that_is_held_joins_the_two(opened: Opener) -> None:
    stand = opened(positions={"UPS": {"qty": 30, "avg_entry_price": 90}, "COMM": {"qty": 10, "avg_entry_price": 10}})
    occur(stand, "rename", of="UPS", to="COMM")
    (position,) = stand.exchange.positions()
    assert (position.symbol, position.qty, position.avg_entry_price) == ("COMM", Decimal(40), Decimal(70))
    assert position.current_price == Decimal("17.02")


def test_a_renamed_symbol_trades_on_at_its_price_and_can_be_renamed_again(opened: Opener) -> None:
    stand = opened()
    asset_id = stand.exchange.positions()[0].asset_id
    occur(stand, "rename", of="UPS", to="XYZ")
    occur(stand, "split", of="XYZ", ratio=2)
    occur(stand, "rename", of="XYZ", to="ABC")
    (position,) = stand.exchange.positions()
    assert (position.symbol, position.asset_id, position.current_price) == ("ABC", asset_id, Decimal("46.79"))
    assert stand.exchange.quotes(["UPS", "XYZ", "ABC"]).keys() == {"ABC"}
    stand.sell(symbol="ABC", qty=140)
    stand.wait()
    assert stand.exchange.positions() == []


# --- money ---


def test_a_dividend_pays_on_its_day_for_the_shares_held_before(opened: Opener) -> None:
    stand = opened()
    occur(stand, "dividend", of="UPS", amount="1.64", pay_on="2025-11-12")
    stand.exchange.floor.trade_outside("UPS", Decimal(-70))
    cash = stand.cash
    assert ActivityKind.DIVIDEND not in kinds(stand)
    stand.clock.sleep(timedelta(days=2).total_seconds())
    assert stand.cash - cash == 70 * Decimal("1.64")
    (dividend,) = (a for a in stand.exchange.activities(MONDAY_NOON) if a.kind is ActivityKind.DIVIDEND)
    assert (dividend.day, dividend.qty, dividend.price) == (date(2025, 11, 12), Decimal(70), Decimal("1.64"))


def test_a_deposit_is_no_gain_of_the_day(opened: Opener) -> None:
    stand = opened()
    before = stand.exchange.account()
    occur(stand, "deposit", amount=20_000)
    after = stand.exchange.account()
    assert after.equity - before.equity == 20_000
    assert after.last_equity == before.last_equity


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"do": "deposit"}, "deposit lacks its amount; add it"),
        ({"do": "deposit", "amount": -5}, "amount must be above zero"),
        ({"do": "split", "of": "UPS"}, "split lacks its ratio"),
        ({"do": "split", "of": "UPS", "ratio": 1}, "is no ratio of a split"),
        ({"do": "split", "of": "UPS", "ratio": "10:0"}, "is no ratio of a split"),
        ({"do": "split", "of": "UPS", "ratio": "ten"}, "is not a number"),
        ({"do": "rename", "of": "UPS"}, "rename lacks its to"),
        ({"do": "rename", "of": "UPS", "to": "UPS"}, "to is UPS, its own symbol"),
        ({"do": "place_order", "order": {"symbol": "UPS", "side": "sell"}}, "give either qty or notional"),
    ],
)
def test_a_senseless_event_is_refused_in_one_sentence(event: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MarketEvent.model_validate(event)


# --- events to come ---


def test_planned_events_happen_in_the_order_of_time_though_nobody_looks(opened: Opener) -> None:
    events = [
        {"at": "2025-11-12", "do": "split", "of": "UPS", "ratio": 2},
        {"at": "2025-11-11T16:00:00Z", "do": "deposit", "amount": 100},
        {"at": "2025-11-13", "do": "rename", "of": "UPS", "to": "XYZ"},
    ]
    stand = opened(events=events)
    order = stand.sell(limit="120", **GTC)
    assert kinds(stand) == []
    stand.clock.sleep(timedelta(days=7).total_seconds())
    found = stand.exchange.activities(MONDAY_NOON)
    assert [(a.kind, a.at) for a in found] == [
        (ActivityKind.DEPOSIT, datetime(2025, 11, 11, 16, tzinfo=UTC)),
        (ActivityKind.SPLIT, datetime(2025, 11, 12, 9, tzinfo=UTC)),
        (ActivityKind.RENAME, datetime(2025, 11, 13, 9, tzinfo=UTC)),
    ]
    assert (stand.held("XYZ"), stand.status(order)) == (Decimal(140), OrderStatus.CANCELED)


def test_an_order_sees_the_price_before_an_event_until_it_happens(opened: Opener) -> None:
    at = (MONDAY_NOON + timedelta(minutes=10)).isoformat()
    stand = opened(events=[{"at": at, "do": "set_price", "of": "COMM", "price": 14}])
    order = stand.buy(limit="15", **GTC)
    stand.clock.sleep(3600)
    found = stand.exchange.order(order.id)
    assert (found.status, found.filled_avg_price) == (OrderStatus.FILLED, Decimal(14))
    assert found.filled_at is not None
    assert found.filled_at >= MONDAY_NOON + timedelta(minutes=10)


def test_an_event_may_be_planned_later_too(opened: Opener) -> None:
    stand = opened()
    said = occur(stand, "withdraw", amount=100, at="2025-11-11")
    assert said == "Planned for 2025-11-11 04:00 EST: withdraw"
    assert kinds(stand) == []
    stand.clock.sleep(86_400)
    assert kinds(stand) == [ActivityKind.WITHDRAWAL]


# --- strangers ---


def test_orders_of_strangers_rest_in_the_account_from_the_start(opened: Opener) -> None:
    trailing = {"symbol": "UPS", "side": "sell", "qty": 70, "type": "trailing_stop", "trail_percent": 5}
    by_amount = {
        "symbol": "COMM",
        "side": "buy",
        "notional": 500,
        "type": "limit",
        "limit_price": 16,
        "time_in_force": "day",
    }
    stand = opened(orders=[trailing, by_amount])
    stand.wait()
    stop, buy = stand.exchange.orders()
    assert (stop.type, stop.stop_price, stop.qty) == (OrderType.TRAILING_STOP, Decimal("88.9"), Decimal(70))
    assert (buy.notional, buy.qty, buy.filled_qty) == (Decimal(500), Decimal(0), Decimal(0))
    assert stand.exchange.positions()[0].qty_available == 0
    stand.exchange.floor.set_price("COMM", Decimal(16))
    stand.wait()
    assert stand.exchange.order(buy.id).filled_qty == Decimal("31.25")


def test_an_order_of_a_stranger_that_is_refused_stops_nothing(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    too_many = {"symbol": "UPS", "side": "SELL", "qty": 700}
    with caplog.at_level(logging.WARNING):
        stand = opened(orders=[too_many])
        assert stand.exchange.orders() == []
    assert "cannot place order as planned: insufficient qty available" in caplog.text
    with pytest.raises(ExchangeRefusal, match="insufficient qty"):
        occur(stand, "place_order", order=too_many)


def test_foreign_rows_count_and_are_never_in_the_way(opened: Opener) -> None:
    stand = opened(
        foreign_positions=[{"symbol": "AAPL251219C00200000", "market_value": 4125}],
        foreign_orders=[{"id": "7e4c", "kind": "mleg", "promised": 1000}],
    )
    plain = 5000 + 70 * Decimal("93.58")
    account = stand.exchange.account()
    assert (account.equity, account.buying_power) == (plain + 4125, 2 * (plain + 4125) - (plain + 4125 - 5000) - 1000)
    stand.exchange.floor.place_foreign(ForeignOrderState(id="odd", problem="side is empty"))
    stand.exchange.floor.place_foreign(ForeignPositionState(symbol="BTCUSD", kind="crypto"))
    assert [row.id for row in stand.exchange.foreign_orders()] == ["7e4c", "odd"]
    assert [row.symbol for row in stand.exchange.foreign_positions()] == ["AAPL251219C00200000", "BTCUSD"]
    assert (stand.exchange.orders(), [p.symbol for p in stand.exchange.positions()]) == ([], ["UPS"])


# --- symbols and prices ---


def test_an_unknown_symbol_takes_its_price_from_outside_and_keeps_it(opened: Opener, tmp_path: Path) -> None:
    asked: list[set[str]] = []

    def find(symbols: Any) -> dict[str, Decimal]:
        asked.append(set(symbols))
        return {"NVDA": Decimal(180)} if "NVDA" in symbols else {}

    clock = opened().clock
    with closing(SimulatedExchange(tmp_path / "exchange.db", clock, find_prices=find)) as exchange:
        assert exchange.quotes(["UPS", "NVDA"])["NVDA"].price == 180
        assert exchange.assets(["NVDA", "MSFT"]).keys() == {"NVDA"}
        exchange.quotes(["NVDA", "MSFT"])
    assert asked == [{"NVDA"}, {"MSFT"}]
    with closing(SimulatedExchange(tmp_path / "exchange.db", clock)) as again:
        assert again.quotes(["NVDA"])["NVDA"].price == 180


def test_a_symbol_without_a_price_is_named_once_with_the_mend(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    stand = opened()
    for _ in range(2):
        assert stand.exchange.assets(["NVDA"]) == {}
    assert caplog.text.count("The simulated exchange knows no price of NVDA; add it to") == 1


def test_prices_of_unknown_symbols_can_be_drawn(opened: Opener) -> None:
    stand = opened(unknown_prices="draw", price_mode="walk")
    price = stand.exchange.quotes(["NVDA"])["NVDA"].price
    assert 10 <= price <= 300
    stand.wait(86_400)
    assert stand.exchange.quotes(["NVDA"])["NVDA"].price != price


def test_a_walk_goes_on_from_a_price_set_from_outside(opened: Opener) -> None:
    stand = opened(price_mode="walk")
    stand.wait(300)
    stand.exchange.floor.set_price("COMM", Decimal(50))
    assert stand.exchange.quotes(["COMM"])["COMM"].price == 50
    stand.wait(3600)
    assert stand.exchange.quotes(["COMM"])["COMM"].price != 50
    assert abs(stand.exchange.quotes(["COMM"])["COMM"].price - 50) < 5


# --- the script and the file ---


def test_a_second_script_strikes_on_the_same_exchange(opened: Opener, tmp_path: Path) -> None:
    stand = opened()

    def refuses(*faults: dict[str, Any]) -> bool:
        script = FaultScript.model_validate({"faults": list(faults)})
        with closing(SimulatedExchange(tmp_path / "exchange.db", stand.clock, faults=script)) as exchange:
            try:
                exchange.account()
            except Exception:  # noqa: BLE001 - any fault
                return True
            return False

    first: dict[str, Any] = {"call": "account", "do": "rate_limit"}
    assert [refuses(first), refuses(first)] == [True, False]
    assert [refuses(first, first), refuses(first, first)] == [True, False]
    assert [refuses({"call": "account", "do": "malformed"}), refuses(first)] == [True, False]


def test_a_file_of_the_first_version_opens_and_its_orders_expire(opened: Opener, tmp_path: Path) -> None:
    stand = opened()
    order = stand.sell(limit="120", **GTC)
    stand.exchange.close()
    path = tmp_path / "exchange.db"
    _make_old(path)
    with closing(SimulatedExchange(path, stand.clock)) as again:
        found = again.order(order.id)
        assert (found.status, found.qty, found.limit_price) == (order.status, order.qty, order.limit_price)
        assert found.expires_at == datetime(2026, 2, 8, 21, 15, tzinfo=UTC)
        assert [p.symbol for p in again.positions()] == ["UPS"]
        again.floor.occur(MarketEvent(do="deposit", amount=Decimal(5)))
        assert [a.cash for a in again.activities(MONDAY_NOON)] == [5]


def _make_old(path: Path) -> None:
    """Turn a file into one of version 1: its tables and columns alone."""
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(path.with_suffix(".old"))) as old:
        old.executescript(f"{SCHEMA};")
        for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in old.execute(f"PRAGMA table_info({name})")]
            named = ", ".join(f'"{column}"' for column in columns)
            rows = new.execute(f"SELECT {named} FROM {name}").fetchall()
            old.executemany(f"INSERT INTO {name} ({named}) VALUES ({', '.join('?' * len(columns))})", rows)
        old.execute("UPDATE orders SET expires_at = NULL")
        application = new.execute("PRAGMA application_id").fetchone()[0]
        old.execute(f"PRAGMA application_id = {application}")
        old.execute("PRAGMA user_version = 1")
        old.commit()
    for leftover in path.parent.glob(f"{path.name}*"):
        leftover.unlink()
    path.with_suffix(".old").rename(path)


def test_a_deposit_and_a_split_are_no_gain_of_a_later_day_either(opened: Opener) -> None:
    stand = opened()
    stand.clock.sleep(timedelta(days=1).total_seconds())
    worth = 5000 + 70 * Decimal("93.58")
    occur(stand, "deposit", amount=20_000)
    occur(stand, "split", of="UPS", ratio=2)
    account = stand.exchange.account()
    assert (account.equity, account.last_equity) == (worth + 20_000, worth)
