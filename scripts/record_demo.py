"""Record the demo as docs/demo.svg: run it in a process of its own and draw what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 118
FIRST, LAST = 12, 44  # lines shown: the plan's beginning, the day and its end
TARGET = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"


def record() -> str:
    """Return the lines of a demo, without its temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "Departments", "demo", "--workspace", f"{folder}/demo"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ)
        lines = done.stdout.decode("utf-8").replace(folder, "~").splitlines()
        return "\n".join([*lines[:FIRST], "…", *lines[-LAST:]])


def draw(text: str) -> str:
    """Return an SVG of a terminal with the text."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text.from_ansi(f"$ departments demo\n{text}"), soft_wrap=True)
        return console.export_svg(title="departments demo")


if __name__ == "__main__":
    TARGET.write_text(draw(record()), encoding="utf-8")
    print(f"wrote {TARGET}")
