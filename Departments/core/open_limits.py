"""Limits that lack their data day after day, and when a person is reminded of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from Departments.core.money import count_noun

LONG: Final = 10  # days with a plan on which a limit was never evaluated
AGAIN: Final = timedelta(days=7)  # until the next reminder


@dataclass(frozen=True, slots=True)
class OpenLimit:
    """A limit without data on so many `days` with a plan, the first of them `since`.

    `missing` names the data, `named_on` is the day of the last reminder. With `days` 0 it was evaluated that day.
    """

    code: str
    missing: str
    since: date
    days: int = 1
    named_on: date | None = None

    @property
    def sentence(self) -> str:
        """Return the reminder for people."""
        days = f"not evaluated on any of {count_noun(self.days, 'day')} with a plan, since {self.since}"
        mend = "deliver it, or write what shall hold without it to missing_data of hard_constraints.yaml"
        return f"{self.code}: {days} (no {self.missing}); {mend}."

    def may_be_named(self, today: date) -> bool:
        """Return whether a reminder is due. Every plan of its day gives it."""
        return self.days >= LONG and (self.named_on is None or today == self.named_on or today - self.named_on >= AGAIN)


def follow_limits(
    before: Iterable[OpenLimit], now: Iterable[OpenLimit], today: date, gaps: Mapping[str, str], judged: Collection[str]
) -> Iterator[OpenLimit]:
    """Yield what is open after a plan of today.

    `before` is the state after the last earlier day with a plan, `now` that after the earlier plans of today. `gaps`
    are the limits without data and the data they lack; those `judged` were evaluated for some order. A limit that no
    plan of today asked for stays as it is.
    """
    earlier = {each.code: each for each in before if each.days}
    todays = {each.code: each for each in now}
    for code in sorted({*earlier, *todays, *gaps, *judged}):
        known, seen = earlier.get(code), todays.get(code)
        if code in judged or (seen is not None and not seen.days):
            yield OpenLimit(code, "", today, 0)
        elif code in gaps:
            counted = OpenLimit(code, gaps[code], today) if known is None else _count_day(known, gaps[code])
            yield replace(counted, named_on=today) if counted.may_be_named(today) else counted
        elif (left := seen or known) is not None:
            yield left


def _count_day(known: OpenLimit, missing: str) -> OpenLimit:
    return replace(known, missing=missing, days=known.days + 1)
