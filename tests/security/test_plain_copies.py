"""A workspace copied file by file while its desk works is refused where it is a mixture of moments."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.errors import LedgerError
from Departments.core.moments import iso
from Departments.ledger.sqlite import SqliteDatabase
from tests.builders.commands import say
from tests.builders.second_day import LATER, SELLING, ends_in_one_sentence, ends_well, run_at
from tests.fakes.moments import when_it_says

Capture = pytest.CaptureFixture[str]
MARK = f"{LEDGER_FILE}.mark"
LOG = f"{LEDGER_FILE}-wal"
Mixing = Callable[[Path, SqliteDatabase], None]


def orders_at(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db:
        return db.execute("SELECT client_order_id, status FROM orders ORDER BY seq").fetchall()


def copy_while_it_sells(folder: Path, copied: Path, capsys: Capture) -> Path:
    """Copy the ledger in the middle of a day, and the rest at its end."""
    copied.mkdir()

    def copy_ledger() -> None:
        for path in (folder / LEDGER_FILE, folder / LOG):
            shutil.copy2(path, copied)

    with when_it_says(SELLING, copy_ledger):
        ends_well(say(capsys, *run_at(folder)))
    ours = shutil.ignore_patterns(LEDGER_FILE, f"{LEDGER_FILE}-*")
    return Path(shutil.copytree(folder, copied, ignore=ours, dirs_exist_ok=True))


def test_a_ledger_older_than_its_folder_is_refused_and_nothing_is_sent(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    copied = copy_while_it_sells(folder_of_the_second_day, tmp_path / "copied", capsys)
    before = orders_at(copied)
    for _ in range(2):
        said = say(capsys, *run_at(copied, LATER))
        ends_in_one_sentence(said, 3, copied / LEDGER_FILE, "a copy", "departments backup", f"delete {MARK}")
    assert orders_at(copied) == before


def test_a_person_may_accept_such_a_copy(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    copied = copy_while_it_sells(folder_of_the_second_day, tmp_path / "copied", capsys)
    (copied / MARK).unlink()
    before = orders_at(copied)
    assert say(capsys, "reconcile", "--workspace", copied, "--at", iso(LATER)).code == 1
    said = say(capsys, *run_at(copied, LATER))
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert orders_at(copied) == before


def test_a_copy_of_a_desk_at_rest_is_a_desk(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    copied = Path(shutil.copytree(folder_of_the_second_day, tmp_path / "copied"))
    ends_well(say(capsys, *run_at(copied)))
    assert int((copied / MARK).read_text(encoding="utf-8")) > 10


def test_messages_older_than_the_ledger_are_refused_on_the_same_boot(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A power cut leaves old marks, too, but a machine that still runs had none."""
    folder, copied = folder_of_the_second_day, tmp_path / "copied"

    def copy_messages() -> None:
        shutil.copytree(folder / MESSAGES, copied / MESSAGES)

    with when_it_says(SELLING, copy_messages):
        ends_well(say(capsys, *run_at(folder)))
    shutil.copytree(folder, copied, ignore=shutil.ignore_patterns(MESSAGES), dirs_exist_ok=True)
    before = orders_at(copied)
    ends_in_one_sentence(say(capsys, *run_at(copied, LATER)), 3, "a copy", f"{MESSAGES}/.mark", f"delete {MARK}")
    assert orders_at(copied) == before
    second = copied / MESSAGES / ".mark"
    number, _, place = second.read_text(encoding="utf-8").split(" ", 2)
    second.write_text(f"{number} another-boot {place}", encoding="utf-8")
    assert say(capsys, "reconcile", "--workspace", copied, "--at", iso(LATER)).code != 3


def test_a_copy_says_once_what_it_is_a_copy_of(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    words = f"is a copy of {folder_of_the_second_day}, or was moved from there"
    change: list[str | Path] = ["halt", "--reason", "the desk moves", "--at", iso(LATER), "--workspace"]
    say(capsys, *change, folder_of_the_second_day)  # it was copied itself, by the fixture
    assert words not in say(capsys, *change, folder_of_the_second_day).err
    copied = Path(shutil.copytree(folder_of_the_second_day, tmp_path / "copied"))
    assert words in say(capsys, *change, copied).err
    assert words not in say(capsys, *change, copied).err
    moved = copied.rename(tmp_path / "moved")
    assert "is a copy of" not in say(capsys, *change, moved).err


def test_a_whole_copy_of_a_working_desk_trades_nothing_beside_it(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder, copied = folder_of_the_second_day, tmp_path / "copied"

    def copy_all() -> None:
        shutil.copytree(folder, copied)

    with when_it_says(SELLING, copy_all):
        ends_well(say(capsys, *run_at(folder)))
    before = orders_at(copied)
    for command in (run_at(copied, LATER), ["resume", "--json", "--workspace", copied, "--at", iso(LATER)]):
        ends_in_one_sentence(say(capsys, *command), 3, copied / LEDGER_FILE, f"a copy of {folder}", "finish", "move")
    assert orders_at(copied) == before
    folder.rename(tmp_path / "away")
    ends_well(say(capsys, *run_at(copied, LATER)))


def mixed(base: Path, mix: Mixing) -> Path:
    """Write a ledger, and return one mixed from its files of several moments."""
    (base / "written").mkdir()
    with closing(SqliteDatabase(base / "written" / LEDGER_FILE, [])) as database:
        mix(base, database)
    return base / LEDGER_FILE


def commit(database: SqliteDatabase, times: int = 3) -> None:
    for _ in range(times):
        with database.transaction():
            database.execute("CREATE TABLE IF NOT EXISTS t (x)")
            database.execute("INSERT INTO t VALUES (1)")


def keep(base: Path, name: str) -> None:
    shutil.copy2(base / "written" / name, base)


def log_first(base: Path, database: SqliteDatabase) -> None:
    commit(database)
    keep(base, LOG)
    commit(database)
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    keep(base, LEDGER_FILE)


def log_last(base: Path, database: SqliteDatabase) -> None:
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    keep(base, LEDGER_FILE)
    commit(database)
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    commit(database)
    keep(base, LOG)


def killed(base: Path, database: SqliteDatabase) -> None:
    commit(database)
    database.execute("PRAGMA wal_checkpoint(RESTART)")
    commit(database)
    for name in (LEDGER_FILE, LOG, MARK):
        keep(base, name)


@pytest.mark.parametrize(("mix", "words"), [(log_first, "its log ends at"), (log_last, "its log begins at")])
def test_a_log_of_another_moment_than_its_ledger_is_refused_each_time(tmp_path: Path, mix: Mixing, words: str) -> None:
    path = mixed(tmp_path, mix)
    for _ in range(2):
        with pytest.raises(LedgerError, match=words):
            SqliteDatabase(path, [])


@pytest.mark.parametrize("lost", ["nothing", "the last numbers", "the text", "the file"])
def test_what_a_kill_or_a_power_cut_leaves_is_no_copy(tmp_path: Path, lost: str) -> None:
    path = mixed(tmp_path, killed)
    mark = tmp_path / MARK
    now = int(mark.read_text(encoding="utf-8"))
    if lost == "the file":
        mark.unlink()
    else:
        mark.write_text({"nothing": f"{now + 1}", "the last numbers": "1"}.get(lost, ""), encoding="utf-8")
    with closing(SqliteDatabase(path, [])) as database:
        commit(database, 1)
    assert int(mark.read_text(encoding="utf-8")) == now + 1
