from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.brokers.base import Broker
from Departments.brokers.registry import BROKERS, BrokerRow, Opening, find_row, list_names
from Departments.core.errors import BadInput
from Departments.core.moments import parse_iso
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.places import find_state
from tests.builders.desk import desk, workspace

NOON = parse_iso("2025-11-10T17:00:00Z")


def _unreachable(_opening: Opening) -> Broker:
    raise AssertionError("nobody may open this broker")


def row(open_broker: Callable[[Opening], Broker] = _unreachable, **changes: object) -> BrokerRow:
    return replace(BrokerRow("mine", "My broker", open_broker), **changes)  # type: ignore[arg-type]


def test_every_broker_has_a_name_of_its_own() -> None:
    assert len({each.name for each in BROKERS}) == len(BROKERS)


def test_a_row_is_found_by_its_name() -> None:
    assert [find_row(each.name) for each in BROKERS] == list(BROKERS)
    assert find_row("mine") is None
    assert find_row("mine", [row()]) == row()


def test_the_names_read_as_a_list() -> None:
    assert list_names([row()]) == "'mine'"
    assert list_names([*BROKERS, row()]) == "'simulated', 'alpaca' or 'mine'"


def test_a_wrong_name_in_the_settings_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    settings = workspace(tmp_path) / "config" / "settings.yaml"
    settings.write_text("broker:\n  name: nasdaq\n", encoding="utf-8")
    with pytest.raises(BadInput) as refusal:
        _ = open_desk(tmp_path, Choices(brokers=[*BROKERS, row()])).settings
    assert str(refusal.value) == (
        f"{settings}: broker.name: 'nasdaq' is no broker; name 'simulated', 'alpaca' or 'mine'."
    )


def test_a_choice_that_no_row_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'nasdaq' is no broker; name 'simulated' or 'alpaca'"):
        _ = open_desk(workspace(tmp_path), Choices(broker="nasdaq")).broker


def test_a_simulated_clock_is_for_rows_that_take_one(tmp_path: Path) -> None:
    choices = Choices(clock=SimulatedClock(NOON), broker="mine", brokers=[row()])
    with pytest.raises(BadInput, match="--at: a simulated clock cannot be used with My broker"):
        _ = open_desk(workspace(tmp_path), choices).broker


def test_a_row_opens_its_broker_where_the_desk_works(tmp_path: Path) -> None:
    seen: list[Opening] = []

    def remember(opening: Opening) -> Broker:
        seen.append(opening)
        return there

    with closing(desk(workspace(tmp_path))) as opened:
        there = opened.broker
        clock = SimulatedClock(NOON)
        mine = row(remember, takes_simulated_clock=True)
        again = open_desk(tmp_path, Choices(clock=clock, broker="mine", brokers=[*BROKERS, mine], live=True))
        assert again.broker is there
    (opening,) = seen
    assert (opening.workspace, opening.folder, opening.clock, opening.live) == (tmp_path, tmp_path, clock, True)
    assert opening.settings == again.settings.broker


@pytest.mark.parametrize("file", ["account.db", None])
def test_the_account_lock_is_in_the_state_folder_only_where_a_file_is_the_account(
    tmp_path: Path, file: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPARTMENTS_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("DEPARTMENTS_STATE", str(tmp_path / "state"))
    opened = open_desk(tmp_path, Choices(broker="mine", brokers=[row(file=file)]))
    assert opened.locks == (tmp_path / "locks" if file is None else find_state(tmp_path) / ".locks")
