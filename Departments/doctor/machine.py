"""What the doctor looks at on the machine: Python, rights, disk, locks, sync clients, calendar, file events."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Final
from uuid import uuid4

from Departments.bootstrap import Desk
from Departments.core.errors import DepartmentsError, WorkspaceBusy
from Departments.core.platform import files
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import find_sync_client
from Departments.core.trading_calendar import count_trading_days, trading_day
from Departments.doctor.diagnoses import Diagnosis, Look, ok, trouble, warning
from Departments.messaging.watcher import try_events
from Departments.migration.pythons import OLDEST, find_lacking

LEAST_FREE, ENOUGH_FREE = 100_000_000, 1_000_000_000  # bytes
OTHERS: Final = 0o077  # the rights of group and others


def look_at_python(_: Desk) -> Iterator[Diagnosis]:
    """Name the version of Python, and packages that it lacks."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield trouble("python", f"Python {version} is too old; use 3.11 or newer.")
    lacking = find_lacking()
    if lacking:
        wanted = " ".join(f'"{each}"' for each in lacking)
        yield trouble("python", f'{sys.executable} lacks packages: "{sys.executable}" -m pip install {wanted}')
    else:
        yield ok("python", f"Python {version} has all that the desk needs.")


def look_at_rights(desk: Desk) -> Iterator[Diagnosis]:
    """Write, flush and remove a small file in the workspace and in its state folder."""
    for folder in dict.fromkeys((desk.workspace, desk.state_dir)):
        if not folder.is_dir():
            yield trouble("rights", f"{folder} does not exist; create it, or name another --workspace.")
            continue
        problem = _find_write_problem(folder)
        if problem:
            yield trouble("rights", f"{folder} cannot be written ({problem}); correct the rights of the folder.")
        elif os.name == "posix" and folder.stat().st_mode & OTHERS and desk.ledger_path.is_file():
            mode = folder.stat().st_mode & 0o777
            yield ok("rights", f"{folder} can be written; other users may look into it (mode {mode:o}).")
        else:
            yield ok("rights", f"{folder} can be written, and what is written is durable.")


def _find_write_problem(folder: Path) -> str:
    probe = folder / f".departments.{uuid4().hex}.tmp"
    try:
        descriptor = files.open_descriptor(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"0" * 4096)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return files.describe(error)
    finally:
        with suppress(OSError):
            files.discard(probe)
    return ""


def look_at_disk(desk: Desk) -> Iterator[Diagnosis]:
    """Measure the free space."""
    if not desk.workspace.is_dir():
        return
    free = shutil.disk_usage(desk.workspace).free
    sentence = f"{free / 1e9:.1f} GB are free on the disk of {desk.workspace}"
    if free < LEAST_FREE:
        yield trouble("disk", f"{sentence}; make room.")
    elif free < ENOUGH_FREE:
        yield warning("disk", f"{sentence}; make room soon.")
    else:
        yield ok("disk", f"{sentence}.")


def look_at_mutexes(desk: Desk) -> Iterator[Diagnosis]:
    """Take the execution's mutex for a moment: a disk without file locks shows here, and who holds it."""
    try:
        with execution_lock(desk.workspace, desk.rights, desk.mutexes):
            yield ok("mutexes", f"No execution runs here; file locks work in {desk.mutexes.folder}.")
    except WorkspaceBusy as error:
        yield warning("mutexes", str(error))


def look_at_sync(desk: Desk) -> Iterator[Diagnosis]:
    """Name a sync client or network share that has the ledger in its folder."""
    if client := find_sync_client(desk.state_dir):
        mend = "name a folder outside by state_dir in config/settings.yaml"
        yield warning("sync", f"{desk.state_dir} belongs to {client}, which may copy or lock the ledger; {mend}.")
    elif client := find_sync_client(desk.workspace):
        yield ok("sync", f"{desk.workspace} belongs to {client}; the ledger is outside, in {desk.state_dir}.")
    else:
        yield ok("sync", "No sync client has the folder, and it is on no network share.")


def look_at_calendar(desk: Desk) -> Iterator[Diagnosis]:
    """Ask the calendar for the next 365 days."""
    today = trading_day(desk.clock.now())
    count = count_trading_days(today, today + timedelta(days=364))
    version = metadata.version("holidays")
    if not 245 <= count <= 256:
        yield trouble("calendar", f"The calendar (holidays {version}) has {count} trading days in a year; update it.")
    else:
        yield ok("calendar", f"The calendar (holidays {version}) knows the next 365 days: {count} trading days.")


def look_at_watcher(desk: Desk) -> Iterator[Diagnosis]:
    """Name the source of file events."""
    try:
        polling = desk.settings.messaging.polling_observer
    except DepartmentsError:
        return
    try:
        kind = "a look every few seconds (polling_observer)" if polling else try_events()
    except OSError as error:
        mend = "end other watchers, or set messaging.polling_observer to true in config/settings.yaml"
        yield warning("watcher", f"`departments watch` hears of no new files ({files.describe(error)}); {mend}.")
        return
    yield ok("watcher", f"`departments watch` hears of new files by {kind}.")


LOOKS: Final[tuple[Look, ...]] = (
    look_at_python,
    look_at_rights,
    look_at_disk,
    look_at_mutexes,
    look_at_sync,
    look_at_calendar,
    look_at_watcher,
)
