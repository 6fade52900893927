"""A person's own open order on a symbol of the plan is named when the plan is made."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.moments import iso
from Departments.core.orders import OrderClass, OrderRequest, OrderType, Side, TimeInForce
from tests.builders.commands import AT, deliver_briefing, plan_file, say
from tests.builders.desk import MORNING, desk, trade, workspace
from tests.integration.test_account_truth import DAY, execute, plan_of


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


def test_a_persons_own_exits_are_named_and_those_of_the_desk_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, tomorrow = workspace(tmp_path), MORNING + DAY
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), at=MORNING)
    with closing(desk(folder, at=MORNING + DAY / 24)) as opened:
        oco = OrderRequest("person-1", "CTVA", Side.SELL, Decimal(190), OrderType.LIMIT, TimeInForce.GTC)
        opened.broker.submit(replace(oco, order_class=OrderClass.OCO, take_profit=Decimal(80), stop_loss=Decimal(50)))
    sells = (trade("CTVA", "SELL", 190.0, 64.64), trade("ALKS", "SELL", 40.0, 32.66))
    plan = plan_file(folder, plan_of(1, *sells, at=tomorrow))
    said = say(capsys, "plan", "--workspace", folder, "--at", iso(tomorrow), "--plan", plan, "--json")
    notes = [note for note in said.document["plan"]["notes"] if "somebody else's" in note]
    assert notes == [
        (
            "somebody else's exits of 190 CTVA at $80.00 or $50.00 are open: they hold 190 shares; "
            "the RELEASE phase cancels them before CTVA is sold"
        )
    ]
