"""The exchange's values as Alpaca's JSON, complete enough for Alpaca's OpenAPI and for the models of alpaca-py.

Whatever the desk does not look at is there with a plain value, because a client that reads it strictly needs it.
"""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from Departments.core.activities import Activity, ActivityKind
from Departments.core.moments import iso
from Departments.core.money import plain
from Departments.core.orders import Order, OrderClass
from Departments.core.portfolio import Account, Position
from Departments.core.quotes import Asset, Bar, MarketClock, Quote
from Departments.core.trading_calendar import EASTERN
from Departments.exchange.records import Fill

EXCHANGE, ASSET_CLASS = "NYSE", "us_equity"


def account_json(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "account_number": "PA3SIMULATED",
        "currency": "USD",
        "status": account.status,
        "cash": plain(account.cash),
        "equity": plain(account.equity),
        "buying_power": plain(account.buying_power),
        "multiplier": plain(account.multiplier),
        "last_equity": _text(account.last_equity),
        "trading_blocked": "trading_blocked" in account.blocks,
        "account_blocked": "account_blocked" in account.blocks,
        "trade_suspended_by_user": "trade_suspended" in account.blocks,
    }


def position_json(position: Position) -> dict[str, Any]:
    entry = position.avg_entry_price or Decimal(0)
    cost, value = position.qty * entry, position.market_value
    gain, share = plain(value - cost), plain(round((value - cost) / cost, 6))
    return {
        "asset_id": position.asset_id,
        "symbol": position.symbol,
        "exchange": EXCHANGE,
        "asset_class": ASSET_CLASS,
        "asset_marginable": True,
        "side": "long",
        "qty": plain(position.qty),
        "qty_available": _text(position.qty_available),
        "avg_entry_price": plain(entry),
        "current_price": _text(position.current_price),
        "lastday_price": _text(position.current_price),
        "change_today": "0",
        "market_value": plain(value),
        "cost_basis": plain(cost),
        "unrealized_pl": gain,
        "unrealized_plpc": share,
        "unrealized_intraday_pl": gain,
        "unrealized_intraday_plpc": share,
    }


def fee_json(fill: Fill) -> dict[str, Any]:
    """Write what a fill was charged, as the activity that books it."""
    return {
        "id": f"{fill.at:%Y%m%d%H%M%S}000::{fill.id}",
        "activity_type": "FEE",
        "activity_sub_type": "REG",
        "date": fill.at.date().isoformat(),
        "created_at": iso(fill.at),
        "net_amount": plain(-fill.fee),
        "description": f"REG fee for proceed of {plain(fill.qty)} shares",
        "status": "executed",
        "currency": "USD",
    }


def activity_json(activity: Activity) -> dict[str, Any]:
    """Write a booking in Alpaca's shape: trades have other keys than the rest."""
    if activity.kind is ActivityKind.FILL:
        return {
            "id": activity.id,
            "activity_type": "FILL",
            "type": "fill",
            "transaction_time": iso(activity.at) if activity.at else None,
            "symbol": activity.symbol,
            "side": str(activity.side).lower(),
            "qty": _text(activity.qty),
            "price": _text(activity.price),
            "order_id": activity.order_id,
            "leaves_qty": "0",
            "cum_qty": _text(activity.qty),
            "order_status": "filled",
        }
    ratio = {} if activity.ratio is None else {"new_rate": str(activity.ratio), "old_rate": "1"}
    renamed = {"old_symbol": activity.symbol, "new_symbol": activity.new_symbol} if activity.new_symbol else {}
    return {
        "id": activity.id,
        "activity_type": activity.word,
        "date": activity.day.isoformat(),
        "created_at": iso(activity.at) if activity.at else None,
        "net_amount": _text(activity.cash),
        "symbol": activity.symbol or None,
        "qty": _text(activity.qty),
        "per_share_amount": _text(activity.price),
        "description": activity.description,
        "status": "executed",
        "currency": "USD",
        **ratio,
        **renamed,
    }


def announcement_json(split: Activity) -> dict[str, Any]:
    """Write a split as the trading API announces it."""
    return {
        "id": _id(split.id),
        "corporate_action_id": f"CA_{split.symbol}",
        "ca_type": "split",
        "ca_sub_type": "stock_split" if (split.ratio or 0) > 1 else "reverse_split",
        "initiating_symbol": split.symbol,
        "initiating_original_cusip": "000000000",
        "target_symbol": split.symbol,
        "target_original_cusip": "000000000",
        "declaration_date": None,
        "ex_date": split.day.isoformat(),
        "record_date": None,
        "payable_date": split.day.isoformat(),
        "cash": "0",
        "old_rate": "1",
        "new_rate": _text(split.ratio),
    }


def corporate_action_json(action: Activity) -> tuple[str, dict[str, Any]]:
    """Write a split or a new symbol as the market data announces it, with the name of its list."""
    row = {"id": _id(action.id), "process_date": action.day.isoformat()}
    if action.kind is ActivityKind.RENAME:
        return "name_changes", row | {"old_symbol": action.symbol, "new_symbol": action.new_symbol}
    kind = "forward_splits" if (action.ratio or 0) > 1 else "reverse_splits"
    rates = {"old_rate": 1, "new_rate": float(action.ratio or 1), "ex_date": action.day.isoformat()}
    return kind, row | {"symbol": action.symbol} | rates


def order_json(order: Order) -> dict[str, Any]:
    moments = {
        "created_at": order.submitted_at,
        "submitted_at": order.submitted_at,
        "updated_at": order.updated_at,
        "filled_at": order.filled_at,
        "expires_at": order.expires_at,
    }
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "asset_id": _id(order.symbol),
        "asset_class": ASSET_CLASS,
        "symbol": order.symbol,
        "side": order.side.lower(),
        "qty": plain(order.qty) if order.notional is None else None,
        "notional": _text(order.notional),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": _text(order.filled_avg_price),
        "status": str(order.status),
        "type": str(order.type),
        "order_type": str(order.type),
        "time_in_force": str(order.time_in_force),
        "order_class": "" if order.order_class is OrderClass.SIMPLE else str(order.order_class),
        "limit_price": _text(order.limit_price),
        "stop_price": _text(order.stop_price),
        "extended_hours": False,
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "trail_price": _text(order.trail_price),
        "trail_percent": _text(order.trail_percent),
        "legs": [order_json(leg) for leg in order.legs] or None,
        **{name: iso(at) if at else None for name, at in moments.items()},
    }


def asset_json(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.id,
        "class": ASSET_CLASS,
        "exchange": EXCHANGE,
        "symbol": asset.symbol,
        "name": asset.name or asset.symbol,
        "status": "active" if asset.active else "inactive",
        "tradable": asset.tradable,
        "fractionable": asset.fractionable,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
    }


def clock_json(clock: MarketClock) -> dict[str, Any]:
    moments = {"timestamp": clock.now, "next_open": clock.next_open, "next_close": clock.next_close}
    return {k: v.astimezone(EASTERN).isoformat() for k, v in moments.items()} | {"is_open": clock.is_open}


def snapshot_json(quote: Quote) -> dict[str, Any]:
    sides = {"bp": float(quote.bid or 0), "ap": float(quote.ask or 0), "bs": 1, "as": 1, "bx": "V", "ax": "V"}
    tape = {"t": iso(quote.at), "c": ["@"], "z": "A"}
    return {
        "latestTrade": tape | {"p": float(quote.price), "s": 100, "x": "V", "i": 1},
        "latestQuote": tape | sides,
    }


def bar_json(bar: Bar) -> dict[str, Any]:
    """Write one day; its timestamp is midnight in New York."""
    prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "vw": bar.close}
    at = iso(datetime.combine(bar.day, time(), EASTERN))
    return {"t": at, "v": int(bar.volume), "n": 1, **{k: float(v) for k, v in prices.items()}}


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
