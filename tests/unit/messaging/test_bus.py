"""Who handles a message and what becomes of its file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import walk_stack

import pytest

from Departments.core.errors import (
    BadInput,
    BrokerUnavailable,
    LedgerBusy,
    MessageConflict,
    PublishError,
    UnreadableMessage,
)
from Departments.core.platform.clock import SimulatedClock
from Departments.core.settings import MessagingSettings
from Departments.ledger.journal import TABLES, LedgerJournal
from Departments.ledger.sqlite import SqliteDatabase
from Departments.ledger.tables import Table
from Departments.messaging import codec, failures
from Departments.messaging.bus import Bus
from Departments.messaging.catalogue import Skip
from Departments.messaging.inbound import ConsumeReport
from Departments.messaging.looker import Found, State
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.outbound import letter_of
from Departments.messaging.ports import Letter
from Departments.messaging.retries import pause
from Departments.messaging.router import Commit
from tests.builders.routing import router_of
from tests.fakes.memory import MemoryJournal, MemoryMailbox

Handling = Callable[[Message], Commit | None]
NOW = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


def approval(number: int = 1, *, at: datetime = NOW, kind: str = "ExecutiveApproval", to: str = "TRADING") -> Message:
    stamp = f"{at:%Y%m%dT%H%M%SZ}"
    return Message(
        message_id=f"MSG_EXECUTIVE_{stamp}_{number:08x}",
        sender="EXECUTIVE",
        recipient=to,
        timestamp=at,
        message_type=kind,
        body=body_with("# Executive Approval", {"ticker": "ACME", "shares": number}),
    )


class Desk:
    """A bus over the in-memory twins, and what its handler saw."""

    def __init__(self, handler: Handling | None = None, *, max_attempts: int = 5) -> None:
        self.clock = SimulatedClock(NOW)
        self.mailbox = MemoryMailbox()
        self.journal = MemoryJournal()
        self.bus = Bus(self.mailbox, self.journal, self.clock, MessagingSettings(max_attempts=max_attempts))
        self.seen: list[str] = []
        self.effects: list[str] = []
        rows: dict[str, Handling | Skip] = {
            "ExecutiveApproval": handler or self.handle,
            "RegimeUpdate": Skip("Trading does not act on the regime"),
        }
        self.router = router_of("TRADING", rows)

    def handle(self, message: Message) -> Commit:
        self.seen.append(message.message_id)
        return lambda: self.effects.append(message.message_id)

    def consume(self, **options: Callable[[], bool]) -> ConsumeReport:
        return self.bus.consume("TRADING", self.router, **options)  # type: ignore[arg-type]

    def reason(self) -> dict[str, object]:
        (text,) = self.mailbox.reasons.values()
        return codec.load_mapping(text)


def test_a_published_message_is_handled_and_archived_under_the_trading_day() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    report = desk.consume()
    assert (report.handled, report.total) == (1, 1)
    assert desk.effects == [approval().message_id]
    assert list(desk.mailbox.archived) == [("2025-11-10", "TRADING", approval().name)]
    assert desk.mailbox.inbox == {}


def test_the_archive_day_is_the_exchanges_not_the_clocks() -> None:
    desk = Desk()
    desk.clock = desk.bus.clock = SimulatedClock(datetime(2025, 11, 11, 2, tzinfo=UTC))
    desk.bus.publish(approval())
    desk.consume()
    assert list(desk.mailbox.archived) == [("2025-11-10", "TRADING", approval().name)]


def test_messages_are_handled_by_time_then_id() -> None:
    desk = Desk()
    second = timedelta(seconds=1)
    late = approval(1, at=NOW + second)
    early = approval(9, at=NOW)
    same_second_earlier = approval(8, at=NOW - timedelta(microseconds=1) + second)
    tie = approval(7, at=NOW)
    for message in (late, early, same_second_earlier, tie):
        desk.bus.publish(message)
    desk.consume()
    assert desk.seen == [m.message_id for m in (tie, early, same_second_earlier, late)]


def test_names_without_a_time_are_ordered_by_their_headers() -> None:
    desk = Desk()
    for name, at in (("a.md", NOW + timedelta(hours=1)), ("b.md", NOW), ("c.md", NOW + timedelta(minutes=30))):
        message = approval(at=at)
        desk.mailbox.put("TRADING", name, codec.encode(message).replace(message.message_id.encode(), name.encode()))
    desk.bus.publish(approval(5, at=NOW + timedelta(minutes=10)))
    desk.consume()
    assert desk.seen == ["b.md", approval(5, at=NOW + timedelta(minutes=10)).message_id, "c.md", "a.md"]


def test_a_handled_message_that_appears_again_has_no_second_effect() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    desk.consume()
    desk.mailbox.put("TRADING", approval().name, codec.encode(approval()))
    report = desk.consume()
    assert (report.handled, report.duplicates) == (0, 1)
    assert len(desk.effects) == 1
    assert desk.mailbox.inbox == {}
    assert len(desk.mailbox.archived) == 1


def test_a_letter_that_was_handled_and_comes_again_altered_is_a_dead_letter() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    desk.consume()
    desk.mailbox.put("TRADING", approval().name, codec.encode(approval()).replace(b"ACME", b"EVIL"))
    assert desk.consume().dead_lettered == 1
    assert desk.reason()["code"] == "NOT_DECIDED_HERE"
    assert len(desk.effects) == 1


def test_a_stranger_id_that_was_handled_is_a_dead_letter_with_other_content() -> None:
    desk = Desk()
    desk.mailbox.put("TRADING", approval().name, codec.encode(approval()))
    desk.consume()
    desk.mailbox.put("TRADING", approval().name, codec.encode(approval()).replace(b"ACME", b"EVIL"))
    assert desk.consume().dead_lettered == 1
    assert desk.reason()["code"] == "MESSAGE_CONFLICT"
    assert desk.effects == [approval().message_id]


def test_a_skipped_type_is_archived_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    for number in range(3):
        desk.bus.publish(approval(number, kind="RegimeUpdate"))
    with caplog.at_level(logging.DEBUG):
        report = desk.consume()
    assert (report.skipped, report.handled, report.dead_lettered) == (3, 0, 0)
    levels = [record.levelno for record in caplog.records]
    assert (levels.count(logging.INFO), levels.count(logging.DEBUG)) == (1, 3)
    assert desk.journal.disposition("TRADING", approval(0, kind="RegimeUpdate").message_id) is not None


def test_an_alias_leads_to_the_same_handler() -> None:
    desk = Desk()
    desk.bus.publish(approval(kind="execution_request"))
    assert desk.consume().handled == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [(approval(kind="Gossip"), "UNKNOWN_TYPE"), (approval(to="RISK"), "MISADDRESSED")],
)
def test_what_no_handler_is_for_is_a_dead_letter_and_the_rest_is_handled(message: Message, code: str) -> None:
    desk = Desk()
    desk.mailbox.put("TRADING", "MSG_X_20251110T150911Z_1.md", codec.encode(message))
    desk.bus.publish(approval(2))
    report = desk.consume()
    assert (report.dead_lettered, report.handled) == (1, 1)
    reason = desk.reason()
    assert reason["code"] == code
    assert reason["attempts"] == 1
    assert reason["first_time"] == reason["last_time"] == "2025-11-10T15:09:12.000000Z"


def test_an_unreadable_file_is_a_dead_letter_with_its_reason() -> None:
    desk = Desk()
    desk.mailbox.put("TRADING", "odd.md", b"hello")
    assert desk.consume().dead_lettered == 1
    reason = desk.reason()
    assert reason["code"] == "UNREADABLE"
    assert reason["sentence"] == "odd.md: the file has neither front matter nor a regime title"
    assert "Traceback" in str(reason["traceback"]) or "UnreadableMessage" in str(reason["traceback"])


def test_a_file_that_is_too_large_is_a_dead_letter() -> None:
    desk = Desk()
    desk.mailbox.max_bytes = 10
    desk.mailbox.put("TRADING", "big.md", b"x" * 11)
    desk.consume()
    assert "larger than 10 bytes" in str(desk.reason()["sentence"])


def test_dead_letters_escalate_once_for_each_cause_and_day() -> None:
    desk = Desk()
    for name in ("a.md", "b.md", "c.md"):
        desk.mailbox.put("TRADING", name, b"hello")
    desk.mailbox.put("TRADING", "d.md", codec.encode(approval(kind="Gossip")))
    desk.consume()
    escalations = desk.bus.waiting("EXECUTIVE")
    assert sorted(m.body.splitlines()[0] for m in escalations) == [
        "# DEAD LETTER: TRADING (UNKNOWN_TYPE)",
        "# DEAD LETTER: TRADING (UNREADABLE)",
    ]
    assert {(m.message_type, m.sender) for m in escalations} == {("escalation", "TRADING")}
    desk.clock.sleep(24 * 3600)
    desk.mailbox.put("TRADING", "e.md", b"hello")
    desk.consume()
    assert len(desk.bus.waiting("EXECUTIVE")) == 3


def test_a_failure_that_may_pass_is_tried_again_after_a_pause() -> None:
    troubles: list[Exception] = [LedgerBusy("locked"), BrokerUnavailable("no answer")]

    def handler(message: Message) -> None:
        if troubles:
            raise troubles.pop()

    desk = Desk(handler)
    desk.bus.publish(approval())
    first = desk.consume()
    assert (first.left, first.retry_at) == (1, NOW + timedelta(seconds=1))
    assert desk.consume().left == 1
    assert len(troubles) == 1
    desk.clock.sleep(1)
    assert desk.consume().retry_at == NOW + timedelta(seconds=3)
    desk.clock.sleep(2)
    assert desk.consume().handled == 1
    assert desk.journal.failures("TRADING") == {}


def test_a_clock_that_was_set_back_does_not_prolong_the_pause() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    desk.journal.count_failure("TRADING", approval().message_id, NOW + timedelta(hours=3))
    assert desk.consume().handled == 1


def test_after_the_last_attempt_a_message_is_a_dead_letter_with_its_attempts() -> None:
    def handler(message: Message) -> None:
        raise BrokerUnavailable("no answer")

    desk = Desk(handler, max_attempts=3)
    desk.bus.publish(approval())
    for _ in range(3):
        report = desk.consume()
        desk.clock.sleep(60)
    assert report.dead_lettered == 1
    reason = desk.reason()
    assert (reason["code"], reason["attempts"]) == ("HANDLER_FAILED", 3)
    assert reason["first_time"] == "2025-11-10T15:09:12.000000Z"
    assert reason["last_time"] == "2025-11-10T15:11:12.000000Z"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x.md", "shares", "is negative", "give a positive number"), "INVALID_PAYLOAD"),
        (UnreadableMessage("the payload is not JSON"), "UNREADABLE"),
        (KeyError("ticker"), "HANDLER_ERROR"),
    ],
)
def test_a_failure_that_will_not_pass_is_a_dead_letter_at_once(error: Exception, code: str) -> None:
    def handler(message: Message) -> None:
        raise error

    desk = Desk(handler)
    desk.bus.publish(approval())
    assert desk.consume().dead_lettered == 1
    assert desk.reason()["code"] == code


def test_the_effect_and_the_remembered_id_are_one_transaction() -> None:
    def handler(message: Message) -> Commit:
        def commit() -> None:
            desk.bus.enqueue(approval(7, to="RISK"))
            raise LedgerBusy("locked")

        return commit

    desk = Desk(handler)
    desk.bus.publish(approval())
    assert desk.consume().left == 1
    assert desk.journal.disposition("TRADING", approval().message_id) is None
    assert desk.bus.deliver_pending() == 0
    assert desk.bus.waiting("RISK") == []


def test_what_a_handler_enqueues_is_delivered_after_its_commit() -> None:
    def handler(message: Message) -> Commit:
        return lambda: desk.bus.enqueue(approval(7, to="RISK"))

    desk = Desk(handler)
    desk.bus.publish(approval())
    desk.consume()
    assert [m.message_id for m in desk.bus.waiting("RISK")] == [approval(7).message_id]


class Post(MemoryMailbox):
    """A mailbox that notes how many letters were published together, can be full and can be out of some's reach."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[int] = []
        self.full = False
        self.out_of_reach: set[str] = set()

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        if self.full:
            raise PublishError("the disk is full")
        if lost := self.out_of_reach & {letter.recipient for letter in letters}:
            raise PublishError(f"{min(lost)} cannot be written")
        super().publish(letters, again=again)
        self.published.append(len(letters))


def sending(messages: int, letters: int, to: str = "RISK") -> tuple[Desk, Post]:
    """Return a desk with so many messages waiting, for each of which its handler sends some letters."""

    def handler(message: Message) -> Commit:
        def commit() -> None:
            for letter in range(letters):
                desk.bus.enqueue(approval(int(message.message_id[-8:], 16) * 1_000 + letter, to=to))

        return commit

    desk, post = Desk(handler), Post()
    desk.mailbox = post
    desk.bus = Bus(post, desk.journal, desk.clock, MessagingSettings())
    for number in range(messages):
        desk.bus.publish(approval(number + 1))
    post.published.clear()
    return desk, post


@pytest.mark.parametrize(
    ("messages", "letters", "published"), [(16, 2, [32]), (60, 1, [50, 10]), (3, 40, [50, 30, 40]), (2, 0, [])]
)
def test_what_a_pass_sends_is_delivered_together_but_not_held_back_when_it_is_much(
    messages: int, letters: int, published: list[int]
) -> None:
    desk, post = sending(messages, letters)
    assert desk.consume().handled == messages
    assert post.published == published
    assert len(desk.bus.waiting("RISK")) == messages * letters


@pytest.mark.parametrize("letters", [1, 60])
def test_letters_that_cannot_be_delivered_wait_for_the_next_pass(
    letters: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk, post = sending(1, letters, to="EXECUTIVE")
    post.full = True
    report = desk.consume()
    assert (report.handled, report.left, report.retry_at) == (1, 0, NOW + pause(1))
    assert "the disk is full" in caplog.text
    assert len(post.archived) == 1
    post.full = False
    assert desk.consume().total == 0
    assert len(desk.bus.waiting("EXECUTIVE")) == letters


def written_to(desk: Desk, *recipients: str) -> None:
    with desk.journal.transaction():
        for number, recipient in enumerate(recipients):
            desk.bus.enqueue(approval(number, to=recipient))


def test_a_department_that_cannot_be_reached_holds_up_no_letters_to_others(caplog: pytest.LogCaptureFixture) -> None:
    desk, post = sending(0, 0)
    post.out_of_reach = {"PORTFOLIO", "RISK"}
    written_to(desk, *["PORTFOLIO"] * 120, "EXECUTIVE", "RISK", "COMPLIANCE", "PORTFOLIO")
    assert desk.bus.deliver_pending() == 2
    assert [len(desk.bus.waiting(who)) for who in ("EXECUTIVE", "COMPLIANCE", "PORTFOLIO", "RISK")] == [1, 1, 0, 0]
    assert desk.bus.deliver_pending() == 0
    assert [record.message for record in caplog.records] == [
        "Messages to PORTFOLIO wait until they can be delivered: PORTFOLIO cannot be written",
        "Messages to RISK wait until they can be delivered: RISK cannot be written",
    ]
    post.out_of_reach = {"RISK"}
    assert desk.bus.deliver_pending() == 121
    post.out_of_reach = set()
    assert desk.bus.deliver_pending() == 1


def test_a_department_of_our_own_that_cannot_be_reached_is_an_error_after_the_others_were_served() -> None:
    desk, post = sending(0, 0)
    post.out_of_reach = {"TRADING"}
    written_to(desk, "TRADING", "EXECUTIVE", "RISK")
    with pytest.raises(PublishError, match="TRADING cannot be written"):
        desk.bus.deliver_pending()
    assert [len(desk.bus.waiting(who)) for who in ("EXECUTIVE", "RISK", "TRADING")] == [1, 1, 0]
    post.out_of_reach = set()
    assert desk.bus.deliver_pending() == 1


def test_what_was_enqueued_and_not_delivered_is_delivered_at_the_next_start() -> None:
    desk = Desk()
    with desk.journal.transaction():
        for number in range(120):
            desk.bus.enqueue(approval(number, to="RISK"))
    again = Bus(desk.mailbox, desk.journal, desk.clock, MessagingSettings())
    assert again.deliver_pending() == 120
    assert len(again.waiting("RISK")) == 120
    assert again.deliver_pending() == 0


def test_a_letter_whose_name_a_stranger_has_taken_is_delivered_beside_it_and_holds_up_no_others() -> None:
    desk = Desk()
    desk.mailbox.put("RISK", approval(1).name, b"something else")
    written_to(desk, "RISK", "RISK", "RISK")
    desk.bus.deliver_pending()
    assert sorted(desk.bus.waiting("RISK"), key=lambda m: m.message_id) == [approval(n, to="RISK") for n in range(3)]
    assert f"{approval(1).message_id}.2.md" in desk.mailbox.waiting("RISK")
    assert desk.mailbox.inbox["RISK", approval(1).name] == b"something else"
    desk.bus.close()
    assert desk.journal.pending(10) == []


def test_a_letter_with_the_longest_name_is_delivered_beside_another_too() -> None:
    desk = Desk()
    letter = replace(approval(to="RISK"), message_id="A" * 147)
    desk.mailbox.put("RISK", letter.name, b"something else")
    with desk.journal.transaction():
        desk.bus.enqueue(letter)
    assert desk.bus.deliver_pending() == 1
    assert desk.bus.waiting("RISK") == [letter]


def test_two_messages_of_one_id_have_one_effect_and_a_dead_letter() -> None:
    desk = Desk()
    desk.mailbox.put("TRADING", approval().name, codec.encode(replace(approval(), body="# Other")))
    with desk.journal.transaction():
        desk.bus.enqueue(approval())
    report = desk.consume()
    assert (report.handled, report.dead_lettered) == (1, 1)
    assert desk.reason()["code"] == "NOT_DECIDED_HERE"


def test_publishing_the_same_id_with_other_content_is_an_error() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    desk.bus.publish(approval())
    with pytest.raises(MessageConflict):
        desk.bus.publish(approval(kind="Gossip"))


def test_an_id_that_could_leave_the_folder_is_refused_before_anything_is_committed() -> None:
    desk = Desk()
    message = Message("../../x", "EXECUTIVE", "TRADING", NOW, "log", "")
    with pytest.raises(PublishError), desk.journal.transaction():
        desk.bus.enqueue(message)
    assert desk.journal.pending(1) == []


class Contested(MemoryMailbox):
    """An inbox that somebody else has until the moment it is ours, and into which a message comes meanwhile."""

    @contextmanager
    def holding(self, department: str, *, wait: float) -> Iterator[bool]:
        """Let the message arrive, then be held."""
        self.publish([letter_of(approval(2))])
        yield False


def test_what_comes_while_another_consumer_is_waited_for_is_handled_too() -> None:
    desk = Desk()
    bus = Bus(Contested(), desk.journal, desk.clock, MessagingSettings())
    bus.publish(approval(1))
    assert bus.consume("TRADING", desk.router).handled == 2


def test_a_pass_stops_between_messages_when_asked() -> None:
    desk = Desk()
    for number in range(3):
        desk.bus.publish(approval(number))
    report = desk.consume(stop=lambda: len(desk.seen) == 2)
    assert report.handled == 2
    assert len(desk.bus.waiting("TRADING")) == 1


def test_what_fails_after_the_commit_is_made_up_for_by_the_next_pass() -> None:
    class Stubborn(MemoryMailbox):
        refuses = True

        def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
            if self.refuses:
                raise PermissionError(13, "in use")
            return super().archive(department, name, day, flush=flush)

    desk = Desk()
    stubborn = Stubborn()
    desk.mailbox = stubborn
    desk.bus = Bus(desk.mailbox, desk.journal, desk.clock, MessagingSettings())
    desk.bus.publish(approval())
    assert desk.consume().left == 1
    stubborn.refuses = False
    assert desk.consume().duplicates == 1
    assert len(desk.effects) == 1
    assert desk.mailbox.inbox == {}


def test_a_message_is_found_wherever_it_lies() -> None:
    desk = Desk()
    desk.bus.publish(approval())
    desk.consume()
    assert desk.bus.find(approval().message_id) == approval()
    assert desk.bus.find("MSG_NOBODY") is None


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [pause(n).total_seconds() for n in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]


def test_a_batch_shares_one_commit_and_a_failing_effect_fails_alone() -> None:
    effects: list[str] = []

    def handler(message: Message) -> Commit:
        def commit() -> None:
            if message.message_id == approval(2).message_id:
                raise LedgerBusy("locked")
            effects.append(message.message_id)

        return commit

    desk = Desk(handler)
    for number in range(5):
        desk.bus.publish(approval(number))
    report = desk.bus.consume("TRADING", desk.router, batch=3)
    assert (report.handled, report.left) == (4, 1)
    remembered = [number for number in range(5) if desk.journal.disposition("TRADING", approval(number).message_id)]
    assert remembered == [0, 1, 3, 4]
    assert [m.message_id for m in desk.bus.waiting("TRADING")] == [approval(2).message_id]


def test_the_same_id_twice_within_a_batch_has_one_effect() -> None:
    desk = Desk()
    for name in ("MSG_A_20251110T150912Z_1.md", "MSG_A_20251110T150912Z_2.md"):
        desk.mailbox.put("TRADING", name, codec.encode(approval()))
    report = desk.bus.consume("TRADING", desk.router, batch=10)
    assert (report.handled, report.duplicates) == (1, 1)
    assert desk.seen == desk.effects == [approval().message_id]


def order_of_work(count: int, *, takes: float, subject: str = "") -> str:
    """Return in which order messages are acted on (a digit) and committed (in brackets), in batches of ten."""

    def handler(message: Message) -> Commit:
        done.append(message.message_id[-1])
        desk.clock.sleep(takes)
        return lambda: effects.append(message.message_id[-1])

    @contextmanager
    def noting() -> Iterator[None]:
        with transaction():
            yield
        if effects:
            done.append(f"({''.join(effects)})")
            effects.clear()

    desk, done, effects = Desk(handler), list[str](), list[str]()
    transaction = desk.journal.transaction
    desk.journal.transaction = noting  # type: ignore[method-assign]
    desk.router.subject = lambda _: subject
    for number in range(count):
        desk.bus.publish(approval(number))
    desk.bus.consume("TRADING", desk.router, batch=10)
    return "".join(done)


def test_a_batch_commits_what_has_waited_for_a_second() -> None:
    assert order_of_work(4, takes=0) == "0123(0123)"
    assert order_of_work(4, takes=0.4) == "012(012)3(3)"


def test_messages_about_one_subject_share_no_commit() -> None:
    assert order_of_work(3, takes=0, subject="ALKS") == "0(0)1(1)2(2)"


class CountingJournal(MemoryJournal):
    """Notes how many ids each question was about."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[int] = []

    def dispositions(self, department: str, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        self.questions.append(len(set(message_ids)))
        return super().dispositions(department, message_ids)


def test_the_journal_is_asked_once_for_all_messages_of_a_second_and_anew_for_one_that_comes_again() -> None:
    desk = Desk()
    journal = CountingJournal()
    bus = Bus(desk.mailbox, journal, desk.clock, desk.bus.settings)
    for number in range(5):
        bus.publish(approval(number))
    desk.mailbox.put("TRADING", "MSG_AGAIN_20251110T150912Z_1.md", codec.encode(approval(3)))
    bus.publish(approval(9, at=NOW + timedelta(seconds=1)))
    report = bus.consume("TRADING", desk.router)
    assert (report.handled, report.duplicates) == (6, 1)
    assert journal.questions == [5, 1, 1]


@dataclass(frozen=True)
class Effect:
    message_id: str


@pytest.mark.parametrize("batch", [1, 10])
def test_a_message_that_a_pass_within_the_pass_handled_has_no_second_effect(tmp_path: Path, batch: int) -> None:
    def handler(message: Message) -> Commit:
        seen.append(message.message_id)
        if len(seen) == 2:
            inner.append(bus.consume("TRADING", router))

        def commit() -> None:
            database.execute("INSERT INTO effects VALUES (?)", (message.message_id,))

        return commit

    seen: list[str] = []
    inner: list[ConsumeReport] = []
    router = router_of("TRADING", {"ExecutiveApproval": handler})
    database = SqliteDatabase(tmp_path / "sentinel.db", [*TABLES, Table("effects", Effect)])
    bus = Bus(Mailbox(tmp_path), LedgerJournal(database), SimulatedClock(NOW), MessagingSettings())
    bus.publish_all([approval(number) for number in range(4)])
    bus.consume("TRADING", router, batch=batch)
    effects = sorted(row[0] for row in database.rows("SELECT * FROM effects"))
    database.close()
    assert inner[0].handled >= 3
    assert effects == [approval(number).message_id for number in range(4)]
    assert bus.waiting("TRADING") == []


def test_a_revived_dead_letter_has_all_its_attempts_again(tmp_path: Path) -> None:
    troubles = [BrokerUnavailable("no answer")] * 3

    def handler(message: Message) -> None:
        if troubles:
            raise troubles.pop()

    desk, mailbox = Desk(handler, max_attempts=2), Mailbox(tmp_path)
    desk.bus = Bus(mailbox, desk.journal, desk.clock, desk.bus.settings)
    desk.bus.publish(approval())
    desk.consume()
    desk.clock.sleep(60)
    assert desk.consume().dead_lettered == 1
    (letter,) = failures.list_dead_letters(tmp_path)
    failures.revive(mailbox, desk.journal, letter, "2025-11-10", NOW)
    assert desk.consume().left == 1
    desk.clock.sleep(60)
    assert desk.consume().handled == 1


def test_an_interrupt_is_not_taken_for_a_failure(tmp_path: Path) -> None:
    def handler(message: Message) -> None:
        raise KeyboardInterrupt

    desk = Desk(handler)
    desk.mailbox.publish([Letter(approval().name, "EXECUTIVE", "TRADING", codec.encode(approval()))])
    with pytest.raises(KeyboardInterrupt):
        desk.consume()
    assert desk.mailbox.waiting("TRADING") == [approval().name]


# --- durability ---


def test_a_question_that_cannot_be_delivered_was_never_sent() -> None:
    desk, post = sending(0, 0)
    post.out_of_reach = {"RISK"}
    with pytest.raises(PublishError, match="RISK cannot be written"):
        desk.bus.publish(approval(1, to="RISK"))
    post.out_of_reach = set()
    assert desk.bus.deliver_pending() == 0
    desk.bus.publish(approval(1, to="RISK"))
    assert desk.bus.waiting("RISK") == [approval(1, to="RISK")]


def test_a_delivered_letter_that_is_sent_again_is_not_withdrawn() -> None:
    desk, post = sending(0, 0)
    desk.bus.publish(approval(1, to="RISK"))
    post.out_of_reach = {"RISK"}
    desk.bus.publish(approval(1, to="RISK"))
    with pytest.raises(PublishError, match="RISK cannot be written"):
        desk.bus.publish_all([approval(1, to="RISK"), approval(2, to="RISK")])
    assert desk.journal.digests_of([approval(1).name])
    assert not desk.journal.digests_of([approval(2).name])


def test_a_question_is_sent_although_another_department_cannot_be_reached() -> None:
    desk, post = sending(0, 0)
    post.out_of_reach = {"EXECUTIVE"}
    written_to(desk, "EXECUTIVE")
    desk.bus.publish(approval(5, to="RISK"))
    assert desk.bus.waiting("RISK") == [approval(5, to="RISK")]
    post.out_of_reach = set()
    assert desk.bus.deliver_pending() == 1


def test_what_the_files_lost_is_delivered_again_by_the_next_start_only() -> None:
    desk = Desk()
    desk.bus.publish(approval(1, to="RISK"))
    desk.bus.close()
    desk.mailbox.inbox.clear()
    desk.mailbox.outbox.clear()
    desk.bus.deliver_pending()
    assert desk.bus.waiting("RISK") == []
    again = Bus(desk.mailbox, desk.journal, desk.clock, MessagingSettings())
    again.deliver_pending()
    assert again.waiting("RISK") == [approval(1, to="RISK")]


def test_a_letter_is_settled_when_it_is_delivered_to_others_or_has_left_our_inbox() -> None:
    desk = Desk()
    for to in ("RISK", "TRADING"):
        desk.bus.publish(approval(len(to), to=to))
    desk.bus.settle()
    assert unsettled(desk) == [approval(7).name]
    desk.consume()
    desk.bus.settle()
    assert unsettled(desk) == []


def test_the_letters_of_a_long_run_are_settled_with_one_commit() -> None:
    desk = Desk()
    for number in range(120):
        desk.bus.publish(approval(number, to="RISK"))
    settled: list[int] = []
    settle = desk.journal.settle

    def count(names: Sequence[str]) -> None:
        settled.append(len(names))
        settle(names)

    desk.journal.settle = count  # type: ignore[method-assign]
    desk.bus.settle()
    assert settled == [120]
    assert unsettled(desk) == []


def unsettled(desk: Desk) -> list[str]:
    return [row[1] for row in desk.journal.list_unsettled(0, 10)]


def test_a_dead_letter_of_ours_is_settled_too() -> None:
    desk = Desk()
    desk.bus.publish(approval(kind="Gossip"))
    assert desk.consume().dead_lettered == 1
    desk.bus.settle()
    assert approval(kind="Gossip").name not in unsettled(desk)


def test_more_letters_than_a_batch_are_settled() -> None:
    desk = Desk()
    desk.bus.publish_all([approval(number, to="RISK") for number in range(120)])
    desk.bus.settle()
    assert unsettled(desk) == []


class Careful(MemoryMailbox):
    """Notes which messages are flushed when they are archived."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: dict[str, bool] = {}

    def archive(self, department: str, name: str, day: str, *, flush: bool = True) -> str:
        self.flushed[name] = flush
        return super().archive(department, name, day, flush=flush)


def test_only_what_strangers_dropped_is_flushed_when_it_is_archived() -> None:
    desk, mailbox = Desk(), Careful()
    bus = Bus(mailbox, desk.journal, desk.clock, desk.bus.settings)
    bus.publish(approval(1))
    mailbox.put("TRADING", "stranger.md", codec.encode(approval(2)))
    bus.consume("TRADING", desk.router)
    assert mailbox.flushed == {approval(1).name: False, "stranger.md": True}


class Growing(MemoryMailbox):
    """An inbox on a file system that cannot say who writes: every young file may be unfinished."""

    def look(self, department: str, name: str) -> Found | None:
        found = super().look(department, name)
        return found and found._replace(state=State.GROWING)


def test_a_letter_of_ours_is_finished_however_young_its_file_is() -> None:
    desk, mailbox = Desk(), Growing()
    bus = Bus(mailbox, desk.journal, desk.clock, desk.bus.settings)
    bus.publish(approval(1))
    mailbox.put("TRADING", "stranger.md", codec.encode(approval(2)))
    report = bus.consume("TRADING", desk.router)
    assert (report.handled, report.left) == (1, 1)
    assert desk.effects == [approval(1).message_id]


def test_the_index_knows_what_was_sent_and_what_was_handled() -> None:
    desk = Desk()
    desk.bus.publish(approval(1))
    child = replace(approval(2), parent_message_id=approval(1).message_id, extra={"plan_id": "PLAN_1"})
    desk.mailbox.put("TRADING", "stranger.md", codec.encode(child))
    desk.mailbox.put("TRADING", "gossip.md", codec.encode(replace(approval(3), message_type="Gossip")))
    desk.mailbox.put("TRADING", "odd.md", b"odd")
    desk.consume()
    escalations = [row for row in desk.journal.index() if "_TRADING_" in row[1]]
    assert len(escalations) == 2
    assert sorted(set(desk.journal.index()) - set(escalations)) == [
        (approval(1).name, approval(1).message_id, None, None),
        ("gossip.md", approval(3).message_id, None, None),
        ("stranger.md", approval(2).message_id, approval(1).message_id, "PLAN_1"),
    ]


def test_between_consume_and_the_handler_are_two_frames_of_the_project() -> None:
    names: list[str] = []

    def handler(message: Message) -> None:
        found = (frame for frame, _ in walk_stack(None) if frame.f_globals["__name__"].startswith("Departments."))
        names.extend(frame.f_code.co_qualname for frame in found)

    desk = Desk(handler)
    desk.bus.publish(approval())
    desk.consume()
    assert names == ["Pass._act", "Pass.run", "Bus.consume"]
