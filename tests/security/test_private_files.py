"""Who else may read and write what the desk writes: nobody, or the group if the settings say so."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml

from Departments.bootstrap import LEDGER_FILE, MESSAGES, open_desk
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.platform.locks import account_lock
from Departments.core.platform.rights import PRIVATE, SHARED, make_folder
from tests.builders.commands import deliver_briefing, run_of, say
from tests.builders.desk import deliver, workspace, write_yaml
from tests.fakes.moments import when_it_says

Capture = pytest.CaptureFixture[str]
FAST = {"messaging": {"durability": "fast"}}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of these bits")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes_below(folder: Path) -> dict[Path, int]:
    return {path: mode_of(path) for path in folder.rglob("*")}


def wrong(modes: dict[Path, int], *, file: int, folder: int) -> dict[str, str]:
    """Return what has other rights."""
    return {str(path): oct(mode) for path, mode in modes.items() if mode != (folder if path.is_dir() else file)}


def live_a_day(folder: Path, capsys: Capture) -> tuple[dict[Path, int], dict[Path, int]]:
    """Run a day; return the rights of what it made, in its middle and at its end."""
    before = set(folder.rglob("*"))
    middle: dict[Path, int] = {}
    with when_it_says("BUY phase", lambda: middle.update(modes_below(folder))):
        assert say(capsys, *run_of(folder)).code in {0, 1}  # a dead letter is an issue
    after = modes_below(folder)
    return tuple({p: m for p, m in found.items() if p not in before} for found in (middle, after))  # type: ignore[return-value]


@pytest.fixture
def morning(tmp_path: Path) -> Path:
    """Return a workspace of which only the configuration is there."""
    return workspace(tmp_path / "ws", settings=FAST)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o002])
def test_all_that_a_day_makes_is_for_its_user_alone_whatever_the_umask(
    morning: Path, capsys: Capture, mask: int
) -> None:
    make_folder(morning / MESSAGES / "Inbox" / "OPERATIONS", PRIVATE)
    deliver_briefing(morning).chmod(0o600)
    deliver(morning, "TRADING", "broken.md", "---\nno: end\n").chmod(0o600)
    with umask(mask):
        middle, after = live_a_day(morning, capsys)
    for made in (middle, after):
        assert wrong(made, file=0o600, folder=0o700) == {}
    kinds = {part for path in (*middle, *after) for part in (path.name, path.suffix)}
    assert kinds >= {LEDGER_FILE, EXCHANGE_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm", f"{EXCHANGE_FILE}-wal"}
    assert kinds >= {".tmp", "Archive", "Dead_Letter", ".md", ".json", ".yaml"}


def test_the_lock_of_an_account_and_its_folder_are_for_its_user_alone(morning: Path) -> None:
    with umask(0), account_lock(morning / "state" / "locks", "alpaca", "id"):
        assert wrong(modes_below(morning / "state"), file=0o600, folder=0o700) == {}


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_shared_files_are_open_to_the_group_of_their_folder_whatever_the_umask(
    morning: Path, capsys: Capture, mask: int
) -> None:
    write_yaml(morning / "config" / "settings.yaml", {**FAST, "files": "shared", "state_dir": "state"})
    make_folder(morning / MESSAGES / "Inbox" / "OPERATIONS", SHARED)
    deliver_briefing(morning).chmod(0o660)
    with umask(mask):
        middle, after = live_a_day(morning, capsys)
    for made in (middle, after):
        assert wrong(made, file=0o660, folder=0o2770) == {}
    assert f"{LEDGER_FILE}-wal" in {path.name for path in middle}


def test_what_was_there_keeps_its_rights_also_where_it_is_rewritten(morning: Path, capsys: Capture) -> None:
    inbox = deliver_briefing(morning).parent
    inbox.chmod(0o750)
    reports = morning / "Reports"
    reports.mkdir()
    reports.chmod(0o751)
    plan = morning / "proposed_trades_2025-11-10.json"
    plan.write_text("{}", encoding="utf-8")
    plan.chmod(0o640)
    ledger = morning / LEDGER_FILE
    ledger.touch()
    ledger.chmod(0o644)
    morning.chmod(0o755)
    live_a_day(morning, capsys)
    assert plan.read_text(encoding="utf-8") != "{}"
    kept = {morning: 0o755, inbox: 0o750, reports: 0o751, plan: 0o640, ledger: 0o644}
    assert {path: oct(mode_of(path)) for path in kept} == {path: oct(mode) for path, mode in kept.items()}


def test_a_message_of_a_stranger_keeps_its_rights_on_its_way(morning: Path, capsys: Capture) -> None:
    deliver_briefing(morning).chmod(0o644)
    live_a_day(morning, capsys)
    (archived,) = (morning / MESSAGES / "Archive").rglob("MSG_RESEARCH_*.md")
    assert mode_of(archived) == 0o644


def test_a_demo_a_pack_and_a_new_inbox_of_a_watcher_are_for_their_user_alone(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "demo"
    with umask(0):
        assert say(capsys, "demo", "--workspace", folder, "--json").code == 0
        say(capsys, "archive", "--workspace", folder, "--older-than", "1d")
        assert say(capsys, "archive", "--workspace", folder, "--pack", "2025-11").code == 0
    made = {path: mode for path, mode in modes_below(folder).items() if path.parent.name != "config"}
    assert any(path.suffix == ".zip" for path in made)
    assert wrong(made, file=0o600, folder=0o700) == {}


@pytest.mark.parametrize(
    ("files", "mode", "warns"),
    [
        ("private", 0o755, 0),
        ("private", 0o775, 1),
        ("private", 0o757, 1),
        ("shared", 0o775, 0),
        ("shared", 0o777, 1),
    ],
)
def test_start_up_warns_in_one_sentence_of_an_inbox_that_others_may_write(
    morning: Path, capsys: Capture, files: str, mode: int, warns: int
) -> None:
    write_yaml(morning / "config" / "settings.yaml", {**FAST, "files": files, "state_dir": "state"})
    inbox = deliver_briefing(morning).parent
    inbox.chmod(mode)
    said = say(capsys, *run_of(morning))
    warnings = [line for line in said.err.splitlines() if "Others may write" in line]
    assert len(warnings) == warns
    assert all(str(inbox) in line for line in warnings)
    assert mode_of(inbox) == mode


def test_the_settings_file_names_the_default(morning: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "config" / "settings.yaml"
    assert yaml.safe_load(shipped.read_text(encoding="utf-8"))["files"] == "private"
    with closing(open_desk(morning)) as desk:
        assert desk.rights == PRIVATE
