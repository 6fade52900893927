"""Trading's answers to existing scripts: dicts with a `status`, numbers as int and float."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from Departments.core.answers import Answer
from Departments.core.documents import for_scripts
from Departments.Trading.trader import Trader

#: What an answer without a comparison has in the place of its counts.
NOTHING_FOLLOWED: Mapping[str, int] = {"pending_count": 0, "updated_to_open": 0, "marked_stale": 0}


def answer_positions(trader: Trader, max_age_hours: float) -> Answer:
    """Return SUCCESS with the waiting BUYs, their ends, and the comparison with the account.

    `{"status": "SUCCESS", "pending_count", "updated_to_open", "marked_stale", "is_matched", "positions": {TICKER: qty},
    "discrepancies": [{ticker, bought, held}]}`
    """
    age = timedelta(hours=max_age_hours)
    followed, compared = trader.follow_buys(), trader.compare_positions(age)
    missing = [{"ticker": m.symbol, "bought": m.bought, "held": m.held} for m in compared.missing]
    answer = {
        "status": "SUCCESS",
        "pending_count": followed.pending,
        "updated_to_open": followed.opened,
        "marked_stale": followed.ended,
        "is_matched": not missing,
        "positions": compared.held,
        "discrepancies": missing,
    }
    return dict(for_scripts(answer))


@dataclass(frozen=True, slots=True)
class ScriptAsset:
    """An asset as scripts read it."""

    symbol: str
    tradable: bool
    status: str


class TradingClient:
    """The broker's client as existing scripts use it: it says whether an asset is tradable."""

    def __init__(self, trader: Callable[[], Trader]) -> None:
        self._trader = trader

    def get_asset(self, symbol: str) -> ScriptAsset:
        """Return the asset. Raises NotFound for a symbol that the broker does not know, BrokerUnavailable."""
        asset = self._trader().find_asset(symbol)
        return ScriptAsset(symbol, asset.tradable, "active" if asset.active else "inactive")
