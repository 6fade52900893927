"""Start-up is recovery: workspaces in any state, two processes, ledgers that cannot be used."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from Departments.bootstrap import Desk
from Departments.cli import run_command
from Departments.core.errors import DiskError, LedgerBusy, WorkspaceBusy
from Departments.core.platform.locks import execution_lock
from Departments.ledger.ledger import TABLES, Ledger
from Departments.ledger.sqlite import SqliteDatabase
from tests.builders.desk import desk, workspace
from tests.invariants.promises import Promises
from tests.invariants.reading import MESSAGES
from tests.invariants.scenarios import SMALL, STATE, carry_out

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A workspace whose execution stopped when the first SELL was at the exchange and nobody had noted it."""
    workspace(tmp_path, state=STATE)

    def step(label: str) -> None:
        if label == "after:exchange.submit":
            raise KeyboardInterrupt

    with closing(desk(tmp_path, step=step)) as opened, pytest.raises(KeyboardInterrupt):
        carry_out(opened, SMALL)
    return tmp_path


def command(folder: Path, *words: str) -> list[str]:
    return [*words, "--workspace", str(folder), "--at", "2025-11-10T15:20:00Z"]


def test_resume_finishes_what_was_interrupted(interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command(interrupted, "resume")) == 0
    assert f"{SMALL['plan_id']}: COMPLETED" in capsys.readouterr().out
    Promises(interrupted).check_midway()


def test_resume_says_when_there_is_nothing_to_do(interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(command(interrupted, "resume"))
    capsys.readouterr()
    assert run_command(command(interrupted, "resume")) == 0
    assert "NOTHING_TO_RESUME" in capsys.readouterr().out


def test_run_resumes_before_it_plans(interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command(interrupted, "run", "--approve", "auto")) == 0
    assert f"{SMALL['plan_id']}: COMPLETED" in capsys.readouterr().out


def test_a_second_run_of_the_day_is_named_and_ends_well(interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(command(interrupted, "resume"))
    capsys.readouterr()
    assert run_command(command(interrupted, "run", "--approve", "auto")) == 0
    assert "ALREADY_EXECUTED" in capsys.readouterr().out


def test_a_report_that_a_kill_prevented_is_written_at_the_next_start(interrupted: Path) -> None:
    run_command(command(interrupted, "resume"))
    report = interrupted / "Reports" / f"{SMALL['plan_id']}.md"
    text = report.read_text(encoding="utf-8")
    report.unlink()
    run_command(command(interrupted, "resume"))
    assert report.read_text(encoding="utf-8") == text


def test_what_a_kill_kept_from_being_delivered_is_delivered_by_a_second_run_of_the_day(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)

    def step(label: str) -> None:
        if label != "before:publish.write":
            return
        plans = opened.ledger.plans
        if plans.executions() and not plans.find_unfinished():
            raise KeyboardInterrupt

    opened = desk(tmp_path, step=step)
    with closing(opened), pytest.raises(KeyboardInterrupt):
        carry_out(opened, SMALL)
    inbox = tmp_path / MESSAGES / "Inbox" / "COMPLIANCE"
    before = len(list(inbox.glob("*.md")))
    assert run_command(command(tmp_path, "run", "--approve", "auto")) == 0
    assert len(list(inbox.glob("*.md"))) == before + 1
    assert (tmp_path / "Reports" / f"{SMALL['plan_id']}.md").exists()


def test_reconcile_shows_and_locks_and_accept_unlocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        carry_out(opened, SMALL)
    (tmp_path / "sentinel.db").unlink()
    assert run_command(command(tmp_path, "reconcile")) == 1
    shown = capsys.readouterr().out
    assert all(symbol in shown for symbol in ("CTVA", "DVN", "ALKS", "COMM"))
    assert "the broker filled SELL 190 CTVA on 10 Nov" in shown or "--accept CTVA" in shown
    assert "another desk trades this account, or this ledger was restored" in shown
    for symbol in ("CTVA", "DVN", "ALKS"):
        assert run_command([*command(tmp_path, "reconcile"), "--accept", symbol]) == 1
    assert run_command([*command(tmp_path, "reconcile"), "--accept", "comm"]) == 0
    capsys.readouterr()
    assert run_command([*command(tmp_path, "reconcile"), "--accept", "COMM"]) == 2
    assert "COMM is not locked" in capsys.readouterr().err


# --- two at once ---


def test_a_second_execution_in_a_workspace_waits_for_nobody_and_reports_it(interrupted: Path) -> None:
    with execution_lock(interrupted), closing(desk(interrupted)) as opened, pytest.raises(WorkspaceBusy):
        opened.day.resume()


def test_a_second_process_ends_with_its_exit_code_and_sends_nothing(interrupted: Path) -> None:
    with execution_lock(interrupted):
        words = [sys.executable, "-m", "Departments", *command(interrupted, "resume")]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", check=False, env=_environment())
    assert done.returncode == 3
    assert f" is being executed here since 2025-11-10 10:05 EST by process {os.getpid()}; wait" in done.stderr
    assert run_command(command(interrupted, "resume")) == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}


def test_two_desks_that_read_one_inbox_send_every_order_once(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as first, closing(desk(tmp_path)) as second:

        def look() -> None:
            second.trading.process_inbox()
            second.clock.sleep(1)

        look()
        first.beside = look  # type: ignore[method-assign]
        first.ceo.current_plan, first.ceo.plan_approved = dict(SMALL), True
        assert first.ceo.execute_plan()["document"]["status"] == "COMPLETED"
        second.trader.reconcile()
        first.work()
    Promises(tmp_path, steady=False).check()


# --- ledgers that cannot be used ---


def test_a_ledger_of_a_newer_version_is_refused_before_anything_is_sent(
    interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(interrupted / "sentinel.db")) as db, db:
        db.execute("UPDATE ledger_version SET version = 999")
    assert run_command(command(interrupted, "resume")) == 3
    error = capsys.readouterr().err
    assert "newer than this program knows" in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_ledger_is_refused_in_one_sentence(
    interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (interrupted / "sentinel.db").write_bytes(b"this is not a database" * 100)
    assert run_command(command(interrupted, "resume")) == 3
    assert "the ledger cannot be used (it is no SQLite database)" in capsys.readouterr().err


def test_a_ledger_that_stays_locked_is_busy_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "sentinel.db"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing_database(SqliteDatabase(path, TABLES, busy_seconds=0.05)) as database:
            with pytest.raises(LedgerBusy, match="locked by another process"), database.transaction():
                pass
            other.execute("ROLLBACK")
            with database.transaction():
                database.execute("INSERT INTO desk_untradable VALUES ('IPG', 'now')")
            assert len(database.rows("SELECT * FROM desk_untradable")) == 1


class closing_database(closing[SqliteDatabase]):  # noqa: N801 - reads as contextlib's own
    """Close a database in the end."""


@pytest.mark.parametrize(
    ("pragma", "words"), [("PRAGMA max_page_count = 1", "full"), ("PRAGMA query_only = 1", "read-only")]
)
@pytest.mark.parametrize("when", ["at once", "while orders are open"])
def test_a_ledger_that_is_full_or_read_only_stops_the_run_and_nothing_is_traded_twice(
    tmp_path: Path, pragma: str, words: str, when: str
) -> None:
    workspace(tmp_path, state=STATE)
    seen = 0
    opened: Desk

    def step(label: str) -> None:
        nonlocal seen
        seen += label == "after:exchange.submit"
        if seen == (0 if when == "at once" else 1) and label.startswith("after:"):
            opened.ledger._db.execute(pragma)

    opened = desk(tmp_path, step=step)
    with closing(opened), pytest.raises(DiskError) as caught:
        carry_out(opened, SMALL)
    assert words in str(caught.value)
    assert caught.value.exit_code == 3
    with closing(desk(tmp_path, at=opened.clock.now())) as again:
        document = carry_out(again, SMALL)
        again.trader.reconcile()
        again.work()
    assert document["exit_code"] in {0, 1}
    Promises(tmp_path).check()
