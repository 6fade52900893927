"""The morning works by itself: hooks make, enrich and propose, and one that fails means that nothing is traded."""

from __future__ import annotations

import json
import os
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from Departments import cli
from Departments.bootstrap import Choices
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.text_files import read_json
from tests.builders.desk import MORNING, SharedDesk, briefing, candidate, deliver, desk, workspace

NAME = "MSG_RESEARCH_20251110T150509Z_0badcafe.md"
CANDIDATES = [candidate("ALKS", 79.6, 32.66, "Healthcare"), candidate("COMM", 77.8, 17.02)]
YESTERDAY = briefing(CANDIDATES, day="2025-11-07")
#: A Research of the user, whose briefing is in `todays.md` beside it.
RESEARCH = """
    import shutil, sys
    from pathlib import Path

    class Research:
        def __init__(self, db_path, alpaca_client=None):
            self.db_path = db_path

        def brief(self):
            print("scoring", self.db_path)
            outbox = Path("Messages_Between_Departments/Outbox/RESEARCH")
            outbox.mkdir(parents=True, exist_ok=True)
            shutil.copy("todays.md", outbox / "{name}")
            return "MSG"
    """.replace("{name}", NAME)
BY_MODULE = {"briefing": {"module": "my_research:Research.brief", "arguments": {"db_path": "sentinel.db"}}}


def project(folder: Path, operations: Mapping[str, Any], *, code: str = RESEARCH, todays: str | None = None) -> Path:
    """Make a workspace with a module of the user and hooks."""
    settings = {"messaging": {"durability": "fast"}, "operations": {"wait": 0, **operations}}
    there = workspace(folder, settings=settings)
    (there / "my_research.py").write_text(textwrap.dedent(code), encoding="utf-8")
    (there / "todays.md").write_text(briefing(CANDIDATES) if todays is None else todays, encoding="utf-8")
    return there


def script(folder: Path, name: str, code: str) -> list[str]:
    """Write a program of the user and return the command that runs it."""
    path = folder / name
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return ["python", str(path)]


def planned(there: SharedDesk) -> dict[str, Any]:
    return there.ceo.handle_user_request("generate_plan")


@pytest.fixture(params=["module", "command"])
def by(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Any]:
    if request.param == "module":
        return BY_MODULE
    code = "from my_research import Research\nResearch(db_path='x').brief()\n"
    return {"briefing": {"command": script(tmp_path, "brief.py", f"import sys\nsys.path.insert(0, '.')\n{code}")}}


def test_on_a_fresh_day_the_briefing_is_made_and_planned_from(tmp_path: Path, by: Mapping[str, Any]) -> None:
    there = project(tmp_path, by)
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251107T150509Z_0badcafe.md", YESTERDAY)
    with closing(desk(there)) as opened:
        answer = planned(opened)
        assert answer["status"] == "READY_FOR_USER_APPROVAL"
        assert {t["ticker"] for t in answer["plan"]["trades"]} >= {"ALKS", "COMM"}
        (asked,) = [m for m in opened.bus.waiting("RESEARCH") if m.message_type == "CandidateRequest"]
        assert (asked.sender, asked.payload) == (
            "OPERATIONS",
            {"request_type": "CANDIDATE_REQUEST", "criteria": {"date": "2025-11-10"}},
        )


def test_what_a_hook_writes_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with closing(desk(project(tmp_path, BY_MODULE))) as opened:
        planned(opened)
    assert "operations.briefing: scoring sentinel.db" in caplog.messages


def test_a_briefing_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    there = project(tmp_path, BY_MODULE, code="raise SystemExit(3)")
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        assert planned(opened)["status"] == "READY_FOR_USER_APPROVAL"
        assert [m.message_type for m in opened.bus.waiting("RESEARCH")] == []


HANGS = """
    import subprocess, sys, time
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)
    """


@pytest.mark.parametrize(
    ("code", "todays", "words"),
    [
        ("raise ValueError('no key for the data')", None, "failed with exit code 1 (ValueError: no key for the data)"),
        ("import sys\nsys.exit(7)", None, "failed with exit code 7"),
        ("class Other: pass", None, "has no attribute 'Research'"),
        (HANGS, None, "took longer than 2 seconds and was ended"),
        (
            "class Research:\n    def __init__(self, db_path): pass\n    def brief(self): pass",
            None,
            "no DailyBriefing of today",
        ),
        (RESEARCH, YESTERDAY, "no DailyBriefing of today"),
        (RESEARCH, briefing([{"ticker": "ALKS", "composite_score": "high"}]), None),
        (RESEARCH, "no message at all", "no DailyBriefing of today"),
    ],
)
def test_a_hook_that_fails_hangs_or_answers_nonsense_is_one_sentence_and_nothing_is_traded(
    tmp_path: Path, code: str, todays: str | None, words: str | None
) -> None:
    hook = {**BY_MODULE["briefing"], "timeout": 2}
    there = project(tmp_path, {"briefing": hook}, code=code, todays=todays)
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251107T150509Z_0badcafe.md", YESTERDAY)
    began = time.monotonic()
    with closing(desk(there)) as opened:
        answer = planned(opened)
        assert opened.ledger.plans.executions() == []
    assert time.monotonic() - began < 20
    if words is None:
        return
    assert (answer["status"], answer["exit_code"]) == ("REJECTED", 1)
    assert words in answer["message"]
    assert "no older briefing is used" in answer["message"]
    assert "\n" not in answer["message"]


@pytest.mark.skipif(os.name == "nt", reason="looks at processes the way of POSIX")
def test_at_the_limit_the_whole_tree_of_processes_is_killed(tmp_path: Path) -> None:
    code = """
        import subprocess, sys, time
        from pathlib import Path
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        Path("child.pid").write_text(str(child.pid))
        time.sleep(60)
        """
    there = project(tmp_path, {"briefing": {"module": "my_research:Research.brief", "timeout": 2}}, code=code)
    with closing(desk(there)) as opened:
        planned(opened)
    child = int((there / "child.pid").read_text())
    for _ in range(50):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and " Z " in Path(f"/proc/{child}/stat").read_text():
            return  # it has ended, and nobody has asked for its exit code
        time.sleep(0.1)
    pytest.fail("the child lives")


# --- the second and the third hook ---

ENRICH = """
    import json, sys
    seen = json.load(sys.stdin)
    print("reading the news", file=sys.stderr)
    for row in seen["candidates"]:
        row["sentiment"] = {"score": 80, "summary": "good news", "news_count": 3}
        row["composite_score"] = 70.5
    json.dump(seen, sys.stdout)
    """


@pytest.fixture
def news(tmp_path: Path) -> Iterator[tuple[Path, SharedDesk]]:
    there = project(tmp_path, {"enrich": {"command": script(tmp_path, "news.py", ENRICH)}})
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        yield there, opened


def test_the_enriched_briefing_is_planned_from(news: tuple[Path, SharedDesk]) -> None:
    _, opened = news
    plan = planned(opened)["plan"]
    bought = [t for t in plan["trades"] if t["action"] == "BUY"]
    assert {(t["composite_score"], t["sentiment_score"], t["sentiment_summary"]) for t in bought} == {
        (70.5, 80, "good news")
    }
    assert plan["stage_quality"]["news"] == 100


def test_a_number_that_json_has_not_reaches_a_hook_as_text_and_is_refused_by_name(
    news: tuple[Path, SharedDesk],
) -> None:
    there, opened = news
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES).replace('"current_price": 17.02', '"current_price": NaN'))
    plan = planned(opened)["plan"]
    assert [t["composite_score"] for t in plan["trades"] if t["ticker"] == "ALKS"] == [70.5]
    assert [s["code"] for s in plan["skipped"] if s["ticker"] == "COMM"] == ["INVALID_CANDIDATE"]


def test_a_briefing_is_enriched_once(news: tuple[Path, SharedDesk]) -> None:
    there, opened = news
    planned(opened)
    (there / "news.py").write_text("raise SystemExit('again')", encoding="utf-8")
    assert planned(opened)["status"] == "READY_FOR_USER_APPROVAL"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('[]')", "answered JSON that is no object"),
        ("print('good news')", "answered no JSON"),
        ("print('{}')", "returned an unusable briefing"),
        ("import sys; sys.exit('no credit left')", "failed with exit code 1 (no credit left)"),
    ],
)
def test_an_enrichment_that_is_none_ends_the_morning(tmp_path: Path, code: str, words: str) -> None:
    there = project(tmp_path, {"enrich": {"command": script(tmp_path, "news.py", code)}})
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        answer = planned(opened)
    assert (answer["status"], answer["exit_code"]) == ("REJECTED", 1)
    assert words in answer["message"]


OPTIMISER = """
    class Optimiser:
        def propose(self, seen):
            print("noise on standard output")
            assert seen["account"]["cash"] == 40000 and len(seen["positions"]) == 3
            return {"picks": [{"ticker": "COMM", "shares": 300}], "sells": []}
    """


def test_an_optimiser_proposes_and_operations_decides(tmp_path: Path) -> None:
    there = project(tmp_path, {"propose": {"module": "my_research:Optimiser.propose"}}, code=OPTIMISER)
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        (bought,) = [t for t in planned(opened)["plan"]["trades"] if t["ticker"] == "COMM"]
    assert (bought["gpt5_allocated"], bought["shares"] >= 300) == (True, True)


def test_a_proposal_that_is_none_ends_the_morning(tmp_path: Path) -> None:
    code = "class Optimiser:\n    def propose(self, seen):\n        return {'trades': [{'ticker': 'COMM'}]}\n"
    there = project(tmp_path, {"propose": {"module": "my_research:Optimiser.propose"}}, code=code)
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        answer = planned(opened)
    assert (answer["status"], answer["exit_code"]) == ("REJECTED", 1)
    assert "made an unusable proposal" in answer["message"]


def test_operations_called_alone_has_its_morning_too(tmp_path: Path) -> None:
    with closing(desk(project(tmp_path, BY_MODULE))) as opened:
        assert opened.operations.generate_trading_plan()["status"] == "SUCCESS"


def test_the_hook_knows_the_moment_it_works_for(tmp_path: Path) -> None:
    code = """
        import json, os, sys
        json.dump({**json.load(sys.stdin), "notes": os.environ["DEPARTMENTS_NOW"]}, open("seen.json", "w"))
        print(json.dumps(json.load(open("seen.json"))))
        """
    there = project(tmp_path, {"enrich": {"command": script(tmp_path, "news.py", code)}})
    deliver(there, "OPERATIONS", NAME, briefing(CANDIDATES))
    with closing(desk(there)) as opened:
        planned(opened)
    assert read_json(there / "seen.json")["notes"].startswith(MORNING.isoformat()[:16])


# --- from the command line ---


def run(there: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    words = ["run", "--approve", "auto", "--at", MORNING.isoformat(), "--exchange-state", str(there / "state.yaml")]
    code = cli.run_command([*words, *more, "--workspace", str(there)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_departments_run_has_its_briefing_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(project(tmp_path, BY_MODULE), capsys, "--json")
    assert code == 0
    assert {o["ticker"] for phase in json.loads(out)["phases"] for o in phase["orders"]} >= {"ALKS", "COMM"}


def test_departments_run_ends_with_one_where_the_hook_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = project(tmp_path, BY_MODULE, code="raise SystemExit('no data today')")
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251107T150509Z_0badcafe.md", YESTERDAY)
    code, _, err = run(there, capsys)
    assert (code, "failed with exit code 1 (no data today)" in err, "Traceback" in err) == (1, True, False)


def without_a_briefing(folder: Path, **operations: Any) -> Path:
    return workspace(folder, settings={"messaging": {"durability": "fast"}, "operations": operations})


def test_departments_run_asks_research_where_there_is_no_hook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = without_a_briefing(tmp_path)
    for _ in range(2):
        code, _, err = run(there, capsys)
        assert (code, "there is no DailyBriefing" in err) == (2, True)
    (asked,) = (there / "Messages_Between_Departments" / "Inbox" / "RESEARCH").glob("*.md")
    assert "message_type: CandidateRequest" in asked.read_text(encoding="utf-8")


class Answering(SimulatedClock):
    """A clock beside which RESEARCH answers after five seconds."""

    def __init__(self, there: Path) -> None:
        super().__init__(MORNING)
        self.there = there

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        inbox = self.there / "Messages_Between_Departments" / "Inbox"
        if list((inbox / "RESEARCH").glob("*.md")) and self.now() >= MORNING + timedelta(seconds=5):
            deliver(self.there, "OPERATIONS", NAME, briefing(CANDIDATES))


@pytest.mark.parametrize(("wait", "status"), [(60, "READY_FOR_USER_APPROVAL"), (3, "REJECTED"), (None, "REJECTED")])
def test_an_answer_of_research_is_awaited_as_long_as_the_settings_say(
    tmp_path: Path, wait: float | None, status: str
) -> None:
    there = without_a_briefing(tmp_path, **({} if wait is None else {"wait": wait}))
    choices = Choices(clock=Answering(there), exchange_state=there / "state.yaml")
    with closing(SharedDesk(there, choices)) as opened:
        assert planned(opened)["status"] == status


def test_on_a_closed_day_nobody_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = without_a_briefing(tmp_path)
    words = ["run", "--approve", "auto", "--at", "2025-11-09T15:05:42Z", "--exchange-state", str(there / "state.yaml")]
    assert cli.run_command([*words, "--workspace", str(there)]) == 5
    assert "MARKET_CLOSED" in capsys.readouterr().out
    assert not (there / "Messages_Between_Departments" / "Inbox" / "RESEARCH").exists()


def test_a_dry_run_runs_no_hook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = project(tmp_path, BY_MODULE, code="open('ran', 'w')")
    code, _, err = run(there, capsys, "--dry-run")
    assert (code, "there is no DailyBriefing" in err, (there / "ran").exists()) == (2, True, False)
