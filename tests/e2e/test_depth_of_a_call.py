"""How many of our own calls lie between the command line and the broker. It was 27 once; it must not grow again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import Departments
from Departments.__main__ import main
from Departments.brokers.simulated import SimulatedBroker
from tests.builders.commands import plan_file, run_of
from tests.builders.desk import workspace

PACKAGE = str(Path(Departments.__file__).parent)
MOST = 14


def calls_down_to(frame: FrameType | None) -> list[str]:
    """Return the functions of the package on the stack, the command line first."""
    names: list[str] = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return names[::-1]


@contextmanager
def watching_submissions() -> Iterator[list[list[str]]]:
    """Yield a list to which every call of the broker's `submit` adds the calls that lead to it."""
    seen: list[list[str]] = []

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is SimulatedBroker.submit.__code__:
            seen.append(calls_down_to(frame))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def test_an_order_is_at_most_fourteen_calls_below_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = run_of(workspace(tmp_path), "--plan", plan_file(tmp_path), "--json")
    monkeypatch.setattr(sys, "argv", ["departments", *map(str, arguments)])
    with watching_submissions() as seen, pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert [calls[0] for calls in seen] == ["__main__.main"] * 4  # two SELLs, two BUYs
    deepest = max(seen, key=len)
    assert len(deepest) <= MOST, "\n".join(deepest)
