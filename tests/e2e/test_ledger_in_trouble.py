"""A ledger, or an exchange's file, that is locked, full, read-only, damaged or from a newer program."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from Departments.bootstrap import LEDGER_FILE, open_desk
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.moments import iso
from tests.builders.commands import say
from tests.builders.desk import write_yaml
from tests.builders.second_day import (
    AGAIN,
    BUYING,
    LATER,
    PROTECTED,
    RELEASING,
    SELLING,
    SETTINGS,
    SOLD,
    ends_in_one_sentence,
    ends_well,
    interrupt,
    nothing_is_traded_twice,
    run_at,
)
from tests.fakes.moments import when_it_says
from tests.fakes.posix import no_file_beyond

Capture = pytest.CaptureFixture[str]
LOCKED = ("the ledger is locked by another process", "close what uses it", AGAIN)


@pytest.fixture
def folder(folder_of_the_second_day: Path) -> Path:
    return folder_of_the_second_day


def orders_at(folder: Path) -> list[str]:
    """Return the symbol of each order that the exchange has ever taken."""
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db:
        return [symbol for (symbol,) in db.execute("SELECT symbol FROM orders WHERE role = 'entry' ORDER BY symbol")]


# --- it cannot be written any more ---


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the ledger as another program would."""
    with closing(sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def full(folder: Path) -> AbstractContextManager[None]:
    """Leave room for messages, and none for what a ledger's commit writes."""
    return no_file_beyond(5_000)


@pytest.mark.parametrize(
    ("trouble", "words"), [(held, LOCKED), (full, ("the ledger cannot be used (", "check its disk", AGAIN))]
)
@pytest.mark.parametrize("moment", [RELEASING, SOLD, BUYING, PROTECTED])
def test_a_ledger_that_cannot_be_written_any_more_ends_the_run_in_one_sentence(
    folder: Path,
    capsys: Capture,
    moment: str,
    trouble: Callable[[Path], AbstractContextManager[None]],
    words: tuple[str, ...],
) -> None:
    with ExitStack() as stack, when_it_says(moment, lambda: stack.enter_context(trouble(folder))):
        said = say(capsys, *run_at(folder))
    ends_in_one_sentence(said, 3, folder / LEDGER_FILE, *words)
    ends_well(say(capsys, *run_at(folder, LATER)))
    nothing_is_traded_twice(folder)


def test_a_ledger_that_is_locked_from_the_start_leaves_the_day_to_the_next_run(folder: Path, capsys: Capture) -> None:
    with held(folder):
        ends_in_one_sentence(say(capsys, *run_at(folder)), 3, folder / LEDGER_FILE, *LOCKED)
    assert orders_at(folder) == ["ALKS", "COMM", "CTVA", "DVN"]
    ends_well(say(capsys, *run_at(folder)))
    nothing_is_traded_twice(folder)


def test_a_ledger_that_is_locked_for_a_moment_is_waited_for(folder: Path, capsys: Capture) -> None:
    write_yaml(folder / "config" / "settings.yaml", {**SETTINGS, "ledger": {"patience": 30}})
    other = sqlite3.connect(folder / LEDGER_FILE, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.close)
    release.start()
    ends_well(say(capsys, *run_at(folder)))
    release.join()


def test_the_settings_bound_the_wait_for_a_locked_ledger(folder: Path) -> None:
    with closing(open_desk(folder)) as desk:
        (milliseconds,) = desk.ledger._db.rows("PRAGMA busy_timeout")[0]
    assert milliseconds == 1_000 * SETTINGS["ledger"]["patience"]


# --- it cannot be used at all ---


def in_one_file(path: Path) -> Path:
    """Bring what stands in the log of a database into its file."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def read_only(path: Path) -> None:
    """Give it a format that it may only be read in: rights do not hold an administrator back, this does.

    It is the byte at 18: https://www.sqlite.org/fileformat.html#file_format_version_numbers
    """
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\3")


def changed(statement: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


def no_database(path: Path) -> None:
    path.write_bytes(b"Dear diary,\n" * 999)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_back(path: Path, copy: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    path.write_bytes(copy)


newer_ledger = partial(changed, "UPDATE ledger_version SET version = 999")
newer_exchange = partial(changed, "PRAGMA user_version = 999")
Ruin = Callable[[Path], None]


@pytest.mark.parametrize(
    ("ruin", "command", "words"),
    [
        (read_only, "run", ("it is read-only", "correct the rights", AGAIN)),
        (newer_ledger, "run", ("version 999", "newer than this program knows", "update the program")),
        (no_database, "run", ("no SQLite database", "put a copy of the ledger in its place")),
        (cut_off, "run", ("content is damaged", "put a copy of the ledger in its place")),
        (a_folder, "run", ("cannot be opened", "correct the path", AGAIN)),
        (newer_ledger, "reconcile", ("version 999", "update the program")),
        (cut_off, "resume", ("content is damaged", "put a copy of the ledger in its place")),
    ],
)
def test_a_ledger_that_cannot_be_used_stops_the_command_and_its_copy_ends_the_day(
    folder: Path, capsys: Capture, ruin: Ruin, command: str, words: tuple[str, ...]
) -> None:
    with when_it_says(SELLING, interrupt):
        say(capsys, *run_at(folder))
    path = in_one_file(folder / LEDGER_FILE)
    copy = path.read_bytes()
    ruin(path)
    said = say(capsys, *(run_at(folder) if command == "run" else [command, "--workspace", folder, "--at", iso(LATER)]))
    assert said.code == 3
    (sentence,) = said.sentences
    assert [w for w in (str(path), *words) if w not in sentence] == []
    put_back(path, copy)
    ends_well(say(capsys, *run_at(folder, LATER)))
    nothing_is_traded_twice(folder)


@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        (newer_exchange, "newer version"),
        (no_database, "no SQLite database"),
        (cut_off, "content is damaged"),
        (a_folder, "open"),
    ],
)
def test_an_exchange_whose_file_cannot_be_used_is_bad_input_and_its_copy_ends_the_day(
    folder: Path, capsys: Capture, ruin: Ruin, words: str
) -> None:
    with when_it_says(SELLING, interrupt):
        say(capsys, *run_at(folder))
    path = in_one_file(folder / EXCHANGE_FILE)
    copy = path.read_bytes()
    ruin(path)
    ends_in_one_sentence(say(capsys, *run_at(folder)), 2, path, words)
    put_back(path, copy)
    ends_well(say(capsys, *run_at(folder, LATER)))
    nothing_is_traded_twice(folder)


def test_a_ledger_that_got_lost_locks_what_was_traded_and_nothing_is_traded_again(
    folder: Path, capsys: Capture
) -> None:
    ends_well(say(capsys, *run_at(folder)))
    before = orders_at(folder)
    for path in folder.glob(f"{LEDGER_FILE}*"):
        path.unlink()
    again = say(capsys, *run_at(folder, LATER))
    assert (again.code, again.document["status"]) == (1, "FAILED")
    assert "this ledger was restored" in again.document["message"]
    assert "departments reconcile --accept-all" in again.document["message"]
    assert orders_at(folder) == before


def test_at_the_very_same_moment_too_questions_are_asked_anew_when_the_ledger_got_lost(
    folder: Path, capsys: Capture
) -> None:
    ends_well(say(capsys, *run_at(folder)))
    before = orders_at(folder)
    for path in folder.glob(f"{LEDGER_FILE}*"):
        path.unlink()
    again = say(capsys, *run_at(folder))
    assert (again.code, again.document["status"]) == (1, "FAILED")
    assert "this ledger was restored" in again.document["message"]
    assert orders_at(folder) == before


# --- damaged in a place that SQLite repeats ---


@pytest.mark.parametrize("command", ["run", "status", "history", "reconcile", "halt --reason x", "overdue --by 9:00"])
@pytest.mark.parametrize(("file", "codes"), [(LEDGER_FILE, {3}), (EXCHANGE_FILE, {0, 1, 2, 4})])
def test_damage_that_is_no_text_is_one_sentence(
    folder: Path, capsys: Capture, command: str, file: str, codes: set[int]
) -> None:
    with closing(sqlite3.connect(folder / file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data.replace(b"CREATE TABLE", b"CREATE \xff\xfe\xfdLE"))
    said = say(capsys, *command.split(), "--workspace", folder, "--at", iso(LATER))
    assert said.code in codes
    assert "Unexpected" not in said.err
    assert file != LEDGER_FILE or "its content is damaged); put a copy of the ledger in its place" in said.err


LOOKING = (
    "status",
    "history",
    "positions",
    "explain ALKS",
    "report 2025-11-10",
    "reconcile",
    "regime",
    "run --dry-run",
)


@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        ("DROP TABLE desk_orders", "no such table: desk_orders"),
        ("UPDATE desk_executions SET equity = 'NaN'", "its table desk_executions holds 'NaN' as equity"),
        ("UPDATE desk_plans SET generated_at = 'abc'", "its table desk_plans holds 'abc' as generated_at"),
        ("UPDATE desk_fills SET qty = 'abc'", "its table desk_fills holds 'abc' as qty"),
        ("UPDATE ledger_version SET version = 'abc'", "its version is 'abc'"),
    ],
)
def test_a_damaged_row_is_one_sentence_with_its_table_and_column(
    folder: Path, capsys: Capture, ruin: str, words: str
) -> None:
    with closing(sqlite3.connect(folder / LEDGER_FILE)) as db, db:
        db.execute(ruin)
    found = [say(capsys, *command.split(), "--workspace", folder) for command in LOOKING]
    assert [said.err for said in found if "Unexpected" in said.err] == []
    refused = [said.sentences for said in found if said.code == 3]
    assert refused
    assert all(words in sentence and "put a copy of the ledger" in sentence for (sentence,) in refused)


@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        ("DROP TABLE meta", "no such table: meta"),
        ("DROP TABLE positions", "no such table: positions"),
        ("UPDATE meta SET value = 'much' WHERE key = 'cash'", "its cash is 'much'"),
        ("DELETE FROM meta WHERE key = 'started_at'", "its started_at is missing"),
        ("UPDATE positions SET qty = 'NaN'", "its table positions holds 'NaN' as qty"),
        ("UPDATE positions SET symbol = NULL WHERE symbol = 'ALKS'", "its table positions holds None as symbol"),
        ("UPDATE orders SET submitted_at = 'abc'", "its table orders holds 'abc' as submitted_at"),
    ],
)
def test_a_damaged_row_of_the_exchange_is_one_sentence_with_its_table_and_column(
    folder: Path, capsys: Capture, ruin: str, words: str
) -> None:
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db, db:
        db.execute(ruin)
    commands = ("status", "positions", "reconcile", "exchange show", "doctor")
    found = [say(capsys, *command.split(), "--workspace", folder) for command in commands]
    assert [said.err for said in found if "Unexpected" in said.err + said.out] == []
    named = [text for said in found if words in (text := " ".join((said.err + said.out).split()))]
    assert named
    assert [text for text in named if "put a copy of it in its place, or move it away" not in text] == []
