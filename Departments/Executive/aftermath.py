"""The limits once more, at the prices that BUYs really paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from Departments.constraints.engine import check_plan
from Departments.constraints.limits import Limits
from Departments.core.facts import Facts
from Departments.core.money import usd_cents
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import ExitSettings
from Departments.core.statuses import PhaseName
from Departments.ledger.plan_records import TradeRecord


def list_bought(trades: Iterable[TradeRecord]) -> list[TradeRecord]:
    """Return the BUYs that filled, in part or whole."""
    return [t for t in trades if t.phase is PhaseName.BUY and t.filled_qty > 0 and t.filled_avg_price is not None]


def find_broken_limits(
    bought: Sequence[TradeRecord], facts: Facts, limits: Limits, exits: ExitSettings
) -> dict[str, Reason]:
    """Return the limit that each BUY broke by its fill, by symbol: the reserve before others.

    `facts` are those after all of them.
    """
    orders = [_order(trade, facts, exits) for trade in bought]
    for order in orders:
        facts = _undo(order, facts)
    found = check_plan(orders, facts, limits, "fill").violations
    reserve_last = sorted(found, key=lambda each: each[1].code is ReasonCode.CASH_RESERVE)
    return {order.symbol: reason for order, reason in reserve_last}


def describe_issues(trades: Iterable[TradeRecord]) -> Iterator[str]:
    """Yield a sentence for each limit that a fill broke."""
    for trade in list_bought(trades):
        code = next((c for c in BROKEN_BY_FILLS if c == trade.code), None)
        if code is not None:
            price = usd_cents(trade.filled_avg_price) if trade.filled_avg_price is not None else "its price"
            yield f"{trade.symbol} filled at {price}, and {code.meaning} ({trade.reason})"


#: What a fill can break.
BROKEN_BY_FILLS = frozenset(
    {
        ReasonCode.CASH_RESERVE,
        ReasonCode.MAX_POSITION_VALUE,
        ReasonCode.MAX_POSITIONS_TOTAL,
        ReasonCode.MAX_SECTOR_CONCENTRATION,
        ReasonCode.MAX_PORTFOLIO_HEAT,
    }
)


def _order(trade: TradeRecord, facts: Facts, exits: ExitSettings) -> Trade:
    price = trade.filled_avg_price
    stop = exits.stop_of(Side.BUY, price, facts.live_stop(trade.symbol))
    return Trade(trade.symbol, Side.BUY, trade.filled_qty, price, trade.score, trade.sector, stop_price=stop)


def _undo(order: Trade, facts: Facts) -> Facts:
    """Return the facts without a BUY: its shares as far as they are still held, its cost as cash."""
    cost, held = order.notional, facts.positions.get(order.symbol)
    positions = {symbol: p for symbol, p in facts.positions.items() if symbol != order.symbol}
    if held is not None and held.qty > order.qty:
        positions[order.symbol] = replace(held, qty=held.qty - order.qty)
    without = replace(facts, positions=positions)
    return without if cost is None else without.with_cash(cost)
