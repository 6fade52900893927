"""Trading's answers to existing scripts: dicts with a `status`, numbers as int and float."""

from __future__ import annotations

from datetime import timedelta

from Departments.core.answers import Answer
from Departments.core.documents import for_scripts
from Departments.Trading.trader import Trader


def answer_positions(trader: Trader, max_age_hours: float) -> Answer:
    """Return `{"status": "OK" | "MISMATCH", "positions": {TICKER: qty}, "discrepancies": [{ticker, bought, held}]}`."""
    compared = trader.compare_positions(timedelta(hours=max_age_hours))
    missing = [{"ticker": m.symbol, "bought": m.bought, "held": m.held} for m in compared.missing]
    answer = {
        "status": "MISMATCH" if missing else "OK",
        "positions": compared.held,
        "discrepancies": missing,
    }
    return dict(for_scripts(answer))
