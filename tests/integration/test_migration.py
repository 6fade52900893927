"""Into an existing project and out again: nothing of it is lost, whenever somebody pulls the plug."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.core.errors import BadInput
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.processes import run_program, split_command
from Departments.core.platform.steps import Step
from Departments.core.settings import load_settings
from Departments.ledger.ledger import Ledger
from Departments.migration.applying import apply_migration
from Departments.migration.record import FOLDER, MigrationState, find_record
from Departments.migration.survey import survey_project
from Departments.migration.undoing import undo_migration
from tests.builders.commands import say
from tests.builders.desk import MORNING, STATE, two_and_two, workspace, write_yaml
from tests.builders.existing import drop_leftovers, existing_project, read_tree, run_old_code
from tests.builders.existing_messages import FOLDER as MESSAGES
from tests.builders.existing_messages import regime_text
from tests.fakes.killing import KILL, in_a_child, killed_at
from tests.unit.ledger.test_conversion import older_ledger

NOW = datetime(2026, 3, 9, 13, 0, tzinfo=UTC)
#: What a migration and the days after it leave: the database, and the folder of copies.
KEPT = ("sentinel.db", FOLDER)
TABLES = ("trading_orders", "trading_fills", "trading_rejections", "portfolio_positions", "portfolio_snapshots")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return existing_project(tmp_path, name="Mein Börsen Projekt")


def rows(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(root / "sentinel.db")) as db:
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}


def run_here(root: Path, code: str) -> str:
    """Run code with the project's own Departments and the packages of this Python."""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_looking_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_tree(project)
    said = say(capsys, "migrate", project, "--json")
    assert said.code == 0
    assert read_tree(project) == before
    found = said.document
    assert found["keys"]["kind"] == "paper"
    assert "Departments/Executive/ceo.py" in found["code"]["replaced"]
    assert "Departments/Research/research_department.py" in found["code"]["stays"]
    assert "Departments/Operations/mode_manager.py" in found["code"]["stays"]
    assert found["databases"][0]["tables"]["trading_orders"] == 15
    assert {row["type"]: row["count"] for row in found["messages"]}["DailyBriefing"] == 5
    assert len(found["plans"]) == 5
    assert "run_automated_trading.bat" in found["schedules"]
    assert any("min_cash_reserve_pct 6" in line for line in found["differences"])
    (stricter,) = [line for line in found["differences"] if "compliance_config.yaml is stricter" in line]
    assert "position_limits.max_position_value 10000" in stricter


def test_every_message_of_a_project_can_be_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = len(list((project / MESSAGES).rglob("*.md")))
    found = survey_project(project).messages
    assert (found.unreadable, found.total, found.count("RiskAssessment", "Inbox")) == ((), files, 3)
    apply_migration(project, NOW)
    said = say(capsys, "doctor", "--workspace", project, "--broker", "simulated")
    assert "cannot be read" not in said.out
    assert "(run_automated_trading.bat, run_automated_trading_silent.vbs, setup_automated_trading_task.ps1)" in said.out
    assert "departments init" not in said.out


def test_ours_come_and_theirs_stay(project: Path) -> None:
    rows_before = rows(project)
    done = apply_migration(project, NOW)
    assert rows(project) == rows_before
    assert done.backup.name == "Before_Departments_20260309T130000Z"
    code = """
import sys
sys.path.insert(0, ".")
from Departments.Executive.ceo import CEO
from Departments.Executive.executive_department import ExecutiveDepartment
from Departments.Operations.mode_manager import ModeManager
from Departments.Operations.operations_manager import OperationsManager
from Departments.Research.research_department import ResearchDepartment
from Departments.News.news_department import NewsDepartment
import Departments.bootstrap
assert isinstance(CEO(".").executive_dept, ExecutiveDepartment)
assert CEO(".").realism_sim.day_trades == []
print(Departments.bootstrap.__file__, CEO.__doc__)
"""
    said = run_here(project, code)
    assert str(project / "Departments" / "bootstrap.py") in said
    assert "opens the desk of its folder" in said
    settings = (project / "Config" / "settings.yaml").read_text(encoding="utf-8")
    assert "name: alpaca" in settings
    assert not (project / "config").exists()
    assert (project / "scripts" / "watch_inbox.py").is_file()
    assert (project / "scripts" / "backtest.py").is_file()


def test_old_regime_messages_are_archived_and_others_wait(project: Path) -> None:
    young = project / MESSAGES / "Inbox" / "TRADING" / "MSG_REGIME_20260309T120000Z_trad.md"
    young.write_bytes(regime_text("TRADING", datetime(2026, 3, 9, 12, tzinfo=UTC)))
    done = apply_migration(project, NOW)
    assert done.archived == 25
    assert [path.name for path in (project / MESSAGES / "Inbox" / "TRADING").glob("*.md")] == [young.name]
    assert (project / MESSAGES / "Archive" / "2026-03-02" / "TRADING").is_dir()
    assert len(list((project / MESSAGES / "Inbox" / "PORTFOLIO").glob("MSG_RISK*.md"))) == 3


def test_an_undo_brings_no_other_message_of_the_same_name_back(project: Path) -> None:
    inbox = project / MESSAGES / "Inbox" / "TRADING"
    old = next(path for path in sorted(inbox.glob("MSG_REGIME_20260302*.md")))
    other = project / MESSAGES / "Archive" / "2026-03-02" / "TRADING" / old.name
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("of another day", encoding="utf-8")
    apply_migration(project, NOW)
    undo_migration(project, NOW)
    assert other.read_text(encoding="utf-8") == "of another day"


def test_the_folders_of_a_later_version_go_with_an_undo(project: Path) -> None:
    before = read_tree(project, *KEPT)
    folders = {path for path in project.rglob("*") if path.is_dir()}
    apply_migration(project, NOW)
    record = find_record(project)
    assert record is not None
    shutil.rmtree(project / "Departments" / "web")
    for name in [name for name in record.theirs if name.startswith("Departments/web/")]:
        del record.theirs[name], record.ours[name]
    record.folders = [name for name in record.folders if not name.startswith("Departments/web")]
    record.save()
    apply_migration(project, NOW)
    undo_migration(project, NOW)
    assert read_tree(project, *KEPT) == before
    left = {path for path in project.rglob("*") if path.is_dir()} - folders
    assert [path for path in left if path.relative_to(project).parts[0] == "Departments"] == []


def test_the_projects_research_makes_the_briefing_from_then_on(project: Path) -> None:
    hook = load_settings(apply_migration(project, NOW).settings).operations.briefing
    assert hook.module == "Departments.Research.research_department:ResearchDepartment.generate_daily_briefing"
    assert hook.arguments == {"db_path": "sentinel.db"}


def test_a_client_of_the_account_is_handed_to_research(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "Utils" / "alpaca_client.py").write_text("class AlpacaClient:\n    pass\n", encoding="utf-8")
    hook = load_settings(apply_migration(project, NOW).settings).operations.briefing
    monkeypatch.setenv("STANDIN_SECONDS", "0")
    done = run_program(split_command(hook.command or ""), project, 60)
    assert done.code == 0, done.errors
    (made,) = [line for line in done.output.splitlines() if line.startswith("MSG_RESEARCH_")]
    assert (project / MESSAGES / "Outbox" / "RESEARCH" / f"{made}.md").is_file()


def test_undo_puts_back_what_was_there(project: Path) -> None:
    before, rows_before = read_tree(project, *KEPT), rows(project)
    apply_migration(project, NOW)
    assert read_tree(project, *KEPT) != before
    undo_migration(project, NOW)
    assert read_tree(project, *KEPT) == before
    assert rows(project) == rows_before
    assert {path.name for path in (project / "Departments").iterdir()} - {"__pycache__"} == {
        *("Compliance", "Executive", "News", "Operations", "Portfolio", "Research", "Risk", "Trading")
    }


def test_undo_gives_the_database_its_own_journal_back(project: Path) -> None:
    def journal() -> str:
        with closing(sqlite3.connect(project / "sentinel.db")) as db:
            return str(db.execute("PRAGMA journal_mode").fetchone()[0])

    before = journal()
    apply_migration(project, NOW)
    during = journal()
    undo_migration(project, NOW)
    assert (before, during, journal()) == ("delete", "wal", "delete")


def test_undo_names_an_installed_package_that_still_comes_first(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply_migration(project, NOW)
    said = say(capsys, "migrate", project, "--undo")
    assert "its modules still come first" in said.out
    assert f'"{sys.executable}" -m pip uninstall departments' in said.out.splitlines()


def test_undo_keeps_the_days_in_between(tmp_path: Path) -> None:
    project = existing_project(tmp_path, keys="none")
    write_yaml(project / "Config" / "hard_constraints.yaml", {"position_limits": {"min_position_pct": 0.025}})
    before = rows(project)
    apply_migration(project, NOW)
    state = write_yaml(tmp_path / "state.yaml", STATE)
    with closing(open_desk(project, Choices(clock=SimulatedClock(MORNING), exchange_state=state))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        assert opened.ceo.execute_plan()["document"]["status"] == "COMPLETED"
    letters = {path.name for path in (project / MESSAGES).rglob("MSG_*20251110*.md")}
    undo_migration(project, NOW)
    assert {path.name for path in (project / MESSAGES).rglob("MSG_*20251110*.md")} == letters
    code = """
import sys
sys.path.insert(0, ".")
from Departments.Executive.ceo import CEO
ceo = CEO(".")
ceo.handle_user_request("generate_plan")
ceo.approve_plan("it")
for _ in range(2):
    print(ceo.handle_user_request("execute_plan")["status"])
"""
    run_old_code(project, code)
    with closing(sqlite3.connect(project / "sentinel.db")) as db:
        ours = db.execute("SELECT ticker, status FROM trading_orders WHERE order_id LIKE 'MSG_%'").fetchall()
        opened_rows = db.execute("SELECT ticker FROM portfolio_positions WHERE status = 'OPEN'").fetchall()
        sent = db.execute("SELECT count(*) FROM trading_orders WHERE status = 'SUBMITTED'").fetchone()[0]
        again = db.execute("SELECT count(*) FROM trading_rejections WHERE rejection_source = 'DUPLICATE'").fetchone()[0]
    assert ours == [(symbol, "FILLED") for symbol in ("CTVA", "DVN", "ALKS", "COMM")]
    assert ("COMM",) in opened_rows
    assert sent == again > 0
    assert rows(project)["trading_orders"][: len(before["trading_orders"])] == before["trading_orders"]


def test_a_desks_own_folder_gets_no_code_and_its_ledger_is_converted(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "desk")
    older_ledger(folder / "sentinel.db", 14)
    (folder / MESSAGES / "Inbox" / "TRADING").mkdir(parents=True)
    apply_migration(folder, NOW)
    assert not (folder / "Departments").exists()
    assert not (folder / "scripts").exists()
    Ledger(folder / "sentinel.db").close()


def test_what_somebody_changed_since_is_kept_aside(project: Path) -> None:
    done = apply_migration(project, NOW)
    settings = project / "Config" / "settings.yaml"
    settings.write_text("approve: auto\n", encoding="utf-8")
    apply_migration(project, NOW)
    assert settings.read_text(encoding="utf-8") == "approve: auto\n"
    undo_migration(project, NOW)
    assert not settings.exists()
    assert (done.backup / "edited_since" / "Config" / "settings.yaml").read_text(encoding="utf-8") == "approve: auto\n"


def test_an_instruction_of_ours_that_nobody_handled_is_not_left_to_the_old_code(project: Path) -> None:
    apply_migration(project, NOW)
    name = "MSG_EXECUTIVE_20260309T140000Z_0badcafe.md"
    with closing(Ledger(project / "sentinel.db")) as ledger, ledger.transaction():
        ledger._db.execute(
            "INSERT INTO bus_letters (name, sender, recipient, digest, enqueued_at) VALUES (?, 'EXECUTIVE', 'TRADING', "
            "'x', '')",
            (name,),
        )
    waiting = project / MESSAGES / "Inbox" / "TRADING" / name
    waiting.write_text("---\nmessage_id: x\n---\n", encoding="utf-8")
    assert undo_migration(project, NOW).set_aside == (name,)
    assert not waiting.exists()


def test_applying_twice_changes_nothing_more(project: Path) -> None:
    first = apply_migration(project, NOW)
    before = read_tree(project, *KEPT)
    second = apply_migration(project, NOW.replace(day=10))
    assert (second.backup, second.archived) == (first.backup, 0)
    assert read_tree(project, *KEPT) == before


def test_it_can_be_done_again_after_an_undo(project: Path) -> None:
    before = read_tree(project, *KEPT)
    for day in (9, 10):
        apply_migration(project, NOW.replace(day=day))
        undo_migration(project, NOW.replace(day=day))
    assert read_tree(project, *KEPT) == before
    with pytest.raises(BadInput, match="no migration of it can be undone"):
        undo_migration(project, NOW)


def steps_of(work: Callable[[Step], object]) -> list[int]:
    """Return the last step of each name, and a first one. A kill before one is a kill after another."""
    labels: list[str] = []
    work(labels.append)
    chosen = {0}
    for label in {label for label in labels if label.startswith("before:")}:
        found = [number for number, each in enumerate(labels) if each == label]
        chosen.add(found[-1])
    return sorted(chosen)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_kill_at_any_step_of_applying_loses_nothing(tmp_path: Path) -> None:
    numbers = steps_of(lambda step: apply_migration(existing_project(tmp_path / "whole"), NOW, step))
    for number in numbers:
        project = existing_project(tmp_path / str(number))
        before, rows_before = read_tree(project, *KEPT), rows(project)
        assert in_a_child(partial(apply_migration, project, NOW, killed_at(number))) == KILL
        if number % 2:
            apply_migration(project, NOW)
            assert (project / "Departments" / "bootstrap.py").is_file()
            assert not list((project / MESSAGES / "Inbox").glob("*/MSG_REGIME*"))
        if find_record(project) is not None:
            undo_migration(project, NOW)
        assert drop_leftovers(read_tree(project, *KEPT)) == before, number
        assert rows(project) == rows_before, number
    assert len(numbers) > 6


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_kill_at_any_step_of_undoing_loses_nothing(tmp_path: Path) -> None:
    whole = existing_project(tmp_path / "whole")
    apply_migration(whole, NOW)
    for number in steps_of(lambda step: undo_migration(whole, NOW, step)):
        project = existing_project(tmp_path / str(number))
        before = read_tree(project, *KEPT)
        apply_migration(project, NOW)
        assert in_a_child(partial(undo_migration, project, NOW, killed_at(number))) == KILL
        begun = find_record(project)
        if begun is not None and begun.state is MigrationState.UNDOING:
            with pytest.raises(BadInput, match="an undo was interrupted"):
                apply_migration(project, NOW)
        undo_migration(project, NOW)
        assert drop_leftovers(read_tree(project, *KEPT)) == before, number


# --- beside an installed package ---


@pytest.mark.parametrize("first", ["installed", "project"])
def test_an_installed_package_and_a_project_are_both_found(project: Path, first: str) -> None:
    ours = str(Path(__file__).resolve().parents[2])
    paths = [ours, "."] if first == "installed" else [".", ours]
    code = f"""
import sys
sys.path[:0] = {paths!r}
from Departments.Executive.ceo import CEO
from Departments.Executive.executive_department import ExecutiveDepartment
from Departments.Operations.mode_manager import ModeManager
from Departments.Research.research_department import ResearchDepartment
import Departments.Executive.ceo as ceo, Departments.cli
print(ceo.__file__)
"""
    assert run_here(project, code).strip().startswith(ours)
