"""Who may send what is a column of the catalogue, and holds for every type in every inbox."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.departments import OURS
from Departments.core.moments import iso
from Departments.messaging.catalogue import CATALOGUE
from tests.builders.attacks import MESSAGES, dead_letters, target, traded
from tests.builders.commands import BRIEFING, candidates, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import MORNING, briefing, deliver, desk, two_and_two, write_yaml

Capture = pytest.CaptureFixture[str]
KINDS = [(row.name, to) for row in CATALOGUE for to in row.recipients if to in OURS]
NAME = "MSG_NOBODY_20251110T150541Z_deadbeef.md"


def text_of(kind: str, sender: str, recipient: str, payload: Any = None, at: str = iso(MORNING)) -> str:
    return (
        f"---\nmessage_id: {NAME.removesuffix('.md')}\nfrom: {sender}\nto: {recipient}\ntimestamp: '{at}'\n"
        f"message_type: {kind}\n---\n# Text\n\n```json\n{json.dumps(payload or {})}\n```\n"
    )


def consume(opened: Desk, department: str) -> None:
    opened.bus.consume(department, opened.routers[department])


@pytest.mark.parametrize(("kind", "department"), KINDS)
@pytest.mark.parametrize("sender", ["NOBODY", "MARKETING", "EXECUTIVE2", "''"])
def test_no_type_is_taken_from_a_stranger(tmp_path: Path, kind: str, department: str, sender: str) -> None:
    deliver(target(tmp_path), department, NAME, text_of(kind, sender, department))
    with closing(desk(tmp_path)) as opened:
        consume(opened, department)
    assert dead_letters(tmp_path, department) == {NAME: "SENDER_NOT_ALLOWED"}


@pytest.mark.parametrize(
    ("kind", "sender", "department"),
    [
        ("PlanRequest", "EXECUTIVE", "OPERATIONS"),
        ("TradingPlan", "OPERATIONS", "EXECUTIVE"),
        ("PlanFailure", "OPERATIONS", "EXECUTIVE"),
        ("RegimeRequest", "EXECUTIVE", "REGIME_DETECTION"),
        ("FinalReport", "EXECUTIVE", "REGIME_DETECTION"),
        ("ExecutiveApproval", "EXECUTIVE", "TRADING"),
    ],
)
def test_what_only_our_departments_write_needs_their_letter_in_the_ledger(
    tmp_path: Path, kind: str, sender: str, department: str
) -> None:
    deliver(target(tmp_path), department, NAME, text_of(kind, sender, department, two_and_two()))
    with closing(desk(tmp_path)) as opened:
        consume(opened, department)
        assert opened.ledger.plans.document(str(two_and_two()["plan_id"])) is None
    assert dead_letters(tmp_path, department) == {NAME: "NOT_DECIDED_HERE"}


SELL_ALL = {"sells": [{"ticker": "MSFT", "reason": "drift"}], "picks": [{"ticker": "SN", "weight": 0.05}]}


@pytest.mark.parametrize("later", [timedelta(seconds=-30), timedelta(), timedelta(minutes=1)])
def test_a_proposal_of_nobody_shapes_no_plan(capsys: Capture, tmp_path: Path, later: timedelta) -> None:
    deliver_briefing(target(tmp_path))
    usual = say(capsys, *run_of(tmp_path, "--dry-run", "--json")).document
    deliver(
        tmp_path, "OPERATIONS", NAME, text_of("PlanProposal", "NOBODY", "OPERATIONS", SELL_ALL, iso(MORNING + later))
    )
    assert say(capsys, *run_of(tmp_path, "--dry-run", "--json")).document["phases"] == usual["phases"]
    say(capsys, *run_of(tmp_path, "--json"))
    assert "MSFT" not in traded(tmp_path)


@pytest.mark.parametrize(("sender", "counts"), [("RESEARCH", True), ("NOBODY", False)])
def test_a_proposal_counts_by_its_sender(capsys: Capture, tmp_path: Path, sender: str, *, counts: bool) -> None:
    deliver_briefing(target(tmp_path))
    usual = say(capsys, *run_of(tmp_path, "--dry-run", "--json")).document["phases"]
    deliver(tmp_path, "OPERATIONS", NAME, text_of("PlanProposal", sender, "OPERATIONS", SELL_ALL))
    shaped = say(capsys, *run_of(tmp_path, "--dry-run", "--json")).document["phases"]
    assert (shaped != usual) is counts


@pytest.mark.parametrize(("sender", "code"), [("RESEARCH", 0), ("NOBODY", 2)])
def test_a_briefing_in_the_outbox_of_research_counts_by_its_sender(
    capsys: Capture, tmp_path: Path, sender: str, code: int
) -> None:
    path = target(tmp_path) / MESSAGES / "Outbox" / "RESEARCH" / BRIEFING
    path.parent.mkdir(parents=True)
    text = briefing(candidates()).replace("from: RESEARCH", f"from: {sender}").replace("to: OPER", "to: PORT")
    path.write_text(text.replace("PORTATIONS", "PORTFOLIO"), encoding="utf-8")
    assert say(capsys, *run_of(tmp_path, "--dry-run", "--json")).code == code


def test_a_neighbour_is_named_in_settings(capsys: Capture, tmp_path: Path) -> None:
    settings = {"messaging": {"durability": "fast"}, "messages": {"senders": {"PlanProposal": ["OPTIMIZER"]}}}
    write_yaml(target(tmp_path) / "config" / "settings.yaml", settings)
    deliver_briefing(tmp_path)
    deliver(tmp_path, "OPERATIONS", NAME, text_of("PlanProposal", "OPTIMIZER", "OPERATIONS", SELL_ALL))
    text = text_of("PlanProposal", "RESEARCH", "OPERATIONS", SELL_ALL).replace("MSG_NOBODY", "MSG_OTHERS")
    deliver(tmp_path, "OPERATIONS", "MSG_R.md", text)
    with closing(desk(tmp_path)) as opened:
        consume(opened, "OPERATIONS")
    assert dead_letters(tmp_path, "OPERATIONS") == {"MSG_R.md": "SENDER_NOT_ALLOWED"}


@pytest.mark.parametrize(
    ("senders", "words"),
    [
        ({"Nonsense": ["RESEARCH"]}, ("messages.senders.Nonsense", "no such type", "DailyBriefing")),
        ({"ExecutiveApproval": ["RESEARCH"]}, ("messages.senders.ExecutiveApproval", "only our own departments")),
        ({"TradingPlan": ["RESEARCH"]}, ("messages.senders.TradingPlan", "only our own departments")),
        ({"DailyBriefing": ["a b"]}, ("messages.senders", "no department's name", "capitals")),
        ({"DailyBriefing": "RESEARCH"}, ("messages.senders.DailyBriefing",)),
    ],
)
def test_wrong_senders_in_settings_are_one_sentence(
    capsys: Capture, tmp_path: Path, senders: dict[str, Any], words: tuple[str, ...]
) -> None:
    write_yaml(target(tmp_path) / "config" / "settings.yaml", {"messages": {"senders": senders}})
    said = say(capsys, *run_of(tmp_path, "--plan", plan_file(tmp_path)))
    assert said.code == 2
    (sentence,) = said.sentences
    assert [word for word in ("settings.yaml", *words) if word not in sentence] == []


def test_a_briefing_file_of_a_stranger_is_refused_with_the_mend(capsys: Capture, tmp_path: Path) -> None:
    (target(tmp_path) / "b.md").write_text(briefing(candidates()).replace("from: RESEARCH", "from: NOBODY"), "utf-8")
    said = say(capsys, *run_of(tmp_path, "--briefing", tmp_path / "b.md"))
    assert said.code == 2
    assert "from: 'NOBODY' may not send a DailyBriefing" in said.sentences[0]
    assert "messages.senders.DailyBriefing" in said.sentences[0]


def test_a_briefing_of_a_stranger_is_not_planned_from(capsys: Capture, tmp_path: Path) -> None:
    deliver(target(tmp_path), "OPERATIONS", BRIEFING, briefing(candidates()).replace("from: RESEARCH", "from: NOBODY"))
    said = say(capsys, *run_of(tmp_path, "--json"))
    assert said.code == 2
    assert traded(tmp_path) == {}


REGIME_TEXT = """# Market Regime Assessment

**From:** CEO / Market Regime Analyzer
**To:** OPERATIONS Department
**Date:** 2025-11-10 15:06:30

## Market Regime: {regime}

**Confidence:** HIGH
"""


def bought(capsys: Capture, folder: Path, regime: str | None) -> dict[str, str]:
    deliver(target(folder), "OPERATIONS", BRIEFING, briefing(candidates(), vix=None, spy_change_pct=None))
    if regime is not None:
        name = "REGIME_20251110T150541Z_oper.md"
        deliver(folder, "OPERATIONS", name, REGIME_TEXT.format(regime=regime))
        deliver(folder, "EXECUTIVE", name, REGIME_TEXT.format(regime=regime).replace("OPERATIONS", "EXECUTIVE"))
    said = say(capsys, *run_of(folder, "--json"))
    return {o["ticker"]: o["planned_qty"] for o in said.phase("BUY")["orders"]}


@pytest.mark.parametrize("regime", ["BULLISH", "NEUTRAL"])
def test_an_old_regime_text_never_makes_buys_larger(capsys: Capture, tmp_path: Path, regime: str) -> None:
    assert bought(capsys, tmp_path / "with", regime) == bought(capsys, tmp_path / "without", None) != {}
    assert dead_letters(tmp_path / "with", "OPERATIONS") == {}


def test_an_old_regime_text_may_stop_buys(capsys: Capture, tmp_path: Path) -> None:
    assert bought(capsys, tmp_path, "PANIC") == {}


def test_an_old_regime_text_to_trading_is_archived_as_skipped(tmp_path: Path) -> None:
    for author in ("CEO / Market Regime Analyzer", "Automated Trading System"):
        text = REGIME_TEXT.format(regime="BULLISH").replace("CEO / Market Regime Analyzer", author)
        name = f"REGIME_20251110T150541Z_{author[:3]}_trad.md"
        deliver(target(tmp_path), "TRADING", name, text.replace("OPERATIONS", "TRADING"))
    with closing(desk(tmp_path)) as opened:
        assert opened.bus.consume("TRADING", opened.routers["TRADING"]).skipped == 2
