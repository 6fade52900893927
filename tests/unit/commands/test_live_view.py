"""A running execution on a terminal is a picture, elsewhere a line at each change and one in 15 seconds."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from Departments.commands.frame import show_logs
from Departments.commands.live_view import LiveView, follow_on_terminal
from Departments.commands.log_files import CopiedStream, LogWriter
from Departments.core.logs import SparseLine, make_logger
from Departments.core.platform.clock import SimulatedClock
from Departments.Executive.day import ignore_progress
from tests.builders.commands import Said, fault_file, plan_file, run_of, say
from tests.builders.desk import MORNING, desk, workspace
from tests.invariants.scenarios import SETTINGS, SMALL, STATE, carry_out

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path, state=STATE, settings=SETTINGS)


def run(capsys: Capture, folder: Path, *more: str | Path) -> Said:
    return say(capsys, *run_of(folder, "--plan", plan_file(folder), *more))


def test_the_picture_has_the_phases_the_orders_and_the_cash(folder: Path) -> None:
    shown = io.StringIO()
    screen = Console(file=shown, width=100)
    pictures = list[str]()
    with closing(desk(folder)) as opened:
        view = LiveView(opened, screen)

        def look(plan_id: str) -> None:
            screen.print(view.draw(plan_id))
            pictures.append(shown.getvalue())
            shown.seek(0)
            shown.truncate()

        opened.day = replace(opened.day, observe=look)
        carry_out(opened, SMALL)
    first = next(picture for picture in pictures if "0 of 2" in picture)
    assert [line.split()[0] for line in first.splitlines()[:4]] == ["RELEASE", "SELL", "BUY", "PROTECT"]
    assert "SELL    SELL 190   CTVA     0" in first
    assert " left" in first
    assert "beside a reserve of $9,613.79" in first
    last = pictures[-1].splitlines()
    assert [line.rsplit("━ ", 1)[1].strip() for line in last[:4]] == [
        "nothing to do",
        "2 of 2",
        "2 of 2",
        "nothing to do",
    ]
    assert last[-1] == "Cash $26,689.85 beside a reserve of $9,613.79"


def test_without_a_terminal_there_is_no_picture(folder: Path, capsys: Capture) -> None:
    said = run(capsys, folder)
    assert "\x1b" not in said.out + said.err
    assert "Waiting for 2 orders to fill: CTVA, DVN" in said.err


@pytest.mark.parametrize("kind", ["terminal", "quiet", "log file", "dumb"])
def test_the_picture_is_for_terminals_alone(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "dumb" if kind == "dumb" else "xterm")
    terminal = Terminal()
    with closing(desk(folder)) as opened, closing(LogWriter(folder / "own.log")) as log, ExitStack() as stack:
        monkeypatch.setattr(sys, "stderr", CopiedStream(terminal, log) if kind == "log file" else terminal)
        observe = stack.enter_context(follow_on_terminal(opened, wanted=kind != "quiet"))
        assert (observe is not ignore_progress) is (kind == "terminal")
        if kind == "terminal":
            opened.day = replace(opened.day, observe=observe)
            carry_out(opened, SMALL)
    assert ("Cash $" in terminal.getvalue()) is (kind == "terminal")


def test_the_log_goes_above_the_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    show_logs(SimulatedClock(MORNING))
    monkeypatch.setattr(sys, "stderr", second)
    make_logger("Departments.test").info("a line")
    assert (first.getvalue(), second.getvalue()) == ("", "10:05:42 EST a line\n")


@pytest.mark.parametrize(("option", "has_info", "has_debug"), [("-q", False, False), ("-v", True, True)])
def test_quiet_shows_warnings_alone_and_verbose_more(
    folder: Path, capsys: Capture, option: str, *, has_info: bool, has_debug: bool
) -> None:
    never = fault_file(folder, {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence", "part": 0.4})
    said = run(capsys, folder, option, "--exchange-faults", never)
    assert ("Sent SELL" in said.err) is has_info
    assert ("[Trading.tracking] Sent SELL 190 CTVA" in said.err) is has_debug
    assert "Timeout waiting for orders to fill" in said.err
    assert "CTVA" in said.out


def test_quiet_and_verbose_contradict_each_other(folder: Path, capsys: Capture) -> None:
    said = run(capsys, folder, "-q", "-v")
    assert (said.code, "keep one" in said.err) == (2, True)


# --- sparse lines ---


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_a_line_is_logged_at_each_change_and_every_fifteen_seconds(heard: pytest.LogCaptureFixture) -> None:
    line, start = SparseLine(make_logger("Departments.test")), datetime(2025, 11, 10, tzinfo=UTC)
    for second in range(40):
        line.say(start + timedelta(seconds=second), "A" if second < 20 else "B", "waiting", " still")
    assert [(r.getMessage()) for r in heard.records] == ["waiting", "waiting still", "waiting", "waiting still"]


def test_a_clock_set_back_does_not_silence_it(heard: pytest.LogCaptureFixture) -> None:
    line, start = SparseLine(make_logger("Departments.test")), datetime(2025, 11, 10, tzinfo=UTC)
    for moment in (start, start - timedelta(hours=1)):
        line.say(moment, "A", "waiting")
    assert len(heard.records) == 2
