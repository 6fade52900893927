"""Days for the crash tests: a workspace, a plan, what goes wrong, and how a run or its restart is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.commands.demo import fill_workspace
from Departments.core.approvers import AUTOMATIC
from Departments.core.plans import TradingPlan
from Departments.core.platform.clock import Clock, SimulatedClock
from Departments.core.platform.steps import Step, no_step
from Departments.Executive.approvals import load_plan
from Departments.Executive.day_order import DayOrder
from Departments.Executive.reporting.document import final_document
from Departments.Executive.reporting.report import unprotected_stretches
from tests.builders.attacks import forge_approval, report_text
from tests.builders.desk import MORNING, deliver, plan, trade, workspace, write_yaml

SETTINGS: Mapping[str, Any] = {
    "messaging": {"durability": "fast"},
    "phases": {phase: {"timeout": 20, "final_wait": 10, "poll": 4} for phase in ("sell", "buy")},
}
NEXT_DAY = MORNING + timedelta(days=1)
STATE: Mapping[str, Any] = {
    "cash": 16_000,
    "positions": {
        "CTVA": {"qty": 190, "avg_entry_price": 65, "current_price": 64.64},
        "DVN": {"qty": 225, "avg_entry_price": 33, "current_price": 33.61},
        "MSFT": {"qty": 120, "avg_entry_price": 480, "current_price": 502.45},
    },
    "prices": {"ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19},
}
SMALL = plan(
    trade("ALKS", "BUY", 150, 32.66, composite_score=80.0),
    trade("COMM", "BUY", 250, 17.02, composite_score=70.0),
    trade("CTVA", "SELL", 190.0, 64.64),
    trade("DVN", "SELL", 225.0, 33.61),
)
#: The plan of 2025-11-10: its trades in its order, BUYs first, the small ones raised to the minimum.
INCIDENT = plan(
    *(
        trade(symbol, "BUY", shares, price, composite_score=score)
        for symbol, shares, price, score in (
            ("COMM", 210, 17.02, 77.8), ("ALKS", 108, 32.66, 79.6), ("CRDO", 20, 164.97, 71.0),
            ("AXTA", 123, 28.64, 73.4),
            ("SN", 37, 96.19, 73.0), ("CVE", 180, 17.58, 70.9), ("BANC", 180, 17.29, 70.5), ("ESI", 110, 27.72, 70.2),
            ("BBIO", 50, 62.71, 69.9), ("BKR", 65, 48.04, 69.5), ("DBX", 100, 30.93, 69.1),
        )
    ),
    *(
        trade(symbol, "SELL", shares, price)
        for symbol, shares, price in (
            ("CTVA", 190.0, 64.64), ("DVN", 225.0, 33.61), ("EXE", 45.0, 112.58),
            ("PLD", 40.0, 125.37), ("UPS", 70.0, 93.58),
        )
    ),
    plan_id="PLAN_20251110_071530",
)  # fmt: skip
INCIDENT_STATE: Mapping[str, Any] = {
    "cash": 10_900,
    "positions": {
        t["ticker"]: {
            "qty": int(t["shares"]),
            "avg_entry_price": t["current_price"],
            "current_price": t["current_price"],
        }
        for t in INCIDENT["trades"]
        if t["action"] == "SELL"
    }
    | {"MSFT": {"qty": 103, "avg_entry_price": 480, "current_price": 502.45}},
    "prices": {t["ticker"]: t["entry_price"] for t in INCIDENT["trades"] if t["action"] == "BUY"},
}


@dataclass(frozen=True)
class Scenario:
    """One day: `state` seeds the exchange, `before` are the plans of the days before, `faults` spoil this day."""

    name: str
    plan: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=lambda: STATE)
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    faults: Sequence[Mapping[str, Any]] = ()
    before: Sequence[tuple[datetime, Mapping[str, Any]]] = ()
    at: datetime = MORNING

    def prepare(self, folder: Path) -> Path:
        """Make the workspace and live through the days before."""
        workspace(folder, state=self.state, settings=self.settings)
        for at, document in self.before:
            with_desk(folder, at, no_step, partial(carry_out, document=document))
        if self.faults:
            write_yaml(folder / "faults.yaml", {"faults": list(self.faults)})
        return folder

    def play(self, folder: Path, clock: Clock | None = None, step: Step = no_step) -> dict[str, Any]:
        """Run the day, or what is left of it, and return the final document."""

        def work(desk: Desk) -> dict[str, Any]:
            document = carry_out(desk, self.plan)
            settle(desk)
            return document

        return with_desk(folder, self.at, step, work, clock)


def carry_out(desk: Desk, document: Mapping[str, Any]) -> dict[str, Any]:
    """Do what `departments run` does with an approved plan: finish what was begun, else execute it, once."""
    resumed = desk.day.resume()
    if resumed is None and desk.day.find_stop(str(document["plan_id"])) is None:
        desk.ceo.current_plan, desk.ceo.plan_approved = dict(document), True
        desk.ceo.execute_plan()
    desk.work()
    return told(desk, str(document["plan_id"]))


def told(desk: Desk, plan_id: str) -> dict[str, Any]:
    """Return the final document of an executed plan."""
    plan = load_plan(desk.ledger.plans, plan_id)
    unprotected = unprotected_stretches(desk.ledger, plan_id)
    return final_document(desk.ledger, plan, instructions=desk.settings.trading.instructions, unprotected=unprotected)


def settle(desk: Desk) -> None:
    """Let everybody look at everything once more, as the next morning would."""
    desk.trader.reconcile()
    desk.work()


def with_desk(
    folder: Path, at: datetime, step: Step, work: Callable[[Desk], dict[str, Any]], clock: Clock | None = None
) -> dict[str, Any]:
    """Open the workspace's desk, work, close it."""
    faults = folder / "faults.yaml"
    choices = Choices(
        clock=clock or SimulatedClock(at),
        exchange_state=folder / "state.yaml",
        exchange_faults=faults if faults.exists() else None,
        step=step,
    )
    desk = open_desk(folder, choices)
    try:
        return work(desk)
    finally:
        desk.close()


#: The day after: what SMALL bought is sold, with its exits still resting; one BUY fills in part and then not at all.
COMM_SELL = "MSG_EXECUTIVE_20251111T150000Z_a07cec46"
RELEASE_DAY = Scenario(
    "release and protect",
    plan(
        trade("ALKS", "SELL", 150.0, 32.66),
        trade("COMM", "SELL", 250.0, 17.02),
        trade("AXTA", "BUY", 123, 28.64, composite_score=75.0),
        trade("SN", "BUY", 40, 96.19, composite_score=70.0),
        plan_id="PLAN_20251111_150000",
        generated_at="2025-11-11T15:00:00.000000Z",
    ),
    faults=(
        {
            "call": "submit",
            "symbol": "COMM",
            "side": "SELL",
            "do": "partial_then_silence",
            "part": 0.4,
            "client_order_id": COMM_SELL,
            "times": 0,
        },
        {"call": "submit", "symbol": "AXTA", "side": "BUY", "do": "partial_then_silence", "part": 0.4, "times": 0},
    ),
    before=((MORNING, SMALL),),
    at=NEXT_DAY,
)


@dataclass(frozen=True)
class SecondAttempt(Scenario):
    """The same day a few minutes later: a further attempt trades what the first left, and no more."""

    def prepare(self, folder: Path) -> Path:
        """Live through the days before and the first attempt."""
        RELEASE_DAY.prepare(folder)
        RELEASE_DAY.play(folder)
        return folder

    def play(self, folder: Path, clock: Clock | None = None, step: Step = no_step) -> dict[str, Any]:
        """Run again, or go on with what a kill interrupted."""
        plan_id = str(self.plan["plan_id"])

        def work(desk: Desk) -> dict[str, Any]:
            if desk.day.resume() is None and len(desk.ledger.plans.attempts(plan_id)) == 1:
                desk.day.run(DayOrder(), Approving())
            desk.work()
            document = told(desk, plan_id)
            settle(desk)
            return document

        return with_desk(folder, self.at, step, work, clock)


SECOND_ATTEMPT = SecondAttempt("second attempt", RELEASE_DAY.plan, at=NEXT_DAY + timedelta(minutes=10))
HAPPY = Scenario("two and two", SMALL)
#: BUYs fill 0.4 % above the price that their exits were made for, so the live exits are replaced.
REPRICED = Scenario("exits moved to the price paid", SMALL, state={**STATE, "slippage": 0.004})
#: Between the days two old shares become one: the old exits are wrong, and new ones come before anything else.
SPLIT_NIGHT = Scenario(
    "a split in the night",
    plan(
        trade("COMM", "SELL", 250.0, 17.02),
        trade("AXTA", "BUY", 123, 28.64, composite_score=75.0),
        plan_id="PLAN_20251111_150000",
        generated_at="2025-11-11T15:00:00.000000Z",
    ),
    state={
        **STATE,
        "orders_at_split": "multiply",
        "events": [{"do": "split", "of": "ALKS", "ratio": "1:2", "at": "2025-11-11"}],
    },
    before=((MORNING, SMALL),),
    at=NEXT_DAY,
)
INCIDENT_DAY = Scenario("the incident's plan", INCIDENT, state=INCIDENT_STATE)
PARTIAL_FILLS = Scenario(
    "partial fills",
    SMALL,
    faults=(
        {"call": "submit", "symbol": "CTVA", "do": "partial_then_silence", "part": 0.5, "seconds": 3, "times": 0},
        {"call": "submit", "symbol": "DVN", "do": "partial_then_silence", "part": 0.3, "times": 0},
        {"call": "submit", "symbol": "ALKS", "side": "BUY", "do": "partial_then_silence", "part": 0.6, "times": 0},
    ),
)
REFUSALS = Scenario(
    "refusals",
    SMALL,
    faults=(
        {"call": "submit", "symbol": "DVN", "do": "refuse", "message": "insufficient buying power", "times": 0},
        {"call": "submit", "symbol": "COMM", "do": "reject", "times": 0},
    ),
)


@dataclass(frozen=True)
class ForgedDay(Scenario):
    """The happy day, with an approval that nobody decided and a report of what was never sent."""

    def prepare(self, folder: Path) -> Path:
        """Make the workspace and drop the forged letters."""
        Scenario.prepare(self, folder)
        forged = forge_approval(folder)
        told = {"ticker": "MSFT", "action": "SELL", "shares": 10, "filled_qty": 10, "filled_avg_price": 500}
        deliver(folder, "EXECUTIVE", "report.md", report_text(forged.stem, "TRADING", **told))
        return folder


FORGED = ForgedDay("forged letters", SMALL)
TIMEOUTS = Scenario(
    "time-outs",
    SMALL,
    settings={"messaging": SETTINGS["messaging"]},
    faults=(
        {"call": "submit", "symbol": "CTVA", "do": "timeout_before", "takes": 15},
        {"call": "submit", "symbol": "DVN", "do": "timeout_after"},
        {"call": "submit", "symbol": "DVN", "do": "invisible", "seconds": 9},
        {"call": "submit", "symbol": "ALKS", "do": "gateway_timeout"},
        {"call": "submit", "symbol": "COMM", "do": "malformed"},
        {"call": "cancel", "do": "timeout_after"},
    ),
)


@dataclass(frozen=True)
class DemoDay(Scenario):
    """The shipped demo from its briefing on: planned, approved, executed. Its plan's id depends on the moment."""

    def prepare(self, folder: Path) -> Path:
        """Seed the demo's workspace, written without flushing."""
        fill_workspace(folder)
        settings = folder / "config" / "settings.yaml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("durability: full", "durability: fast"), encoding="utf-8")
        (folder / "config" / "exchange_state.yaml").rename(folder / "state.yaml")
        return folder

    def play(self, folder: Path, clock: Clock | None = None, step: Step = no_step) -> dict[str, Any]:
        """Do the day's job as `departments run` does."""

        def work(desk: Desk) -> dict[str, Any]:
            document = desk.day.run(DayOrder(), Approving())
            (done,) = desk.ledger.plans.executions()
            settle(desk)
            return told(desk, done.plan_id) if not document["phases"] else document

        return with_desk(folder, self.at, step, work, clock)


class Approving:
    """Approves every plan."""

    approver = AUTOMATIC

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:
        """Look away."""

    def objection(self, plan: TradingPlan) -> str | None:
        """Have none."""
        return None


DEMO = DemoDay("the demo", {})
ALL = (
    DEMO, HAPPY, INCIDENT_DAY, PARTIAL_FILLS, REFUSALS, TIMEOUTS, RELEASE_DAY, SECOND_ATTEMPT, FORGED, REPRICED,
    SPLIT_NIGHT,
)  # fmt: skip
