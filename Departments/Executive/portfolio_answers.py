"""Answers about the account for existing scripts: the dashboard and the summary.

Money is in dollars. `unrealized_plpc` is in percent on the dashboard, and a share of one in the summary.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from Departments.core.answers import Answer
from Departments.core.documents import for_scripts
from Departments.core.money import ZERO, count_noun
from Departments.core.portfolio import Account, Position

IN_SUMMARY = 5  # positions that the summary lists
HUNDRED = Decimal(100)


def dashboard_answer(account: Account, positions: Sequence[Position], start: Decimal) -> Answer:
    """Return the answer to view_dashboard. `start` is the capital that returns are counted from, in dollars."""
    before = account.equity if account.last_equity is None else account.last_equity
    performance = {
        "starting_capital": start,
        "current_equity": account.equity,
        "total_return_dollars": account.equity - start,
        "total_return_pct": _percent(account.equity - start, start),
        "portfolio_value": account.equity,
        "cash": account.cash,
        "buying_power": account.buying_power,
        "daily_pl": account.equity - before,
        "daily_pl_pct": _percent(account.equity - before, before),
    }
    shown = [_floats(_open_position(position)) for position in positions]
    message = f"{count_noun(len(positions), 'position')}, equity ${account.equity:,.2f}, cash ${account.cash:,.2f}"
    dashboard = {"performance": {**_floats(performance), "positions_count": len(shown)}, "open_positions": shown}
    return {"status": "SUCCESS", "message": message, "dashboard": dashboard, **_account(account, positions)}


def summary_answer(account: Account, positions: Sequence[Position]) -> Answer:
    """Return the answer to get_portfolio_summary."""
    amounts = {
        "cash_balance": account.cash,
        "portfolio_value": account.equity,
        "buying_power": account.buying_power,
        "equity": account.equity,
    }
    shown = [_floats(_summed_position(position)) for position in positions[:IN_SUMMARY]]
    summary = {"position_count": len(positions), **_floats(amounts), "positions": shown}
    return {"status": "SUCCESS", "summary": summary, **_account(account, positions)}


def describe_open_position(position: Position) -> Answer:
    """Return a position in the keys of the existing system's data source."""
    entry = _entry_of(position)
    shown = {
        "ticker": position.symbol,
        "actual_shares": position.qty,
        "actual_entry_price": entry,
        "current_price": position.price,
        "market_value": position.market_value,
        "cost_basis": position.qty * entry,
        "unrealized_pl": _gain(position),
        "unrealized_plpc": _percent(_gain(position), position.qty * entry) / HUNDRED,
        "status": "OPEN",
        "side": "long" if position.qty > 0 else "short",
    }
    return _floats(shown)


def _account(account: Account, positions: Sequence[Position]) -> Answer:
    """Return account and all positions, in dollars and shares."""
    answer: Answer = for_scripts(
        {
            "equity": account.equity,
            "cash": account.cash,
            "buying_power": account.buying_power,
            "positions": [_describe_position(position) for position in positions],
        }
    )
    return answer


def _describe_position(position: Position) -> Answer:
    return {
        "ticker": position.symbol,
        "quantity": position.qty,
        "market_value": position.market_value,
        "avg_entry_price": position.avg_entry_price,
        "current_price": position.current_price,
    }


def _open_position(position: Position) -> Answer:
    gain = _gain(position)
    return {
        "ticker": position.symbol,
        "shares": position.qty,
        "entry_price": _entry_of(position),
        "current_price": position.price,
        "market_value": position.market_value,
        "unrealized_pl": gain,
        "unrealized_plpc": _percent(gain, position.qty * _entry_of(position)),
    }


def _summed_position(position: Position) -> Answer:
    gain = _gain(position)
    return {
        "ticker": position.symbol,
        "shares": position.qty,
        "market_value": position.market_value,
        "unrealized_pl": gain,
        "unrealized_plpc": _percent(gain, position.qty * _entry_of(position)) / HUNDRED,
    }


def _entry_of(position: Position) -> Decimal:
    """Return what a share cost, else what it is worth: then nothing is gained or lost."""
    return position.price if position.avg_entry_price is None else position.avg_entry_price


def _gain(position: Position) -> Decimal:
    return position.market_value - position.qty * _entry_of(position)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return HUNDRED * part / abs(whole) if whole else ZERO


def _floats(row: Answer) -> Answer:
    """Return a row whose numbers are floats: scripts format them so."""
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in row.items()}
