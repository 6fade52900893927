"""One time for people: New York's with its zone, wherever a person reads. Programs read UTC: headers, JSON, names."""

import ast
import re
from pathlib import Path

import pytest

from tests.builders.commands import Demo, say
from tests.builders.second_day import live_through_the_first_day, run_at, spoil

ROOT = Path(__file__).parents[2]
HEADER = re.compile(r"\A---\r?\n.*?\n---\r?\n", re.DOTALL)
JSON = re.compile(r"```json\r?\n.*?\n```", re.DOTALL)
TAG = re.compile(r"<style>.*?</style>|<[^>]+>", re.DOTALL)
#: Names of files and ids keep their stamps.
NAME = re.compile(r"\b(?:MSG|PLAN|ORDER|REGIME)_\w+")
LONELY = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d|\bUTC\b|\+00:00|(?<![\d:])\d{1,2}:\d\d(?::\d\d)?(?![\d:])(?! (?:to .* )?E[SD]T\b)"
)
#: What the older system wrote before the day; its files stay as they are.
OLDER = (
    "MSG_REGIME_20251110T063559Z",
    "MSG_REGIME_20251110T065004Z",
    "MSG_REGIME_20251110T070430Z",
    "MSG_REGIME_20251107",
)
LOOKS = ("status", "history", "positions", "logs", "regime", "doctor", "inbox EXECUTIVE", "dead-letters list", "report")
#: The modules that write a time in another form, for programs.
OTHER_FORMS = {
    "brokers/alpaca/sdk.py": "Alpaca's query",
    "core/identifiers.py": "ids of plans",
    "core/moments.py": "the owner",
    "core/regimes.py": "ids of assessments",
    "commands/schedules.py": "a time of a day in the files of a schedule",
    "doctor/desk_files.py": "a time of a day in New York, from the settings",
    "exchange/account_log.py": "Alpaca's ids",
    "ledger/old_days.py": "the older system's tables",
    "ledger/old_positions.py": "the older system's ids",
    "ledger/old_tables.py": "the older system's tables",
}


def find_lonely_times(text: str) -> list[str]:
    """Return the times in what a person reads that lack New York's zone, with their lines."""
    read = NAME.sub("", JSON.sub("", HEADER.sub("", text)))
    return [line for line in read.splitlines() if LONELY.search(line)]


def read_for_people(folder: Path) -> dict[str, str]:
    """Return the texts of a workspace that people read, pages without their markup."""
    texts = {
        path.name: path.read_text(encoding="utf-8", errors="replace")
        for path in folder.rglob("*")
        if path.suffix in {".md", ".html", ".log"} and not path.name.startswith(OLDER)
    }
    return {name: TAG.sub("\n", text) if name.endswith(".html") else text for name, text in texts.items()}


@pytest.mark.parametrize("text", ["at 15:05", "15:05:42Z", "2025-11-10T15:05:42.0Z", "9:30 UTC", "10:05 to 10:06"])
def test_a_time_without_new_yorks_zone_is_found(text: str) -> None:
    assert find_lonely_times(f"---\ntimestamp: '2025-11-10T15:05:42Z'\n---\n{text}\n") == [text]


@pytest.mark.parametrize("text", ["10:05:42 EST", "9:30 to 10:05 EDT", '```json\n{"at": "2025-11-10T15:05:42Z"}\n```'])
def test_a_time_of_new_york_and_one_for_programs_are_left(text: str) -> None:
    assert not find_lonely_times(text)


def test_a_day_has_new_yorks_time_in_every_message_report_page_and_line(demo: Demo) -> None:
    texts = read_for_people(demo.folder) | {"log": demo.said.err}
    assert {Path(name).suffix for name in texts} == {"", ".md", ".html"}
    assert len(texts) > 50
    assert {name: found for name, text in texts.items() if (found := find_lonely_times(text))} == {}


def test_every_look_at_a_day_has_new_yorks_time(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {look: say(capsys, *look.split(), "--workspace", demo.folder) for look in LOOKS}
    message = next((demo.folder / "Messages_Between_Departments/Outbox/TRADING").iterdir()).stem
    shown["trace"] = say(capsys, "trace", message, "--workspace", demo.folder)
    assert {look: found for look, said in shown.items() if (found := find_lonely_times(said.out + said.err))} == {}
    assert "EST" in shown["trace"].out
    assert "EST" in shown["regime"].out


def test_a_day_in_trouble_has_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = live_through_the_first_day(tmp_path / "ws")
    spoil(folder, {"call": "submit", "symbol": "SN", "do": "reject", "code": 40310000, "message": "insufficient"})
    log = folder / "logs" / "day.log"
    said = say(capsys, *(each for each in run_at(folder) if each != "--json"), "--log-file", log)
    assert said.code == 1
    texts = read_for_people(folder) | {"screen": said.out}
    assert log.name in texts
    assert {name: found for name, text in texts.items() if (found := find_lonely_times(text))} == {}


def test_one_module_writes_times_for_people() -> None:
    package = ROOT / "Departments"
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"%H:?%M", node.value)
    }
    assert writers == set(OTHER_FORMS)
