"""Scripts of an existing project, run unchanged at a fixed time, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import freezegun
import yaml

from Departments.bootstrap import Choices, open_desk
from Departments.core.platform.clock import SimulatedClock

#: What the Python of a hook runs first: its clock goes on from the moment of the script.
_CLOCK = """
import os
if "FIXED_AT" in os.environ:
    import freezegun
    freezegun.freeze_time(os.environ["FIXED_AT"], tick=True).start()
"""
#: Runs a script once for each moment, and prints what it ended with and what it left.
_RUNS = """
import io, json, os, runpy, sys, time
from contextlib import redirect_stdout
from pathlib import Path
site, script, runs = sys.argv[1:4]
sys.path.append(site)
import freezegun
if hasattr(time, "tzset"):
    time.tzset()
ended = []
for moment, environ in json.loads(runs):
    os.environ.update({**environ, "FIXED_AT": moment})
    folder, day, code = Path(script).parent, moment[:10], 0
    mail = folder / f"mail_{day}.txt"
    mail.unlink(missing_ok=True)
    with freezegun.freeze_time(moment, tick=True), redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code
    for name in environ:
        del os.environ[name]
    results = json.loads((folder / f"automated_trading_results_{day}.json").read_text(encoding="utf-8"))
    ended.append([code, results, mail.read_text(encoding="utf-8") if mail.exists() else ""])
print(json.dumps(ended))
"""


@dataclass(frozen=True)
class Morning:
    """A run of the daily script: its exit code, the results file and the mail that it left."""

    code: int
    results: dict[str, Any]
    mail: str

    @property
    def outcome(self) -> tuple[int, str]:
        """Return the exit code and the status of the results file."""
        return self.code, self.results["status"]


def run_mornings(root: Path, *runs: tuple[str, Mapping[str, str]], installed: bool = True) -> list[Morning]:
    """Run a project's daily script, unchanged, at moments (ISO, UTC), each with an environment.

    It is started from another folder. `installed` is False for a Python in which our package is not installed.
    """
    site = root.parent / "clock"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_CLOCK, encoding="utf-8")
    packages = str(Path(freezegun.__file__).resolve().parents[1])
    beside = {"PYTHONPATH": str(site), "TZ": "America/Los_Angeles", "STANDIN_SECONDS": "0", "PYTHONIOENCODING": "utf-8"}
    words = [sys.executable, *([] if installed else ["-S"]), "-c", _RUNS, packages]
    done = subprocess.run(
        [*words, str(root / "run_automated_trading.py"), json.dumps(runs)],
        cwd=root.parent,
        env={**os.environ, **beside},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return [Morning(*each) for each in json.loads(done.stdout)]


def use_exchange(root: Path, settings: Path, at: datetime) -> None:
    """Put the simulated exchange in place of the account, with the project's own cash, positions and prices."""
    read: dict[str, Any] = yaml.safe_load(settings.read_text(encoding="utf-8"))
    fast = {"sell": {"poll": 0.05}, "buy": {"poll": 0.05}, "release": {"poll": 0.05}, "protect": {"poll": 0.05}}
    changed = {**read, "broker": {"name": "simulated"}, "phases": fast, "messaging": {"durability": "fast"}}
    settings.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
    account = json.loads((root / "stand_in_account.json").read_text(encoding="utf-8"))
    universe = json.loads((root / "research_universe.json").read_text(encoding="utf-8"))
    state = {
        "cash": account["cash"],
        "positions": {p["symbol"]: _position(p) for p in account["positions"]},
        "prices": {row["ticker"]: row["current_price"] for row in universe["candidates"]},
    }
    (root / "state.yaml").write_text(yaml.safe_dump(state), encoding="utf-8")
    with closing(open_desk(root, Choices(clock=SimulatedClock(at), exchange_state=root / "state.yaml"))) as desk:
        desk.broker.account()


def _position(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"qty": row["qty"], "avg_entry_price": row["entry_price"], "current_price": row["price"]}
