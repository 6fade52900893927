"""Set up and run the project: for people, make and continuous integration.

python scripts/dev.py run     the demo (set up first)
python scripts/dev.py quick   the unit tests, in under 40 seconds
python scripts/dev.py check   linters, types, import contracts, dead code
python scripts/dev.py test    the checks and all tests
python scripts/dev.py cover   all tests again, with the lines and branches not covered
python scripts/dev.py docs    the generated pages of docs/
python scripts/dev.py bench   measurements, written to benchmarks.md
python scripts/dev.py soak    types on the other platforms, long crash tests
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    ("vulture",),
)
TESTS = ("pytest", "-n", "auto", "--dist", "worksteal", "-m", "not soak and not bench")
SOAK = (("mypy", "--platform", "win32"), ("mypy", "--platform", "darwin"), ("pytest", "-m", "soak", "-s"))
COMMANDS = {
    "run": (("Departments", "demo"),),
    "quick": ((*TESTS, "tests/unit"),),
    "check": CHECKS,
    "test": (*CHECKS, TESTS),
    "cover": ((*TESTS, "--cov", "--cov-report=term-missing"),),
    "docs": (("scripts/write_docs.py",),),
    "soak": SOAK,
}
IN_MEMORY = {"quick", "test", "cover"}  # `soak` and `bench` need the disk itself
MEMORY = Path("/dev/shm")  # noqa: S108 - Linux keeps it in memory; pytest makes a folder of its own there
ROOM = 2_000_000_000  # bytes
EXTRAS = {"run": "", "docs": "", "bench": "[test,bench]"}


def main(name: str) -> int:
    """Set up for a command and run its parts. Return the first nonzero exit code."""
    set_up(EXTRAS.get(name, "[test]"))
    parts = COMMANDS.get(name) or tuple((str(p),) for p in sorted((ROOT / "tests" / "benchmarks").glob("[!_]*.py")))
    for part in parts:
        code = run_part(part, environment(name))
        if code:
            return code
    if name == "bench":
        shutil.rmtree(ROOT / "build")  # the wheel that was measured
    return 0


def environment(name: str, memory: Path = MEMORY, room: int = ROOM) -> dict[str, str]:
    """Return the environment of a command. Where Linux has room in memory, tests write their files there.

    Then no test waits for a disk. Whoever sets PYTEST_DEBUG_TEMPROOT chooses another place.
    """
    if name in IN_MEMORY and memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > room:
        return {"PYTEST_DEBUG_TEMPROOT": str(memory), **os.environ}
    return dict(os.environ)


def run_part(part: tuple[str, ...], environ: dict[str, str]) -> int:
    """Run a module, a script or a line of Python in the environment."""
    launch = [part[0]] if part[0].startswith("-") or part[0].endswith(".py") else ["-m", part[0]]
    print(f"$ {' '.join(part)}", file=sys.stderr, flush=True)
    return subprocess.run([str(PYTHON), *launch, *part[1:]], cwd=ROOT, env=environ, check=False).returncode


def set_up(extras: str) -> None:
    """Make .venv and install the project, unless it is current for pyproject.toml."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest() + extras
    marker = VENV / f"installed{extras.replace('[', '-').replace(']', '').replace(',', '-')}"
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return
    if sys.version_info < (3, 11):  # noqa: UP036 - older versions get as far as this line
        raise SystemExit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    print("Setting up .venv; this takes a minute, once …", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-e", f".{extras}"], cwd=ROOT, check=True)
    marker.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {*COMMANDS, "bench"}:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1]))
