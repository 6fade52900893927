"""Operations' answers to existing scripts: dicts with a `status`, numbers as int and float."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from Departments.core.answers import Answer
from Departments.core.documents import as_json, for_scripts
from Departments.core.errors import BadInput
from Departments.core.plans import TradingPlan
from Departments.messaging.neighbours import DailyBriefing
from Departments.messaging.plan_documents import plan_document
from Departments.messaging.plan_stages import list_stages, mean_quality
from Departments.messaging.proposal_payloads import read_sells
from Departments.Operations.planner import Planner
from Departments.Operations.proposals import sell_wishes

WARNING_ABOVE = 30  # the quality (0 to 100) of a stage under which its failure is critical
OPTIONS = ("look at the plan's skips and notes", "deliver another briefing", "leave the account as it is today")


def failed_answer(answer: Answer) -> Answer:
    """Return the answer where there is no plan."""
    message = str(answer["message"])
    stage = {"stage": "research", "success": False, "data": {}, "message": message, "quality_score": 0}
    failed = {"status": "FAILED", "plan": None, "error": message, "stage_results": [{**stage, "issues": [message]}]}
    return {**answer, **failed}


def answer_plan(planner: Planner, briefing: Any, mandatory_sells: Iterable[Any]) -> Answer:
    """Make a plan from a script's arguments; return `{"status": "SUCCESS" | "ESCALATED", …}`."""
    given, sells = as_json(briefing, "briefing", keep_nan=True), as_json(list(mandatory_sells), "mandatory_sells")
    wishes = sell_wishes(read_sells(sells, "mandatory_sells"))
    plan = planner.plan_now(None if given is None else _read_briefing(given), wishes)
    written = plan_document(plan)
    stages = list_stages(written)
    summary = {**written["summary"], "overall_quality_score": mean_quality(stages)}
    more = {} if _is_in_order(plan) else {"escalation": _escalation(stages)}
    answer: Answer = for_scripts(
        {
            "status": "ESCALATED" if more else "SUCCESS",
            "plan": {**written, "summary": summary},
            "stage_results": stages,
            "generated_at": plan.generated_at,
            **more,
        }
    )
    return answer


def _read_briefing(briefing: Any) -> DailyBriefing:
    if not isinstance(briefing, Mapping):
        raise BadInput("briefing", "", "is not a mapping", "hand over the payload of a DailyBriefing")
    return DailyBriefing.read(briefing, "briefing")


def _is_in_order(plan: TradingPlan) -> bool:
    return bool(plan.trades) or bool(plan.extra["deployment_goal"]["target_met"])


def _escalation(stages: Sequence[Mapping[str, Any]]) -> Answer:
    """Return what a person has to decide: nothing can be traded although capital is idle."""
    stage = next(each for each in stages if each["stage"] == "portfolio_allocator")
    quality, issues = stage["quality_score"], list(stage["issues"])
    return {
        "stage": stage["stage"],
        "issue_type": "quality_failure",
        "severity": "WARNING" if quality > WARNING_ABOVE else "CRITICAL",
        "context": {"stage_result": stage, "quality_score": quality, "issues": issues},
        "options": list(OPTIONS),
        "recommendation": OPTIONS[0],
    }
