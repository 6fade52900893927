"""The import contracts: a new module is inside all of them, what calls itself pure is held to it, nothing is dead."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "Departments"
CHECK = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package and its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "Departments", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def broken(folder: Path) -> str:
    """Return what the contracts say about a package, on one line; nothing where they are kept."""
    command = [sys.executable, "-c", CHECK, "--no-cache"]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", cwd=folder)
    return " ".join(done.stdout.split()) if done.returncode else done.stderr


def plant(folder: Path, module: str, *imported: str) -> None:
    path = folder / module.replace(".", "/")
    lines = [f"import {name}" for name in imported]
    with path.with_suffix(".py").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", *lines, ""]))


def test_the_contracts_are_kept(copy: Path) -> None:
    assert broken(copy) == ""


@pytest.mark.parametrize("module", ["Departments.planted", "Departments.Trading.planted", "Departments.core.planted"])
def test_a_new_module_is_inside_every_contract(copy: Path, module: str) -> None:
    plant(copy, module, "sqlite3", "time", "yaml", "Departments.brokers.alpaca.broker")
    said = broken(copy)
    for library in ("sqlite3", "time", "yaml"):
        assert f"- {module} -> {library} (l." in said
    assert "Only the registry picks a concrete broker BROKEN" in said


def test_a_new_room_needs_a_place_in_the_layers(copy: Path) -> None:
    plant(copy, "Departments.planted")
    assert "Layers: cli, bootstrap, departments, plumbing, core BROKEN" in broken(copy)


def test_a_pure_module_cannot_open_files(copy: Path) -> None:
    plant(copy, "Departments.core.money", "os")
    assert "Pure modules do no input or output BROKEN" in broken(copy)


# --- what calls itself pure ---


def tool(name: str) -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"][name])


def contract_of_pure_modules() -> list[str]:
    (contract,) = (c for c in tool("importlinter")["contracts"] if c["name"].startswith("Pure"))
    return list(contract["source_modules"])


def docstrings(path: Path) -> str:
    """Return all docstrings of a module; a package's own only names its modules, whose own count."""
    tree = ast.parse(path.read_bytes())
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [] if path.name == "__init__.py" else [node for node in ast.walk(tree) if isinstance(node, holders)]
    return "\n".join(ast.get_docstring(node) or "" for node in nodes)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_module_that_calls_itself_pure_is_held_to_it() -> None:
    held = tuple(contract_of_pure_modules())
    claimed = [module_of(p) for p in PACKAGE.rglob("*.py") if re.search(r"\bpure\b", docstrings(p), re.IGNORECASE)]
    assert len(claimed) > 5
    assert [name for name in claimed if not any(f"{name}.".startswith(f"{each}.") for each in held)] == []


# --- what nobody calls ---


def test_every_name_that_dead_code_is_excused_by_is_needed() -> None:
    settings = tool("vulture")
    search = pytest.importorskip("vulture").Vulture(ignore_decorators=settings["ignore_decorators"])
    search.scavenge([str(ROOT / path) for path in settings["paths"]])
    uncalled = {item.name for item in search.get_unused_code(min_confidence=60)}
    assert set(settings["ignore_names"]) - uncalled == set()
