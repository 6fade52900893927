"""An execution whose senders a script has replaced: it walks through the plan, and nothing reaches a broker.

The pre-flight check of existing projects replaces `_send_trade_to_trading_dept`, `_wait_for_orders_to_fill` and the
name `TradingDepartment`, and executes a plan of its own to see the order of its trades.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from Departments.core.answers import Answer
from Departments.core.orders import Side
from Departments.Executive.ceo_answers import separate_buys_sells, verification

TRADING_MODULE = "Departments.Trading.trading_department"
TRADING_CLASS = "TradingDepartment"
TIMEOUT = 60

Trade = Mapping[str, Any]


def find_replaced_trading() -> Callable[..., Any] | None:
    """Return what a script has put in the place of TradingDepartment, or None."""
    found = getattr(sys.modules.get(TRADING_MODULE), TRADING_CLASS, None)
    is_ours = isinstance(found, type) and found.__module__ == TRADING_MODULE
    return None if found is None or is_ours else found


def walk_through(
    plan: Mapping[str, Any], send: Callable[[Trade], Any], wait: Callable[..., Any], trading: Any, db_path: Path
) -> Answer:
    """Hand each trade to `send`, SELLs first, and `wait` for the tickers of each side. Returns the answer.

    `trading` is called as TradingDepartment is, None for not at all. Raises BadInput for a contradictory trade.
    """
    sells, buys = separate_buys_sells(plan.get("trades") or [])
    results = [
        *_send_side(Side.SELL, sells, send, wait, trading, db_path),
        *_send_side(Side.BUY, buys, send, wait, trading, db_path),
    ]
    return {
        "status": "EXECUTION_INITIATED",
        "plan_id": str(plan.get("plan_id") or ""),
        "message": "the senders of this CEO are replaced: the plan was walked through, and nothing reached a broker",
        "trades_submitted": len(results),
        "sells_submitted": len(sells),
        "buys_submitted": len(buys),
        "execution_results": results,
        "post_execution_verification": verification((), len(sells), len(buys), None),
    }


def _send_side(
    side: Side,
    trades: Sequence[Trade],
    send: Callable[[Trade], Any],
    wait: Callable[..., Any],
    trading: Any,
    db_path: Path,
) -> list[Answer]:
    sent = [{"ticker": t.get("ticker"), "action": str(side), "message_id": str(send(t))} for t in trades]
    if sent and trading is not None:
        trading(db_path=str(db_path)).process_inbox()
    if sent:
        wait([row["ticker"] for row in sent], timeout=TIMEOUT)
    return sent
