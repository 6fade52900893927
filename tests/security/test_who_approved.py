"""Who approved: named in plan, ledger, plan file and report; above an amount two different users must."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.core.approvers import AUTOMATIC, SCRIPT, ApprovalPlace, Approver, Consent
from Departments.core.errors import BadInput, DepartmentsError
from Departments.core.platform.users import name_user
from Departments.core.settings import load_settings
from Departments.Executive.day_order import DayOrder
from Departments.Executive.execution import PlanExecution
from tests.builders.commands import Said, plan_file, run_of, say
from tests.builders.desk import MORNING, desk, plan, trade, two_and_two, workspace, write_yaml

ANNA, BEN = Approver("anna@desk1", ApprovalPlace.COMMAND), Approver("ben@desk1", ApprovalPlace.COMMAND)
PLAN = "PLAN_20251110_150000"
AMOUNT = 28_997  # dollars of two_and_two's SELLs and BUYs together, rounded down
EXECUTIVE_FILE = "proposed_trades_2025-11-10.json"


def settings(above: object) -> dict[str, Any]:
    return {"messaging": {"durability": "fast"}, "approval": {"four_eyes_above": above}}


def planned(folder: Path, capsys: pytest.CaptureFixture[str], above: object = None) -> Path:
    """Return a workspace in which the plan was made, and nobody approved it."""
    workspace(folder, settings=settings(above))
    made = say(capsys, "plan", "--workspace", folder, "--at", "2025-11-10T15:05:42Z", "--plan", plan_file(folder),
               "--exchange-state", folder / "state.yaml")  # fmt: skip
    assert made.code == 0
    return folder


def command(capsys: pytest.CaptureFixture[str], folder: Path, *words: str | Path) -> Said:
    return say(capsys, *words, "--workspace", folder, "--at", "2025-11-10T15:10:00Z")


def approve_as(folder: Path, approver: Approver) -> str:
    """Approve the plan as somebody at another keyboard. Returns the sentence about who is missing."""
    with closing(desk(folder, at=MORNING + timedelta(minutes=2))) as opened:
        return opened.day.approve(PLAN, approver).waits


def sent(folder: Path) -> int:
    """Count the orders that reached the exchange."""
    with closing(sqlite3.connect(folder / "simulated_exchange.db")) as exchange:
        return int(exchange.execute("SELECT count(*) FROM orders").fetchone()[0])


def rows(folder: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "sentinel.db")) as ledger:
        return ledger.execute("SELECT plan_id, approved_by, place FROM desk_approvals ORDER BY approved_at").fetchall()


# --- who, when, from where, under which limits ---


def test_the_command_names_the_user_in_plan_file_ledger_document_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys)
    approved = command(capsys, tmp_path, "approve", PLAN, "--json")
    assert (approved.code, approved.document["approved_by"]) == (0, name_user())
    file = json.loads((tmp_path / EXECUTIVE_FILE).read_text(encoding="utf-8"))
    assert (file["status"], file["approved_by"]) == ("APPROVED_BY_USER", name_user())
    (row,) = file["approvals"]
    assert row == {
        "approved_by": name_user(),
        "approved_at": "2025-11-10T15:10:00.000000Z",
        "approved_from": "command",
        "limits_hash": file["made_from"]["limits_hash"],
    }
    assert rows(tmp_path) == [(PLAN, name_user(), "command")]
    document = command(capsys, tmp_path, "run", "--json").document
    assert (document["status"], document["approvals"]) == ("COMPLETED", [row])
    report = (tmp_path / "Reports" / f"{PLAN}.md").read_text(encoding="utf-8")
    said = f"by {name_user()} (command) at 2025-11-10 10:10:00 EST under limits {row['limits_hash']}"
    assert f"**Approved**: {said}" in report


def test_the_final_table_and_the_message_to_compliance_name_the_approver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace(tmp_path)
    shown = say(capsys, *run_of(tmp_path, "--plan", plan_file(tmp_path)))
    assert "Approved by automatic (command) at 2025-11-10 10:05:" in shown.out
    with closing(sqlite3.connect(tmp_path / "sentinel.db")) as ledger:
        ((text, status),) = ledger.execute("SELECT document, status FROM desk_plans").fetchall()
    assert (json.loads(text)["approved_by"], status) == ("automatic", "APPROVED_BY_USER")
    (message,) = (tmp_path / "Messages_Between_Departments" / "Inbox" / "COMPLIANCE").glob("MSG_EXECUTIVE_*.md")
    assert '"approved_by": "automatic"' in message.read_text(encoding="utf-8")


def test_a_script_that_sets_its_own_plan_is_recorded_as_a_script(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        answer = opened.ceo.execute_plan()
    assert answer["status"] == "EXECUTION_INITIATED"
    assert [a["approved_by"] for a in answer["document"]["approvals"]] == ["script"]
    assert rows(tmp_path) == [(PLAN, "script", "script")]


def test_a_script_that_calls_approve_plan_is_recorded_as_a_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys)
    with closing(desk(tmp_path)) as opened:
        assert opened.ceo.approve_plan(PLAN)["approved_by"] == "script"
    assert rows(tmp_path) == [(PLAN, "script", "script")]


def test_the_user_is_the_systems_and_not_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_user()
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "somebody_else")
    assert name_user() == before


# --- two persons ---


def test_the_first_of_two_persons_executes_nothing_and_the_second_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys, 20_000)
    waits = approve_as(tmp_path, ANNA)
    assert waits.startswith(f"{PLAN} is approved by anna@desk1; a second person must approve: departments approve")
    assert not (tmp_path / EXECUTIVE_FILE).exists()
    second = command(capsys, tmp_path, "approve", PLAN, "--json")
    assert (second.code, second.document["approved_by"]) == (0, f"anna@desk1, {name_user()}")
    document = command(capsys, tmp_path, "run", "--json").document
    assert document["status"] == "COMPLETED"
    assert [a["approved_by"] for a in document["approvals"]] == ["anna@desk1", name_user()]


def test_one_approval_by_command_is_said_and_is_not_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, capsys, 20_000)
    first = command(capsys, tmp_path, "approve", PLAN)
    assert first.code == 1
    assert f"{PLAN} is approved by {name_user()}; a second person must approve" in first.out
    assert "four_eyes_above" in first.out
    command(capsys, tmp_path, "run", "--approve", "ask")
    assert sent(tmp_path) == 0


def test_the_same_user_twice_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, capsys, 20_000)
    command(capsys, tmp_path, "approve", PLAN)
    again = command(capsys, tmp_path, "approve", PLAN)
    assert again.code == 1
    (sentence,) = again.sentences
    assert sentence == f"{name_user()} has approved {PLAN} already; another user must approve it"
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize("name", ["anna@desk2", "ANNA@desk1"])
def test_the_same_user_on_another_host_is_the_same_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    planned(tmp_path, capsys, 20_000)
    approve_as(tmp_path, ANNA)
    with pytest.raises(DepartmentsError, match=r"has approved .* already; another user"):
        approve_as(tmp_path, Approver(name, ApprovalPlace.TERMINAL))


@pytest.mark.parametrize("nobody", [AUTOMATIC, SCRIPT])
@pytest.mark.parametrize("before", [(), (ANNA,)])
def test_what_is_no_person_never_counts_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nobody: Approver, before: tuple[Approver, ...]
) -> None:
    planned(tmp_path, capsys, 20_000)
    for person in before:
        approve_as(tmp_path, person)
    with pytest.raises(DepartmentsError, match=f"{nobody.name} does not count as a person"):
        approve_as(tmp_path, nobody)
    assert len(rows(tmp_path)) == len(before)


def test_automatic_approval_of_a_large_plan_is_refused_and_nothing_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace(tmp_path, settings=settings(20_000))
    refused = say(capsys, *run_of(tmp_path, "--json", "--plan", plan_file(tmp_path)))
    assert (refused.code, refused.document["status"]) == (1, "NOT_APPROVED")
    assert "two different users must approve" in refused.document["message"]
    assert sent(tmp_path) == 0


def test_a_script_cannot_execute_a_large_plan_of_its_own(tmp_path: Path) -> None:
    workspace(tmp_path, settings=settings(20_000))
    with closing(desk(tmp_path)) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        answer = opened.ceo.handle_user_request("execute_plan")
    assert answer["status"] == "ERROR"
    assert "two different users must approve" in answer["message"]
    assert sent(tmp_path) == 0


@pytest.mark.parametrize("changes", [{"current_price": 0.01}, {"current_price": None}])
def test_a_price_that_is_too_low_or_left_out_makes_no_plan_small(tmp_path: Path, changes: dict[str, Any]) -> None:
    workspace(tmp_path, settings=settings(20_000))
    small = trade("MSFT", "SELL", 60, 502.45) | changes  # worth 30,147
    with closing(desk(tmp_path)) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = plan(small), True
        answer = opened.ceo.handle_user_request("execute_plan")
    assert (answer["status"], sent(tmp_path)) == ("ERROR", 0)


def test_the_very_amount_of_the_setting_needs_no_second_person() -> None:
    assert not Consent(frozenset(), Decimal(50_000), Decimal(50_000)).needs_two
    assert Consent(frozenset(), Decimal("50000.01"), Decimal(50_000)).needs_two


def test_an_unknown_amount_counts_as_a_large_one() -> None:
    assert Consent.of(["anna@desk1"], None, Decimal(50_000)).is_lacking
    assert not Consent.of(["anna@desk1", "ben@desk1"], None, Decimal(50_000)).is_lacking


@pytest.mark.parametrize(("above", "waits"), [(AMOUNT, True), (AMOUNT + 1, False), (0, True), (None, False)])
def test_sells_and_buys_count_together(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    above: int | None,
    waits: bool,  # noqa: FBT001
) -> None:
    planned(tmp_path, capsys, above)
    assert bool(approve_as(tmp_path, ANNA)) is waits


# --- an approval holds for the plan that was looked at ---


def change_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Put other trades under the plan's id."""
    other = plan(trade("DVN", "SELL", 225.0, 33.61), trade("COMM", "BUY", 400, 17.02))
    made = command(capsys, folder, "plan", "--plan", plan_file(folder, other))
    assert made.code == 0


def test_a_plan_that_changed_after_its_approval_is_not_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys)
    assert command(capsys, tmp_path, "approve", PLAN).code == 0
    change_plan(tmp_path, capsys)
    ran = command(capsys, tmp_path, "run")
    assert f"{PLAN} changed after its approval" in ran.err
    assert sent(tmp_path) == 0


def test_a_first_approval_of_another_version_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path, capsys, 10_000)
    approve_as(tmp_path, ANNA)
    change_plan(tmp_path, capsys)
    assert "a second person must approve" in approve_as(tmp_path, BEN)
    assert approve_as(tmp_path, ANNA) == ""


def test_a_limit_lowered_after_one_approval_asks_for_the_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys)
    assert command(capsys, tmp_path, "approve", PLAN).code == 0
    write_yaml(tmp_path / "config" / "settings.yaml", settings(20_000))
    ran = command(capsys, tmp_path, "run")
    assert ran.code == 1
    assert "two different users must approve" in ran.sentences[0]
    assert sent(tmp_path) == 0


def test_a_plan_that_was_copied_brings_no_approval_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace(tmp_path, settings=settings(20_000))
    copied = two_and_two() | {"approved_by": "anna@desk1, ben@desk1", "approvals": [{"approved_by": "anna@desk1"}]}
    ran = say(capsys, *run_of(tmp_path, "--json", "--plan", plan_file(tmp_path, copied)))
    assert (ran.document["status"], ran.document["approvals"], sent(tmp_path)) == ("NOT_APPROVED", [], 0)


def test_an_execution_that_has_begun_goes_on_without_another_approval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, capsys, 20_000)
    approve_as(tmp_path, ANNA)
    approve_as(tmp_path, BEN)
    with closing(desk(tmp_path)) as opened:
        filed = opened.day.approvals.find(PLAN)
        assert filed is not None
        execution: PlanExecution = opened.day.execution(filed.plan)
        execution.begin()
    assert command(capsys, tmp_path, "resume", "--json").document["status"] == "COMPLETED"


# --- the setting ---


@pytest.mark.parametrize("value", ["50000", True, -1, float("nan"), float("inf"), [50_000], {"usd": 1}])
def test_a_wrong_amount_is_refused_with_file_and_key(tmp_path: Path, value: object) -> None:
    path = write_yaml(tmp_path / "settings.yaml", {"approval": {"four_eyes_above": value}})
    with pytest.raises(BadInput) as refused:
        load_settings(path)
    assert "approval.four_eyes_above" in str(refused.value)


def test_an_audience_that_has_no_objection_is_named_as_it_says(tmp_path: Path) -> None:
    class Ben:
        approver = BEN

        def see_plan(self, *_: object) -> None: ...

        def objection(self, _: object) -> None:
            return None

    with closing(desk(workspace(tmp_path))) as opened:
        document = opened.day.run(DayOrder(plan=two_and_two()), Ben())
    assert [(a["approved_by"], a["approved_from"]) for a in document["approvals"]] == [("ben@desk1", "command")]
