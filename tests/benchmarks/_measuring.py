"""What all measurements share: a stopwatch, a look at the disk, and `benchmarks.md` with one section each."""

from __future__ import annotations

import gc
import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from Departments.messaging import files

FILE = Path(__file__).resolve().parents[2] / "benchmarks.md"


def write_section(text: str, path: Path = FILE) -> None:
    """Replace the section that `text` is, told by its first line (`# The bus`); the others stay as they are."""
    heading = text.strip().splitlines()[0].removeprefix("# ")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [part.strip() for part in ("\n" + before).split("\n# ") if part.strip()]
    kept = [f"# {part}" for part in parts if part.splitlines()[0] != heading]
    path.write_text("\n\n".join([*kept, text.strip()]) + "\n", encoding="utf-8", newline="\n")


def flush_time(place: Path, count: int = 50) -> float:
    """Return the median of the seconds that it takes to write a small new file and to flush it."""
    place.mkdir(parents=True)

    def write(number: int) -> None:
        files.write_new(str(place / str(number)), bytes(900), flush=True)

    return statistics.median(timed(partial(write, number)) for number in range(count))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, without garbage collection and what others left to be written."""
    if sys.platform != "win32":
        os.sync()
    gc.collect()
    gc.disable()
    try:
        begun = perf_counter()
        work()
        return perf_counter() - begun
    finally:
        gc.enable()
