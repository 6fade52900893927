"""Halts by a person in the ledger: the one in force, and those that ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from Departments.core.halts import Halt
from Departments.ledger.database import Database
from Departments.ledger.tables import Table


@dataclass(frozen=True, slots=True)
class HaltRow:
    """A halt with its end; it is in force until `lifted_at`."""

    halt: Halt
    lifted_at: datetime | None = None
    lifted_by: str = ""


_IN_FORCE: Final = "lifted_at IS NULL"
HALTS: Final = Table(
    "desk_halts",
    HaltRow,
    identity="id",
    indexes=(f"CREATE UNIQUE INDEX desk_halts_in_force ON desk_halts ((lifted_at IS NULL)) WHERE {_IN_FORCE}",),
)


class HaltRecords:
    """Halts in the ledger. Every method is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self) -> Halt | None:
        """Return the halt in force, or None."""
        row = HALTS.first(self._db, _IN_FORCE, order="id DESC")
        return None if row is None else row.halt

    def begin(self, halt: Halt) -> Halt | None:
        """Put a halt in force in place of the one before, which is returned."""
        with self._db.transaction():
            before = self.end(halt.halted_by, halt.halted_at)
            HALTS.insert(self._db, HaltRow(halt))
        return before

    def end(self, by: str, at: datetime) -> Halt | None:
        """End the halt in force and return it, or None without one."""
        with self._db.transaction():
            found = self.find()
            HALTS.update(self._db, {"lifted_at": at, "lifted_by": by}, _IN_FORCE)
        return found
