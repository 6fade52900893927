"""Watching inboxes with real files and real events."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from Departments.core.errors import BrokerUnavailable, LedgerBusy
from Departments.core.platform.clock import SystemClock
from Departments.core.settings import MessagingSettings
from Departments.messaging import codec
from Departments.messaging.bus import Bus
from Departments.messaging.catalogue import Skip
from Departments.messaging.inbound import ConsumeReport
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.watcher import Watched, Watcher, hear, poll_every, try_events
from tests.builders.routing import router_of
from tests.builders.waiting import PATIENCE, until
from tests.fakes.memory import MemoryJournal

NOW = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


def approval(number: int) -> Message:
    return Message(
        message_id=f"MSG_EXECUTIVE_{NOW + timedelta(seconds=number // 100):%Y%m%dT%H%M%SZ}_{number:08x}",
        sender="EXECUTIVE",
        recipient="TRADING",
        timestamp=NOW + timedelta(seconds=number // 100),
        message_type="ExecutiveApproval",
        body=body_with("# Approval", {"ticker": "ACME", "shares": number}) + "\nend of text\n",
    )


class Desk:
    """A bus over real files, a handler that notes what it saw, and a watcher in a thread of its own."""

    def __init__(self, root: Path, *, rescan: float = 0.2, events: Callable[[], BaseObserver] = hear) -> None:
        self.root = root
        self.inbox = root / "Inbox" / "TRADING"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.bus = self.another_bus()
        self.seen: list[int] = []
        self.bodies: list[str] = []
        self.said: list[str] = []
        self.besides = 0
        self.reports: list[ConsumeReport] = []
        self.trouble: list[Exception] = []
        self.router = router_of("TRADING", {"ExecutiveApproval": self.handle, "RegimeUpdate": Skip("not ours")})
        self.watcher = Watcher(
            self.bus,
            root,
            [Watched(self.router, self.look_after)],
            rescan=rescan,
            events=events,
            notify=self.said.append,
            on_report=self.reports.append,
        )

    def another_bus(self) -> Bus:
        return Bus(Mailbox(self.root, durability="fast"), MemoryJournal(), SystemClock(), MessagingSettings())

    def handle(self, message: Message) -> None:
        if self.trouble:
            raise self.trouble.pop()
        payload = message.payload
        assert payload is not None
        self.seen.append(int(payload["shares"]))
        self.bodies.append(message.body)

    def look_after(self) -> None:
        self.besides += 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.thread = threading.Thread(target=self.watcher.run)
        self.thread.start()
        try:
            yield
        finally:
            self.watcher.stop()
            self.thread.join(PATIENCE)
            assert not self.thread.is_alive()

    def is_watching(self) -> bool:
        return any(text.startswith("Watching") for text in self.said)


def until_handled(desk: Desk, count: int, looks: int = 50) -> None:
    """Wait until so many messages are handled. Fails after `looks` in a row that handle none, however long it takes."""
    handled, looked = -1, 0
    while len(desk.seen) < count:
        if len(desk.seen) > handled:
            handled, looked = len(desk.seen), desk.besides
        assert desk.besides <= looked + looks, f"{handled} of {count} handled"
        assert desk.thread.is_alive()
        SystemClock().sleep(0.002)


def test_the_backlog_is_handled_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=60)
    for number in (3, 1, 2):
        desk.bus.publish(approval(number))
    with desk.watching():
        until(lambda: len(desk.seen) == 3)
    assert desk.seen == [1, 2, 3]
    assert list(desk.inbox.iterdir()) == []


def test_a_watcher_settles_what_was_delivered_before_it_came(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.bus.publish(replace(approval(1), recipient="RISK"))
    with desk.watching():
        until(lambda: not desk.bus.journal.pending(1) and not desk.bus.journal.list_unsettled(0, 1))


def test_a_published_message_is_handled_by_its_event_not_by_the_clock(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=60)
    with desk.watching():
        until(desk.is_watching)
        desk.another_bus().publish(approval(1))
        until(lambda: desk.seen == [1])
    assert (desk.reports[0].department, desk.reports[0].handled) == ("TRADING", 1)


def test_a_file_that_is_moved_in_is_handled(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "messages", rescan=60)
    (tmp_path / "elsewhere.md").write_bytes(codec.encode(approval(1)))
    with desk.watching():
        until(desk.is_watching)
        (tmp_path / "elsewhere.md").rename(desk.inbox / "elsewhere.md")
        until(lambda: desk.seen == [1])


def test_a_file_that_is_created_and_written_in_place_is_handled_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=60)
    with desk.watching():
        until(desk.is_watching)
        for number in range(20):
            (desk.inbox / approval(number).name).write_bytes(codec.encode(approval(number)))
        until(lambda: len(desk.seen) >= 20)
    assert sorted(desk.seen) == list(range(20))


@pytest.mark.parametrize("part", ["in the header", "in the payload", "after the payload"])
def test_a_file_that_is_written_slowly_is_handled_only_when_it_is_complete(tmp_path: Path, part: str) -> None:
    data = codec.encode(approval(1))
    cut = {"in the header": 60, "in the payload": data.index(b"shares"), "after the payload": len(data) - 5}[part]
    desk = Desk(tmp_path, rescan=0.05)
    with desk.watching():
        until(desk.is_watching)
        with (desk.inbox / approval(1).name).open("wb") as file:
            file.write(data[:cut])
            file.flush()
            looks = desk.besides
            until(
                lambda: desk.besides >= looks + 8
            )  # it was looked at again and again for longer than the quiet period
            assert desk.seen == []
            file.write(data[cut:])
        until(lambda: len(desk.seen) > 0)
    assert desk.bodies == [approval(1).body]
    assert not (tmp_path / "Dead_Letter").exists()


def test_a_file_that_is_closed_half_written_and_opened_again_is_not_condemned_meanwhile(tmp_path: Path) -> None:
    data = codec.encode(approval(1))
    desk = Desk(tmp_path, rescan=0.02)
    with desk.watching():
        until(desk.is_watching)
        path = desk.inbox / approval(1).name
        path.write_bytes(data[:60])
        looks = desk.besides
        until(lambda: desk.besides >= looks + 2)
        with path.open("ab") as file:
            file.write(data[60:])
        until(lambda: len(desk.seen) > 0)
    assert desk.bodies == [approval(1).body]
    assert not (tmp_path / "Dead_Letter").exists()


def test_a_file_that_never_becomes_a_message_is_set_aside(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.watching():
        until(desk.is_watching)
        (desk.inbox / "odd.md").write_bytes(b"hello")
        until((tmp_path / "Dead_Letter" / "TRADING" / "odd.md").exists)
    assert (tmp_path / "Dead_Letter" / "TRADING" / "odd.md.reason.yaml").exists()


@pytest.mark.parametrize("count", [1_000, pytest.param(5_000, marks=pytest.mark.soak)])
def test_a_burst_of_files_loses_none(tmp_path: Path, count: int) -> None:
    desk = Desk(tmp_path)
    with desk.watching():
        until(desk.is_watching)
        for number in range(count):
            (desk.inbox / approval(number).name).write_bytes(codec.encode(approval(number)))
        until_handled(desk, count)
    assert sorted(desk.seen) == list(range(count))
    assert list(desk.inbox.iterdir()) == []


@pytest.mark.parametrize("polling", [False, True])
def test_lost_events_are_made_up_for_by_the_clock(tmp_path: Path, *, polling: bool) -> None:
    class Deaf(Watcher):
        def _observe(self, held: ExitStack) -> None:
            """Hear nothing."""

    desk = Desk(tmp_path, events=poll_every(0.2) if polling else hear)
    if not polling:
        desk.watcher = Deaf(desk.bus, tmp_path, [Watched(desk.router)], rescan=0.05, notify=desk.said.append)
    with desk.watching():
        until(desk.is_watching)
        desk.another_bus().publish(approval(1))
        until(lambda: desk.seen == [1])


def test_without_file_events_the_inboxes_are_read_by_the_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> BaseObserver:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    desk = Desk(tmp_path, rescan=0.05, events=refuse)
    with desk.watching():
        until(desk.is_watching)
        desk.another_bus().publish(approval(1))
        until(lambda: desk.seen == [1])
    assert "The system gives no file events (this program has too many open files); inboxes are read" in caplog.text


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists a program's open files there")
def test_a_try_of_the_file_events_leaves_none_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert try_events().endswith("Observer")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_failure_that_may_pass_is_tried_again_when_it_is_due(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=60)
    desk.trouble = [BrokerUnavailable("no answer")]
    desk.bus.publish(approval(1))
    with desk.watching():
        until(lambda: desk.seen == [1])


def test_trouble_with_the_rest_of_the_desk_does_not_end_the_watch(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=0.02)

    def besides() -> None:
        desk.besides += 1
        raise LedgerBusy("locked")

    desk.watcher = Watcher(desk.bus, tmp_path, [Watched(desk.router, besides)], rescan=0.02, notify=desk.said.append)
    with desk.watching():
        until(lambda: desk.besides > 3)
        desk.another_bus().publish(approval(1))
        until(lambda: desk.seen == [1])


def test_a_second_watcher_waits_its_turn_and_reports_it(tmp_path: Path) -> None:
    first, second = Desk(tmp_path), Desk(tmp_path)
    with ExitStack() as stack:
        with first.watching():
            until(first.is_watching)
            stack.enter_context(second.watching())
            until(lambda: len(second.said) > 0)
            assert second.said == ["Another process handles the inbox of TRADING; waiting for its turn to end"]
        until(second.is_watching)
        second.another_bus().publish(approval(1))
        until(lambda: second.seen == [1])
    assert first.seen == []


def test_what_is_free_is_watched_while_another_inbox_is_waited_for(tmp_path: Path) -> None:
    first, second = Desk(tmp_path), Desk(tmp_path)
    seen: list[str] = []
    risk = router_of("RISK", {"log": lambda message: seen.append(message.message_id)})
    second.watcher = Watcher(
        second.bus, tmp_path, [Watched(second.router), Watched(risk)], rescan=60, notify=second.said.append
    )
    with first.watching():
        until(first.is_watching)
        with second.watching():
            until(second.is_watching)
            assert second.said == [
                "Another process handles the inbox of TRADING; waiting for its turn to end",
                "Watching RISK",
            ]
            second.another_bus().publish(Message("MSG_1", "TRADING", "RISK", NOW, "log", "# Log\n"))
            until(lambda: seen == ["MSG_1"])
            first.another_bus().publish(approval(1))
            until(lambda: first.seen == [1])
    assert second.seen == []


def test_messages_that_keep_coming_do_not_hold_up_what_goes_by_the_clock(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rescan=0.1)
    with desk.watching():
        until(desk.is_watching)
        bus, number, before = desk.another_bus(), 0, desk.besides
        while desk.besides < before + 3:
            number += 1
            assert number < 300, "the rest of the desk had no turn"
            bus.publish(approval(number))
            SystemClock().sleep(0.01)


def test_a_waiting_watcher_can_be_stopped(tmp_path: Path) -> None:
    first, second = Desk(tmp_path), Desk(tmp_path)
    with first.watching():
        until(first.is_watching)
        with second.watching():
            until(lambda: bool(second.said))
    assert not second.is_watching()


CHILD = """
import sys, time
from pathlib import Path
from Departments.core.platform.clock import SystemClock
from Departments.core.settings import MessagingSettings
from Departments.messaging.bus import Bus
from Departments.messaging.mailbox import Mailbox
from tests.fakes.memory import MemoryJournal
from Departments.core.platform.signals import stop_on_signals
from Departments.messaging.watcher import Watched, Watcher
from tests.builders.routing import router_of

root = Path(sys.argv[1])

def handle(message):
    print("begun", flush=True)
    SystemClock().sleep(0.5)
    print("done", flush=True)

bus = Bus(Mailbox(root), MemoryJournal(), SystemClock(), MessagingSettings())
watcher = Watcher(bus, root, [Watched(router_of("TRADING", {"ExecutiveApproval": handle}))], notify=lambda text: None)
with stop_on_signals(watcher.stop):
    watcher.run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to a child there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_lets_the_message_in_hand_be_finished(tmp_path: Path, name: str) -> None:
    bus = Desk(tmp_path).bus
    for each in (1, 2):
        bus.publish(approval(each))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, os.fspath(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    child.send_signal(getattr(signal, name))
    out, _ = child.communicate(timeout=PATIENCE)
    assert (out, child.returncode) == ("done\n", 0)
    assert [path.name for path in (tmp_path / "Inbox" / "TRADING").iterdir()] == [approval(2).name]
