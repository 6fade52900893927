"""The DailyBriefing as a value: tolerant of float noise, strict about nonsense.

A file nobody can plan from (no candidates, a VIX of "high") is refused whole with `BadInput`; one bad candidate among
good ones is refused alone, with a coded skip. Holdings only lend their sector, score and sell flag to what the broker
says is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from Departments.core.errors import BadInput
from Departments.core.facts import Readings
from Departments.core.money import BEYOND_REASON, ZERO, decimal_of, price_of
from Departments.core.plans import TICKER, Skip
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.messaging.neighbours import DailyBriefing
from Departments.Operations.conditions import readings_from

HIGHEST_SCORE = Decimal(100)


@dataclass(frozen=True, slots=True)
class Size:
    """A size somebody proposes, in one of three ways: shares, dollars, or a share of equity (0.05 is 5 %)."""

    shares: Decimal | None = None
    value: Decimal | None = None
    weight: Decimal | None = None

    def value_at(self, price: Decimal, equity: Decimal) -> Decimal:
        """Return the proposed value in dollars; shares count before dollars, dollars before a weight."""
        if self.shares is not None:
            return self.shares * price
        return self.value if self.value is not None else (self.weight or ZERO) * equity


@dataclass(frozen=True, slots=True)
class Candidate:
    """A symbol worth considering. `price` in dollars per share, `score` 0 to 100; None is unknown."""

    ticker: str
    score: Decimal | None
    price: Decimal | None = None
    sector: str | None = None
    size: Size | None = None
    average_volume: Decimal | None = None
    market_cap: Decimal | None = None
    earnings_on: date | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What the briefing says of a held symbol; how many shares are held is the broker's word, not the briefing's."""

    ticker: str
    score: Decimal | None = None
    price: Decimal | None = None
    sector: str | None = None
    must_sell: bool = False
    sell_reason: str = ""


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


class Nonsense(ValueError):  # noqa: N818 - it is caught right here and becomes a coded skip
    """One entry of a list cannot be used; `key` is the field that is wrong."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


Row = TypeVar("Row", Candidate, Holding)


def briefing_from(payload: DailyBriefing, source: str, *, at: datetime | None = None) -> Briefing:
    """Read a DailyBriefing; `at`, when it was written, dates it where it names no day. Raises BadInput."""
    rows = _list(payload.candidates, "candidates", source)
    if not rows:
        problem, mend = "is missing or empty", "list at least one {ticker, composite_score, current_price}"
        raise BadInput(source, "candidates", problem, mend)
    candidates, refused = _usable(rows, candidate_from, "candidates")
    holdings, strange = _usable(
        _list(payload.current_holdings, "current_holdings", source), holding_from, "current_holdings"
    )
    told = readings_from(payload, source)
    return Briefing(
        _date(payload.market_conditions or {}, source) or (trading_day(at) if at else None),
        told,
        candidates,
        holdings,
        source,
        refused + strange,
        at,
    )


def candidate_from(row: Mapping[str, Any]) -> Candidate:
    """Read one candidate; raises Nonsense. A missing price is unknown, a wrong one is refused."""
    candidate = pick_from(row)
    if candidate.score is None and candidate.size is None:
        raise Nonsense("composite_score", "is missing")
    return candidate


def pick_from(row: Mapping[str, Any]) -> Candidate:
    """Read one pick of an optimiser, which needs neither score nor size; raises Nonsense."""
    return Candidate(
        ticker_of(row.get("ticker")),
        _score(row, "composite_score", "score"),
        _price(row),
        _sector(row),
        _size(row),
        _positive(row, "average_volume"),
        _positive(row, "market_cap"),
        _day(row, "earnings_date"),
    )


def picks_from(rows: Sequence[Any]) -> tuple[tuple[Candidate, ...], tuple[Skip, ...]]:
    """Return the usable picks of an optimiser, and a skip for each of the others."""
    return _usable(rows, pick_from, "picks")


def holding_from(row: Mapping[str, Any]) -> Holding:
    """Read one holding; raises Nonsense."""
    flagged = row.get("mandatory_sell") is True or str(row.get("action") or "").strip().upper() == "SELL"
    reason = str(row.get("sell_reason") or row.get("reason") or "flagged in the briefing") if flagged else ""
    score = _score(row, "research_composite_score", "composite_score", "score")
    return Holding(ticker_of(row.get("ticker")), score, _price(row), _sector(row), flagged, reason)


def ticker_of(value: Any) -> str:
    """Return the symbol in capitals; raises Nonsense for anything that is none."""
    ticker = value.strip().upper() if isinstance(value, str) else ""
    if not TICKER.match(ticker):
        raise Nonsense("ticker", "is missing" if value is None or value == "" else "is not a symbol")
    return ticker


def refusal(name: str, error: Nonsense, value: Any) -> Skip:
    """Return the skip of an entry that cannot be used."""
    shown = " ".join(str(value).split())[:40]
    reason = Reason.of(ReasonCode.INVALID_CANDIDATE, f"{error.key} {error}", field=error.key, value=shown)
    return Skip(name, reason, f"Skipped {name} - {error.key} {error} ({shown})")


def _usable(
    rows: Sequence[Any], read: Callable[[Mapping[str, Any]], Row], place: str
) -> tuple[tuple[Row, ...], tuple[Skip, ...]]:
    good: dict[str, list[Row]] = {}
    refused: list[Skip] = []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            refused.append(refusal(f"{place}[{index}]", Nonsense("entry", "is not a mapping"), row))
            continue
        try:
            entry = read(row)
        except Nonsense as error:
            refused.append(refusal(_name(row, f"{place}[{index}]"), error, row.get(error.key)))
        else:
            good.setdefault(entry.ticker, []).append(entry)
    kept = tuple(entries[0] for _, entries in sorted(good.items()) if not _contradictory(entries))
    return kept, (*refused, *_duplicates(good))


def _contradictory(entries: Sequence[Row]) -> bool:
    return any(entry != entries[0] for entry in entries)


def _duplicates(good: Mapping[str, Sequence[Row]]) -> Iterable[Skip]:
    for ticker, entries in sorted(good.items()):
        if len(entries) == 1:
            continue
        says = "with different facts, none is used" if _contradictory(entries) else "alike, one is used"
        reason = Reason.of(
            ReasonCode.DUPLICATE_TICKER, f"stands there {len(entries)} times, {says}", times=len(entries)
        )
        yield Skip(ticker, reason, f"Skipped {ticker} - it stands there {len(entries)} times, {says}")


def _name(row: Mapping[str, Any], place: str) -> str:
    return " ".join(str(row.get("ticker") or "").split())[:20] or place


def _list(given: Any, key: str, source: str) -> Sequence[Any]:
    rows = given or []
    if not isinstance(rows, list):
        raise BadInput(source, key, "is not a list", "list the entries")
    return rows


def _number(row: Mapping[str, Any], key: str) -> Decimal | None:
    if row.get(key) is None:
        return None
    try:
        number = decimal_of(row[key])
    except ValueError as error:
        raise Nonsense(key, "is not a number") from error
    if abs(number) > BEYOND_REASON:
        raise Nonsense(key, "is beyond reason")
    return number


def _positive(row: Mapping[str, Any], key: str) -> Decimal | None:
    number = _number(row, key)
    if number is not None and number <= 0:
        raise Nonsense(key, "is not positive")
    return number


def _price(row: Mapping[str, Any]) -> Decimal | None:
    key = next((k for k in ("current_price", "price", "entry_price") if row.get(k) is not None), "current_price")
    number = _positive(row, key)
    price = None if number is None else price_of(number)
    if price is not None and price <= 0:
        raise Nonsense(key, "is not positive")
    return price


def _score(row: Mapping[str, Any], *keys: str) -> Decimal | None:
    key = next((k for k in keys if row.get(k) is not None), keys[0])
    score = _number(row, key)
    if score is not None and not ZERO <= score <= HIGHEST_SCORE:
        raise Nonsense(key, "is not between 0 and 100")
    return score


def _sector(row: Mapping[str, Any]) -> str | None:
    fundamental = row.get("fundamental")
    told = row.get("sector") or (fundamental.get("sector") if isinstance(fundamental, Mapping) else None)
    sector = str(told or "").strip()
    return None if not sector or sector.lower() == UNKNOWN_SECTOR.lower() else sector


def _size(row: Mapping[str, Any]) -> Size | None:
    size = Size(_positive(row, "shares"), _positive(row, "allocated_capital"), _positive(row, "weight"))
    if size.weight is not None and size.weight > 1:
        raise Nonsense("weight", "is more than 1, the whole of equity")
    return None if size == Size() else size


def _day(row: Mapping[str, Any], key: str) -> date | None:
    try:
        return date.fromisoformat(str(row[key])) if row.get(key) else None
    except ValueError as error:
        raise Nonsense(key, "is not a date") from error


def _date(row: Mapping[str, Any], source: str) -> date | None:
    try:
        return _day(row, "date")
    except Nonsense as error:
        raise BadInput(source, "market_conditions.date", str(error), "write it as 2025-11-10") from error


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
    return replace(candidate, **facts)
