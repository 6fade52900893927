from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import Reason, ReasonCode
from Departments.messaging.message import body_with, payload_of
from Departments.messaging.plan_documents import plan_document
from Departments.Operations.replies import MOST_SHOWN, plan_markdown
from tests.builders.limits import NOW

D = Decimal
SELL = Trade("UPS", Side.SELL, D("70.0"), D("93.58"), reason="weak | very\n```json\n{}")
BUY = Trade("ALKS", Side.BUY, D(108), D("33.01"), D("79.6"), "Healthcare", "proposed")
SKIP = SkippedTrade("BANC", Reason.of(ReasonCode.MIN_POSITION_VALUE, value=D(2040)), "Skipped BANC - too small")
LOW = SkippedTrade("OLD", Reason.of(ReasonCode.SCORE_BELOW_THRESHOLD), "Skipped OLD - weak")


def plan(*trades: Trade, skipped: tuple[SkippedTrade, ...] = ()) -> TradingPlan:
    return TradingPlan("PLAN_1", NOW, trades, skipped, D(98_950), D(5_000), D("0.8916"), notes=("A note.",))


def test_a_trade_is_one_row_of_a_table() -> None:
    text = plan_markdown(plan(BUY))
    assert "| ALKS | 108 | $33.01 | $3,565.08 | 79.6 | proposed |" in text.splitlines()
    assert "## SELL (0)\n\nNone." in text


def test_a_trade_without_price_says_that_it_is_unknown() -> None:
    assert "| X | 5 | unknown | unknown |  |  |" in plan_markdown(plan(Trade("X", Side.SELL, D(5), None)))


def test_what_is_skipped_is_reported_and_low_scores_are_reported_in_one_line() -> None:
    text = plan_markdown(plan(skipped=(SKIP, LOW)))
    assert "| BANC | Skipped BANC - too small | MIN_POSITION_VALUE: value=2040 |" in text.splitlines()
    assert "Score under the threshold: OLD." in text


def test_of_thousands_of_skips_people_see_the_first_and_the_json_names_all() -> None:
    many = tuple(replace(SKIP, symbol=f"S{n}") for n in range(MOST_SHOWN + 50))
    text, document = plan_markdown(plan(skipped=many)), plan_document(plan(skipped=many))
    assert (text.count("Skipped BANC"), "… and 50 more; the JSON below names all." in text) == (MOST_SHOWN, True)
    assert len(document["skipped"]) == document["summary"]["compliance_flagged"] == MOST_SHOWN + 50
    assert len(document["compliance_suggestions"]) == MOST_SHOWN


def test_text_from_outside_breaks_neither_the_table_nor_the_payload() -> None:
    odd = plan(SELL)
    body = body_with(plan_markdown(odd), plan_document(odd))
    assert (payload_of(body) or {})["plan_id"] == "PLAN_1"
    (line,) = [row for row in body.splitlines() if row.startswith("| UPS")]
    assert line.count("|") - line.count("\\|") == 7
