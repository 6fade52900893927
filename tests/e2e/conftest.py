"""Days that are lived through once for many tests: the demo's to be looked at, a second morning to be spoiled."""

import contextlib
import io
import logging
import shutil
from pathlib import Path

import pytest

from Departments.cli import run_command
from tests.builders.commands import Demo, Said
from tests.builders.second_day import live_through_the_first_day


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder: Path = tmp_path_factory.mktemp("demo") / "a folder with spaces"
    logger = logging.getLogger("Departments")
    before = logger.handlers[:], logger.level, logger.propagate
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(["demo", "--workspace", str(folder), "--json"])
    logger.handlers[:], logger.level, logger.propagate = before
    return Demo(folder, Said(code, out.getvalue(), err.getvalue()))


@pytest.fixture(scope="session")
def second_morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace on its second day, for copying."""
    return live_through_the_first_day(tmp_path_factory.mktemp("second_morning"))


@pytest.fixture
def folder_of_the_second_day(tmp_path: Path, second_morning: Path) -> Path:
    """A workspace on its second day, to be spoiled."""
    return Path(shutil.copytree(second_morning, tmp_path / "ws"))
