"""One execution at a time: a workspace and an account are held by one process, and a crash lets go of both."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from Departments import __version__
from Departments.core.errors import BadInput, WorkspaceBusy
from Departments.core.platform.locks import ProcessLock, account_lock, execution_lock

ID = "904837e3-3b76-47ec-b432-046db621571b"
HELD_AND_DEAD = """
import os, sys
from pathlib import Path
from Departments.core.platform.locks import account_lock
with account_lock(Path(sys.argv[1]), "alpaca", sys.argv[2]):
    try:
        with account_lock(Path(sys.argv[1]), "alpaca", sys.argv[2]):
            os._exit(1)
    except Exception as error:
        print(type(error).__name__, flush=True)
    os._exit(77)
"""


def test_an_account_is_held_once(tmp_path: Path) -> None:
    with (
        account_lock(tmp_path, "alpaca", ID),
        pytest.raises(WorkspaceBusy, match="another workspace is executing on the same account") as caught,
        account_lock(tmp_path, "alpaca", ID),
    ):
        raise AssertionError("held twice")
    assert ID not in str(caught.value)
    assert caught.value.exit_code == 3
    with account_lock(tmp_path, "alpaca", ID):
        pass


def test_accounts_without_a_name_are_held_as_one(tmp_path: Path) -> None:
    with account_lock(tmp_path, "alpaca", ""), pytest.raises(WorkspaceBusy), account_lock(tmp_path, "alpaca", ""):
        raise AssertionError("held twice")


@pytest.mark.parametrize(("broker", "account"), [("alpaca", "another"), ("simulated", ID)])
def test_another_account_is_not_disturbed(tmp_path: Path, broker: str, account: str) -> None:
    with account_lock(tmp_path, "alpaca", ID), account_lock(tmp_path, broker, account):
        pass


def test_the_file_of_the_lock_tells_nothing_of_the_account(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"
    with account_lock(folder, "alpaca", ID):
        files = list(folder.iterdir())
        assert {file.suffix for file in files} == {".lock", ".version"}
        assert not any(part in file.name for part in ID.split("-") for file in files)
        assert not any(ID.encode() in file.read_bytes() for file in files)


def test_the_note_of_a_holder_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    note = tmp_path / "execution.version"
    note.write_bytes(b"10.200.3000\n1234567890\n")
    held = ProcessLock(tmp_path / "execution.lock", "busy")
    held.take()
    assert note.read_bytes() == f"{__version__}\n{os.getpid()}\n".encode()
    with pytest.raises(WorkspaceBusy) as caught:
        ProcessLock(tmp_path / "execution.lock", "busy").take()
    assert caught.value.process == str(os.getpid())
    held.release()


def test_a_crash_releases_the_account(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD_AND_DEAD, str(tmp_path), ID]
    died = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    assert (died.returncode, died.stdout.strip()) == (77, "WorkspaceBusy")
    with account_lock(tmp_path, "alpaca", ID):
        pass


def test_a_folder_without_write_access_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "locks").write_bytes(b"")
    with pytest.raises(BadInput, match="the lock cannot be written"), account_lock(tmp_path / "locks", "alpaca", ID):
        raise AssertionError("held nothing")


def test_workspaces_do_not_disturb_each_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with execution_lock(tmp_path / "one"), execution_lock(tmp_path / "two"):
        pass
