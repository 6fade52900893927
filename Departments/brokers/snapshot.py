"""Read `Facts` from the broker and from the desk's own knowledge. No other module does.

The broker's word counts for cash, shares, quotes, tradability and halts; the desk's for everything else. What neither
knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from Departments.brokers.base import Broker, Orders, Positions
from Departments.core.errors import BrokerError, BrokerUnavailable
from Departments.core.facts import DeskFacts, Facts, Knowledge, SymbolFacts, TradingHistory
from Departments.core.logs import make_logger
from Departments.core.moments import show_moment
from Departments.core.money import ZERO, count_noun, plain
from Departments.core.orders import Order, OrderStatus, Side, is_leg, is_of_somebody_else
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, MarketClock, Quote

log = make_logger(__name__)

#: How long an answer of the broker's clock counts; it names its own next change, so this only bounds surprises.
CLOCK_LASTS: Final = timedelta(minutes=1)
#: Up to here two clocks are the same: an answer takes its time.
CLOCKS_AGREE: Final = timedelta(seconds=5)


class Memory(Protocol):
    """The desk's own knowledge: the ledger."""

    def knowledge(
        self,
        now: datetime,
        settlement_days: int,
        held: Collection[str],
        young: timedelta,
        wanted: Collection[str] | None = None,
    ) -> Knowledge:
        """Return the desk's knowledge, without the broker's; a `young` view of the market counts.

        Facts of symbols may be left out that are not `wanted`; None wants all.
        """
        ...

    def history(self, now: datetime, held: Collection[str]) -> TradingHistory:
        """Return the desk's recent trading."""
        ...

    def find_own_exits(self, order_ids: Sequence[str]) -> frozenset[str]:
        """Return those of some orders, by the broker's ids, that are exits of the desk."""
        ...


class ExchangeHours:
    """The exchange's hours: the broker's clock, or the calendar while the broker is away.

    All departments of a desk share one: it logs a difference between clock and calendar once.
    """

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._last: tuple[datetime, MarketClock] | None = None
        self._ahead = timedelta()
        self._differed = False
        self._told = False

    def read(self) -> MarketClock:
        """Return the hours now."""
        now = self._clock.now()
        if self._last is None or not timedelta() <= now - self._last[0] <= CLOCK_LASTS:
            try:
                clock = self._compare(self._broker.market_clock())
            except BrokerUnavailable as error:
                log.info("The calendar gives the exchange's hours: the broker's clock does not answer (%s)", error)
                return MarketClock.by_calendar(now)
            self._last = self._clock.now(), clock
            self._ahead = measure_offset(clock, now, self._last[0])
            self._name_offset()
        return self._last[1]

    def offset(self) -> timedelta:
        """Return how far the broker's clock is ahead of ours, as last read; nothing for a few seconds."""
        return self._ahead

    def _name_offset(self) -> None:
        """Log once that the machine's clock is wrong."""
        ahead = self._ahead.total_seconds()
        if ahead and not self._told:
            self._told = True
            state = "slow" if ahead > 0 else "fast"
            log.warning("The machine's clock is %.0f s %s by the broker's; set it right", abs(ahead), state)

    def _compare(self, clock: MarketClock) -> MarketClock:
        expected = MarketClock.by_calendar(clock.now)
        if clock != expected and not self._differed:
            self._differed = True
            log.warning(
                "The broker's clock and the calendar differ: %s by the broker, %s by the calendar; the broker's counts",
                _write_hours(clock),
                _write_hours(expected),
            )
        return clock


def measure_offset(theirs: MarketClock, asked_at: datetime, answered_at: datetime) -> timedelta:
    """Return how far the broker's clock is ahead of ours, by an answer of it; nothing for a few seconds.

    It was read at some time between question and answer: waiting for it is no difference.
    """
    ahead = max(theirs.now - answered_at, min(timedelta(), theirs.now - asked_at))
    return ahead if abs(ahead) > CLOCKS_AGREE else timedelta()


def _write_hours(clock: MarketClock) -> str:
    state = "open" if clock.is_open else "closed"
    return f"{state}, opens {show_moment(clock.next_open)} and closes {show_moment(clock.next_close)}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The broker's quotes and assets of some symbols at one moment. Quotes are fresh `since` a moment.

    `assets` is None if the broker does not answer about them: what they tell is unknown then.
    """

    symbols: frozenset[str]
    quotes: Mapping[str, Quote]
    assets: Mapping[str, Asset] | None
    since: datetime

    @classmethod
    def read(cls, broker: Broker, symbols: Iterable[str], since: datetime) -> Listing:
        """Ask for quotes and assets of all symbols at once. Raises BrokerUnavailable, NotAuthorized."""
        wanted = sorted(set(symbols))
        return cls(frozenset(wanted), broker.quotes(wanted), _read_assets(broker, wanted), since)

    def facts(self, known: SymbolFacts) -> SymbolFacts:
        """Return the facts of a symbol, beginning with those `known` already."""
        told = _read_quote(self.quotes.get(known.symbol), self.since)
        if self.assets is not None:
            told |= _read_asset(self.assets.get(known.symbol), known)
        return replace(known, **told)


def _read_assets(broker: Broker, symbols: Sequence[str]) -> Mapping[str, Asset] | None:
    """Read the facts of symbols. They are optional: without an answer the limits' `missing_data` decides."""
    try:
        return broker.assets(symbols)
    except BrokerError as error:
        log.warning("The broker names no facts of %s (%s)", count_noun(len(symbols), "symbol"), error)
        return None


@dataclass(frozen=True, slots=True)
class FactsReader:
    """Reads facts for a department.

    The proceeds of a SELL settle after `settlement_days`, 0 for at once. Assessments of the market that are as `young`
    count. Quotes are `fresh` up to an age. `unpriced` is the broker's sentence about a symbol ({0}) without a price.
    """

    broker: Broker
    memory: Memory
    hours: ExchangeHours
    clock: Clock
    settlement_days: int
    young: timedelta
    fresh: timedelta
    unpriced: str = "the broker has no price of {0}, so it is not bought"

    def list_symbols(self, symbols: Iterable[str]) -> Listing:
        """Read prices and assets of symbols. Raises BrokerUnavailable, NotAuthorized."""
        return Listing.read(self.broker, symbols, self.fresh_since())

    def moment(self) -> datetime:
        """Return the moment by the broker's clock, as far as ours is known to be wrong: it judges every age."""
        self.hours.read()
        return self.clock.now() + self.hours.offset()

    def fresh_since(self) -> datetime:
        """Return the moment since which a quote is fresh."""
        return self.moment() - self.fresh

    def glance(self, *, account: bool = True) -> DeskFacts:
        """Read hours, history and `account` alone. Raises BrokerUnavailable, NotAuthorized for the account."""
        now, there = self.moment(), self.broker.account() if account else None
        return DeskFacts(now, there, self.hours.read(), self.memory.history(now, held=()))

    def read(
        self,
        symbols: Iterable[str] = (),
        complete: Callable[[Knowledge], Knowledge] | None = None,
        *,
        account: Account | None = None,
        buying: bool = True,
    ) -> Facts:
        """Read account, positions, hours and knowledge; with `symbols`, also their facts and those of positions.

        `complete` adds knowledge that the ledger does not hold yet. `account` was read just now. Only decisions about
        BUYs (`buying`) need open orders. Raises BrokerUnavailable, NotAuthorized.
        """
        wanted = set(symbols)
        now, account = self.moment(), account or self.broker.account()
        held = self.broker.positions()
        positions = {position.symbol: position for position in held}
        some = {*wanted, *positions} if wanted and complete is None else None
        known = self.memory.knowledge(now, self.settlement_days, positions, self.young, some)
        known = known if complete is None else complete(known)
        hours = self.hours.read()
        opened = self.broker.orders("open") if buying else None
        buys = None if opened is None else _sum_open_buys(self.broker, opened, account)
        listing = self.list_symbols(wanted | set(positions)) if wanted else None
        facts = Facts(
            now=now,
            account=account,
            hours=hours,
            positions={symbol: _with_sector(p, known) for symbol, p in positions.items()},
            foreign_value=sum((max(ZERO, p.market_value or ZERO) for p in held.foreign), ZERO),
            open_buys=None if buys is None else buys.promised,
            unpriced_buys=() if buys is None else buys.unpriced,
            outside_orders=() if opened is None else tuple(self._list_outside(opened)),
            unsettled_cash=known.unsettled if account.unsettled_cash is None else account.unsettled_cash,
            peak_equity=None if known.peak_equity is None else max(known.peak_equity, account.equity),
            symbols=known.symbols if listing is None else _list_facts(listing, known),
            readings=known.readings,
            views=tuple(dict.fromkeys((*known.plan_views, *known.views))),
            history=known.history,
            locks={**known.locks, **_unreadable_locks(held)},
            invested_before=known.history.invested_before,
        )
        return replace(facts, invested_before=facts.invested) if facts.invested_before is None else facts

    def _list_outside(self, opened: Iterable[Order]) -> Iterator[Order]:
        """Yield the open orders of somebody else. Only the ledger knows whose exits a bracket's are."""
        strange = [order for order in opened if is_of_somebody_else(order)]
        legs = [order.id for order in strange if is_leg(order)]
        ours = self.memory.find_own_exits(legs) if legs else frozenset()
        return (order for order in strange if order.id not in ours)


def _list_facts(listing: Listing, known: Knowledge) -> dict[str, SymbolFacts]:
    return {symbol: listing.facts(known.of(symbol)) for symbol in sorted(listing.symbols)}


def _unreadable_locks(held: Positions) -> dict[str, str]:
    """Lock the symbols of unreadable positions: unknown is not flat, so nothing is decided about them."""
    sentence = "the position of {0.symbol} at the broker cannot be read ({0.problem})"
    return {row.symbol: sentence.format(row) for row in held.unreadable if row.symbol}


def _with_sector(position: Position, known: Knowledge) -> Position:
    sector = known.of(position.symbol).sector or position.sector
    return position if sector == position.sector else replace(position, sector=sector)


@dataclass(frozen=True, slots=True)
class OpenBuys:
    """The dollars promised to open BUYs; `unpriced` names those whose cost nobody knows."""

    promised: Decimal
    unpriced: tuple[str, ...] = ()


def _sum_open_buys(broker: Broker, orders: Orders, account: Account) -> OpenBuys:
    """Sum what open BUYs may cost. One without any known price leaves no cash free: it may cost all that there is."""
    buys = [o for o in orders if o.side is Side.BUY and o.status is not OrderStatus.HELD]
    without = {o.symbol for o in buys if _own_price(o) is None and o.notional is None}
    prices = broker.quotes(without) if without else {}
    costs = {f"BUY {plain(o.remaining_qty)} {o.symbol} ({o.id})": open_cost(o, prices) for o in buys}
    costs |= {f"{o.kind} {o.symbol}".strip() + f" ({o.id})": o.promised for o in orders.foreign}
    unpriced = tuple(name for name, cost in costs.items() if cost is None)
    known = sum((cost for cost in costs.values() if cost is not None), ZERO)
    return OpenBuys(known + (account.equity * account.multiplier if unpriced else ZERO), unpriced)


def open_cost(order: Order, quotes: Mapping[str, Quote]) -> Decimal | None:
    """Return the cost of an open BUY's unfilled part in dollars, None without a price."""
    if order.notional is not None:
        return order.notional - order.filled_qty * (order.filled_avg_price or ZERO)
    quote = quotes.get(order.symbol)
    prices = [price for price in (quote.ask or quote.price if quote else None, order.stop_price) if price]
    price = _own_price(order) or max(prices, default=None)  # a stop buys above its price
    return None if price is None else order.remaining_qty * price


def _read_quote(quote: Quote | None, since: datetime) -> dict[str, Any]:
    """Return what a quote tells of a symbol; it is fresh since a moment."""
    if quote is None:
        return {"bid": None, "ask": None, "is_fresh": False}
    priced = {"price": quote.value, "price_at": quote.known_at}
    return {**priced, "bid": quote.bid, "ask": quote.ask, "is_fresh": quote.is_fresh(since)}


def _read_asset(asset: Asset | None, known: SymbolFacts) -> dict[str, Any]:
    """Return what an asset tells of a symbol, beside what is known."""
    if asset is None:
        return {"tradable": False}
    return {
        "tradable": asset.tradable and asset.active,
        "halted": asset.halted,
        "sector": known.sector or asset.sector,
        "average_volume": known.average_volume or asset.average_volume,
        "market_cap": known.market_cap or asset.market_cap,
        "earnings_on": known.earnings_on or asset.earnings_on,
    }


def _own_price(order: Order) -> Decimal | None:
    return order.limit_price if order.side is Side.BUY else None
