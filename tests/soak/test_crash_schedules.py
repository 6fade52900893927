"""The whole crash matrix: every scenario killed for real before and after every step, and random schedules."""

import os
import shutil
from pathlib import Path

import pytest

from tests.invariants.killing import killed_for_real, resumed, unkilled
from tests.invariants.scenarios import ALL, Scenario
from tests.invariants.schedules import Schedule

pytestmark = pytest.mark.soak
SCHEDULES = int(os.environ.get("CRASH_SCHEDULES", "500"))


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.name.replace(" ", "-"))
def test_killed_for_real_before_and_after_every_step(tmp_path: Path, scenario: Scenario) -> None:
    expected = unkilled(scenario, tmp_path / "undisturbed")
    prepared = scenario.prepare(tmp_path / "prepared")
    kills, differing = 0, []
    while True:
        folder = shutil.copytree(prepared, tmp_path / "day")
        died = killed_for_real(scenario, folder, kills + 1)
        if died is None:
            break
        kills += 1
        if resumed(scenario, folder, died[0]) != expected:
            differing.append(f"{kills}: {died[1]}")
        shutil.rmtree(folder)
    print(f"\n{scenario.name}: {kills} kills, {len(differing)} ended differently")  # noqa: T201 - the counts are the result
    assert kills > 100
    assert differing == []


def test_random_schedules_of_faults_and_kills(tmp_path: Path) -> None:
    first = int(os.environ.get("CRASH_SEED", "1000"))
    kills = stops = 0
    broken: list[str] = []
    for seed in range(first, first + SCHEDULES):
        folder = tmp_path / "day"
        try:
            counts = Schedule(seed).run(folder)
            kills, stops = kills + counts["kills"], stops + counts["stops"]
        except AssertionError as error:
            broken.append(f"seed {seed}: {error}")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{SCHEDULES} schedules from seed {first}: {kills} kills, {stops} stops, {len(broken)} broken")  # noqa: T201
    assert broken == []
