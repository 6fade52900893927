"""A day on the bus that can be killed at any moment and begun again; what must be true of it in the end."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.steps import Step, no_step
from Departments.core.settings import MessagingSettings, RetentionSettings
from Departments.ledger.journal import TABLES, LedgerJournal
from Departments.ledger.sqlite import SqliteDatabase
from Departments.ledger.tables import Table
from Departments.messaging import failures, retention
from Departments.messaging.bus import Bus
from Departments.messaging.catalogue import Skip
from Departments.messaging.mailbox import Durability, Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.router import Commit, Router
from tests.builders.routing import router_of

NOW = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Effect:
    """What a handler did."""

    department: str
    message_id: str


EFFECTS = Table("effects", Effect)
ODD = "MSG_ODD_20251110T150900Z_1.md"


def message(number: int, to: str = "TRADING", kind: str = "ExecutiveApproval", sender: str = "EXECUTIVE") -> Message:
    moment = NOW + timedelta(milliseconds=number)
    return Message(
        message_id=f"MSG_{sender}_{moment:%Y%m%dT%H%M%SZ}_{number:08x}",
        sender=sender,
        recipient=to,
        timestamp=moment,
        message_type=kind,
        body=body_with(f"# {kind} {number}", {"ticker": "ACME", "shares": number}),
    )


class Day:
    """Publishes, consumes, answers, skips, sets aside and archives; every effect is a row in the ledger."""

    def __init__(
        self, workspace: Path, count: int, *, step: Step = no_step, durability: Durability = "full", batch: bool = False
    ) -> None:
        self.count = count
        self.batch = batch
        self.database = SqliteDatabase(workspace / "sentinel.db", [*TABLES, EFFECTS], step=step)
        self.journal = LedgerJournal(self.database)
        self.mailbox = Mailbox(workspace / "Messages", durability=durability, step=step, quiet=0)
        self.clock = SimulatedClock(NOW)
        self.bus = Bus(self.mailbox, self.journal, self.clock, MessagingSettings())
        self.acknowledged: list[str] = []
        self.rows: dict[str, Router] = {
            "TRADING": router_of("TRADING", {"ExecutiveApproval": self.answer, "RegimeUpdate": Skip("not ours")}),
            "PORTFOLIO": router_of("PORTFOLIO", {"execution": self.note("PORTFOLIO")}),
            "EXECUTIVE": router_of("EXECUTIVE", {"escalation": self.note("EXECUTIVE")}),
        }

    def run(self) -> None:
        """Do the whole day, or what is left of it."""
        self.bus.deliver_pending()
        self.publish()
        for department in ("TRADING", "PORTFOLIO", "EXECUTIVE"):
            self.bus.consume(department, self.rows[department], batch=3 if self.batch else 1)
        self.tidy()
        self.database.close()

    def publish(self) -> None:
        approvals = [message(number) for number in range(self.count)]
        if self.batch:
            self.bus.publish_all(approvals)
        else:
            for each in approvals:
                self.bus.publish(each)
                self.acknowledged.append(each.message_id)
        with self.journal.transaction():
            self.bus.enqueue(message(5_000, kind="RegimeUpdate"))
            self.bus.enqueue(message(5_001, kind="Gossip"))
        self.bus.deliver_pending()

    def answer(self, approval: Message) -> Commit:
        number = int((approval.payload or {})["shares"])

        def commit() -> None:
            self.effect("TRADING", approval)
            self.bus.enqueue(message(10_000 + number, "PORTFOLIO", "execution", "TRADING"))

        return commit

    def note(self, department: str) -> Callable[[Message], Commit]:
        return lambda received: lambda: self.effect(department, received)

    def effect(self, department: str, received: Message) -> None:
        self.database.execute("INSERT INTO effects VALUES (?, ?)", (department, received.message_id))

    def tidy(self) -> None:
        """Do what a person and the maintenance script do afterwards."""
        for letter in failures.list_dead_letters(self.mailbox.root):
            if letter.name == ODD:
                failures.drop(self.mailbox, self.bus.journal, letter, "2025-11-10", self.clock.now())
        self.bus.settle()
        later = NOW + timedelta(days=30)
        moves = retention.find_due(self.mailbox.root, retention.Rules.of(RetentionSettings()), later)
        list(retention.archive(self.mailbox, moves))
        retention.pack(self.mailbox, "2025-11", later)
        self.mailbox.clean(stale=0)


def run_day(
    workspace: Path, count: int, step: Step = no_step, *, batch: bool = False, durability: Durability = "fast"
) -> None:
    """Run a day, or what is left of it; flushing makes no difference to a killed process, so it may be left out."""
    Day(workspace, count, step=step, durability=durability, batch=batch).run()


def lay_out(workspace: Path) -> None:
    """Put a stranger's unreadable file into the inbox."""
    inbox = workspace / "Messages" / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    (inbox / ODD).write_bytes(b"odd")


def effects(workspace: Path) -> Counter[tuple[str, str]]:
    database = SqliteDatabase(workspace / "sentinel.db", [*TABLES, EFFECTS])
    found = Counter((row[0], row[1]) for row in database.rows("SELECT * FROM effects"))
    database.close()
    return found


def where(workspace: Path) -> dict[str, list[str]]:
    """Return where every message lies, name → boxes; packed ones are looked up in their zip file."""
    from Departments.messaging import lookup  # noqa: PLC0415 - beside its only use

    found: dict[str, list[str]] = {}
    for place in lookup.places(workspace / "Messages"):
        found.setdefault(place.name, []).append(f"{place.box}/{place.department}")
    return found


def check_that_the_day_is_whole(workspace: Path, count: int) -> None:
    """Every message has had its effect exactly once and lies in exactly one place, beside its sender's copy."""
    wanted: Counter[tuple[str, str]] = Counter()
    lying: dict[str, list[str]] = {ODD: ["Archive/TRADING"]}
    for number in range(count):
        approval, execution = message(number), message(10_000 + number, "PORTFOLIO", "execution", "TRADING")
        wanted["TRADING", approval.message_id] = wanted["PORTFOLIO", execution.message_id] = 1
        lying[approval.name] = ["Archive/EXECUTIVE", "Archive/TRADING"]
        lying[execution.name] = ["Archive/PORTFOLIO", "Archive/TRADING"]
    lying[message(5_000).name] = ["Archive/EXECUTIVE", "Archive/TRADING"]
    lying[message(5_001).name] = ["Archive/EXECUTIVE", "Dead_Letter/TRADING"]
    found, places = effects(workspace), where(workspace)
    escalations = [key for key in found if key[0] == "EXECUTIVE"]
    assert len(escalations) == 2, "one escalation for each cause"
    for key in escalations:
        assert found.pop(key) == 1
        assert sorted(places.pop(f"{key[1]}.md")) == ["Archive/EXECUTIVE", "Archive/TRADING"]
    assert found == wanted
    assert {name: sorted(boxes) for name, boxes in places.items()} == lying
    assert list((workspace / "Messages" / ".tmp").iterdir()) == []
    reasons = sorted((workspace / "Messages" / "Dead_Letter").rglob("*.reason.yaml"))
    assert [path.name for path in reasons] == [f"{message(5_001).name}.reason.yaml"]


class Watchman:
    """Notes every write below a folder that no announced step covers, by the interpreter's own audit events."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.fspath(folder)
        self._inside = 0
        self.labels: list[str] = []
        self.unannounced: list[str] = []

    def step(self, label: str) -> None:
        self.labels.append(label)
        self._inside += 1 if label.startswith("before:") else -1

    def listen(self) -> None:
        """Listen from now on; there is no way to stop, so only a child process should do this."""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate"}
        if event == "open" and isinstance(arguments[2], int):
            writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if writes and self._inside <= 0 and any(self._is_ours(each) for each in arguments[:2]):
            self.unannounced.append(f"{event} {arguments[:2]}")

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self._folder)
