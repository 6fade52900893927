"""Killed around any durable step and started again, a day ends as if it had not been killed.

The fast part: each kind of step, in each phase, before and after, in some day; a few real kills of a child process; a
few random schedules. `make soak` does every single step of every day and many more schedules.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.invariants.killing import Outcome, images, killed_for_real, recorded, resumed, unkilled
from tests.invariants.kinds import Moment, Recorder, few, without_deed
from tests.invariants.scenarios import (
    DEMO,
    FORGED,
    HAPPY,
    INCIDENT_DAY,
    PARTIAL_FILLS,
    REFUSALS,
    RELEASE_DAY,
    REPRICED,
    SECOND_ATTEMPT,
    SPLIT_NIGHT,
    TIMEOUTS,
    Scenario,
)
from tests.invariants.schedules import Schedule

WHOLLY = (INCIDENT_DAY,)  # every step in every phase
#: And what else these days do.
BESIDES = (PARTIAL_FILLS, REFUSALS, TIMEOUTS, RELEASE_DAY, SECOND_ATTEMPT, DEMO, FORGED, REPRICED, SPLIT_NIGHT)
STEPS = ("ledger.commit", "publish.write", "publish.deliver", "publish.keep", "archive")
PHASES = {
    "RELEASE open": (*STEPS, "exchange.cancel"),
    "SELL open": (*STEPS, "exchange.submit"),
    "SELL cancelling": (*STEPS, "exchange.cancel"),
    "BUY open": (*STEPS, "exchange.submit"),
    "BUY cancelling": (*STEPS, "exchange.cancel"),
    "PROTECT open": (*STEPS, "exchange.submit"),
}


@dataclass(frozen=True)
class Lived:
    """How the undisturbed days went, and the moments at which the same days are killed."""

    days: dict[str, Recorder]
    outcomes: dict[str, Outcome]
    kills: dict[str, list[Moment]]

    def kinds(self, name: str) -> set[str]:
        return set(self.days[name].kinds)

    def killed(self, name: str) -> set[str]:
        """Return the kinds of steps at which a day is killed."""
        disks = {moment.disk for moment in self.kills[name]}
        return {kind for kind, at in self.days[name].kinds.items() if at & disks}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    found = {s.name: recorded(s, tmp_path_factory.mktemp("day")) for s in (*WHOLLY, *BESIDES)}
    days = {name: recorder for name, (recorder, _) in found.items()}
    kills = few({s.name: days[s.name] for s in WHOLLY}, {s.name: days[s.name] for s in BESIDES})
    return Lived(days, {name: outcome for name, (_, outcome) in found.items()}, kills)


def test_each_kind_of_step_is_killed_at(lived: Lived) -> None:
    everything = set[str]().union(*map(lived.kinds, lived.days))
    assert set[str]().union(*map(lived.killed, lived.days)) == everything
    assert len(everything) > 250
    assert {kind.partition(": ")[2].split(" ")[1] for kind in everything} >= {"exchange.replace", "exchange.cancel"}
    shapes = set(map(without_deed, everything))
    assert shapes >= {
        f"{phase}: {w} {step}" for phase, steps in PHASES.items() for w in ("before", "after") for step in steps
    }


@pytest.mark.parametrize("scenario", WHOLLY, ids=lambda s: s.name.replace(" ", "-"))
def test_each_step_in_each_phase_is_killed_at(lived: Lived, scenario: Scenario) -> None:
    shapes = set(map(without_deed, lived.kinds(scenario.name)))
    assert set(map(without_deed, lived.killed(scenario.name))) == shapes
    assert len(shapes) >= 50


@pytest.mark.parametrize("scenario", [*WHOLLY, *BESIDES], ids=lambda s: s.name.replace(" ", "-"))
def test_a_kill_around_each_kind_of_step_changes_nothing_in_the_end(
    lived: Lived, tmp_path: Path, scenario: Scenario
) -> None:
    expected, kills = lived.outcomes[scenario.name], lived.kills[scenario.name]
    differing = []
    for label, image, at in images(scenario, scenario.prepare(tmp_path / "day"), tmp_path / "images", kills):
        if resumed(scenario, image, at) != expected:
            differing.append(label)
        shutil.rmtree(image)
    assert differing == []
    assert not any("MSFT" in order for order in expected.orders)  # which no plan trades, and a forged letter wants sold


@pytest.mark.parametrize("at", [20, 75, 140, 190])
def test_a_child_process_that_dies_without_clean_up_is_gone_on_from(tmp_path: Path, at: int) -> None:
    expected = unkilled(HAPPY, tmp_path / "undisturbed")
    folder = HAPPY.prepare(tmp_path / "day")
    died = killed_for_real(HAPPY, folder, at)
    assert died is not None
    assert resumed(HAPPY, folder, died[0]) == expected, f"killed at {died[1]}"


@pytest.mark.parametrize("seed", range(15))
def test_random_faults_and_kills_break_no_promise(tmp_path: Path, seed: int) -> None:
    Schedule(seed).run(tmp_path / "day")
