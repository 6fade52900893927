"""What every journal of the bus promises: the ledger's and the in-memory twin."""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from Departments.core.errors import MessageConflict
from Departments.ledger.journal import TABLES, LedgerJournal
from Departments.ledger.sqlite import SqliteDatabase
from Departments.messaging.ports import Journal
from tests.fakes.memory import MemoryJournal

NINE = datetime(2025, 11, 10, 9, tzinfo=UTC)
TEN = datetime(2025, 11, 10, 10, tzinfo=UTC)
LETTER = ("MSG_A.md", "TRADING", "EXECUTIVE", b"text")


@pytest.fixture(params=["ledger", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    if request.param == "memory":
        return MemoryJournal()
    return LedgerJournal(SqliteDatabase(tmp_path / "sentinel.db", TABLES))


ROW = ("MSG_A.md", "MSG_A", "MSG_0", "PLAN_1")


class TroubleError(Exception):
    """Raised inside a transaction."""


def fail_inside_a_transaction(journal: Journal) -> None:
    with journal.transaction(), journal.transaction():
        journal.remember("TRADING", "MSG_A", "handled", "digest", NINE)
        journal.remember("TRADING", "MSG_B", "handled", "digest", NINE)
        journal.enqueue(*LETTER, NINE)
        journal.note([ROW])
        journal.note_cause("cause", date(2025, 11, 10))
        journal.note_dead_letter(DEAD)
        raise TroubleError


def test_a_handled_id_is_remembered_for_its_department_only(journal: Journal) -> None:
    journal.remember("TRADING", "MSG_A", "handled", "digest", NINE)
    assert journal.disposition("TRADING", "MSG_A") == ("handled", "digest")
    assert journal.disposition("EXECUTIVE", "MSG_A") is None


def test_many_ids_are_asked_for_at_once(journal: Journal) -> None:
    for number in range(0, 1_200, 2):
        assert journal.remember("TRADING", f"MSG_{number}", "handled", f"digest {number}", NINE)
    found = journal.dispositions("TRADING", [f"MSG_{number}" for number in range(1_200)])
    assert found == {f"MSG_{number}": ("handled", f"digest {number}") for number in range(0, 1_200, 2)}
    assert journal.dispositions("EXECUTIVE", ["MSG_0"]) == journal.dispositions("TRADING", []) == {}


def test_what_is_remembered_stays_as_it_was_noted_first(journal: Journal) -> None:
    assert journal.remember("TRADING", "MSG_A", "handled", "digest", NINE)
    assert not journal.remember("TRADING", "MSG_A", "skipped", "other", TEN)
    assert journal.disposition("TRADING", "MSG_A") == ("handled", "digest")


def test_failures_are_counted_with_their_first_and_last_time(journal: Journal) -> None:
    assert journal.failures("TRADING") == {}
    assert journal.count_failure("TRADING", "MSG_A", NINE) == 1
    assert journal.count_failure("TRADING", "MSG_A", TEN) == 2
    assert journal.failures("TRADING") == {"MSG_A": (2, NINE, TEN)}
    assert journal.failures("EXECUTIVE") == {}


def test_a_failed_transaction_leaves_no_trace(journal: Journal) -> None:
    journal.count_failure("TRADING", "MSG_B", NINE)
    with pytest.raises(TroubleError):
        fail_inside_a_transaction(journal)
    assert journal.disposition("TRADING", "MSG_A") is None
    assert journal.failures("TRADING") == {"MSG_B": (1, NINE, NINE)}
    assert not [*journal.pending(10), *journal.list_unsettled(0, 10), *journal.index(), *journal.dead_letters()]
    assert journal.note_cause("cause", date(2025, 11, 10))


def test_enqueued_letters_are_pending_in_order_until_they_are_published(journal: Journal) -> None:
    with journal.transaction():
        for number in range(5):
            journal.enqueue(f"MSG_{9 - number}.md", "TRADING", "EXECUTIVE", b"text", NINE)
    assert [row[0] for row in journal.pending(3)] == ["MSG_9.md", "MSG_8.md", "MSG_7.md"]
    journal.mark_published(["MSG_9.md", "MSG_8.md"], TEN)
    assert [row[0] for row in journal.pending(10)] == ["MSG_7.md", "MSG_6.md", "MSG_5.md"]
    assert journal.pending(1) == [("MSG_7.md", "TRADING", "EXECUTIVE", b"text")]


def test_pending_letters_to_some_departments_can_be_left_out(journal: Journal) -> None:
    for number, to in enumerate(("RISK", "EXECUTIVE", "PORTFOLIO", "EXECUTIVE")):
        journal.enqueue(f"MSG_{number}.md", "TRADING", to, b"text", NINE)
    assert [row[0] for row in journal.pending(2, besides=["RISK", "PORTFOLIO"])] == ["MSG_1.md", "MSG_3.md"]
    assert [row[0] for row in journal.pending(2, besides=["EXECUTIVE"])] == ["MSG_0.md", "MSG_2.md"]


def test_the_same_letter_again_changes_nothing_even_after_it_was_published(journal: Journal) -> None:
    assert journal.enqueue(*LETTER, NINE)
    assert not journal.enqueue(*LETTER, TEN)
    assert len(journal.pending(10)) == 1
    journal.mark_published(["MSG_A.md"], TEN)
    assert not journal.enqueue(*LETTER, TEN)
    assert journal.pending(10) == []


def test_a_delivered_letter_is_unsettled_until_the_files_hold_it_safely(journal: Journal) -> None:
    for number in range(4):
        journal.enqueue(f"MSG_{number}.md", "TRADING", "RISK", b"text", NINE)
    assert journal.list_unsettled(0, 10) == []
    journal.mark_published([f"MSG_{number}.md" for number in range(4)], TEN)
    first, second = journal.list_unsettled(0, 2)
    assert first[1:] == ("MSG_0.md", "TRADING", "RISK", b"text")
    assert [row[1] for row in journal.list_unsettled(second[0], 10)] == ["MSG_2.md", "MSG_3.md"]
    journal.settle(["MSG_0.md", "MSG_2.md"])
    assert [row[1] for row in journal.list_unsettled(0, 10)] == ["MSG_1.md", "MSG_3.md"]


def test_a_letter_that_was_withdrawn_was_never_sent(journal: Journal) -> None:
    journal.enqueue(*LETTER, NINE)
    journal.enqueue("MSG_B.md", "TRADING", "RISK", b"text", NINE)
    assert journal.withdraw("MSG_A.md")
    assert [row[0] for row in journal.pending(10)] == ["MSG_B.md"]
    assert journal.digests_of(["MSG_A.md"]) == {}
    assert journal.index() == [("MSG_B.md", "MSG_B", None, None)]
    journal.enqueue("MSG_A.md", "TRADING", "EXECUTIVE", b"other", NINE)
    assert [row[0] for row in journal.pending(10)] == ["MSG_B.md", "MSG_A.md"]


def test_a_letter_that_was_delivered_is_not_withdrawn(journal: Journal) -> None:
    journal.enqueue(*LETTER, NINE)
    journal.mark_published(["MSG_A.md"], TEN)
    assert not journal.withdraw("MSG_A.md")
    assert len(journal.list_unsettled(0, 10)) == 1


def test_what_was_sent_is_known_by_its_digest_before_and_after_it_is_settled(journal: Journal) -> None:
    known = {"MSG_A.md": sha256(b"text").hexdigest()}
    journal.enqueue(*LETTER, NINE)
    assert journal.digests_of([*(f"MSG_{number}.md" for number in range(1_200)), "MSG_A.md"]) == known
    journal.settle(["MSG_A.md"])
    assert journal.digests_of(["MSG_A.md"]) == known


def test_the_index_holds_what_was_sent_with_its_parent_and_plan(journal: Journal) -> None:
    journal.enqueue(*LETTER, NINE, parent="MSG_0", plan="PLAN_1")
    journal.enqueue(*LETTER, TEN)
    journal.note([("briefing.md", "MSG_1", None, None)])
    journal.settle(["MSG_A.md"])
    assert sorted(journal.index()) == [
        ("MSG_A.md", "MSG_A", "MSG_0", "PLAN_1"),
        ("briefing.md", "MSG_1", None, None),
    ]


def test_a_letter_is_settled_however_many_there_are(journal: Journal) -> None:
    names = [f"MSG_{number}.md" for number in range(1_200)]
    for name in names:
        journal.enqueue(name, "TRADING", "RISK", b"text", NINE)
    journal.mark_published(names[:900], TEN)
    journal.mark_published(names[900:], TEN)
    journal.settle(names)
    assert [*journal.list_unsettled(0, 10), *journal.pending(10)] == []


def test_the_index_keeps_every_message_that_a_name_was_used_for(journal: Journal) -> None:
    journal.note([ROW, ("briefing.md", "MSG_1", None, None)])
    journal.note([("briefing.md", "MSG_2", "MSG_1", None), ("MSG_A.md", "MSG_A", None, "PLAN_2")])
    assert sorted(journal.index()) == [
        ROW,
        ("briefing.md", "MSG_1", None, None),
        ("briefing.md", "MSG_2", "MSG_1", None),
    ]


def test_the_same_name_with_other_content_is_a_conflict(journal: Journal) -> None:
    journal.enqueue(*LETTER, NINE)
    with pytest.raises(MessageConflict, match="other content"):
        journal.enqueue("MSG_A.md", "TRADING", "EXECUTIVE", b"other", NINE)


def test_a_cause_is_new_once_a_day(journal: Journal) -> None:
    monday, tuesday = date(2025, 11, 10), date(2025, 11, 11)
    assert [journal.note_cause("cause", day) for day in (monday, monday, tuesday)] == [True, False, True]


def test_failures_can_be_forgotten(journal: Journal) -> None:
    journal.count_failure("TRADING", "MSG_A", NINE)
    journal.forget_failures("TRADING", "MSG_A")
    assert journal.failures("TRADING") == {}


DEAD = ("TRADING", "x.md", "digest", "MSG_A", "UNREADABLE", "x.md is empty", NINE, None)


def test_a_dead_letter_is_listed_until_it_is_removed(journal: Journal) -> None:
    later = ("OPERATIONS", *DEAD[1:6], TEN, None)
    journal.note_dead_letter(later)
    journal.note_dead_letter(DEAD)
    assert journal.dead_letters() == [DEAD, later]
    assert journal.remove_dead_letter("TRADING", "x.md", "digest", TEN)
    assert not journal.remove_dead_letter("TRADING", "x.md", "digest", TEN)
    assert not journal.remove_dead_letter("OPERATIONS", "x.md", "other", TEN)
    assert journal.dead_letters() == [later]


def test_a_dead_letter_is_accepted_and_unseen_again_when_it_comes_again(journal: Journal) -> None:
    journal.note_dead_letter(DEAD)
    assert journal.accept_dead_letter("TRADING", "x.md", "digest", TEN)
    assert journal.dead_letters() == [(*DEAD[:7], TEN)]
    assert not journal.accept_dead_letter("TRADING", "x.md", "other", TEN)
    journal.note_dead_letter(DEAD)
    assert journal.dead_letters() == [DEAD]
