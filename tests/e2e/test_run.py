"""`departments run` as a user meets it."""

import importlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.bootstrap import open_desk
from tests.builders.commands import AT, BRIEFING, Said, contents, deliver_briefing, launched, plan_file, run_of, say
from tests.builders.desk import ROOT, candidate, deliver, workspace

MESSAGES = "Messages_Between_Departments"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws")


def statuses(said: Said) -> set[str]:
    return {o["status"] for n in ("SELL", "BUY") for o in said.phase(n)["orders"]}


def test_the_day_is_planned_from_the_briefing_that_waits(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code == 0
    assert statuses(said) == {"filled"}
    assert {o["ticker"] for o in said.phase("BUY")["orders"]} <= {"ALKS", "COMM", "AXTA", "SN"}


def test_a_dry_run_changes_nothing_and_the_real_run_does_what_it_showed(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    before = contents(folder)
    dry = say(capsys, *run_of(folder, "--dry-run", "--json"))
    assert contents(folder) == before
    assert dry.code == 0
    assert dry.document["status"] == "DRY_RUN"
    assert statuses(dry) == {"planned"}
    real = say(capsys, *run_of(folder, "--json"))
    sent = [(o["ticker"], o["qty"]) for n in ("SELL", "BUY") for o in real.phase(n)["orders"]]
    assert sent == [(o["ticker"], o["qty"]) for n in ("SELL", "BUY") for o in dry.phase(n)["orders"]]


def test_a_dry_run_leaves_what_waits_for_trading_alone(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    deliver(folder, "TRADING", "MSG_X.md", "no message at all")
    say(capsys, *run_of(folder, "--dry-run"))
    assert (folder / MESSAGES / "Inbox" / "TRADING" / "MSG_X.md").exists()


def test_a_dry_run_shows_what_is_skipped_and_why(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder, [candidate("ALKS", 79, 32.66), candidate("CVE", 42, 17.58)])
    shown = say(capsys, *run_of(folder, "--dry-run")).out
    assert "Skipped CVE - score 42 is under 55  SCORE_BELOW_THRESHOLD" in shown


def test_a_second_run_of_the_day_trades_nothing(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    first = say(capsys, *run_of(folder, "--json"))
    again = say(capsys, *run_of(folder, "--json"))
    assert again.code == 0
    assert again.document["status"] == "ALREADY_EXECUTED"
    assert again.document["plan_id"] == first.document["plan_id"]
    assert again.document["phases"] == []


def test_outside_trading_hours_nothing_is_sent(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--json", "--at", "2025-11-10T12:00:00Z"))
    assert said.code == said.document["exit_code"] == 5
    assert said.document["status"] == "MARKET_CLOSED"
    assert (folder / MESSAGES / "Inbox" / "OPERATIONS" / BRIEFING).exists()


def test_without_a_terminal_and_without_approve_auto_nothing_is_sent(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--json", "--approve", "ask"))
    assert said.code == 1
    assert said.document["status"] == "NOT_APPROVED"
    assert "--approve auto" in said.document["message"]
    approved = say(capsys, *run_of(folder, "--json"))
    assert approved.document["status"] == "COMPLETED"


def test_a_briefing_outside_the_workspace_is_delivered_and_used(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    elsewhere = deliver_briefing(tmp_path / "elsewhere")
    said = say(capsys, *run_of(folder, "--json", "--briefing", elsewhere))
    assert said.document["status"] == "COMPLETED"
    assert elsewhere.exists()
    assert (folder / MESSAGES / "Archive" / "2025-11-10" / "OPERATIONS" / BRIEFING).exists()


def test_a_briefing_that_research_sent_to_portfolio_is_found(folder: Path, capsys: Capture) -> None:
    waiting = deliver_briefing(folder)
    outbox = folder / MESSAGES / "Outbox" / "RESEARCH" / BRIEFING
    outbox.parent.mkdir(parents=True)
    outbox.write_text(waiting.read_text(encoding="utf-8").replace("to: OPERATIONS", "to: PORTFOLIO"), encoding="utf-8")
    waiting.unlink()
    said = say(capsys, *run_of(folder, "--json"))
    assert said.document["status"] == "COMPLETED"
    assert outbox.exists()


@pytest.mark.parametrize("with_briefing", [False, True])
def test_an_existing_plan_is_executed_under_its_own_id(folder: Path, capsys: Capture, *, with_briefing: bool) -> None:
    if with_briefing:
        deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder)))
    assert said.code == 0
    assert said.document["plan_id"] == "PLAN_20251110_150000"
    symbols = {o["ticker"] for n in ("SELL", "BUY") for o in said.phase(n)["orders"]}
    assert symbols == {"CTVA", "DVN", "ALKS", "COMM"}


def test_what_cannot_be_handled_becomes_a_dead_letter_and_the_day_goes_on(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    unknown = "---\nmessage_id: MSG_RISK_1\nfrom: RISK\nto: TRADING\ntimestamp: '2025-11-10T15:00:00Z'\n"
    deliver(folder, "TRADING", "MSG_RISK_1.md", unknown + "message_type: Horoscope\n---\n# Stars\n")
    deliver(folder, "TRADING", "MSG_RUBBISH.md", "no message at all")
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert {o["status"] for n in ("SELL", "BUY") for o in said.phase(n)["orders"]} == {"filled"}
    assert {d["file"]: d["code"] for d in said.document["dead_letters"]} == {
        "MSG_RISK_1.md": "UNKNOWN_TYPE",
        "MSG_RUBBISH.md": "UNREADABLE",
    }
    dead = folder / MESSAGES / "Dead_Letter" / "TRADING"
    assert "UNKNOWN_TYPE" in (dead / "MSG_RISK_1.md.reason.yaml").read_text(encoding="utf-8")
    assert "UNREADABLE" in (dead / "MSG_RUBBISH.md.reason.yaml").read_text(encoding="utf-8")
    assert (dead / "MSG_RISK_1.md").exists()
    assert (dead / "MSG_RUBBISH.md").exists()


def test_an_execution_that_was_interrupted_goes_on_before_anything_is_asked_for(folder: Path, capsys: Capture) -> None:
    plan = plan_file(folder)
    killed = launched(*run_of(folder, "--plan", plan), cwd=folder, program=("-c", KILL_AT_THE_FIRST_WAIT))
    assert killed.code == 9
    plan.unlink()
    resumed = say(capsys, *run_of(folder, "--json"))
    assert resumed.document["plan_id"] == "PLAN_20251110_150000"
    assert resumed.document["status"] == "COMPLETED"
    desk = open_desk(folder)
    sold = sorted(o.symbol for o in desk.broker.orders("all") if o.symbol in {"CTVA", "DVN"})
    desk.close()
    assert sold == ["CTVA", "DVN"]


KILL_AT_THE_FIRST_WAIT = """
import os, sys
from Departments.core.platform.clock import SimulatedClock
SimulatedClock.sleep = lambda self, seconds: os._exit(9)
from Departments.cli import run_command
run_command(sys.argv[1:])
"""


def test_nothing_but_the_document_is_written_to_standard_output(folder: Path) -> None:
    deliver_briefing(folder)
    said = launched(*run_of(folder, "--json"), cwd=folder.parent)
    assert said.code == said.document["exit_code"] == 0
    assert "All BUY orders filled" in said.err


def test_files_are_relative_to_the_current_folder_and_the_workspace_is_it(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "päth with spaces")
    plan_file(folder)
    options = ["--plan", "plan.json", "--exchange-state", "state.yaml", "--at", AT, "--approve", "auto", "--json"]
    said = launched("run", *options, cwd=folder)
    assert said.document["status"] == "COMPLETED"
    assert (folder / "Reports" / "PLAN_20251110_150000.md").exists()


def test_an_unknown_option_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    said = launched("run", "--brokr", "x", cwd=tmp_path)
    assert (said.code, said.out, len(said.sentences)) == (2, "", 1)
    assert "--brokr" in said.err


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(("answer", "status", "code"), [("y", "COMPLETED", 0), ("n", "NOT_APPROVED", 1)])
def test_a_person_is_asked_in_a_terminal(folder: Path, answer: str, status: str, code: int) -> None:
    pty = importlib.import_module("pty")
    deliver_briefing(folder)
    command = [sys.executable, "-m", "Departments", *map(str, run_of(folder, "--approve", "ask", "--json"))]
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.write(keyboard, f"{answer}\n".encode())
        out, err = process.communicate(timeout=30)
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == code
    assert json.loads(out)["status"] == status
    assert b"Execute PLAN_" in err
    assert b"BUY" in err


def test_the_screen_shows_plan_progress_final_table_cash_and_report(folder: Path, capsys: Capture) -> None:
    said = say(capsys, *run_of(folder, "--plan", plan_file(folder)))
    for words in (
        "Plan PLAN_20251110_150000",
        "Review:",
        "COMPLETED",
        "Lowest cash of the run",
        "Cash adds up",
        "Report: ",
    ):
        assert words in said.out
    assert "Waiting for 2 orders to fill: CTVA, DVN" in said.err
    for kind in ("Report", "Page"):
        (path,) = (line.partition(": ")[2] for line in said.out.splitlines() if line.startswith(f"{kind}: "))
        assert Path(path).is_file()


def test_cash_after_is_the_exchange_s_cash(folder: Path, capsys: Capture) -> None:
    said = say(capsys, *run_of(folder, "--json", "--plan", plan_file(folder)))
    desk = open_desk(folder)
    cash = desk.broker.account().cash
    desk.close()
    assert Decimal(said.document["account"]["cash_after"]) == cash


def test_an_output_in_an_old_code_page_is_no_obstacle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    said = launched(*run_of(folder, "--plan", plan_file(folder)), cwd=folder)
    assert said.code == 0
    assert "Cash adds up: start + sells − buys − fees = end" in said.out


def test_no_file_is_read_or_written_in_the_encoding_of_the_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUTF8", "0")
    strict = ("-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-m", "Departments")
    deliver_briefing(folder)
    said = launched(*run_of(folder, "--json"), cwd=folder, program=strict)
    assert (said.code, said.document["status"]) == (0, "COMPLETED")


def test_without_any_console_the_day_is_done_and_the_exit_code_tells(folder: Path) -> None:
    script = "import sys; sys.stdin = sys.stdout = sys.stderr = None; from Departments.cli import main; main()"
    deliver_briefing(folder)
    said = launched(*run_of(folder, "--json"), cwd=folder, program=("-c", script))
    assert (said.code, said.out, said.err) == (0, "", "")
    assert list((folder / "Reports").iterdir())
    again = launched(*run_of(folder, "--approve", "ask", "--briefing", "gone.md"), cwd=folder, program=("-c", script))
    assert (again.code, again.err) == (2, "")


def test_the_daily_script_runs_the_day_of_the_folder_it_is_started_in(folder: Path) -> None:
    deliver_briefing(folder)
    options = ["--at", AT, "--exchange-state", "state.yaml", "--json"]
    said = launched(*options, cwd=folder, program=[str(ROOT / "scripts" / "run_daily_ceo.py")])
    assert (said.code, said.document["status"]) == (0, "COMPLETED")


@pytest.mark.parametrize("script", ["run_daily_ceo", "watch_inbox", "archive_old_messages"])
def test_a_script_that_is_started_with_another_python_names_the_right_one(script: str, tmp_path: Path) -> None:
    said = launched(cwd=tmp_path, program=["-S", str(ROOT / "scripts" / f"{script}.py")])
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "this Python lacks" in said.err
    assert "start this script with the Python in .venv" in said.err


@pytest.mark.parametrize(
    "start",
    [
        "runpy.run_module('Departments', run_name='__main__')",
        *(
            f"runpy.run_path(r'{ROOT / 'scripts' / name}.py', run_name='__main__')"
            for name in ("run_daily_ceo", "watch_inbox", "archive_old_messages")
        ),
    ],
)
def test_ctrl_c_while_the_program_is_still_being_read_ends_it_without_a_traceback(start: str, tmp_path: Path) -> None:
    finder = "class Interrupted:\n    def find_spec(name, *_):\n        if name == 'typer': raise KeyboardInterrupt\n"
    script = f"import runpy, sys\n{finder}sys.meta_path.insert(0, Interrupted)\n{start}"
    said = launched(cwd=tmp_path, program=("-c", script))
    assert (said.code, said.err) == (130, "")
