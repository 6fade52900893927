"""Tells people of a day: a plan that waits, how a run ended, why it failed. A rehearsal tells nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Departments.core.errors import DepartmentsError, WorkspaceBusy
from Departments.core.plans import TradingPlan
from Departments.core.trading_calendar import trading_day
from Departments.Executive.reporting.day_notices import (
    announce_end,
    announce_failure,
    announce_issues,
    announce_plan,
)
from Departments.Executive.reporting.issues import find_open_issues
from Departments.ledger.ledger import Ledger
from Departments.notices.notice import Notice
from Departments.notices.notifier import Notifier


@dataclass(frozen=True, slots=True)
class Announcer:
    """Tells by `notifier`. `reports` is the folder of reports; `is_quiet` in a rehearsal."""

    notifier: Notifier
    reports: Path
    is_quiet: bool = False

    def tell(self, *notices: Notice) -> None:
        """Tell some notices."""
        if not self.is_quiet:
            self.notifier.tell(*notices)

    def tell_end(self, document: Mapping[str, Any]) -> None:
        """Tell what became of a run, by its final document, and ping the heartbeat."""
        if self.is_quiet or document["status"] == "DRY_RUN":
            return
        report = self.reports / f"{document['plan_id']}.md"
        self.tell(*announce_end(document, str(report) if report.exists() else ""))
        self.notifier.ping()

    def tell_approval(self, plan: TradingPlan, mend: str, cause: str = "") -> None:
        """Tell that a plan waits for a person."""
        self.tell(announce_plan(plan, mend, cause))

    def tell_issues(self, ledger: Ledger) -> None:
        """Tell the dead letters, locks and the halt that no person has settled."""
        self.tell(*announce_issues(find_open_issues(ledger).lists))

    @contextmanager
    def telling_failures(self) -> Iterator[None]:
        """Tell of an error that ends a run, and raise it. A second run beside the day's is no failure of the day."""
        try:
            yield
        except Exception as error:
            if isinstance(error, WorkspaceBusy) and self._is_of_today(error):
                raise
            sentence = error.sentence if isinstance(error, DepartmentsError) else f"{type(error).__name__}: {error}"
            self.tell(announce_failure(sentence))
            raise

    def _is_of_today(self, busy: WorkspaceBusy) -> bool:
        """Return whether an execution of today is in the way: one that hangs since yesterday is a failure."""
        now = self.notifier.clock.now()
        return busy.executes_here and busy.since is not None and trading_day(busy.since) == trading_day(now)
