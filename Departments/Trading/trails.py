"""The trail of a trailing stop, as the existing system finds it: twice the average true range of 14 days. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

from Departments.core.money import CENT, ONE, ZERO, on_tick
from Departments.core.orders import OrderRequest, OrderType, Side, TimeInForce
from Departments.core.quotes import Bar
from Departments.ledger.order_records import OrderRecord

TRUE_RANGES: Final = 14  # days
RANGES_WIDE: Final = 2  # a trail is so many average true ranges
NARROWEST, WIDEST = Decimal(3), Decimal(15)  # percent
HUNDRED: Final = Decimal(100)


def find_trail(bars: Sequence[Bar], otherwise: Decimal) -> Decimal:
    """Return the trail in percent of the last close; `otherwise`, a share of one, without enough daily bars."""
    recent = bars[-TRUE_RANGES - 1 :]
    if len(recent) <= TRUE_RANGES or recent[-1].close <= 0:
        return (otherwise * HUNDRED).quantize(CENT)
    ranges = [_true_range(before, bar) for before, bar in pairwise(recent)]
    average = sum(ranges, ZERO) / len(ranges)
    wide = RANGES_WIDE * average / recent[-1].close * HUNDRED
    return min(WIDEST, max(NARROWEST, wide)).quantize(CENT)


def _true_range(before: Bar, bar: Bar) -> Decimal:
    return max(bar.high - bar.low, abs(bar.high - before.close), abs(bar.low - before.close))


def own_trailing_intent(intent: OrderRecord, percent: Decimal, market: Decimal) -> OrderRecord:
    """Return the intent of a trailing stop in place of stop-loss and take-profit. `market` in dollars a share."""
    stop = on_tick(market * (ONE - percent / HUNDRED))
    return replace(intent, order_type=OrderType.TRAILING_STOP, limit_price=None, stop_price=stop)


def own_trailing_request(intent: OrderRecord, percent: Decimal) -> OrderRequest:
    """Return the request for a trailing stop, alive until cancelled."""
    return OrderRequest(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=Side.SELL,
        qty=intent.qty,
        type=OrderType.TRAILING_STOP,
        time_in_force=TimeInForce.GTC,
        trail_percent=percent,
    )
