"""The ledger: one SQLite file with everything that happened, opened once per process and thread."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from Departments.core.history import TradingHistory
from Departments.core.steps import Step, no_step
from Departments.ledger import journal, regimes, schema
from Departments.ledger.compat import provide_old_tables
from Departments.ledger.database import BUSY_SECONDS, Database
from Departments.ledger.history import recent_history
from Departments.ledger.journal import LedgerJournal
from Departments.ledger.order_records import FillRecord
from Departments.ledger.orders import OrderRecords
from Departments.ledger.plans import PlanRecords
from Departments.ledger.regimes import SqliteRegimeLedger
from Departments.ledger.releases import ReleaseRecords
from Departments.ledger.symbols import SymbolRecords

#: Only ever appended to: a ledger's version is how many of these it has been through.
MIGRATIONS = (
    schema.PLANS,
    schema.ORDERS,
    journal.MIGRATION,
    regimes.MIGRATION,
    schema.DAYS,
    schema.FEES,
    schema.TRADED,
    schema.ASKED_OTHERWISE,
)


class Ledger:
    """Plans, orders, regimes and the message journal in one file, under one transaction."""

    def __init__(self, path: Path, *, step: Step = no_step, patience: float = BUSY_SECONDS) -> None:
        self.path = path
        self._db = Database(path, MIGRATIONS, step=step, busy_seconds=patience)
        provide_old_tables(self._db)
        self.plans = PlanRecords(self._db)
        self.orders = OrderRecords(self._db)
        self.symbols = SymbolRecords(self._db)
        self.releases = ReleaseRecords(self._db)
        self.journal = LedgerJournal(self._db)
        self.regimes = SqliteRegimeLedger(self._db)

    def transaction(self) -> AbstractContextManager[None]:
        """Make everything inside one commit; an inner transaction joins the outer one."""
        return self._db.transaction()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def execution_fills(self, plan_id: str) -> list[FillRecord]:
        """Return the fills that the cash of an execution knows, oldest first.

        That are the fills of what it sent and all others in its time: an exit of an earlier day may fill meanwhile.
        """
        run = self.plans.execution(plan_id)
        return [] if run is None else self.orders.fills_in(plan_id, run.started_at, run.ended_at)

    def history(
        self,
        now: datetime,
        *,
        plan_generated_at: datetime | None = None,
        held: Collection[str] | None = None,
    ) -> TradingHistory:
        """Return what the desk has done lately, as the constraint engine wants it, with the stops of what is `held`."""
        return recent_history(self.plans, self.orders, now, plan_generated_at, held)
