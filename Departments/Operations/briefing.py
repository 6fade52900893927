"""The inputs of a plan as values: briefing, proposal, sell wishes.

A briefing without a list of candidates is refused whole with `BadInput`; an empty list is a day with nothing to buy.
Holdings only give sector, score and sell flag to the positions at the broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from Departments.constraints import amounts
from Departments.constraints.limits import Limits
from Departments.core.errors import BadInput
from Departments.core.facts import READINGS, Readings
from Departments.core.money import plain
from Departments.core.plans import SkippedTrade
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.regimes import MarketView
from Departments.core.trading_calendar import is_same_session, trading_day
from Departments.messaging.entries import UnusableEntry
from Departments.messaging.neighbours import (
    Candidate,
    DailyBriefing,
    Holding,
)


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
    refused: tuple[SkippedTrade, ...] = ()
    at: datetime | None = None

    @property
    def view(self) -> MarketView | None:
        """Return the view of the market, or None without any reading or time."""
        seen = {name: getattr(self.conditions, name) for name in READINGS}
        if self.at is None or all(value is None for value in seen.values()):
            return None
        return MarketView(f"DailyBriefing {self.source}", self.at, **seen)


Row = TypeVar("Row", Candidate, Holding)


def briefing_from(payload: DailyBriefing, source: str, *, at: datetime | None = None) -> Briefing:
    """Return a briefing to plan from; `at`, its time of writing, dates one without a day. Raises BadInput."""
    if "candidates" not in payload.model_fields_set:
        mend = "list {ticker, composite_score, current_price}, or write [] for nothing to buy"
        raise BadInput(source, "candidates", "is missing", mend)
    candidates, refused = keep_usable(payload.candidates)
    holdings, strange = keep_usable(payload.current_holdings)
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


def keep_usable(entries: Iterable[Row | UnusableEntry]) -> tuple[tuple[Row, ...], tuple[SkippedTrade, ...]]:
    """Return the usable entries, each symbol once, and a skip for every other."""
    good: dict[str, list[Row]] = {}
    refused: list[SkippedTrade] = []
    for entry in entries:
        if isinstance(entry, UnusableEntry):
            refused.append(_skip_unusable(entry))
        else:
            good.setdefault(entry.symbol, []).append(entry)
    kept = tuple(rows[0] for _, rows in sorted(good.items()) if not _is_contradictory(rows))
    return kept, (*refused, *_find_duplicates(good))


def _skip_unusable(entry: UnusableEntry) -> SkippedTrade:
    shown = " ".join(str(entry.value).split())[:40]
    problem = f"{entry.key}: {entry.problem}"
    reason = Reason.of(ReasonCode.INVALID_CANDIDATE, problem, field=entry.key, value=shown)
    return SkippedTrade(entry.name, reason, f"Skipped {entry.name} - {problem}")


def _is_contradictory(rows: Sequence[Row]) -> bool:
    return any(row != rows[0] for row in rows)


def _find_duplicates(good: Mapping[str, Sequence[Row]]) -> Iterator[SkippedTrade]:
    for symbol, rows in sorted(good.items()):
        if len(rows) == 1:
            continue
        sentence = (
            "with different facts; none is used" if _is_contradictory(rows) else "with the same facts; one is used"
        )
        reason = Reason.of(ReasonCode.DUPLICATE_TICKER, f"is listed {len(rows)} times {sentence}", times=len(rows))
        yield SkippedTrade(symbol, reason, f"Skipped {symbol} - it is listed {len(rows)} times {sentence}")


def merge_picks(briefing: Briefing, candidates: Iterable[Candidate]) -> Briefing:
    """Return the briefing with these candidates first; the briefing fills their gaps."""
    known = {c.symbol: c for c in briefing.candidates}
    for candidate in candidates:
        known[candidate.symbol] = _fill_gaps(candidate, known.get(candidate.symbol))
    return replace(briefing, candidates=tuple(known[t] for t in sorted(known)))


def _fill_gaps(candidate: Candidate, known: Candidate | None) -> Candidate:
    if known is None:
        return candidate
    gaps = ("score", "price", "sector", "average_volume", "market_cap", "earnings_on")
    facts = {name: getattr(known, name) for name in gaps if getattr(candidate, name) is None}
    return replace(candidate, **facts)


def refuse_other_days(briefing: Briefing, today: date) -> None:
    """Raise BadInput for a briefing of another day; before a closed day the last one is accepted."""
    day = briefing.date
    if day is None or is_same_session(day, today):
        return
    problem = f"the briefing is of {day.isoformat()}, and today is {today.isoformat()}"
    mend = f"give today's briefing, or replay that day with --at {day.isoformat()}T15:00:00Z"
    raise BadInput(briefing.source, "market_conditions.date", problem, mend)


def describe_doubts(briefing: Briefing, limits: Limits) -> Iterator[str]:
    """Yield a sentence about a drawdown large enough, as a share of one, to stop all BUYs: it counts as percent."""
    drawdown = briefing.conditions.spy_drawdown_pct
    if drawdown is not None and amounts.would_halt_as_share(limits, drawdown):
        shown, meant = plain(drawdown), plain(100 * drawdown)
        yield f"{briefing.source}: spy_drawdown_pct {shown} counts as {shown} %; if {meant} % is meant, write {meant}"


def research_document(briefing: Briefing, held: Mapping[str, Decimal], symbols: Iterable[str]) -> dict[str, Any]:
    """Return what a plan was made from: its candidates, and details of the plan's symbols. `held` is in shares."""
    candidates = {candidate.symbol: candidate for candidate in briefing.candidates}
    scores = [candidate.score for candidate in briefing.candidates if candidate.score is not None]
    scored = [symbol for symbol, candidate in candidates.items() if _sentiment_of(candidate)]
    rows: dict[str, Candidate | Holding] = {**{each.symbol: each for each in briefing.holdings}, **candidates}
    return {
        "briefing": briefing.source,
        "candidates": len(candidates) or None,
        "average_score": round(sum(scores, Decimal(0)) / len(scores), 1) if scores else None,
        "with_sentiment": len(scored),
        "symbols": {s: {"held": held.get(s, Decimal(0)), **_sentiment_of(rows.get(s))} for s in symbols},
    }


def _sentiment_of(row: Candidate | Holding | None) -> dict[str, Any]:
    seen = None if row is None else row.sentiment
    if seen is None or seen.score is None:
        return {}
    return {"sentiment_score": seen.score, "sentiment_summary": seen.summary or ""}
