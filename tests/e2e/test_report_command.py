"""`departments report`: which day, in which form, and what it leaves alone."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from Departments.bootstrap import LEDGER_FILE
from Departments.Executive.approvals import load_plan
from tests.builders.commands import AT, contents, plan_file, run_of, say
from tests.builders.desk import desk, two_and_two, workspace
from tests.builders.pages import Page
from tests.fakes.moments import when_it_says

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after its day, to be looked at; scripts executed it."""
    folder = workspace(tmp_path_factory.mktemp("lived") / "ws")
    opened = desk(folder)
    opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
    opened.ceo.execute_plan()
    opened.close()
    return folder


@pytest.mark.parametrize("which", [(), (NAME,), ("2025-11-10",)])
def test_the_page_of_a_day_is_written_and_named(lived: Path, which: tuple[str, ...], capsys: Capture) -> None:
    page = lived / "Reports" / f"{NAME}.html"
    page.unlink(missing_ok=True)
    said = say(capsys, "report", *which, "--workspace", lived)
    assert said.code == 0
    assert said.out == f"Page: {page}\n"
    assert "2 sold, 2 bought" in page.read_text(encoding="utf-8")


def test_markdown_is_the_report_that_was_written(lived: Path, capsys: Capture) -> None:
    said = say(capsys, "report", "--workspace", lived, "--format", "md")
    assert said.out == (lived / "Reports" / f"{NAME}.md").read_text(encoding="utf-8")


def test_json_is_one_document_with_the_page(lived: Path, capsys: Capture) -> None:
    document = json.loads(say(capsys, "report", "--workspace", lived, "--format", "json").out)
    assert document["status"] == "COMPLETED"
    assert document["page"]["title"] == "Monday, 10 November 2025 — 2 sold, 2 bought, 49 % invested"
    trades = {t["ticker"]: t for t in document["page"]["trades"]}
    assert (trades["ALKS"]["plan_price"], trades["ALKS"]["slippage_bps"]) == ("32.66", "0.0")


def test_slippage_is_measured_from_the_plan_s_price_and_not_from_that_of_the_moment(
    tmp_path: Path, capsys: Capture
) -> None:
    folder = workspace(tmp_path / "ws")
    at: list[str | Path] = ["--workspace", folder, "--at", AT]
    seed: list[str | Path] = ["--exchange-state", folder / "state.yaml", "--plan", plan_file(folder)]
    assert say(capsys, "plan", *at, *seed).code == 0
    assert say(capsys, "approve", NAME, *at).code == 0
    for symbol, price in (("ALKS", "32.85"), ("CTVA", "64.32")):
        assert say(capsys, "exchange", "price", symbol, price, *at).code == 0
    assert say(capsys, "run", *at).code == 0
    page = json.loads(say(capsys, "report", "--workspace", folder, "--format", "json").out)["page"]
    shown = {t["ticker"]: (t["plan_price"], t["filled_avg_price"], t["slippage_bps"]) for t in page["trades"]}
    assert shown["ALKS"] == ("32.66", "32.85", "58.2")
    assert shown["CTVA"] == ("64.64", "64.32", "49.5")


@pytest.mark.parametrize("form", ["md", "json"])
def test_looking_at_a_report_changes_no_file(lived: Path, form: str, capsys: Capture) -> None:
    before = contents(lived)
    assert say(capsys, "report", "--workspace", lived, "--format", form).code == 0
    after = contents(lived)
    assert {name for name in after if before.get(name) != after[name] and not name.startswith(LEDGER_FILE)} == set()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["2025-11-11"], "the last days are 2025-11-10"),
        (["PLAN_X"], "the ledger has no execution of PLAN_X"),
        (["--format", "md", "--open"], "leave --format out"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(lived: Path, arguments: list[str], words: str, capsys: Capture) -> None:
    said = say(capsys, "report", "--workspace", lived, *arguments)
    assert said.code == 2
    (sentence,) = said.sentences
    assert words in sentence


def test_a_workspace_without_a_day_says_so_and_gets_no_ledger(tmp_path: Path, capsys: Capture) -> None:
    said = say(capsys, "report", "--workspace", workspace(tmp_path / "ws"))
    assert (said.code, len(said.sentences)) == (2, 1)
    assert "nothing was executed here yet; departments run executes a day" in said.err
    assert not (tmp_path / "ws" / LEDGER_FILE).exists()


def test_open_shows_the_page_in_the_browser(lived: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) or True)  # type: ignore[func-returns-value]
    assert say(capsys, "report", "--workspace", lived, "--open").code == 0
    assert shown == [(lived / "Reports" / f"{NAME}.html").resolve().as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    said = say(capsys, "report", "--workspace", lived, "--open")
    assert said.code == 2
    assert "no browser was found here" in said.err


def test_a_day_that_still_runs_has_a_report_so_far(tmp_path: Path, capsys: Capture) -> None:
    folder, seen = workspace(tmp_path / "ws"), list[str]()

    def look() -> None:
        opened = desk(folder)
        plan = load_plan(opened.ledger.plans, NAME)
        seen.extend((opened.pages.render(plan), opened.reporter.report(plan).text))
        opened.close()

    with when_it_says("BUY phase: 2 orders", look):
        assert say(capsys, *run_of(folder, "--plan", plan_file(folder))).code == 0
    html, text = seen
    assert "the day is still running" in html
    page = Page(html).text
    assert "2 sold, 0 bought, 40 % invested" in page  # by the cash of now
    assert "What needs a person Nothing." in page
    assert "Cash adds up not counted yet" in page
    assert "The cash is counted when the run has ended." in text
