"""The parts that a CEO of the existing system holds: the account's data, and the project's own classes.

A class that the project does not have is None.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Departments.brokers.base import Broker
from Departments.core.answers import Answer
from Departments.Executive.portfolio_answers import describe_open_position


@dataclass(frozen=True, slots=True)
class DataSource:
    """Reads the account as scripts ask for it."""

    broker: Callable[[], Broker]

    def get_open_positions(self) -> list[Answer]:
        """Return the positions: dollars and shares, `unrealized_plpc` as a share of one. Raises BrokerError."""
        return [describe_open_position(position) for position in self.broker().positions()]


def make_executive_department(root: Path, db_path: Path) -> Any:
    """Make the project's ExecutiveDepartment, which writes summaries for people."""
    made = _find("Departments.Executive.executive_department", "ExecutiveDepartment")
    folders = root / "Messages_Between_Departments", root / "Reports" / "Executive"
    return None if made is None else made(db_path, *folders)


def make_realism_simulator(root: Path) -> Any:
    """Make the project's RealismSimulator, which counts days and day trades."""
    made = _find("Departments.Operations.realism_simulator", "RealismSimulator")
    return None if made is None else made(root)


def _find(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
