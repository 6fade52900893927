"""Which resting exits Trading was asked to cancel, and whether they are gone; and which symbols are locked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from Departments.core.clock import iso
from Departments.core.money import plain
from Departments.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Release:
    """Exits of one symbol that are being cancelled, by the broker's ids; `qty` is the shares they hold."""

    message_id: str
    plan_id: str | None
    ticker: str
    qty: Decimal
    exit_order_ids: tuple[str, ...]


class ReleaseRecords:
    """Releases and locks in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def request(self, release: Release, at: datetime) -> None:
        """Record that exits are to be cancelled; the same request again changes nothing."""
        self._db.execute(
            "INSERT OR IGNORE INTO desk_releases (message_id, plan_id, ticker, qty, requested_at, exit_order_ids) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                release.message_id,
                release.plan_id,
                release.ticker,
                plain(release.qty),
                iso(at),
                json.dumps(release.exit_order_ids),
            ),
        )

    def open(self) -> list[Release]:
        """Return the releases whose exits are not known to be gone."""
        rows = self._db.rows("SELECT * FROM desk_releases WHERE ended_at IS NULL ORDER BY requested_at, message_id")
        return [
            Release(
                row["message_id"],
                row["plan_id"],
                row["ticker"],
                Decimal(row["qty"]),
                tuple(json.loads(row["exit_order_ids"])),
            )
            for row in rows
        ]

    def ended(self, message_id: str, at: datetime) -> None:
        """Record that every exit of a release is gone."""
        self._db.execute("UPDATE desk_releases SET ended_at = ? WHERE message_id = ?", (iso(at), message_id))

    def lock(self, reasons: Mapping[str, str], at: datetime) -> None:
        """Lock the symbols in `reasons`, with the reason of each; all others are free again."""
        self._db.execute("DELETE FROM desk_locks")
        for symbol, reason in sorted(reasons.items()):
            self._db.execute("INSERT INTO desk_locks VALUES (?, ?, ?)", (symbol, reason, iso(at)))

    def lock_also(self, symbol: str, reason: str, at: datetime) -> None:
        """Lock one symbol more."""
        self._db.execute("INSERT OR REPLACE INTO desk_locks VALUES (?, ?, ?)", (symbol, reason, iso(at)))

    def accept(self, client_order_id: str, reason: str, at: datetime) -> None:
        """Record that a person has looked at a disagreement about an order; it locks nothing any more."""
        self._db.execute("INSERT OR IGNORE INTO desk_accepted VALUES (?, ?, ?)", (client_order_id, reason, iso(at)))

    def accepted(self) -> set[str]:
        """Return the client order ids whose disagreements a person has accepted."""
        return {row["client_order_id"] for row in self._db.rows("SELECT client_order_id FROM desk_accepted")}

    def locked(self) -> dict[str, str]:
        """Return the locked symbols with the reason of each."""
        return {row["symbol"]: row["reason"] for row in self._db.rows("SELECT symbol, reason FROM desk_locks")}
