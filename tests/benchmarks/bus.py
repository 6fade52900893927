"""The bus beside its peers, in one session and alternating: `make bench`, or `python tests/benchmarks/bus.py [COUNT]`.

Every contestant moves the same messages (seven header keys, a little Markdown, a JSON payload): publish all, then
consume all (list, read, parse, handle, acknowledge). The peers parse the header as everybody does, with YAML's C
loader. Durable means: what publish returned for survives a power cut, and so does an acknowledgement; our bus commits
both to the ledger. Then `show` and `trace` look for a message among 50,000. Prints ratios and writes `benchmarks.md`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import mailbox as stdlib_mailbox
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic_ns
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from Departments.bootstrap import MESSAGES  # noqa: E402 - the project is found only now
from Departments.core.platform import files  # noqa: E402
from Departments.core.platform.clock import SystemClock  # noqa: E402
from Departments.core.settings import MessagingSettings  # noqa: E402
from Departments.ledger.generations import EVERY  # noqa: E402
from Departments.ledger.journal import TABLES, LedgerJournal  # noqa: E402
from Departments.ledger.ledger import Ledger  # noqa: E402
from Departments.ledger.sqlite import LOG_PAGES, SqliteDatabase  # noqa: E402
from Departments.messaging import codec, disk, front_matter  # noqa: E402
from Departments.messaging.bus import Bus  # noqa: E402
from Departments.messaging.lookup import index_row  # noqa: E402
from Departments.messaging.mailbox import Mailbox  # noqa: E402
from Departments.messaging.message import Message, body_with  # noqa: E402
from Departments.messaging.outbound import NOTED  # noqa: E402
from Departments.messaging.ports import Journal  # noqa: E402
from Departments.messaging.router import Commit  # noqa: E402
from Departments.messaging.watcher import Watched, Watcher  # noqa: E402
from tests.benchmarks._measuring import flush_time, new_place, timed, write_section  # noqa: E402
from tests.builders.routing import router_of  # noqa: E402
from tests.fakes.memory import MemoryJournal  # noqa: E402

NOW = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)
ROUNDS = 5
BATCH = 50
SECTION = "# The bus\n"


def message(number: int) -> Message:
    moment = NOW + timedelta(milliseconds=10 * number)
    payload = {"ticker": "ACME", "action": "BUY", "shares": number, "price": 30.93, "sector": "Energy"}
    payload |= {"order_type": "MARKET", "plan_id": "PLAN_20251110_071530", "approved_at": "2025-11-10T15:09:12Z"}
    return Message(
        message_id=f"MSG_EXECUTIVE_{moment:%Y%m%dT%H%M%SZ}_{number:08x}",
        sender="EXECUTIVE",
        recipient="TRADING",
        timestamp=moment,
        message_type="ExecutiveApproval",
        body=body_with("# Executive Approval - BUY ACME\n\n**Ticker**: ACME\n**Shares**: 92", payload),
        priority="urgent",
    )


def parsed(data: bytes) -> dict[str, Any]:
    """Parse as every reader of such files does: split, YAML's C loader, JSON."""
    _, header, body = data.decode().split("---\n", 2)
    found: dict[str, Any] = yaml.load(header, Loader=yaml.CSafeLoader)
    found["payload"] = json.loads(body.partition("```json\n")[2].partition("\n```")[0])
    return found


class Contestant:
    """Publishes and consumes messages below one folder."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self.durable = durable
        self.handled = 0

    def publish(self, messages: Sequence[Message]) -> None:
        raise NotImplementedError

    def consume(self) -> None:
        raise NotImplementedError

    def handle(self, data: bytes) -> None:
        self.handled += parsed(data)["payload"]["shares"] >= 0


class Raw(Contestant):
    """The system calls alone, with the same parser as ours and one file of three names a message."""

    def publish(self, messages: Sequence[Message]) -> None:
        base = str(self.folder)
        for box in ("new", "inbox", "outbox", "archive"):
            (self.folder / box).mkdir(exist_ok=True)
        for each in messages:
            data, name = codec.encode(each), each.name
            disk.write_new(f"{base}/new/{name}", data, flush=self.durable)
            os.link(f"{base}/new/{name}", f"{base}/inbox/{name}")
            if self.durable:
                disk.sync_folder(f"{base}/inbox")
            os.rename(f"{base}/new/{name}", f"{base}/outbox/{name}")

    def consume(self) -> None:
        base = str(self.folder)
        for name in sorted(os.listdir(f"{base}/inbox")):
            descriptor = os.open(f"{base}/inbox/{name}", os.O_RDONLY)
            data = os.read(descriptor, os.fstat(descriptor).st_size)
            os.close(descriptor)
            self.handled += (codec.decode(data, name=name).payload or {})["shares"] >= 0
            os.rename(f"{base}/inbox/{name}", f"{base}/archive/{name}")
            if self.durable:
                disk.sync_folder(f"{base}/inbox")


class Maildir(Contestant):
    """The standard library's queue of files; without durability its fsync is taken out."""

    fast_parser = False
    flush_folder = False
    flush_acknowledgement = True

    def publish(self, messages: Sequence[Message]) -> None:
        box = stdlib_mailbox.Maildir(self.folder / "maildir")
        sync = stdlib_mailbox._sync_flush  # type: ignore[attr-defined]
        if not self.durable:
            stdlib_mailbox._sync_flush = lambda file: file.flush()  # type: ignore[attr-defined]
        try:
            for each in messages:
                box.add(codec.encode(each))
                if self.flush_folder:
                    disk.sync_folder(str(self.folder / "maildir" / "new"))
        finally:
            stdlib_mailbox._sync_flush = sync  # type: ignore[attr-defined]

    def consume(self) -> None:
        path = self.folder / "maildir"
        box = stdlib_mailbox.Maildir(path)
        archive = self.folder / "archive"
        archive.mkdir(exist_ok=True)
        for key in sorted(box.keys()):
            data = box.get_bytes(key)
            if self.fast_parser:
                self.handled += (codec.decode(data, name=key).payload or {})["shares"] >= 0
            else:
                self.handle(data)
            os.rename(path / "new" / key, archive / key)
            if self.durable and self.flush_acknowledgement:
                disk.sync_folder(str(path / "new"))


class MaildirOurParser(Maildir):
    """Maildir with our parser, to see what the parser alone is worth."""

    fast_parser = True


class MaildirOwnArchive(Maildir):
    """Maildir that archives through its own interface, which writes every message a second time."""

    def consume(self) -> None:
        box = stdlib_mailbox.Maildir(self.folder / "maildir")
        archive = box.add_folder("archive")
        for key in sorted(box.keys()):
            self.handle(box.get_bytes(key))
            archive.add(box.get_message(key))
            box.discard(key)


class MaildirSure(Maildir):
    """Maildir that promises what ours does: the library flushes no folder, so a power cut takes its newest message."""

    flush_folder = True


class MaildirForgetful(Maildir):
    """Maildir whose acknowledgements are not flushed: after a power cut messages come back and are handled twice."""

    flush_acknowledgement = False


class Table(Contestant):
    """A table of SQLite as a queue: write-ahead log, a commit for each message, nothing a person can read."""

    def connection(self) -> sqlite3.Connection:
        found = sqlite3.connect(self.folder / "queue.db", isolation_level=None)
        found.execute("PRAGMA journal_mode = WAL")
        found.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'OFF'}")
        found.execute("CREATE TABLE IF NOT EXISTS queue (name TEXT PRIMARY KEY, data BLOB, done INTEGER DEFAULT 0)")
        return found

    def publish(self, messages: Sequence[Message]) -> None:
        connection = self.connection()
        for each in messages:
            connection.execute("INSERT INTO queue (name, data) VALUES (?, ?)", (each.name, codec.encode(each)))
        connection.close()

    def consume(self) -> None:
        connection = self.connection()
        for name, data in connection.execute("SELECT name, data FROM queue WHERE NOT done ORDER BY name").fetchall():
            self.handle(data)
            connection.execute("UPDATE queue SET done = 1 WHERE name = ?", (name,))
        connection.close()


A_MOMENT = "2025-11-10T15:09:12Z"
PUBLISH = (
    "INSERT INTO bus_letters (name, sender, recipient, parent_message_id, plan_id, digest, data, enqueued_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING"
)
NOTE = "UPDATE bus_letters SET published_at = ? WHERE published_at IS NULL AND name IN"
HANDLE = (
    "INSERT INTO bus_handled (department, message_id, disposition, digest, handled_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)


def deliver_bare(base: str, name: str, data: bytes) -> None:
    """Make the two files of a message, unflushed: linked into the inbox, renamed into the outbox."""
    for copy in ("received", "sent"):
        disk.write_new(f"{base}/new/{name}.{copy}", data, flush=False)
    os.link(f"{base}/new/{name}.received", f"{base}/inbox/{name}")
    os.rename(f"{base}/new/{name}.sent", f"{base}/outbox/{name}")
    os.unlink(f"{base}/new/{name}.received")


class TableAndFiles(Table):
    """What our bus does, by bare code: a commit to publish, one to handle, and the same two files for each message.

    It flushes no file either. No bus of this layout that commits each message by itself can be faster.
    """

    def make_boxes(self) -> None:
        for box in ("new", "inbox", "outbox", "archive"):
            (self.folder / box).mkdir()

    def publish(self, messages: Sequence[Message]) -> None:
        base, connection = str(self.folder), self.connection()
        self.make_boxes()
        for each in messages:
            data, name = codec.encode(each), each.name
            connection.execute("INSERT INTO queue (name, data) VALUES (?, ?)", (name, data))
            deliver_bare(base, name, data)
        connection.close()

    def consume(self) -> None:
        base, connection = str(self.folder), self.connection()
        for name in sorted(os.listdir(f"{base}/inbox")):
            data = files.read_bytes(f"{base}/inbox/{name}")
            self.handled += (codec.decode(data, name=name).payload or {})["shares"] >= 0
            connection.execute("UPDATE queue SET done = 1 WHERE name = ?", (name,))
            os.rename(f"{base}/inbox/{name}", f"{base}/archive/{name}")
        connection.close()


class SameStatements(TableAndFiles):
    """The statements, marks and files of our bus, by bare code that checks nothing."""

    def connection(self) -> sqlite3.Connection:
        path = self.folder / "sentinel.db"
        SqliteDatabase(path, TABLES).close()
        found = sqlite3.connect(path, isolation_level=None)
        found.execute("PRAGMA synchronous = FULL")
        found.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        return found

    def commit(self, connection: sqlite3.Connection, *statements: tuple[str, Sequence[object]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for sql, values in statements:
            connection.execute(sql, values)
        generation = connection.execute("PRAGMA user_version").fetchone()[0] + 1
        connection.execute(f"PRAGMA user_version = {generation}")
        for path in (self.mark, self.mark + "2")[: 2 if generation % EVERY == 0 else 1]:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, b"%012d\n" % generation)
            os.close(descriptor)
        connection.execute("COMMIT")

    @property
    def mark(self) -> str:
        return str(self.folder / "sentinel.db.mark")

    def publish(self, messages: Sequence[Message]) -> None:
        base, connection = str(self.folder), self.connection()
        self.make_boxes()
        names: list[str] = []
        for each in messages:
            data, name = codec.encode(each), each.name
            digest = hashlib.sha256(data).hexdigest()
            values = (name, each.sender, each.recipient, None, "PLAN_1", digest, data, A_MOMENT)
            if len(names) < NOTED:
                self.commit(connection, (PUBLISH, values))
            else:
                self.commit(connection, (f"{NOTE} ({', '.join('?' * NOTED)})", (A_MOMENT, *names)), (PUBLISH, values))
                names.clear()
            deliver_bare(base, name, data)
            names.append(name)
        connection.close()

    def consume(self) -> None:
        base, connection = str(self.folder), self.connection()
        for name in sorted(os.listdir(f"{base}/inbox")):
            data = files.read_bytes(f"{base}/inbox/{name}")
            self.handled += (codec.decode(data, name=name).payload or {})["shares"] >= 0
            digest = hashlib.sha256(data).hexdigest()
            self.commit(connection, (HANDLE, ("TRADING", name[:-3], "handled", digest, A_MOMENT)))
            os.link(f"{base}/inbox/{name}", f"{base}/archive/{name}")
            os.unlink(f"{base}/inbox/{name}")
        connection.close()


class Kombu(Contestant):
    """kombu's filesystem transport; it cannot be durable."""

    def connection(self) -> Any:
        kombu: Any = importlib.import_module("kombu")  # optional

        for box in ("in", "control", "processed"):
            (self.folder / box).mkdir(exist_ok=True)
        folder = str(self.folder / "in")
        options: dict[str, Any] = {
            "data_folder_in": folder,
            "data_folder_out": folder,
            "control_folder": str(self.folder / "control"),
        }
        options |= {"store_processed": True, "processed_folder": str(self.folder / "processed")}
        return kombu.Connection("filesystem://", transport_options=options)

    def publish(self, messages: Sequence[Message]) -> None:
        with self.connection() as connection:
            queue = connection.SimpleQueue(self.folder.name)
            for each in messages:
                queue.put(codec.encode(each).decode(), serializer="raw")
            queue.close()

    def consume(self) -> None:
        with self.connection() as connection:
            queue = connection.SimpleQueue(self.folder.name)
            for _ in range(queue.qsize()):
                found = queue.get(block=False)
                self.handle(bytes(found.body))
                found.ack()
            queue.close()


class Persist(Contestant):
    """persist-queue's file queue."""

    def queue(self) -> Any:
        persistqueue: Any = importlib.import_module("persistqueue")  # optional
        return persistqueue.Queue(str(self.folder / "queue"), autosave=True)

    def publish(self, messages: Sequence[Message]) -> None:
        queue = self.queue()
        for each in messages:
            queue.put(codec.encode(each))

    def consume(self) -> None:
        queue = self.queue()
        while queue.qsize():
            self.handle(queue.get())
            queue.task_done()


class Ours(Contestant):
    """Our bus: inbox, outbox and archive a person can read, order by time, one consumer, dead letters."""

    batched = False
    together = False
    remembered = False

    def bus(self) -> tuple[Bus, Callable[[], None]]:
        journal: Journal = MemoryJournal()
        close: Callable[[], None] = lambda: None  # noqa: E731
        if self.remembered:
            database = SqliteDatabase(self.folder / "sentinel.db", TABLES)
            journal, close = LedgerJournal(database), database.close
        box = Mailbox(self.folder / MESSAGES, durability="full" if self.durable else "fast")
        return Bus(box, journal, SystemClock(), MessagingSettings()), close

    def publish(self, messages: Sequence[Message]) -> None:
        bus, close = self.bus()
        if self.batched:
            for start in range(0, len(messages), BATCH):
                bus.publish_all(list(messages[start : start + BATCH]))
        else:
            for each in messages:
                bus.publish(each)
        close()

    def consume(self) -> None:
        bus, close = self.bus()
        report = bus.consume(
            "TRADING",
            router_of("TRADING", {"ExecutiveApproval": self.act}),
            batch=BATCH if self.batched or self.together else 1,
        )
        assert report.total == report.handled
        close()

    def act(self, received: Message) -> Commit | None:
        self.handled += (received.payload or {})["shares"] >= 0
        return None


class OursRemembered(Ours):
    remembered = True


class OursBatchedRemembered(OursRemembered):
    batched = True


class OursCommittedTogether(OursRemembered):
    """Published one by one; when consumed, fifty messages share a commit."""

    together = True


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    name: str
    make: type[Contestant]
    durable: bool
    measured: tuple[float, float, float]


FIELD: tuple[tuple[str, type[Contestant], bool], ...] = (
    ("raw file operations (the limit)", Raw, False),
    ("stdlib mailbox.Maildir", Maildir, False),
    ("stdlib mailbox.Maildir, our parser", MaildirOurParser, False),
    ("stdlib mailbox.Maildir, archived through its own interface", MaildirOwnArchive, False),
    ("SQLite table", Table, False),
    ("kombu filesystem", Kombu, False),
    ("persist-queue files", Persist, False),
    ("**our bus**", Ours, False),
    ("raw file operations (the limit)", Raw, True),
    ("stdlib mailbox.Maildir", Maildir, True),
    ("stdlib mailbox.Maildir, acknowledgement not flushed", MaildirForgetful, True),
    ("stdlib mailbox.Maildir, its folder flushed too", MaildirSure, True),
    ("SQLite table", Table, True),
    ("SQLite table and raw files (the limit of the layout)", TableAndFiles, True),
    ("our bus's statements, marks and files, nothing checked", SameStatements, True),
    ("**our bus**, one message a commit", OursRemembered, True),
    ("**our bus**, published one by one, 50 handled in a commit", OursCommittedTogether, True),
    ("**our bus**, 50 messages a commit", OursBatchedRemembered, True),
)


def one_round(
    make: type[Contestant], messages: Sequence[Message], place: Path, *, durable: bool
) -> tuple[float, float]:
    """Publish and consume once; return the two durations. Fails when a message was lost."""
    contestant = make(Path(tempfile.mkdtemp(dir=place)), durable=durable)
    durations = timed(lambda: contestant.publish(messages)), timed(contestant.consume)
    if contestant.handled != len(messages):
        raise SystemExit(f"{make.__name__} handled {contestant.handled} of {len(messages)}")
    return durations


def tournament(count: int, rounds: int, place: Path) -> list[Entry]:
    """Let everybody run in every round, one after the other, and return the medians as messages a second."""
    messages = [message(number) for number in range(count)]
    times: dict[int, list[tuple[float, float]]] = {}
    for number in range(rounds):
        for index, (name, make, durable) in enumerate(FIELD):
            print(f"round {number + 1}/{rounds}: {name}, durable {durable}".ljust(110), end="\r", file=sys.stderr)
            with suppress(ImportError):
                times.setdefault(index, []).append(one_round(make, messages, place, durable=durable))
    return [Entry(*FIELD[index], rates(found, count)) for index, found in times.items() if found]


def rates(times: Iterable[tuple[float, float]], count: int) -> tuple[float, float, float]:
    pairs = list(times)
    publish, consume = (statistics.median(pair[which] for pair in pairs) for which in (0, 1))
    both = statistics.median(sum(pair) for pair in pairs)
    return count / publish, count / consume, count / both


# --- growth ---


def growth(place: Path, rounds: int) -> list[tuple[int, float]]:
    """Return (files waiting, microseconds a message) of handling a whole inbox."""
    found = []
    for waiting in (100, 1_000, 10_000, 50_000):
        messages = [message(number) for number in range(waiting)]
        repeat = rounds * max(1, 2_000 // waiting) if waiting < 50_000 else 2
        consumed = [one_round(Ours, messages, place, durable=False)[1] for _ in range(repeat)]
        found.append((waiting, statistics.median(consumed) / waiting * 1e6))
    return found


# --- latency ---

SENDER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.benchmarks.bus import codec, message
inbox, count = Path(sys.argv[2]), int(sys.argv[3])
waiting = inbox.parents[2] / "waiting"
for number in range(count):
    (waiting / message(number).name).write_bytes(codec.encode(message(number)))
input()
for number in range(count):
    time.sleep(0.005)
    name = message(number).name
    before = time.monotonic_ns()
    os.rename(waiting / name, inbox / name)
    print(message(number).message_id, before)
"""


def latency(place: Path, count: int) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds from a rename into the inbox to the handler's call."""
    folder = Path(tempfile.mkdtemp(dir=place))
    root = folder / "Messages"
    inbox = root / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    (folder / "waiting").mkdir()
    arrived: dict[str, int] = {}
    command = [sys.executable, "-c", SENDER, str(ROOT), str(inbox), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as sender:
        assert sender.stdin is not None
        bus = Bus(Mailbox(root), MemoryJournal(), SystemClock(), MessagingSettings())

        def act(received: Message) -> None:
            arrived[received.message_id] = monotonic_ns()
            if len(arrived) == count:
                watcher.stop()

        def say(text: str) -> None:
            assert sender.stdin is not None
            sender.stdin.write("go\n")
            sender.stdin.flush()

        watcher = Watcher(bus, root, [Watched(router_of("TRADING", {"ExecutiveApproval": act}))], notify=say)
        watcher.run()
        out, _ = sender.communicate()
    sent = {line.split()[0]: int(line.split()[1]) for line in out.splitlines()}
    waits = sorted((arrived[name] - before) / 1e6 for name, before in sent.items())
    return statistics.median(waits), waits[int(len(waits) * 0.99)]


# --- searching ---

MANY = 50_000


def searches(place: Path) -> dict[str, float]:
    """Return the CPU seconds of `show` and `trace` in a workspace with many archived messages."""
    workspace = Path(tempfile.mkdtemp(dir=place))
    (workspace / "config").mkdir()
    messages = [message(number) for number in range(MANY)]
    for number, each in enumerate(messages):
        folder = workspace / MESSAGES / "Archive" / f"2025-{1 + number // 5_000:02d}-10" / "TRADING"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / each.name).write_bytes(codec.encode(each))
    ledger = Ledger(workspace / "sentinel.db")
    with ledger.transaction():
        ledger.journal.note([index_row(each, each.name) for each in messages])
    ledger.close()
    return {command: cpu_of(command, messages[-1].message_id, workspace) for command in ("show", "trace")}


def cpu_of(command: str, message_id: str, workspace: Path) -> float:
    def used() -> float:
        spent = os.times()
        return spent.children_user + spent.children_system

    before = used()
    words = [sys.executable, "-m", "Departments", command, message_id, "--workspace", str(workspace)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return used() - before


# --- telling ---


@dataclass(frozen=True)
class Measured:
    """What was measured beside the tournament: a flush in seconds, the waits of watching in ms, the growth."""

    flush: float
    waits: tuple[float, float]
    grown: Sequence[tuple[int, float]]


def rates_of(entries: Sequence[Entry], make: type[Contestant], *, durable: bool) -> tuple[float, float, float]:
    return next(entry.measured for entry in entries if entry.make is make and entry.durable is durable)


def by_name(entries: Sequence[Entry], make: type[Contestant], *, durable: bool) -> float:
    return rates_of(entries, make, durable=durable)[2]


def targets(
    entries: Sequence[Entry], grown: Sequence[tuple[int, float]], found: Mapping[str, float]
) -> list[tuple[str, float, str, bool]]:
    """Return (what, measured, wanted, whether that was reached)."""
    ours, limit, same = (
        by_name(entries, each, durable=True) for each in (OursRemembered, TableAndFiles, SameStatements)
    )
    table, sure = (by_name(entries, peer, durable=True) for peer in (Table, MaildirSure))
    larger = grown[-1][1] / grown[0][1]
    beside = (("SQLite table", table, 0.7), ("Maildir with its folder flushed", sure, 1.3))
    return [
        *(
            (
                f"durable, one message a commit / {name} (limit {limit / peer:.2f}, nothing checked {same / peer:.2f})",
                ours / peer,
                f"≥ {wanted}",
                ours / peer >= wanted,
            )
            for name, peer, wanted in beside
        ),
        (f"cost of a message at {grown[-1][0]:,} waiting / at {grown[0][0]:,}", larger, "≤ 1.3", larger <= 1.3),
        *((f"`{command}` among {MANY:,} messages, s of CPU", cpu, "≤ 1", cpu <= 1) for command, cpu in found.items()),
    ]


def report(
    count: int, entries: Sequence[Entry], measured: Measured, rows: Sequence[tuple[str, float, str, bool]]
) -> str:
    """Write everything as Markdown; `rows` are the targets."""
    waits = measured.waits
    setting = (
        f"{count:,} messages of {len(codec.encode(message(0)))} bytes, {ROUNDS} alternating rounds, medians. "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"libyaml {'used' if front_matter.FAST_YAML else 'NOT used'}. To write and flush one small file took "
        f"{measured.flush * 1e3:.2f} ms. Absolute numbers drift; use the ratios.\n"
    )
    lines = [
        SECTION,
        setting,
        "| Messages a second | durable | publish | consume | both | both / Maildir |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for entry in entries:
        publish, consume, both = entry.measured
        ratio = both / by_name(entries, Maildir, durable=entry.durable)
        durable = "yes" if entry.durable else "no"
        lines.append(f"| {entry.name} | {durable} | {publish:,.0f} | {consume:,.0f} | {both:,.0f} | {ratio:.2f} |")
    lines += ["\n| Target | measured | wanted | |", "|---|--:|--:|---|"]
    lines += [
        f"| {what} | {value:.2f} | {wanted} | {'reached' if is_reached else 'MISSED'} |"
        for what, value, wanted, is_reached in rows
    ]
    lines += ["\n| Files waiting | µs a message, whole inbox handled |", "|--:|--:|"]
    lines += [f"| {waiting:,} | {cost:.1f} |" for waiting, cost in measured.grown]
    lines.append(
        f"\nWatch latency with archiving going on: median {waits[0]:.2f} ms, 99th percentile {waits[1]:.2f} ms,"
    )
    lines.append("from the rename into the inbox by another process to the call of the handler.\n")
    lines.append(NOTES)
    return "\n".join(lines)


NOTES = """\
How to read it: the peers parse the header with YAML's C loader, as readers of such files do; ours reads flat headers
without it (property tests hold both equal). Peers acknowledge by one rename; the "our parser" and "own interface" rows
show what these two choices are worth. A durable peer flushes each file and each acknowledgement. The library's Maildir
flushes no folder and loses its newest message in a power cut; "its folder flushed too" promises as much as ours.
Our bus flushes the ledger's commit, once to publish and once to handle, and no file: the ledger keeps a letter's text
until its files are flushed later, in one go. The SQLite table flushes as often and keeps nothing a person can read.
"The limit of the layout" is that table with the same files beside it, by code that can do nothing else: what each
target can be at most while every message has a commit of its own and files that a person can read. "Nothing checked"
runs the very statements of our bus and writes its marks and files, in straight lines: the rest of our bus's time goes
into knowing what a message is, whose it is, and what became of it before.
Fifty messages share a commit where what each of them changes follows from its own text alone, as in the Executive's
inbox; what leads to an order has a commit of its own. Only our bus keeps the sender's copy, orders by time, holds a
lock, and sets bad messages aside. Batches and the latency of watching have no target. On ext4 creating files is several
times slower where many were removed within the last five minutes: let the disk rest before measuring.
"""


def main(count: int) -> int:
    """Measure, print and write `benchmarks.md`, which says of every target whether it was reached."""
    place = new_place("bus")
    flush = flush_time(place / "flush")
    waits = latency(place, 1_000)  # first: a watcher's process has not handled half a million messages before
    entries = tournament(count, ROUNDS, place)
    measured = Measured(flush, waits, growth(place, ROUNDS))
    text = report(count, entries, measured, targets(entries, measured.grown, searches(place)))
    print(text)
    write_section(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
