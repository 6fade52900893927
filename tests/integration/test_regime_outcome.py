"""Regime learns what became of a day."""

from decimal import Decimal as D
from pathlib import Path

from tests.builders.desk import briefing, candidate, deliver, desk, workspace


def test_an_assessment_learns_how_many_orders_filled_under_it(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    deliver(
        folder,
        "OPERATIONS",
        "MSG_RESEARCH_20251110T150509Z_0badcafe.md",
        briefing([candidate("ALKS", 80, 32.66), candidate("COMM", 75, 17.02)]),
    )
    opened = desk(folder)
    plan = opened.ceo.handle_user_request("generate_plan")["plan"]
    opened.ceo.approve_plan(plan["plan_id"])
    opened.ceo.handle_user_request("execute_plan")
    (record,) = opened.ledger.regimes.assessments()
    opened.close()
    assert record.outcome.trades_executed == len(plan["trades"]) == 2
    assert record.outcome.portfolio_change == D(0)


def test_a_plan_made_by_operations_alone_is_judged_by_an_assessed_market(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    text = briefing([candidate("ALKS", 80, 32.66)])
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", text)
    opened = desk(folder)
    answer = opened.operations.generate_trading_plan(ai_model="any")
    assessments = opened.ledger.regimes.assessments()
    opened.close()
    assert answer["status"] == "SUCCESS"
    assert [str(r.assessment.regime) for r in assessments] == ["BULLISH"]
    assert answer["plan"]["made_from"]["regime"] == "BULLISH"
