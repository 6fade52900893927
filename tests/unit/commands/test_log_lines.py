"""The log for programs: JSON lines by day, each with the plan, phase, symbol, message and order it is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from Departments.commands.log_lines import JsonLines, LineFilter, list_files, read_lines
from Departments.commands.log_search import follow_lines
from Departments.core.logs import about, log_about, make_logger
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.rights import PRIVATE
from tests.builders.commands import Said, fault_file, plan_file, run_of, say
from tests.builders.desk import MORNING, workspace

Capture = pytest.CaptureFixture[str]
PLAN = "PLAN_20251110_150000"


@pytest.fixture
def traded(tmp_path: Path, capsys: Capture) -> Path:
    """A workspace whose plan was executed; the SELL of CTVA timed out."""
    folder = workspace(tmp_path)
    faults = fault_file(folder, {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence", "part": 0.4})
    assert say(capsys, *run_of(folder, "--plan", plan_file(folder), "-q", "--exchange-faults", faults)).code == 1
    return folder


def logs(capsys: Capture, folder: Path, *more: str) -> Said:
    return say(capsys, "logs", "--workspace", folder, *more)


def find(lines: list[dict[str, Any]], text: str) -> dict[str, Any]:
    return next(line for line in lines if text in line["text"])


def test_a_line_has_what_it_is_about(traded: Path, capsys: Capture) -> None:
    lines = logs(capsys, traded, "--json").document["lines"]
    sent = find(lines, "Sent SELL 190 CTVA")
    assert sent == {
        "at": "2025-11-10T15:05:42.000000Z",
        "level": "INFO",
        "room": "Trading.tracking",
        "text": "Sent SELL 190 CTVA",
        "plan": PLAN,
        "phase": "SELL",
        "symbol": "CTVA",
        "message": sent["message"],
        "order": sent["order"],
    }
    assert sent["message"].startswith("MSG_EXECUTIVE_20251110T")
    waiting = find(lines, "Timeout waiting for orders to fill")
    assert (waiting["level"], waiting["plan"], waiting["phase"]) == ("WARNING", PLAN, "SELL")


def test_lines_are_found_by_plan_symbol_and_message(traded: Path, capsys: Capture) -> None:
    lines = logs(capsys, traded, "--symbol", "ctva", "--json").document["lines"]
    assert lines
    assert {line["symbol"] for line in lines} == {"CTVA"}
    message = find(lines, "Sent SELL")["message"]
    assert {line["message"] for line in logs(capsys, traded, "--message", message, "--json").document["lines"]} == {
        message
    }
    assert {line["plan"] for line in logs(capsys, traded, "--plan", PLAN, "--json").document["lines"]} == {PLAN}


def test_people_see_new_york_time_room_and_level(traded: Path, capsys: Capture) -> None:
    shown = logs(capsys, traded, "--symbol", "CTVA").out.splitlines()
    assert shown[0] == "2025-11-10 10:05:42 EST [Trading.tracking] Sent SELL 190 CTVA"
    everything = logs(capsys, traded).out
    assert "[Executive.execution] WARNING: Timeout waiting for orders to fill after 60s: CTVA" in everything


def test_without_a_log_and_without_a_line_it_says_so(traded: Path, capsys: Capture, tmp_path: Path) -> None:
    assert logs(capsys, traded, "--symbol", "ZZZ").out == "The log has no such line.\n"
    fresh = workspace(tmp_path / "fresh")
    assert logs(capsys, fresh).out == "There is no log yet; a run writes it.\n"
    assert not (fresh / "logs").exists()


def test_a_dry_run_and_a_look_write_no_lines(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    say(capsys, *run_of(folder, "--plan", plan_file(folder), "--dry-run"))
    say(capsys, "status", "--workspace", folder)
    assert not (folder / "logs").exists()


def test_a_damaged_line_is_shown_as_it_is_between_the_others(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    good = '{"at": "2025-11-10T15:05:42.000000Z", "level": "INFO", "room": "Trading", "text": "a line", "symbol": "T"}'
    damaged = ['{"at": "2025-11-10T15', "[1]", '{"symbol": "ZQ"}', "\x00\x00", "\x1b[31mZQ", "[" * 9000, '{"text": 1}']
    damaged.append('{"text": "x", "level": 1}')
    (folder / "logs").mkdir()
    path = folder / "logs" / "departments_2025-11-10.jsonl"
    path.write_bytes("\n".join([good, *damaged, "", "\xff", good, "half"]).encode("latin-1"))
    shown = logs(capsys, folder).out.splitlines()
    line = "2025-11-10 10:05:42 EST [Trading] a line"
    assert (shown[0], shown[-1], len(shown)) == (line, line, len(damaged) + 3)
    assert {each.startswith("damaged line: ") for each in shown[1:-1]} == {True}
    assert not {"None", "\x1b"} & {word for each in shown for word in (*each.split(), *each)}
    assert len(logs(capsys, folder, "--symbol", "ZQ").out.splitlines()) == 2
    assert logs(capsys, folder, "--json").document["lines"][1] == {"damaged": damaged[0]}


# --- the file ---


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = make_logger("Departments.Trading.lines")
    found.setLevel(logging.INFO)
    yield found
    found.handlers.clear()


def keep(logger: logging.Logger, folder: Path, at: datetime) -> None:
    logger.handlers[:] = [JsonLines(folder / "logs", SimulatedClock(at), PRIVATE)]


def test_each_day_in_new_york_has_its_file_and_old_ones_go(tmp_path: Path, logger: logging.Logger) -> None:
    for days in (-91, -90, 0):
        keep(logger, tmp_path, MORNING + timedelta(days=days))
        logger.info("a line")
    keep(logger, tmp_path, datetime(2025, 11, 11, 4, 59, tzinfo=UTC))  # 23:59 in New York
    logger.info("a late line")
    names = [path.name for path in list_files(tmp_path)]
    assert names == ["departments_2025-08-12.jsonl", "departments_2025-11-10.jsonl"]
    assert [line["text"] for line in read_lines(list_files(tmp_path)[-1])[0]] == ["a line", "a late line"]


def test_a_line_stays_one_line_whatever_is_in_it(tmp_path: Path, logger: logging.Logger) -> None:
    keep(logger, tmp_path, MORNING)
    logger.info("%s", 'two\nlines "quoted" \x1b[31m \u2028 ü')
    (line,) = (tmp_path / "logs").glob("*.jsonl")
    (read,) = [json.loads(each) for each in line.read_text(encoding="utf-8").split("\n") if each]
    assert read["text"] == 'two\\nlines "quoted" \\x1b[31m \\u2028 ü'


def test_the_nearest_word_of_what_a_line_is_about_counts(tmp_path: Path, logger: logging.Logger) -> None:
    keep(logger, tmp_path, MORNING)
    with log_about(plan="P", phase="SELL", symbol=None), log_about(phase="BUY"):
        logger.info("a line", extra=about(symbol="T", order=None))
    logger.info("another")
    first, second = read_lines(list_files(tmp_path)[0])[0]
    assert (first["plan"], first["phase"], first["symbol"]) == ("P", "BUY", "T")
    assert "order" not in first
    assert "plan" not in second


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path, logger: logging.Logger) -> None:
    (tmp_path / "logs").write_text("no folder", encoding="utf-8")
    keep(logger, tmp_path, MORNING)
    logger.info("a line")


def test_new_lines_are_followed_and_half_ones_waited_for(tmp_path: Path, logger: logging.Logger) -> None:
    keep(logger, tmp_path, MORNING)
    logger.info("first")
    path = list_files(tmp_path)[0]
    head = '{"at": "", "level": "INFO", "room": "Trading", "text": "'
    late = iter([f"{head}sec", 'ond"}\n', f'{head}third"}}\n'])

    class Clock(SimulatedClock):
        def sleep(self, seconds: float) -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(next(late))

    found = list(islice(follow_lines(tmp_path, LineFilter(), Clock(MORNING)), 3))
    assert [line["text"] for line in found] == ["first", "second", "third"]
