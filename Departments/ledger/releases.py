"""Releases of resting exits, locks of symbols, and accepted disagreements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.ledger.database import Database
from Departments.ledger.tables import Table


@dataclass(frozen=True, slots=True)
class Release:
    """The exits of one symbol to cancel, by the broker's ids; `qty` is their shares."""

    message_id: str
    plan_id: str | None
    symbol: str
    qty: Decimal
    exit_order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release with the moments of its request and of its last exit's end."""

    release: Release
    requested_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A locked symbol: nothing trades in it before a person has looked."""

    symbol: str
    reason: str
    locked_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """A disagreement of ledger and broker about an order, accepted by a person."""

    client_order_id: str
    reason: str
    accepted_at: datetime


#: The symbol of a lock of the whole desk.
WHOLE_DESK: Final = "*"

RELEASES: Final = Table("desk_releases", ReleaseRow, rules=("PRIMARY KEY (message_id)",))
LOCKS: Final = Table("desk_locks", Lock, rules=("PRIMARY KEY (symbol)",))
ACCEPTED: Final = Table("desk_accepted", Accepted, rules=("PRIMARY KEY (client_order_id)",))


class ReleaseRecords:
    """Releases and locks in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def request(self, release: Release, at: datetime) -> None:
        """Record a request to cancel exits. The same request again changes nothing."""
        RELEASES.insert(self._db, ReleaseRow(release, at), "DO NOTHING")

    def find_open(self) -> list[Release]:
        """Return the releases with exits still at the broker, as far as known."""
        rows = RELEASES.find(self._db, "ended_at IS NULL", order="requested_at, message_id")
        return [row.release for row in rows]

    def find_released(self, symbol: str, plan_id: str | None) -> list[str]:
        """Return the broker's ids of a symbol's exits cancelled by a plan's releases, oldest first."""
        rows = RELEASES.find(self._db, "symbol = ? AND plan_id = ?", symbol, plan_id or "", order="requested_at")
        return list(dict.fromkeys(order_id for row in rows for order_id in row.release.exit_order_ids))

    def end(self, message_id: str, at: datetime) -> None:
        """Record the end of a release: every exit is gone."""
        RELEASES.update(self._db, {"ended_at": at}, "message_id = ?", message_id)

    def lock(self, symbol: str, reason: str, at: datetime) -> None:
        """Lock a symbol until a person frees it. A lock keeps its first reason."""
        LOCKS.insert(self._db, Lock(symbol, reason, at), "(symbol) DO NOTHING")

    def unlock(self, symbol: str) -> None:
        """Free a symbol on a person's word."""
        self._db.execute("DELETE FROM desk_locks WHERE symbol = ?", (symbol,))

    def accept(self, client_order_id: str, reason: str, at: datetime) -> None:
        """Record a disagreement as accepted by a person. It locks nothing any more."""
        ACCEPTED.insert(self._db, Accepted(client_order_id, reason, at), "DO NOTHING")

    def find_accepted(self) -> set[str]:
        """Return the client order ids of accepted disagreements."""
        return {row.client_order_id for row in ACCEPTED.find(self._db, "1 = 1")}

    def find_locks(self) -> dict[str, str]:
        """Return the locked symbols with the reason of each."""
        return {row.symbol: row.reason for row in self.locks() if row.symbol != WHOLE_DESK}

    def find_desk_lock(self) -> str:
        """Return why nothing at all may be traded, or an empty text."""
        return next((row.reason for row in self.locks() if row.symbol == WHOLE_DESK), "")

    def locks(self) -> list[Lock]:
        """Return every lock, by symbol; that of the whole desk comes first."""
        return LOCKS.find(self._db, "1 = 1", order="symbol")
