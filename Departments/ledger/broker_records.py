"""The brokers at which a desk has traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from Departments.ledger.database import Database
from Departments.ledger.tables import Table


@dataclass(frozen=True, slots=True)
class TradedAt:
    """A broker at which this desk has executed a plan, and when it last began one there."""

    broker: str
    last_at: datetime


BROKERS_USED: Final = Table("desk_brokers", TradedAt, rules=("PRIMARY KEY (broker)",))


class BrokerRecords:
    """The brokers in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find_last(self) -> str | None:
        """Return the broker of the last execution, or None."""
        found = BROKERS_USED.first(self._db, "1 = 1", order="last_at DESC")
        return None if found is None else found.broker

    def note(self, broker: str, at: datetime) -> None:
        """Record that an execution begins at a broker, unless it is known as the last one."""
        if self.find_last() != broker:
            with self._db.transaction():
                BROKERS_USED.replace(self._db, TradedAt(broker, at), "broker")
