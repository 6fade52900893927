"""Copies of a workspace as of one moment, and the way back.

A backup is a zip of ledger, simulated exchange, messages, reports, plans, settings and limits. The ledger is
copied first: it says which messages were there and which were handled. A message that moves meanwhile is put where that
copy has it. Keys are in none of these files. A restored workspace keeps what it replaces, in a folder named by the
moment.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final

from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.constraints.compliance import NAME as COMPLIANCE
from Departments.core.departments import OURS
from Departments.core.documents import json_text
from Departments.core.errors import BadInput
from Departments.core.moments import iso, stamp
from Departments.core.platform import files
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import claim_state, find_mutexes, find_state
from Departments.core.platform.rights import Rights, make_folder, open_new, open_successor
from Departments.ledger.sqlite import copy_database, query_existing
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX, OUTBOX
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.names import stem

FORMAT: Final = 1
MANIFEST: Final = "departments-backup.json"
DATABASES: Final = (LEDGER_FILE, EXCHANGE_FILE)
#: What a backup holds beside databases and messages: patterns of paths in the workspace.
CONFIGS: Final = ("config", "Config")
ALWAYS: Final = ("settings.yaml", "hard_constraints.yaml")  # replaced also by a backup without them
OTHERS: Final = (
    "Reports/*.md",
    "Reports/*.html",
    "proposed_trades_*.json",
    *(f"[cC]onfig/{name}" for name in (*ALWAYS, COMPLIANCE)),
)
#: What a restore replaces beside databases, plans and configuration.
PLACES: Final = (MESSAGES, "Reports")
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
    ledger = state / LEDGER_FILE
    if not ledger.is_file() or not ledger.stat().st_size:
        problem = f"has no {LEDGER_FILE} to copy, or an empty one"
        raise BadInput(state, "", problem, "name the folder of a desk by --workspace")
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
                    if name != name.encode("utf-8", "replace").decode():  # no zip can hold it
                        continue
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
        if not query_existing(ledger, "SELECT 1 FROM sqlite_master WHERE name = 'bus_letters'"):
            return cls(frozenset(), frozenset(), {})  # an older system's, before its migration
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
        for path in sorted((root / box).rglob("*")):
            place = _place_then(path.relative_to(root), before, known)
            if place is None or place in taken or path.is_symlink() or not path.is_file():
                continue
            try:
                data = files.read_bytes(path)
            except FileNotFoundError:  # it moves: it is found where it goes
                continue
            taken.add(place)
            yield f"{MESSAGES}/{place}", data


def _place_then(path: PurePath, before: set[str], known: _Known) -> str | None:
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
    """Put a backup into a workspace, all of it or nothing. Returns the folder with what it replaced, None without any.

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
        databases = DATABASES[:1] if keep_exchange else DATABASES
        old = [part for part in _list_parts(workspace) if _is_replaced(part, databases, members)]
        if old and not replace:
            mend = "name an empty folder, or add --replace: what is there is kept in a folder beside it"
            raise BadInput(workspace, "", "the workspace is not empty", mend)
        kept, fresh = workspace / f"Replaced_{stamp(now)}", workspace / f".departments.restore.{stamp(now)}"
        try:
            _unpack(members, fresh, rights)
            with _moving_all(rights) as move:
                for part in old:
                    move(workspace / part, kept / part)
                for part in list(_list_parts(fresh)):
                    move(fresh / part, workspace / part)
                _move_databases(workspace, kept, rights, move)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return kept if kept.is_dir() else None


def _unpack(members: Mapping[str, bytes], folder: Path, rights: Rights) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier kill
    for name, data in members.items():
        path = folder.joinpath(*PurePosixPath(name).parts)
        make_folder(path.parent, rights)
        with os.fdopen(open_new(path, rights), "wb") as file:
            file.write(data)


def _list_parts(folder: Path) -> Iterator[PurePath]:
    """Yield the paths in a folder that are replaced as a whole: its entries, and each file of its configuration."""
    for path in sorted(folder.iterdir()):
        inside = sorted(path.iterdir()) if path.name in CONFIGS and path.is_dir() else [path]
        yield from (each.relative_to(folder) for each in inside)


@contextmanager
def _moving_all(rights: Rights) -> Iterator[Callable[[Path, Path], None]]:
    """Yield a function that moves a file or folder. If anything fails, everything moved goes back."""
    with ExitStack() as way_back:

        def move(source: Path, target: Path) -> None:
            missing = [each for each in (target.parent, *target.parent.parents) if not each.exists()]
            make_folder(target.parent, rights)
            for folder in reversed(missing):
                way_back.callback(folder.rmdir)
            _rename(source, target)
            way_back.callback(_rename, target, source)

        yield move
        way_back.pop_all()


def _rename(source: Path, target: Path) -> None:
    """Rename a file or folder, a file also to another disk. Raises OSError."""
    try:
        files.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.move(source, target)


def _move_databases(workspace: Path, kept: Path, rights: Rights, move: Callable[[Path, Path], None]) -> None:
    """Move restored databases to the state folder that the restored settings name; keep the ones there."""
    state = find_state(workspace)
    if state == workspace:
        return
    claim_state(state, workspace, rights)
    for name in DATABASES:
        if (workspace / name).exists():
            for old in sorted(state.glob(f"{name}*")):
                move(old, kept / state.name / old.name)
            move(workspace / name, state / name)


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


def _is_replaced(part: PurePath, databases: Sequence[str], members: Collection[str]) -> bool:
    """Return True for what a restore replaces. Of the configuration, files that no backup holds stay."""
    if len(part.parts) > 1:
        return part.name in ALWAYS or part.as_posix() in members
    return part.name.startswith(tuple(databases)) or part.name in PLACES or part.match("proposed_trades_*.json")


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
