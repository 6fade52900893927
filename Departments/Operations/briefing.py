"""The DailyBriefing as a value: what can be planned from, and a coded skip for every entry that cannot.

A briefing without candidates is refused whole with `BadInput`. Holdings only lend their sector, score and sell flag to
what the broker says is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar

from Departments.core.errors import BadInput
from Departments.core.facts import Readings
from Departments.core.plans import Skip
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.messaging.neighbours import Candidate, DailyBriefing, Holding, UnusableEntry


@dataclass(frozen=True, slots=True)
class Briefing:
    """One day's briefing. `source` names the file or message, `at` is when it was written (UTC).

    `refused` are the entries nobody can plan with.
    """

    date: date | None
    conditions: Readings
    candidates: tuple[Candidate, ...]
    holdings: tuple[Holding, ...]
    source: str
    refused: tuple[Skip, ...] = ()
    at: datetime | None = None


Row = TypeVar("Row", Candidate, Holding)


def briefing_from(payload: DailyBriefing, source: str, *, at: datetime | None = None) -> Briefing:
    """Return what can be planned from; `at`, when it was written, dates one that names no day. Raises BadInput."""
    if not payload.candidates:
        problem, mend = "is missing or empty", "list at least one {ticker, composite_score, current_price}"
        raise BadInput(source, "candidates", problem, mend)
    candidates, refused = usable(payload.candidates)
    holdings, strange = usable(payload.current_holdings)
    seen = payload.market_conditions
    conditions = Readings(
        spy_change_pct=seen.spy_change_pct,
        spy_drawdown_pct=seen.spy_drawdown_pct,
        vix=seen.vix,
        vix_change_pct=seen.vix_change_pct,
        correlations=payload.correlations,
    )
    day = seen.day or (trading_day(at) if at else None)
    return Briefing(day, conditions, candidates, holdings, source, refused + strange, at)


def usable(entries: Iterable[Row | UnusableEntry]) -> tuple[tuple[Row, ...], tuple[Skip, ...]]:
    """Return the entries that can be used, each symbol once, and a skip for every other one."""
    good: dict[str, list[Row]] = {}
    refused: list[Skip] = []
    for entry in entries:
        if isinstance(entry, UnusableEntry):
            refused.append(_refusal(entry))
        else:
            good.setdefault(entry.ticker, []).append(entry)
    kept = tuple(rows[0] for _, rows in sorted(good.items()) if not _contradictory(rows))
    return kept, (*refused, *_duplicates(good))


def _refusal(entry: UnusableEntry) -> Skip:
    shown = " ".join(str(entry.value).split())[:40]
    problem = f"{entry.key} {entry.problem}"
    reason = Reason.of(ReasonCode.INVALID_CANDIDATE, problem, field=entry.key, value=shown)
    return Skip(entry.name, reason, f"Skipped {entry.name} - {problem} ({shown})")


def _contradictory(rows: Sequence[Row]) -> bool:
    return any(row != rows[0] for row in rows)


def _duplicates(good: Mapping[str, Sequence[Row]]) -> Iterator[Skip]:
    for ticker, rows in sorted(good.items()):
        if len(rows) == 1:
            continue
        says = "with different facts, none is used" if _contradictory(rows) else "alike, one is used"
        reason = Reason.of(ReasonCode.DUPLICATE_TICKER, f"stands there {len(rows)} times, {says}", times=len(rows))
        yield Skip(ticker, reason, f"Skipped {ticker} - it stands there {len(rows)} times, {says}")


def merge_picks(briefing: Briefing, candidates: Iterable[Candidate]) -> Briefing:
    """Return the briefing with these candidates in place of its own; what they leave unknown stays the briefing's."""
    known = {c.ticker: c for c in briefing.candidates}
    for candidate in candidates:
        known[candidate.ticker] = _fill_gaps(candidate, known.get(candidate.ticker))
    return replace(briefing, candidates=tuple(known[t] for t in sorted(known)))


def _fill_gaps(candidate: Candidate, known: Candidate | None) -> Candidate:
    if known is None:
        return candidate
    gaps = ("score", "price", "sector", "average_volume", "market_cap", "earnings_on")
    facts = {name: getattr(known, name) for name in gaps if getattr(candidate, name) is None}
    return candidate.model_copy(update=facts)
