"""An exchange that goes away, and a clock that jumps, while a day is carried out.

The trouble comes at a named moment and is taken away again; then the same command ends the day.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.platform.clock import SimulatedClock
from tests.builders.commands import Said, say
from tests.builders.second_day import (
    AGAIN,
    BOUGHT,
    BUYING,
    LATER,
    MOMENTS,
    PROTECTING,
    RELEASING,
    SELLING,
    SOLD,
    carried_out,
    ends_in_one_sentence,
    ends_well,
    interrupt,
    nothing_is_traded_twice,
    run_at,
    spoil,
)
from tests.fakes.moments import when_it_says
from tests.invariants.scenarios import NEXT_DAY

Capture = pytest.CaptureFixture[str]
NEVER = {"call": "any", "do": "server_error", "occurrence": 1_000_000}  # counts the calls


@pytest.fixture
def folder(folder_of_the_second_day: Path) -> Path:
    return folder_of_the_second_day


# --- the exchange goes away ---


@pytest.fixture(scope="module")
def calls_before(second_morning: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many calls the exchange had been given at each moment of an unspoiled day."""
    folder = Path(shutil.copytree(second_morning, tmp_path_factory.mktemp("unspoiled") / "ws"))
    spoil(folder, NEVER)
    counts: dict[str, int] = {}

    def count(moment: str) -> None:
        with closing(sqlite3.connect(folder / EXCHANGE_FILE)) as db:
            (counts[moment],) = db.execute("SELECT max(seen) FROM fault_counts").fetchone()

    with ExitStack() as stack:
        for moment in MOMENTS:
            stack.enter_context(when_it_says(moment, partial(count, moment)))
        carried_out(folder, SimulatedClock(NEXT_DAY))
    return counts


@pytest.mark.parametrize(
    ("moment", "outage"),
    [
        *((moment, "timeout_before") for moment in MOMENTS),
        *((moment, "gateway_timeout") for moment in (RELEASING, SELLING, BUYING, PROTECTING)),
        *((moment, "unauthorized") for moment in (SELLING, BOUGHT)),
    ],
)
def test_an_exchange_that_goes_away_is_waited_for_and_the_next_run_ends_the_day(
    folder: Path, capsys: Capture, calls_before: Mapping[str, int], moment: str, outage: str
) -> None:
    spoil(folder, {"call": "any", "do": outage, "occurrence": calls_before[moment] + 1, "times": 0})
    ends_in_one_sentence(say(capsys, *run_at(folder)), 4, AGAIN)
    spoil(folder)
    ends_well(say(capsys, *run_at(folder, LATER)))
    nothing_is_traded_twice(folder)


@pytest.mark.parametrize("moment", [RELEASING, SOLD, BUYING, PROTECTING])
def test_an_exchange_that_comes_back_with_other_positions_is_taken_as_it_is(
    folder: Path, capsys: Capture, calls_before: Mapping[str, int], moment: str
) -> None:
    spoil(folder, {"call": "any", "do": "timeout_after", "occurrence": calls_before[moment] + 1, "times": 0})
    assert say(capsys, *run_at(folder)).code == 4
    others = {"COMM": -100, "SN": 30, "MSFT": -40, "AXTA": -10}
    spoil(folder, NEVER, *({"call": "any", "do": "trade_outside", "of": t, "qty": q} for t, q in others.items()))
    ended = say(capsys, *run_at(folder, LATER))
    assert (ended.code, ended.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    nothing_is_traded_twice(folder)


# --- a mailbox that nobody can write to ---


def test_an_inbox_of_somebody_else_that_cannot_be_written_holds_up_no_trade(folder: Path, capsys: Capture) -> None:
    inboxes = folder / "Messages_Between_Departments" / "Inbox"
    inbox, logs = inboxes / "PORTFOLIO", set(inboxes.glob("COMPLIANCE/MSG_TRADING_*"))
    shutil.rmtree(inbox)
    inbox.write_bytes(b"a file where the inbox should be")
    said = say(capsys, *run_at(folder))
    ends_well(said)
    assert said.err.count("Messages to PORTFOLIO wait until they can be delivered") == 1
    inbox.unlink()
    ends_again(say(capsys, *run_at(folder, LATER)))
    told = set(inboxes.glob("COMPLIANCE/MSG_TRADING_*")) - logs  # of each order at the broker both are told
    assert len(list(inbox.iterdir())) == len(told) > 0


def ends_again(said: Said) -> None:
    """Check that a second run of the day ended it by a further attempt, or told what is left."""
    if said.document["status"] == "ALREADY_EXECUTED":
        assert said.code == said.document["exit_code"] == 1
        assert "left: " in said.document["message"]
        return
    ends_well(said)
    assert [a["attempt"] for a in said.document["attempts"]] == [1, 2]


# --- the clock jumps ---


class SettableClock(SimulatedClock):
    """A clock that somebody sets."""

    def jump(self, by: timedelta) -> None:
        self._now += by


JUMPS = {
    "three hours ahead": timedelta(hours=3),
    "over midnight": timedelta(hours=12),
    "a day ahead": timedelta(days=1),
    "half an hour back": timedelta(minutes=-30),
    "an hour back, before the market opens": timedelta(hours=-1),
}


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("moment", [SELLING, BUYING])
def test_a_clock_that_jumps_in_the_middle_may_cost_orders_but_no_promise(
    folder: Path, capsys: Capture, moment: str, jump: str
) -> None:
    clock = SettableClock(NEXT_DAY)
    with when_it_says(moment, partial(clock.jump, JUMPS[jump])):
        code = carried_out(folder, clock)
    ended = Said(code, *capsys.readouterr())
    ends_well(ended)
    assert clock.now() - NEXT_DAY - JUMPS[jump] < timedelta(minutes=3)  # no wait has become longer
    assert all(each["code"] and each["reason"] for n in ("deferred", "denied") for each in ended.document[n])
    again = say(capsys, *run_at(folder, LATER))
    ends_again(again)
    nothing_is_traded_twice(folder, steady=False)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("moment", [RELEASING, SOLD])
def test_an_interrupted_day_ends_at_any_later_time(folder: Path, capsys: Capture, moment: str, jump: str) -> None:
    with when_it_says(moment, interrupt):
        said = say(capsys, *run_at(folder))
    assert said.code == 130
    assert said.sentences == ["Interrupted; run the same command again to continue."]
    ends_well(say(capsys, *run_at(folder, NEXT_DAY + JUMPS[jump])))
    nothing_is_traded_twice(folder, steady=False)
