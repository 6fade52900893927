"""Random days: faults at the exchange, policies, and kills at random steps, all of it from one seed."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from Departments.core.errors import DepartmentsError
from Departments.core.platform.clock import SimulatedClock
from tests.builders.desk import write_yaml
from tests.invariants.kinds import is_durable
from tests.invariants.promises import Promises
from tests.invariants.scenarios import HAPPY, RELEASE_DAY, SETTINGS, Scenario

PRICES = {"CTVA": 64.64, "DVN": 33.61, "ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19}
QUESTIONS = ("order_by_client_id", "orders", "account", "positions", "quotes")
RESTARTS = 12


class Killed(BaseException):
    """The process has ended here; not even `finally` may be relied on, for the disk was copied before."""


@dataclass
class Schedule:
    """One random day."""

    seed: int
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def scenario(self) -> Scenario:
        base = self.random.choice((HAPPY, RELEASE_DAY))
        settings = {**SETTINGS, "phases": {phase: self._phase(phase) for phase in ("sell", "buy")}}
        faults = tuple(self._fault() for _ in range(self.random.randint(0, 10)))
        slippage = ("0", "0", "0.02", "0.05")[self.seed % 4]
        state = {**base.state, "cash": self.random.choice((16_000, 9_000, 2_000)), "slippage": slippage}
        return Scenario(f"seed {self.seed}", base.plan, state, settings, faults, base.before, base.at)

    def _phase(self, phase: str) -> dict[str, Any]:
        r = self.random
        waits: dict[str, Any] = {
            "timeout": r.choice((5, 20, 60)),
            "final_wait": r.choice((0, 5, 30)),
            "poll": r.choice((1, 3)),
        }
        waits["on_timeout"] = r.choice(("cancel", "cancel", "leave", "abort"))
        return waits | ({"shortfall": r.choice(("by_priority", "pro_rata", "strict"))} if phase == "buy" else {})

    def _fault(self) -> dict[str, Any]:
        r = self.random
        fault = r.choice((*[self._spoiled_submit] * 2, self._spoiled_cancel, self._outage, *[self._upset] * 2))()
        return {"occurrence": r.randint(1, 4), "times": r.randint(1, 3), **fault}

    def _spoiled_submit(self) -> dict[str, Any]:
        r = self.random
        fault: dict[str, Any] = {"call": "submit", "occurrence": 1, "symbol": r.choice(list(PRICES))}
        deed = r.choice(
            ("refuse", "timeout_before", "timeout_after", "gateway_timeout", "malformed", "rate_limit", "server_error",
             "reject", "partial_then_silence", "cash_lag", "invisible")
        )  # fmt: skip
        if deed in {"cash_lag", "invisible"}:
            fault["seconds"] = r.randint(1, 40)
        if deed == "partial_then_silence":
            fault |= {"part": r.choice((0.1, 0.5, 0.9))} | ({"seconds": r.randint(1, 30)} if r.random() < 0.5 else {})
        if deed == "invisible":
            fault["times"] = 1
        return {**fault, "do": deed}

    def _spoiled_cancel(self) -> dict[str, Any]:
        deed = self.random.choice(("fill_on_cancel", "stuck_cancel", "timeout_before", "timeout_after"))
        stuck = {"seconds": self.random.randint(1, 90)} if deed == "stuck_cancel" else {}
        return {"call": "cancel", "do": deed, **stuck}

    def _outage(self) -> dict[str, Any]:
        deed = self.random.choice(("timeout_before", "rate_limit", "server_error", "malformed", "unauthorized"))
        call = self.random.choice((*QUESTIONS, "any"))
        return {"call": call, "do": deed, "occurrence": self.random.randint(1, 30), "times": self.random.randint(1, 8)}

    def _upset(self) -> dict[str, Any]:
        r = self.random
        symbol = r.choice(list(PRICES))
        change = r.choice(
            (
                {"do": "halt", "seconds": r.randint(1, 120)},
                {"do": "trade_outside", "qty": r.choice((-500, -60, -1, 25))},
                {"do": "set_price", "price": round(PRICES[symbol] * r.choice((0.85, 0.97, 1.04, 1.2)), 2)},
            )
        )
        return {"call": r.choice(QUESTIONS), "occurrence": r.randint(1, 14), "of": symbol, "times": 1, **change}

    # --- living through it ---

    def run(self, folder: Path) -> Counter[str]:
        """Live through the day with kills until its execution has ended, then check every promise; count what was."""
        scenario, clock = self.scenario(), SimulatedClock(HAPPY.at)
        scenario.prepare(folder)
        at, kills = scenario.at, self.random.randint(0, 3)
        counts = Counter[str]()
        for start in range(RESTARTS):
            clock = SimulatedClock(at)
            killer = _Killer(folder, self.random.randint(1, 250) if start < kills else 0, clock)
            try:
                scenario.play(folder, clock, killer.step)
            except Killed:
                counts["kills"] += 1
                killer.promises.disk.close()
                shutil.rmtree(folder)
                killer.image.rename(folder)
                at = clock.now() + timedelta(seconds=self.random.choice((0, 0, 1, 45)))
            except DepartmentsError:
                counts["stops"] += 1
                at = clock.now() + timedelta(seconds=5)
            else:
                break
        else:
            raise AssertionError(f"the day did not end within {RESTARTS} starts")
        calm(folder)
        scenario.play(folder, SimulatedClock(_later(clock.now())))
        promises = Promises(folder)
        promises.check()
        return counts + reached(promises)


def reached(promises: Promises) -> Counter[str]:
    """Count where the orders, phases and executions of a day have got to, and what others did meanwhile."""
    orders, books = promises.exchange.sent, promises.books
    counts = Counter(f"{order['side']} {order['order_class']} {order['status']}" for order in orders)
    counts += Counter(f"filled in part and {o['status']}" for o in orders if o["filled_qty"] not in {"0", o["qty"]})
    counts += Counter(f"{phase['name']} {phase['outcome']}" for phase in books.phases)
    counts += Counter(trade["code"] for trade in books.trades if trade["code"])
    return counts + Counter({"sold or bought by others": len(promises.exchange.adjustments)})


def calm(folder: Path) -> None:
    """Take the faults away, so that everything that can end ends."""
    if (folder / "faults.yaml").exists():
        write_yaml(folder / "faults.yaml", {"faults": []})


def _later(now: datetime) -> datetime:
    return now + timedelta(minutes=5)


@dataclass
class _Killer:
    """Copies the disk at the `at`-th announcement of a durable step and ends the run; 0 is never."""

    folder: Path
    at: int
    clock: SimulatedClock
    seen: int = 0
    promises: Promises = field(init=False)

    def __post_init__(self) -> None:
        self.promises = Promises(self.folder)

    @property
    def image(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-killed")

    def step(self, label: str) -> None:
        if self.image.exists():
            return  # what the dead process does in its `finally` blocks happens to a folder that is thrown away
        self.promises.step(label)
        self.seen += is_durable(label)
        if self.seen == self.at:
            shutil.copytree(self.folder, self.image)
            raise Killed
