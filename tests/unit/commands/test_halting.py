"""A person halts BUYs and SELLs, or BUYs alone: what is sent, what is shown, and what goes on."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.halts import Halt, HaltScope
from Departments.core.orders import Purpose, Side
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from tests.builders.commands import AT, Said, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import MORNING, desk, plan, trade, workspace
from tests.invariants.scenarios import NEXT_DAY, SETTINGS, SMALL, STATE, carry_out

LATER = "2025-11-10T15:30:00Z"
HALT = Halt(HaltScope.ALL, "the feed is wrong", "ann@desk", MORNING)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path)


def halt(capsys: Capture, folder: Path, *more: str, at: str = AT) -> Said:
    return say(capsys, "halt", "--workspace", folder, "--at", at, "--reason", "the feed is wrong", *more)


def unhalt(capsys: Capture, folder: Path, *more: str) -> Said:
    return say(capsys, "unhalt", "--workspace", folder, "--at", AT, *more)


def run(capsys: Capture, folder: Path, *more: str | Path) -> Said:
    return say(capsys, *run_of(folder, "--plan", plan_file(folder), "--json", *more))


def outcomes(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The status and the code of the last attempt at each SELL and BUY."""
    phases = [p for p in document["phases"] if p["name"] in {"SELL", "BUY"}]
    return {o["ticker"]: (o["status"], o["code"]) for p in phases for o in p["orders"]}


DEFERRED, FILLED = ("deferred", "DESK_HALTED"), ("filled", "")


def test_a_halted_desk_sends_nothing_and_names_the_halt(folder: Path, capsys: Capture) -> None:
    said = halt(capsys, folder)
    assert said.code == 0
    assert "BUYs and SELLs are halted by" in said.out
    assert "since 2025-11-10 10:05 EST: the feed is wrong." in said.out
    assert "departments unhalt" in said.out
    document = run(capsys, folder).document
    assert set(outcomes(document).values()) == {DEFERRED}
    assert document["exit_code"] == 1
    (named,) = document["halts"]
    assert (named["scope"], named["reason"], named["since"]) == (
        "all",
        "the feed is wrong",
        "2025-11-10T15:05:42.000000Z",
    )
    report = (folder / "Reports" / f"{document['plan_id']}.md").read_text(encoding="utf-8")
    assert "## Halt" in report
    assert "the feed is wrong" in report


def test_after_the_halt_the_same_plan_is_finished(folder: Path, capsys: Capture) -> None:
    halt(capsys, folder)
    run(capsys, folder)
    said = unhalt(capsys, folder)
    assert (said.code, "Ended: BUYs and SELLs" in said.out) == (0, True)
    document = run(capsys, folder, "--at", LATER).document
    assert set(outcomes(document).values()) == {FILLED}
    assert (document["status"], document["halts"], document["exit_code"]) == ("COMPLETED", [], 0)


def test_a_halt_of_buys_lets_the_sells_go(folder: Path, capsys: Capture) -> None:
    halt(capsys, folder, "--buys")
    document = run(capsys, folder).document
    assert outcomes(document) == {"CTVA": FILLED, "DVN": FILLED, "ALKS": DEFERRED, "COMM": DEFERRED}
    assert document["halts"][0]["scope"] == "buys"


def test_the_plan_and_its_review_name_the_halt(folder: Path, capsys: Capture) -> None:
    halt(capsys, folder)
    deliver_briefing(folder)
    said = say(capsys, "plan", "--workspace", folder, "--at", AT, "--exchange-state", folder / "state.yaml", "--json")
    assert any("are halted by" in note and "departments unhalt" in note for note in said.document["plan"]["notes"])
    assert any("are halted by" in concern for concern in said.document["review"]["concerns"])


def test_a_dry_run_decides_as_the_halted_run_does(folder: Path, capsys: Capture) -> None:
    halt(capsys, folder)
    assert set(outcomes(run(capsys, folder, "--dry-run").document).values()) == {DEFERRED}


@pytest.mark.parametrize(
    ("more", "side", "is_refused"),
    [((), "SELL", True), (("--buys",), "BUY", True), (("--buys",), "SELL", False)],
)
def test_an_order_by_hand_is_refused_before_it_is_made(
    folder: Path, capsys: Capture, more: tuple[str, ...], side: str, *, is_refused: bool
) -> None:
    halt(capsys, folder, *more)
    symbol = "CTVA" if side == "SELL" else "ALKS"
    options: list[str | Path] = ["--exchange-state", folder / "state.yaml", "--approve", "auto", "--at", AT]
    said = say(capsys, "order", side, symbol, "150", "--workspace", folder, *options)
    assert said.code == 1  # a halt in force is something that a person has to look at
    assert ("is not ordered: " in said.err and "departments unhalt" in said.err) is is_refused
    assert (" filled" in said.out) is not is_refused


def test_a_halt_between_the_phases_holds_for_the_orders_that_wait(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        opened.beside = lambda: halt_after_a_sell(opened.ledger)  # type: ignore[method-assign]
        document = carry_out(opened, SMALL)
    assert outcomes(document) == {"CTVA": FILLED, "DVN": FILLED, "ALKS": DEFERRED, "COMM": DEFERRED}


def halt_after_a_sell(ledger: Ledger) -> None:
    if ledger.halts.find() is None and ledger.orders.has_any():
        ledger.halts.begin(HALT)


def test_trading_asks_for_the_halt_at_each_order_though_its_facts_are_young(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    other = closing(Ledger(tmp_path / "sentinel.db"))
    with other as beside:

        def step(label: str) -> None:
            if label == "after:exchange.submit" and beside.halts.find() is None:
                beside.halts.begin(HALT)

        with closing(desk(tmp_path, step=step)) as opened:
            document = carry_out(opened, SMALL)
    assert outcomes(document)["CTVA"] == FILLED
    assert outcomes(document)["DVN"] == ("denied", "DESK_HALTED")


def test_exits_are_restored_and_given_while_everything_is_halted(tmp_path: Path) -> None:
    """Yesterday's shares are released for a SELL that the halt then stops: they have their exits again."""
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        carry_out(opened, SMALL)
    sells = plan(trade("ALKS", "SELL", 150.0, 32.66), plan_id="PLAN_2", generated_at="2025-11-11T15:00:00.000000Z")
    with closing(desk(tmp_path, at=NEXT_DAY, faults={"faults": []})) as opened:
        opened.beside = lambda: halt_after_release(opened.ledger)  # type: ignore[method-assign]
        document = carry_out(opened, sells)
        exits = [o for o in opened.ledger.orders.find_open() if o.purpose is Purpose.EXIT and o.symbol == "ALKS"]
        bare = opened.ledger.shares_without_exits(exits_wanted=True)
    assert outcomes(document) == {"ALKS": DEFERRED}
    assert [p["name"] for p in document["phases"] if p["orders"]] == ["RELEASE", "SELL", "PROTECT"]
    assert exits
    assert not bare.get("ALKS")


def halt_after_release(ledger: Ledger) -> None:
    if ledger.halts.find() is None and ledger.releases.find_released("ALKS", "PLAN_2"):
        ledger.halts.begin(HALT)


def test_exits_are_not_taken_away_for_a_sell_that_is_halted(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        carry_out(opened, SMALL)
    sells = plan(trade("ALKS", "SELL", 150.0, 32.66), plan_id="PLAN_2", generated_at="2025-11-11T15:00:00.000000Z")
    with closing(desk(tmp_path, at=NEXT_DAY, faults={"faults": []})) as opened:
        opened.ledger.halts.begin(HALT)
        document = carry_out(opened, sells)
        released = opened.ledger.releases.find_released("ALKS", "PLAN_2")
    assert outcomes(document) == {"ALKS": DEFERRED}
    assert released == []


# --- the command ---


def test_a_halt_needs_a_reason(folder: Path, capsys: Capture) -> None:
    said = say(capsys, "halt", "--workspace", folder, "--reason", "  ")
    assert said.code == 2
    assert "--reason: a halt needs a reason; write departments halt --reason" in said.err
    assert not (folder / "sentinel.db").exists()


def test_a_folder_that_is_no_workspace_is_not_halted(tmp_path: Path, capsys: Capture) -> None:
    said = halt(capsys, tmp_path)
    assert said.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_second_halt_takes_the_place_of_the_first_and_is_ended_once(folder: Path, capsys: Capture) -> None:
    halt(capsys, folder, "--buys")
    said = halt(capsys, folder)
    assert "It takes the place of: BUYs are halted by" in said.out
    assert unhalt(capsys, folder, "--json").document["halt"]["scope"] == "all"
    said = unhalt(capsys, folder)
    assert (said.code, said.out) == (0, "Nothing is halted.\n")


def test_an_open_order_is_named_because_the_halt_does_not_cancel_it(folder: Path, capsys: Capture) -> None:
    sold = OrderRecord("MSG_1", "MSG_1", "CTVA", Side.SELL, D(190), "market", created_at=MORNING)
    with closing(Ledger(folder / "sentinel.db")) as ledger, ledger.transaction():
        ledger.orders.intend(sold)
    assert "Open at the broker, and not cancelled by this: SELL 190 CTVA." in halt(capsys, folder).out
    assert halt(capsys, folder, "--buys", "--json").document["open_orders"] == []


# --- the ledger ---


@pytest.mark.parametrize("fails_at", ["before", "after"])
def test_a_kill_leaves_the_old_halt_or_the_new_one(tmp_path: Path, fails_at: str) -> None:
    class Killed(BaseException):
        pass

    def step(label: str) -> None:
        if armed and label.startswith(fails_at):
            raise Killed

    armed = False
    newer = replace(HALT, scope=HaltScope.BUYS, halted_at=MORNING + timedelta(minutes=5))
    with closing(Ledger(tmp_path / "sentinel.db", step=step)) as ledger:
        ledger.halts.begin(HALT)
        armed = True
        with pytest.raises(Killed):
            ledger.halts.begin(newer)
        armed = False
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        assert ledger.halts.find() == (HALT if fails_at == "before" else newer)


def test_there_is_at_most_one_halt_in_force(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "sentinel.db")) as one, closing(Ledger(tmp_path / "sentinel.db")) as other:
        one.halts.begin(HALT)
        other.halts.begin(replace(HALT, scope=HaltScope.BUYS))
        found = one.halts.find()
        assert found is not None
        assert found.scope is HaltScope.BUYS
        assert one.halts.end("ann@desk", MORNING) == found
        assert other.halts.find() is None
