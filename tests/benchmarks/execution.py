"""What executing a plan costs beside the waiting: `make bench`, or `python tests/benchmarks/execution.py`.

The real desk, everything flushed, an exchange that fills at once, a clock that waits in no time. Beside it, in the
same session and alternating: the bare loop of the same orders at a fresh exchange. The run's flushes are counted. Then
the cost of an order in plans of 16, 160 and 1,600.
"""

from __future__ import annotations

import logging
import os
import platform
import sqlite3
import stat
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from Departments.bootstrap import MESSAGES, Choices, Desk, open_desk  # noqa: E402 - the project is found only now
from Departments.core import departments  # noqa: E402
from Departments.core.orders import Order, OrderRequest  # noqa: E402
from Departments.core.platform.clock import SimulatedClock  # noqa: E402
from Departments.exchange.exchange import SimulatedExchange  # noqa: E402
from Departments.exchange.state import load_exchange_state  # noqa: E402
from Departments.messaging.folders import INBOX, OUTBOX  # noqa: E402
from tests.benchmarks._measuring import flush_time, new_place, spent, write_section  # noqa: E402
from tests.benchmarks.bus import deliver_bare  # noqa: E402
from tests.builders.desk import MORNING, plan, trade, workspace  # noqa: E402
from tests.invariants.scenarios import INCIDENT, INCIDENT_STATE  # noqa: E402

ROUNDS = 9
#: Orders of a plan, positions held before it, and how often it is executed.
SIZES = ((16, 8, 9), (160, 80, 3), (1_600, 800, 1), (16, 800, 9))
FLUSHES, OVERHEAD, GROWTH = 3.5, 2.4, 1.3
Spent = tuple[float, float]  # seconds, and those of the processor
LETTER = bytes(700)  # about the size of a message
AT_ONCE = {"latency": {"fill": [0, 0], "cancel": [0, 0]}}


@dataclass(frozen=True)
class Case:
    """A plan, and the exchange and the limits under which all of it is executed (None: the shipped limits)."""

    plan: Mapping[str, Any]
    state: Mapping[str, Any]
    limits: Mapping[str, Any] | None = None

    @property
    def orders(self) -> int:
        return len(self.plan["trades"])

    def prepared(self, folder: Path) -> Path:
        """Make a workspace in which the departments have their folders, as after its first day."""
        settings = {"messaging": {"durability": "full"}}
        for box, department in product((INBOX, OUTBOX), departments.ALL):
            (folder / MESSAGES / box / department).mkdir(parents=True)
        return workspace(folder, state={**self.state, **AT_ONCE}, limits=self.limits, settings=settings)

    def desk(self, folder: Path, **choices: Any) -> Desk:
        """Open a new workspace's desk with the plan approved; everything that happens once has happened."""
        state = self.prepared(folder) / "state.yaml"
        desk = open_desk(folder, Choices(clock=SimulatedClock(MORNING), exchange_state=state, **choices))
        desk.work()
        desk.ceo.current_plan, desk.ceo.plan_approved = dict(self.plan), True
        return desk


INCIDENT_CASE = Case(INCIDENT, INCIDENT_STATE)


def wide_case(orders: int, positions: int) -> Case:
    """Return a plan that sells half of `orders` symbols of the `positions` that are held, and buys as many others."""
    half = orders // 2
    held, wanted = [f"H{number:04d}" for number in range(positions)], [f"W{number:04d}" for number in range(half)]
    position = {"qty": 100, "avg_entry_price": 40, "current_price": 40}
    limits = yaml.safe_load((ROOT / "config" / "hard_constraints.yaml").read_text(encoding="utf-8"))
    sizes = {"min_position_value": 1, "min_position_pct": 0, "max_positions_total": 10_000}
    limits["position_limits"] |= sizes
    limits["portfolio_risk"] |= {"max_portfolio_heat": 1}
    return Case(
        plan(*(trade(t, "BUY", 100, 40.0) for t in wanted), *(trade(t, "SELL", 100.0, 40.0) for t in held[:half])),
        {
            "cash": 4_000 * (orders + positions),
            "positions": dict.fromkeys(held, position),
            "prices": dict.fromkeys(wanted, 40),
        },
        limits,
    )


# --- measuring ---


def executed(case: Case, folder: Path) -> Spent:
    """Return the seconds from the approved plan to the written report, and those of the processor.

    Fails when an order was not filled.
    """
    desk = case.desk(folder)
    seconds = spent(desk.ceo.execute_plan)
    check(case, desk)
    desk.close()
    return seconds


def check(case: Case, desk: Desk) -> None:
    trades = desk.ledger.plans.trades(case.plan["plan_id"])
    if [t.status for t in trades] != ["filled"] * case.orders:
        raise SystemExit(f"not executed as planned: {Counter((t.side, t.status, t.code) for t in trades)}")


def looped(case: Case, folder: Path, requests: Sequence[OrderRequest]) -> Spent:
    """Return the seconds, and those of the processor, until a fresh exchange has filled the same orders."""
    exchange, loop = opened(case, folder, requests)
    seconds = spent(loop)
    exchange.close()
    return seconds


def opened(case: Case, folder: Path, requests: Sequence[OrderRequest]) -> tuple[SimulatedExchange, Callable[[], None]]:
    """Return a fresh exchange, and what sends all requests there."""
    state = load_exchange_state(case.prepared(folder) / "state.yaml")
    exchange = SimulatedExchange(folder / "exchange.db", SimulatedClock(MORNING), state=state)

    def loop() -> None:
        for request in requests:
            exchange.submit(request)
        exchange.orders()  # the last one fills, too

    return exchange, loop


def bared(case: Case, folder: Path, requests: Sequence[OrderRequest], counted: Flushes) -> Spent:
    """Return the seconds of the loop with the run's commits and message files, by bare code: the layout's limit.

    As many commits, each flushed, of as many letters; as many files, as many of them archived.
    """
    exchange, loop = opened(case, folder, requests)
    letters, archived = counted.labels["publish.deliver"], counted.labels["archive"]
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE letters (data BLOB)"):
        connection.execute(statement)
    for box in ("new", "inbox", "outbox", "archive"):
        (folder / box).mkdir()
    waiting = [str(number) for number in range(letters)]

    def work() -> None:
        loop()
        for number in range(commits := counted.steps.count("commit")):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO letters VALUES (?)", [(LETTER,)] * len(waiting[number::commits]))
            connection.execute("COMMIT")
            for name in waiting[number::commits]:
                deliver_bare(str(folder), name, LETTER)
        for name in waiting[:archived]:
            os.rename(f"{folder}/inbox/{name}", f"{folder}/archive/{name}")

    seconds = spent(work)
    connection.close()
    exchange.close()
    return seconds


@dataclass
class Flushes:
    """The durable steps of a run, in their order, and how often the desk announced each step."""

    steps: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    changes: Callable[[], int] = int
    before: int = 0

    def begin(self, changes: Callable[[], int]) -> None:
        """Count from now on; `changes` says how much was ever written to the ledger."""
        self.steps.clear()
        self.labels.clear()
        self.changes, self.before = changes, changes()

    def step(self, label: str) -> None:
        """Listen to the desk; a commit of nothing is not flushed."""
        when, _, name = label.partition(":")
        if when == "after":
            self.labels[name] += 1
        if label == "after:ledger.commit" and self.changes() > self.before:
            self.steps.append("commit")
            self.before = self.changes()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See every flush of a file or folder as it is asked of the system."""
        fsync = os.fsync

        def see(descriptor: Any) -> None:
            self.steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
            fsync(descriptor)

        os.fsync = see  # type: ignore[assignment]
        try:
            yield
        finally:
            os.fsync = fsync

    def told(self) -> str:
        """Name what is paid for."""
        return ", ".join(f"{number} × {kind}" for kind, number in sorted(Counter(self.steps).items()))


def watched(case: Case, folder: Path) -> tuple[Flushes, list[OrderRequest]]:
    """Execute once and return its durable steps and what it asked of the exchange."""
    flushes = Flushes()
    desk = case.desk(folder, step=flushes.step)
    connection = desk.ledger._db._connection
    flushes.begin(lambda: int(connection.total_changes))
    with flushes.watching():
        desk.ceo.execute_plan()
    check(case, desk)
    requests = [_request(order) for order in desk.broker.orders("all")]
    desk.close()
    return flushes, requests


def _request(order: Order) -> OrderRequest:
    take_profit, stop_loss = order.legs or (None, None)
    return OrderRequest(
        order.client_order_id, order.symbol, order.side, order.qty, order.type, order.time_in_force,
        limit_price=order.limit_price, order_class=order.order_class,
        take_profit=take_profit.limit_price if take_profit else None,
        stop_loss=stop_loss.stop_price if stop_loss else None,
    )  # fmt: skip


# --- telling ---


@dataclass(frozen=True)
class Overhead:
    """Medians, in seconds, each with that of the processor."""

    own: Spent
    loop: Spent
    bare: Spent
    counted: Flushes
    orders: int

    @property
    def ratio(self) -> float:
        return self.own[0] / self.loop[0]

    @property
    def flushes(self) -> float:
        return len(self.counted.steps) / self.orders


def overhead(case: Case, places: Iterator[Path]) -> Overhead:
    """Measure both in every round, one after the other."""
    counted, requests = watched(case, next(places))
    rounds = [
        (
            executed(case, next(places)),
            looped(case, next(places), requests),
            bared(case, next(places), requests, counted),
        )
        for _ in range(ROUNDS)
    ]
    own, loop, bare = (_find_medians(times) for times in zip(*rounds, strict=True))
    return Overhead(own, loop, bare, counted, case.orders)


def _find_medians(times: Sequence[Spent]) -> Spent:
    seconds, processor = zip(*times, strict=True)
    return statistics.median(seconds), statistics.median(processor)


def growth(places: Iterator[Path]) -> dict[tuple[int, int], float]:
    """Return the µs an order costs by the size of its plan and of the account."""
    return {
        (orders, positions): statistics.median(
            executed(wide_case(orders, positions), next(places))[0] / orders * 1e6 for _ in range(rounds)
        )
        for orders, positions, rounds in SIZES
    }


def told(found: Overhead, grown: Mapping[tuple[int, int], float], flush: float) -> str:
    """Write everything as Markdown. `flush` is the seconds that a flush takes."""
    smallest, largest = min(grown), max(grown)
    growing, alike = grown[largest] / grown[smallest], grown[largest] / grown[smallest[0], largest[1]]
    rows = [
        (f"flushes an order, {INCIDENT_CASE.orders} orders", found.flushes, FLUSHES),
        (
            f"own time / bare loop, {INCIDENT_CASE.orders} orders (limit {found.bare[0] / found.loop[0]:.2f})",
            found.ratio,
            OVERHEAD,
        ),
        (f"cost of an order in a plan of {largest[0]:,} / of {smallest[0]}, the same account", alike, GROWTH),
        (
            f"cost of an order in a plan of {largest[0]:,} / in one of {smallest[0]}, the account as large",
            growing,
            GROWTH,
        ),
    ]
    lines = [
        "# The execution\n",
        "From the approved plan to the written report, everything flushed, an exchange that fills at once, no waiting;",
        f"{ROUNDS} alternating rounds, medians. {platform.system()} {platform.machine()}, {os.cpu_count()} cores,",
        f"Python {platform.python_version()}. To write and flush one small file took {flush * 1e3:.2f} ms: the slower",
        "the disk, the less the desk's own work weighs. Absolute numbers drift; use the ratios.\n",
        f"| The plan of the incident, {INCIDENT_CASE.orders} orders | ms | of them processor time |",
        "|---|--:|--:|",
        *(
            f"| {what} | {seconds * 1e3:.1f} | {processor * 1e3:.1f} |"
            for what, (seconds, processor) in (
                ("executed by the desk", found.own),
                ("bare loop of the same orders at a fresh exchange", found.loop),
                ("that loop with the same commits and files by bare code (the limit)", found.bare),
            )
        ),
        f"\nFlushes of the run: {found.counted.told()}; a commit is one.",
        "\n| Orders in a plan | positions held before | µs an order |",
        "|--:|--:|--:|",
        *(f"| {orders:,} | {positions} | {cost:,.0f} |" for (orders, positions), cost in grown.items()),
        "\n| Target | measured | wanted | |",
        "|---|--:|--:|---|",
        *(
            f"| {what} | {value:.2f} | ≤ {wanted} | {'reached' if value <= wanted else 'MISSED'} |"
            for what, value, wanted in rows
        ),
        "\nApprovals that wait together share one look at the account, and a BUY is judged on all positions: what it",
        "costs grows with them, and not with the orders that came before it.",
        "\nThe run's steps as it announces them: "
        + ", ".join(f"{number} × {label}" for label, number in sorted(found.counted.labels.items()))
        + ".\n",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print and write `benchmarks.md`, which says of every target whether it was reached."""
    logging.disable()
    places = map(partial(_numbered, new_place("execution")), count())
    executed(INCIDENT_CASE, next(places))  # what is imported on first use is imported now
    flush = flush_time(next(places))
    found, grown = overhead(INCIDENT_CASE, places), growth(places)
    text = told(found, grown, flush)
    print(text)
    write_section(text)
    return 0


def _numbered(place: Path, number: int) -> Path:
    return place / str(number)


if __name__ == "__main__":
    raise SystemExit(main())
