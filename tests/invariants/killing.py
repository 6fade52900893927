"""Killing a day at a durable step: as an image of the disk at that moment, or for real in a child process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from Departments.core.moments import iso, parse_iso
from Departments.core.platform.clock import SimulatedClock
from Departments.ledger.generations import AMONG_MESSAGES
from Departments.messaging import codec
from tests.builders.copies import take_the_place
from tests.invariants.kinds import Moment, Recorder, is_durable
from tests.invariants.promises import ENDED, Promises
from tests.invariants.reading import MESSAGES, Exchange, Row
from tests.invariants.scenarios import ALL, DEMO, Scenario

ROOT = Path(__file__).resolve().parents[2]
TIMES = frozenset({"started_at", "ended_at", "submitted_at", "terminal_at", "approved_at"})
IDS = frozenset({"plan_id", "message_id", "client_order_id"})
KILLED = 77


@dataclass(frozen=True)
class Outcome:
    """How a day ended, without its times: the final document, the report and what the exchange did."""

    document: Mapping[str, Any]
    report: str
    orders: frozenset[tuple[str, ...]]
    messages: Mapping[tuple[str, ...], int]

    @classmethod
    def of(cls, scenario: Scenario, folder: Path, document: Mapping[str, Any], exchange: Exchange) -> Outcome:
        plan_id = str(document["plan_id"])
        lines = (folder / "Reports" / f"{plan_id}.md").read_text(encoding="utf-8").splitlines()
        with_times = (" to 20", "**Approved**", "no live exits")
        told = [line for line in lines if not any(words in line for words in with_times)]
        sent = frozenset(map(_of_order, exchange.sent))
        document = {**document, "unprotected": _stretches(document["unprotected"])}
        if scenario is not DEMO:
            return cls(_timeless(document), "\n".join(told), sent, _messages(folder))
        text = "\n".join(told).replace(plan_id, "the plan")
        return cls(_nameless(_timeless(document)), text, frozenset(order[1:] for order in sent), {})


def _nameless(value: Any) -> Any:
    """Take out the ids that depend on the moment at which a plan was made."""
    if isinstance(value, dict):
        return {k: _nameless(v) for k, v in value.items() if k not in IDS}
    return [_nameless(v) for v in value] if isinstance(value, list) else value


def _stretches(unprotected: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, bool]]:
    """Return which shares stood without exits, and whether they still do; when they did is not what is compared."""
    return sorted((s["ticker"], s["qty"], s["until"] is None) for s in unprotected)


def _of_order(order: Row) -> tuple[str, ...]:
    fields = ("client_order_id", "symbol", "side", "qty", "filled_qty", "filled_value")
    return (*(order[f] for f in fields), order["status"] if order["status"] in ENDED else "open")


def _messages(folder: Path) -> Mapping[tuple[str, ...], int]:
    """Count the messages of each kind by what they answer, for ids carry times."""
    found: Counter[tuple[str, ...]] = Counter()
    for path in (folder / MESSAGES / "Outbox").rglob("*.md"):
        message = codec.decode(path.read_bytes(), name=path.name)
        payload = message.payload or {}
        about = message.parent_message_id or payload.get("ticker") or ""
        found[message.sender, message.recipient, message.message_type, str(about), str(payload.get("status"))] += 1
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _copied(source: str, target: str) -> None:
    """Copy what is written to; a message is only ever moved, so another name for it will do."""
    if MESSAGES in source and not source.endswith(AMONG_MESSAGES.name):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


@dataclass
class Camera:
    """Copies the workspace at some announcements of durable steps, which are known by their numbers from 1."""

    clock: SimulatedClock
    folder: Path
    into: Path
    wanted: Sequence[Moment]
    seen: int = 0
    taken: list[tuple[str, Path, datetime]] = field(default_factory=list)

    def step(self, label: str) -> None:
        self.seen += is_durable(label)
        due = self.wanted[len(self.taken) : len(self.taken) + 1]
        if due and is_durable(label) and due[0].number == self.seen:
            assert label == due[0].label
            image = self.into / f"{self.seen:04d}"
            shutil.copytree(self.folder, image, copy_function=_copied)
            take_the_place(image, self.folder)
            self.taken.append((f"{self.seen} {label}", image, self.clock.now()))


def recorded(scenario: Scenario, folder: Path) -> tuple[Recorder, Outcome]:
    """Live through a day undisturbed, with every promise checked, and sort its steps by kind."""
    promises = Promises(folder)
    recorder = Recorder(promises)
    document = scenario.play(scenario.prepare(folder), SimulatedClock(scenario.at), recorder.step)
    promises.check()
    recorder.end()
    return recorder, Outcome.of(scenario, folder, document, promises.exchange)


def unkilled(scenario: Scenario, folder: Path) -> Outcome:
    """Live through a day undisturbed, with every promise checked."""
    return resumed(scenario, scenario.prepare(folder), scenario.at)


def images(scenario: Scenario, folder: Path, into: Path, wanted: Sequence[Moment]) -> list[tuple[str, Path, datetime]]:
    """Live through a day and return the disk as it lay at some moments: what a kill there leaves behind."""
    clock = SimulatedClock(scenario.at)
    camera = Camera(clock, folder, into, wanted)
    scenario.play(folder, clock, camera.step)
    assert len(camera.taken) == len(wanted)
    return camera.taken


def resumed(scenario: Scenario, folder: Path, at: datetime) -> Outcome:
    """Start (again) where a workspace stands, run to the end, check every promise."""
    promises, clock = Promises(folder), SimulatedClock(at)
    document = scenario.play(folder, clock, promises.step)
    promises.check()
    return Outcome.of(scenario, folder, document, promises.exchange)


# --- for real ---


@dataclass
class Killer:
    """Ends the process, without any clean-up, at the `at`-th announcement of a durable step."""

    at: int
    clock: SimulatedClock
    note: Path
    seen: int = field(default=0)

    def step(self, label: str) -> None:
        if is_durable(label):
            self.seen += 1
            if self.seen == self.at:
                self.note.write_text(json.dumps([iso(self.clock.now()), label]), encoding="utf-8")
                os._exit(KILLED)


def killed_for_real(scenario: Scenario, folder: Path, at: int) -> tuple[datetime, str] | None:
    """Run the day in a child process that dies at an announcement; None when it ended before that."""
    note = folder.with_suffix(".killed")
    code = _forked(scenario, folder, at, note) if hasattr(os, "fork") else _spawned(scenario, folder, at, note)
    if code == 0:
        return None
    if code != KILLED:
        raise AssertionError(f"the child ended with {code}")
    when, label = json.loads(note.read_text(encoding="utf-8"))
    return parse_iso(when), label


def _forked(scenario: Scenario, folder: Path, at: int, note: Path) -> int:
    """Fork where that exists: everything is imported already."""
    if sys.platform != "win32":
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                _live(scenario, folder, at, note)
                os._exit(0)
            os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    raise AssertionError("there is no fork here")


def _spawned(scenario: Scenario, folder: Path, at: int, note: Path) -> int:
    command = [sys.executable, "-m", "tests.invariants.killing", scenario.name, str(folder), str(at), str(note)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _live(scenario: Scenario, folder: Path, at: int, note: Path) -> None:
    clock = SimulatedClock(scenario.at)
    scenario.play(folder, clock, Killer(at, clock, note).step)


def main(name: str, folder: str, at: str, note: str) -> None:
    """Live through a day that is named; what a child process is started with."""
    _live(next(s for s in ALL if s.name == name), Path(folder), int(at), Path(note))


if __name__ == "__main__":
    main(*sys.argv[1:5])
