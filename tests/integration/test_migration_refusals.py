"""What is in the way of a migration is named in one sentence, and nothing of the project is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from Departments.core.errors import BadInput, DepartmentsError, DiskError, LedgerBusy, LedgerError, WorkspaceBusy
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import find_mutexes
from Departments.ledger.ledger import Ledger
from Departments.ledger.sqlite import VERSION
from Departments.messaging.mailbox import Mailbox
from Departments.migration.applying import apply_migration
from Departments.migration.record import FOLDER
from Departments.migration.survey import survey_project
from Departments.migration.undoing import undo_migration
from tests.builders.commands import say
from tests.builders.existing import drop_leftovers, existing_project, read_tree
from tests.builders.existing_messages import FOLDER as MESSAGES

NOW = datetime(2026, 3, 9, 13, 0, tzinfo=UTC)
#: What a migration and the days after it leave: the database, and the folder of copies.
KEPT = ("sentinel.db", FOLDER)
TABLES = ("trading_orders", "trading_fills", "trading_rejections", "portfolio_positions", "portfolio_snapshots")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return existing_project(tmp_path, name="Mein Börsen Projekt")


def test_keys_for_real_money_are_refused(tmp_path: Path) -> None:
    project = existing_project(tmp_path, keys="live")
    before = read_tree(project)
    with pytest.raises(BadInput, match=r"config.py: APCA_API_BASE_URL: the keys are for an account with real money"):
        apply_migration(project, NOW)
    assert read_tree(project) == before


def test_a_config_that_raises_is_read_without_running_it(tmp_path: Path) -> None:
    project = existing_project(tmp_path, keys="raises")
    survey = survey_project(project)
    assert survey.access.kind == "paper"
    assert any("raises when it is imported" in note for note in survey.notes)
    apply_migration(project, NOW)


def test_without_keys_the_settings_name_no_broker(tmp_path: Path) -> None:
    project = existing_project(tmp_path, keys="none")
    done = apply_migration(project, NOW)
    assert "broker" not in done.settings.read_text(encoding="utf-8")


def test_an_init_of_its_own_is_replaced_and_comes_back(tmp_path: Path) -> None:
    project = existing_project(tmp_path, own_init=True)
    before = read_tree(project, *KEPT)
    assert survey_project(project).code.has_own_init
    apply_migration(project, NOW)
    assert "extend_path" in (project / "Departments" / "__init__.py").read_text(encoding="utf-8")
    undo_migration(project, NOW)
    assert read_tree(project, *KEPT) == before


@pytest.mark.parametrize("version", [9, VERSION + 1])
def test_a_ledger_that_cannot_be_converted_is_refused_before_anything_is_done(project: Path, version: int) -> None:
    Ledger(project / "sentinel.db").close()
    with closing(sqlite3.connect(project / "sentinel.db")) as db:
        db.execute("UPDATE ledger_version SET version = ?", (version,))
        db.commit()
    before = read_tree(project)
    with pytest.raises(LedgerError, match=f"of version {version}"):
        apply_migration(project, NOW)
    assert {name for name in read_tree(project) if "-shm" not in name and "-wal" not in name} == set(before)


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_database_is_named_and_nothing_is_done(project: Path, lock: str) -> None:
    before = read_tree(project)
    with closing(sqlite3.connect(project / "sentinel.db")) as db:
        db.execute(f"BEGIN {lock}")
        assert ("locked" in survey_project(project).databases[0].problem) == (lock == "EXCLUSIVE")
        with pytest.raises(LedgerBusy, match=r"sentinel\.db: the ledger is locked by another process"):
            apply_migration(project, NOW)
        db.rollback()
    assert drop_leftovers(read_tree(project)) == before


def test_of_two_databases_the_one_of_the_scripts_is_converted(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "sentinel.db").write_bytes((project / "sentinel.db").read_bytes())
    other = (project / "data" / "sentinel.db").read_bytes()
    survey = survey_project(project)
    assert len(survey.databases) == 2
    assert survey.ledger is not None
    assert survey.ledger.path == project / "sentinel.db"
    apply_migration(project, NOW)
    assert (project / "data" / "sentinel.db").read_bytes() == other


def test_while_something_runs_neither_is_done(project: Path) -> None:
    with execution_lock(project), pytest.raises(WorkspaceBusy, match="another execution is running"):
        apply_migration(project, NOW)
    apply_migration(project, NOW)
    watcher = Mailbox(project / MESSAGES, mutexes=find_mutexes(project))
    with watcher.holding("TRADING", wait=0), pytest.raises(WorkspaceBusy, match="handles the inbox of TRADING"):
        undo_migration(project, NOW)
    with closing(Ledger(project / "sentinel.db")) as ledger, ledger.transaction():
        ledger._db.execute("INSERT INTO desk_plans VALUES ('P', '', '', '', '{}', '', NULL, 0)")
        ledger._db.execute(
            "INSERT INTO desk_executions (plan_id, trading_day, started_at, status, equity, cash_before, reserve, "
            "fees, by_hand, attempt) VALUES ('P', '', '', '', '0', '0', '0', '0', 0, 1)"
        )
    with pytest.raises(WorkspaceBusy, match="the execution of P is not finished; run `departments resume`"):
        undo_migration(project, NOW)


@pytest.mark.parametrize("words", [("loop.py",), ("-u", "{root}/loop.py", "--daily"), ("-m", "tools.loop")])
def test_a_running_script_of_the_project_is_named_and_nothing_is_done(project: Path, words: tuple[str, ...]) -> None:
    (project / "tools").mkdir()
    for path in (project / "loop.py", project / "tools" / "loop.py"):
        path.write_text("import sys\nprint('up', flush=True)\nsys.stdin.read()\n", encoding="utf-8")
    command = [sys.executable, "-S", *(word.format(root=project) for word in words)]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        before = read_tree(project)
        assert any(f"is running (process {running.pid})" in note for note in survey_project(project).notes)
        with pytest.raises(WorkspaceBusy, match=rf"loop(\.py)? of this project is running \(process {running.pid}\)"):
            apply_migration(project, NOW)
        assert drop_leftovers(read_tree(project)) == drop_leftovers(before)
        running.kill()
    apply_migration(project, NOW)


def test_a_script_of_the_project_may_migrate_it(project: Path) -> None:
    code = f"""
from pathlib import Path
from datetime import datetime
from Departments.migration.applying import apply_migration
apply_migration(Path({str(project)!r}), datetime.fromisoformat({NOW.isoformat()!r}))
"""
    (project / "move_over.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "move_over.py"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_program_that_only_stands_in_the_folder_is_none_of_its_scripts(project: Path) -> None:
    tool = project / "venv" / "server.py"
    tool.parent.mkdir()
    tool.write_text("import sys\nprint('up', flush=True)\nsys.stdin.read()\n", encoding="utf-8")
    command = [sys.executable, "-S", str(tool)]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        apply_migration(project, NOW)
        running.kill()


@pytest.mark.parametrize(("seconds", "is_young"), [(-10, False), (5, True), (119, True), (121, False)])
def test_an_instruction_of_this_moment_may_be_a_programs(project: Path, seconds: int, *, is_young: bool) -> None:
    waiting = project / MESSAGES / "Inbox" / "TRADING" / "MSG_EXECUTIVE_20260309T125900Z_0badcafe.md"
    waiting.write_text("---\nmessage_id: x\n---\n", encoding="utf-8")
    written = NOW.timestamp() - seconds
    os.utime(waiting, (written, written))
    if is_young:
        with pytest.raises(WorkspaceBusy, match=f"it was written {seconds} seconds ago"):
            apply_migration(project, NOW)
    else:
        apply_migration(project, NOW)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_that_cannot_be_written_is_looked_at_and_refused(project: Path) -> None:
    project.chmod(0o500)
    try:
        assert survey_project(project).messages.total > 0
        with pytest.raises(DepartmentsError, match="rights"):
            apply_migration(project, NOW)
    finally:
        project.chmod(0o700)


MOUNT, UMOUNT = shutil.which("mount") or "", shutil.which("umount") or ""


@pytest.fixture
def read_only(project: Path) -> Iterator[Path]:
    """Show the project on a read-only disk, where the machine lets us mount one."""
    place = project.parent / "disk"
    place.mkdir()
    done = subprocess.run([MOUNT, "--bind", project, place], check=False, capture_output=True) if MOUNT else None
    if done is None or done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run([MOUNT, "-o", "remount,ro,bind", place], check=True, capture_output=True)
        yield place
    finally:
        subprocess.run([UMOUNT, place], check=True)


def test_a_project_on_a_read_only_disk_is_looked_at_and_otherwise_refused(
    read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_tree(read_only)
    assert say(capsys, "migrate", read_only, "--json").document["plans"]
    assert say(capsys, "migrate", read_only, "--rehearse", "1").code == 0
    refused = say(capsys, "migrate", read_only, "--apply")
    assert (refused.code, len(refused.sentences)) == (3, 1)
    assert "its disk is read-only" in refused.sentences[0]
    seen = say(capsys, "doctor", "--workspace", read_only, "--json")
    troubles = {row["topic"]: row["sentence"] for row in json.loads(seen.out) if row["health"] == "trouble"}
    assert "its disk is read-only" in troubles["ledger"]
    assert read_tree(read_only) == before


def test_the_days_of_a_migrated_project_on_a_read_only_disk_stay(project: Path, read_only: Path) -> None:
    apply_migration(project, NOW)
    before = read_tree(project)
    with pytest.raises(DiskError, match="make its disk writable"):
        undo_migration(read_only, NOW)
    assert read_tree(project) == before
    undo_migration(project, NOW)


@pytest.mark.parametrize(
    ("name", "is_folder", "words"),
    [
        ("sentinel.db", True, "is a folder, and scripts and desk expect a database; move it away"),
        ("Departments/bootstrap.py", True, "is a folder, and a file of ours goes there; move it away"),
        ("scripts", False, "is a file, and a folder of ours goes there; move it away"),
    ],
)
def test_what_is_in_the_way_is_named_before_anything_is_done(
    project: Path, name: str, words: str, *, is_folder: bool
) -> None:
    path = project / name
    if path.exists():
        path.rename(project.parent / "aside")
    path.mkdir() if is_folder else path.write_text("", encoding="utf-8")
    before = read_tree(project)
    with pytest.raises(BadInput, match=f"{re.escape(str(path))}: {words}"):
        apply_migration(project, NOW)
    assert drop_leftovers(read_tree(project)) == drop_leftovers(before)


@pytest.mark.parametrize("name", ["settings.yaml", "hard_constraints.yaml"])
def test_a_rehearsal_names_the_projects_own_file(project: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "Config" / name).write_text("deploymnt: {}\n", encoding="utf-8")
    said = say(capsys, "migrate", project, "--rehearse", "1")
    assert said.code == 2
    assert f"{project / 'Config' / name}: deploymnt: is not a known key" in said.err


def test_a_project_without_limits_is_rehearsed_with_the_default_ones(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Config" / "hard_constraints.yaml").unlink()
    assert say(capsys, "migrate", project, "--rehearse", "1").code == 0


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    with pytest.raises(BadInput, match="has neither Departments/ nor"):
        survey_project(tmp_path / "letters")
    with pytest.raises(BadInput, match="there is no such folder"):
        survey_project(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 7}', '{"format": 1}'])
def test_a_damaged_record_is_named(project: Path, text: str) -> None:
    done = apply_migration(project, NOW)
    (done.backup / "migration.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"migration\.json"):
        undo_migration(project, NOW)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the Python")
def test_a_python_that_cannot_run_the_desk_is_refused_before_anything_is_done(project: Path) -> None:
    python = project / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("""#!/bin/sh\necho '{"version": [3, 9, 18], "packages": {}}'\n""", encoding="utf-8")
    python.chmod(0o755)
    before = read_tree(project)
    with pytest.raises(BadInput, match=r"python: is Python 3\.9\.18, and the desk needs 3\.11 or newer; install one"):
        apply_migration(project, NOW)
    assert read_tree(project) == before
