"""Operations as existing scripts call it.

OperationsManager(project_root).generate_trading_plan()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from Departments.core.answers import Answer, answer_request
from Departments.core.logs import make_logger
from Departments.messaging.bus import ConsumeReport
from Departments.Operations.operations_answers import NO_PLAN, answer_plan
from Departments.Operations.planner import Planner

log = make_logger(__name__)


class OperationsManager:
    """The face of the `Planner` for scripts. Made alone it opens a desk with the first request."""

    def __init__(self, project_root: Path | str, *, planner: Planner | None = None) -> None:
        self._root = Path(project_root)
        if planner is not None:
            self._planner = planner
        self._turn = RLock()

    @cached_property
    def _planner(self) -> Planner:
        from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: made alone

        return open_desk(self._root).planner

    def process_inbox(self) -> ConsumeReport:
        """Handle all messages waiting for Operations."""
        return self._planner.process_inbox()

    def generate_trading_plan(
        self,
        ai_model: str | None = None,
        *,
        briefing: Mapping[str, Any] | None = None,
        mandatory_sells: Iterable[Mapping[str, Any]] | None = None,
    ) -> Answer:
        """Make and save a plan; answer `{"status": "SUCCESS" | "ESCALATED" | "FAILED", "plan", "stage_results"}`.

        `briefing` is a DailyBriefing payload, else the newest one is used. ESCALATED asks for a person: nothing can be
        traded although capital is idle. `ai_model` is accepted for the sake of existing scripts.
        """
        log.debug("planning (model %s)", ai_model)
        with self._turn:
            answer = answer_request(lambda: answer_plan(self._planner, briefing, mandatory_sells or ()))
        return {**answer, **NO_PLAN} if answer["status"] == "ERROR" else answer
