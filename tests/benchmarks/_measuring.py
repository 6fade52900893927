"""What all measurements share: a stopwatch, a look at the disk, and `benchmarks.md` with one section each."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

from Departments.core.platform.places import LOCKS
from Departments.messaging import disk

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "benchmarks.md"


def write_section(text: str, path: Path = FILE) -> None:
    """Replace the section that `text` is, told by its first line (`# The bus`); the others stay as they are."""
    heading = text.strip().splitlines()[0].removeprefix("# ")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [part.strip() for part in ("\n" + before).split("\n# ") if part.strip()]
    kept = [f"# {part}" for part in parts if part.splitlines()[0] != heading]
    path.write_text("\n\n".join([*kept, text.strip()]) + "\n", encoding="utf-8", newline="\n")


def new_place(name: str) -> Path:
    """Return a new folder below `build`, which `make bench` removes when all is measured; mutexes are in it, too.

    Not before: ext4 is slow to create files where many were removed in the last minutes.
    """
    (ROOT / "build").mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"bench_{name}_", dir=ROOT / "build"))
    os.environ[LOCKS] = str(place / "locks")  # not among the user's own
    return place


def flush_time(place: Path, count: int = 200) -> float:
    """Return the seconds that it takes to write a small new file and to flush it, one after the other."""
    place.mkdir(parents=True)

    def write() -> None:
        for number in range(count):
            disk.write_new(str(place / str(number)), bytes(900), flush=True)

    return timed(write) / count


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, without garbage collection and what others left to be written."""
    return spent(work)[0]


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that `work` takes, and those of its processor time: the rest waits for the disk, or others."""
    if sys.platform != "win32":
        os.sync()
    gc.collect()
    gc.disable()
    try:
        begun, used = perf_counter(), process_time()
        work()
        return perf_counter() - begun, process_time() - used
    finally:
        gc.enable()
