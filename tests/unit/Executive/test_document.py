"""Cash along the fills, and what the document says of it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.orders import Side
from Departments.core.plans import TradingPlan
from Departments.Executive.reporting.document import EXIT_CODES, final_document, unexecuted_document
from Departments.Executive.reporting.run_cash import adds_up, cash_path, lowest_cash, lowest_cash_with_buys_first
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, FillRow

AT = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC)


def fill(side: Side, qty: int, price: str) -> FillRecord:
    return FillRecord("X", side, FillRow(1, Decimal(qty), Decimal(price), AT, None, Decimal(qty)))


FILLS = [fill(Side.SELL, 10, "50"), fill(Side.BUY, 20, "40"), fill(Side.SELL, 1, "100")]


def test_cash_follows_every_fill() -> None:
    assert cash_path(Decimal(1000), FILLS) == [1000, 1500, 700, 800]


def test_the_lowest_cash_is_that_of_the_worst_moment() -> None:
    assert lowest_cash(Decimal(1000), FILLS) == 700


def test_without_fills_the_lowest_cash_is_the_first() -> None:
    assert lowest_cash(Decimal(1000), []) == 1000


def test_fees_count_at_the_end_of_the_run() -> None:
    assert lowest_cash(Decimal(1000), FILLS, Decimal(50)) == 700
    assert lowest_cash(Decimal(1000), FILLS, Decimal(150)) == 650


def test_cash_adds_up_to_the_cent_whatever_its_rounding_was() -> None:
    assert [adds_up(Decimal(off)) for off in ("0", "0.01", "-0.01", "0.02", "-0.02")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_with_the_buys_first_the_lowest_cash_is_what_all_buys_leave() -> None:
    assert lowest_cash_with_buys_first(Decimal(1000), FILLS) == 200


def test_a_plan_that_was_never_executed_has_no_document(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "sentinel.db")
    with pytest.raises(LookupError, match="never executed"):
        final_document(ledger, TradingPlan("PLAN_X", AT, ()), instructions="decided")
    ledger.close()


def test_what_was_not_executed_gives_the_reason_and_ends_with_its_code() -> None:
    document = unexecuted_document("MARKET_CLOSED", None, "the market is closed")
    assert (document["message"], document["exit_code"]) == ("the market is closed", EXIT_CODES["MARKET_CLOSED"])


@pytest.mark.parametrize("status", ["ALREADY_EXECUTED", "COMPLETED", "DRY_RUN", "NOTHING_TO_RESUME"])
def test_what_needs_nobody_ends_with_0(status: str) -> None:
    assert EXIT_CODES[status] == 0
