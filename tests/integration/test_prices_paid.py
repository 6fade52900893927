"""Prices through alpaca-py and real HTTP: an old trade beside a fresh quote, moving prices, missing quotes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.core.moments import iso
from Departments.core.orders import OrderClass, OrderType
from Departments.core.platform.clock import SystemClock
from tests.builders.commands import Said
from tests.builders.desk import STATE, plan, trade, two_and_two, write_yaml
from tests.fakes.loopback import Call, Reply
from tests.integration.test_alpaca_day import Day, Line, Opening, opening, planned

__all__ = ["opening"]
D = Decimal
PRICES: Mapping[str, float] = dict(STATE["prices"])  # type: ignore[call-overload]
BUYS = plan(trade("ALKS", "BUY", 150, 32.66), trade("COMM", "BUY", 250, 17.02))


@dataclass
class Feed:
    """What the feed shows of a symbol: a trade of `minutes` ago at `last`, and a quote of `seconds` ago."""

    last: float
    minutes: float = 8
    seconds: float = 0


@dataclass
class Tape(Line):
    """A line whose snapshots show an old trade, and whose prices move with the first order."""

    shown: dict[str, Feed] = field(default_factory=dict)
    moves: dict[str, float] = field(default_factory=dict)
    until: float = 1e9
    set_price: Callable[[str, Decimal], None] = lambda *_: None

    def __call__(self, call: Call) -> Reply:
        if call.method == "POST" and self.moves:
            moves, self.moves = self.moves, {}
            for symbol, price in moves.items():
                self.set_price(symbol, D(str(price)))
        reply = super().__call__(call)
        if call.path == "/v2/stocks/snapshots" and isinstance(reply.body, dict):
            for symbol, feed in self.shown.items():
                if symbol in reply.body:
                    self._show(reply.body[symbol], feed)
        return reply

    def _show(self, row: dict[str, Any], feed: Feed) -> None:
        now = self.clock.now()
        row["latestTrade"] |= {"p": feed.last, "t": iso(now - timedelta(minutes=feed.minutes))}
        row["latestQuote"] |= {"t": iso(now - timedelta(seconds=feed.seconds))}


def taped(day: Day, **shown: Feed) -> Tape:
    """Put a tape into the line of a day."""
    tape = Tape(day.line.clock, day.line.gateway, shown=dict(shown), set_price=day.exchange.floor.set_price)
    day.line.gateway = tape  # type: ignore[assignment]
    return tape


def buys(said: Said) -> dict[str, Mapping[str, Any]]:
    return {o["ticker"]: o for o in said.phase("BUY")["orders"]}


def test_a_buy_is_priced_at_the_fresh_ask_and_not_at_an_old_trade(opening: Opening) -> None:
    day = opening(state={**STATE, "spread": 0.002, "prices": {**PRICES, "ALKS": 33.64}})
    taped(day, ALKS=Feed(last=32.66))
    said = day.run(*planned(day, BUYS))
    (bought,) = day.orders("ALKS")
    assert (bought.type, bought.limit_price) == (OrderType.LIMIT, D("34.00"))
    assert buys(said)["ALKS"]["filled_avg_price"] == "33.67"
    assert [leg.limit_price or leg.stop_price for leg in bought.legs] == [D("39.06"), D("30.98")]
    assert said.code == 0


@pytest.mark.parametrize(("price", "qty"), [(32.90, 150), (35.93, 137), (39.19, 126)])
def test_shares_that_have_become_dearer_are_trimmed_to_the_money_planned(
    opening: Opening, price: float, qty: int
) -> None:
    day = opening()
    taped(day).moves = {"ALKS": price}
    said = day.run(*planned(day, two_and_two()))
    assert (said.code, buys(said)["ALKS"]["filled_qty"]) == (0, str(qty))
    assert qty * price <= 150 * 32.66 * 1.01
    assert D(said.document["account"]["lowest_cash"]) >= D(said.document["account"]["reserve"])


@pytest.mark.parametrize("price", [39.20, 26.12, 3.27])
def test_a_price_far_from_the_plans_is_told_and_not_traded(opening: Opening, price: float) -> None:
    day = opening()
    taped(day).moves = {"ALKS": price}
    said = day.run(*planned(day, two_and_two()))
    assert day.orders("ALKS") == []
    assert buys(said)["ALKS"]["code"] == "PRICE_MISMATCH"
    assert buys(said)["COMM"]["status"] == "filled"
    assert said.code == 1


@pytest.mark.parametrize("factor", [1.3, 0.1])
def test_a_plan_whose_prices_are_far_from_the_brokers_is_not_traded(opening: Opening, factor: float) -> None:
    day = opening()
    odd = plan(
        trade("ALKS", "BUY", 150, 32.66 * factor),
        trade("COMM", "BUY", 250, 17.02),
        trade("CTVA", "SELL", 190, 64.64 * factor),
    )
    said = day.run(*planned(day, odd))
    assert day.orders("ALKS") == day.orders("CTVA") == []
    told = {r["ticker"]: r["code"] for r in (*said.document["skipped"], *said.document["deferred"])}
    assert told["ALKS"] == told["CTVA"] == "PRICE_MISMATCH"
    assert buys(said)["COMM"]["status"] == "filled"


def test_a_buy_without_a_fresh_quote_waits_and_is_deferred(opening: Opening) -> None:
    day = opening()
    taped(day, ALKS=Feed(last=32.66, minutes=0, seconds=61))
    before = day.clock.now()
    said = day.run(*planned(day, BUYS))
    assert (buys(said)["ALKS"]["status"], buys(said)["ALKS"]["code"]) == ("deferred", "NO_FRESH_QUOTE")
    assert buys(said)["COMM"]["status"] == "filled"
    assert timedelta(seconds=60) <= day.clock.now() - before < timedelta(seconds=90)
    assert said.code == 1


def test_a_buy_whose_quote_comes_while_it_waits_is_sent(opening: Opening) -> None:
    day = opening()
    tape = taped(day, ALKS=Feed(last=32.66, minutes=0, seconds=61))
    start, show = day.clock.now(), tape._show

    def later(row: dict[str, Any], feed: Feed) -> None:
        if day.clock.now() - start < timedelta(seconds=20):
            show(row, feed)

    tape._show = later  # type: ignore[method-assign]
    said = day.run(*planned(day, BUYS))
    assert {o["status"] for o in buys(said).values()} == {"filled"}
    assert timedelta(seconds=20) <= day.clock.now() - start < timedelta(seconds=60)


def test_how_fresh_and_how_far_above_the_ask_are_settings(opening: Opening) -> None:
    day = opening()
    write_yaml(day.folder / "config" / "settings.yaml", {"prices": {"fresh_seconds": 120, "collar_pct": 0.03}})
    taped(day, ALKS=Feed(last=32.66, minutes=0, seconds=100))
    said = day.run(*planned(day, BUYS))
    assert {o["status"] for o in buys(said).values()} == {"filled"}
    assert [o.limit_price for s in ("ALKS", "COMM") for o in day.orders(s)] == [D("33.63"), D("17.53")]


def test_quotes_are_fresh_by_the_brokers_clock(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    day = opening()
    fast = timedelta(seconds=70)
    monkeypatch.setattr(SystemClock, "now", lambda _: day.clock.now() + fast)
    said = day.run(*planned(day, BUYS))
    assert {o["status"] for o in buys(said).values()} == {"filled"}


def test_a_reserve_that_fills_have_broken_is_an_issue(opening: Opening) -> None:
    day = opening(state={**STATE, "cash": 17_000})
    tape = taped(day)
    gateway = tape.gateway

    def dear(call: Call) -> Reply:  # a broker that fills dearer than the limit
        if call.method == "POST" and "limit_price" in call.body:
            call.body["limit_price"] = 36.0
            day.exchange.floor.set_price(call.body["symbol"], D(36))
        return gateway(call)

    tape.gateway = dear  # type: ignore[assignment]
    said = day.run(*planned(day, plan(trade("ALKS", "BUY", 400, 32.66))))
    assert D(said.document["account"]["cash_after"]) < D(said.document["account"]["reserve"])
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    (sentence,) = said.document["broken_limits"]
    assert sentence.startswith("ALKS filled at $36.00, and the cash left would be less than the reserve (CASH_RESERVE:")
    assert sentence in next((day.folder / "Reports").glob("*.md")).read_text(encoding="utf-8")


def test_the_feed_of_live_prices_is_a_setting(opening: Opening) -> None:
    day = opening()
    write_yaml(day.folder / "config" / "settings.yaml", {"broker": {"feed": "sip"}})
    day.run(*planned(day, BUYS), "--dry-run")
    assert {c.query["feed"] for c in day.line.asked("GET", "/v2/stocks/snapshots")} == {"sip"}


def legs_of(day: Day, symbol: str) -> list[tuple[str, str]]:
    """The live exits of a symbol a few seconds later: price and status."""
    day.clock.sleep(5)
    exits = [leg for order in day.orders(symbol) for leg in order.legs if not leg.status.is_terminal]
    return sorted((str(leg.limit_price or leg.stop_price), str(leg.status)) for leg in exits)


MOVED = [("30.19", "held"), ("38.07", "new")]


def moves_with_the_buy(day: Day) -> Tape:
    """Let the price of ALKS rise by half a percent between the limit and the fill."""
    tape = taped(day)
    gateway = tape.gateway

    def move(call: Call) -> Reply:
        if call.method == "POST" and call.body["symbol"] == "ALKS":
            day.exchange.floor.set_price("ALKS", D("32.82"))
        return gateway(call)

    tape.gateway = move  # type: ignore[assignment]
    return tape


def test_exits_move_to_the_price_paid_without_an_unprotected_moment(opening: Opening) -> None:
    day = opening()
    moves_with_the_buy(day)
    said = day.run(*planned(day, BUYS))
    assert (said.code, buys(said)["ALKS"]["filled_avg_price"]) == (0, "32.82")
    assert legs_of(day, "ALKS") == MOVED
    assert said.document["unprotected"] == []
    patched = [c.body for _, c, _ in day.line.calls if c.method == "PATCH"]
    entry = buys(said)["ALKS"]["client_order_id"]
    assert sorted(b["client_order_id"] for b in patched) == [f"{entry}_stop", f"{entry}_target"]
    assert all("qty" not in body for body in patched)


@pytest.mark.parametrize("share", [0.006, 0.0049])
def test_how_far_a_fill_may_be_is_a_setting(opening: Opening, share: float) -> None:
    day = opening()
    write_yaml(day.folder / "config" / "settings.yaml", {"exits": {"reprice_above_pct": share}})
    moves_with_the_buy(day)
    day.run(*planned(day, BUYS))
    assert (legs_of(day, "ALKS") == MOVED) is (share < 0.0049)


@pytest.mark.parametrize("acted_on", [True, False])
def test_a_lost_answer_to_a_replacement_is_settled_without_a_second_one(opening: Opening, *, acted_on: bool) -> None:
    day = opening()
    tape = moves_with_the_buy(day)
    gateway, lost = tape.gateway, list[Call]()

    def lose(call: Call) -> Reply:
        if call.method == "PATCH" and len(lost) < 2:
            lost.append(call)
            if acted_on:
                gateway(call)
            return Reply(status=0, drop=True)
        return gateway(call)

    tape.gateway = lose  # type: ignore[assignment]
    said = day.run(*planned(day, BUYS))
    assert legs_of(day, "ALKS") == MOVED
    assert said.code == 0
    sent = [leg.client_order_id for order in day.orders("ALKS") for leg in order.legs]
    assert len(sent) == len(set(sent)) == 4


def test_exits_that_the_broker_does_not_replace_are_cancelled_and_made_anew(opening: Opening) -> None:
    day = opening()
    tape = moves_with_the_buy(day)
    gateway = tape.gateway

    def refuse(call: Call) -> Reply:
        if call.method == "PATCH":
            return Reply(status=422, body={"code": 42210000, "message": "cannot replace order"})
        return gateway(call)

    tape.gateway = refuse  # type: ignore[assignment]
    said = day.run(*planned(day, BUYS))
    day.clock.sleep(5)
    live = [o for o in day.orders("ALKS") if o.order_class is OrderClass.OCO]
    assert [(o.limit_price, o.legs[0].stop_price, o.qty) for o in live] == [(D("38.07"), D("30.19"), D(150))]
    (stretch,) = said.document["unprotected"]
    assert (stretch["ticker"], stretch["qty"]) == ("ALKS", "150")
    assert stretch["until"] is not None
    assert "the broker does not replace an exit" in said.err
