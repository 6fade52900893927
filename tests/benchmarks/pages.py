"""What reports and pages cost: `make bench`. Processor time, because wall clocks are disturbed by neighbours."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Departments.bootstrap import Choices, open_desk
from Departments.core.approvers import AUTOMATIC
from Departments.core.platform.clock import SimulatedClock
from Departments.Executive.day_order import DayOrder, Executed
from Departments.web.application import House, make_application
from Departments.web.sessions import Doorkeeper, make_link
from tests.benchmarks._measuring import new_place, spent, write_section
from tests.benchmarks.startup import COMMAND, demo_workspace, processor_time
from tests.builders.desk import MORNING, plan, trade, workspace
from tests.builders.years import write_days

ROUNDS, DAYS, ORDERS = 9, 250, 300
REPORT, PAGE, SIZE = 1.0, 0.3, 300_000
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def median(work: Callable[[], object]) -> float:
    """Return the median of the processor seconds of several rounds; the first only warms up."""
    work()
    return statistics.median(spent(work)[1] for _ in range(ROUNDS))


def measure_commands(year: Path) -> dict[str, float]:
    """Measure commands, each in a process of its own, with all that it imports."""
    demo = demo_workspace()
    bounds = ("--from", "2025-01-01", "--to", "2025-12-31")
    given = {
        "departments report": ("report", "--workspace", str(demo)),
        f"departments report --from --to, {DAYS} days": ("report", "--workspace", str(year), *bounds),
    }
    return {
        name: statistics.median(processor_time(COMMAND, *arguments) for _ in range(ROUNDS))
        for name, arguments in given.items()
    }


def measure_large_day(folder: Path) -> tuple[float, int]:
    """Execute a plan with many orders, and measure its page: seconds, and bytes."""
    names = [f"S{number:03d}" for number in range(ORDERS)]
    limits = {"position_limits": {"max_positions_total": 400, "min_position_pct": 0.0001, "min_position_value": 1}}
    state = {"cash": 1_000_000, "positions": {}, "prices": dict.fromkeys(names, 20.0)}
    workspace(folder, state=state, limits=limits)
    desk = open_desk(folder, Choices(clock=SimulatedClock(MORNING), exchange_state=folder / "state.yaml"))
    made = desk.day.plan(DayOrder(plan=plan(*(trade(name, "BUY", 100, 20.0) for name in names))))
    filed = desk.day.approve(made.filed.plan.plan_id, AUTOMATIC, made.filed).filed
    end = desk.day.execute(filed)
    if not isinstance(end, Executed) or end.document["status"] != "COMPLETED":
        raise SystemExit("not executed as planned")
    seconds, size = median(lambda: desk.pages.render(filed.plan)), len(desk.pages.render(filed.plan).encode())
    desk.close()
    return seconds, size


def measure_page(year: Path) -> float:
    """Measure the page of a year's days as the server answers it."""
    doors = Doorkeeper(b"k" * 32, lambda: NOW)
    house = House(year, Choices(clock=SimulatedClock(MORNING)), doors, frozenset({"testserver"}))
    client = TestClient(make_application(house))
    token = make_link(doors.key, "bench@here", NOW)
    client.post("/enter", data={"token": token}, follow_redirects=False)

    def look() -> None:
        if client.get("/days").text.count("<tr>") != DAYS + 1:
            raise SystemExit("the page has not every day")

    return median(look)


def row(name: str, value: str, wanted: str, *, is_reached: bool) -> str:
    """Return one row of the table."""
    return f"| {name} | {value} | {wanted} | {'reached' if is_reached else 'MISSED'} |"


def main() -> None:
    """Measure, print, and write the section of benchmarks.md."""
    year = workspace(new_place("year") / "ws")
    write_days(year / "sentinel.db", DAYS)
    seconds, size = measure_large_day(new_place("large") / "ws")
    page = measure_page(year)
    rows = [
        row(f"`{name}`", f"{value:.2f} s", f"≤ {REPORT} s", is_reached=value <= REPORT)
        for name, value in measure_commands(year).items()
    ]
    rows += [
        row(f"page of a day with {ORDERS} orders", f"{seconds:.2f} s", f"≤ {REPORT} s", is_reached=seconds <= REPORT),
        row("its size", f"{size / 1000:.0f} kB", f"≤ {SIZE // 1000} kB", is_reached=size <= SIZE),
        row(f"`/days` of {DAYS} days, by the server", f"{page:.3f} s", f"≤ {PAGE} s", is_reached=page <= PAGE),
    ]
    text = (
        f"# Reports and pages\n\nProcessor time, medians of {ROUNDS} rounds; a command is a whole process.\n\n"
        "| | measured | wanted | |\n|---|--:|--:|---|\n" + "\n".join(rows) + "\n"
    )
    print(text)
    write_section(text)


if __name__ == "__main__":
    main()
