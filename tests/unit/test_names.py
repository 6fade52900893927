"""Names: one file, one class to a name, and functions that are verbs. The lists hold old names and only shrink."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "Departments"
#: `reported` and `told`, but not the verbs `seed` and `feed`.
PARTICIPLE = re.compile(
    r"_*([a-z]*[^e]ed|told|met|seen|said|made|kept|held|left|sent|known|found|given|taken|shown|lent)"
)
FILES: set[str] = set()
CLASSES: set[str] = set()
FUNCTIONS: set[str] = set()
#: `tickers` is a key of the call interface of scripts.
TICKERS: set[str] = {"tickers"}


@cache
def nodes() -> list[ast.AST]:
    return [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_bytes()))]


def doubled(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def files_of_one_name() -> set[str]:
    return doubled(path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def classes_of_one_name() -> set[str]:
    return doubled(node.name for node in nodes() if isinstance(node, ast.ClassDef))


def participles() -> set[str]:
    functions = (node for node in nodes() if isinstance(node, ast.FunctionDef))
    acting = (f.name for f in functions if not any("property" in ast.dump(d) for d in f.decorator_list))
    return {name for name in acting if PARTICIPLE.fullmatch(name)}


def tickers() -> set[str]:
    """Return the identifiers that call a symbol a ticker: variables, fields, parameters, arguments and functions."""
    names = {getattr(node, key, None) for node in nodes() for key in ("id", "attr", "arg", "name")}
    return {name for name in names if name and "ticker" in name.lower() and not name.isupper()}


@pytest.mark.parametrize(
    ("find", "old"),
    [(files_of_one_name, FILES), (classes_of_one_name, CLASSES), (participles, FUNCTIONS), (tickers, TICKERS)],
)
def test_names_are_single_verbs_and_words_of_the_glossary(find: Callable[[], set[str]], old: set[str]) -> None:
    found = find()
    assert found - old == set(), "give these other names"
    assert old - found == set(), "these are gone: take them off the list"
