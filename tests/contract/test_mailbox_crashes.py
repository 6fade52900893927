"""A process that publishes and consumes is killed at every durable step; what must be true afterwards is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from Departments.messaging.mailbox import Durability
from tests.fakes.bus_day import Watchman, check_that_the_day_is_whole, lay_out, run_day
from tests.fakes.killing import KILL, in_a_child, killed_at

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
COUNT = 2


def recorded(workspace: Path, notes: Path, durability: Durability) -> dict[str, list[str]]:
    """Run a whole day in a child and return its labels and the writes nobody announced."""

    def work() -> None:
        watchman = Watchman(workspace / "Messages")
        watchman.listen()
        run_day(workspace, COUNT, watchman.step, durability=durability)
        notes.write_text(json.dumps({"labels": watchman.labels, "unannounced": watchman.unannounced}), encoding="utf-8")

    lay_out(workspace)
    assert in_a_child(work) == 0
    found: dict[str, list[str]] = json.loads(notes.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_every_write_is_announced(tmp_path: Path, durability: Durability) -> None:
    workspace = tmp_path / "workspace"
    notes = recorded(workspace, tmp_path / "notes.json", durability)
    assert notes["unannounced"] == []
    assert {label.partition(":")[2] for label in notes["labels"]} >= {"publish.deliver", "archive", "ledger.commit"}
    check_that_the_day_is_whole(workspace, COUNT)


def test_the_watchman_hears_a_write_that_nobody_announced(tmp_path: Path) -> None:
    def work() -> None:
        watchman = Watchman(tmp_path)
        watchman.listen()
        (tmp_path / "a.md").write_bytes(b"")
        (tmp_path / "a.md").rename(tmp_path / "b.md")
        watchman.step("before:x")
        (tmp_path / "b.md").unlink()
        watchman.step("after:x")
        assert len(watchman.unannounced) == 2

    assert in_a_child(work) == 0


def once(labels: list[str]) -> list[int]:
    """Return where each label stands for the first time."""
    return sorted({label: number for number, label in reversed(list(enumerate(labels)))}.values())


def once_and_again(labels: list[str]) -> list[int]:
    """Return where each label stands for the first and for the last time; the soak tests take every one."""
    last = {label: number for number, label in enumerate(labels)}
    return sorted({*once(labels), *last.values()})


@pytest.mark.parametrize(
    ("durability", "choose"),
    [("full", once_and_again), ("fast", once), pytest.param("fast", once_and_again, marks=pytest.mark.soak)],
)
def test_killed_at_every_labelled_point_and_begun_again_the_day_ends_as_if_it_had_not_been(
    tmp_path: Path, durability: Durability, choose: Callable[[list[str]], list[int]]
) -> None:
    workspace = tmp_path / "workspace"
    labels = recorded(workspace, tmp_path / "notes.json", durability)["labels"]
    for number in choose(labels):
        shutil.rmtree(workspace)
        lay_out(workspace)
        day = partial(run_day, workspace, COUNT, durability=durability)
        assert in_a_child(partial(day, killed_at(number))) == KILL, labels[number]
        assert in_a_child(day) == 0, labels[number]
        check_that_the_day_is_whole(workspace, COUNT)
