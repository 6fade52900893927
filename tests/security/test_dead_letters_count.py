"""Dead letters and locks are issues of the day."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from Departments.bootstrap import open_desk
from tests.builders.commands import AT, deliver_briefing, run_of, say
from tests.builders.desk import deliver, workspace

Capture = pytest.CaptureFixture[str]
JUNK = "MSG_X.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = workspace(tmp_path / "ws")
    deliver_briefing(folder)
    return folder


def test_a_dead_letter_is_an_issue_of_the_day_and_of_one_report(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", JUNK, "no message at all")
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    (letter,) = said.document["dead_letters"]
    assert (letter["department"], letter["file"], letter["code"]) == ("OPERATIONS", JUNK, "UNREADABLE")
    assert f'departments dead-letters show "{JUNK}"' in letter["mend"]
    report = (folder / "Reports" / f"{said.document['plan_id']}.md").read_text(encoding="utf-8")
    assert "## Dead Letters" in report
    assert JUNK in report
    again = say(capsys, *run_of(folder, "--json"))  # with the code of the day it speaks of
    assert (again.code, again.document["status"], again.document["dead_letters"]) == (1, "ALREADY_EXECUTED", [])


def test_a_dead_letter_that_comes_after_the_report_is_an_issue_of_the_next_run(folder: Path, capsys: Capture) -> None:
    assert say(capsys, *run_of(folder)).code == 0
    deliver(folder, "EXECUTIVE", JUNK, "no message at all")
    with closing(open_desk(folder)) as desk:
        desk.day.inbox.read()
    said = say(capsys, *run_of(folder))
    assert said.code == 1
    assert f"EXECUTIVE/{JUNK}: UNREADABLE" in said.out
    assert say(capsys, "resume", "--workspace", folder, "--at", AT).code == 1
    assert say(capsys, "dead-letters", "accept", "MSG_X", "--workspace", folder).code == 0
    assert say(capsys, *run_of(folder)).code == 0
    assert (folder / "Messages_Between_Departments" / "Dead_Letter" / "EXECUTIVE" / JUNK).exists()


@pytest.mark.parametrize("way", ["drop", "accept", "retry"])
def test_what_a_person_has_looked_at_counts_no_more(folder: Path, capsys: Capture, way: str) -> None:
    deliver(folder, "OPERATIONS", JUNK, "no message at all")
    say(capsys, "plan", "--workspace", folder, "--exchange-state", folder / "state.yaml", "--at", AT)
    assert say(capsys, "dead-letters", way, JUNK, "--workspace", folder).code == 0
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code == (1 if way == "retry" else 0)  # it is still no message


def test_whom_nobody_knows_cannot_be_accepted(folder: Path, capsys: Capture) -> None:
    said = say(capsys, "dead-letters", "accept", "MSG_Y", "--workspace", folder)
    assert said.code == 2
    assert "there is no such dead letter" in said.err


def test_a_lock_is_an_issue_of_every_run_with_its_mend(folder: Path, capsys: Capture) -> None:
    assert say(capsys, *run_of(folder)).code == 0
    with closing(open_desk(folder)) as desk:
        desk.ledger.releases.lock("MSFT", "a fill that the ledger does not know", desk.clock.now())
    for _ in range(2):
        said = say(capsys, *run_of(folder, "--json"))
        assert said.code == 1
        (lock,) = said.document["locks"]
        assert lock["ticker"] == "MSFT"
        assert "departments reconcile --accept MSFT" in lock["mend"]
    assert "Locked MSFT" in say(capsys, *run_of(folder)).out


@pytest.mark.parametrize("failure", ["no plan", "bad input", "broker away"])
def test_a_failed_run_names_dead_letters_and_locks_too(folder: Path, capsys: Capture, failure: str) -> None:
    deliver(folder, "OPERATIONS", JUNK, "no message at all")
    say(capsys, "plan", "--workspace", folder, "--exchange-state", folder / "state.yaml", "--at", AT)
    with closing(open_desk(folder)) as desk:
        desk.ledger.releases.lock("MSFT", "a fill that the ledger does not know", desk.clock.now())
    (folder / "plan.json").write_text("{}" if failure == "no plan" else "no plan", encoding="utf-8")
    more = ["--broker", "alpaca"] if failure == "broker away" else ["--plan", folder / "plan.json"]
    said = say(capsys, *run_of(folder, *more, "--json"))
    assert said.document["status"] == "FAILED", said.out
    assert said.code == said.document["exit_code"] > 0
    assert [each["file"] for each in said.document["dead_letters"]] == [JUNK]
    assert [each["ticker"] for each in said.document["locks"]] == ["MSFT"]


def test_a_run_that_fails_for_its_ledger_says_only_that(folder: Path, capsys: Capture) -> None:
    (folder / "sentinel.db").write_bytes(b"no database, whatever its name says" * 99)
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"], said.document["locks"]) == (3, "FAILED", [])
