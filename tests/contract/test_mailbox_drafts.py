"""Files written before they have a name: the way of Linux and the portable one do the same."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from Departments.core.errors import MessageConflict
from Departments.messaging.files import State
from Departments.messaging.mailbox import TOGETHER, Letter, Mailbox

LETTER = Letter("MSG_A_20251110T150912Z_1.md", "EXECUTIVE", "TRADING", b"one")
linux_only = pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")


@contextmanager
def no_unnamed_files() -> Iterator[None]:
    """Be a system that does not know them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(os, "O_TMPFILE", raising=False)
        yield


def told(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def after(operations: list[tuple[str, list[Letter]]], root: Path) -> tuple[list[str], dict[str, bytes]]:
    """Publish batches, or put files of strangers or archive in between; return the steps and what lies there then."""
    steps: list[str] = []
    mailbox = Mailbox(root, step=steps.append)
    for kind, letters in operations:
        try:
            if kind == "publish":
                mailbox.publish(letters)
            elif kind == "archive":
                mailbox.archive(letters[0].recipient, letters[0].name, "2025-11-10")
            else:
                put(root / kind / letters[0].recipient / letters[0].name, letters[0].data)
        except (MessageConflict, FileNotFoundError) as error:
            steps.append(str(error).replace(str(root), ""))
    return [step for step in steps if "publish.drop" not in step], told(root)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


DEPARTMENTS = st.sampled_from(["EXECUTIVE", "TRADING"])
LETTERS = st.builds(Letter, st.sampled_from(["MSG_A.md", "MSG_B.md"]), DEPARTMENTS, DEPARTMENTS, st.binary(max_size=1))
KINDS = st.sampled_from(["publish", "publish", "archive", "Inbox", "Outbox"])


@linux_only
@example([("publish", [LETTER, LETTER._replace(recipient="RISK", data=b"two")])])
@given(st.lists(st.tuples(KINDS, st.lists(LETTERS, min_size=1, max_size=3)), max_size=6))
def test_both_ways_take_the_same_steps_and_leave_the_same_files(operations: list[tuple[str, list[Letter]]]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        unnamed = after(operations, Path(one))
        with no_unnamed_files():
            named = after(operations, Path(two))
    assert unnamed == named


@linux_only
def test_a_letter_that_is_being_written_has_no_name_and_its_names_are_one_file(tmp_path: Path) -> None:
    lying: list[list[str]] = []

    def look(label: str) -> None:
        if label == "after:publish.write":
            lying.append(sorted(told(tmp_path)))

    mailbox = Mailbox(tmp_path, step=look)
    mailbox.publish([LETTER])
    mailbox.publish([LETTER._replace(name=f"MSG_{number}.md") for number in range(TOGETHER - 1)])
    assert lying == [[], [f"Inbox/TRADING/{LETTER.name}", f"Outbox/EXECUTIVE/{LETTER.name}"]]
    for folder in ("Inbox/TRADING", "Outbox/EXECUTIVE"):
        assert (tmp_path / folder / LETTER.name).stat().st_nlink == 2


@pytest.mark.parametrize("portable", [False, True])
def test_a_message_is_never_seen_as_one_that_is_still_being_written(tmp_path: Path, *, portable: bool) -> None:
    seen: list[object] = []

    def look(label: str) -> None:
        found = Mailbox(tmp_path).look("TRADING", LETTER.name)
        seen.append(found and (found.data, found.state is State.GROWING))

    def publish() -> None:
        Mailbox(tmp_path, step=look).publish([LETTER])

    if portable:
        with no_unnamed_files():
            publish()
    else:
        publish()
    assert (b"one", False) in seen
    assert set(seen) == {None, (b"one", False)}


def refuse_to_open(patch: pytest.MonkeyPatch) -> list[str]:
    real, asked = os.open, []

    def refused(path: str, flags: int, *rest: Any, **more: Any) -> int:
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", 0):
            asked.append(path)
            raise OSError(errno.EOPNOTSUPP, "not on this file system", path)
        return real(path, flags, *rest, **more)

    patch.setattr(os, "open", refused)
    return asked


def refuse_to_link(patch: pytest.MonkeyPatch) -> list[str]:
    real, asked = os.link, []

    def refused(source: str, target: str, **more: Any) -> None:
        if source.startswith("/proc"):
            asked.append(source)
            raise OSError(errno.ENOENT, "no /proc here", source)
        real(source, target, **more)

    patch.setattr(os, "link", refused)
    return asked


@linux_only
@pytest.mark.parametrize("refuse", [refuse_to_open, refuse_to_link])
def test_a_system_that_refuses_is_asked_once_and_served_the_portable_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuse: Callable[[pytest.MonkeyPatch], list[str]]
) -> None:
    asked = refuse(monkeypatch)
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    mailbox.publish([LETTER._replace(name="MSG_B.md")])
    assert len(asked) == 1
    assert sorted(mailbox.waiting("TRADING")) == [LETTER.name, "MSG_B.md"]
    assert list((tmp_path / ".tmp").iterdir()) == []


def still_open() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@linux_only
def test_no_file_stays_open_whether_a_letter_is_delivered_or_refused(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.publish([LETTER])
    before = still_open()
    mailbox.publish([LETTER._replace(name="MSG_B.md")])
    with pytest.raises(MessageConflict):
        mailbox.publish([LETTER._replace(sender="RISK", data=b"two")])
    assert still_open() == before
