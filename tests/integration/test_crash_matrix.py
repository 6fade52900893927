"""Killed around any durable step and started again, a day ends as if it had not been killed.

The fast part: one day with all four phases, partial fills and cancels, at every step; a few real kills of a child
process; a few random schedules. `make soak` does the rest.
"""

import shutil
from pathlib import Path

import pytest

from tests.invariants.killing import Outcome, images, killed_for_real, resumed, unkilled
from tests.invariants.scenarios import DEMO, HAPPY, RELEASE_DAY
from tests.invariants.schedules import Schedule


def test_a_kill_around_any_step_changes_nothing_in_the_end(tmp_path: Path) -> None:
    expected = unkilled(RELEASE_DAY, tmp_path / "undisturbed")
    taken = images(RELEASE_DAY, RELEASE_DAY.prepare(tmp_path / "day"), tmp_path / "images")
    differing: dict[str, Outcome | None] = {}
    for label, image, at in taken:
        if resumed(RELEASE_DAY, image, at) != expected:
            differing[label] = None
        shutil.rmtree(image)
    assert len(taken) > 100
    assert list(differing) == []


def test_a_kill_while_a_plan_is_made_approved_or_executed_ends_in_the_same_day(tmp_path: Path) -> None:
    expected = unkilled(DEMO, tmp_path / "undisturbed")
    taken = images(DEMO, DEMO.prepare(tmp_path / "day"), tmp_path / "images")
    sample = taken[:60:6] + taken[60::40]
    assert [label for label, image, at in sample if resumed(DEMO, image, at) != expected] == []


@pytest.mark.parametrize("at", [20, 75, 140, 200])
def test_a_child_process_that_dies_without_clean_up_is_gone_on_from(tmp_path: Path, at: int) -> None:
    expected = unkilled(HAPPY, tmp_path / "undisturbed")
    folder = HAPPY.prepare(tmp_path / "day")
    died = killed_for_real(HAPPY, folder, at)
    assert died is not None
    assert resumed(HAPPY, folder, died[0]) == expected, f"killed at {died[1]}"


@pytest.mark.parametrize("seed", range(15))
def test_random_faults_and_kills_break_no_promise(tmp_path: Path, seed: int) -> None:
    Schedule(seed).run(tmp_path / "day")
