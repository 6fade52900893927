"""What a migration writes into settings and limits: hooks, the ramp, where the ledger is."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from Departments.bootstrap import Choices
from Departments.constraints.limits import load_limits
from Departments.core.errors import BadInput
from Departments.core.settings import Settings, load_settings
from Departments.doctor.diagnoses import Health, examine
from Departments.ledger.ledger import Ledger
from Departments.migration.applying import apply_migration, list_changes
from Departments.migration.configuring import config_folder
from Departments.migration.survey import survey_project
from Departments.migration.undoing import undo_migration
from Departments.Operations.hooks import Hook
from tests.builders.commands import say
from tests.builders.desk import workspace, write_yaml
from tests.builders.existing import existing_project
from tests.unit.ledger.test_conversion import older_ledger

NOW = datetime(2026, 3, 9, 13, 0, tzinfo=UTC)
LIMITS = Path("Config") / "hard_constraints.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return existing_project(tmp_path, name="Mein Börsen Projekt")


def universe(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "research_universe.json").read_text(encoding="utf-8")))


def migrated(root: Path) -> Settings:
    return load_settings(apply_migration(root, NOW).settings)


# --- hooks ---


def test_the_projects_news_adds_its_scores_to_a_briefing(project: Path) -> None:
    enrich = Hook("operations.enrich", migrated(project).operations.enrich, project)
    before = universe(project)
    after = enrich.run(NOW, before)
    one = next(row for row in after["candidates"] if row["ticker"] == "CVE")
    assert one["sentiment"] == {"score": 65, "summary": "News of CVE", "news_count": 1}
    assert float(one["composite_score"]) == round(0.4 * 78 + 0.4 * 60 + 0.2 * 65, 1)
    held = next(row for row in after["current_holdings"] if row["ticker"] == "WFC")
    assert held["sentiment"]["score"] == 65
    assert float(held["research_composite_score"]) == 66.4
    assert len(after["candidates"]) == len(before["candidates"])


def test_a_score_that_nobody_has_counted_stays_as_it_is(project: Path) -> None:
    enrich = Hook("operations.enrich", migrated(project).operations.enrich, project)
    row = {"ticker": "CVE", "composite_score": 71.0, "technical": None}
    assert enrich.run(NOW, {"candidates": [row]})["candidates"][0]["composite_score"] == 71


def test_without_news_there_is_no_second_hook(project: Path) -> None:
    (project / "Departments" / "News" / "news_department.py").unlink()
    operations = migrated(project).operations
    assert operations.briefing.is_set
    assert not operations.enrich.is_set


def take_marks_away(text: str, mark: str) -> str:
    """Take the # away before the optimiser, or the # and a blank where there is one, as editors do."""
    head, there, block = text.partition("#operations:")
    if not there:
        head, there, block = text.partition("  #propose")
    return head + re.sub(rf"(?m)^( *){mark}", r"\1", there + block)


@pytest.mark.parametrize("mark", ["#", "# ?"])
@pytest.mark.parametrize("alone", [False, True])
def test_the_optimiser_is_there_switched_off_and_works_when_switched_on(
    project: Path, mark: str, *, alone: bool
) -> None:
    if alone:
        for name in ("News/news_department.py", "Research/research_department.py"):
            (project / "Departments" / name).unlink()
    settings = apply_migration(project, NOW).settings
    assert not load_settings(settings).operations.propose.is_set
    text = settings.read_text(encoding="utf-8")
    settings.write_text(take_marks_away(text, mark), encoding="utf-8")
    seen = universe(project)
    seen["candidates"][0]["allocated_capital"] = 4000
    given = {"briefing": seen, "account": {"cash": 9000}, "positions": []}
    (project / "Departments" / "Operations" / "realism_simulator.py").unlink()  # nothing else of theirs is needed
    propose = Hook("operations.propose", load_settings(settings).operations.propose, project)
    assert propose.run(NOW, given) == {
        "picks": [{"ticker": "CVE", "allocated_capital": 4000, "reason": None}],
        "reason": "equal shares",
    }


def test_looking_names_the_hooks(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in say(capsys, "migrate", project, "--json").document["changes"] if "settings" in line]
    assert "Research for the day's briefing and News for its scores, and its optimiser switched off" in line


# --- the ramp ---


def test_the_limits_get_a_ramp_at_their_end_and_nothing_else(project: Path) -> None:
    before = (project / LIMITS).read_text(encoding="utf-8")
    apply_migration(project, NOW)
    after = (project / LIMITS).read_text(encoding="utf-8")
    assert after.startswith(before)
    goals = load_limits(project / LIMITS).deployment
    assert (goals.ramp_days, goals.ramp_from) == (5, date(2026, 3, 9))
    apply_migration(project, NOW.replace(day=20))
    assert (project / LIMITS).read_text(encoding="utf-8") == after


def test_a_ramp_that_somebody_took_out_does_not_come_back(project: Path) -> None:
    before = (project / LIMITS).read_bytes()
    apply_migration(project, NOW)
    (project / LIMITS).write_bytes(before)
    apply_migration(project, NOW)
    assert (project / LIMITS).read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        b"deployment:\n  target_pct: 0.8\n",
        b"deployment:\n",
        b"{position_limits: {max_positions_total: 30}}\n",
        b"position_limits: {max_positions_total: 30}\n...\n",
        b"position_limits: [\n",
        b"# K\xf6ln\n",
    ],
)
def test_limits_with_goals_of_their_own_or_of_another_form_stay_as_they_are(project: Path, text: bytes) -> None:
    (project / LIMITS).write_bytes(text)
    assert not any("ramp_days" in line for line in list_changes_of(project))
    apply_migration(project, NOW)
    assert (project / LIMITS).read_bytes() == text


def list_changes_of(root: Path) -> list[str]:
    return list(list_changes(survey_project(root)))


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfversion: 1.0\r\n", b"version: 1.0", b""])
def test_the_ramp_keeps_line_ends_and_byte_order_mark(project: Path, text: bytes) -> None:
    (project / LIMITS).write_bytes(text)
    assert any("ramp_days: 5" in line for line in list_changes_of(project))
    apply_migration(project, NOW)
    data = (project / LIMITS).read_bytes()
    assert data.startswith(text)
    assert data.count(b"\n") == data.count(b"\r\n") or b"\r" not in data
    assert load_limits(project / LIMITS).deployment.ramp_days == 5
    undo_migration(project, NOW)
    assert (project / LIMITS).read_bytes() == text


def test_limits_that_are_not_there_come_with_a_ramp(project: Path) -> None:
    (project / LIMITS).unlink()
    apply_migration(project, NOW)
    assert load_limits(project / LIMITS).deployment.ramp_from == date(2026, 3, 9)


def test_a_desks_own_limits_get_no_ramp(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "desk")
    (folder / "Messages_Between_Departments" / "Inbox" / "TRADING").mkdir(parents=True)
    older_ledger(folder / "sentinel.db", 14)
    before = (folder / "config" / "hard_constraints.yaml").read_bytes()
    apply_migration(folder, NOW)
    assert (folder / "config" / "hard_constraints.yaml").read_bytes() == before


# --- where things are ---


def test_of_two_folders_of_configuration_the_one_with_the_limits_counts(project: Path) -> None:
    (project / "config").mkdir()
    assert config_folder(project) == "Config"
    apply_migration(project, NOW)
    assert list((project / "config").iterdir()) == []


def test_the_ledger_stays_where_the_scripts_open_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPARTMENTS_STATE", str(project.parent / "state"))
    settings = migrated(project)
    assert settings.state_dir == Path()
    assert not list((project.parent / "state").rglob("*.db*"))
    with closing(Ledger(project / "sentinel.db")) as ledger:
        assert ledger.plans.executions() == []
    undo_migration(project, NOW)


def test_settings_that_name_another_place_than_the_scripts_are_refused(project: Path) -> None:
    write_yaml(project / "Config" / "settings.yaml", {"state_dir": "../elsewhere"})
    with pytest.raises(BadInput, match=r'settings\.yaml: state_dir: the ledger would be in .*write state_dir: "\."'):
        apply_migration(project, NOW)
    assert not list(project.glob("Before_Departments_*"))


def test_a_doctor_sees_that_scripts_and_desk_open_different_ledgers(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = apply_migration(project, NOW).settings
    choices = Choices(broker="simulated")
    assert not [d for d in examine(project, choices, ask_broker=False) if "scripts open" in d.sentence]
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'{text}\nstate_dir: "../state"\n', encoding="utf-8")
    (found,) = [d for d in examine(project, choices, ask_broker=False) if "scripts open" in d.sentence]
    assert found.health is Health.TROUBLE
    settings.unlink()
    monkeypatch.setenv("DEPARTMENTS_STATE", str(project.parent / "state"))
    (warned,) = [d for d in examine(project, choices, ask_broker=False) if "scripts open" in d.sentence]
    assert warned.sentence.endswith('write state_dir: "." into the settings.')


def test_the_ledger_of_a_desk_is_converted_where_its_settings_say(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "desk", settings={"state_dir": "../state"})
    (folder / "Messages_Between_Departments" / "Inbox" / "TRADING").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    older_ledger(tmp_path / "state" / "sentinel.db", 14)
    done = apply_migration(folder, NOW)
    Ledger(tmp_path / "state" / "sentinel.db").close()
    assert (done.backup / "sentinel.db").is_file()
    assert not (folder / "sentinel.db").exists()
    undo_migration(folder, NOW)


def test_the_limits_stay_readable_for_the_projects_own_programs(project: Path) -> None:
    apply_migration(project, NOW)
    read = yaml.safe_load((project / LIMITS).read_text(encoding="utf-8"))
    assert read["position_limits"]["max_positions_total"] == 30
