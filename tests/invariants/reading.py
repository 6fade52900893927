"""What a workspace holds, read from outside and only again where it changed: two SQLite files, a tree of messages.

It uses none of the code that it reads after: the files are taken as they lie on the disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal as D
from functools import cache, cached_property
from pathlib import Path
from typing import Any

MESSAGES = "Messages_Between_Departments"
PLACES = ("Inbox", "Archive", "Dead_Letter")  # of which a message lies in one
BOXES = (*PLACES, "Outbox")
Row = sqlite3.Row
Files = Mapping[tuple[str, str], Sequence[str]]  # the folders in which (department, name) lies

#: What a step moves, so that only that is read again; a step that is not named here may have moved everything.
TOUCHED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("ledger.commit", "ledger.note", "exchange.submit", "exchange.cancel"), ()),
    **dict.fromkeys(("publish.write", "publish.drop", "publish.clean"), ()),
    "publish.deliver": ("Inbox",),
    "publish.keep": ("Outbox",),
    "archive": ("Inbox", "Archive"),
    "dead_letter.reason": ("Dead_Letter",),
    "dead_letter.move": ("Inbox", "Dead_Letter"),
}


@dataclass(frozen=True)
class Exchange:
    """What the exchange's file says, read at one moment; nothing before it is opened."""

    orders: tuple[Row, ...] = ()
    fills: tuple[Row, ...] = ()
    adjustments: tuple[Row, ...] = ()
    cash: D = D(0)
    start_cash: D = D(0)
    held: Mapping[str, D] = field(default_factory=dict)
    start_held: Mapping[str, D] = field(default_factory=dict)
    splits: tuple[Row, ...] = ()

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Exchange:
        meta: dict[str, Any] = {r["key"]: r["value"] for r in db.execute("SELECT * FROM meta")}
        start_cash, start_held = seeded(meta["state"])
        return cls(
            tuple(db.execute("SELECT * FROM orders ORDER BY seq")),
            tuple(db.execute("SELECT * FROM fills ORDER BY seq")),
            tuple(db.execute("SELECT * FROM adjustments ORDER BY seq")),
            D(meta["cash"]),
            start_cash,
            {r["symbol"]: D(r["qty"]) for r in db.execute("SELECT * FROM positions")},
            start_held,
            tuple(db.execute("SELECT symbol, qty FROM activities WHERE kind = 'split'")),
        )

    @cached_property
    def sent(self) -> list[Row]:
        """The orders that somebody sent; their legs left out."""
        return [o for o in self.orders if o["group"] == o["id"]]

    @cached_property
    def by_client_id(self) -> dict[str, Row]:
        return {o["client_order_id"]: o for o in self.orders}


@cache
def seeded(state: str) -> tuple[D, Mapping[str, D]]:
    """Return the cash and the shares that an exchange began with."""
    found = json.loads(state)
    return D(str(found["cash"])), {symbol: D(str(p["qty"])) for symbol, p in found["positions"].items()}


def _attempt_of(row: Row) -> tuple[str, int]:
    return row["plan_id"], row["attempt"]


@dataclass(frozen=True)
class Books:
    """What the ledger's file says, read at one moment; nothing before it is opened."""

    executions: tuple[Row, ...] = ()
    phases: tuple[Row, ...] = ()
    trades: tuple[Row, ...] = ()
    orders: tuple[Row, ...] = ()
    fills: tuple[Row, ...] = ()
    letters: tuple[Row, ...] = ()
    locked: frozenset[str] = frozenset()
    handled: frozenset[tuple[str, str]] = frozenset()
    failures: frozenset[str] = frozenset()
    unprotected: Mapping[str, D] = field(default_factory=dict)

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Books:
        return cls(
            tuple(db.execute("SELECT * FROM desk_executions ORDER BY rowid")),
            tuple(db.execute("SELECT * FROM desk_phases ORDER BY rowid")),
            tuple(db.execute("SELECT * FROM desk_trades")),
            tuple(db.execute("SELECT * FROM desk_orders")),
            tuple(db.execute("SELECT * FROM desk_fills")),
            tuple(db.execute("SELECT name, sender, recipient, published_at FROM bus_letters")),
            frozenset(r[0] for r in db.execute("SELECT symbol FROM desk_locks")),
            frozenset((r[0], f"{r[1]}.md") for r in db.execute("SELECT department, message_id FROM bus_handled")),
            frozenset(f"{r[0]}.md" for r in db.execute("SELECT message_id FROM bus_failures")),
            {r["symbol"]: D(r["qty"]) for r in db.execute("SELECT symbol, qty FROM desk_unprotected")},
        )

    @cached_property
    def decided(self) -> frozenset[str]:
        """The names of the letters that were committed."""
        return frozenset(letter["name"] for letter in self.letters)

    @cached_property
    def received(self) -> frozenset[tuple[str, str]]:
        """(recipient, name) of the letters that the ledger calls delivered."""
        return frozenset((letter["recipient"], letter["name"]) for letter in self.letters if letter["published_at"])

    @cached_property
    def sent(self) -> frozenset[tuple[str, str]]:
        """(sender, name) of the letters that the ledger calls delivered."""
        return frozenset((letter["sender"], letter["name"]) for letter in self.letters if letter["published_at"])

    def phase(self, run: Row, name: str) -> Row | None:
        """Return a phase of an attempt."""
        return next((p for p in self.phases if _attempt_of(p) == _attempt_of(run) and p["name"] == name), None)

    def messages(self, run: Row, phase: str) -> set[str]:
        """Return the message ids of a phase of an attempt."""
        return {t["message_id"] for t in self.trades if _attempt_of(t) == _attempt_of(run) and t["phase"] == phase}


@dataclass(frozen=True)
class Boxes:
    """Which files lie in which box, read at one moment."""

    files: Mapping[str, Files] = field(default_factory=lambda: {box: {} for box in BOXES})

    def __getitem__(self, box: str) -> Files:
        return self.files[box]

    @cached_property
    def places(self) -> frozenset[tuple[str, str]]:
        """(department, name) of every file that lies with its recipient."""
        return frozenset().union(*(self.files[box] for box in PLACES))

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for files in self.files.values() for _, name in files)


@dataclass
class Database:
    """One SQLite file that others write, read through a connection of its own; `last` is the table made last."""

    path: Path
    last: str
    connection: sqlite3.Connection | None = None
    version: int = -1

    def changed(self) -> sqlite3.Connection | None:
        """Return the connection when somebody has committed since the last time; None when there is nothing new.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        if self.connection is None:
            if not self.path.exists():
                return None
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            # Whichever thread collects what a test left open closes it.
            self.connection = sqlite3.connect(address, uri=True, timeout=10, check_same_thread=False)
            self.connection.row_factory = sqlite3.Row
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        made = (
            self.version >= 0
            or self.connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self.last,)).fetchone()
        )
        if version == self.version or not made:
            return None
        self.version = version
        return self.connection

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection, self.version = None, -1

    def __del__(self) -> None:
        """Close what a test that ended early left open."""
        self.close()


class Disk:
    """A workspace as it lay on the disk when it was last looked at."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / MESSAGES
        self.exchange, self.books = Exchange(), Books()
        self.boxes = Boxes()
        self.ledger = Database(folder / "sentinel.db", "bus_letters")
        self._exchange = Database(folder / "simulated_exchange.db", "fills")
        self._folders: dict[str, list[tuple[str, str]]] = {}
        self._moving: set[str] = set(BOXES)

    def look(self, label: str = "") -> set[str]:
        """Read again what the step that is announced by `label` may have changed, and tell what did change."""
        changed = set()
        if db := self._exchange.changed():  # time passes there whenever somebody asks
            self.exchange = Exchange.read(db)
            changed.add("exchange")
        begun = self.ledger.connection is not None and label not in {"", "after:ledger.commit"}
        if not begun and (db := self.ledger.changed()):
            self.books = Books.read(db)
            changed.add("books")
        if self._moved(label):
            changed.add("boxes")
        return changed

    def _moved(self, label: str) -> bool:
        when, _, name = label.partition(":")
        touched = TOUCHED.get(name, BOXES)
        stale = self._moving if when == "before" else self._moving.union(touched)
        self._moving = set(touched) if when == "before" else set()  # it may fail and never be announced as done
        if not self._folders or name not in TOUCHED:
            self._folders = {box: folders_in(self.root / box) for box in BOXES}
        fresh = {box: files for box in stale if (files := files_in(self._folders[box])) != self.boxes[box]}
        if fresh:
            self.boxes = Boxes({**self.boxes.files, **fresh})
        return bool(fresh)

    def close(self) -> None:
        self._exchange.close()
        self.ledger.close()


def folders_in(box: Path) -> list[tuple[str, str]]:
    """Return (department, path) of the folders of a box."""
    return [(Path(folder).name, folder) for folder, _, _ in os.walk(box)]


def files_in(folders: Iterable[tuple[str, str]]) -> Files:
    found = defaultdict[tuple[str, str], list[str]](list)
    for department, folder in folders:
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):  # noqa: PTH208 - this runs after every step
                if name.endswith((".md", ".yaml")):
                    found[department, name].append(folder)
    return found
