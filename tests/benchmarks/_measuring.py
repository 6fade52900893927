"""What all measurements share: a stopwatch, and the file `benchmarks.md` with one section each."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

FILE = Path(__file__).resolve().parents[2] / "benchmarks.md"


def write_section(text: str, path: Path = FILE) -> None:
    """Replace the section that `text` is, told by its first line (`# The bus`); the others stay as they are."""
    heading = text.strip().splitlines()[0].removeprefix("# ")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [part.strip() for part in ("\n" + before).split("\n# ") if part.strip()]
    kept = [f"# {part}" for part in parts if part.splitlines()[0] != heading]
    path.write_text("\n\n".join([*kept, text.strip()]) + "\n", encoding="utf-8", newline="\n")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, garbage collection kept out of it."""
    gc.collect()
    gc.disable()
    try:
        begun = perf_counter()
        work()
        return perf_counter() - begun
    finally:
        gc.enable()
