"""The one door to alpaca-py: its request models, and its clients with time-outs and without retries.

Importing this module imports alpaca-py, which takes about a second; only opening a broker imports it. alpaca-py sets
no time-out anywhere, and on 429 and 504 it re-sends, orders included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote

from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    OptionLatestQuoteRequest,
    StockBarsRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading import enums as words
from alpaca.trading import requests as models
from alpaca.trading.client import TradingClient
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import RequestException, Timeout

from Departments.brokers.alpaca.credentials import Credentials, is_loopback
from Departments.brokers.alpaca.pauses import Pauses
from Departments.brokers.alpaca.refusals import INVALID, Answer, Passing, map_answer, read_answer, read_refusal
from Departments.brokers.alpaca.transport import Pace, PacedTransport, Timeouts
from Departments.core.errors import BrokerUnavailable, UnreadableAnswer
from Departments.core.orders import OrderChange, OrderClass, OrderRequest, OrderType
from Departments.core.platform.clock import Clock

_DATA_PATHS = ("/stocks", "/options", "/corporate-actions")
_ANNOUNCED = (
    CorporateActionsType.FORWARD_SPLIT,
    CorporateActionsType.REVERSE_SPLIT,
    CorporateActionsType.UNIT_SPLIT,
    CorporateActionsType.NAME_CHANGE,
)
_BACK_OFF = (1.0, 2.0)  # seconds before the second and the third time a question is asked
_LONGEST_WAIT = 30.0  # seconds; a broker that asks for more is not waited for here

_KINDS: dict[OrderType, Callable[..., models.OrderRequest]] = {
    OrderType.MARKET: models.MarketOrderRequest,
    OrderType.LIMIT: models.LimitOrderRequest,
    OrderType.STOP: models.StopOrderRequest,
    OrderType.STOP_LIMIT: models.StopLimitOrderRequest,
    OrderType.TRAILING_STOP: models.TrailingStopOrderRequest,
}


class Sdk:
    """alpaca-py's clients behind plain calls: each returns parsed JSON or raises our errors."""

    def __init__(self, credentials: Credentials, clock: Clock, timeouts: Timeouts, feed: str = "iex") -> None:
        self._clock = clock
        self._feed = DataFeed(feed)
        key, secret = credentials.key_id, credentials.secret_key
        self._trading = TradingClient(key, secret, raw_data=True, url_override=credentials.base_url)
        self._data = StockHistoricalDataClient(key, secret, raw_data=True, url_override=_data_url(credentials))
        self._options = OptionHistoricalDataClient(key, secret, raw_data=True, url_override=_data_url(credentials))
        self._actions = CorporateActionsClient(key, secret, raw_data=True, url_override=_data_url(credentials))
        self._pauses = {is_data: Pauses(clock) for is_data in (False, True)}
        for client in self._clients:
            _prepare(client, timeouts, Pace(clock))

    @property
    def _clients(self) -> tuple[RESTClient, ...]:
        return self._trading, self._data, self._options, self._actions

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client._session.close()  # noqa: SLF001 - alpaca-py offers no other way

    def submit(self, request: OrderRequest) -> Any:
        """Send one order, once."""
        return self._ask_once("POST", "/orders", partial(self._trading.submit_order, write_order(request)))

    def replace(self, order_id: str, change: OrderChange) -> Any:
        """Send new terms for an order, once: alpaca-py would send a PATCH again on 429 and 504, too."""
        call = partial(self._trading.replace_order_by_id, order_id, write_change(change))
        return self._ask_once("PATCH", f"/orders/{order_id}", call)

    def cancel(self, order_id: str) -> None:
        """Request a cancel, once."""
        self._ask_once("DELETE", f"/orders/{order_id}", partial(self._trading.cancel_order_by_id, order_id))

    def order(self, order_id: str) -> Any:
        """Ask for an order with its legs."""
        nested = models.GetOrderByIdRequest(nested=True)
        return self._ask(f"/orders/{order_id}", partial(self._trading.get_order_by_id, order_id, nested))

    def order_by_client_id(self, client_order_id: str) -> Any:
        """Ask for an order by our id. Alpaca leaves the legs out here."""
        what = f"/orders:by_client_order_id {client_order_id}"
        return self._ask(what, partial(self._trading.get_order_by_client_id, client_order_id))

    def orders(self, scope: str, symbols: Sequence[str], after: datetime | None, limit: int) -> Any:
        """Ask for one page of orders, oldest first, submitted later than `after`."""
        query = models.GetOrdersRequest(
            status=words.QueryOrderStatus(scope),
            limit=limit,
            after=after,
            direction=Sort.ASC,
            nested=True,
            symbols=list(symbols) or None,
        )
        return self._ask("/orders", partial(self._trading.get_orders, filter=query))

    def account(self) -> Any:
        """Ask for the account."""
        return self._ask("/account", self._trading.get_account)

    def positions(self) -> Any:
        """Ask for all positions."""
        return self._ask("/positions", self._trading.get_all_positions)

    def position(self, symbol: str) -> Any:
        """Ask for the position in a symbol."""
        return self._ask(f"/positions/{symbol}", partial(self._trading.get_open_position, quote(symbol, safe="")))

    def activities(self, after: datetime, page: str | None, limit: int, kind: str = "") -> Any:
        """Ask for one page of the activities booked after a second, of all kinds or of one such as FEE, oldest first.

        `page` is the last id of the page before. alpaca-py has no method for it on a trading account.
        """
        query = {"after": f"{after.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "direction": "asc", "page_size": limit}
        path = f"/account/activities/{kind}".rstrip("/")
        return self._ask(path, partial(self._trading.get, path, query | ({"page_token": page} if page else {})))

    def announcements(self, since: date, until: date) -> Any:
        """Ask for the splits, mergers and spin-offs that take effect between two days, of all symbols.

        alpaca-py's own method warns that it will go.
        """
        query = {"ca_types": "split,merger,spinoff", "since": since.isoformat(), "until": until.isoformat()}
        path = "/corporate_actions/announcements"
        return self._ask(path, partial(self._trading.get, path, query | {"date_type": "ex_date"}))

    def corporate_actions(self, symbols: Sequence[str], since: date, until: date) -> Any:
        """Ask the market data for the splits and new symbols of some symbols between two days."""
        query = CorporateActionsRequest(symbols=list(symbols), types=list(_ANNOUNCED), start=since, end=until)
        return self._ask("/corporate-actions", partial(self._actions.get_corporate_actions, query))

    def asset(self, symbol: str) -> Any:
        """Ask about a symbol."""
        return self._ask(f"/assets/{symbol}", partial(self._trading.get_asset, quote(symbol, safe="")))

    def active_assets(self) -> Any:
        """Ask about every active share: about 11,000 rows in one answer."""
        query = models.GetAssetsRequest(status=words.AssetStatus.ACTIVE, asset_class=words.AssetClass.US_EQUITY)
        return self._ask("/assets", partial(self._trading.get_all_assets, query))

    def clock(self) -> Any:
        """Ask for the market's clock."""
        return self._ask("/clock", self._trading.get_clock)

    def snapshots(self, symbols: Sequence[str]) -> Any:
        """Ask the live feed of the settings for the last trades, bids and asks of symbols."""
        query = StockSnapshotRequest(symbol_or_symbols=list(symbols), feed=self._feed)
        return self._ask("/stocks/snapshots", partial(self._data.get_stock_snapshot, query))

    def option_quotes(self, symbols: Sequence[str]) -> Any:
        """Ask once for the latest bids and asks of options."""
        query = OptionLatestQuoteRequest(symbol_or_symbols=list(symbols))
        return self._ask_once("GET", "/options/quotes", partial(self._options.get_option_latest_quote, query))

    def daily_bars(self, symbols: Sequence[str], start: date, end: datetime) -> Any:
        """Ask for split-adjusted daily bars of many symbols on the consolidated feed, oldest first.

        A limit would count the rows of all symbols together (https://docs.alpaca.markets/reference/stockbars), so
        there is none: alpaca-py asks for page after page of 10,000 rows, each of them a request of its own.
        """
        query = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=TimeFrame(1, TimeFrameUnit.Day),
            start=datetime.combine(start, datetime.min.time(), end.tzinfo),
            end=end,
            feed=DataFeed.SIP,
            adjustment=Adjustment.SPLIT,
        )
        return self._ask("/stocks/bars", partial(self._data.get_stock_bars, query))

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        """Ask a question, after passing trouble again after a pause, three times at most."""
        for pause in _BACK_OFF:
            try:
                return self._ask_once("GET", what, call)
            except Passing as trouble:
                wait = pause if trouble.wait is None else trouble.wait
                if wait > _LONGEST_WAIT:
                    raise
            self._clock.sleep(wait)
        return self._ask_once("GET", what, call)

    def _ask_once(self, method: str, what: str, call: Callable[[], Any]) -> Any:
        """Ask once. While the broker has asked for a pause, nothing goes over the wire."""
        pauses = self._pauses[what.startswith(_DATA_PATHS)]
        pauses.refuse_early(method, what)
        try:
            return self._ask_over_wire(method, what, call)
        except Passing as trouble:
            pauses.note(trouble.wait)
            raise

    def _ask_over_wire(self, method: str, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except APIError as error:
            raise map_answer(self._answer(method, what, error)) from error
        except Timeout as error:
            raise BrokerUnavailable(f"the broker did not answer {method} {what} in time") from error
        except NoConnection as error:
            raise Passing(f"no connection to the broker for {method} {what}") from error
        except (RequestException, ValueError, AttributeError, TypeError) as error:
            raise UnreadableAnswer(f"the broker's answer to {method} {what} cannot be read") from error

    def _answer(self, method: str, what: str, error: APIError) -> Answer:
        return read_answer(method, what, error.response, self._clock.now())


def write_order(request: OrderRequest) -> models.OrderRequest:
    """Write an order in alpaca-py's words. Raises Refused if Alpaca's own models rule it out.

    An OCO is a limit order whose limit is its take-profit (https://docs.alpaca.markets/docs/orders-at-alpaca).
    """
    is_oco = request.order_class is OrderClass.OCO
    target = request.take_profit or (request.limit_price if is_oco else None)
    try:
        return _KINDS[OrderType.LIMIT if is_oco else request.type](
            symbol=request.symbol,
            qty=float(request.qty),
            side=words.OrderSide(request.side.lower()),
            time_in_force=words.TimeInForce(request.time_in_force),
            order_class=None if request.order_class is OrderClass.SIMPLE else words.OrderClass(request.order_class),
            client_order_id=request.client_order_id,
            limit_price=None if is_oco else _float(request.limit_price),
            stop_price=_float(request.stop_price),
            trail_price=_float(request.trail_price),
            trail_percent=_float(request.trail_percent),
            take_profit=None if target is None else models.TakeProfitRequest(limit_price=float(target)),
            stop_loss=None
            if request.stop_loss is None
            else models.StopLossRequest(stop_price=float(request.stop_loss)),
        )
    except ValueError as error:
        raise read_refusal(422, INVALID, _first_line(error), {}) from error


def write_change(change: OrderChange) -> models.ReplaceOrderRequest:
    """Write new terms in alpaca-py's words: prices as floats, whole shares. Raises Refused for a part of a share."""
    if change.qty is not None and change.qty != change.qty.to_integral_value():
        raise read_refusal(422, INVALID, "qty of a replacement must be a whole number", {})
    try:
        return models.ReplaceOrderRequest(
            client_order_id=change.client_order_id,
            qty=None if change.qty is None else int(change.qty),
            limit_price=_float(change.limit_price),
            stop_price=_float(change.stop_price),
            trail=_float(change.trail),
        )
    except ValueError as error:
        raise read_refusal(422, INVALID, _first_line(error), {}) from error


def _float(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def _first_line(error: ValueError) -> str:
    """Return the complaint of one of the vendor's models, without pydantic's frame."""
    details = getattr(error, "errors", None)
    return str(details()[0]["msg"] if details else error).removeprefix("Value error, ")


def _data_url(credentials: Credentials) -> str | None:
    """Return the address of market data; keys for a local server never travel to the vendor."""
    return credentials.data_url or (credentials.base_url if is_loopback(credentials.base_url) else None)


def _prepare(client: RESTClient, timeouts: Timeouts, pace: Pace) -> None:
    """Set a client's time-outs and pace and remove its retries; alpaca-py has no public way to do so."""
    session, base_url = client._session, str(client._base_url)  # noqa: SLF001
    client._retry = 0  # noqa: SLF001
    transport = PacedTransport(timeouts, pace)
    for scheme in ("https://", "http://"):
        session.mount(scheme, transport)
    session.trust_env = not is_loopback(base_url)  # no proxy of the environment before a local server
