from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from Departments.brokers.base import Broker, BrokerList, ForeignOrder, ForeignPosition, Orders, Positions, UnreadableRow
from Departments.brokers.snapshot import ExchangeHours, FactsReader
from Departments.constraints.amounts import vix_of
from Departments.core.facts import Facts, Knowledge, Readings, SymbolFacts, TradingHistory
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.core.regimes import MarketView, Regime
from Departments.messaging.neighbours import Holding
from Departments.Operations.basis import observe
from Departments.Operations.briefing import Briefing
from tests.builders.limits import NOW
from tests.builders.operations import briefing, candidate, held

D = Decimal
YOUNG, FRESH = timedelta(hours=3), timedelta(seconds=60)


@dataclass
class FakeBroker:
    """Answers what it is given; it knows the assets ALKS and EIX only."""

    held: tuple[Position, ...] = ()
    quoted: Mapping[str, str] = field(default_factory=dict)
    open_orders: tuple[Order, ...] = ()
    foreign_orders: tuple[ForeignOrder, ...] = ()
    foreign_held: tuple[ForeignPosition, ...] = ()
    unreadable_held: tuple[UnreadableRow, ...] = ()
    volume: int | None = None
    unsettled: int | None = 7
    asked: list[str] = field(default_factory=list)

    def account(self) -> Account:
        unsettled = None if self.unsettled is None else D(self.unsettled)
        return Account(D(50_000), D(100_000), D(200_000), unsettled_cash=unsettled)

    def positions(self) -> Positions:
        return BrokerList(self.held, self.foreign_held, self.unreadable_held)

    def orders(self, scope: str = "open", *, side: Side | None = None, **_: Any) -> Orders:
        return BrokerList((o for o in self.open_orders if side is None or o.side is side), self.foreign_orders)

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        return {s: Quote(s, D(self.quoted[s]), NOW) for s in symbols if s in self.quoted}

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        self.asked.append(f"assets {' '.join(symbols)}")
        return {s: Asset(s, tradable=True, active=s != "EIX") for s in symbols if s in {"ALKS", "EIX"}}

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        self.asked.append(f"bars {' '.join(symbols)}")
        price, day, volume = D(30), date(2025, 11, 7), D(self.volume or 0)
        return {s: [Bar(s, day, price, price, price, price, volume)] * days for s in symbols if volume and s == "ALKS"}

    def market_clock(self) -> MarketClock:
        return MarketClock.by_calendar(NOW)


@dataclass(frozen=True)
class FakeMemory:
    """Remembers what it is given."""

    learnt: Knowledge

    def knowledge(
        self,
        now: datetime,
        settlement_days: int,
        held: Collection[str],
        young: timedelta,
        wanted: Collection[str] | None = None,
    ) -> Knowledge:
        return self.learnt

    def history(self, now: datetime, held: Collection[str]) -> TradingHistory:
        return self.learnt.history

    def find_own_exits(self, order_ids: Sequence[str]) -> frozenset[str]:
        return frozenset()


ALKS = candidate("ALKS", "33.01", 74, "Healthcare", average_volume=D(5), market_cap=D(9), earnings_on=NOW.date())
SENT = NOW - timedelta(minutes=5)


DAY = briefing(ALKS, holdings=(Holding(symbol="EIX", score=D(78), price=D(57), sector="Utilities"),), at=SENT)


def seen(
    fake: FakeBroker, learnt: Knowledge | None = None, day: Briefing = DAY, wanted: Sequence[str] = ("ALKS",)
) -> Facts:
    broker, clock = cast(Broker, fake), SimulatedClock(NOW)
    reader = FactsReader(
        broker, FakeMemory(learnt or Knowledge()), ExchangeHours(broker, clock), clock, 1, YOUNG, FRESH
    )
    return observe(reader, day, wanted)


def test_the_brokers_quote_counts_before_the_briefings_price() -> None:
    facts = seen(FakeBroker(quoted={"ALKS": "34"})).of("ALKS")
    assert (facts.price, facts.price_at) == (D(34), NOW)


def test_without_a_quote_the_briefing_lends_its_price_and_its_time() -> None:
    facts = seen(FakeBroker()).of("ALKS")
    assert (facts.price, facts.price_at) == (D("33.01"), SENT)


def test_sectors_come_from_the_briefing_then_from_what_was_learnt() -> None:
    learnt = Knowledge({s: SymbolFacts(s, sector=sector) for s, sector in (("OLD", "Energy"), ("EIX", "?"))})
    facts = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))), learnt=learnt)
    assert {s: p.sector for s, p in facts.positions.items()} == {"EIX": "Utilities", "OLD": "Energy"}
    assert facts.of("ALKS").sector == "Healthcare"


def test_scores_of_holdings_come_from_the_briefing() -> None:
    facts = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))))
    assert {s: p.score for s, p in facts.positions.items()} == {"EIX": D(78), "OLD": None}


def test_what_the_broker_does_not_know_or_has_made_inactive_is_not_tradable() -> None:
    facts = seen(FakeBroker(held=(held("EIX", 10, 57), held("OLD", 10, 5))))
    assert [facts.of(s).tradable for s in ("ALKS", "EIX", "OLD")] == [True, False, False]


def test_the_average_volume_is_the_brokers_bars_else_the_briefings() -> None:
    assert seen(FakeBroker(volume=2_000_000)).of("ALKS").average_volume == 2_000_000
    assert seen(FakeBroker()).of("ALKS").average_volume == 5


def test_many_candidates_are_asked_about_in_one_question_of_each_kind() -> None:
    broker = FakeBroker(held=(held("OLD", 10, 5),), volume=2_000_000)
    facts = seen(broker, day=briefing(ALKS), wanted=["ALKS", "EIX"])
    assert broker.asked == ["assets ALKS EIX OLD", "bars ALKS EIX"]
    assert [facts.of(s).average_volume for s in ("ALKS", "EIX")] == [2_000_000, None]


def test_what_nobody_knows_stays_unknown() -> None:
    facts = seen(FakeBroker(held=(held("OLD", 10, 5),))).of("OLD")
    assert (facts.price, facts.average_volume, facts.market_cap, facts.bid) == (None, None, None, None)


def test_cash_promised_to_open_buys_is_counted() -> None:
    order = Order("1", "c", "ALKS", Side.BUY, D(100), OrderStatus.PARTIALLY_FILLED, filled_qty=D(40))
    facts = seen(FakeBroker(quoted={"ALKS": "30"}, open_orders=(order,)))
    assert (facts.cash, facts.open_buys, facts.unsettled_cash) == (D(50_000), D(1_800), D(7))


def test_cash_promised_to_foreign_and_notional_buys_is_counted() -> None:
    calls = ForeignOrder("2", "us_option", "AAPL251219C00150000", D(2_400))
    by_amount = Order("1", "c", "ALKS", Side.BUY, D(0), OrderStatus.NEW, notional=D(5_000))
    assert seen(FakeBroker(open_orders=(by_amount,), foreign_orders=(calls,))).open_buys == D(7_400)


def test_a_buy_whose_cost_nobody_knows_leaves_no_cash_free() -> None:
    unpriced = ForeignOrder("3", "crypto", "BTCUSD", None)
    assert seen(FakeBroker(foreign_orders=(unpriced,))).free_cash < 0
    order = Order("1", "c", "NOBODY", Side.BUY, D(100), OrderStatus.NEW)
    assert seen(FakeBroker(open_orders=(order,))).free_cash < 0


def test_foreign_positions_are_invested_and_take_no_place() -> None:
    foreign = (
        ForeignPosition("us_option", "AAPL251219C00150000", D(41_250)),
        ForeignPosition("us_option", "AAPL251219P00150000", D(-900)),
        ForeignPosition("crypto", "BTCUSD", None),
    )
    facts = seen(FakeBroker(held=(held("OLD", 10, 5),), foreign_held=foreign))
    assert (facts.invested, list(facts.positions)) == (D(41_300), ["OLD"])


def test_a_position_that_cannot_be_read_locks_its_symbol() -> None:
    odd = UnreadableRow("", "", "ALKS", "qty is empty")
    facts = seen(FakeBroker(unreadable_held=(odd,)), Knowledge(locks={"OLD": "a person has to look"}))
    assert facts.locks == {
        "OLD": "a person has to look",
        "ALKS": "the position of ALKS at the broker cannot be read (qty is empty)",
    }


def test_where_the_broker_does_not_tell_our_own_sales_say_what_is_unsettled() -> None:
    learnt = Knowledge(unsettled=D(900))
    assert seen(FakeBroker(unsettled=None), learnt=learnt).unsettled_cash == 900
    assert seen(FakeBroker(), learnt=learnt).unsettled_cash == 7


def test_what_the_briefing_leaves_open_was_told_earlier_on_the_day() -> None:
    earlier = Readings(vix=D(20), spy_drawdown_pct=D(3), correlations={frozenset({"A", "B"}): D(1)})
    day = briefing(ALKS, conditions=Readings(vix=D(18)))
    readings = seen(FakeBroker(), Knowledge(readings=earlier), day).readings
    assert (readings.vix, readings.spy_drawdown_pct) == (D(18), D(3))
    assert readings.correlations == earlier.correlations


def test_the_briefings_view_stands_beside_the_days_assessments() -> None:
    day = briefing(ALKS, conditions=Readings(spy_change_pct=D(1), vix=D(18)))
    panic = MarketView("REGIME", NOW, Regime.PANIC, vix=D(45))
    found = seen(FakeBroker(), Knowledge(views=(panic,)), day)
    assert found.views == (MarketView("DailyBriefing briefing", NOW, vix=D(18), spy_change_pct=D(1)), panic)
    assert vix_of(found) == 45
