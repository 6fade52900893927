"""A day, a watcher's pass and an archive run under Windows' file semantics, with another program in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.commands import contents, deliver_briefing, run_of, say
from tests.builders.desk import workspace
from tests.fakes.windows import Links, Windows

KINDS: tuple[Links, ...] = ("allowed", "EINVAL", "EACCES")


def live_through_a_day(folder: Path, capsys: pytest.CaptureFixture[str], windows: Windows) -> None:
    """Run a day, handle what is left, archive it: every command ends with 0 and nothing is set aside."""
    deliver_briefing(folder)
    with windows.in_force():
        done = say(capsys, *run_of(folder, "--json"))
        assert done.code == 0, done.err
        assert done.document["status"] == "COMPLETED"
        again = say(capsys, *run_of(folder))
        assert again.code == 0, again.err
        archived = say(capsys, "archive", "--workspace", folder, "--older-than", "0d")
        assert archived.code == 0, archived.err
    names = list(contents(folder))
    assert [name for name in names if "Dead_Letter" in name] == []
    assert [name for name in names if name.endswith((".probe", ".copy", ".again"))] == []


@pytest.mark.parametrize("links", KINDS)
def test_a_day_ends_well_beside_a_scanner_that_opens_every_twentieth_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], links: Links
) -> None:
    folder = workspace(tmp_path)
    windows = Windows(tmp_path, rate=0.05, links=links, seed=7)
    live_through_a_day(folder, capsys, windows)
    assert sum(windows.met.values()) > 10
    assert sum(windows.calls.values()) > 200
