"""The command line as a user meets it: what is written where, and what it ends with."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from Departments.cli import run_command
from tests.builders.desk import briefing, candidate, deliver, two_and_two, write_yaml

AT = "2025-11-10T15:05:42Z"
BRIEFING = "MSG_RESEARCH_20251110T150509Z_0badcafe.md"


@dataclass(frozen=True)
class Said:
    """One command's end: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Return standard output as one JSON document; anything else there is an error."""
        read: dict[str, Any] = json.loads(self.out)
        return read

    @property
    def sentences(self) -> list[str]:
        """Return standard error without the log."""
        return [line for line in self.err.splitlines() if line and not line[:2].isdigit()]

    def phase(self, name: str) -> dict[str, Any]:
        """Return a phase of the document."""
        return next(p for p in self.document["phases"] if p["name"] == name)

    def order(self, symbol: str) -> dict[str, Any]:
        """Return the SELL or BUY of a symbol."""
        found = [o for n in ("SELL", "BUY") for o in self.phase(n)["orders"] if o["ticker"] == symbol]
        (only,) = found
        return dict(only)


def say(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Said:
    """Give one command."""
    capsys.readouterr()
    code = run_command([str(a) for a in arguments])
    captured = capsys.readouterr()
    return Said(code, captured.out, captured.err)


def run_of(folder: Path, *more: str | Path) -> list[str | Path]:
    """Return `run` in a workspace on the morning of the incident, approved at once."""
    state: list[str | Path] = ["--exchange-state", folder / "state.yaml"] if (folder / "state.yaml").exists() else []
    return ["run", "--workspace", folder, "--at", AT, "--approve", "auto", *state, *more]


def plan_file(folder: Path, document: Mapping[str, Any] | None = None) -> Path:
    """Write a plan file; the default is two SELLs and two BUYs."""
    path = folder / "plan.json"
    path.write_text(json.dumps(document or two_and_two()), encoding="utf-8")
    return path


def fault_file(folder: Path, *faults: Mapping[str, Any]) -> Path:
    """Write a fault script."""
    return write_yaml(folder / "faults.yaml", {"faults": [dict(f) for f in faults]})


def candidates() -> list[dict[str, Any]]:
    """Return five candidates that can be bought."""
    rows = [("ALKS", 79.6, 32.66), ("COMM", 77.8, 17.02), ("AXTA", 73.4, 28.64), ("SN", 73.0, 96.19)]
    return [candidate(t, score, price, f"Sector {t}") for t, score, price in rows]


def deliver_briefing(folder: Path, rows: Sequence[Mapping[str, Any]] | None = None) -> Path:
    """Put the day's briefing into Operations' inbox."""
    return deliver(folder, "OPERATIONS", BRIEFING, briefing(candidates() if rows is None else rows))


def contents(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its hash."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def launched(*arguments: str | Path, cwd: Path, program: Sequence[str] = ("-m", "Departments")) -> Said:
    """Run a command in a process of its own, with nobody at its keyboard."""
    command = [sys.executable, *program, *map(str, arguments)]
    done = subprocess.run(
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, cwd=cwd, encoding="utf-8"
    )
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """A demo that was run: its workspace, and what the command said."""

    folder: Path
    said: Said
