"""Copies of a workspace as of one moment, and the way back.

A backup is a zip of ledger, simulated exchange, messages, reports, plans and settings. The ledger is copied first: it
says which messages were there and which were handled. A message that moves meanwhile is put where that copy has it.
Keys are in none of these files. A restored workspace keeps what it replaces in a folder named by the moment.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.departments import OURS
from Departments.core.documents import json_text
from Departments.core.errors import BadInput
from Departments.core.moments import iso, stamp
from Departments.core.platform import files
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import claim_state, find_mutexes, find_state
from Departments.core.platform.rights import Rights, make_folder, open_successor
from Departments.ledger.sqlite import copy_database, query_existing
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX, OUTBOX
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.names import stem

FORMAT: Final = 1
MANIFEST: Final = "departments-backup.json"
DATABASES: Final = (LEDGER_FILE, EXCHANGE_FILE)
#: What a backup holds beside databases and messages: patterns of paths in the workspace.
OTHERS: Final = ("Reports/*.md", "proposed_trades_*.json", "[cC]onfig/settings.yaml", "[cC]onfig/hard_constraints.yaml")
#: What a restore replaces.
PLACES: Final = (MESSAGES, "Reports", "config", "Config")
DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Backup:
    """A written backup: its file, and the number of files in it."""

    path: Path
    files: int


# --- making one ---


def make_backup(workspace: Path, target: Path, now: datetime, rights: Rights) -> Backup:
    """Copy a workspace into a new zip, also beside a running day. Raises BadInput, LedgerError, DiskError, OSError."""
    state = find_state(workspace)
    if not (state / LEDGER_FILE).is_file():
        raise BadInput(state, "", f"has no {LEDGER_FILE} to copy", "name the folder of a desk by --workspace")
    if target.exists():
        raise BadInput(target, "", "exists already", "name a new file")
    if not target.parent.is_dir():
        raise BadInput(target, "", "its folder does not exist", "make the folder, or name a file in another")
    temporary = target.with_name(f".{target.name}.tmp")
    with tempfile.TemporaryDirectory(prefix="departments-backup-") as folder:
        digests: dict[str, str] = {}
        try:
            with (
                open_successor(target, temporary, rights) as file,
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack,
            ):
                for name, data in _members(workspace, state, Path(folder)):
                    digests[name] = sha256(data).hexdigest()
                    pack.writestr(name, data)
                about = {"format": FORMAT, "made_at": iso(now), "files": digests}
                pack.writestr(MANIFEST, json_text(about))
            files.replace(temporary, target)
        finally:
            files.discard(temporary)
    return Backup(target, len(digests))


def _members(workspace: Path, state: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes). What is in the folders before the ledger's copy is made was there at its moment."""
    root = workspace / MESSAGES
    before = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    for name in DATABASES:
        if (state / name).is_file():
            copy_database(state / name, folder / name)
            yield name, files.read_bytes(folder / name)
    yield from _messages(root, before, _Known.of(folder / LEDGER_FILE))
    for pattern in OTHERS:
        for path in sorted(workspace.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(workspace).as_posix(), files.read_bytes(path)


@dataclass(frozen=True, slots=True)
class _Known:
    """The knowledge of a ledger's copy: our letters by name, handled (department, id), the ids of strangers' files."""

    letters: frozenset[str]
    handled: frozenset[tuple[str, str]]
    ids: Mapping[str, str]

    @classmethod
    def of(cls, ledger: Path) -> _Known:
        letters = query_existing(ledger, "SELECT name FROM bus_letters")
        handled = query_existing(ledger, "SELECT department, message_id FROM bus_handled")
        ids = query_existing(ledger, "SELECT name, message_id FROM bus_index")
        return cls(frozenset(n for (n,) in letters), frozenset((d, i) for d, i in handled), dict(ids))

    def is_handled(self, department: str, name: str) -> bool:
        """Return True if the department handled the file's message."""
        return (department, self.ids.get(name, stem(name))) in self.handled


def _messages(root: Path, before: set[str], known: _Known) -> Iterator[tuple[str, bytes]]:
    """Yield the messages at their places of the moment of the ledger's copy. A file only moves out of an Inbox."""
    taken: set[str] = set()
    for box in (INBOX, DEAD_LETTER, ARCHIVE, OUTBOX):
        for path in sorted(filter(_has_plain_name, (root / box).rglob("*"))):
            place = _place_then(path.relative_to(root), before, known)
            if place is None or place in taken or path.is_symlink() or not path.is_file():
                continue
            try:
                data = files.read_bytes(path)
            except FileNotFoundError:  # it moves: it is found where it goes
                continue
            taken.add(place)
            yield f"{MESSAGES}/{place}", data


def _has_plain_name(path: Path) -> bool:
    """Return True if a zip can hold the name: it is valid text."""
    return path.name == path.name.encode("utf-8", "replace").decode()


def _place_then(path: Path, before: set[str], known: _Known) -> str | None:
    """Return a file's place at that moment; None for one that came later."""
    box, department, name = path.parts[0], path.parent.name, path.name
    here = path.as_posix()
    if here in before:
        return here
    if box == OUTBOX or (box == ARCHIVE and known.is_handled(department, name)):
        return here if box == ARCHIVE or name in known.letters else None
    waiting = f"{INBOX}/{department}/{name}"
    return waiting if waiting in before or name in known.letters else None


# --- the way back ---


def restore_backup(
    workspace: Path, source: Path, now: datetime, rights: Rights, *, replace: bool = False, keep_exchange: bool = False
) -> Path | None:
    """Put a backup into a workspace. Returns the folder with what it replaced, None without any.

    `keep_exchange` leaves the simulated exchange as it is: the account has gone on.

    Raises BadInput for a damaged or foreign file and for a workspace that is not empty, unless it may be replaced;
    WorkspaceBusy for one in use.
    """
    members, state = read_backup(source), find_state(workspace)
    if keep_exchange and members.pop(EXCHANGE_FILE, None) is not None and not (state / EXCHANGE_FILE).is_file():
        raise BadInput(
            state, "", f"there is no {EXCHANGE_FILE} to keep", "leave --keep-exchange out: the backup holds one"
        )
    make_folder(workspace, rights)
    with _holding_all(workspace, rights):
        old = [path for path in sorted(workspace.iterdir()) if _is_replaced(path, keep_exchange=keep_exchange)]
        if old and not replace:
            mend = "name an empty folder, or add --replace: what is there is kept in a folder beside it"
            raise BadInput(workspace, "", "the workspace is not empty", mend)
        kept = workspace / f"Replaced_{stamp(now)}"
        fresh = workspace / f".departments.restore.{stamp(now)}"
        shutil.rmtree(fresh, ignore_errors=True)
        for name, data in members.items():
            path = fresh.joinpath(*PurePosixPath(name).parts)
            make_folder(path.parent, rights)
            with open_successor(path, path.with_name(f"{path.name}.tmp"), rights) as file:
                file.write(data)
            files.replace(path.with_name(f"{path.name}.tmp"), path)
        for path in old:
            make_folder(kept, rights)
            files.rename(path, kept / path.name)
        for path in fresh.iterdir():
            files.rename(path, workspace / path.name)
        fresh.rmdir()
        _move_databases(workspace, kept, rights)
    return kept if kept.is_dir() else None


def _move_databases(workspace: Path, kept: Path, rights: Rights) -> None:
    """Move restored databases to the state folder that the restored settings name; keep the ones there."""
    state = find_state(workspace)
    if state == workspace:
        return
    claim_state(state, workspace, rights)
    for name in DATABASES:
        if (workspace / name).exists():
            for old in sorted(state.glob(f"{name}*")):
                make_folder(kept, rights)
                shutil.move(old, kept / old.name)
            shutil.move(workspace / name, state / name)


def read_backup(source: Path) -> dict[str, bytes]:
    """Read and check a whole backup: names, digests, format. Raises BadInput."""
    if not source.is_file():
        raise BadInput(source, "", "there is no such file", "name a file that `departments backup` wrote")
    try:
        with zipfile.ZipFile(source) as pack:
            names = pack.namelist()
            about: Any = json.loads(pack.read(MANIFEST)) if MANIFEST in names else None
            data = {name: pack.read(name) for name in names if name != MANIFEST}
    except DAMAGED as error:
        raise BadInput(source, "", "is damaged, or no zip file", "use another backup") from error
    if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
        raise BadInput(source, "", "is no backup of a desk", "name a file that `departments backup` wrote")
    if about.get("format") != FORMAT:
        problem = f"has format {about.get('format')!r}, and this program reads {FORMAT}"
        raise BadInput(source, "format", problem, "use the program that wrote it")
    foreign = next((name for name in names if not _is_allowed(name)), None)
    if foreign is not None:
        raise BadInput(
            source, ascii(foreign), "is no path of a workspace", "use a file that `departments backup` wrote"
        )
    if {name: sha256(each).hexdigest() for name, each in data.items()} != about["files"] or len(names) != len(data) + 1:
        raise BadInput(source, "", "is damaged: its files are not those it lists", "use another backup")
    return data


def _is_allowed(name: str) -> bool:
    """Return True for a relative path to a place of a backup, plain on every system."""
    path = PurePosixPath(name)
    if (
        (sys.platform == "win32" and ("\\" in name or ":" in name))
        or path.is_absolute()
        or ".." in path.parts
        or str(path) != name
    ):
        return False
    others = any(path.match(pattern) and len(path.parts) == pattern.count("/") + 1 for pattern in OTHERS)
    return name in (*DATABASES, MANIFEST) or others or (path.parts[0] == MESSAGES and len(path.parts) > 2)


def _is_replaced(path: Path, *, keep_exchange: bool) -> bool:
    name = path.name
    databases = DATABASES[:1] if keep_exchange else DATABASES
    ours = any(name.startswith(base) for base in databases)
    return ours or name in PLACES or path.match("proposed_trades_*.json")


@contextmanager
def _holding_all(workspace: Path, rights: Rights) -> Iterator[None]:
    """Hold the workspace and its inboxes. Raises WorkspaceBusy."""
    was_empty = not (workspace / MESSAGES).exists()
    with ExitStack() as stack:
        stack.enter_context(execution_lock(workspace, rights))
        if not was_empty:
            mailbox = Mailbox(workspace / MESSAGES, rights=rights, mutexes=find_mutexes(workspace))
            for department in OURS:
                stack.enter_context(mailbox.holding(department, wait=0))
        yield
