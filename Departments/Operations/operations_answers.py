"""Operations' answers to existing scripts: dicts with a `status`, numbers as int and float."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from Departments.core.answers import Answer
from Departments.core.documents import as_json, for_scripts
from Departments.core.errors import BadInput
from Departments.core.plans import TradingPlan
from Departments.messaging.neighbours import DailyBriefing, read_sells
from Departments.messaging.plan_documents import plan_document
from Departments.Operations.briefing import sell_wishes
from Departments.Operations.planner import Planner

NO_PLAN: Mapping[str, Any] = {"status": "FAILED", "plan": None, "stage_results": {}}


def answer_plan(planner: Planner, briefing: Any, mandatory_sells: Iterable[Any]) -> Answer:
    """Make a plan from a script's arguments; return `{"status": "SUCCESS" | "ESCALATED", …}`."""
    given, sells = as_json(briefing, "briefing", keep_nan=True), as_json(list(mandatory_sells), "mandatory_sells")
    wishes = sell_wishes(read_sells(sells, "mandatory_sells"))
    plan = planner.plan_now(None if given is None else _read_briefing(given), wishes)
    document = for_scripts(plan_document(plan))
    return {"status": _status(plan), "plan": document, "stage_results": document["stage_results"]}


def _read_briefing(briefing: Any) -> DailyBriefing:
    if not isinstance(briefing, Mapping):
        raise BadInput("briefing", "", "is not a mapping", "hand over the payload of a DailyBriefing")
    return DailyBriefing.read(briefing, "briefing")


def _status(plan: TradingPlan) -> str:
    return "SUCCESS" if plan.trades or plan.extra["deployment_goal"]["target_met"] else "ESCALATED"
