"""The Research department of a project, found by reading its code: the hook that makes the day's briefing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_MODULE: Final = "Departments.Research.research_department"
_CLASS, _METHOD, _CLIENT = "ResearchDepartment", "generate_daily_briefing", "AlpacaClient"
_DATABASE: Final = "sentinel.db"


def find_briefing_hook(root: Path) -> dict[str, Any] | None:
    """Return the keys of `operations.briefing` for a project, or None without a Research department.

    Its class takes the database, and a client of the account where the project has one: without it a briefing knows
    no holdings.
    """
    found = _find_class(root / "Departments" / "Research" / "research_department.py", _CLASS)
    if found is None or not any(isinstance(each, ast.FunctionDef) and each.name == _METHOD for each in found.body):
        return None
    takes = _list_arguments(found)
    client = _find_client(root) if "alpaca_client" in takes else None
    if client is None:
        arguments = {"arguments": {"db_path": _DATABASE}} if "db_path" in takes else {}
        return {"module": f"{_MODULE}:{_CLASS}.{_METHOD}", **arguments}
    given = f"db_path={_DATABASE!r}, alpaca_client={_CLIENT}()" if "db_path" in takes else f"alpaca_client={_CLIENT}()"
    code = f"from {_MODULE} import {_CLASS}; from {client} import {_CLIENT}; print({_CLASS}({given}).{_METHOD}())"
    return {"command": ["python", "-c", code]}


def _find_client(root: Path) -> str | None:
    """Return the module of the project that defines its client of the account."""
    for path in _list_modules(root):
        if _find_class(path, _CLIENT) is not None:
            return ".".join(path.relative_to(root).with_suffix("").parts)
    return None


def _list_modules(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("*.py"))
    for folder in ("Utils", "utils", "Departments"):
        yield from sorted((root / folder).rglob("*.py"))


def _find_class(path: Path, name: str) -> ast.ClassDef | None:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    return next((each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name), None)


def _list_arguments(found: ast.ClassDef) -> set[str]:
    for each in found.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return {argument.arg for argument in (*each.args.args, *each.args.kwonlyargs)}
    return set()
