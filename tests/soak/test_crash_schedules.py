"""The whole crash matrix: every scenario killed for real before and after every step, and random schedules."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.invariants.killing import killed_for_real, resumed, unkilled
from tests.invariants.promises import BrokenPromise
from tests.invariants.scenarios import ALL, Scenario
from tests.invariants.schedules import Schedule

pytestmark = pytest.mark.soak
INTERESTING = {
    "kills", "stops", "sold or bought by others", "filled in part and canceled", "filled in part and partially_filled",
    "BUY bracket rejected", "SELL simple rejected", "SELL oco new", "SELL left open", "SELL aborted", "BUY aborted",
    "PHASE_TIMEOUT", "PHASE_ABORTED", "NOTHING_AVAILABLE", "TRADING_HALTED",
}  # fmt: skip
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
    counts, broken = Counter[str](), list[str]()
    for seed in range(first, first + SCHEDULES):
        folder = tmp_path / "day"
        try:
            counts += Schedule(seed).run(folder)
        except (AssertionError, BrokenPromise) as error:
            broken.append(f"seed {seed}: {error}")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{SCHEDULES} schedules from seed {first}: {len(broken)} broken; {dict(counts.most_common())}")  # noqa: T201
    assert broken == []
    assert SCHEDULES < 500 or counts.keys() >= INTERESTING
