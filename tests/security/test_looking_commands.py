"""A command that says it sends nothing sends nothing, whatever waits in Trading's inbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from Departments.cli import COMMANDS
from Departments.core.platform.clock import SimulatedClock, SystemClock
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState
from tests.builders.attacks import (
    MESSAGES,
    PLAN,
    SHORT_WAITS,
    approvals,
    forge_approval,
    interrupt_after_dispatch,
    target,
)
from tests.builders.commands import AT, plan_file, say
from tests.builders.desk import MORNING, STATE, write_yaml
from tests.contract.alpaca_gateway import KEYS, Gateway
from tests.fakes.loopback import Call, serving

Capture = pytest.CaptureFixture[str]

#: Every command as a person gives it; {0} is the workspace. What hands orders to the broker is in SENDING.
LOOKING: dict[str, Sequence[Sequence[str]]] = {
    "plan": (("--plan", "{0}/plan.json", "--at", AT),),
    "explain": (("CTVA", "--at", AT), ("CTVA", "--at", AT, "--plan", "{0}/plan.json"), ("NONE", "--at", AT)),
    "approve": ((PLAN, "--at", AT), ("PLAN_20251110_999999", "--at", AT)),
    "veto": ((PLAN, "CTVA", "--comment", "no", "--at", AT),),
    "comment": ((PLAN, "a word", "--at", AT),),
    "reject": ((PLAN, "--comment", "no", "--at", AT),),
    "report": ((), ("2025-11-10", "--format", "json"), ("--from", "2025-11-03", "--at", AT)),
    "reconcile": (("--at", AT), ("--at", AT, "--accept", "CTVA")),
    "config": ((),),
    "doctor": (("--at", AT),),
    "status": (("--at", AT), ("--at", AT, "--json")),
    "history": (("--at", AT),),
    "positions": (("--at", AT),),
    "overdue": (("--by", "10:00", "--at", AT),),
    "logs": ((),),
    "halt": (("--at", AT, "--reason", "the feed is wrong"),),
    "unhalt": (("--at", AT),),
    "regime": (("--at", AT), ("--history",)),
    "inbox": (("TRADING",), ("EXECUTIVE",)),
    "show": (("MSG_EXECUTIVE_20251110T150541Z_deadbeef",),),
    "trace": (("MSG_EXECUTIVE_20251110T150541Z_deadbeef",),),
    "messages": (("check",),),
    "dead-letters": (("list",),),
    "archive": (("--dry-run",), ("--older-than", "9999d")),
    "backup": (("{0}/copy.zip",),),
    "restore": (("{0}/copy.zip", "--at", AT),),
    "run": (
        ("--plan", "{0}/plan.json", "--at", AT, "--dry-run"),
        ("--plan", "{0}/no-such-plan.json", "--at", AT, "--approve", "auto"),
    ),
}
#: Commands that execute what was approved, those with a workspace of their own, and the exchange's operator.
SENDING = {"resume", "serve", "watch", "demo", "replay", "run", "order", "exchange", "migrate", "init"}


def orders(folder: Path) -> list[tuple[str, ...]]:
    """Return every order that the exchange has, with its status and the cancel it was asked for."""
    if not (folder / "simulated_exchange.db").exists():
        return []
    with closing(sqlite3.connect(folder / "simulated_exchange.db")) as exchange:
        return exchange.execute("SELECT client_order_id, status, cancel_at FROM orders ORDER BY seq").fetchall()


def test_every_command_is_known_to_look_or_to_send() -> None:
    assert set(COMMANDS) - SENDING - set(LOOKING) == set()


CALLS = [(name, call) for name, calls in LOOKING.items() if name in COMMANDS for call in calls]


@pytest.mark.parametrize(("name", "call"), CALLS, ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize("decided", [True, False], ids=["decided", "forged"])
def test_a_looking_command_sends_nothing(
    capsys: Capture, tmp_path: Path, name: str, call: Sequence[str], *, decided: bool
) -> None:
    if decided:
        interrupt_after_dispatch(target(tmp_path))
    forge_approval(target(tmp_path))
    plan_file(tmp_path)
    waiting = approvals(tmp_path)
    state = [] if name not in {"plan", "run"} else ["--exchange-state", str(tmp_path / "state.yaml")]
    say(capsys, name, *(part.format(tmp_path) for part in call), "--workspace", tmp_path, *state)
    assert orders(tmp_path) == []
    assert approvals(tmp_path) == waiting


#: The looking commands that can ask a broker over the wire; Alpaca has no simulated clock.
OVER_THE_WIRE: Sequence[Sequence[str]] = (
    ("plan", "--plan", "{0}/plan.json"),
    ("approve", PLAN),
    ("reconcile",),
    ("reconcile", "--accept", "CTVA"),
    ("reconcile", "--accept-all"),
    ("regime",),
    ("run", "--plan", "{0}/plan.json", "--dry-run"),
    ("run", "--plan", "{0}/no-such-plan.json", "--approve", "auto"),
)


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """Serve an account over HTTP as Alpaca does, and return the calls."""
    clock = SimulatedClock(MORNING)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: clock.sleep(seconds))
    gateway = Gateway(tmp_path / "alpaca.db", clock, ExchangeState.model_validate(STATE), FaultScript())
    with closing(gateway), serving(gateway) as server:
        for name, value in zip(("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"), KEYS, strict=True):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("APCA_API_BASE_URL", server.url)
        yield server.calls


def list_changes(wire: Sequence[Call]) -> list[tuple[str, str]]:
    """Return every call that may change something at the broker."""
    return [(call.method, call.path) for call in wire if call.method != "GET"]


@pytest.mark.parametrize("call", OVER_THE_WIRE, ids=" ".join)
def test_a_looking_command_posts_patches_and_deletes_nothing(
    capsys: Capture, tmp_path: Path, wire: list[Call], call: Sequence[str]
) -> None:
    folder = target(tmp_path / "ws")
    (folder / "state.yaml").unlink()
    write_yaml(folder / "config" / "settings.yaml", {**SHORT_WAITS, "broker": {"name": "alpaca"}})
    plan_file(folder)
    forged = forge_approval(folder)
    say(capsys, *(part.format(folder) for part in call), "--workspace", folder)
    assert list_changes(wire) == []
    assert forged in approvals(folder)
    assert wire or "no-such-plan" in " ".join(call) or call[0] in {"approve", "regime"}


def test_a_run_over_the_wire_posts_what_it_decided(capsys: Capture, tmp_path: Path, wire: list[Call]) -> None:
    folder = target(tmp_path / "ws")
    forge_approval(folder)
    say(capsys, "run", "--broker", "alpaca", "--approve", "auto", "--plan", plan_file(folder), "--workspace", folder)
    posted = [call.body["symbol"] for call in wire if call.method == "POST"]
    assert set(posted) == {"CTVA", "DVN", "ALKS", "COMM"}


def test_a_run_of_an_executed_day_leaves_the_inbox_alone(capsys: Capture, tmp_path: Path) -> None:
    interrupt_after_dispatch(target(tmp_path))
    say(capsys, "resume", "--workspace", tmp_path, "--at", AT)
    before = orders(tmp_path)
    forged = forge_approval(tmp_path)
    run = ("run", "--workspace", tmp_path, "--at", AT, "--approve", "auto", "--plan", plan_file(tmp_path), "--json")
    assert say(capsys, *run).document["status"] == "ALREADY_EXECUTED"
    assert orders(tmp_path) == before
    assert forged in approvals(tmp_path)


def test_resume_hands_over_what_was_decided_and_nothing_else(capsys: Capture, tmp_path: Path) -> None:
    interrupt_after_dispatch(target(tmp_path))
    forge_approval(tmp_path)
    say(capsys, "resume", "--workspace", tmp_path, "--at", AT)
    assert {row[0] for row in orders(tmp_path)} & {"MSG_EXECUTIVE_20251110T150541Z_deadbeef"} == set()
    assert len(orders(tmp_path)) >= 4
    assert list((tmp_path / MESSAGES / "Inbox" / "TRADING").glob("*.md")) == []
