"""The commands of the development script that a unit test can look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.dev import environment

PLACE = "PYTEST_DEBUG_TEMPROOT"


@pytest.fixture(autouse=True)
def _no_place_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLACE, raising=False)


@pytest.mark.parametrize("name", ["quick", "test", "cover"])
def test_tests_keep_their_files_in_memory_where_there_is_room(tmp_path: Path, name: str) -> None:
    assert environment(name, tmp_path, 0)[PLACE] == str(tmp_path)
    assert PLACE not in environment(name, tmp_path, 10**18)
    assert PLACE not in environment(name, tmp_path / "missing", 0)


@pytest.mark.parametrize("name", ["soak", "bench", "run"])
def test_what_measures_or_cuts_the_power_uses_the_disk(tmp_path: Path, name: str) -> None:
    assert PLACE not in environment(name, tmp_path, 0)


def test_a_place_that_somebody_chose_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, "elsewhere")
    assert environment("test", tmp_path, 0)[PLACE] == "elsewhere"
