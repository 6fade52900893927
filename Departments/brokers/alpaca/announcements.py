"""Read Alpaca's announcements of splits and new symbols, in the words of both of its lists.

The trading API's list (https://docs.alpaca.markets/reference/get-v2-corporate_actions-announcements-1) is older, the
market data API's (https://docs.alpaca.markets/reference/corporateactions-1) takes its place. An odd row is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from Departments.brokers.alpaca.parsing import SENSELESS, Data, read_number, read_unreadable, read_words
from Departments.brokers.base import UnreadableRow
from Departments.core.activities import Activity, ActivityKind
from Departments.core.money import ONE, ZERO

Announced = tuple[list[Activity], list[UnreadableRow]]

#: Alpaca's kinds in the data API's answer.
_SPLITS: Final = ("forward_splits", "reverse_splits", "unit_splits")
_RENAMES: Final = ("name_changes",)
_DAYS: Final = ("ex_date", "effective_date", "payable_date", "process_date", "declaration_date")


def read_announcements(rows: Iterable[Any], symbols: Collection[str], since: date, until: date) -> Announced:
    """Read `GET /v2/corporate_actions/announcements`: those of some symbols that take effect between two days.

    A row with two symbols and an exchange of one share for one is a new symbol; which is the old one, it does not say.
    """
    return _read_each(rows, _read_announcement, symbols, since, until)


def read_corporate_actions(answer: Any, symbols: Collection[str], since: date, until: date) -> Announced:
    """Read `GET /v1/corporate-actions`: a list for each kind, alone or under `corporate_actions`."""
    if not isinstance(answer, Mapping):
        raise TypeError("it is not an object")
    kinds = answer.get("corporate_actions", answer) or {}
    rows = [row for kind in (*_SPLITS, *_RENAMES) for row in kinds.get(kind) or ()]
    return _read_each(rows, _read_action, symbols, since, until)


def _read_each(
    rows: Iterable[Any],
    read: Callable[[Data], Iterator[Activity]],
    symbols: Collection[str],
    since: date,
    until: date,
) -> Announced:
    found, unreadable = list[Activity](), list[UnreadableRow]()
    for row in rows:
        try:
            of_row = list(read(row))
        except SENSELESS as error:
            unreadable.append(read_unreadable(row, error))
            continue
        found += (a for a in of_row if since <= a.day <= until and {a.symbol, a.new_symbol} & {*symbols})
    return found, unreadable


def _read_announcement(row: Data) -> Iterator[Activity]:
    one, other = read_words(row, "initiating_symbol"), read_words(row, "target_symbol")
    ratio, cash = _ratio(row), read_number(row, "cash") or ZERO
    is_split = read_words(row, "ca_type") == "split" and ratio not in {None, ONE}
    if is_split:
        yield _make(row, ActivityKind.SPLIT, one or other, ratio=ratio)
    if one and other and one != other and not cash and (is_split or ratio in {None, ONE}):
        yield _make(row, ActivityKind.RENAME, one, new=other)
        yield _make(row, ActivityKind.RENAME, other, new=one)


def _read_action(row: Data) -> Iterator[Activity]:
    old, new = read_words(row, "old_symbol") or read_words(row, "symbol"), read_words(row, "new_symbol")
    ratio = _ratio(row)
    if ratio is not None:
        yield _make(row, ActivityKind.SPLIT, old, ratio=ratio)
    if new and new != old:
        yield _make(row, ActivityKind.RENAME, old, new=new)


def _ratio(row: Data) -> Decimal | None:
    """Return the new shares for each old one, or None."""
    new, old = read_number(row, "new_rate"), read_number(row, "old_rate")
    return new / old if new and old and new > 0 and old > 0 else None


def _make(row: Data, kind: ActivityKind, symbol: str, *, ratio: Decimal | None = None, new: str = "") -> Activity:
    if not symbol:
        raise ValueError("it names no symbol")
    stated = next((text for name in _DAYS if (text := read_words(row, name))), "")
    day = datetime.fromisoformat(stated).date()
    name = read_words(row, "id") or read_words(row, "corporate_action_id") or f"{symbol} {day}"
    word, name = str(kind), f"announcement {kind} {symbol} {name}"
    return Activity(name, kind, word, None, day, ZERO, symbol, ratio=ratio, new_symbol=new)
