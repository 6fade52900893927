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
from Departments.core.platform.text_files import config_file
from Departments.messaging.bus import ConsumeReport
from Departments.Operations.operations_answers import answer_plan, failed_answer
from Departments.Operations.planner import Planner

log = make_logger(__name__)


class OperationsManager:
    """The face of the `Planner` for scripts. Made alone it opens a desk with the first request."""

    def __init__(self, project_root: Path | str, *, planner: Planner | None = None) -> None:
        self.project_root = Path(project_root)
        self.mandatory_sells: Any = []
        if planner is not None:
            self._planner = planner
        self._turn = RLock()

    @cached_property
    def _planner(self) -> Planner:
        from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: made alone

        return open_desk(self.project_root).planner

    @property
    def db_path(self) -> Path:
        """The ledger's file."""
        return self.project_root / "sentinel.db"

    @property
    def messages_dir(self) -> Path:
        """The folder of messages."""
        return self.project_root / "Messages_Between_Departments"

    @property
    def config_dir(self) -> Path:
        """The folder of limits and settings."""
        return config_file(self.project_root, "hard_constraints.yaml").parent

    def set_mandatory_sells(self, sells: Iterable[Mapping[str, Any]]) -> None:
        """Set the mandatory sells of the next plans: `[{ticker, action, shares, reason, source}]`."""
        self.mandatory_sells = list(sells) if isinstance(sells, Iterable) else sells

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
            sells = self.mandatory_sells if mandatory_sells is None else mandatory_sells
            answer = answer_request(lambda: answer_plan(self._planner, briefing, sells or ()))
        return failed_answer(answer) if answer["status"] == "ERROR" else answer
