"""Read Alpaca's account activities, row by row: an odd row never spoils the others.

(https://docs.alpaca.markets/docs/account-activities; the words also stand in Alpaca's OpenAPI, `ActivityType`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.brokers.alpaca.parsing import (
    OPTION_SHARES,
    SENSELESS,
    Data,
    is_option,
    read_moment,
    read_number,
    read_unreadable,
    read_words,
)
from Departments.brokers.base import Activities, BrokerList, UnreadableRow
from Departments.core.activities import Activity, ActivityKind
from Departments.core.money import ONE, ZERO, decimal_of
from Departments.core.orders import Side
from Departments.core.trading_calendar import trading_day

#: Alpaca's words. Journals and transfers of cash are deposits or withdrawals by their sign; other words are OTHER.
_KINDS: Final[Mapping[str, ActivityKind]] = {
    "FILL": ActivityKind.FILL,
    **dict.fromkeys(("CSD", "CSW", "TRANS", "JNLC", "ACATC"), ActivityKind.DEPOSIT),
    **dict.fromkeys(("DIV", "DIVCGL", "DIVCGS", "DIVFT", "DIVNRA", "DIVROC", "DIVTW"), ActivityKind.DIVIDEND),
    **dict.fromkeys(("DIVTXEX", "DIVWH", "CGD"), ActivityKind.DIVIDEND),
    **dict.fromkeys(("INT", "INTNRA", "INTTW", "SWP"), ActivityKind.INTEREST),
    **dict.fromkeys(("FEE", "CFEE", "DIVFEE", "PTC"), ActivityKind.FEE),
    **dict.fromkeys(("SPLIT", "SSP"), ActivityKind.SPLIT),
    **dict.fromkeys(("NC", "SC"), ActivityKind.RENAME),
}
_WITHOUT_CASH: Final = frozenset({ActivityKind.SPLIT, ActivityKind.RENAME})


def read_activities(rows: Iterable[Any], since: datetime) -> Activities:
    """Read `GET /v2/account/activities`. Rows booked before `since` are left out; without a time the day counts."""
    ours, foreign, unreadable = list[Activity](), list[Activity](), list[UnreadableRow]()
    for row in rows:
        try:
            activity = _read_fill(row) if _word(row) == "FILL" else _read_booking(row)
        except SENSELESS as error:
            unreadable.append(read_unreadable(row, error))
            continue
        if _is_since(activity, since):
            (foreign if _is_foreign(activity.symbol) else ours).append(activity)
    return BrokerList(sorted(ours, key=_moment_of), sorted(foreign, key=_moment_of), unreadable)


def _word(row: Any) -> str:
    if not isinstance(row, Mapping):
        raise TypeError("it is not an object")
    word = read_words(row, "activity_type")
    if not word:
        raise ValueError("activity_type is empty")
    return word


def _read_fill(data: Data) -> Activity:
    """Read a fill. An option is 100 shares."""
    symbol, qty, price = data["symbol"], decimal_of(data["qty"]), decimal_of(data["price"])
    side, at = Side.BUY if data["side"] == "buy" else Side.SELL, read_moment(data, "transaction_time")
    if at is None:
        raise ValueError("transaction_time is empty")
    worth = qty * price * (OPTION_SHARES if is_option(symbol) else ONE)
    cash = worth if side is Side.SELL else -worth
    order_id = read_words(data, "order_id")
    return Activity(_id(data), ActivityKind.FILL, "FILL", at, trading_day(at), cash, symbol, side, qty, price, order_id)


def _read_booking(data: Data) -> Activity:
    at, amount = read_moment(data, "created_at"), read_number(data, "net_amount")
    kind = _kind(_word(data), amount)
    old, new = read_number(data, "old_rate", "old_qty"), read_number(data, "new_rate", "new_qty")
    return Activity(
        id=_id(data),
        kind=kind,
        word=_word(data),
        at=at,
        day=_day(data, at),
        cash=ZERO if amount is None and kind in _WITHOUT_CASH else amount,
        symbol=read_words(data, "old_symbol") or read_words(data, "symbol"),
        qty=_shares(data),
        price=read_number(data, "per_share_amount", "price"),
        ratio=new / old if kind is ActivityKind.SPLIT and new and old else None,
        new_symbol=read_words(data, "new_symbol"),
        group=read_words(data, "group_id"),
        canceled=data.get("status") == "canceled",
        description=read_words(data, "description"),
    )


def _kind(word: str, amount: Decimal | None) -> ActivityKind:
    kind = _KINDS.get(word, ActivityKind.OTHER)
    goes_out = word == "CSW" or (amount is not None and amount < 0)
    return ActivityKind.WITHDRAWAL if kind is ActivityKind.DEPOSIT and goes_out else kind


def _shares(data: Data) -> Decimal | None:
    """Return the shares of a booking; of a split the change of the shares held."""
    before, after = read_number(data, "old_qty"), read_number(data, "new_qty")
    if before is not None and after is not None:
        return after - before
    return read_number(data, "qty", "position_qty")


def _day(data: Data, at: datetime | None) -> date:
    stated = read_words(data, "date") or read_words(data, "system_date")
    if stated:
        return date.fromisoformat(stated[:10])
    if at is None:
        raise ValueError("date is empty")
    return trading_day(at)


def _id(data: Data) -> str:
    return read_words(data, "id")


def _is_since(activity: Activity, since: datetime) -> bool:
    return activity.day >= trading_day(since) if activity.at is None else activity.at >= since


def _is_foreign(symbol: str) -> bool:
    return is_option(symbol) or "/" in symbol


def _moment_of(activity: Activity) -> tuple[date, float]:
    at = activity.at
    return (activity.day, 0.0) if at is None else (trading_day(at), at.timestamp())
