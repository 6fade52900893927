"""Where the desk keeps its state and its mutexes.

The ledger, the exchange's file and the mutexes of a workspace may lie in a folder that no sync client watches:
`state_dir` in `config/settings.yaml`, or a folder of its own below `DEPARTMENTS_STATE`. Messages and reports stay in
the workspace.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final

from Departments.core.errors import BadInput, DepartmentsError
from Departments.core.platform import files, system
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.rights import PRIVATE, Rights, make_folder
from Departments.core.platform.text_files import config_file, read_text, read_yaml

STATE: Final = "DEPARTMENTS_STATE"
LOCKS: Final = "DEPARTMENTS_LOCKS"
SYNC_CLIENTS: Final = ("OneDrive", "Dropbox", "Google Drive", "GoogleDrive", "iCloud", "Nextcloud")
OWNER: Final = "workspace.txt"  # in a state folder: the workspace that it belongs to


@dataclass(frozen=True, slots=True)
class Mutexes:
    """The files of a workspace's mutexes: a folder, and the beginning of their names."""

    folder: Path
    prefix: str = ""

    def path(self, name: str) -> Path:
        """Return the file of one mutex."""
        return self.folder / f"{self.prefix}{name}.lock"


def locate(folder: Path) -> Path:
    """Return the one address of a folder: absolute, without links, in Windows' long form where it is long."""
    place = folder.resolve()
    return Path(files.lengthen(str(place))) if system.WINDOWS else place


def find_state(workspace: Path) -> Path:
    """Return the folder of a workspace's ledger, exchange and mutexes: the workspace itself by default.

    Raises BadInput for settings that cannot be read.
    """
    return place_state(workspace, _read_setting(workspace))


def place_state(workspace: Path, named: str | Path | None) -> Path:
    """Return the folder of the state, which the settings may have `named`. Raises BadInput for no path."""
    if named is not None:
        found = _read_path(workspace, named, "state_dir")
        return workspace if found == locate(workspace) else found
    base = os.environ.get(STATE)
    return _read_path(workspace, base, STATE) / f"{workspace.name}-{_key(workspace)[:8]}" if base else workspace


def _read_path(workspace: Path, text: str | Path, key: str) -> Path:
    try:
        return locate(workspace / Path(text).expanduser())
    except (RuntimeError, ValueError, OSError) as error:
        raise BadInput(key, "", f"{str(text)!r} is no path here", "write the whole path of a folder") from error


def claim_state(folder: Path, workspace: Path, rights: Rights = PRIVATE) -> None:
    """Make the state folder of a workspace, and note there whose it is.

    Raises BadInput if it belongs to another workspace: two desks with one ledger would each count the other's orders.
    """
    note, name = folder / OWNER, _spell(workspace)
    try:
        make_folder(folder, rights)
        if not note.exists():
            write_atomically(note, f"{name}\n", rights)
    except OSError as error:
        problem = f"the state folder cannot be written ({files.describe(error)})"
        raise BadInput(folder, "", problem, "correct its rights or name another by state_dir") from error
    owner = read_text(note).strip()
    if owner and os.path.normcase(owner) != os.path.normcase(name):
        mend = f"name a folder of its own by state_dir, or delete {note} if that workspace was moved here"
        raise BadInput(folder, "", f"holds the state of another workspace, {owner}", mend)


def find_mutexes(workspace: Path, state: Path | None = None) -> Mutexes:
    """Return the mutexes of a workspace: in its state folder, else in the user's folder for the state of programs.

    `state` is the state folder, where the caller has found it.
    """
    state = state or find_state(workspace)
    return Mutexes(state / ".locks") if state != workspace else _find_users(workspace)


def _find_users(workspace: Path) -> Mutexes:
    return Mutexes(user_folder(), f"departments-{_key(workspace)}-")


def find_sync_client(workspace: Path) -> str | None:
    """Return the sync client or network share in whose folder a workspace lies, or None."""
    path = _spell(workspace)
    roots = (os.environ.get(name) for name in ("OneDrive", "OneDriveConsumer", "OneDriveCommercial"))
    if any(root and os.path.normcase(path).startswith(os.path.normcase(root)) for root in roots):
        return "OneDrive"
    if path.startswith(("\\\\", "//")):
        return "a network share"
    return next((name for name in SYNC_CLIENTS for part in Path(path).parts if part.startswith(name)), None)


def may_warn(workspace: Path, day: date) -> bool:
    """Return True for the first asking of a day, as noted in the user's folder."""
    note = _find_users(workspace).path("warned").with_suffix(".day")
    try:
        if note.exists() and read_text(note).strip() == day.isoformat():
            return False
        write_atomically(note, f"{day.isoformat()}\n", PRIVATE)
    except DepartmentsError:
        return True
    return True


def user_folder() -> Path:
    """Return the user's folder for mutexes (`DEPARTMENTS_LOCKS`, or the platform's). Every workspace has the same."""
    from platformdirs import user_state_path  # noqa: PLC0415 - few commands need it

    named = os.environ.get(LOCKS)
    return Path(named) if named else user_state_path("departments", appauthor=False)


def _read_setting(workspace: Path) -> str | None:
    path = config_file(workspace, "settings.yaml")
    value = read_yaml(path).get("state_dir") if path.exists() else None
    return value if isinstance(value, str) and value else None


def _key(workspace: Path) -> str:
    return sha256(os.path.normcase(_spell(workspace)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _spell(folder: Path) -> str:
    """Return the address of a folder as people write it."""
    return files.shorten(str(folder.resolve()))
