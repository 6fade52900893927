"""A person's own open order on a symbol of the plan is named when the plan is made."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.orders import OrderRequest, OrderType, Side
from tests.builders.commands import AT, deliver_briefing, plan_file, say
from tests.builders.desk import desk, workspace


def test_an_open_buy_on_a_symbol_to_be_sold_is_named_in_plan_review_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    words: list[str | Path] = ["--workspace", folder, "--at", AT]
    say(capsys, "plan", *words, "--exchange-state", folder / "state.yaml")
    with closing(desk(folder)) as opened:
        opened.broker.submit(
            OrderRequest("person-1", "CTVA", Side.BUY, Decimal(20), OrderType.LIMIT, limit_price=Decimal(50))
        )
    shown = say(capsys, "run", *words, "--approve", "auto", "--dry-run", "--plan", plan_file(folder)).out
    sentence = "somebody else's BUY 20 CTVA at $50.00 is open: the broker refuses the SELL of CTVA as a wash trade"
    assert " ".join(shown.split()).count(sentence) == 2  # among the plan's notes and the review's concerns
    made = say(capsys, "plan", *words, "--plan", plan_file(folder), "--json").document
    assert any(note.startswith(sentence) for note in made["plan"]["notes"])
