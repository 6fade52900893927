"""Copies for a dry run: it consumes, moves and sends nothing in the workspace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from Departments.bootstrap import LEDGER_FILE, MESSAGES
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.departments import OPERATIONS, RESEARCH
from Departments.core.errors import DepartmentsError
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import find_state
from Departments.core.trading_calendar import trading_day


@contextmanager
def rehearse(workspace: Path, now: datetime) -> Iterator[Path]:
    """Yield a temporary folder with copies of ledger, exchange and briefings.

    Raises WorkspaceBusy while an execution runs.
    """
    with tempfile.TemporaryDirectory(prefix="departments-dry-run-") as name:
        folder = Path(name)
        state = find_state(workspace)
        if any((state / name).exists() for name in (LEDGER_FILE, EXCHANGE_FILE)):
            with execution_lock(workspace):
                _copy_files(state, folder)
        _copy_messages(workspace / MESSAGES, folder / MESSAGES, trading_day(now).isoformat())
        with _named_as_the_workspace(folder, workspace):
            yield folder


@contextmanager
def _named_as_the_workspace(folder: Path, workspace: Path) -> Iterator[None]:
    """Name the workspace in an error: its reader has to mend the original."""
    try:
        yield
    except DepartmentsError as error:
        error.args = tuple(str(part).replace(str(folder), str(workspace)) for part in error.args)
        raise


def _copy_files(state: Path, folder: Path) -> None:
    for name in (LEDGER_FILE, EXCHANGE_FILE):
        for path in state.glob(f"{name}*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)


def _copy_messages(source: Path, target: Path, today: str) -> None:
    for box in (("Inbox", OPERATIONS), ("Archive", today, OPERATIONS), ("Outbox", RESEARCH)):
        if source.joinpath(*box).is_dir():
            shutil.copytree(source.joinpath(*box), target.joinpath(*box))
