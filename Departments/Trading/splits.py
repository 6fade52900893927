"""Splits: recognised by the broker's announcement, or by a ratio that shares and prices agree on. Pure.

A whole ratio, or its inverse, needs a price near the expected one. Another small ratio, such as 3 for 2, needs an entry
price that the broker has divided by it: nobody can buy or sell shares so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import Final

from Departments.core.activities import Activity, ActivityKind
from Departments.core.moments import iso
from Departments.core.money import ONE, ZERO, count_noun, plain, whole_shares

LARGEST_RATIO: Final = 100  # a larger ratio that nobody announces needs a person
PRICE_TOLERANCE: Final = Decimal("0.20")  # how far the price may be from the old one divided by the ratio
LARGEST_PART: Final = 20  # of a ratio like 3 for 2, both its numbers
EXACTLY: Final = Decimal("0.002")  # how far such an entry price may be from the old one divided by the ratio
DUST: Final = Decimal("0.000001")  # shares; brokers round to nine places
UNCHANGED: Final = Decimal("0.01")  # a price this near to the old one is the old one


@dataclass(frozen=True, slots=True)
class ChangedHolding:
    """A holding beside its book: shares then and now, and dollars a share.

    `paid` is the book's price, `entry` the account's, `market` today's; None is unknown.
    """

    symbol: str
    before: Decimal
    after: Decimal
    paid: Decimal | None
    entry: Decimal | None
    market: Decimal | None


@dataclass(frozen=True, slots=True)
class Split:
    """A split of a holding: `ratio` new shares for each old one."""

    holding: ChangedHolding
    ratio: Decimal
    activity_id: str = ""

    @property
    def is_exact(self) -> bool:
        """Return whether the ratio explains the shares; else the broker has named their change."""
        return _explains(self.ratio, self.holding)

    @property
    def sentence(self) -> str:
        """Return the sentence about it."""
        before, after = self.holding.before, self.holding.after
        shares = f"{plain(before)} → {count_noun(after, 'share')}"
        if before <= 0 or after <= 0:  # shares were sold since
            shares = f"{count_noun(after - before, 'share')} more"
        return f"{self.holding.symbol} was split {describe_ratio(self.ratio)}: {shares}"


def describe_ratio(ratio: Decimal) -> str:
    """Return a ratio in words: `10 for 1`, `1 for 10`, `3 for 2`."""
    near = Fraction(ratio).limit_denominator(LARGEST_RATIO)
    return f"{near.numerator} for {near.denominator}"


def find_split(holding: ChangedHolding, announced: Iterable[Activity], *, unannounced: bool) -> Split | None:
    """Return the split that explains a holding, or None. Without an announcement the prices must agree."""
    found = [a for a in announced if a.kind is ActivityKind.SPLIT and a.symbol == holding.symbol and not a.canceled]
    change = holding.after - holding.before
    if not change:
        return None
    for activity in found:
        if activity.ratio is not None and (activity.qty == change or _explains(activity.ratio, holding)):
            return Split(holding, activity.ratio, activity.id)
    is_held = holding.before > 0 and holding.after > 0
    ratios = [a.ratio for a in found if a.ratio is not None]
    if len(ratios) > 1 and _explains(product := prod(ratios, start=ONE), holding):
        return Split(holding, product, found[0].id)
    if is_held and found and sum((a.qty or ZERO for a in found), ZERO) == change:
        return Split(holding, holding.after / holding.before, found[0].id)
    if not (unannounced and is_held):
        return None
    ratio = _find_whole_ratio(holding) or _find_exact_ratio(holding)
    return None if ratio is None else Split(holding, ratio, found[0].id if found else "")


def replay(
    holdings: Mapping[str, Decimal], announced: Sequence[Activity], account: Mapping[str, Decimal]
) -> Iterator[tuple[Activity, ChangedHolding]]:
    """Yield announced splits and new symbols in their order, each with the holding that it changes.

    Only those that lead, together with all others of their symbols, from the book's `holdings` to the account's count.
    A new symbol's holding has the old symbol's shares before and the new one's after.
    """
    events = sorted((a for a in announced if _is_clear(a)), key=lambda a: (a.day, "" if a.at is None else iso(a.at)))
    while events:
        symbols, linked = _link(events)
        for keeps_fractions in (True, False):
            steps, end = _apply(holdings, linked, keeps_fractions=keeps_fractions)
            if steps and all(end.get(symbol, ZERO) == account.get(symbol, ZERO) for symbol in symbols):
                yield from steps
                break
        events = [event for event in events if event not in linked]


def _is_clear(activity: Activity) -> bool:
    """Return whether an announcement says what it changes."""
    is_split = activity.kind is ActivityKind.SPLIT and activity.ratio is not None
    return not activity.canceled and (is_split or (activity.kind is ActivityKind.RENAME and bool(activity.new_symbol)))


def _link(events: Sequence[Activity]) -> tuple[set[str], list[Activity]]:
    """Return the first event's symbols, with those they become or were, and the events about them."""
    symbols, count = {events[0].symbol, events[0].new_symbol} - {""}, 0
    while len(symbols) > count:
        count = len(symbols)
        for event in events:
            of_event = {event.symbol, event.new_symbol} - {""}
            symbols |= of_event if of_event & symbols else set()
    return symbols, [event for event in events if event.symbol in symbols]


def _apply(
    holdings: Mapping[str, Decimal], events: Iterable[Activity], *, keeps_fractions: bool
) -> tuple[list[tuple[Activity, ChangedHolding]], dict[str, Decimal]]:
    """Return the steps of events that change something, and the holdings after them."""
    held, steps = dict(holdings), list[tuple[Activity, ChangedHolding]]()
    for event in events:
        before = held.pop(event.symbol, ZERO)
        if event.ratio is not None and event.kind is ActivityKind.SPLIT:
            after, symbol = before * event.ratio, event.symbol
            after = after if keeps_fractions else whole_shares(after)
        else:
            after, symbol = held.get(event.new_symbol, ZERO) + before, event.new_symbol
        if before > 0:
            steps.append((event, ChangedHolding(event.symbol, before, after, None, None, None)))
        if after:
            held[symbol] = after
    return steps, held


def _find_whole_ratio(holding: ChangedHolding) -> Decimal | None:
    """Return the whole ratio, or its inverse, that shares and prices agree on best."""
    found = list[tuple[Decimal, Decimal]]()
    for number in range(2, LARGEST_RATIO + 1):
        for ratio in (Decimal(number), ONE / number):
            deviation = _measure_deviation(ratio, holding) if _explains(ratio, holding) else None
            if deviation is not None and deviation <= PRICE_TOLERANCE:
                found.append((deviation, ratio))
    return min(found)[1] if found else None


def _find_exact_ratio(holding: ChangedHolding) -> Decimal | None:
    """Return the small ratio that is not whole, if the broker's entry price has followed it exactly."""
    if holding.paid is None or holding.entry is None:
        return None
    parts = range(2, LARGEST_PART + 1)
    for each in sorted({Fraction(new, old) for new in parts for old in parts}):
        ratio = Decimal(each.numerator) / each.denominator
        is_exact = abs(holding.entry * ratio - holding.paid) <= EXACTLY * holding.paid
        if 1 not in {each.numerator, each.denominator} and is_exact and _explains(ratio, holding):
            return ratio
    return None


def _explains(ratio: Decimal, holding: ChangedHolding) -> bool:
    """Return whether a ratio explains the shares; a fraction of a share may be left, or paid in cash."""
    expected = holding.before * ratio
    if holding.before <= 0 or holding.after <= 0:
        return False
    return abs(holding.after - expected) < DUST or holding.after == whole_shares(expected)


def _measure_deviation(ratio: Decimal, holding: ChangedHolding) -> Decimal | None:
    """Return how far the price is from the old one divided by the ratio, as a share of it; None if nobody knows.

    Where the book knows no price, shares that follow the ratio exactly are enough.
    """
    if holding.paid is None:
        return ZERO if abs(holding.after - holding.before * ratio) < DUST else None
    expected, entry = holding.paid / ratio, holding.entry
    if entry is not None and abs(entry - holding.paid) <= UNCHANGED * holding.paid:
        entry = None  # the broker has not adjusted it
    price = holding.market if entry is None else entry
    return None if price is None else abs(price - expected) / expected
