"""`departments status`: each thing that needs a person is named with its mend, and the exit code says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from Departments.commands import status as command
from Departments.core.account_entries import AccountDifference, DifferenceKind
from Departments.core.errors import BrokerUnavailable, NotAuthorized
from Departments.core.halts import Halt, HaltScope
from Departments.core.orders import Side
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import find_mutexes
from Departments.core.settings import ScheduleSettings
from Departments.core.statuses import ExecutionStatus, PhaseName, PhaseOutcome, PhaseState
from Departments.Executive.overview.due_runs import find_next_run, find_overdue
from Departments.Executive.overview.problems import exit_code_of, find_problems
from Departments.ledger.journal import SetAside
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord, PhaseRecord, TradeRecord
from tests.builders.commands import AT, Said, contents, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import MORNING, desk, plan, trade, workspace, write_yaml
from tests.invariants.scenarios import SETTINGS, SMALL, STATE, carry_out

Capture = pytest.CaptureFixture[str]
EVENING = "2025-11-10T22:00:00Z"
BEFORE_OPENING = "2025-11-10T12:00:00Z"
SATURDAY = "2025-11-15T15:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


@pytest.fixture
def idle(folder: Path) -> Path:
    """A workspace with an account, where nothing has run."""
    with closing(desk(folder)) as opened:
        opened.trader.reconcile()
    return folder


@pytest.fixture
def traded(folder: Path, capsys: Capture) -> Path:
    """A workspace whose plan of two SELLs and two BUYs was executed."""
    assert say(capsys, *run_of(folder, "--plan", plan_file(folder), "--json")).code == 0
    return folder


def status(capsys: Capture, folder: Path, *more: str, at: str = AT) -> Said:
    return say(capsys, "status", "--workspace", folder, "--at", at, *more)


@contextmanager
def ledger_of(folder: Path) -> Iterator[Ledger]:
    with closing(Ledger(folder / "sentinel.db")) as ledger, ledger.transaction():
        yield ledger


def find_one(said: Said, word: str) -> dict[str, str]:
    """Return the one problem with a word in its sentence."""
    (found,) = [p for p in said.document["problems"] if word in p["sentence"]]
    return dict(found)


# --- the codes ---


@pytest.mark.parametrize(("at", "code"), [(AT, 0), (EVENING, 5), (SATURDAY, 5)])
def test_a_day_in_order_ends_with_0_and_a_closed_market_with_5(
    traded: Path, capsys: Capture, at: str, code: int
) -> None:
    said = status(capsys, traded, "--json", at=at)
    assert (said.code, said.document["exit_code"], said.document["problems"]) == (code, code, [])


def test_what_needs_a_person_outranks_a_closed_market(traded: Path, capsys: Capture) -> None:
    say(capsys, "halt", "--workspace", traded, "--at", AT, "--reason", "the feed is wrong")
    said = status(capsys, traded, "--json", at=EVENING)
    assert said.code == 1
    assert find_one(said, "are halted")["mend"] == "end it by: departments unhalt"


# --- what is shown ---


def test_everything_of_the_day_is_shown(traded: Path, capsys: Capture) -> None:
    said = status(capsys, traded)
    for words in (
        "2025-11-10 10:05 EST, the simulated exchange; the market is open until 2025-11-10 16:00 EST",
        "COMPLETED, 2025-11-10 10:05 EST, PLAN_20251110_150000",
        "2 SELLs and 2 BUYs, executed (approved by automatic)",
        "beside a reserve of $10,003",
        "Nothing needs a person.",
    ):
        assert words in said.out
    (alks,) = [line for line in said.out.splitlines() if "ALKS" in line]
    assert alks.split() == ["ALKS", "150", "$32.66", "$4,899", "4.9%", "$0", "0.0%", "$30.05", "$37.89"]


def test_a_position_has_its_weight_profit_exits_and_origin(traded: Path, capsys: Capture) -> None:
    positions = {p["ticker"]: p for p in status(capsys, traded, "--json").document["positions"]}
    alks, msft = positions["ALKS"], positions["MSFT"]
    assert (alks["qty"], alks["weight"], alks["profit"], alks["stop"], alks["target"]) == (
        "150",
        "0.0490",
        "0.00",
        "30.05",
        "37.89",
    )
    assert (alks["plan_ids"], alks["since"][:16]) == (["PLAN_20251110_150000"], "2025-11-10T15:05")
    assert (msft["profit"], msft["stop"], msft["since"], msft["plan_ids"]) == ("1796.00", None, None, [])


def test_a_look_changes_no_file(traded: Path, capsys: Capture) -> None:
    before = contents(traded)
    status(capsys, traded)
    changed = {name for name, digest in contents(traded).items() if before.get(name) != digest}
    assert changed <= {"simulated_exchange.db"}  # its time goes on


def test_a_fresh_workspace_is_looked_at_and_stays_as_it_is(folder: Path, capsys: Capture) -> None:
    deliver_briefing(folder)
    before = contents(folder)
    said = status(capsys, folder)
    assert (said.code, contents(folder)) == (1, before)
    assert "no state yet; seed it with departments exchange init FILE" in said.out
    assert "Last run  none yet" in said.out
    assert "MSG_RESEARCH_20251110T150509Z_0badcafe of 2025-11-10 10:05 EST" in said.out


def test_what_is_missing_in_a_fresh_workspace_is_named_there(folder: Path, capsys: Capture) -> None:
    write_yaml(folder / "config" / "settings.yaml", {"broker": {"name": "simulated"}})
    said = say(capsys, "status", "--workspace", folder, "--at", AT, "--json")
    (trouble,) = [each for each in said.document["problems"] if "has no state yet" in each["sentence"]]
    assert trouble["sentence"].startswith(f"{folder / 'simulated_exchange.db'}: ")


@pytest.mark.parametrize("command", ["status", "positions", "history", "run --dry-run", "plan"])
def test_a_seeded_exchange_is_seen_before_the_first_run(folder: Path, capsys: Capture, command: str) -> None:
    deliver_briefing(folder)
    at = ["--workspace", str(folder), "--at", AT]
    assert say(capsys, "exchange", "init", folder / "state.yaml", *at).code == 0
    said = say(capsys, *command.split(), *at)
    assert (said.code, "no state yet" in said.out + said.err) == (0, False)
    assert "MSFT" in said.out or command == "history"


def test_a_folder_that_is_no_workspace_is_refused(tmp_path: Path, capsys: Capture) -> None:
    said = status(capsys, tmp_path)
    assert (said.code, said.out) == (2, "")


def test_a_bare_command_in_a_workspace_is_the_status(
    traded: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(traded)
    said = say(capsys)
    assert "PLAN_20251110_150000" in said.out
    assert said.code in {0, 1, 5}


# --- what needs a person ---


def test_a_missing_briefing_counts_once_the_market_is_open(idle: Path, capsys: Capture) -> None:
    assert status(capsys, idle, at=BEFORE_OPENING).code == 5
    said = status(capsys, idle, "--json")
    assert said.code == 1
    assert "Inbox/OPERATIONS" in find_one(said, "no briefing of today")["mend"]


def test_a_briefing_that_a_hook_makes_is_not_missing(idle: Path, capsys: Capture) -> None:
    write_yaml(idle / "config" / "settings.yaml", {"operations": {"briefing": {"command": "python research.py"}}})
    said = status(capsys, idle)
    assert said.code == 0
    assert "none of today; the hook makes it" in said.out


def test_a_briefing_that_cannot_be_used_is_named_with_its_fault(folder: Path, capsys: Capture) -> None:
    path = deliver_briefing(folder)
    path.write_text(
        path.read_text(encoding="utf-8").replace('"candidates": [', '"candidates": "none", "x": ['), "utf-8"
    )
    said = status(capsys, folder, "--json")
    assert said.code == 1
    assert find_one(said, "candidates")["mend"] == "deliver a newer one"


def test_a_plan_that_waits_for_its_second_person_is_named(folder: Path, capsys: Capture) -> None:
    write_yaml(folder / "config" / "settings.yaml", {"approval": {"four_eyes_above": 0}})
    deliver_briefing(folder)
    state = ["--exchange-state", str(folder / "state.yaml")]
    made = say(capsys, "plan", "--workspace", folder, "--at", AT, *state, "--json").document["plan"]["plan_id"]
    assert "not approved; approve it by: departments approve " in status(capsys, folder).out
    assert say(capsys, "approve", made, "--workspace", folder, "--at", AT).code == 1
    assert find_one(status(capsys, folder, "--json"), "needs two approvals; it has one")["mend"].endswith(
        f"approve {made}"
    )


def test_shares_without_exits_are_named(tmp_path: Path, capsys: Capture) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        carry_out(opened, SMALL)
        for order in opened.ledger.orders.find_open_exits(symbols=["ALKS"]):
            with opened.ledger.transaction():
                opened.ledger.orders.withdraw(order, "", "a person cancelled it", MORNING)
        for held in opened.broker.orders("open", symbols=["ALKS"]):
            opened.broker.cancel(held.id)
    said = status(capsys, tmp_path, "--json", at="2025-11-10T15:20:00Z")
    assert find_one(said, "ALKS: 150 shares have no live exits")["mend"] == "the next departments run gives them exits"
    assert said.code == 1


def test_a_lock_a_dead_letter_and_a_difference_are_named_with_their_mends(traded: Path, capsys: Capture) -> None:
    letter = SetAside("TRADING", "MSG_1.md", "d", "MSG_1", "UNREADABLE", "it is no message", MORNING)
    odd = AccountDifference(DifferenceKind.UNEXPLAINED_CASH, "", D(0), D(5), MORNING, "The account has $5.00 more")
    with ledger_of(traded) as ledger:
        ledger.releases.lock("MSFT", "somebody sold 5 MSFT", MORNING)
        ledger.journal.note_dead_letter(
            ("TRADING", "MSG_1.md", "d", "MSG_1", "UNREADABLE", letter.sentence, MORNING, None)
        )
        ledger.book.set_differences([odd])
        ledger.journal.report_dead_letters("PLAN_20251110_150000")
    said = status(capsys, traded, "--json")
    assert said.code == 1
    assert find_one(said, "MSFT is locked")["mend"].endswith("departments reconcile --accept MSFT")
    assert find_one(said, "$5.00 more")["mend"].endswith("departments reconcile --accept CASH")
    assert "departments dead-letters show" in find_one(said, "dead letter TRADING/MSG_1.md")["mend"]


def interrupt(folder: Path) -> None:
    """Leave an execution in its SELL phase: one of two orders has ended."""
    begun = MORNING + timedelta(seconds=5)
    run = ExecutionRecord(
        "PLAN_1", MORNING.date(), begun, None, ExecutionStatus.RUNNING, D(100_000), D(40_000), D(10_000), None
    )
    phase = PhaseRecord(
        PhaseName.SELL, PhaseState.OPEN, MORNING, MORNING + timedelta(minutes=1), None, PhaseOutcome.NONE
    )
    sold = TradeRecord(PhaseName.SELL, "CTVA", Side.SELL, D(10), D(10), message_id="MSG_1", terminal_at=MORNING)
    with ledger_of(folder) as ledger:
        ledger.plans.save(plan(trade("CTVA", "SELL", 10, 64), plan_id="PLAN_1"), "", MORNING)
        ledger.plans.start(run)
        ledger.plans.set_phase("PLAN_1", phase)
        ledger.plans.add_trade("PLAN_1", 0, sold)
        ledger.plans.add_trade("PLAN_1", 1, replace(sold, symbol="DVN", message_id="MSG_2", terminal_at=None))


def test_an_interrupted_execution_is_named(traded: Path, capsys: Capture) -> None:
    interrupt(traded)
    said = status(capsys, traded, "--json")
    assert (
        find_one(said, "PLAN_1, begun 2025-11-10 10:05 EST, was interrupted")["mend"]
        == "finish it by: departments resume"
    )
    assert said.code == 1


def test_a_running_execution_shows_its_phase_and_its_open_orders(traded: Path, capsys: Capture) -> None:
    interrupt(traded)
    with execution_lock(traded, mutexes=find_mutexes(traded, traded)):
        said, shown = status(capsys, traded, "--json"), status(capsys, traded)
    running = said.document["running"]
    assert (said.code, running["alive"], running["phase"], running["ended"], running["sent"]) == (0, True, "SELL", 1, 2)
    assert running["orders"] == [{"ticker": "DVN", "side": "SELL", "qty": "10", "status": "dispatched"}]
    assert (running["phase_number"], running["phases"], said.document["plan"]["state"]) == (2, 4, "running")
    phase = "PLAN_1 runs since 2025-11-10 10:05 EST, SELL phase (2 of 4)"
    assert f"{phase}: 1 of 2 ended, until 2025-11-10 10:06:42 EST" in shown.out
    assert "1 SELL and 0 BUYs, running, SELL phase (2 of 4)" in shown.out
    assert any(line.split() == ["SELL", "10", "DVN", "dispatched"] for line in shown.out.splitlines())


def test_a_run_of_today_with_issues_and_an_order_left_open_are_named(traded: Path, capsys: Capture) -> None:
    interrupt(traded)
    with ledger_of(traded) as ledger:
        ledger.plans.finish("PLAN_1", ExecutionStatus.COMPLETED_WITH_ISSUES, D(1), D(0), MORNING + timedelta(seconds=9))
    said = status(capsys, traded, "--json")
    assert find_one(said, "PLAN_1 ended with issues")["mend"] == "read Reports/PLAN_1.md"
    assert "cancel it at the broker" in find_one(said, "SELL 10 DVN of PLAN_1 is still open")["mend"]


class Away:
    """A broker that answers nothing."""

    name = "simulated"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [BrokerUnavailable("no answer"), NotAuthorized("the keys are refused")])
def test_without_the_broker_the_ledgers_part_is_shown_and_the_trouble_named(traded: Path, error: Exception) -> None:
    away: Any = Away(error)
    with closing(desk(traded)) as opened:
        reader = replace(opened.standing, open_broker=lambda: away, read_hours=lambda: away.market_clock)
        standing = reader.read()
    assert standing.last_run is not None
    (problem,) = find_problems(standing)
    assert (str(error) in problem.text, exit_code_of(standing, [problem])) == (True, 1)


def test_a_blocked_account_is_named(traded: Path) -> None:
    with closing(desk(traded)) as opened:
        broker: Any = SimpleNamespace(
            account=lambda: replace(opened.broker.account(), may_trade=False, blocks=("trading_blocked",)),
            positions=opened.broker.positions,
            orders=opened.broker.orders,
        )
        (problem,) = find_problems(replace(opened.standing, open_broker=lambda: broker).read())
    assert "the broker blocks the account (status ACTIVE, trading_blocked)" in problem.text


def test_letters_that_nobody_delivers_are_named(traded: Path, capsys: Capture) -> None:
    with ledger_of(traded) as ledger:
        ledger.journal.enqueue("MSG_9.md", "EXECUTIVE", "COMPLIANCE", b"x", MORNING)
    said = status(capsys, traded, "--json")
    assert find_one(said, "1 committed message waits for delivery")["mend"].endswith("departments resume")


def test_a_letter_in_its_folder_is_not_named_before_its_delivery_is_noted(traded: Path, capsys: Capture) -> None:
    with ledger_of(traded) as ledger:
        ledger.journal.enqueue("MSG_9.md", "EXECUTIVE", "COMPLIANCE", b"x", MORNING)
    sent = traded / "Messages_Between_Departments" / "Outbox" / "EXECUTIVE" / "MSG_9.md"
    sent.write_bytes(b"x")
    assert status(capsys, traded, "--json").document["problems"] == []


# --- the schedule ---

NINE = ScheduleSettings.model_validate({"run_at": "9:35", "overdue_by": 630})


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2025-11-10T14:34:59+00:00", "2025-11-10T14:35:00+00:00"),
        ("2025-11-10T14:35:00+00:00", "2025-11-11T14:35:00+00:00"),
        ("2025-11-15T12:00:00+00:00", "2025-11-17T14:35:00+00:00"),
        ("2025-10-31T15:00:00+00:00", "2025-11-03T14:35:00+00:00"),  # the clocks went back between
        ("2025-11-26T15:00:00+00:00", "2025-11-28T14:35:00+00:00"),  # Thanksgiving is between
    ],
)
def test_the_next_run_is_on_the_next_trading_day_in_new_york_time(now: str, due: str) -> None:
    assert find_next_run(NINE, datetime.fromisoformat(now)) == datetime.fromisoformat(due)
    assert find_next_run(ScheduleSettings(), datetime.fromisoformat(now)) is None


@pytest.mark.parametrize(
    ("now", "is_overdue"),
    [("2025-11-10T15:29:59+00:00", False), ("2025-11-10T15:30:00+00:00", True), ("2025-11-15T18:00:00+00:00", False)],
)
def test_a_run_is_overdue_on_a_trading_day_alone(now: str, *, is_overdue: bool) -> None:
    assert (find_overdue(NINE, datetime.fromisoformat(now)) is not None) is is_overdue


def test_a_day_without_a_run_is_named_and_one_with_a_run_is_not(folder: Path, capsys: Capture) -> None:
    settings = {"schedule": {"run_at": "09:35", "overdue_by": "10:00"}}
    write_yaml(folder / "config" / "settings.yaml", settings)
    deliver_briefing(folder)
    said = status(capsys, folder, "--json")
    assert find_one(said, "no run has ended today; one was due by 2025-11-10 10:00 EST")
    assert said.document["next_run"] == "2025-11-11T14:35:00.000000Z"
    say(capsys, *run_of(folder, "--plan", plan_file(folder), "--json"))
    assert status(capsys, folder).code == 0


@pytest.mark.parametrize("value", ["25:00", "half past nine", 1500, True])
def test_a_time_that_is_none_is_refused(folder: Path, capsys: Capture, value: Any) -> None:
    write_yaml(folder / "config" / "settings.yaml", {"schedule": {"run_at": value}})
    said = status(capsys, folder)
    assert said.code == 2
    assert "schedule.run_at" in said.err


# --- watching ---


def test_a_watch_shows_each_change_once_and_ends_with_the_last_code(
    traded: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(desk(traded)) as opened:
        pauses = iter(range(4))

        def sleep(seconds: float) -> None:
            turn = next(pauses)
            if turn == 1:
                opened.ledger.halts.begin(Halt(HaltScope.ALL, "the feed is wrong", "ann@desk", MORNING))
            if turn == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(opened.clock, "sleep", sleep)
        assert command._watch(opened, as_json=False) == 1
    shown = capsys.readouterr().out
    assert shown.count("Last run") == 2
    assert shown.count("Nothing needs a person.") == 1


# --- one time for people ---


@pytest.mark.parametrize("at", ["2025-11-10T10:05:42", "2025-11-10", "2025-11-10 10:05"])
def test_a_time_without_a_zone_is_refused_with_the_mend(traded: Path, capsys: Capture, at: str) -> None:
    said = status(capsys, traded, at=at)
    assert said.code == 2
    assert f"--at: {at!r} has no time zone; write 2025-11-10T10:05:42-05:00 for New York" in said.err
    assert "2025-11-10T15:05:42Z for UTC" in said.err


@pytest.mark.parametrize("at", ["2025-11-10T15:05:42Z", "2025-11-10T10:05:42-05:00", "2025-11-10 15:05:42 UTC"])
def test_a_time_with_a_zone_is_that_moment(traded: Path, capsys: Capture, at: str) -> None:
    assert status(capsys, traded, "--json", at=at).document["at"] == "2025-11-10T15:05:42.000000Z"
