"""What a command costs before it works, and what `plan` costs with thousands of candidates: `make bench`.

The processor time of a command is compared with the time of `import typer`, which every command needs.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Departments.bootstrap import MESSAGES
from Departments.messaging.names import stem
from tests.benchmarks._measuring import ROOT, new_place, write_section
from tests.builders import desk as build

ROUNDS = 15
AT = "2025-11-10T15:05:42Z"
#: A process tells its own processor time, because Windows tells nobody what a child used.
PROCESS = "import atexit, sys, time; atexit.register(lambda: print(time.process_time(), file=sys.stderr)); "
REFERENCE = "import typer"
COMMAND = "from Departments.__main__ import main; sys.argv[0] = 'departments'; main()"
LIST, LOOK = 2.5, 4.0
PLANS = 5  # rounds of planning
#: Candidates of a plan, and the wanted seconds of processor time and megabytes at most.
WANTED = {1_000: (1.5, None), 10_000: (4.0, 100)}
SECTORS = ("Technology", "Healthcare", "Energy", "Financial Services", "Industrials", "Utilities", "Basic Materials")
#: Where the system tells it, a process also tells its largest memory, in kilobytes: on Linux by /proc, because what
#: `getrusage` says is at least what its parent had.
MEMORY = (
    "import atexit, contextlib, pathlib, re, sys\n"
    "def tell():\n"
    "    with contextlib.suppress(OSError):\n"
    "        text = pathlib.Path('/proc/self/status').read_text(encoding='utf-8')\n"
    "        return print(re.search(r'VmHWM:\\s+(\\d+)', text)[1], file=sys.stderr)\n"
    "    with contextlib.suppress(ImportError):\n"
    "        import resource\n"
    "        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    "atexit.register(tell)\n"
)


def processor_time(program: str, *arguments: str) -> float:
    """Run a program in a process of its own and return the seconds of processor time it used."""
    return float(spoken(PROCESS + program, *arguments)[-1])


def spoken(program: str, *arguments: str) -> list[str]:
    """Run a program in a process of its own and return the lines of its standard error."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=ROOT, env=environment)
    return done.stderr.splitlines()


def demo_workspace() -> Path:
    """Return a workspace after the demo's day."""
    folder = new_place("startup") / "demo"
    processor_time(COMMAND, "demo", "--json", "--workspace", str(folder))
    return folder


def commands(workspace: Path) -> dict[str, tuple[list[str], float | None]]:
    """Return the commands that are measured: their arguments, and the wanted ratio."""
    message = stem(min((workspace / MESSAGES / "Archive").rglob("*.md")).name)
    there = ["--workspace", str(workspace)]
    return {
        "--help": (["--help"], LIST),
        "inbox": (["inbox", *there], LOOK),
        "show ID": (["show", message, *there], LOOK),
        "dead-letters list": (["dead-letters", "list", *there], LOOK),
        "trace ID": (["trace", message, *there], None),
        "run --help": (["run", "--help"], None),
    }


def rows_of(workspace: Path) -> tuple[list[str], float]:
    """Measure all commands in alternating rounds; return the rows of the table, and the seconds of the reference."""
    wanted = commands(workspace)
    times: dict[str, list[float]] = {name: [] for name in (REFERENCE, *wanted)}
    for _ in range(ROUNDS):
        times[REFERENCE].append(processor_time(REFERENCE))
        for name, (arguments, _) in wanted.items():
            times[name].append(processor_time(COMMAND, *arguments))
    medians = {name: statistics.median(each) for name, each in times.items()}
    reference = medians[REFERENCE]
    return [row(name, medians[name], reference, most) for name, (_, most) in wanted.items()], reference


def row(name: str, seconds: float, reference: float, most: float | None) -> str:
    """Return one row: the command, its time, its ratio, and whether that is what was wanted."""
    ratio = seconds / reference
    verdict = "" if most is None else f"≤ {most} | {'reached' if ratio <= most else 'MISSED'}"
    return f"| `departments {name}` | {seconds * 1000:.0f} | {ratio:.2f} | {verdict or ' |'} |"


def brief(count: int) -> Path:
    """Return a workspace with a briefing of so many candidates as RESEARCH writes them, all of them good enough."""
    rng, folder = random.Random(count), new_place("plan")
    rows = [_candidate(rng, number) for number in range(count)]
    prices = {row["ticker"]: row["current_price"] for row in rows}
    build.workspace(folder, state={"cash": 100_000, "positions": {}, "prices": prices})
    build.deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", build.briefing(rows))
    return folder


def _candidate(rng: random.Random, number: int) -> dict[str, Any]:
    symbol = "".join(chr(ord("A") + number // 26**place % 26) for place in range(4))
    score, price, sector = round(rng.uniform(55, 90), 1), round(5 * 60 ** rng.random(), 2), rng.choice(SECTORS)
    news = {"score": 50.0, "summary": "Pending News Department analysis", "news_count": 0}
    technical = {"score": 100.0, "rsi": None, "macd": None, "details": "new_buys"}
    return build.candidate(symbol, score, price, sector, technical=technical, sentiment=news)


def plan_cost(count: int) -> tuple[float, float]:
    """Plan from so many candidates; return the seconds of processor time and the largest memory in megabytes."""
    folder = brief(count)
    options = ("--workspace", str(folder), "--exchange-state", str(folder / "state.yaml"), "--at", AT)
    *_, kilobytes, seconds = spoken(PROCESS + MEMORY + COMMAND, "plan", "--json", *options)
    return float(seconds), float(kilobytes) / 1024


def plan_rows(reference: float) -> list[str]:
    """Measure planning in alternating rounds and return the rows of its table."""
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in WANTED}
    for _ in range(PLANS):
        for count, costs in found.items():
            costs.append(plan_cost(count))
    return [plan_row(count, costs, reference) for count, costs in found.items()]


def plan_row(count: int, costs: Sequence[tuple[float, float]], reference: float) -> str:
    """Return one row: the candidates, seconds, ratio and megabytes, and whether that is what was wanted."""
    seconds, megabytes = (statistics.median(each) for each in zip(*costs, strict=True))
    most, room = WANTED[count]
    is_reached = seconds <= most and (room is None or megabytes <= room)
    wanted = f"≤ {most} s" + (f", ≤ {room} MB" if room else "")
    verdict = "reached" if is_reached else "MISSED"
    return f"| {count:,} | {seconds:.2f} | {seconds / reference:.0f} | {megabytes:.0f} | {wanted} | {verdict} |"


def main() -> None:
    """Measure, print, and write the section of benchmarks.md."""
    rows, reference = rows_of(demo_workspace())
    text = (
        f"# The start\n\nProcessor time, medians of {ROUNDS} alternating rounds, beside `python -c 'import typer'`.\n\n"
        "| Command | ms | ratio | wanted | |\n|---|--:|--:|---|---|\n" + "\n".join(rows) + "\n\n"
        f"`departments plan --json` in a new workspace, its start included, medians of {PLANS} alternating rounds.\n\n"
        "| Candidates | s of CPU | ratio | peak MB | wanted | |\n|--:|--:|--:|--:|---|---|\n"
        + "\n".join(plan_rows(reference))
    )
    print(text)
    write_section(text)


if __name__ == "__main__":
    main()
