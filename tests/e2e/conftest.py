"""The demo's day, run once for all tests that only look at it."""

import contextlib
import io
import logging
from pathlib import Path

import pytest

from Departments.cli import exit_code_of
from tests.builders.commands import Demo, Said


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder: Path = tmp_path_factory.mktemp("demo") / "a folder with spaces"
    logger = logging.getLogger("Departments")
    before = logger.handlers[:], logger.level, logger.propagate
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = exit_code_of(["demo", "--workspace", str(folder), "--json"])
    logger.handlers[:], logger.level, logger.propagate = before
    return Demo(folder, Said(code, out.getvalue(), err.getvalue()))
