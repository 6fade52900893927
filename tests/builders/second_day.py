"""A desk on its second day: what is to be sold has resting exits, and one SELL and one BUY will fill in part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, open_desk
from Departments.commands.frame import use_desk
from Departments.commands.inputs import read_day_order
from Departments.commands.run import audience_of, show_end
from Departments.core.moments import iso
from Departments.core.platform.clock import Clock, SimulatedClock
from tests.builders.commands import Said, fault_file, plan_file
from tests.builders.desk import workspace
from tests.invariants.promises import Promises
from tests.invariants.scenarios import NEXT_DAY, RELEASE_DAY

#: The moments of the day's execution, and the words that tell of them.
RELEASING, SELLING, SOLD = "RELEASE phase:", "SELL phase:", "SELL phase ended"
BUYING, BOUGHT, PROTECTING, PROTECTED = "BUY phase:", "BUY phase ended", "PROTECT phase:", "Every share bought"
MOMENTS = (RELEASING, SELLING, SOLD, BUYING, BOUGHT, PROTECTING, PROTECTED)
LATER = NEXT_DAY + timedelta(minutes=10)
AGAIN = "run the same command again"
SETTINGS: Mapping[str, Any] = {
    "messaging": {"durability": "fast"},
    "ledger": {"patience": 0.02},
    "phases": {
        "patience": 10,
        "release": {"timeout": 12, "poll": 4},
        "sell": {"timeout": 12, "final_wait": 8, "poll": 4},
        "buy": {"timeout": 12, "final_wait": 8, "poll": 4},
        "protect": {"timeout": 12, "poll": 4},
    },
}


def live_through_the_first_day(folder: Path) -> Path:
    """Make the workspace and leave it on its second morning."""
    RELEASE_DAY.prepare(folder)
    workspace(folder, state=RELEASE_DAY.state, settings=SETTINGS)
    plan_file(folder, RELEASE_DAY.plan)
    return folder


def spoil(folder: Path, *faults: Mapping[str, Any]) -> None:
    """Let more go wrong than the two partial fills; without faults, no more than these from here on."""
    fault_file(folder, *RELEASE_DAY.faults, *faults)


def run_at(folder: Path, at: datetime = NEXT_DAY) -> list[str | Path]:
    """Return the command of the second day."""
    files: list[str | Path] = ["--plan", folder / "plan.json", "--exchange-faults", folder / "faults.yaml"]
    return ["run", "--workspace", folder, "--at", iso(at), "--approve", "auto", "--json", *files]


def carried_out(folder: Path, clock: Clock) -> int:
    """Do what the command does, by a clock of one's own, and return its exit code."""
    with use_desk(folder, Choices(clock=clock, exchange_faults=folder / "faults.yaml")) as desk:
        order = read_day_order(desk, None, folder / "plan.json", dry_run=False)
        return show_end(desk, desk.day.run(order, audience_of("auto", as_json=True)), as_json=True)


def interrupt() -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def ends_in_one_sentence(said: Said, code: int, *words: str | Path) -> None:
    """Check that a command ended with one sentence that holds `words`, in its document too; the rest is log."""
    assert said.code == said.document["exit_code"] == code
    (sentence,) = said.sentences
    assert [w for w in words if str(w) not in sentence] == []
    assert said.document["message"] == sentence


def ends_well(said: Said) -> None:
    """Check that the day was ended: every order has its outcome, and the cash adds up."""
    assert said.document["status"] in {"COMPLETED", "COMPLETED_WITH_ISSUES"}
    assert said.code in {0, 1}
    assert said.document["cash_identity"]["holds"]


def nothing_is_traded_twice(folder: Path, *, steady: bool = True) -> None:
    """Let everybody look once more, a week later, and check every promise."""
    clock = SimulatedClock(NEXT_DAY + timedelta(days=7))
    with closing(open_desk(folder, Choices(clock=clock))) as desk:
        desk.trader.reconcile()
        desk.work()
    Promises(folder, steady).check()
