"""Nobody but the constraints compares with a limit, and the exchange's hours and a BUY's exits have one owner each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from Departments.constraints.table import CONSTRAINTS

PACKAGE = Path(__file__).resolve().parents[3] / "Departments"
KEYS = {key for row in CONSTRAINTS for key in row.keys if not key.startswith("deployment.")}
#: Keys of the limits that a row judges by, and their sections, as far as nothing else has such a name.
JUDGED = {part for key in KEYS for part in key.split(".") if "_" in part} - {"market_conditions", "day_trades"}
HOURS = {"is_open", "is_open_at", "next_close", "closes_after"}
EXITS = {"stop_loss_pct", "take_profit_pct"}
GATES = {"may_trade", "trading_blocked", "account_blocked", "trade_suspended"}
#: Who else may read what, and why.
ALLOWED = {
    ("Executive/funding.py", "allow_margin"): "funds from the broker's buying power then",
    ("Regime/classification.py", "vix_panic_threshold"): "names the regime of the panic, which a row then judges",
    ("Regime/regime_department.py", "next_close"): "tells when the day of an assessment has ended",
    ("commands/opening.py", "is_open_at"): "waits for the opening; a row judges whether it has come",
    ("Executive/overview/standing.py", "is_open_at"): "tells a person whether the market is open",
    ("Executive/overview/standing.py", "next_close"): "tells a person until when",
    ("brokers/snapshot.py", "is_open"): "says how clock and calendar differ",
    ("core/settings.py", "stop_loss_pct"): "the one function of a BUY's exits",
    ("core/settings.py", "take_profit_pct"): "the one function of a BUY's exits",
    ("Operations/sizing.py", "stop_loss_pct"): "how many dollars of BUYs the heat allows",
    ("migration/forecast.py", "allow_margin"): "tells a person what will be different",
    ("Trading/handlers.py", "stop_loss_pct"): "the trail of a trailing exit without bars",
}
#: These make what others only read: the limits, the hours, the account.
OWNERS = (
    "constraints/",
    "exchange/",
    "brokers/alpaca/",
    "core/trading_calendar.py",
    "core/quotes.py",
    "core/portfolio.py",
)


@cache
def read_in(path: Path) -> frozenset[str]:
    """The attributes that a module reads and the names it imports, but for what a sentence shows to people."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shown = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    return frozenset(name for node in ast.walk(tree) if id(node) not in shown for name in names_in(node))


def names_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.name for alias in node.names)


def readers_of(names: set[str]) -> set[tuple[str, str]]:
    modules = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    others = {name: path for name, path in modules.items() if not name.startswith(OWNERS)}
    return {(module, name) for module, path in others.items() for name in names & read_in(path)}


@pytest.mark.parametrize("names", [JUDGED, HOURS, EXITS, GATES], ids=["limits", "hours", "exits", "gates"])
def test_only_the_owner_reads_what_a_rule_compares_with(names: set[str]) -> None:
    assert readers_of(names) - set(ALLOWED) == set()


def test_every_exception_is_still_one() -> None:
    assert readers_of(JUDGED | HOURS | EXITS | GATES) == set(ALLOWED)


def test_a_comparison_elsewhere_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "def late(limits, age):\n    return age > limits.staleness.plan_max_age_hours\n", encoding="utf-8"
    )
    assert "plan_max_age_hours" in read_in(planted) & JUDGED
