"""Alpaca behind the broker port."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from Departments.brokers.alpaca import parsing
from Departments.brokers.alpaca.announcements import Announced, read_announcements, read_corporate_actions
from Departments.brokers.alpaca.assets import Assets, ask_about
from Departments.brokers.alpaca.bookings import read_activities
from Departments.brokers.alpaca.credentials import Credentials, check_access, is_live
from Departments.brokers.alpaca.foreign_costs import find_underlying, list_unpriced, price_options, read_asks
from Departments.brokers.alpaca.parsing import find_oldest_credible, read_quote
from Departments.brokers.alpaca.refusals import NoSuchList
from Departments.brokers.alpaca.transport import Timeouts
from Departments.brokers.base import Activities, BrokerList, Orders, Positions, RowNames, UnreadableRow
from Departments.core.activities import Activity
from Departments.core.errors import BrokerError, BrokerUnavailable, NotFound, Refusal, Refused, UnreadableAnswer
from Departments.core.logs import make_logger
from Departments.core.money import ZERO
from Departments.core.orders import Order, OrderChange, OrderClass, OrderRequest, OrderScope, Side
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.core.settings import BrokerSettings
from Departments.core.trading_calendar import is_trading_day, last_close, session, trading_day

if TYPE_CHECKING:
    from Departments.brokers.alpaca.sdk import Sdk

log = make_logger(__name__)
Value = TypeVar("Value")

MAX_QUOTE_AGE = timedelta(minutes=15)
_SIP_DELAY = timedelta(minutes=16)  # without a subscription the consolidated feed answers 403 for the last 15 minutes
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)

PAGE = 500  # the most orders Alpaca puts into one answer
FEES_PAGE = 100  # the most activities
_PERHAPS_CUT = PAGE // 2  # Alpaca counts legs before it nests them, so a full page can come back shorter


def connect(
    credentials: Credentials,
    settings: BrokerSettings,
    clock: Clock,
    *,
    live: bool,
    environ: Mapping[str, str] | None = None,
) -> AlpacaBroker:
    """Return a broker at the credentials' address. Raises BadInput if trading there is not allowed."""
    check_access(credentials, settings, live=live, environ=environ)
    return AlpacaBroker(
        credentials,
        clock,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        total_timeout=settings.total_timeout,
        feed=settings.feed,
    )


class AlpacaBroker:
    """An account at Alpaca, paper unless `connect` allowed a live one. Time-outs in seconds."""

    name: str = "alpaca"

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        connect_timeout: float = 5,
        read_timeout: float = 15,
        total_timeout: float = 60,
        max_quote_age: timedelta = MAX_QUOTE_AGE,
        feed: str = "iex",
    ) -> None:
        self._clock = clock
        self._max_quote_age = max_quote_age
        self._is_live = is_live(credentials)
        self._sdk = _open_sdk(credentials, clock, Timeouts(connect_timeout, read_timeout, total_timeout), feed)
        self._assets = Assets(clock, self._asset, self._active_assets)
        self._names = RowNames(clock)

    def close(self) -> None:
        """Close the connections; the broker is not used afterwards."""
        self._sdk.close()

    def account(self) -> Account:
        """Return cash, equity, buying power and gates."""
        return _read("the account", partial(parsing.read_account, live=self._is_live), self._sdk.account())

    def positions(self) -> Positions:
        """Return every open position."""
        rows = _read("the positions", _check_list, self._sdk.positions())
        return self._names.name("The position", parsing.read_positions(rows))

    def position(self, symbol: str) -> Position | None:
        """Return the open position in a symbol. Returns None if nothing is held."""
        try:
            return _read(f"the position in {symbol}", parsing.read_position, self._sdk.position(symbol))
        except NotFound:
            return None

    def fees(self, since: datetime) -> Decimal:
        """Return the trading fees booked since a moment, in dollars.

        Those of a day (REG, TAF) are booked together, "typically the day after the trade date (in UTC)", so on the day
        itself neither they nor the cash know what its sales cost.
        (https://docs.alpaca.markets/docs/account-activities and Alpaca's OpenAPI, `/v2/account/activities`)
        """
        rows = self._pages("the fees", partial(self._sdk.activities, since - _SECOND, kind="FEE"))
        fees, unreadable = parsing.read_fees(rows, since)
        self._names.name_unreadable("The fee", unreadable)
        return sum(fees.values(), ZERO)

    def activities(self, since: datetime) -> Activities:
        """Return Alpaca's bookings on the account since a moment, oldest first.

        Alpaca books the fees of a day on the next one, and a dividend may come a day late.
        """
        rows = self._pages("the activities", partial(self._sdk.activities, since - _SECOND))
        return self._names.name("The activity", read_activities(rows, since))

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        """Return announced splits and new symbols: of the trading API's list, else of the market data's.

        Raises the last list's error if neither has any.
        """
        wanted, today = sorted(set(symbols)), trading_day(self._clock.now())
        with suppress(BrokerUnavailable):
            rows = _read("the announcements", _check_list, self._sdk.announcements(since, today))
            if found := self._read_announced(read_announcements(rows, wanted, since, today)):
                return found
        answer = self._sdk.corporate_actions(wanted, since, today)
        read = partial(read_corporate_actions, symbols=wanted, since=since, until=today)
        return self._read_announced(_read("the corporate actions", read, answer))

    def _read_announced(self, read: Announced) -> Sequence[Activity]:
        found, unreadable = read
        self._names.name_unreadable("The announcement", unreadable)
        return found

    def _pages(self, what: str, ask: Callable[[str | None, int], Any]) -> list[Any]:
        """Return the rows of all pages, each once. Raises Refused where the broker has no such list."""
        rows, page = dict[str, Any](), None
        while found := _read(what, _check_list, _ask_for_list(ask, page)):
            known = len(rows)
            rows |= {_row_id(row): row for row in found}
            if len(found) < FEES_PAGE:
                break
            page = next(filter(None, map(_id_of, reversed(found))), None)
            if len(rows) == known or page is None:
                raise BrokerUnavailable(f"the broker's list of {what.removeprefix('the ')} does not go on")
        return list(rows.values())

    def submit(self, request: OrderRequest) -> Order:
        """Submit one order, once. Raises Refused, or BrokerUnavailable if its fate is unknown."""
        order = _read("the new order", parsing.read_order, self._sdk.submit(request))
        if order.client_order_id != request.client_order_id:
            raise BrokerUnavailable(f"the broker answered {request.client_order_id} with {order.client_order_id}")
        return order

    def replace(self, order_id: str, change: OrderChange) -> Order:
        """Give a live order new terms, once. Raises NotFound, Refused, or BrokerUnavailable if its fate is unknown."""
        order = _read("the new order", parsing.read_order, self._sdk.replace(_check_id(order_id), change))
        if order.client_order_id != change.client_order_id:
            raise BrokerUnavailable(f"the broker answered {change.client_order_id} with {order.client_order_id}")
        return order

    def order(self, order_id: str) -> Order:
        """Return an order with its legs by Alpaca's id. Raises NotFound."""
        return _read("the order", parsing.read_order, self._sdk.order(_check_id(order_id)))

    def order_by_client_id(self, client_order_id: str) -> Order:
        """Return an order with its legs by our id. Raises NotFound."""
        found = _read("the order", parsing.read_order, self._sdk.order_by_client_id(client_order_id))
        return found if found.order_class is OrderClass.SIMPLE else self.order(found.id)

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        """Return orders, oldest first, legs nested in their parents."""
        wanted, found = sorted(set(symbols)), dict[str, Any]()
        while page := _read("the orders", _check_list, self._sdk.orders(scope, wanted, after, PAGE)):
            known = len(found)
            found |= {_row_id(row): row for row in page}
            if sum(map(_count_rows, page)) < _PERHAPS_CUT:
                break
            if len(found) == known:
                raise BrokerUnavailable("the broker's list of orders does not go on")
            after = _find_next_start(page)
        rows = [row for row in found.values() if side is None or _side(row) in {"", side.lower()}]
        return self._names.name("The order", self._price_options(rows, parsing.read_orders(rows)))

    def _price_options(self, rows: Sequence[Any], read: Orders) -> Orders:
        """Return orders; open BUYs of options without a price promise what they may cost."""
        bought = list_unpriced(rows, [order.id for order in read.foreign if order.promised is None])
        symbols = sorted({symbol for options in bought.values() for symbol, _ in options})
        if not symbols:
            return read
        try:
            asks = read_asks(self._sdk.option_quotes(symbols))
        except BrokerError as error:
            log.info("The broker has no quotes of options; strike and share bound their cost (%s)", error)
            asks = {}
        try:
            shares = {} if asks.keys() >= set(symbols) else self.quotes(map(find_underlying, symbols))
        except BrokerError:
            shares = {}
        costs = {name: price_options(options, asks, shares) for name, options in bought.items()}
        foreign = (o if o.promised is not None else replace(o, promised=costs.get(o.id)) for o in read.foreign)
        return BrokerList(read, foreign, read.unreadable)

    def cancel(self, order_id: str) -> None:
        """Request a cancel. Raises NotFound, and Refused if it is too late."""
        self._sdk.cancel(_check_id(order_id))

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        """Return the facts of the known symbols, a quarter of an hour old at most."""
        return self._assets.find(symbols)

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        """Return the latest credible prices of the feed; a symbol without one is absent."""
        seen = ask_about(symbols, self._sdk.snapshots)
        oldest = find_oldest_credible(self._clock.now(), self._max_quote_age)
        quotes = (read_quote(symbol, snapshot, oldest) for symbol, snapshot in seen.items())
        return {quote.symbol: quote for quote in quotes if quote}

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        """Return up to `days` complete daily bars by symbol (consolidated feed), oldest first.

        They end with the last close, so a fast clock of ours asks for nothing that Alpaca refuses. A symbol with an
        unreadable bar has none.
        """
        end = last_close(self._clock.now() - _SIP_DELAY)
        start = trading_day(end) - timedelta(days=days * 7 // 5 + 14)
        seen = ask_about(symbols, lambda some: self._sdk.daily_bars(some, start, end))
        complete = ((s, [bar for bar in self._bars(s, rows) if _is_complete(bar, end)]) for s, rows in seen.items())
        return {symbol: bars[-days:] for symbol, bars in complete if bars and days > 0}

    def market_clock(self) -> MarketClock:
        """Return Alpaca's clock."""
        return _read("the clock", parsing.read_clock, self._sdk.clock())

    def _asset(self, symbol: str) -> Asset:
        return _read(f"the asset {symbol}", parsing.read_asset, self._sdk.asset(symbol))

    def _active_assets(self) -> Sequence[Asset]:
        return _read("the assets", lambda rows: parsing.read_assets(_check_list(rows)), self._sdk.active_assets())

    def _bars(self, symbol: str, rows: Any) -> Sequence[Bar]:
        try:
            return _read("bars", lambda found: [parsing.read_bar(symbol, row) for row in _check_list(found)], rows)
        except UnreadableAnswer as error:
            self._names.name_unreadable("The bars of", [UnreadableRow("", "", symbol, str(error.__cause__))])
            return ()


def _ask_for_list(ask: Callable[[str | None, int], Any], page: str | None) -> Any:
    try:
        return ask(page, FEES_PAGE)
    except NoSuchList as error:
        raise Refused(Refusal.OTHER, str(error)) from error


def _open_sdk(credentials: Credentials, clock: Clock, timeouts: Timeouts, feed: str) -> Sdk:
    """Import alpaca-py only now: this takes a second and warns of websockets' old interface."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from Departments.brokers.alpaca.sdk import Sdk  # noqa: PLC0415
    return Sdk(credentials, clock, timeouts, feed)


def _check_id(order_id: str) -> str:
    """Return an id in Alpaca's form. Raises NotFound for one in another form."""
    try:
        return str(UUID(order_id))
    except ValueError as error:
        raise NotFound(f"{order_id!r} is no order id of Alpaca's") from error


def _read(what: str, parse: Callable[[Any], Value], data: Any) -> Value:
    try:
        return parse(data)
    except parsing.SENSELESS as error:
        raise UnreadableAnswer(f"the broker's answer about {what} cannot be read ({_describe(error)})") from error


def _describe(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)


def _check_list(rows: Any) -> Sequence[Any]:
    if not isinstance(rows, list):
        raise TypeError("not a list")
    return rows


def _id_of(row: Any) -> str:
    return parsing.read_words(row, "id") if isinstance(row, Mapping) else ""


def _row_id(row: Any) -> str:
    """Return the id of a row; one without any is its own."""
    return _id_of(row) or str(row)


def _count_rows(row: Any) -> int:
    """Count the rows of a page for an order and its legs."""
    legs = row.get("legs") if isinstance(row, Mapping) else None
    return 1 + (len(legs) if isinstance(legs, list) else 0)


def _side(row: Any) -> str:
    """Return the side of a row. A spread has none, and Alpaca's own filter may hold it back."""
    return str(row.get("side") or "") if isinstance(row, Mapping) else ""


def _find_next_start(page: Sequence[Any]) -> datetime:
    """Return the start of the next page. `after` excludes its own moment, and a second order may share it."""
    moments = [moment for row in page if (moment := parsing.read_submission(row))]
    if not moments:
        raise BrokerUnavailable("the broker's list of orders has no times")
    return max(moments) - _TICK


def _is_complete(bar: Bar, until: datetime) -> bool:
    return bar.day < trading_day(until) or (is_trading_day(bar.day) and session(bar.day)[1] <= until)
