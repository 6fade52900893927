"""A vendor unlike Alpaca, and its adapter: other words, other codes, other shapes, the same exchange behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from Departments.brokers.alpaca.refusals import read_refusal
from Departments.brokers.base import Activities, Broker, BrokerList, Orders, Positions
from Departments.brokers.registry import BrokerRow, Opening
from Departments.core.activities import Activity, ActivityKind
from Departments.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotAuthorized,
    NotFound,
    Refusal,
    Refused,
    UnreadableAnswer,
)
from Departments.core.money import plain
from Departments.core.orders import (
    Order,
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderScope,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.records import ExchangeRefusal, Outage

Ticket = dict[str, Any]
FILE = "bourse.db"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The vendor's own words: states are numbered, kinds are letters.
STATES = {status: f"S{number:02}" for number, status in enumerate(OrderStatus)}
WORDS: dict[Any, str] = {
    **STATES,
    Side.BUY: "achat",
    Side.SELL: "vente",
    OrderType.MARKET: "M",
    OrderType.LIMIT: "L",
    OrderType.STOP: "T",
    OrderType.STOP_LIMIT: "TL",
    OrderType.TRAILING_STOP: "TS",
    TimeInForce.DAY: "jour",
    TimeInForce.GTC: "revocation",
    OrderClass.SIMPLE: "seul",
    OrderClass.BRACKET: "encadre",
    OrderClass.OCO: "alternative",
    **{kind: f"operation {number}" for number, kind in enumerate(ActivityKind)},
}
MEANINGS: dict[str, Any] = {word: value for value, word in WORDS.items()}
CODES = {
    Refusal.BUYING_POWER: "E-NSF",
    Refusal.SHARES_HELD: "E-LOCKED",
    Refusal.WASH_TRADE: "E-SELF",
    Refusal.ASSET: "E-INSTR",
    Refusal.DUPLICATE_ID: "E-REF",
    Refusal.INVALID_ORDER: "E-TERMS",
    Refusal.CANCEL_TOO_LATE: "E-DONE",
    Refusal.OTHER: "E-GEN",
}


class Rejet(Exception):  # noqa: N818 - the vendor's word
    """The vendor's one error: a code, a text and the figures behind it."""

    def __init__(self, code: str, text: str, figures: Mapping[str, str] | None = None) -> None:
        self.code, self.text, self.figures = code, text, figures or {}
        super().__init__(code)


class Bourse:
    """The vendor: takes and gives tickets in its own words."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange

    def ask(self, call: str, *arguments: Any, **options: Any) -> Any:
        """Answer one call. Raises Rejet."""
        try:
            return in_words(getattr(self.exchange, call)(*arguments, **options))
        except ExchangeRefusal as refusal:
            raise _rejet(refusal) from refusal
        except Outage as outage:
            raise Rejet("E-GARBLED" if outage.http_status == 200 else "E-DOWN", str(outage)) from outage

    def place(self, ticket: Ticket) -> Any:
        """Take an order."""
        return self.ask("submit", _read(OrderRequest, ticket))


def _rejet(refusal: ExchangeRefusal) -> Rejet:
    if refusal.http_status in {401, 404}:
        return Rejet({401: "E-KEY", 404: "E-NONE"}[refusal.http_status], refusal.message)
    refused = read_refusal(refusal.http_status, refusal.code, refusal.message, refusal.body)
    return Rejet(CODES[refused.reason], refusal.message, {name.upper(): v for name, v in refused.numbers.items()})


def in_words(value: Any) -> Any:
    """Write a value as the vendor does: its words, its keys in capitals, moments in microseconds."""
    if is_dataclass(value):
        return {f.name.upper(): in_words(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: in_words(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [in_words(each) for each in value]
    return _word(value)


def _word(value: Any) -> Any:
    if isinstance(value, Enum):
        return WORDS[value]
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return plain(value) if isinstance(value, Decimal) else value


def _read(kind: Callable[..., Any], ticket: Ticket) -> Any:
    """Read a ticket of the vendor's as one of our values."""
    hints = {f.name: str(f.type) for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _field(hint, ticket[name.upper()]) for name, hint in hints.items()})


def _field(hint: str, value: Any) -> Any:
    kind = hint.removesuffix(" | None")
    if value is None or kind in {"str", "bool"}:
        return value
    readers: dict[str, Callable[[Any], Any]] = {
        "Decimal": Decimal,
        "datetime": lambda at: EPOCH + timedelta(microseconds=at),
        "date": lambda day: day,
        "tuple[Order, ...]": lambda legs: tuple(_read(Order, leg) for leg in legs),
        "tuple[str, ...]": tuple,
    }
    return readers[kind](value) if kind in readers else MEANINGS[value]


REFUSALS = {code: reason for reason, code in CODES.items()}
OTHERS: dict[str, type[BrokerError]] = {
    "E-KEY": NotAuthorized,
    "E-NONE": NotFound,
    "E-DOWN": BrokerUnavailable,
    "E-GARBLED": UnreadableAnswer,
}


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except Rejet as rejet:
        if rejet.code in OTHERS:
            raise OTHERS[rejet.code](rejet.text) from rejet
        numbers = {name.lower(): figure for name, figure in rejet.figures.items()}
        raise Refused(REFUSALS[rejet.code], rejet.text, numbers) from rejet


class BourseBroker:
    """The vendor behind the port."""

    name: str = "bourse"

    def __init__(self, vendor: Bourse) -> None:
        self.vendor = vendor

    def _ask(self, call: str, *arguments: Any, **options: Any) -> Any:
        with _errors():
            return self.vendor.ask(call, *arguments, **options)

    def account(self) -> Account:
        return _read(Account, self._ask("account"))  # type: ignore[no-any-return]

    def positions(self) -> Positions:
        return BrokerList(_read(Position, ticket) for ticket in self._ask("positions"))

    def position(self, symbol: str) -> Position | None:
        ticket = self._ask("position", symbol)
        return None if ticket is None else _read(Position, ticket)

    def fees(self, since: datetime) -> Decimal:
        return Decimal(self._ask("fees", since))

    def activities(self, since: datetime) -> Activities:
        return BrokerList(_read(Activity, ticket) for ticket in self._ask("activities", since))

    def announcements(self, symbols: Iterable[str], since: date) -> Sequence[Activity]:
        return [_read(Activity, ticket) for ticket in self._ask("announcements", tuple(symbols), since)]

    def replace(self, order_id: str, change: OrderChange) -> Order:
        return _read(Order, self._ask("replace", order_id, change))  # type: ignore[no-any-return]

    def submit(self, request: OrderRequest) -> Order:
        with _errors():
            return _read(Order, self.vendor.place(in_words(request)))  # type: ignore[no-any-return]

    def order(self, order_id: str) -> Order:
        return _read(Order, self._ask("order", order_id))  # type: ignore[no-any-return]

    def order_by_client_id(self, client_order_id: str) -> Order:
        return _read(Order, self._ask("order_by_client_id", client_order_id))  # type: ignore[no-any-return]

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        tickets = self._ask("orders", scope, symbols=tuple(symbols), after=after, side=side)
        return BrokerList(_read(Order, ticket) for ticket in tickets)

    def cancel(self, order_id: str) -> None:
        self._ask("cancel", order_id)

    def assets(self, symbols: Iterable[str]) -> Mapping[str, Asset]:
        return {symbol: _read(Asset, ticket) for symbol, ticket in self._ask("assets", tuple(symbols)).items()}

    def quotes(self, symbols: Iterable[str]) -> Mapping[str, Quote]:
        return {symbol: _read(Quote, ticket) for symbol, ticket in self._ask("quotes", tuple(symbols)).items()}

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        tickets = self._ask("bars", tuple(symbols), days=days)
        return {symbol: [_read(Bar, ticket) for ticket in rows] for symbol, rows in tickets.items()}

    def market_clock(self) -> MarketClock:
        return _read(MarketClock, self._ask("market_clock"))  # type: ignore[no-any-return]

    def close(self) -> None:
        self.vendor.exchange.close()


def _open_bourse(opening: Opening) -> Broker:
    exchange = SimulatedExchange(
        opening.folder / FILE,
        opening.clock,
        state=opening.exchange_state,
        faults=opening.exchange_faults,
        step=opening.step,
    )
    return BourseBroker(Bourse(exchange))


ROW = BrokerRow(
    "bourse",
    "the Bourse",
    _open_bourse,
    file=FILE,
    takes_exchange_files=True,
    takes_simulated_clock=True,
)
