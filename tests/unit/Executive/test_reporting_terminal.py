"""What the terminal shows."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade, TradingPlan
from Departments.core.reasons import Reason, ReasonCode
from Departments.Executive.reporting.terminal import SKIPS_SHOWN, show_cash, show_final, show_plan, show_review

AT = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC)
LINE = "Skipped BANC - position would be $2,040 (< $2,968 minimum)"


def screen() -> Console:
    return Console(width=80, record=True, file=io.StringIO())


def plan(*trades: Trade, skipped: tuple[SkippedTrade, ...] = (), notes: tuple[str, ...] = ()) -> TradingPlan:
    equity, cash = Decimal("98950.12"), Decimal("5251.65")
    return TradingPlan("PLAN_20251110_150542", AT, trades, skipped, equity, cash, Decimal("0.893"), notes=notes)


def shown(made: TradingPlan) -> str:
    console = screen()
    show_plan(console, made)
    return console.export_text()


def buy(reason: str = "added in score order", qty: str = "239") -> Trade:
    return Trade("ALKS", Side.BUY, Decimal(qty), Decimal("32.66"), Decimal("79.6"), reason=reason)


def order(**more: Any) -> dict[str, Any]:
    common = {"ticker": "ALKS", "planned_qty": "239", "qty": "239", "status": "filled", "filled_qty": "239"}
    return common | {"filled_avg_price": "32.66", "code": "", "reason": ""} | more


def document(*orders: dict[str, Any], **more: Any) -> dict[str, Any]:
    account = {"cash_before": "5251.65", "cash_after": "10598.00", "lowest_cash": "5251.65", "reserve": "9895.00"}
    identity = {"holds": True, "difference": "0.00", "fees": "1.25"}
    phases = [{"name": "BUY", "orders": list(orders)}]
    return {
        "plan_id": "P",
        "status": "COMPLETED",
        "phases": phases,
        "account": account,
        "cash_identity": identity,
    } | more


def final(made: dict[str, Any]) -> str:
    console = screen()
    show_final(console, made)
    return console.export_text()


def test_a_plan_is_shown_with_shares_prices_values_and_scores() -> None:
    text = shown(plan(buy()))
    assert "Plan PLAN_20251110_150542 · equity $98,950 · cash $5,251" in text
    row = next(line for line in text.splitlines() if "ALKS" in line)
    assert row.split()[:6] == ["BUY", "ALKS", "239", "$32.66", "$7,805", "79.6"]
    assert "Deployment after the plan: 89.3% of equity" in text


def test_what_is_skipped_is_shown_with_its_code() -> None:
    skip = SkippedTrade("BANC", Reason.of(ReasonCode.MIN_POSITION_VALUE, value="2040.22"), LINE)
    assert f"{LINE}  MIN_POSITION_VALUE" in shown(plan(skipped=(skip,))).replace("\n", " ").replace("  ", "  ")


def test_many_skips_are_counted_not_listed() -> None:
    skip = SkippedTrade("BANC", Reason.of(ReasonCode.MIN_POSITION_VALUE), LINE)
    text = shown(plan(skipped=(skip,) * (SKIPS_SHOWN + 7)))
    assert text.count("Skipped BANC") == SKIPS_SHOWN
    assert "7 more skipped" in text


def test_words_from_files_are_no_markup() -> None:
    text = shown(plan(buy("[/bold] rises [red]"), notes=("see [/this]",)))
    assert "[/bold] rises [red]" in text.replace("\n", " ")
    assert "see [/this]" in text
    assert "[/odd]" in final(document(order(status="rejected", reason="[/odd]")))


def test_a_concern_with_brackets_is_shown_as_it_is() -> None:
    console = screen()
    fact = {"fact": "locked [/x]", "value": "none", "limit": "", "rule": ""}
    found = {"quality_rating": 9, "recommendation": "APPROVE", "concerns": ["limits [/x]"]}
    show_review(console, {**found, "strengths": ["passes [/x]"], "facts": [fact]})
    text = console.export_text()
    assert all(f"{word} [/x]" in text for word in ("limits", "passes", "locked"))


def test_an_essay_is_cut() -> None:
    text = shown(plan(buy("because " * 200)))
    assert len(text.splitlines()) < 20
    assert "…" in text


def test_the_plan_and_the_final_table_fit_80_columns_and_cut_no_number() -> None:
    text = shown(plan(buy("proposed, 108 shares wanted", qty="12345"))) + final(document(order(qty="12345")))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "12345" in text


def test_reasons_stand_below_the_table() -> None:
    text = final(document(order(status="deferred", reason="INSUFFICIENT_CASH: needed=4947.99")))
    assert text.splitlines()[-1].rstrip() == "ALKS deferred: INSUFFICIENT_CASH: needed=4947.99"


def test_cash_is_shown_beside_what_the_buys_first_would_have_needed() -> None:
    console = screen()
    show_cash(console, document(), Decimal("-25877.35"))
    text = console.export_text()
    assert "Cash before $5,251.65, after $10,598.00, fees $1.25, reserve $9,895.00" in text
    assert "Lowest cash of the run: $5,251.65" in text
    assert "with BUYs before SELLs: -$25,877.35" in text
    assert "Cash adds up" in text


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        ("12.34", "off by $12.34; no order and no fee explains it"),
        ("-1234.50", "off by -$1,234.50; no order and no fee explains it"),
        (None, "off by an unknown amount; no order and no fee explains it"),
    ],
)
def test_money_that_nothing_accounts_for_is_reported(difference: str | None, told: str) -> None:
    console = screen()
    identity = {"holds": False, "difference": difference, "fees": None}
    show_cash(console, document(cash_identity=identity), Decimal(0))
    assert f"Cash does not add up: it is {told}" in " ".join(console.export_text().split())
