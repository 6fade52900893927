"""What every mailbox promises: the folder of files, with and without hard links, and the in-memory twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from Departments.core.errors import MessageConflict, PublishError
from Departments.messaging.files import State
from Departments.messaging.mailbox import Letter, Mailbox, Storage
from Departments.messaging.memory import MemoryMailbox

LETTER = Letter("MSG_A_20251110T150912Z_1.md", "EXECUTIVE", "TRADING", b"one")
Make = Callable[[], Storage]


@pytest.fixture(params=["files", "files without links", "fast files", "memory"])
def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    makes: dict[str, Make] = {
        "files": lambda: Mailbox(tmp_path, quiet=0),
        "files without links": lambda: Mailbox(tmp_path, quiet=0, hard_links=False),
        "fast files": lambda: Mailbox(tmp_path, durability="fast", quiet=0),
        "memory": MemoryMailbox,
    }
    return makes[request.param]()


def data_of(mailbox: Storage, name: str, department: str = "TRADING") -> bytes:
    found = mailbox.look(department, name)
    assert found is not None
    return found.data


def test_a_published_letter_waits_whole_in_the_inbox(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    found = mailbox.look("TRADING", LETTER.name)
    assert mailbox.waiting("TRADING") == [LETTER.name]
    assert found is not None
    assert (found.data, found.state, found.problem) == (b"one", State.WHOLE, "")


def test_an_inbox_that_nobody_wrote_to_is_empty(mailbox: Storage) -> None:
    assert mailbox.waiting("RISK") == []
    assert mailbox.look("RISK", "x.md") is None


def test_publishing_the_same_again_changes_nothing(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    mailbox.publish([LETTER])
    assert mailbox.waiting("TRADING") == [LETTER.name]


def test_publishing_the_same_after_it_was_handled_does_not_deliver_it_again(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    mailbox.archive("TRADING", LETTER.name, "2025-11-10")
    mailbox.publish([LETTER])
    assert mailbox.waiting("TRADING") == []


def test_publishing_the_same_id_with_other_content_is_a_conflict(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    with pytest.raises(MessageConflict, match="other content"):
        mailbox.publish([Letter(LETTER.name, "EXECUTIVE", "TRADING", b"two")])
    assert data_of(mailbox, LETTER.name) == b"one"


def test_a_file_of_a_stranger_under_the_same_name_is_not_overwritten(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    with pytest.raises(MessageConflict):
        mailbox.publish([Letter(LETTER.name, "RISK", "TRADING", b"two")])
    assert data_of(mailbox, LETTER.name) == b"one"


@pytest.mark.parametrize("bad", ["../../x.md", "a/b.md", "a\\b.md", "a:b.md", "", ".hidden.md", "x" * 200, "a\0.md"])
def test_a_name_that_is_not_safe_everywhere_is_refused(mailbox: Storage, bad: str) -> None:
    with pytest.raises(PublishError):
        mailbox.publish([Letter(bad, "EXECUTIVE", "TRADING", b"one")])
    with pytest.raises(PublishError):
        mailbox.publish([Letter(LETTER.name, "EXECUTIVE", bad, b"one")])
    with pytest.raises(PublishError):
        mailbox.publish([Letter(LETTER.name, bad, "TRADING", b"one")])


def test_many_letters_are_published_at_once(mailbox: Storage) -> None:
    letters = [Letter(f"MSG_{i}.md", "EXECUTIVE", f"D{i % 3}", bytes([i])) for i in range(10)]
    mailbox.publish(letters)
    assert sorted(name for d in ("D0", "D1", "D2") for name in mailbox.waiting(d)) == [x.name for x in letters]


def test_an_archived_message_has_left_the_inbox(mailbox: Storage) -> None:
    mailbox.publish([LETTER])
    assert mailbox.archive("TRADING", LETTER.name, "2025-11-10") == LETTER.name
    assert mailbox.waiting("TRADING") == []


def test_an_archived_name_is_never_overwritten(mailbox: Storage) -> None:
    mailbox.publish([Letter("MSG_A.md", "EXECUTIVE", "TRADING", b"one")])
    mailbox.archive("TRADING", "MSG_A.md", "2025-11-10")
    mailbox.publish([Letter("MSG_A.md", "RISK", "TRADING", b"two")])
    assert mailbox.archive("TRADING", "MSG_A.md", "2025-11-10") == "MSG_A.2.md"


def test_a_dead_letter_has_left_the_inbox_and_is_never_overwritten(mailbox: Storage) -> None:
    mailbox.publish([Letter("MSG_A.md", "EXECUTIVE", "TRADING", b"one")])
    assert mailbox.set_aside("TRADING", "MSG_A.md", "code: X\n") == "MSG_A.md"
    mailbox.publish([Letter("MSG_A.md", "RISK", "TRADING", b"two")])
    assert mailbox.set_aside("TRADING", "MSG_A.md", "code: X\n") == "MSG_A.2.md"
    assert mailbox.waiting("TRADING") == []


def test_an_inbox_can_be_held_again_after_it_was_released(mailbox: Storage) -> None:
    for _ in range(2):
        with mailbox.holding("TRADING", wait=0), mailbox.holding("TRADING", wait=0):
            pass
