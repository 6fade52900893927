"""A day, a watcher's pass and an archive run under Windows' file semantics, with another program in the way."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from watchdog.events import FileMovedEvent

from Departments.core.departments import OPERATIONS, TRADING
from Departments.core.errors import FileInUse, WorkspaceBusy
from Departments.core.platform import locks
from Departments.core.platform.locks import ProcessLock
from Departments.core.platform.places import OWNER, find_state, find_sync_client
from Departments.messaging.watcher import _Arrivals
from tests.builders.commands import AT, contents, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import deliver, desk, workspace, write_yaml
from tests.builders.waiting import until
from tests.fakes.windows import Links, Windows

Capture = pytest.CaptureFixture[str]

CONFIG = Path(__file__).resolve().parents[2] / "config"
QUICK_WATCHER = {"messaging": {"rescan_seconds": 0.2}}
OLD_REGIME = "MSG_REGIME_DETECTION_20251110T140000Z_0000abcd"
OLD_REGIME_TEXT = f"""---
from: REGIME_DETECTION
to: TRADING
message_id: {OLD_REGIME}
message_type: RegimeUpdate
timestamp: 2025-11-10T14:00:00Z
---

# Regime update
"""
KINDS: tuple[Links, ...] = ("allowed", "EINVAL", "EACCES")


def live_through_a_day(folder: Path, capsys: Capture, windows: Windows) -> None:
    """Run a day, run it again, archive it: every command ends with 0 and nothing is set aside."""
    deliver_briefing(folder)
    with windows.in_force():
        done = say(capsys, *run_of(folder, "--json"))
        assert done.code == 0, done.err
        assert done.document["status"] == "COMPLETED"
        again = say(capsys, *run_of(folder))
        assert again.code == 0, again.err
        archived = say(capsys, "archive", "--workspace", folder, "--older-than", "0d")
        assert archived.code == 0, archived.err
    names = [Path(name) for name in contents(folder)]
    assert [name for name in names if "Dead_Letter" in name.parts] == []
    assert [name for name in names if name.suffix in {".probe", ".copy", ".again"}] == []
    assert {name.suffix for name in names if ".tmp" in name.parts} <= {".tmp"}
    assert len({str(name).lower() for name in names}) == len(names), "Windows does not tell these names apart"


@pytest.mark.parametrize("links", KINDS)
def test_a_day_ends_well_beside_a_scanner_that_opens_every_twentieth_file(
    tmp_path: Path, capsys: Capture, links: Links
) -> None:
    windows = Windows(tmp_path, rate=0.05, links=links, seed=7)
    live_through_a_day(workspace(tmp_path), capsys, windows)
    assert sum(windows.met.values()) > 10
    assert sum(windows.calls.values()) > 200


def test_a_day_ends_well_in_a_folder_with_a_long_path(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / ("a" * (119 - len(str(tmp_path)))) / ("b" * 110))
    assert len(str(folder)) == 231
    windows = Windows(tmp_path, long_paths=True)
    live_through_a_day(folder, capsys, windows)
    with windows.in_force():
        assert find_sync_client(folder) is None
        for command in (("reconcile", "--at", AT), ("inbox",), ("messages", "audit"), ("dead-letters", "list")):
            said = say(capsys, *command, "--workspace", folder)
            assert said.code == 0, said.err


@pytest.mark.soak
@pytest.mark.parametrize("links", KINDS)
def test_fifty_days_end_well_beside_a_scanner(tmp_path: Path, capsys: Capture, links: Links) -> None:
    for seed in range(50):
        folder = workspace(tmp_path / str(seed))
        live_through_a_day(folder, capsys, Windows(folder, rate=0.05, links=links, seed=seed))


def watch_until_all_is_handled(folder: Path, capsys: Capture, windows: Windows) -> None:
    """Let a watcher handle a briefing and an old regime message: it ends with 0, and nothing is set aside."""
    box = folder / "Messages_Between_Departments" / "Inbox"
    deliver_briefing(folder)
    deliver(folder, TRADING, f"{OLD_REGIME}.md", OLD_REGIME_TEXT)

    def interrupt() -> None:
        until(lambda: not any(list((box / each).glob("*.md")) for each in (OPERATIONS, TRADING)))
        signal.raise_signal(signal.SIGINT)

    with windows.in_force():
        other = threading.Thread(target=interrupt)
        other.start()
        state = folder / "state.yaml"
        watched = say(capsys, "watch", "--workspace", folder, "--at", AT, "--exchange-state", state)
        other.join()
    assert watched.code == 0, watched.err
    assert "TRADING: 1 skipped" in watched.err
    assert [name for name in contents(folder) if "Dead_Letter" in Path(name).parts] == []


@pytest.mark.parametrize("links", KINDS)
def test_a_watcher_handles_everything_beside_a_scanner(tmp_path: Path, capsys: Capture, links: Links) -> None:
    folder = workspace(tmp_path, settings=QUICK_WATCHER)
    watch_until_all_is_handled(folder, capsys, Windows(tmp_path, rate=0.05, links=links, seed=3))


@pytest.mark.soak
@pytest.mark.parametrize("links", KINDS)
def test_fifty_watchers_handle_everything_beside_a_scanner(tmp_path: Path, capsys: Capture, links: Links) -> None:
    for seed in range(50):
        folder = workspace(tmp_path / str(seed), settings=QUICK_WATCHER)
        watch_until_all_is_handled(folder, capsys, Windows(folder, rate=0.05, links=links, seed=seed))


def test_buys_wait_while_another_program_holds_their_letters(tmp_path: Path, capsys: Capture) -> None:
    """Once a violation that outlasted the retries ended the day after the SELLs."""
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    windows, refused = Windows(tmp_path), list[str]()

    def hold_letters(operation: str, path: str) -> bool:
        """Refuse the links of everything after the SELLs, longer than one operation is tried again."""
        outbox = folder / "Messages_Between_Departments" / "Outbox" / "EXECUTIVE"
        is_held = operation == "link" and TRADING in path and len(list(outbox.iterdir())) >= 2 and len(refused) < 20
        if is_held:
            refused.append(path)
        return is_held

    windows.is_busy = hold_letters
    with windows.in_force():
        done = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder)))
    assert (done.code, done.document["status"]) == (0, "COMPLETED"), done.err
    assert [o["status"] for o in done.phase("BUY")["orders"]] == ["filled", "filled"]
    assert len(refused) == 20


def test_a_message_that_is_locked_or_in_the_cloud_is_told_and_tried_again(
    tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    folder = workspace(tmp_path)
    path = deliver_briefing(folder)
    windows = Windows(tmp_path)
    windows.locked.add(str(path))
    with closing(desk(folder)) as opened:
        with windows.in_force():
            left = opened.bus.consume(OPERATIONS, opened.routers[OPERATIONS], patient=False)
            windows.locked.clear()
            windows.in_cloud.add(str(path))
            opened.clock.sleep(60)
            again = opened.bus.consume(OPERATIONS, opened.routers[OPERATIONS], patient=False)
        assert (left.left, left.dead_lettered, again.left, again.dead_lettered) == (1, 0, 1, 0)
        opened.clock.sleep(60)
        assert opened.bus.consume(OPERATIONS, opened.routers[OPERATIONS], patient=False).handled == 1
    assert sum("cannot be read" in message for message in caplog.messages) >= 1


def test_a_sharing_violation_never_condemns_and_a_missing_right_does(tmp_path: Path) -> None:
    folder = workspace(tmp_path, settings={"messaging": {"max_attempts": 2}})
    path = deliver_briefing(folder)
    windows = Windows(tmp_path)
    windows.locked.add(str(path))
    with closing(desk(folder)) as opened, windows.in_force():
        for _ in range(3):
            report = opened.bus.consume(OPERATIONS, opened.routers[OPERATIONS], patient=False)
            opened.clock.sleep(120)
        assert (report.left, report.dead_lettered) == (1, 0)
        windows.locked.clear()
        windows.denied.add(str(path))
        for _ in range(2):
            report = opened.bus.consume(OPERATIONS, opened.routers[OPERATIONS], patient=False)
            opened.clock.sleep(120)
        assert (report.left, report.dead_lettered) == (0, 1)


def test_a_rename_to_itself_wakes_no_watcher() -> None:
    arrivals: queue.SimpleQueue[str] = queue.SimpleQueue()
    handler = _Arrivals(arrivals)
    name = "ws/Messages_Between_Departments/Inbox/TRADING/a.md"
    handler.on_any_event(FileMovedEvent(name, name))
    assert arrivals.empty()
    handler.on_any_event(FileMovedEvent(f"{name}.tmp", name))
    assert arrivals.get_nowait() == TRADING


# --- state elsewhere ---


def test_two_workspaces_cannot_share_a_state_folder(tmp_path: Path, capsys: Capture) -> None:
    one = workspace(tmp_path / "one", settings={"state_dir": str(tmp_path / "state")})
    two = workspace(tmp_path / "two", settings={"state_dir": str(tmp_path / "state")})
    deliver_briefing(one)
    assert say(capsys, *run_of(one)).code == 0
    refused = say(capsys, *run_of(two))
    assert refused.code == 2
    assert f"holds the state of another workspace, {one}" in refused.err
    assert f"delete {tmp_path / 'state' / OWNER}" in refused.err


def test_shared_files_need_a_state_folder(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path, settings={"files": "shared"})
    refused = say(capsys, *run_of(folder))
    assert refused.code == 2
    assert "name it by state_dir" in refused.err


def test_the_environment_gives_each_workspace_a_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("DEPARTMENTS_STATE", str(tmp_path / "state"))
    one, two = workspace(tmp_path / "one"), workspace(tmp_path / "two")
    assert find_state(one) != find_state(two)
    deliver_briefing(one)
    assert say(capsys, *run_of(one, "--json")).code == 0
    assert (find_state(one) / "sentinel.db").exists()
    assert not (one / "sentinel.db").exists()
    audit = say(capsys, "messages", "audit", "--workspace", one)
    assert audit.code == 0, audit.out
    backup = say(capsys, "backup", tmp_path / "copy.zip", "--workspace", one)
    assert backup.code == 0, backup.err


def test_a_workspace_in_a_synchronised_folder_is_warned_of_once_a_day(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPARTMENTS_LOCKS", str(tmp_path / "locks"))
    folder = workspace(tmp_path / "OneDrive - Firm" / "desk")
    deliver_briefing(folder)
    first = say(capsys, *run_of(folder))
    second = say(capsys, "reconcile", "--workspace", folder, "--at", AT)
    assert "which OneDrive copies" in first.err
    assert "name a folder outside by state_dir" in first.err.lower()
    assert "which OneDrive copies" not in second.err


def test_a_project_in_a_synchronised_folder_is_told_to_move_as_a_whole(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPARTMENTS_LOCKS", str(tmp_path / "locks"))
    folder = workspace(tmp_path / "OneDrive - Firm" / "project")
    (folder / "Departments").mkdir()
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder))
    assert "move the whole project out of that folder" in said.err
    assert "state_dir" not in said.err


def test_the_log_of_the_ledger_is_empty_after_a_command(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    with closing(desk(folder)) as reader:
        reader.ledger.plans.executions()
        assert say(capsys, *run_of(folder)).code == 0
        assert (folder / "sentinel.db-wal").stat().st_size == 0


def test_a_mutex_that_another_version_holds_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "TRADING.lock"
    older = ProcessLock(path, "busy")
    with monkeypatch.context() as patch:
        patch.setattr(locks, "__version__", "0.0.9")
        older.take()
    with pytest.raises(
        WorkspaceBusy,
        match=r"until it ends\. It runs version 0\.0\.9, and this is .*: restart it",
    ):
        ProcessLock(path, "busy").take()
    older.release()
    newer = ProcessLock(path, "busy")
    newer.take()
    with pytest.raises(WorkspaceBusy, match=r"^busy \(process \d+, since .*\); wait until it ends\.$"):
        ProcessLock(path, "busy").take()
    newer.release()


def test_a_mutex_that_a_scanner_holds_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "TRADING.lock"
    windows = Windows(tmp_path)
    windows.locked.add(str(path))
    with windows.in_force(), pytest.raises(FileInUse, match=r"TRADING\.lock: another program keeps it open"):
        ProcessLock(path, "busy").take()


# --- hidden runs ---


def test_a_run_without_a_terminal_leaves_a_log_file(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    done = say(capsys, *run_of(folder, "--log-file", "auto"))
    (path,) = (folder / "logs").glob("*.log")
    text = path.read_text(encoding="utf-8")
    assert path.name.startswith("departments_20")
    assert "All SELL orders filled" in done.err or "BUY" in done.err
    assert all(line in text for line in done.err.splitlines() if line.strip())
    assert all(line in text for line in done.out.splitlines())


def test_the_log_file_has_the_sentence_of_a_failure(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    write_yaml(folder / "config" / "settings.yaml", {"brokr": {}})
    failed = say(capsys, *run_of(folder, "--log-file", tmp_path / "own.log"))
    assert failed.code == 2
    assert failed.sentences[-1] in (tmp_path / "own.log").read_text(encoding="utf-8")


def test_the_task_for_the_scheduler_starts_in_the_workspace_and_is_not_stopped() -> None:
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    task = ET.parse(CONFIG / "schedule" / "daily-run.xml").getroot()  # noqa: S314 - our own file

    def text(path: str) -> str | None:
        return task.findtext("/".join(f"{space}{name}" for name in path.split("/")))

    assert text("Actions/Exec/WorkingDirectory") == "C:\\Trading"
    assert "--wait-for-open" in str(text("Actions/Exec/Arguments"))
    assert text("Settings/ExecutionTimeLimit") == "PT0S"
    assert text("Settings/StopIfGoingOnBatteries") == text("Settings/DisallowStartIfOnBatteries") == "false"
    assert text("Settings/MultipleInstancesPolicy") == "IgnoreNew"
