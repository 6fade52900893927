"""Read Alpaca's JSON, tolerantly: an unknown word never fails a list, a missing number is never made up.

Lists are read row by row (`read_orders`, `read_positions`): shares are ours, options, spreads and crypto are foreign,
and a senseless row is kept with its id. Every other function raises an error of SENSELESS for an answer without a
field that we need. Trading answers carry numbers as text, market data as JSON numbers; both become Decimal.

The free feed (IEX) sees two or three per cent of the volume, so a price can be old: stale, crossed and zero prices
are left out. There is no substitute for an unknown price.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

from Departments.brokers.base import BrokerList, ForeignOrder, ForeignPosition, Orders, Positions, UnreadableRow
from Departments.core.moments import parse_iso
from Departments.core.money import ONE, ZERO, decimal_of, price_of
from Departments.core.orders import Order, OrderClass, OrderStatus, OrderType, Side, TimeInForce
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.core.trading_calendar import is_open, is_trading_day, session, trading_day

Data = Mapping[str, Any]
Own = TypeVar("Own")
Foreign = TypeVar("Foreign")

SHARES = frozenset({"", "us_equity"})
OPTION_SHARES = Decimal(100)  # per contract
#: The errors of reading a senseless answer or row.
SENSELESS: Final = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError)
_OPTION = re.compile(r"[A-Z0-9.]{1,6}\d{6}[CP]\d{8}")  # the OCC's symbol of an option
Word = TypeVar("Word", bound=StrEnum)

_GATES = {
    "trading_blocked": "trading_blocked",
    "account_blocked": "account_blocked",
    "trade_suspended_by_user": "trade_suspended",
}


def read_account(data: Data, *, live: bool = False) -> Account:
    """Read `GET /v2/account`. A missing status keeps the gates closed; PAPER_ONLY trades unless `live`."""
    status = str(data.get("status") or "UNKNOWN")
    blocks = tuple(name for gate, name in _GATES.items() if data.get(gate))
    return Account(
        cash=decimal_of(data["cash"]),
        equity=decimal_of(data["equity"]),
        buying_power=decimal_of(data["buying_power"]),
        multiplier=read_number(data, "multiplier") or ONE,
        status=status,
        may_trade=not blocks and (status == "ACTIVE" or (status == "PAPER_ONLY" and not live)),
        blocks=blocks,
        last_equity=read_number(data, "last_equity"),
        id=str(data.get("id") or data.get("account_number") or ""),
        number=str(data.get("account_number") or ""),
    )


def read_positions(rows: Iterable[Any]) -> Positions:
    """Read `GET /v2/positions`."""
    return _read_each(rows, read_position, _foreign_position)


def read_position(data: Data) -> Position:
    """Read one position of shares; a short one is negative in either notation."""
    qty, entry, price = (
        decimal_of(data["qty"]),
        read_number(data, "avg_entry_price"),
        read_number(data, "current_price"),
    )
    if entry is None and price is None:
        raise ValueError("avg_entry_price and current_price are empty")
    return Position(
        symbol=_text(data, "symbol"),
        qty=-qty if data.get("side") == "short" and qty > 0 else qty,
        avg_entry_price=entry,
        current_price=price,
        qty_available=read_number(data, "qty_available"),
        asset_id=read_words(data, "asset_id"),
    )


def _foreign_position(kind: str, data: Data) -> ForeignPosition:
    return ForeignPosition(kind, read_words(data, "symbol"), read_number(data, "market_value"))


def read_fees(rows: Iterable[Any], since: datetime) -> tuple[dict[str, Decimal], list[UnreadableRow]]:
    """Read a page of fee activities: dollars by id, and the unreadable rows.

    One booked before `since`, or canceled, counts as zero. A fee's `net_amount` is negative
    (https://docs.alpaca.markets/docs/account-activities).
    """
    fees, unreadable = dict[str, Decimal](), list[UnreadableRow]()
    for row in rows:
        try:
            fees[read_words(row, "id") or str(row)] = _fee(row, since)
        except SENSELESS as error:
            unreadable.append(read_unreadable(row, error))
    return fees, unreadable


def _fee(data: Data, since: datetime) -> Decimal:
    booked_at, day = read_moment(data, "created_at"), read_words(data, "date")[:10]
    is_earlier = booked_at < since if booked_at is not None else "" < day < trading_day(since).isoformat()
    if data.get("status") == "canceled" or is_earlier:
        return ZERO
    return -decimal_of(data["net_amount"])


def read_orders(rows: Iterable[Any]) -> Orders:
    """Read `GET /v2/orders`, legs nested. A leg that is also listed beside its parent counts once."""
    read = _read_each(rows, read_order, _foreign_order)
    legs = {leg.id for order in read for leg in order.legs}
    return BrokerList((order for order in read if order.id not in legs), read.foreign, read.unreadable)


def read_order(data: Data) -> Order:
    """Read one order of shares with its legs. An order by amount has only its filled quantity."""
    filled = read_number(data, "filled_qty") or ZERO
    asked, notional = read_number(data, "qty"), read_number(data, "notional")
    if asked is None and notional is None:
        raise ValueError("qty and notional are empty")
    return Order(
        id=_text(data, "id"),
        client_order_id=read_words(data, "client_order_id"),
        symbol=_text(data, "symbol"),
        side=Side(_text(data, "side").upper()),
        qty=filled if asked is None else asked,
        status=_status(data["status"]),
        filled_qty=filled,
        filled_avg_price=read_number(data, "filled_avg_price"),
        type=_word(data, "type", OrderType.MARKET),
        time_in_force=_word(data, "time_in_force", TimeInForce.DAY),
        order_class=_read_class(data),
        limit_price=read_number(data, "limit_price"),
        stop_price=read_number(data, "stop_price"),
        submitted_at=read_submission(data),
        updated_at=read_moment(data, "updated_at"),
        filled_at=read_moment(data, "filled_at"),
        replaced_by=read_words(data, "replaced_by") or None,
        notional=notional if asked is None else None,
        replaces=read_words(data, "replaces") or None,
        expires_at=read_moment(data, "expires_at"),
        trail_price=read_number(data, "trail_price"),
        trail_percent=read_number(data, "trail_percent"),
        legs=tuple(read_order(leg) for leg in data.get("legs") or ()),
    )


def read_submission(row: Any) -> datetime | None:
    """Return the moment of submission, or else of creation, or None."""
    try:
        return read_moment(row, "submitted_at") or read_moment(row, "created_at")
    except SENSELESS:
        return None


def _foreign_order(kind: str, data: Data) -> ForeignOrder:
    return ForeignOrder(_text(data, "id"), kind, read_words(data, "symbol"), _find_cost(kind, data))


def _find_cost(kind: str, data: Data) -> Decimal | None:
    """Return the cost of a foreign order's open part in dollars. A SELL and a credit cost 0.

    An option is 100 shares. A spread has no side: its limit is its cost, negative for a credit.
    (https://docs.alpaca.markets/docs/options-level-3-trading)
    """
    if data.get("side") == "sell" or _status(data["status"]).is_terminal:
        return ZERO
    notional, filled = read_number(data, "notional"), read_number(data, "filled_qty") or ZERO
    if notional is not None:
        return notional - filled * (read_number(data, "filled_avg_price") or ZERO)
    price, qty = read_number(data, "limit_price", "stop_price"), read_number(data, "qty")
    if price is None or qty is None:
        return None
    return max(ZERO, (qty - filled) * price * (ONE if kind == "crypto" else OPTION_SHARES))


def read_asset(data: Data) -> Asset:
    """Read `GET /v2/assets/{symbol}`."""
    return Asset(
        symbol=_text(data, "symbol"),
        tradable=bool(data.get("tradable")),
        active=str(data.get("status", "")).lower() == "active",
        fractionable=bool(data.get("fractionable")),
        name=str(data.get("name") or ""),
        id=read_words(data, "id"),
    )


def read_assets(rows: Sequence[Any]) -> list[Asset]:
    """Read `GET /v2/assets` without its unreadable rows: one of 11,000 would spoil them all."""
    return [read_asset(row) for row in rows if isinstance(row, Mapping) and row.get("symbol")]


def read_clock(data: Data) -> MarketClock:
    """Read `GET /v2/clock`."""
    moments = (parse_iso(data[key]) for key in ("timestamp", "next_open", "next_close"))
    now, next_open, next_close = moments
    return MarketClock(now=now, is_open=bool(data["is_open"]), next_open=next_open, next_close=next_close)


def read_bar(symbol: str, data: Data) -> Bar:
    """Read one daily bar; its timestamp is midnight in New York. Raises ValueError for a price of nothing."""
    prices = opened, high, low, close = [price_of(data[key]) for key in ("o", "h", "l", "c")]
    if min(prices) <= 0:
        raise ValueError("a price is not positive")
    day = trading_day(parse_iso(data["t"]))
    return Bar(symbol, day, open=opened, high=high, low=low, close=close, volume=decimal_of(data["v"]))


def _read_each(
    rows: Iterable[Any], read: Callable[[Data], Own], read_foreign: Callable[[str, Data], Foreign]
) -> BrokerList[Own, Foreign]:
    ours, foreign, unreadable = list[Own](), list[Foreign](), list[UnreadableRow]()
    for row in rows:
        try:
            kind = _kind(row)
            if kind in SHARES:
                ours.append(read(row))
            else:
                foreign.append(read_foreign(kind, row))
        except SENSELESS as error:
            unreadable.append(read_unreadable(row, error))
    return BrokerList(ours, foreign, unreadable)


def is_option(symbol: str) -> bool:
    """Return whether a symbol is an option's."""
    return _OPTION.fullmatch(symbol) is not None


def _kind(data: Any) -> str:
    """Return the asset class of a row, `mleg` for a spread."""
    if not isinstance(data, Mapping):
        raise TypeError("it is not an object")
    if data.get("order_class") == "mleg":
        return "mleg"
    return read_words(data, "asset_class") or ("us_option" if is_option(read_words(data, "symbol")) else "")


def read_unreadable(row: Any, error: Exception) -> UnreadableRow:
    """Keep the readable parts of a senseless row, and the reason."""
    data = row if isinstance(row, Mapping) else {}
    problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
    return UnreadableRow(
        read_words(data, "id"), read_words(data, "client_order_id"), read_words(data, "symbol"), problem
    )


def read_words(data: Data, key: str) -> str:
    """Return a text, empty if it is missing."""
    return str(data.get(key) or "")


def _text(data: Data, key: str) -> str:
    if not data[key]:
        raise ValueError(f"{key} is empty")
    return str(data[key])


def read_number(data: Data, *keys: str) -> Decimal | None:
    """Return the first number among keys, or None."""
    return next((decimal_of(data[key]) for key in keys if data.get(key) not in (None, "")), None)


def read_moment(data: Data, key: str) -> datetime | None:
    """Return a moment, or None if it is missing."""
    return parse_iso(data[key]) if data.get(key) else None


def _word(data: Data, key: str, otherwise: Word) -> Word:
    kind = type(otherwise)
    return kind(data[key]) if data.get(key) in set(kind) else otherwise


def _read_class(data: Data) -> OrderClass:
    is_oto = data.get("order_class") == "oto"
    return OrderClass.BRACKET if is_oto else _word(data, "order_class", OrderClass.SIMPLE)


def _status(word: Any) -> OrderStatus:
    """Read a status. `denied` is our own word, so from a broker it is unknown."""
    status = OrderStatus.parse(str(word))
    return OrderStatus.UNKNOWN if status is OrderStatus.DENIED else status


Priced = tuple[datetime, tuple[Decimal, ...]]


def find_oldest_credible(now: datetime, max_age: timedelta) -> datetime:
    """Return the oldest credible moment: `max_age` ago, counted from the last close out of hours."""
    day = trading_day(now)
    while not is_trading_day(day) or session(day)[0] > now:
        day -= timedelta(days=1)
    return (now if is_open(now) else session(day)[1]) - max_age


def read_quote(symbol: str, snapshot: Any, oldest: datetime) -> Quote | None:
    """Read the quote of a snapshot: last trade (`p`), bid and ask (`bp`, `ap`). None without a credible price."""
    seen = snapshot if isinstance(snapshot, Mapping) else {}
    last, sides = _fresh(seen.get("latestTrade"), ("p",), oldest), _fresh(seen.get("latestQuote"), ("bp", "ap"), oldest)
    if sides and sides[1][0] > sides[1][1]:
        sides = None
    bid, ask = sides[1] if sides else (None, None)
    if last:
        return Quote(symbol, last[1][0], last[0], bid, ask, sides[0] if sides else None)
    if sides is None or bid is None or ask is None:
        return None
    return Quote(symbol, price_of((bid + ask) / 2), sides[0], bid, ask)


def _fresh(data: Any, keys: tuple[str, ...], oldest: datetime) -> Priced | None:
    """Return moment and prices, None if one is missing, not positive or stale."""
    if not isinstance(data, Mapping):
        return None
    try:
        at, prices = parse_iso(str(data["t"])), tuple(price_of(data[key]) for key in keys)
    except SENSELESS:
        return None
    return (at, prices) if at >= oldest and min(prices) > 0 else None
