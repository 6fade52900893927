"""The hooks that a project's own departments can be, found by reading its code and never by running it.

Its Research makes the day's briefing, its News adds scores to it, its optimiser proposes. The keys are those of
`operations` in the settings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_MODULE: Final = "Departments.Research.research_department"
_CLASS, _METHOD, _CLIENT = "ResearchDepartment", "generate_daily_briefing", "AlpacaClient"
_DATABASE: Final = "sentinel.db"
#: Where our adapters to a project's departments are. A hook's process imports them from the project.
_ADAPTERS: Final = "Departments.migration.adapters"

HookKeys = Mapping[str, Any]


def find_hooks(root: Path) -> dict[str, HookKeys]:
    """Return the keys of the hooks `briefing` and `enrich`, as far as the project has a Research and a News."""
    found = {"briefing": _find_research(root), "enrich": _find_news(root)}
    return {name: keys for name, keys in found.items() if keys is not None}


def find_optimiser(root: Path) -> HookKeys | None:
    """Return the keys of the hook `propose` for the project's optimiser, or None without one."""
    path = root / "Departments" / "Executive" / "gpt5_portfolio_optimizer.py"
    if _find_class(path, "GPT5PortfolioOptimizer", "optimize_portfolio") is None:
        return None
    return {"module": f"{_ADAPTERS}:propose_by_optimiser", "arguments": {"key_name": "OPENAI_API_KEY"}}


def _find_news(root: Path) -> HookKeys | None:
    path = root / "Departments" / "News" / "news_department.py"
    if _find_class(path, "NewsDepartment", "get_sentiment_scores") is None:
        return None
    return {
        "module": f"{_ADAPTERS}:add_news",
        "arguments": {"db_path": _DATABASE, "key_name": "PERPLEXITY_API_KEY"},
    }


def _find_research(root: Path) -> HookKeys | None:
    """Return the hook of the project's Research.

    Its class takes the database, and a client of the account where the project has one: without it a briefing knows
    no holdings.
    """
    path = root / "Departments" / "Research" / "research_department.py"
    found = _find_class(path, _CLASS, _METHOD)
    if found is None:
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
    """Yield the modules that may hold it. Folders are named as they are spelled: imports differ by case everywhere."""
    yield from sorted(root.glob("*.py"))
    for folder in sorted(root.iterdir(), reverse=True):
        if folder.name == "Departments" or folder.name.lower() == "utils":
            yield from sorted(folder.rglob("*.py"))


def _find_class(path: Path, name: str, method: str = "") -> ast.ClassDef | None:
    """Return a class of a module, if it has the `method`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    found = next((each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name), None)
    return found if found is not None and (not method or _find_method(found, method) is not None) else None


def _find_method(found: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((each for each in found.body if isinstance(each, ast.FunctionDef) and each.name == name), None)


def _list_arguments(found: ast.ClassDef) -> set[str]:
    made = _find_method(found, "__init__")
    return set() if made is None else {argument.arg for argument in (*made.args.args, *made.args.kwonlyargs)}
