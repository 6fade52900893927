from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from Departments.brokers.base import Broker
from Departments.core.market import Knowledge, MarketFacts, SymbolFacts, Told
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.portfolio import Account, Book, Position
from Departments.core.quotes import Asset, Bar, Quote
from Departments.Operations.briefing import Holding
from Departments.Operations.observation import Known, observe
from tests.builders.limits import NOW, regime
from tests.builders.operations import briefing, candidate, held

D = Decimal


@dataclass
class FakeBroker:
    """Answers what it is given; it knows the assets ALKS and EIX only."""

    held: tuple[Position, ...] = ()
    quoted: Mapping[str, str] = field(default_factory=dict)
    open_orders: tuple[Order, ...] = ()
    volume: int | None = None
    unsettled: int | None = 7
    asked: list[str] = field(default_factory=list)

    def account(self) -> Account:
        unsettled = None if self.unsettled is None else D(self.unsettled)
        return Account(D(50_000), D(100_000), D(200_000), unsettled_cash=unsettled)

    def positions(self) -> Sequence[Position]:
        return self.held

    def orders(self, scope: str = "open", *, side: Side, **_: Any) -> Sequence[Order]:
        return [order for order in self.open_orders if order.side is side]

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        return {s: Quote(s, D(self.quoted[s]), NOW) for s in symbols if s in self.quoted}

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        self.asked.append(f"assets {' '.join(symbols)}")
        return {s: Asset(s, tradable=True, active=s != "EIX") for s in symbols if s in {"ALKS", "EIX"}}

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        self.asked.append(f"bars {' '.join(symbols)}")
        price, day, volume = D(30), date(2025, 11, 7), D(self.volume or 0)
        return {s: [Bar(s, day, price, price, price, price, volume)] * days for s in symbols if volume and s == "ALKS"}


ALKS = candidate("ALKS", "33.01", 74, "Healthcare", average_volume=D(5), market_cap=D(9), earnings_on=NOW.date())
SENT = NOW - timedelta(minutes=5)


def seen(broker: FakeBroker, **known: Any) -> tuple[Book, MarketFacts]:
    day = briefing(ALKS, holdings=(Holding("EIX", D(78), D(57), "Utilities"),), at=SENT)
    return observe(cast(Broker, broker), replace(Known(day), **known), NOW, ["ALKS"])


def test_the_brokers_quote_counts_before_the_briefings_price() -> None:
    facts = seen(FakeBroker(quoted={"ALKS": "34"}))[1].of("ALKS")
    assert (facts.price, facts.price_at) == (D(34), NOW)


def test_without_a_quote_the_briefing_lends_its_price_and_its_time() -> None:
    facts = seen(FakeBroker())[1].of("ALKS")
    assert (facts.price, facts.price_at) == (D("33.01"), SENT)


def test_sectors_come_from_the_briefing_then_from_what_was_learnt() -> None:
    learnt = Knowledge({s: SymbolFacts(s, sector=sector) for s, sector in (("OLD", "Energy"), ("EIX", "?"))})
    book, market = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))), learnt=learnt)
    assert {s: p.sector for s, p in book.positions.items()} == {"EIX": "Utilities", "OLD": "Energy"}
    assert market.of("ALKS").sector == "Healthcare"


def test_scores_of_holdings_come_from_the_briefing() -> None:
    book, _ = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))))
    assert {s: p.score for s, p in book.positions.items()} == {"EIX": D(78), "OLD": None}


def test_what_the_broker_does_not_know_or_has_made_inactive_is_not_tradable() -> None:
    market = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))))[1]
    assert [market.of(s).tradable for s in ("ALKS", "EIX", "OLD")] == [True, False, False]


def test_the_average_volume_is_the_brokers_bars_else_the_briefings() -> None:
    assert seen(FakeBroker(volume=2_000_000))[1].of("ALKS").average_volume == 2_000_000
    assert seen(FakeBroker())[1].of("ALKS").average_volume == 5


def test_many_candidates_are_asked_about_in_one_question_of_each_kind() -> None:
    broker = FakeBroker(held=(held("OLD", 10, 5),), volume=2_000_000)
    market = observe(cast(Broker, broker), Known(briefing(ALKS)), NOW, ["ALKS", "EIX"])[1]
    assert broker.asked == ["assets ALKS EIX OLD", "bars ALKS EIX"]
    assert [market.of(s).average_volume for s in ("ALKS", "EIX")] == [2_000_000, None]


def test_what_nobody_knows_stays_unknown() -> None:
    facts = seen(FakeBroker(held=(held("OLD", 10, 5),)))[1].of("OLD")
    assert (facts.price, facts.average_volume, facts.market_cap, facts.bid) == (None, None, None, None)


def test_cash_promised_to_open_buys_is_counted() -> None:
    order = Order("1", "c", "ALKS", Side.BUY, D(100), OrderStatus.PARTIALLY_FILLED, filled_qty=D(40))
    book, _ = seen(FakeBroker(quoted={"ALKS": "30"}, open_orders=(order,)))
    assert (book.cash, book.open_buys, book.unsettled_cash) == (D(50_000), D(1_800), D(7))


def test_where_the_broker_does_not_tell_our_own_sales_say_what_is_unsettled() -> None:
    learnt = Knowledge(unsettled=D(900))
    assert seen(FakeBroker(unsettled=None), learnt=learnt)[0].unsettled_cash == 900
    assert seen(FakeBroker(), learnt=learnt)[0].unsettled_cash == 7


def test_what_the_briefing_leaves_open_was_told_earlier_on_the_day() -> None:
    earlier = Told(vix=D(20), spy_drawdown_pct=D(3), correlations={frozenset({"A", "B"}): D(1)})
    day = briefing(ALKS, conditions=Told(vix=D(18)))
    market = observe(cast(Broker, FakeBroker()), Known(day, Knowledge(told=earlier)), NOW)[1]
    assert (market.vix, market.spy_drawdown_pct) == (D(18), D(3))
    assert market.correlations == earlier.correlations


def test_the_regimes_readings_count_before_the_briefings() -> None:
    conditions = Told(spy_change_pct=D(1), vix=D(18))
    day = briefing(ALKS, conditions=conditions)
    known = Known(day, regime=regime(vix=D(35)))
    market = observe(cast(Broker, FakeBroker()), known, NOW)[1]
    assert (market.vix, market.spy_change_pct) == (D(35), D(1))
