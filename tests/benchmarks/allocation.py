"""How near to the optimum the allocation comes, and what it costs: `make bench`.

Quality: on random days min(deployed, target) is compared with the optimum of an integer program under the same limits.
Speed: planning with 10,000 candidates is timed beside one pass of sorting and checking them, and its growth is shown.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Departments.core.money import ONE, shares_to_reach
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.Operations.allocation import allocate
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing
from Departments.Operations.filling import Pick, Room
from Departments.Operations.planning import make_plan
from Departments.Operations.selection import best_first, select
from Departments.Operations.sizing import Sized, Sizer
from tests.benchmarks._measuring import write_section
from tests.builders.operations import basis, briefing, candidate, random_day

ROOT = Path(__file__).resolve().parents[2]
SECTION = "# The allocation"
DAYS = 300
AVERAGE, WORST, TIMES = 0.995, 0.98, 5.0
COUNTS = (1_000, 3_000, 10_000, 30_000)

#: The candidates of 2025-11-10 that scored 55 or more: ticker, price, score, sector.
BRIEFED = (
    ("COMM", "16.992", "74.8", "Technology"),
    ("ALKS", "33.01", "73.6", "Healthcare"),
    ("BANC", "17.29", "72.8", "Financial Services"),
    ("CRDO", "170.77", "72.8", "Technology"),
    ("AXTA", "28.97", "70.4", "Basic Materials"),
    ("SN", "95.185", "68", "Consumer Cyclical"),
    ("CVE", "17.575", "67.2", "Energy"),
    ("ESI", "27.715", "66.8", "Basic Materials"),
    ("BKR", "48.045", "65.6", "Energy"),
    ("DBX", "30.93", "65.2", "Technology"),
    ("BBIO", "62.71", "64.8", "Healthcare"),
    ("ARQT", "24.565", "58.8", "Healthcare"),
    ("EXAS", "67.59", "58.8", "Healthcare"),
    ("ROKU", "103.376", "58.8", "Communication Services"),
    ("CF", "82.545", "56", "Basic Materials"),
    ("OPCH", "27.29", "55.2", "Healthcare"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """The picks of one day, what they may have together, and what is held already (dollars)."""

    picks: Sequence[Pick]
    room: Room
    held: float


def case_of(day: Briefing, there: Basis) -> Case:
    """Return a day as an allocation problem."""
    selection = select(day, there, weak=False)
    sizer = Sizer(there, there.facts)
    sized = [s for s in map(sizer.size, selection.candidates) if isinstance(s, Sized)]
    return Case([s.pick for s in sized], sizer.room(sized, aim_at_positions=True), float(there.facts.invested))


def briefed_case(cash: int) -> Case:
    """Return the candidates of 2025-11-10 on an account that is all cash."""
    candidates = tuple(candidate(*row) for row in BRIEFED)
    return case_of(briefing(*candidates), basis(cash=cash, candidates=candidates))


def optimum(case: Case) -> float:
    """Return the most dollars up to the goal that any choice of whole shares can put to work."""
    picks, n = case.picks, len(case.picks)
    if not picks or case.room.need <= 0:
        return 0.0
    prices = np.array([float(p.price) for p in picks])
    least = np.array([float(max(ONE, shares_to_reach(case.room.minimum - p.held, p.price))) for p in picks])
    most = np.array([float(p.most) for p in picks])
    opens = np.array([float(p.opens) for p in picks])
    zeros, none = np.zeros(n), np.zeros(1)
    rows = [np.concatenate([prices, zeros, none]), np.concatenate([zeros, opens, none])]
    highs = [float(min(case.room.money, Decimal(10) ** 12)), float(case.room.places)]
    for sector, room in case.room.sectors.items():
        rows.append(np.concatenate([prices * [float(p.sector == sector) for p in picks], zeros, none]))
        highs.append(float(room))
    linked = [
        LinearConstraint(np.hstack([np.eye(n), -np.diag(most), np.zeros((n, 1))]), ub=0),
        LinearConstraint(np.hstack([np.eye(n), -np.diag(least), np.zeros((n, 1))]), lb=0),
        LinearConstraint(np.array(rows), ub=np.array(highs)),
        LinearConstraint(np.concatenate([prices, zeros, [-1.0]])[None, :], lb=0),
    ]
    found = milp(
        np.concatenate([zeros, zeros, [-1.0]]),
        constraints=linked,
        integrality=np.concatenate([np.ones(2 * n), none]),
        bounds=Bounds(0, np.concatenate([most, np.ones(n), [float(case.room.goal)]])),
        options={"time_limit": 10, "mip_rel_gap": 1e-4},
    )
    return float(-found.fun)


def share_of_optimum(case: Case) -> tuple[float, float]:
    """Return the share of the optimum that is put to work, with what is held and of the added capital alone."""
    best = optimum(case)
    spent = float(min(allocate(case.picks, case.room).spent, case.room.goal))
    whole = (case.held + spent) / (case.held + best) if case.held + best else 1.0
    return whole, spent / best if best else 1.0


def one_pass(day: Briefing, there: Basis) -> None:
    """Sort the candidates and let the engine check each once: what planning cannot do without."""
    for found in sorted(day.candidates, key=best_first):
        there.judge(Trade(found.symbol, Side.BUY, Decimal(100), found.price, found.score, found.sector))


def timed(work: Callable[[], object], times: int = 3) -> float:
    """Return the best of several runs, in seconds."""
    runs = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        runs.append(time.perf_counter() - start)
    return min(runs)


def speeds() -> Iterator[tuple[int, float, float]]:
    """Yield (candidates, seconds of planning, seconds of one pass), every candidate above the threshold."""
    for count in COUNTS:
        day, there = random_day(7, count=count)
        day = replace(day, candidates=tuple(c.model_copy(update={"score": Decimal(60)}) for c in day.candidates))
        yield count, timed(partial(make_plan, day, there)), timed(partial(one_pass, day, there))


def told(
    whole: list[float], added: list[float], briefed: dict[int, float], times: list[tuple[int, float, float]]
) -> str:
    """Return the section of `benchmarks.md`."""
    lines = [
        f"{SECTION}\n",
        f"min(deployed, target) beside the optimum of an integer program under the same limits, {DAYS} random days.\n",
        "| Share of the optimum | average | worst | wanted |",
        "|---|--:|--:|---|",
        f"| deployed, with what is held | {statistics.mean(whole):.3%} | {min(whole):.3%} | 99.5 % and 98 % |",
        f"| of the added capital alone | {statistics.mean(added):.3%} | {min(added):.3%} | |",
        *(f"| briefing of 2025-11-10, ${cash:,} in cash | {share:.3%} | | |" for cash, share in briefed.items()),
        "\n| Candidates | planned in s | one pass of sorting and checking in s | ratio | µs a candidate |",
        "|--:|--:|--:|--:|--:|",
        *(f"| {n:,} | {plan:.3f} | {base:.3f} | {plan / base:.2f} | {1e6 * plan / n:.0f} |" for n, plan, base in times),
        "\nWanted for 10,000 candidates: a ratio of at most 5.\n",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print and write `benchmarks.md`; return 1 where a target is missed."""
    shares = [share_of_optimum(case_of(*random_day(seed))) for seed in range(DAYS)]
    whole, added = [w for w, _ in shares], [a for _, a in shares]
    briefed = {cash: share_of_optimum(briefed_case(cash))[0] for cash in (20_000, 98_950, 1_000_000)}
    times = list(speeds())
    text = told(whole, added, briefed, times)
    print(text)
    write_section(text)
    ratio = next(plan / base for count, plan, base in times if count == 10_000)
    good = statistics.mean(whole) >= AVERAGE and min((*whole, *briefed.values())) >= WORST and ratio <= TIMES
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
