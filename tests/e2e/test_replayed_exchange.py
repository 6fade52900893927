"""An exchange of a replayed past, looked at with the machine's clock: nothing expires by looking."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.builders.commands import plan_file, say
from tests.builders.desk import plan, trade, workspace

Capture = pytest.CaptureFixture[str]
SETTINGS = {"messaging": {"durability": "fast"}}


@pytest.fixture
def bought(tmp_path: Path, capsys: Capture) -> Path:
    """Return a workspace whose day of 10 November 2025 bought ALKS with live exits."""
    folder = workspace(tmp_path, settings=SETTINGS)
    document = plan(
        trade("ALKS", "BUY", 150, 32.66), plan_id="PLAN_20251110_150000", generated_at="2025-11-10T15:00:00.000000Z"
    )
    file, state = plan_file(folder, document), folder / "state.yaml"
    at = "2025-11-10T15:05:42Z"
    words = ("run", "--workspace", folder, "--at", at, "--plan", file, "--approve", "auto", "--exchange-state", state)
    said = say(capsys, *words)
    assert said.code == 0, said.err
    return folder


def live_exits(folder: Path) -> int:
    with sqlite3.connect(folder / "simulated_exchange.db") as connection:
        return int(connection.execute("SELECT count(*) FROM orders WHERE is_open = 1").fetchone()[0])


@pytest.mark.parametrize(
    "words", [("reconcile",), ("reconcile", "--accept-all"), ("regime",), ("regime", "--assess"), ("plan",),
              ("approve", "PLAN_20251110_150000")]
)  # fmt: skip
def test_looking_without_at_ends_no_order(bought: Path, capsys: Capture, words: tuple[str, ...]) -> None:
    before = live_exits(bought)
    assert before == 2
    say(capsys, *words, "--workspace", bought)
    assert live_exits(bought) == before


def test_reconcile_and_restore_without_at_show_the_last_moment(bought: Path, tmp_path: Path, capsys: Capture) -> None:
    assert say(capsys, "reconcile", "--workspace", bought).out == (
        "4 positions, all protected; 0 things changed since 10 Nov 2025.\n"
    )
    pack = tmp_path / "pack.zip"
    assert say(capsys, "backup", pack, "--workspace", bought).code == 0
    restored = say(capsys, "restore", pack, "--workspace", bought, "--replace")
    assert (restored.code, "4 positions, all protected" in restored.out, live_exits(bought)) == (0, True, 2)


@pytest.mark.parametrize("words", [("run",), ("resume",), ("order", "SELL", "ALKS", "1"), ("watch", "TRADING")])
def test_acting_without_at_is_refused_where_it_would_end_orders(
    bought: Path, capsys: Capture, words: tuple[str, ...]
) -> None:
    said = say(capsys, *words, "--workspace", bought)
    assert said.code == 2
    (sentence,) = said.sentences
    assert "was last used on 2025-11-10" in sentence
    assert "ends 2 open orders for good" in sentence
    assert "--at 2025-11-10T" in sentence
    assert live_exits(bought) == 2


def test_what_expired_is_named_and_what_has_no_exits_needs_a_person(bought: Path, capsys: Capture) -> None:
    said = say(capsys, "reconcile", "--workspace", bought, "--at", "2026-03-02T15:00:00Z")
    assert said.code == 1
    assert said.out.splitlines()[1:] == [
        "- Take-profit of 150 ALKS expired on 08 Feb 2026",
        "- Stop-loss of 150 ALKS expired on 08 Feb 2026",
        "- ALKS: 150 shares have no live exits; the next `departments run` protects them",
    ]
    document = say(capsys, "reconcile", "--workspace", bought, "--at", "2026-03-02T15:00:00Z", "--json").document
    assert [row["ticker"] for row in document["since_last"]["expired"]] == ["ALKS", "ALKS"]


def test_an_exchange_without_open_orders_is_moved_on_with_one_sentence(bought: Path, capsys: Capture) -> None:
    say(capsys, "reconcile", "--workspace", bought, "--at", "2026-03-02T15:00:00Z")
    assert live_exits(bought) == 0
    said = say(capsys, "resume", "--workspace", bought)
    assert "The simulated exchange was last used on 2026-0" in said.err
    assert "it moves on by " in said.err
