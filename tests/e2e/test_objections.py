"""A person takes orders out of a plan, comments on it, rejects it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from Departments.core.approvers import ApprovalPlace, Approver
from Departments.Executive.approvals import ApprovalRefused, FiledPlan
from Departments.Executive.day_order import DayFailed, ReviewedPlan
from Departments.Executive.opinions import PlanChanged
from tests.builders.commands import AT, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import SharedDesk, desk, two_and_two, workspace

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"
ANNA = Approver("anna@desk", ApprovalPlace.PAGE)


@pytest.fixture
def folder(tmp_path: Path, capsys: Capture) -> Path:
    """A workspace with a plan that waits for its approval."""
    folder = workspace(tmp_path / "ws")
    said = say(
        capsys, "plan", "--workspace", folder, "--at", AT, "--exchange-state", folder / "state.yaml",
        "--plan", plan_file(folder),
    )  # fmt: skip
    assert said.code == 0, said.err
    return folder


def give(capsys: Capture, folder: Path, *arguments: str) -> Any:
    return say(capsys, *arguments, "--workspace", folder, "--at", AT)


def filed(opened: SharedDesk) -> FiledPlan:
    found = opened.day.approvals.find(NAME)
    assert found is not None
    return found


def test_a_vetoed_order_is_skipped_with_who_and_why_and_the_rest_is_traded(folder: Path, capsys: Capture) -> None:
    said = give(capsys, folder, "veto", NAME, "comm", "--comment", "two of those are enough", "--json")
    assert said.code == 0
    document = json.loads(said.out)
    (skip,) = [skip for skip in document["plan"]["skipped"] if skip["ticker"] == "COMM"]
    assert skip["code"] == "VETOED_BY"
    assert skip["line"].endswith(": two of those are enough")
    assert document["plan"]["summary"]["total_trades"] == 3
    assert document["review"]["recommendation"]
    assert give(capsys, folder, "approve", NAME).code == 0
    end = say(capsys, "run", "--workspace", folder, "--at", AT, "--approve", "auto", "--json").document
    traded = [order["ticker"] for phase in end["phases"] for order in phase["orders"]]
    assert sorted(traded) == ["ALKS", "CTVA", "DVN"]
    assert "COMM" in [skip["ticker"] for skip in end["skipped"]]
    page = (folder / "Reports" / f"{NAME}.html").read_text(encoding="utf-8")
    assert "took COMM out (command)" in page


def test_an_approval_of_the_plan_before_does_not_count_for_the_rest(folder: Path, capsys: Capture) -> None:
    assert give(capsys, folder, "approve", NAME).code == 0
    assert give(capsys, folder, "veto", NAME, "COMM").code == 0
    opened = desk(folder)
    assert opened.day.approvals.find_approved_today() is None
    assert opened.day.approvals.documents(filed(opened).plan) == []
    assert opened.ledger.plans.approved_at(NAME) is None
    opened.close()


def test_the_deployment_of_the_plan_follows_a_veto(folder: Path) -> None:
    opened = desk(folder)
    before = filed(opened).plan
    made = opened.opinions.veto(NAME, "ALKS", ANNA)
    assert before.deployment is not None
    assert before.equity is not None
    bought = next(trade for trade in before.trades if trade.symbol == "ALKS").notional
    assert bought is not None
    assert made.filed.plan.deployment == before.deployment - bought / before.equity
    opened.close()


def test_a_plan_that_has_changed_since_it_was_seen_is_left_alone(folder: Path) -> None:
    opened = desk(folder)
    seen = filed(opened).plan.digest
    opened.opinions.veto(NAME, "COMM", ANNA, digest=seen)
    for again in (
        lambda: opened.opinions.veto(NAME, "ALKS", ANNA, digest=seen),
        lambda: opened.opinions.reject(NAME, ANNA, digest=seen),
        lambda: opened.opinions.find_seen(NAME, seen),
    ):
        with pytest.raises(PlanChanged, match="has changed since you saw it"):
            again()
    assert len(filed(opened).plan.trades) == 3
    opened.close()


def test_nobody_approves_or_executes_a_rejected_plan(folder: Path, capsys: Capture) -> None:
    said = give(capsys, folder, "reject", NAME, "--comment", "not before the earnings")
    assert said.code == 0
    assert "rejected the plan (command)" in said.out
    assert "not before the earnings; make a new plan" in give(capsys, folder, "approve", NAME).err
    opened = desk(folder)
    with pytest.raises(ApprovalRefused):
        opened.day.execute(filed(opened))
    opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
    assert "may not be traded" in opened.ceo.execute_approved_plan()["message"]
    assert opened.ledger.plans.execution(NAME) is None
    opened.close()
    assert "rejected already" in give(capsys, folder, "reject", NAME).err


def test_a_rejection_takes_an_approval_back(folder: Path, capsys: Capture) -> None:
    give(capsys, folder, "approve", NAME)
    give(capsys, folder, "reject", NAME)
    opened = desk(folder)
    assert opened.day.approvals.find_approved_today() is None
    opened.close()


def test_a_comment_is_in_the_ledger_with_who_and_from_where(folder: Path, capsys: Capture) -> None:
    assert give(capsys, folder, "comment", NAME, "looks\x1b[31m fine").code == 0
    opened = desk(folder)
    (opinion,) = opened.ledger.opinions.find(NAME)
    assert (opinion.kind, opinion.place, "@" in opinion.said_by) == ("comment", "command", True)
    opened.close()


OF_NO_PLAN = (("approve", "PLAN_X"), ("veto", "PLAN_X", "COMM"), ("comment", "PLAN_X", "hm"), ("reject", "PLAN_X"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("veto", NAME, "MSFT"), "has no order of MSFT"),
        *((each, f"PLAN_X: there is no such plan; name one of {NAME}") for each in OF_NO_PLAN),
        (("veto", NAME, "<x>"), "SYMBOL"),
        (("comment", NAME, " "), "the comment is empty"),
        (("reject", NAME, "--comment", "x" * 301), "write at most 300"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    folder: Path, capsys: Capture, arguments: tuple[str, ...], words: str
) -> None:
    said = give(capsys, folder, *arguments)
    assert said.code == 2
    (sentence,) = said.sentences
    assert words in sentence


def test_nothing_is_taken_out_of_an_executed_plan(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws")
    say(capsys, *run_of(folder, "--plan", plan_file(folder)))
    for objection in (("veto", NAME, "COMM"), ("reject", NAME)):
        said = give(capsys, folder, *objection)
        assert (said.code, f"{NAME} was executed and ended as COMPLETED; departments report" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("objection", "words"),
    [(("veto", NAME, "COMM", "--comment", "no"), "took COMM out"), (("reject", NAME, "--comment", "no"), "rejected")],
)
def test_a_run_waits_for_a_person_who_spoke_about_the_days_plan(
    folder: Path, capsys: Capture, objection: tuple[str, ...], words: str
) -> None:
    deliver_briefing(folder)
    assert give(capsys, folder, *objection).code == 0
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"], said.document["plan_id"]) == (1, "NOT_APPROVED", NAME)
    assert words in said.document["message"]
    assert "departments run --force makes another plan" in said.document["message"]
    forced = say(capsys, *run_of(folder, "--json", "--force"))
    assert (forced.code, forced.document["status"]) == (0, "COMPLETED")


def test_a_comment_alone_holds_up_nothing(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    assert give(capsys, folder, "comment", NAME, "nice").code == 0
    assert say(capsys, *run_of(folder, "--json")).document["status"] == "COMPLETED"


def test_the_first_of_two_approvals_is_not_lost_to_another_plan(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws", settings={"approval": {"four_eyes_above": 100}})
    deliver_briefing(folder)
    state = ("--exchange-state", folder / "state.yaml")
    made = say(capsys, "plan", "--workspace", folder, "--at", AT, *state, "--json").document
    name = (made.get("plan") or made)["plan_id"]
    assert give(capsys, folder, "approve", name).code in {0, 1}
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["status"], said.document["plan_id"]) == (1, "NOT_APPROVED", name)
    assert "and two must" in said.document["message"]


def test_an_executed_plan_takes_no_approval(folder: Path, capsys: Capture) -> None:
    assert give(capsys, folder, "approve", NAME).code == 0
    assert say(capsys, "run", "--workspace", folder, "--at", AT).code == 0
    said = give(capsys, folder, "approve", NAME)
    assert said.code != 0
    assert "was executed" in said.err


# --- at the same time ---

BOB = Approver("bob@desk", ApprovalPlace.TERMINAL)


def test_a_veto_beside_an_open_question_is_not_undone_by_its_answer(folder: Path) -> None:
    opened = desk(folder)
    seen = filed(opened)  # as a terminal shows it, and waits for an answer
    opened.opinions.veto(NAME, "COMM", ANNA, "not those")
    with pytest.raises(ApprovalRefused, match=r"anna@desk took COMM out .*: not those; look at PLAN_.* again"):
        opened.day.approve(NAME, BOB, seen)
    assert "COMM" not in filed(opened).plan.symbols
    assert opened.day.approve(NAME, BOB).path is not None
    opened.close()


@pytest.mark.parametrize("objection", ["veto", "rejection"])
def test_what_is_objected_to_after_it_was_chosen_is_not_begun(folder: Path, objection: str) -> None:
    opened = desk(folder)
    opened.day.approve(NAME, BOB)
    chosen = opened.day.approvals.find_approved_today()
    assert chosen is not None
    execution = opened.day.execution(chosen.plan)
    if objection == "veto":
        opened.opinions.veto(NAME, "COMM", ANNA)
    else:
        opened.opinions.reject(NAME, ANNA)
    with pytest.raises(DayFailed, match=r"is not executed: anna@desk .*; nothing was sent"):
        execution.begin()
    assert opened.ledger.plans.execution(NAME) is None
    opened.close()


def test_a_veto_comes_too_late_while_the_plan_begins(folder: Path) -> None:
    opened = desk(folder)
    opened.day.approve(NAME, BOB)

    def begin_meanwhile(found: FiledPlan) -> ReviewedPlan:
        opened.day.execution(filed(opened).plan).begin()
        return opened.opinions.review(found)

    late = replace(opened.opinions, review=begin_meanwhile)
    with pytest.raises(DayFailed, match=r"the execution of PLAN_.* began"):
        late.veto(NAME, "COMM", ANNA)
    assert opened.ledger.opinions.find(NAME) == []
    assert "COMM" in filed(opened).plan.symbols
    opened.close()


def test_of_two_vetoes_at_once_neither_is_lost(folder: Path) -> None:
    opened = desk(folder)

    def veto_meanwhile(found: FiledPlan) -> ReviewedPlan:
        opened.opinions.veto(NAME, "ALKS", BOB)
        return opened.opinions.review(found)

    with pytest.raises(PlanChanged, match="has changed since you saw it"):
        replace(opened.opinions, review=veto_meanwhile).veto(NAME, "COMM", ANNA)
    assert opened.opinions.veto(NAME, "COMM", ANNA).filed.plan.symbols == {"CTVA", "DVN"}
    opened.close()
