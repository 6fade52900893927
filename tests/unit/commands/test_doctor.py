"""What the doctor says about a workspace, and with which exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.moments import iso, parse_iso
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.locks import execution_lock
from Departments.core.quotes import MarketClock
from Departments.doctor.broker_looks import look_at_clock
from Departments.doctor.diagnoses import Diagnosis, Health, ok, take_look
from Departments.ledger.ledger import Ledger
from Departments.migration.pythons import find_lacking, spell_package
from tests.builders.commands import Said, contents, plan_file, run_of, say
from tests.builders.desk import STATE, workspace, write_yaml
from tests.builders.existing_messages import FOLDER
from tests.unit.ledger.test_conversion import older_ledger

TOPICS = {
    "python", "rights", "disk", "mutexes", "sync", "calendar", "watcher", "code", "settings", "limits", "ledger",
    "messages", "briefing", "schedule", "credentials", "broker", "gates", "feed",
}  # fmt: skip
AT = "2025-11-10T15:00:00.000000+00:00"


def sentences(said: Said, topic: str, health: str) -> list[str]:
    rows: list[dict[str, str]] = said.document  # type: ignore[assignment]
    return [row["sentence"] for row in rows if (row["topic"], row["health"]) == (topic, health)]


def healths(document: list[dict[str, str]]) -> dict[str, str]:
    return {row["topic"]: row["health"] for row in document}


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    root = workspace(tmp_path)
    assert say(capsys, "plan", "--workspace", root, "--exchange-state", root / "state.yaml").code == 2  # no briefing
    return root


def test_a_workspace_in_order_has_no_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert said.code == 0
    found = healths(said.document)  # type: ignore[arg-type]
    warned = {topic for topic, health in found.items() if health != "ok"}
    assert warned == {"briefing", "schedule"}
    assert set(found) >= TOPICS
    assert all(row["sentence"].endswith(".") for row in said.document)  # type: ignore[index]


def test_a_look_that_the_system_refuses_is_trouble_and_the_others_go_on(folder: Path) -> None:
    def look_at_disk(_: Desk) -> Iterator[Diagnosis]:
        yield ok("disk", str((folder / "nowhere").stat()))

    with closing(open_desk(folder, Choices())) as desk:
        (found,) = take_look(look_at_disk, desk)
    assert (found.health, found.topic) == (Health.TROUBLE, "disk")
    assert found.sentence.startswith(f"{folder / 'nowhere'} cannot be looked at (")


def test_wrong_limits_are_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config" / "hard_constraints.yaml").write_text("position_limits: {min_value: 3}\n", encoding="utf-8")
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 1
    assert "trouble  limits" in said.out


def test_an_older_ledger_names_the_command_that_converts_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.glob("sentinel.db*"):
        path.unlink()
    older_ledger(folder / "sentinel.db", 14)
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 1
    assert "version 14" in said.out
    assert "migrate" in said.out


@pytest.mark.parametrize("rows", ["", "INSERT INTO ledger_version VALUES (0)"])
def test_a_ledger_whose_first_run_was_killed_is_in_order(
    folder: Path, capsys: pytest.CaptureFixture[str], rows: str
) -> None:
    for path in folder.glob("sentinel.db*"):
        path.unlink()
    with closing(sqlite3.connect(folder / "sentinel.db")) as db:
        db.executescript(f"CREATE TABLE ledger_version (version INTEGER NOT NULL); {rows}")
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    (sentence,) = sentences(said, "ledger", "ok")
    assert "gets the desk's tables with the first run" in sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE desk_halts SET halted_at = 'soon'", "its table desk_halts holds 'soon' as halted_at"),
        ("DROP TABLE desk_traded", "no such table: desk_traded"),
        ("DROP TABLE ledger_version", "its version is missing"),
        ("UPDATE ledger_version SET version = 'new'", "its version is 'new'"),
    ],
)
def test_a_damaged_ledger_is_not_whole(
    folder: Path, capsys: pytest.CaptureFixture[str], change: str, words: str
) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    say(capsys, "halt", "--reason", "holiday", "--workspace", folder)
    with closing(sqlite3.connect(folder / "sentinel.db")) as db, db:
        db.execute(change)
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert said.code == 1
    (sentence,) = sentences(said, "ledger", "trouble")
    assert words in sentence
    assert "put a copy of the ledger in its place" in sentence


def test_a_ledger_that_nobody_can_convert_is_not_sent_to_a_command_that_refuses_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.glob("sentinel.db*"):
        path.unlink()
    with closing(sqlite3.connect(folder / "sentinel.db")) as db:
        db.executescript("CREATE TABLE ledger_version (version INTEGER); INSERT INTO ledger_version VALUES (9)")
    (sentence,) = sentences(say(capsys, "doctor", "--workspace", folder, "--json"), "ledger", "trouble")
    assert "move it away and see `departments reconcile`" in sentence


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (timedelta(days=1, seconds=3), "The machine's clock is 86403 s behind the broker's; set it."),
        (-timedelta(days=2), "The machine's clock is 172800 s ahead of the broker's; set it."),
        (timedelta(seconds=4), "The machine's clock agrees with the broker's."),
    ],
)
def test_a_wrong_clock_is_named_with_all_of_its_difference(ahead: timedelta, sentence: str) -> None:
    class Clocked:
        clock = broker = SystemClock()
        broker_row = SimpleNamespace(takes_simulated_clock=False)

    desk, theirs = Clocked(), MarketClock.by_calendar(SystemClock().now() + ahead)
    desk.broker = SimpleNamespace(market_clock=lambda: theirs)  # type: ignore[assignment]
    (found,) = look_at_clock(cast(Desk, desk))
    assert found.sentence == sentence


def test_an_unfinished_execution_and_odd_files_are_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    ledger = Ledger(folder / "sentinel.db")
    with ledger.transaction():
        ledger._db.execute("INSERT INTO desk_plans VALUES ('P', '', ?, '', '{}', '', NULL, 0)", [AT])
        ledger._db.execute(
            "INSERT INTO desk_executions (plan_id, trading_day, started_at, status, equity, cash_before, reserve, "
            "fees, by_hand, attempt) VALUES ('P', '2025-11-10', ?, 'RUNNING', '0', '0', '0', '0', 0, 1)",
            [AT],
        )
    ledger.close()
    inbox = folder / FOLDER / "Inbox" / "TRADING"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "odd.md").write_text("nothing", encoding="utf-8")
    said = say(capsys, "doctor", "--workspace", folder)
    assert said.code == 0
    assert "The execution of P is not finished; run `departments resume`" in said.out
    assert "1 file cannot be read as messages: TRADING/odd.md" in said.out


def test_looking_changes_nothing_and_sends_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    say(capsys, "doctor", "--workspace", folder)
    before = contents(folder)
    assert say(capsys, "doctor", "--workspace", folder).code == 0
    assert contents(folder) == before


def test_an_execution_that_holds_the_mutex_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with execution_lock(folder):
        said = say(capsys, "doctor", "--workspace", folder, "--json")
    (sentence,) = sentences(said, "mutexes", "warning")
    assert "another execution is running here" in sentence


def test_a_sync_client_is_named_and_a_state_folder_outside_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace(tmp_path / "OneDrive - Desk" / "ws")
    say(capsys, "exchange", "init", root / "state.yaml", "--workspace", root)
    (sentence,) = sentences(say(capsys, "doctor", "--workspace", root, "--json"), "sync", "warning")
    assert "OneDrive" in sentence
    assert "state_dir" in sentence
    settings = root / "config" / "settings.yaml"
    settings.write_text(f"state_dir: '{tmp_path / 'state'}'\n", encoding="utf-8")
    assert sentences(say(capsys, "doctor", "--workspace", root, "--json"), "sync", "ok")


def test_a_damaged_ledger_is_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "sentinel.db"
    Ledger(path).close()
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"x" * 32768
    path.write_bytes(bytes(data))
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert said.code == 1
    assert sentences(said, "ledger", "trouble")


def test_a_clock_before_the_last_run_is_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, *run_of(folder, "--plan", plan_file(folder))).code == 0
    said = say(capsys, "doctor", "--workspace", folder, "--at", "2025-11-10T14:00:00Z", "--json")
    (sentence,) = sentences(said, "clock", "trouble")
    assert "set the machine's clock right" in sentence


def test_a_clock_that_is_seconds_behind_the_last_run_is_no_trouble(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(capsys, *run_of(folder, "--plan", plan_file(folder))).code == 0
    with closing(sqlite3.connect(folder / "sentinel.db")) as db:
        (ended,) = db.execute("SELECT max(ended_at) FROM desk_executions").fetchone()
    at = iso(parse_iso(ended) - timedelta(seconds=30))
    assert sentences(say(capsys, "doctor", "--workspace", folder, "--at", at, "--json"), "clock", "trouble") == []


def test_a_halt_and_dead_letters_are_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    assert say(capsys, "halt", "--reason", "the feed is wrong", "--workspace", folder).code == 0
    dead = folder / "Messages_Between_Departments" / "Dead_Letter" / "TRADING"
    dead.mkdir(parents=True)
    (dead / "MSG_X.md").write_text("junk", encoding="utf-8")
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert "the feed is wrong" in sentences(said, "halt", "warning")[0]
    assert "1 dead letter needs a person" in sentences(said, "messages", "warning")[0]
    assert said.code == 0


def test_keys_are_named_by_their_source_and_never_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PKSECRETNAME")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "verysecret")
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    for address, health in (("https://paper-api.alpaca.markets", "ok"), ("https://api.alpaca.markets", "warning")):
        monkeypatch.setenv("APCA_API_BASE_URL", address)
        said = say(capsys, "doctor", "--workspace", folder, "--json")
        assert sentences(said, "credentials", health)
        assert "PKSECRETNAME" not in said.out + said.err
        assert "verysecret" not in said.out + said.err


def test_a_blocked_account_is_trouble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_yaml(folder / "state.yaml", {**STATE, "account": {"trading_blocked": True}})
    say(capsys, "exchange", "init", folder / "state.yaml", "--workspace", folder)
    said = say(capsys, "doctor", "--workspace", folder, "--json")
    assert (said.code, len(sentences(said, "gates", "trouble"))) == (1, 1)


@pytest.mark.parametrize("name", ["ruamel.yaml", "ruamel-yaml", "Ruamel_YAML"])
def test_a_package_is_found_however_its_name_is_spelled(name: str) -> None:
    assert spell_package(name) == "ruamel-yaml"


def test_this_python_lacks_nothing_that_it_imports() -> None:
    assert "ruamel" not in " ".join(find_lacking())
