"""One thing is one thing: numbers before nouns go through one function."""

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from Departments.core.money import count_noun
from tests.builders.desk import ROOT

NOUNS = (
    "bookings|bytes|days|exits|fills|files|issues|lines|letters|limits|locks|messages|minutes|modules|notes|orders|"
    "packages|plans|positions|prices|programs|rows|SELLs|BUYs|shares|steps|symbols|things|trades"
)
PLURAL = re.compile(rf"^ (?:[a-z]+ )?(?:{NOUNS})\b")
LOGGED = re.compile(rf"%d (?:[a-z]+ )?(?:{NOUNS})\b")
COUNTED = re.compile(r"\b(?:len|sum|count|number|total|days|qty|filled_qty)\b")
#: Numbers that are never one.
NEVER_ONE = ("shelf.py", "comparison.py", "delivery.py", "machine.py", "proposals.py")


@pytest.mark.parametrize(
    ("number", "noun", "verb", "said"),
    [
        (1, "order", "", "1 order"),
        (2, "order", "", "2 orders"),
        (0, "order", "", "0 orders"),
        (Decimal("1.0"), "share", "have", "1 share has"),
        (Decimal("0.5"), "share", "have", "0.5 shares have"),
        (1, "message", "wait", "1 message waits"),
        (3, "file", "are", "3 files are"),
    ],
)
def test_a_number_has_its_noun_and_its_verb(number: Decimal | int, noun: str, verb: str, said: str) -> None:
    assert count_noun(number, noun, verb) == said


def find_plurals() -> Iterator[str]:
    """Yield texts with a counted number directly before a plural."""
    for path in sorted((ROOT / "Departments").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and LOGGED.search(node.value):
                yield f"{path.name}: {node.value}"
            for number, after in pairwise(node.values) if isinstance(node, ast.JoinedStr) else ():
                is_plural = isinstance(after, ast.Constant) and PLURAL.search(str(after.value))
                if is_plural and isinstance(number, ast.FormattedValue) and COUNTED.search(ast.unparse(number.value)):
                    yield f"{path.name}: {ast.unparse(node)}"


def test_no_sentence_counts_one_thing_as_many() -> None:
    assert [text for text in find_plurals() if not text.startswith(NEVER_ONE)] == []


def test_every_exception_is_needed() -> None:
    found = list(find_plurals())
    assert [name for name in NEVER_ONE if not any(text.startswith(name) for text in found)] == []
