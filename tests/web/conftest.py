"""A desk with a plan that waits for its approval, and visitors of its page."""

from __future__ import annotations

import contextlib
import io
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Departments.bootstrap import Choices
from Departments.cli import run_command
from Departments.core.platform.clock import SimulatedClock
from Departments.web.application import House
from Departments.web.sessions import Doorkeeper, make_link
from tests.builders.commands import AT, plan_file
from tests.builders.desk import MORNING, workspace

HOSTS = frozenset({"testserver", "127.0.0.1"})


class Hands:
    """A clock of the machine that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a plan that waits, for copying."""
    folder = workspace(tmp_path_factory.mktemp("planned") / "ws")
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        seed = ["--exchange-state", str(folder / "state.yaml")]
        given = ["--workspace", str(folder), "--at", AT, "--plan", str(plan_file(folder))]
        assert run_command(["plan", *given, *seed]) == 0, told.getvalue()
    return folder


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def house(planned: Path, tmp_path: Path, hands: Hands) -> House:
    folder = Path(shutil.copytree(planned, tmp_path / "ws"))
    credentials = Doorkeeper(b"k" * 32, hands.now)
    return House(folder, Choices(clock=SimulatedClock(MORNING)), credentials, HOSTS, seconds=0.2)


def link(house: House, hands: Hands, plan_id: str | None = None, who: str = "anna@desk") -> str:
    """Return the path of a link."""
    return f"/enter/{make_link(house.credentials.key, who, hands.now(), plan_id)}"
