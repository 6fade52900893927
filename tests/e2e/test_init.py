"""A new workspace, its schedules, and its settings: what a stranger meets first."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree as ET

import pytest

from Departments.commands import config as config_command
from Departments.commands.schedules import overdue_job, run_job, write_schedule
from Departments.core.platform.text_files import read_yaml
from Departments.core.settings import Settings, load_settings
from Departments.core.trading_calendar import EASTERN
from tests.builders.commands import contents, say

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def made(folder: Path, capsys: Capture, *more: str) -> dict[str, object]:
    said = say(capsys, "init", folder, *more, "--json")
    assert said.code == 0, said.err
    return said.document


def test_a_new_workspace_runs_a_day_as_the_words_of_init_say(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "desk"
    assert set(made(folder, capsys)["written"]) >= {"config/settings.yaml", ".gitignore", "examples/briefing.md"}  # type: ignore[call-overload]
    at: list[str | Path] = ["--workspace", folder, "--at", "2025-11-10T15:05:42Z"]
    assert say(capsys, "exchange", "init", folder / "examples" / "account.yaml", *at).code == 0
    assert say(capsys, "doctor", *at).code == 0
    ran = say(capsys, "run", *at, "--briefing", folder / "examples" / "briefing.md", "--json")
    assert (ran.code, ran.document["status"]) == (0, "COMPLETED")


def test_nothing_that_is_there_is_overwritten(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys, "--schedule", "cron")
    (tmp_path / "config" / "settings.yaml").write_text("approve: ask\n", encoding="utf-8")
    before = contents(tmp_path)
    again = made(tmp_path, capsys, "--approve", "ask", "--schedule", "cron")
    assert (again["written"], contents(tmp_path)) == ([], before)
    assert "config/settings.yaml" in again["kept"]  # type: ignore[operator]


OTHERS = {
    "--run-at 10:00": "is 09:20:00 there, not 10:00:00; change it: departments config set schedule.run_at 10:00",
    "--overdue-by 10:45": "schedule.overdue_by: is none there, not 10:45:00",
    "--broker paper": "broker.name: is simulated there, not alpaca",
    "--approve ask": "approve: is auto there, not ask; change it: departments config set approve ask",
    "--briefing research.py": "operations.briefing.command: is none there, not research.py",
    "--schedule cron --run-at 9:30": "schedule.run_at: is 09:20:00 there",
}


@pytest.mark.parametrize("options", OTHERS)
def test_what_an_option_says_and_the_settings_deny_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: Capture, options: str
) -> None:
    made(tmp_path, capsys)
    before = contents(tmp_path)
    said = say(capsys, "init", tmp_path, *options.split())
    assert (said.code, OTHERS[options] in said.err, contents(tmp_path)) == (2, True, before), said.err


def test_a_schedule_follows_the_settings_and_an_older_one_is_named(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys, "--schedule", "systemd")
    assert say(capsys, "config", "set", "schedule.run_at", "10:00", "--workspace", tmp_path).code == 0
    timer = tmp_path / "config" / "schedule" / "departments.timer"
    said = say(capsys, "init", tmp_path, "--schedule", "systemd")
    assert (said.code, "another schedule (departments.service, departments.timer); delete" in said.err) == (2, True)
    for path in timer.parent.iterdir():
        path.unlink()
    assert made(tmp_path, capsys, "--schedule", "systemd", "--run-at", "10:00")["written"] != []
    assert "10:00:00 America/New_York" in timer.read_text(encoding="utf-8")


def test_an_older_systems_configuration_is_not_hidden_by_a_new_one(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "Config").mkdir()
    (tmp_path / "Config" / "settings.yaml").write_text("approve: ask\n", encoding="utf-8")
    assert "config/settings.yaml" in made(tmp_path, capsys)["kept"]  # type: ignore[operator]
    assert not (tmp_path / "config" / "settings.yaml").exists() or os.name == "nt"


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_file_is_no_folder_for_a_workspace(tmp_path: Path, capsys: Capture, below: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for command in (["init"], ["demo", "--workspace"], ["restore", tmp_path / "file", "--workspace"]):
        said = say(capsys, *command, tmp_path / "file" / below)
        assert (said.code, len(said.sentences)) == (2, 1)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_the_answers_become_settings_that_can_be_read(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys, "--broker", "paper", "--briefing", "python 'it.py'", "--run-at", "09:40", "--approve", "ask")
    settings = load_settings(tmp_path / "config" / "settings.yaml")
    assert (settings.broker.name, settings.broker.live, settings.approve) == ("alpaca", False, "ask")
    assert (settings.operations.briefing.command, settings.schedule.run_at) == ("python 'it.py'", time(9, 40))


def test_a_wrong_time_is_refused_before_anything_is_made(tmp_path: Path, capsys: Capture) -> None:
    wrong = {
        "--run-at morning": "--run-at: 'morning' is no time of a day",
        "--briefing it's.py": 'operations.briefing.command: "it\'s.py" has a quotation mark that does not close',
        "--run-at 10:00 --overdue-by 9:00": "overdue_by (09:00) is not after run_at (10:00)",
    }
    for options, words in wrong.items():
        said = say(capsys, "init", tmp_path / "x", *options.split())
        assert (said.code, words in said.err) == (2, True), said.err
        assert not (tmp_path / "x").exists()


def test_the_sentence_for_an_empty_folder_names_init(tmp_path: Path, capsys: Capture) -> None:
    for command in ("inbox", "run", "watch", "status"):
        said = say(capsys, command, "--workspace", tmp_path)
        assert (said.code, "departments init" in said.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


# --- schedules ---


@pytest.mark.skipif(os.name == "nt", reason="cron is of POSIX")
@pytest.mark.parametrize(
    ("now", "code", "runs", "mails"),
    [("1.09:20", 0, 1, 0), ("5.09:20", 5, 1, 0), ("5.09:20", 1, 1, 1), ("6.09:20", 0, 0, 0), ("1.09:50", 0, 0, 0)],
)
def test_the_line_of_cron_works_as_written(tmp_path: Path, now: str, code: int, runs: int, mails: int) -> None:
    folder = tmp_path / "it's 100% here"
    folder.mkdir()
    (tmp_path / "date").write_text(f'#!/bin/sh\n[ "$TZ" = America/New_York ] && echo {now}\n', encoding="utf-8")
    (tmp_path / "python").write_text(f"#!/bin/sh\npwd >> '{tmp_path}/ran'\nexit {code}\n", encoding="utf-8")
    for name in ("date", "python"):
        (tmp_path / name).chmod(0o755)
    text = write_schedule("cron", tmp_path / "python", folder, [run_job(time(9, 20))])["crontab.txt"]
    minutes, command = text.splitlines()[1].split(" * * * * ")
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command.replace("\\%", "%")], check=True, env=environ, stdout=-1, text=True)  # noqa: S607
    ran = (tmp_path / "ran").read_text().splitlines() if (tmp_path / "ran").exists() else []
    assert (minutes, ran) == ("20,35,50,5", [str(folder)] * runs)
    assert done.stdout == "The run needs a person: departments status\n" * mails


@pytest.mark.parametrize("run_at", [time(9, 20), time(15, 45), time(21, 30)])
def test_the_task_of_windows_begins_at_the_time_in_new_york_or_an_hour_early_and_waits(run_at: time) -> None:
    folder = PureWindowsPath("C:/T & U")
    text = write_schedule("windows", folder / ".venv/Scripts/python.exe", folder, [run_job(run_at)])["daily-run.xml"]
    task = ET.fromstring(text)  # noqa: S314 - our own text
    (start,) = (datetime.fromisoformat(str(each.text)) for each in task.iter(f"{TASK}StartBoundary"))
    begins = {month: start.replace(month=month).astimezone(EASTERN) for month in range(1, 13)}
    assert {begins[month].time() for month in range(4, 11)} == {run_at}
    assert {(begins[month] + timedelta(hours=1)).time() for month in (1, 2, 12)} == {run_at}
    assert [each.text for each in task.iter(f"{TASK}WorkingDirectory")] == ["C:\\T & U"]
    (command,) = task.iter(f"{TASK}Command")
    (arguments,) = task.iter(f"{TASK}Arguments")
    assert str(command.text).endswith("pythonw.exe")
    assert f"--wait-for-open --not-before {run_at:%H:%M} " in str(arguments.text)


def test_the_task_of_windows_is_in_the_order_of_its_schema_and_names_its_principal() -> None:
    task = ET.fromstring(write_schedule("windows", Path("p"), Path("w"), [run_job(time(9, 20))])["daily-run.xml"])  # noqa: S314
    (trigger,) = task.iter(f"{TASK}CalendarTrigger")
    assert [each.tag for each in trigger] == [f"{TASK}StartBoundary", f"{TASK}ScheduleByDay"]
    (actions,) = task.iter(f"{TASK}Actions")
    assert [each.get("id") for each in task.iter(f"{TASK}Principal")] == [actions.get("Context")]
    (action,) = actions
    assert [each.tag for each in action] == [f"{TASK}Command", f"{TASK}Arguments", f"{TASK}WorkingDirectory"]


@pytest.mark.parametrize("day", [datetime(2025, 7, 7, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)])
def test_the_task_that_tells_of_an_overdue_run_starts_at_its_time_in_summer_and_winter(day: datetime) -> None:
    written = write_schedule("windows", Path("p"), Path("w"), [run_job(time(9, 20)), overdue_job(time(10, 30))])
    assert set(written) == {"daily-run.xml", "overdue.xml", ""}
    task = ET.fromstring(written["overdue.xml"])  # noqa: S314 - our own text
    starts = [datetime.fromisoformat(str(each.text)).timetz() for each in task.iter(f"{TASK}StartBoundary")]
    assert time(10, 30) in {datetime.combine(day, start).astimezone(EASTERN).time() for start in starts}
    assert [each.text for each in task.iter(f"{TASK}Arguments")] == ["-m Departments overdue --by 10:30"]


def test_the_schedule_of_a_workspace_has_the_times_of_its_settings(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys, "--run-at", "9:40", "--overdue-by", "10:30")
    written = made(tmp_path, capsys, "--schedule", "cron")
    lines = (tmp_path / "config" / "schedule" / "crontab.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" -m ")[2].partition(" >")[0] for line in lines if line[0] != "#"] == [
        "Departments run --wait-for-open --not-before 09:40 --log-file auto",
        "Departments overdue --by 10:30",
    ]
    assert "crontab" in str(written["install"])


def test_the_example_of_a_task_is_the_one_that_init_writes() -> None:
    folder = PureWindowsPath("C:/Trading")
    written = write_schedule("windows", folder / ".venv/Scripts/python.exe", folder, [run_job(time(9, 20))])[
        "daily-run.xml"
    ]
    example = (ROOT / "config" / "schedule" / "daily-run.xml").read_text(encoding="utf-8")
    first, about, rest = example.split("\n", 2)
    assert "docs/windows.md" in about
    with_scripts = written.replace("-m Departments run", r"scripts\run_daily_ceo.py").replace(" --log-file auto", "")
    assert f"{first}\n{rest}" == with_scripts


def test_the_timer_of_systemd_has_new_yorks_zone_and_a_quiet_holiday(tmp_path: Path, capsys: Capture) -> None:
    document = made(tmp_path, capsys, "--schedule", "systemd", "--run-at", "09:25")
    folder = tmp_path / "config" / "schedule"
    assert "OnCalendar=Mon..Fri *-*-* 09:25:00 America/New_York" in (folder / "departments.timer").read_text()
    service = (folder / "departments.service").read_text()
    assert f'"{sys.executable}" -m Departments run --wait-for-open --not-before 09:25 ' in service
    assert "SuccessExitStatus=5" in service
    assert "systemctl --user enable --now departments.timer" in str(document["install"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["plain", "it's 100% here", 'a "b" \\x41 $HOME ${x}', "ü; #"])
def test_systemd_reads_its_units_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    units = {
        unit: text for unit, text in write_schedule("systemd", folder, folder, [run_job(time(9, 20))]).items() if unit
    }
    for unit, text in units.items():
        (tmp_path / unit).write_text(text, encoding="utf-8")
    words = ["systemd-analyze", "verify", "--user", "--man=no", *(str(tmp_path / unit) for unit in units)]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "debug"}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environ)
    said = done.stdout + done.stderr
    assert f"WorkingDirectory: {folder}\n" in said
    (command,) = (line.partition("Command Line: ")[2] for line in said.splitlines() if "Command Line: " in line)
    assert [word.replace(r"\$\$", "$") for word in shlex.split(command)[3:7]] == [
        "departments",
        str(folder),
        "-m",
        "Departments",
    ]


# --- config ---


def test_a_value_is_set_and_every_comment_stays(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys)
    for name, key, value in (("settings", "broker.feed", "sip"), ("hard_constraints", "deployment.target_pct", "0.85")):
        path = tmp_path / "config" / f"{name}.yaml"
        before = path.read_text(encoding="utf-8").splitlines()
        assert say(capsys, "config", "set", key, value, "--workspace", tmp_path).code == 0
        after = path.read_text(encoding="utf-8").splitlines()
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        assert len(changed) == 1
        assert value in changed[0][1]
        assert changed[0][0].partition("#")[2] == changed[0][1].partition("#")[2]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("broker.feed", "fast", "broker.feed: must be 'iex' or 'sip'"),
        ("deployment.target_pct", "0.95", "are more than 1"),
        ("deployment.target", "0.5", "did you mean deployment.target_pct?"),
        ("broker", "x", "is not a key"),
        ("broker.name", "[a", "is not YAML"),
        ("phases.sell.timeout", "-1", "must be more than 0"),
        ("broker.name", "foo", "'foo' is no broker; name"),
        ("notify.command", "python 'tell.py", '"python \'tell.py" has a quotation mark that does not close; close it'),
        ("notify.command", '"a\\0b"', "notify.command: 'a\\x00b' has a character that no command has"),
        ("operations.propose.command", "'\"a'", "has a quotation mark that does not close; close it"),
        ("operations.enrich.command", "['']", "operations.enrich.command: is empty; name a program"),
        (
            "notify.heartbeat_url",
            "ftp://host/secret",
            "heartbeat_url: is no address of the web; write it like https://",
        ),
        ("notify.heartbeat_url", "https://", "is no address of the web"),
        ("notify.heartbeat_url", "'https://host:x/'", "is no address of the web"),
        ("notify.file", "config/addresses.yml", "notify.file: is inside the workspace"),
        ("retention.older_than", "7", "must be a text"),
        ("retention.older_than", "soon", "retention.older_than: 'soon' is not an age; write for example 12h"),
        ("schedule.overdue_by", "'09:00'", "overdue_by (09:00) is not after run_at (09:20); correct one of them"),
        ("schedule.run_at", "'25:00'", "is no time of a day"),
        ("state_dir", '"a\\0b"', "state_dir: 'a\\x00b' is no path"),
        ("state_dir", "~nobody-here/x", "is in the folder of a user who is not here; write the whole path"),
        ("state_dir", "config/settings.yaml", "settings.yaml is a file; name a folder"),
        ("regime.spy_bars", "''", "regime.spy_bars: '' is no path"),
        ("accounts.foreign", "{'?': tell}", "accounts.foreign: '?' is not a symbol"),
        ("restricted_symbols.blocklist", "[GME, 'A B']", "'A B' is not a symbol"),
        ("messages.require_signature", "[Nothing]", "there is no message type 'Nothing'"),
        ("files", "shared", "files: several users need a state folder"),
        ("deployment.ramp_from", "2025-02-30", "is not YAML"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: Capture, key: str, value: str, words: str
) -> None:
    made(tmp_path, capsys)
    before = contents(tmp_path)
    said = say(capsys, "config", "set", key, value, "--workspace", tmp_path)
    assert (said.code, words in said.err) == (2, True), said.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "text", ['notify: {command: "\'"}', "notify: {heartbeat_url: x}", "messages: {require_signature: [X]}"]
)
def test_what_may_not_be_set_is_refused_in_a_file_too(tmp_path: Path, capsys: Capture, text: str) -> None:
    made(tmp_path, capsys)
    (tmp_path / "config" / "settings.yaml").write_text(text, encoding="utf-8")
    for command in (["config"], ["run"], ["overdue", "--by", "10:30"]):
        said = say(capsys, *command, "--workspace", tmp_path)
        assert (said.code, len(said.sentences), "settings.yaml: " in said.err) == (2, 1, True)


def test_symbols_of_limits_and_settings_are_spelled_as_brokers_do(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys)
    for key, value in (("restricted_symbols.blocklist", "[brk-b]"), ("accounts.foreign", "{brk-b: tell}")):
        assert say(capsys, "config", "set", key, value, "--workspace", tmp_path).code == 0
    document = say(capsys, "config", "--json", "--workspace", tmp_path).document
    rows = {row["key"]: row["value"] for row in (*document["settings"], *document["limits"])}
    assert rows["restricted_symbols.blocklist"] == ["BRK.B"]
    assert rows["accounts.foreign"] == {"BRK.B": "tell"}


def test_the_state_folder_moves_only_together_with_the_ledger(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "ws"
    made(folder, capsys)
    (folder / "sentinel.db").write_bytes(b"")
    change: list[str | Path] = ["config", "set", "state_dir", tmp_path / "state", "--workspace", folder]
    said = say(capsys, *change)
    assert (said.code, "move sentinel.db there first, while nothing runs" in said.err) == (2, True)
    (tmp_path / "state").mkdir()
    (folder / "sentinel.db").rename(tmp_path / "state" / "sentinel.db")
    assert say(capsys, *change).code == 0


def test_a_key_is_added_to_a_file_that_lacks_it(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys)
    path = tmp_path / "config" / "settings.yaml"
    path.write_text("# mine\napprove: ask  # me\n", encoding="utf-8")
    assert say(capsys, "config", "set", "phases.sell.timeout", "90", "--workspace", tmp_path).code == 0
    assert path.read_text(encoding="utf-8").startswith("# mine\napprove: ask  # me\n")
    assert read_yaml(path) == {"approve": "ask", "phases": {"sell": {"timeout": 90}}}


def test_every_setting_and_limit_has_its_value_source_and_reader(tmp_path: Path, capsys: Capture) -> None:
    made(tmp_path, capsys)
    (tmp_path / "config" / "settings.yaml").write_text("approve: ask\n", encoding="utf-8")
    document = say(capsys, "config", "--origin", "--workspace", tmp_path, "--json").document
    rows = {row["key"]: row for row in (*document["settings"], *document["limits"])}
    assert all(row["read_by"] for row in rows.values())
    assert (rows["approve"]["from"], rows["broker.name"]["from"]) == ("config/settings.yaml", "default")
    assert "MIN_POSITION_VALUE" in rows["position_limits.min_position_pct"]["read_by"]
    assert set(config_command.READERS) == set(Settings.model_fields)
    shown = say(capsys, "config", "--origin", "--workspace", tmp_path).out
    assert [key for key in rows if key.partition(".")[0] in shown] == list(rows)
    assert json.dumps(document)
