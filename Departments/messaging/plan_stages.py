"""The keys of plan files that other tools read beside ours: details of trades, stages, quality. Pure.

The four stages and their quality (0 to 100) are those of the existing system's pipeline, computed as it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from Departments.core.money import ZERO
from Departments.core.plans import count_sides
from Departments.core.reasons import Reason, ReasonCode

#: The key of a plan document with what it was made from: candidates, and details of its symbols.
RESEARCH: Final = "research"
#: The key with the Executive's review.
REVIEW: Final = "review"
#: The key of a plan document that keeps what its review foresaw: weights, sectors and headroom.
OUTLOOK: Final = "outlook"
#: The stages in their order, each with its key in `stage_quality`.
STAGES: Final[Mapping[str, str]] = {
    "research": "research",
    "news": "news",
    "portfolio_allocator": "gpt5_optimizer",
    "compliance_enforcement": "compliance_advisory",
}
LIMITS_STAGE: Final = "compliance_enforcement"
ENOUGH_CANDIDATES = 5
ENOUGH_BUYS = 15
MOST_SHOWN = 200  # of what a limit kept out: `skipped` has all
#: Skips that no limit has caused.
NO_LIMIT = frozenset(
    {
        ReasonCode.SCORE_BELOW_THRESHOLD,
        ReasonCode.SOLD_IN_THIS_PLAN,
        ReasonCode.DEPLOYMENT_TARGET,
        ReasonCode.NOT_HELD,
        ReasonCode.INVALID_CANDIDATE,
        ReasonCode.DUPLICATE_TICKER,
    }
)

Document = dict[str, Any]


def complete_plan(document: Mapping[str, Any]) -> Document:
    """Return a plan document with the keys that other tools read. Keys that are there stay."""
    rows = document.get("trades")
    if not isinstance(rows, list):
        return dict(document)
    details = _mapping(_mapping(document.get(RESEARCH)).get("symbols"))
    trades = [_complete_trade(row, _mapping(details.get(str(row.get("ticker"))))) for row in rows]
    stages = [{key: stage[key] for key in _SHOWN} for stage in list_stages(document)]
    quality = {STAGES[stage["stage"]]: stage["quality_score"] for stage in stages}
    flagged, kept_out = list(islice(_suggestions(document), MOST_SHOWN)), sum(map(_is_kept_out, _skips(document)))
    found = {
        "stage_quality": quality,
        "gpt5_reasoning": " ".join(_sentences(document.get("notes"))) or "the best scores within the limits",
        "compliance_suggestions": flagged,
        "workflow_summary": stages,
    }
    summary = {
        "research_candidates": _count_candidates(document),
        "gpt5_selected": sum(_is_buy(row) for row in trades),
        "compliance_flagged": kept_out,
        "available_capital": _capital(document),
    }
    completed = {**document, "trades": trades, **{k: v for k, v in found.items() if k not in document}}
    given = document.get("summary")
    return {**completed, "summary": {**summary, **given}} if isinstance(given, Mapping) else completed


_SHOWN = ("stage", "message", "quality_score", "issues")


def list_stages(document: Mapping[str, Any]) -> list[Document]:
    """Return the stages of a plan document: `{stage, success, data, message, quality_score, issues}` each."""
    return [_research(document), _news(document), _allocator(document), _limits(document)]


def mean_quality(stages: Sequence[Mapping[str, Any]]) -> int:
    """Return the quality of a plan (0 to 100), the whole mean of its stages'."""
    return sum(int(stage["quality_score"]) for stage in stages) // len(stages)


def _complete_trade(row: Mapping[str, Any], known: Mapping[str, Any]) -> Document:
    held = Decimal(str(known.get("held") or 0))
    why = str(row.get("gpt5_reasoning") or row.get("reason") or "")
    news = {
        "sentiment_score": known.get("sentiment_score", 50),
        "sentiment_summary": str(known.get("sentiment_summary") or "no news was read"),
        "gpt5_reasoning": why,
    }
    if not _is_buy(row):
        price = row.get("current_price")
        value = None if price is None else Decimal(str(price)) * Decimal(str(row["shares"]))
        own = {"sell_pct": _percent_of(row["shares"], held), "current_value": value}
    else:
        own = {"gpt5_allocated": why.startswith("proposed"), "is_position_adjustment": held > 0}
    more = {key: value for key, value in {**news, **own}.items() if value is not None}
    return {**more, **row, **_placeholder_score(row)}


def _placeholder_score(row: Mapping[str, Any]) -> Document:
    """Return the score that other tools format where nobody has scored the symbol; our readers ignore it."""
    return {} if row.get("composite_score") is not None else {"composite_score": 0, "is_scored": False}


def _percent_of(shares: Any, held: Decimal) -> int:
    sold = Decimal(str(shares))
    return 100 if held <= 0 else max(1, min(100, round(100 * sold / held)))


# --- stages ---


def _stage(name: str, message: str, quality: int, data: Document, issues: Iterable[str] = ()) -> Document:
    found = list(issues)
    return {
        "stage": name,
        "success": True,
        "data": data,
        "message": message,
        "quality_score": quality,
        "issues": found,
    }


def _research(document: Mapping[str, Any]) -> Document:
    candidates, seen = _count_candidates(document), _mapping(document.get(RESEARCH))
    average = Decimal(str(seen.get("average_score") or 0))
    quality = min(100, int(Decimal(candidates) / ENOUGH_CANDIDATES * 50 + average / 2))
    data = {"candidates": candidates, "average_score": seen.get("average_score"), "briefing": seen.get("briefing")}
    issues = () if candidates else ("no candidate was considered",)
    return _stage("research", f"{candidates} candidates considered", quality, data, issues)


def _news(document: Mapping[str, Any]) -> Document:
    candidates, seen = _count_candidates(document), _mapping(document.get(RESEARCH))
    covered = int(seen.get("with_sentiment") or 0)
    quality = 100 * covered // candidates if candidates else 0
    issues = () if covered == candidates else (f"{candidates - covered} candidates have no sentiment",)
    return _stage(
        "news", f"{covered} of {candidates} candidates have a sentiment", quality, {"covered": covered}, issues
    )


def _allocator(document: Mapping[str, Any]) -> Document:
    rows = document["trades"]
    buys, sells = [row for row in rows if _is_buy(row)], [row for row in rows if not _is_buy(row)]
    deployed = _decimal(_mapping(document.get("made_from")).get("deployment"))
    goal = _mapping(document.get("deployment_goal"))
    reached = min(Decimal(1), deployed / Decimal("0.9"))
    quality = min(100, int(reached * 70 + min(Decimal(len(buys)) / ENOUGH_BUYS, Decimal(1)) * 30))
    data = {
        "buy_orders": buys,
        "sell_orders": sells,
        "total_allocated": sum((_decimal(row.get("allocated_capital")) for row in buys), ZERO),
        "capital_deployment_pct": round(100 * deployed, 2),
    }
    missed = [] if goal.get("target_met", True) else [f"the deployment target is missed: {goal.get('binding')}"]
    return _stage(
        "portfolio_allocator",
        count_sides(len(sells), len(buys)),
        quality,
        data,
        missed,
    )


def _limits(document: Mapping[str, Any]) -> Document:
    flagged, kept_out = list(islice(_suggestions(document), MOST_SHOWN)), sum(map(_is_kept_out, _skips(document)))
    issues = [f"{row['ticker']}: {row['suggestion']}" for row in flagged]
    message = f"every trade keeps every limit; {kept_out} others broke one and were skipped"
    quality = max(70, 100 - 5 * kept_out)
    return _stage(LIMITS_STAGE, message, quality, {"rejected_count": kept_out, "rejections": flagged}, issues)


def _skips(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return map(_mapping, document.get("skipped") or ())


def _is_kept_out(row: Mapping[str, Any]) -> bool:
    """Return whether a limit kept a skipped trade out."""
    code = str(row.get("code") or "")
    return code in ReasonCode.__members__ and ReasonCode[code] not in NO_LIMIT


def _suggestions(document: Mapping[str, Any]) -> Iterator[Document]:
    """Yield what the limits have kept out of a plan."""
    for row in filter(_is_kept_out, _skips(document)):
        yield {
            "ticker": str(row.get("ticker") or ""),
            "suggestion_type": str(row["code"]),
            "suggestion": str(row.get("line") or Reason.parse(row["reason"]).code.meaning),
            "severity": "WARNING",
        }


# --- small reads ---


def _is_buy(row: Mapping[str, Any]) -> bool:
    action = str(row.get("action") or "").strip().upper()
    return action == "BUY" if action else row.get("allocated_capital") is not None


def _count_candidates(document: Mapping[str, Any]) -> int:
    seen = _mapping(document.get(RESEARCH)).get("candidates")
    return int(seen) if seen is not None else sum(map(_is_buy, document["trades"]))


def _capital(document: Mapping[str, Any]) -> Any:
    """Return the cash that the plan was made with, in dollars."""
    return _mapping(document.get("made_from")).get("cash") or 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sentences(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _decimal(value: Any) -> Decimal:
    return ZERO if value is None else Decimal(str(value))
