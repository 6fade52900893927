"""`Reports/<plan_id>.html`: the page of a report, beside its Markdown. A page never stops or changes a day.

What draws and writes it is imported when a page is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from Departments.core.logs import make_logger
from Departments.core.plans import TradingPlan
from Departments.core.platform.atomic_files import write_atomically
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.report import Reporter
from Departments.ledger.ledger import Ledger

log = make_logger(__name__)
#: The day in the name of a message.
_DAY: Final = re.compile(r"_(\d{4})(\d\d)(\d\d)T\d{6}Z")


@dataclass(frozen=True, slots=True)
class Pages:
    """Makes pages of executed plans. `is_wanted` is the setting `report.html`; `messages` is the folder of messages."""

    ledger: Ledger
    reporter: Reporter
    messages: Path
    is_wanted: bool = True

    def find_path(self, plan_id: str) -> Path:
        """Return the file of a plan's page."""
        return self.reporter.folder / f"{plan_id}.html"

    def document(self, plan: TradingPlan) -> dict[str, Any]:
        """Return the final document with `page`. Raises LookupError for a plan never executed."""
        from Departments.Executive.reporting.page_document import add_page  # noqa: PLC0415 - only for a page

        return add_page(self.ledger, plan, self.reporter.report(plan).document)

    def render(self, plan: TradingPlan) -> str:
        """Return the page as HTML. Raises LookupError for a plan never executed."""
        from Departments.Executive.reporting.html_page import render_report  # noqa: PLC0415 - only for a page

        document = self.document(plan)
        return render_report(document, self._link(document["page"]["trail"]))

    def write(self, plan_id: str) -> Path:
        """Write the page of a plan and return its file. Raises LookupError, BadInput, LedgerError."""
        path = self.find_path(plan_id)
        write_atomically(path, self.render(load_plan(self.ledger.plans, plan_id)), self.reporter.rights)
        return path

    def write_tear_sheet(self, sheet: Mapping[str, Any]) -> Path:
        """Write the page of a tear sheet and return its file. Raises BadInput."""
        from Departments.Executive.reporting.html_page import render_tear_sheet  # noqa: PLC0415 - only for a page

        path = self.reporter.folder / f"TEAR_SHEET_{sheet['first']}_{sheet['last']}.html"
        write_atomically(path, render_tear_sheet(sheet), self.reporter.rights)
        return path

    def write_after_day(self, plan_id: str | None) -> Path | None:
        """Write the page of a plan that was executed now, if pages are wanted. Whatever goes wrong is one warning."""
        if not self.is_wanted or plan_id is None:
            return None
        try:
            for path in self._list_earlier(plan_id):
                self.write(path.stem)
            return self.write(plan_id)
        except Exception as error:  # noqa: BLE001 - a picture must not spoil the day that it shows
            mend = f"departments report {plan_id} makes it again"
            log.warning("The page of %s was not written (%s: %s); %s", plan_id, type(error).__name__, error, mend)
            return None

    def _list_earlier(self, plan_id: str) -> list[Path]:
        """Return the pages of the day that have to name this order by hand; none for the day's plan."""
        order = self.ledger.plans.execution(plan_id)
        if order is None or not order.by_hand:
            return []
        days = (run for run in self.ledger.plans.executions(order.trading_day) if not run.by_hand)
        return [path for run in days if (path := self.find_path(run.plan_id)).exists()]

    def _link(self, trail: Iterable[Mapping[str, str]]) -> dict[str, str]:
        """Return where the files of messages are, relative to the page; those that cannot be found are left out."""
        found = dict[str, str]()
        for each in trail:
            name = f"{each['message_id']}.md"
            day = _DAY.search(name)
            places = [f"Archive/{'-'.join(day.groups())}/{each['to']}"] if day else []
            for place in (*places, f"Inbox/{each['to']}", f"Outbox/{each['from']}"):  # the archive keeps longest
                if (self.messages / place / name).exists():
                    found[each["message_id"]] = f"../{self.messages.name}/{place}/{name}"
                    break
        return found
