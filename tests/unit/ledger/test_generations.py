"""The mark among the messages: made anew once in a process, then written over."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from Departments.ledger.generations import AMONG_MESSAGES, EVERY
from Departments.ledger.ledger import Ledger
from tests.builders.desk import MORNING


def commit(ledger: Ledger, times: int, start: int = 0) -> None:
    for number in range(start, start + times):
        with ledger.transaction():
            ledger.journal.enqueue(f"MSG_{number}.md", "EXECUTIVE", "TRADING", b"x", MORNING)


def test_a_process_makes_the_mark_once_and_another_name_of_an_older_one_keeps_its_moment(tmp_path: Path) -> None:
    mark = tmp_path / AMONG_MESSAGES
    mark.parent.mkdir()
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        commit(ledger, 1)
        made, first = mark.stat().st_ino, mark.read_bytes()
        commit(ledger, EVERY, start=1)
        assert (mark.stat().st_ino, len(mark.read_bytes())) == (made, len(first))
        assert mark.read_bytes() > first
    snapshot = tmp_path / "snapshot"
    os.link(mark, snapshot)
    before = snapshot.read_bytes()
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        commit(ledger, EVERY, start=100)
    assert snapshot.read_bytes() == before < mark.read_bytes()


def test_a_mark_that_vanishes_is_made_again(tmp_path: Path) -> None:
    mark = tmp_path / AMONG_MESSAGES
    mark.parent.mkdir()
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        commit(ledger, 1)
        mark.unlink()
        commit(ledger, EVERY, start=1)
        assert mark.exists()
