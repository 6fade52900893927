"""What a command costs before it works: `make bench`.

The processor time of a command is compared with the time of `import typer`, which every command needs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Departments.bootstrap import MESSAGES
from Departments.messaging.names import stem
from tests.benchmarks._measuring import ROOT, new_place, write_section

ROUNDS = 15
#: A process tells its own processor time, because Windows tells nobody what a child used.
PROCESS = "import atexit, sys, time; atexit.register(lambda: print(time.process_time(), file=sys.stderr)); "
REFERENCE = "import typer"
COMMAND = "from Departments.__main__ import main; sys.argv[0] = 'departments'; main()"
LIST, LOOK = 2.5, 4.0


def processor_time(program: str, *arguments: str) -> float:
    """Run a program in a process of its own and return the seconds of processor time it used."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", PROCESS + program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=ROOT, env=environment)
    return float(done.stderr.splitlines()[-1])


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


def rows_of(workspace: Path) -> list[str]:
    """Measure all commands in alternating rounds and return the rows of the table."""
    wanted = commands(workspace)
    times: dict[str, list[float]] = {name: [] for name in (REFERENCE, *wanted)}
    for _ in range(ROUNDS):
        times[REFERENCE].append(processor_time(REFERENCE))
        for name, (arguments, _) in wanted.items():
            times[name].append(processor_time(COMMAND, *arguments))
    medians = {name: statistics.median(each) for name, each in times.items()}
    return [row(name, medians[name], medians[REFERENCE], most) for name, (_, most) in wanted.items()]


def row(name: str, seconds: float, reference: float, most: float | None) -> str:
    """Return one row: the command, its time, its ratio, and whether that is what was wanted."""
    ratio = seconds / reference
    verdict = "" if most is None else f"≤ {most} | {'reached' if ratio <= most else 'MISSED'}"
    return f"| `departments {name}` | {seconds * 1000:.0f} | {ratio:.2f} | {verdict or ' |'} |"


def main() -> None:
    """Measure, print, and write the section of benchmarks.md."""
    rows = rows_of(demo_workspace())
    text = (
        f"# The start\n\nProcessor time, medians of {ROUNDS} alternating rounds, beside `python -c 'import typer'`.\n\n"
        "| Command | ms | ratio | wanted | |\n|---|--:|--:|---|---|\n" + "\n".join(rows)
    )
    print(text)
    write_section(text)


if __name__ == "__main__":
    main()
