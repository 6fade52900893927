"""A backup of a workspace at any moment is whole, holds no key, and goes back without a loss."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path, PurePosixPath

import pytest

from Departments.backups import _Known, _place_then
from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.cli import run_command
from Departments.core.moments import iso
from Departments.core.platform.locks import execution_lock
from tests.builders.commands import Said, contents, say
from tests.builders.desk import workspace
from tests.builders.existing import existing_project
from tests.builders.second_day import (
    BUYING,
    LATER,
    PROTECTED,
    RELEASING,
    SELLING,
    SOLD,
    ends_well,
    nothing_is_traded_twice,
    run_at,
)
from tests.fakes.moments import when_it_says
from tests.invariants.scenarios import NEXT_DAY

Capture = pytest.CaptureFixture[str]
MANIFEST = "departments-backup.json"


def orders_at(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db:
        return [row[0] for row in db.execute("SELECT client_order_id FROM orders WHERE role = 'entry' ORDER BY 1")]


def back_up(folder: Path, capsys: Capture, to: Path) -> Path:
    assert say(capsys, "backup", to, "--workspace", folder).code == 0
    return to


def back_up_at(moment: str, folder: Path, capsys: Capture, to: Path) -> Said:
    """Live through the day and copy the workspace in its middle."""

    def copy() -> None:
        assert run_command(["backup", str(to), "--workspace", str(folder)]) == 0

    with when_it_says(moment, copy):
        return say(capsys, *[word for word in run_at(folder) if word != "--json"])


def give_configuration(source: Path, target: Path) -> Path:
    """Put the files beside a workspace that belong to the command, not to the desk."""
    target.mkdir(exist_ok=True)
    for name in ("plan.json", "faults.yaml"):
        shutil.copy(source / name, target)
    return target


@pytest.mark.parametrize("moment", [RELEASING, SELLING, SOLD, BUYING, PROTECTED])
def test_a_backup_in_the_middle_of_a_day_is_of_one_moment_and_its_day_ends_well(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture, moment: str
) -> None:
    pack = tmp_path / "copy.zip"
    back_up_at(moment, folder_of_the_second_day, capsys, pack)
    before = orders_at(folder_of_the_second_day)
    other = give_configuration(folder_of_the_second_day, tmp_path / "other")
    said = say(capsys, "restore", pack, "--workspace", other, "--at", iso(NEXT_DAY), "--json")
    assert (said.code, said.document["locks"]) == (int(bool(said.document["unprotected"])), []), said.err
    assert said.document["replaced"] is None
    ends_well(say(capsys, *run_at(other, LATER)))
    nothing_is_traded_twice(other)
    assert orders_at(other) == before


def test_what_the_broker_knows_more_than_the_backup_is_named_and_not_traded_again(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = folder_of_the_second_day
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    ends_well(say(capsys, *run_at(folder)))
    sent = orders_at(folder)
    at = iso(LATER + timedelta(minutes=5))
    restored: list[str | Path] = ["restore", pack, "--workspace", folder, "--at", at, "--replace", "--keep-exchange"]
    said = say(capsys, *restored)
    assert said.code == 1
    assert "which the ledger does not know" in " ".join(said.err.split())
    assert [path.name for path in folder.glob("Replaced_*/*") if path.name == LEDGER_FILE] == [LEDGER_FILE]
    again = say(capsys, *run_at(folder, LATER + timedelta(minutes=10)))
    assert (again.code, again.document["status"]) == (1, "FAILED")
    assert "this ledger was restored" in again.document["message"]
    assert orders_at(folder) == sent


def restore_the_morning(folder: Path, capsys: Capture, pack: Path) -> Said:
    """Live through the day, and put the ledger of its morning back beside the account of its end."""
    back_up(folder, capsys, pack)
    ends_well(say(capsys, *run_at(folder)))
    at = iso(LATER + timedelta(minutes=5))
    return say(capsys, "restore", pack, "--workspace", folder, "--at", at, "--replace", "--keep-exchange")


@pytest.mark.parametrize("how", ["each", "all"])
def test_cash_that_unknown_orders_explain_is_explained_once(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture, how: str
) -> None:
    folder = folder_of_the_second_day
    restored = " ".join(restore_the_morning(folder, capsys, tmp_path / "morning.zip").out.split())
    at = iso(LATER + timedelta(minutes=6))
    command: list[str | Path] = ["reconcile", "--workspace", folder, "--at", at]
    advice = "Accept these first: " + ", ".join(
        f"departments reconcile --accept {symbol}" for symbol in ("ALKS", "AXTA", "COMM", "SN")
    )
    assert (advice in restored, "--accept CASH" in restored) == (True, False)
    said = say(capsys, *command, "--accept", "CASH")
    (sentence,) = said.sentences
    assert (said.code, "CASH" in sentence, advice in sentence) == (2, True, True)
    said = say(capsys, *command, "--accept-all") if how == "all" else said
    for symbol in ("ALKS", "AXTA", "COMM", "SN") if how == "each" else ():
        said = say(capsys, *command, "--accept", symbol)
        assert said.out.startswith(f"{symbol}") or f"{symbol} is free" in said.out
    assert "Somebody else" not in said.out + said.err
    assert "of cash taken into the ledger" not in said.out
    said = say(capsys, *command, "--json")
    assert (said.document["locks"], said.document["since_last"]["differences"]) == ([], [])


def test_every_file_of_the_reports_comes_back(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    folder, other = folder_of_the_second_day, tmp_path / "other"
    ends_well(say(capsys, *run_at(folder)))
    assert say(capsys, "report", "--from", "2025-11-10", "--workspace", folder, "--at", iso(LATER)).code == 0
    kept = {path.name: path.read_bytes() for path in (folder / "Reports").iterdir()}
    assert {Path(name).suffix for name in kept} == {".md", ".html"}
    assert any(name.startswith("TEAR_SHEET_") for name in kept)
    pack = back_up(folder, capsys, tmp_path / "evening.zip")
    say(capsys, "restore", pack, "--workspace", other, "--at", iso(LATER + timedelta(minutes=5)))
    assert {path.name: path.read_bytes() for path in (other / "Reports").iterdir()} == kept


def test_a_restore_that_replaces_loses_nothing(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = folder_of_the_second_day
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    ends_well(say(capsys, *run_at(folder)))
    ledger = {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith(LEDGER_FILE)}
    messages = sorted(path.name for path in (folder / MESSAGES).rglob("*.md"))
    said = say(capsys, "restore", pack, "--workspace", folder, "--at", iso(LATER), "--replace", "--json")
    kept = Path(said.document["replaced"])
    assert kept.parent == folder
    assert {name: (kept / name).read_bytes() for name in ledger} == ledger
    assert sorted(path.name for path in (kept / MESSAGES).rglob("*.md")) == messages


def test_a_workspace_that_is_not_empty_or_in_use_is_left_alone(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = folder_of_the_second_day
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    said = say(capsys, "restore", pack, "--workspace", folder)
    assert (said.code, "is not empty" in said.err, "--replace" in said.err) == (2, True, True)
    with execution_lock(folder):
        said = say(capsys, "restore", pack, "--workspace", folder, "--replace")
    assert (said.code, "another execution is running" in said.err) == (3, True)
    assert not list(folder.glob("Replaced_*"))


def test_no_key_gets_into_a_backup(folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = folder_of_the_second_day
    for name in (".env", "alpaca.env", "config/keys.yaml", "scripts/.env", f"{MESSAGES}/.env", "Reports/.env"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("APCA_API_SECRET_KEY=squeamish-ossifrage", encoding="utf-8")
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    with zipfile.ZipFile(pack) as opened:
        assert LEDGER_FILE in opened.namelist()
        assert [name for name in opened.namelist() if b"squeamish" in opened.read(name)] == []
    assert pack.stat().st_mode & 0o077 == 0


def test_a_link_brings_nothing_from_elsewhere_into_a_backup(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder, secret = folder_of_the_second_day, tmp_path / "secret.md"
    secret.write_text("squeamish-ossifrage", encoding="utf-8")
    for name in ("Reports/mine.md", f"{MESSAGES}/Inbox/TRADING/mine.md", f"{MESSAGES}/Outbox/TRADING/mine.md"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(secret)
    with zipfile.ZipFile(back_up(folder, capsys, tmp_path / "morning.zip")) as opened:
        assert [name for name in opened.namelist() if b"squeamish" in opened.read(name)] == []


def cut(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])


def no_zip(pack: Path) -> None:
    pack.write_text("Dear diary", encoding="utf-8")


def rewritten(change: Callable[[dict[str, bytes]], None]) -> Callable[[Path], None]:
    def ruin(pack: Path) -> None:
        with zipfile.ZipFile(pack) as old:
            files = {name: old.read(name) for name in old.namelist()}
        change(files)
        with zipfile.ZipFile(pack, "w") as new:
            for name, data in files.items():
                new.writestr(name, data)

    return ruin


def of_format(files: dict[str, bytes]) -> None:
    files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), "format": 99}).encode()


def with_path(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[name] = b"x"

    return change


def altered(files: dict[str, bytes]) -> None:
    files[LEDGER_FILE] += b"x"


def without_list(files: dict[str, bytes]) -> None:
    del files[MANIFEST]


def doubled(pack: Path) -> None:
    """Hold one file twice: the list has the digest of one of them."""
    with zipfile.ZipFile(pack, "a") as opened, pytest.warns(UserWarning, match="Duplicate name"):
        opened.writestr(LEDGER_FILE, opened.read(LEDGER_FILE))


def incomplete(files: dict[str, bytes]) -> None:
    del files[LEDGER_FILE]


@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        (cut, "is damaged"),
        (no_zip, "is damaged"),
        (Path.unlink, "there is no such file"),
        (rewritten(of_format), "has format 99"),
        (rewritten(without_list), "is no backup"),
        (rewritten(altered), "is damaged"),
        (rewritten(incomplete), "is damaged"),
        (rewritten(with_path("../evil.md")), "is no path of a workspace"),
        (rewritten(with_path(f"{MESSAGES}/../../evil.md")), "is no path of a workspace"),
        (rewritten(with_path("/etc/evil.md")), "is no path of a workspace"),
        (rewritten(with_path(".env")), "is no path of a workspace"),
        (rewritten(with_path(f"{MESSAGES}//Inbox/TRADING/evil.md")), "is no path of a workspace"),
        (rewritten(with_path("./Reports/evil.md")), "is no path of a workspace"),
        (rewritten(with_path("deeper/Reports/evil.md")), "is no path of a workspace"),
        (rewritten(with_path(f"{MESSAGES}/evil.md")), "is no path of a workspace"),
        (doubled, "is damaged"),
    ],
)
def test_a_damaged_or_foreign_zip_is_refused_in_one_sentence_and_nothing_is_written(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture, ruin: Callable[[Path], None], words: str
) -> None:
    pack = back_up(folder_of_the_second_day, capsys, tmp_path / "morning.zip")
    ruin(pack)
    empty = tmp_path / "empty"
    empty.mkdir()
    said = say(capsys, "restore", pack, "--workspace", empty)
    (sentence,) = said.sentences
    assert (said.code, words in sentence, str(pack) in sentence) == (2, True, True)
    assert list(empty.iterdir()) == []
    assert not (tmp_path / "evil.md").exists()


@pytest.mark.parametrize("name", ["", "not/there"])
def test_an_exchange_that_is_not_there_cannot_be_kept(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    pack = back_up(folder_of_the_second_day, capsys, tmp_path / "morning.zip")
    empty = tmp_path / "empty"
    empty.mkdir()
    said = say(capsys, "restore", pack, "--workspace", empty / name, "--keep-exchange")
    (sentence,) = said.sentences
    assert (said.code, f"there is no {EXCHANGE_FILE} to keep; leave --keep-exchange out" in sentence) == (2, True)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("name", ["nowhere/copy.zip", "a file/copy.zip"])
def test_a_backup_into_a_folder_that_is_not_there_is_refused_with_the_mend(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    (tmp_path / "a file").touch()
    said = say(capsys, "backup", tmp_path / name, "--workspace", folder_of_the_second_day)
    (sentence,) = said.sentences
    assert (said.code, "make the folder" in sentence, str(tmp_path / name) in sentence) == (2, True, True)


def test_a_backup_overwrites_nothing_and_needs_a_desk(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    there = tmp_path / "there.zip"
    there.write_bytes(b"mine")
    said = say(capsys, "backup", there, "--workspace", folder_of_the_second_day)
    assert (said.code, there.read_bytes()) == (2, b"mine")
    said = say(capsys, "backup", tmp_path / "new.zip", "--workspace", workspace(tmp_path / "fresh"))
    assert (said.code, "to copy" in said.err) == (2, True)
    assert not (tmp_path / "new.zip").exists()


def members(pack: Path) -> list[str]:
    with zipfile.ZipFile(pack) as opened:
        return opened.namelist()


def test_the_limits_of_the_other_file_are_in_a_backup_and_bind_after_its_restore(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = folder_of_the_second_day
    other = folder / "config" / "compliance_config.yaml"
    other.write_text("position_sizing: {max_position_value: 4000}\n", encoding="utf-8")
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    other.write_text("position_sizing: {max_position_value: 9000}\n", encoding="utf-8")
    assert say(capsys, "restore", pack, "--workspace", folder, "--replace", "--at", iso(NEXT_DAY)).code == 0
    assert "4000" in other.read_text(encoding="utf-8")


def test_a_restore_leaves_configuration_that_no_backup_holds(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = folder_of_the_second_day
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    others = [folder / "config" / name for name in ("compliance_config.yaml", "research.yaml", "schedule/crontab.txt")]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("# mine\n", encoding="utf-8")
    (folder / "config" / "settings.yaml").write_text("approve: ask\n", encoding="utf-8")
    said = say(capsys, "restore", pack, "--workspace", folder, "--replace", "--at", iso(NEXT_DAY), "--json")
    assert said.code == 0
    assert [path.read_text(encoding="utf-8") for path in others] == ["# mine\n"] * 3
    kept = Path(said.document["replaced"]) / "config"
    assert sorted(path.name for path in kept.iterdir()) == ["hard_constraints.yaml", "settings.yaml"]
    assert (kept / "settings.yaml").read_text(encoding="utf-8") == "approve: ask\n"


@pytest.mark.parametrize("has_desk", [False, True])
def test_a_restore_that_cannot_end_changes_nothing(
    folder_of_the_second_day: Path,
    tmp_path: Path,
    capsys: Capture,
    has_desk: bool,  # noqa: FBT001
) -> None:
    folder, state = folder_of_the_second_day, tmp_path / "state"
    settings = folder / "config" / "settings.yaml"
    before = settings.read_text(encoding="utf-8")
    settings.write_text(f"{before}\nstate_dir: '{state}'\n", encoding="utf-8")
    state.mkdir()
    for path in folder.glob("s*.db*"):
        path.rename(state / path.name)
    (state / "workspace.txt").write_text(str(folder), encoding="utf-8")
    pack = back_up(folder, capsys, tmp_path / "morning.zip")
    other = workspace(tmp_path / "other") if has_desk else tmp_path / "other"
    other.mkdir(exist_ok=True)
    there = contents(other)
    said = say(capsys, "restore", pack, "--workspace", other, "--replace", "--at", iso(NEXT_DAY))
    assert (said.code, "holds the state of another workspace" in said.err) == (2, True)
    assert (contents(other), list(other.glob("Replaced_*"))) == (there, [])
    assert [path.name for path in other.iterdir() if path.name.startswith(".departments")] == []


def test_a_backup_that_cannot_be_unpacked_leaves_nothing(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    pack, name = back_up(folder_of_the_second_day, capsys, tmp_path / "morning.zip"), f"Reports/{'x' * 300}.md"

    def add(files: dict[str, bytes]) -> None:
        about = json.loads(files[MANIFEST])
        files[name] = b"x"
        about["files"][name] = sha256(b"x").hexdigest()
        files[MANIFEST] = json.dumps(about).encode()

    rewritten(add)(pack)
    empty = tmp_path / "empty"
    empty.mkdir()
    said = say(capsys, "restore", pack, "--workspace", empty)
    (sentence,) = said.sentences
    assert (said.code, "name is too long" in sentence) == (3, True)
    assert list(empty.iterdir()) == []


def test_the_project_of_an_older_system_can_be_copied_before_its_migration(tmp_path: Path, capsys: Capture) -> None:
    project = existing_project(tmp_path)
    pack = back_up(project, capsys, tmp_path / "before.zip")
    waiting = {path.name for path in (project / MESSAGES / "Inbox").rglob("*.md")}
    assert waiting
    assert waiting <= {Path(name).name for name in members(pack)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_that_no_zip_can_hold_spoils_no_backup(
    folder_of_the_second_day: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = folder_of_the_second_day
    for place in (
        folder / "Reports",
        folder / MESSAGES / "Inbox" / "TRADING",
        folder / MESSAGES / "Inbox" / "NO\udce9",
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / "r\udce9sum\udce9.md").write_text("odd", encoding="utf-8")
    assert LEDGER_FILE in members(back_up(folder, capsys, tmp_path / "morning.zip"))


KNOWN = _Known(frozenset({"MSG_OURS.md"}), frozenset({("TRADING", "MSG_DONE")}), {"odd.md": "MSG_DONE"})
BEFORE = {"Inbox/TRADING/MSG_WAITS.md", "Inbox/TRADING/MSG_DONE.md", "Outbox/TRADING/MSG_OLD.md"}


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("Outbox/TRADING/MSG_OLD.md", "Outbox/TRADING/MSG_OLD.md"),
        ("Outbox/TRADING/MSG_OURS.md", "Outbox/TRADING/MSG_OURS.md"),
        ("Outbox/TRADING/MSG_LATER.md", None),
        ("Archive/2025-11-10/TRADING/MSG_WAITS.md", "Inbox/TRADING/MSG_WAITS.md"),
        ("Dead_Letter/TRADING/MSG_WAITS.md", "Inbox/TRADING/MSG_WAITS.md"),
        ("Archive/2025-11-10/TRADING/MSG_DONE.md", "Archive/2025-11-10/TRADING/MSG_DONE.md"),
        ("Archive/2025-11-10/TRADING/odd.md", "Archive/2025-11-10/TRADING/odd.md"),
        ("Inbox/TRADING/MSG_OURS.md", "Inbox/TRADING/MSG_OURS.md"),
        ("Inbox/TRADING/MSG_LATER.md", None),
    ],
)
def test_a_message_is_where_the_ledgers_copy_has_it(now: str, then: str | None) -> None:
    assert _place_then(PurePosixPath(now), BEFORE, KNOWN) == then
