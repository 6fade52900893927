"""Answers in Alpaca's shape: every field its API documents, values of our own making."""

from __future__ import annotations

from typing import Any

ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d"
LEG_ID = "0f3c9d2a-1111-4c6e-9f2a-5b7d1e0c9a84"
STOP_ID = "1f3c9d2a-2222-4c6e-9f2a-5b7d1e0c9a84"
MADE_AT = "2025-11-10T15:09:12.760093123Z"


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": ORDER_ID,
        "client_order_id": "MSG_EXECUTIVE_20251110T150912Z_5d20c9e7",
        "created_at": MADE_AT,
        "updated_at": MADE_AT,
        "submitted_at": MADE_AT,
        "filled_at": None,
        "expired_at": None,
        "canceled_at": None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": "UPS",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "70",
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "order_type": "market",
        "type": "market",
        "side": "sell",
        "time_in_force": "day",
        "limit_price": None,
        "stop_price": None,
        "status": "pending_new",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "position_intent": "sell_to_close",
        **changes,
    }


def bracket(**changes: Any) -> dict[str, Any]:
    exits = {"side": "sell", "status": "held", "order_class": "bracket", "time_in_force": "gtc"}
    legs = [
        order(id=LEG_ID, client_order_id="leg-1", type="limit", limit_price="108.55", **exits),
        order(id=STOP_ID, client_order_id="leg-2", type="stop", stop_price="86.09", **exits),
    ]
    entry = {"side": "buy", "order_class": "bracket", "time_in_force": "gtc", "status": "accepted", "legs": legs}
    return order(**(entry | changes))


def spread(**changes: Any) -> dict[str, Any]:
    """Return a multi-leg option order: its row names no symbol, no side and no class of asset."""
    legs = [
        order(
            id=f"7e4c1a7e-0000-4000-8000-00000000000{n}",
            client_order_id=f"leg-{n}",
            symbol=f"SPY251121C00{strike}000",
            asset_class="us_option",
            side=side,
        )
        for n, (strike, side) in enumerate([(670, "buy"), (680, "sell")], start=2)
    ]
    of_none = dict.fromkeys(("asset_id", "symbol", "asset_class", "side"), "")
    terms = {"type": "limit", "limit_price": "10", "qty": "1", "order_class": "mleg", "legs": legs}
    ids = {"id": "7e4c1a7e-0000-4000-8000-000000000001", "client_order_id": "646b1fe6-0000-4000-8000-000000000000"}
    return order(**(of_none | terms | ids | changes))


def option_order(**changes: Any) -> dict[str, Any]:
    terms = {"type": "limit", "limit_price": "2.40", "qty": "10", "side": "buy", "status": "new"}
    ids = {"id": "8e4c1a7e-0000-4000-8000-000000000001", "client_order_id": "by-hand"}
    return order(**({"symbol": "AAPL251219C00150000", "asset_class": "us_option"} | terms | ids | changes))


def account(**changes: Any) -> dict[str, Any]:
    return {
        "id": "904837e3-3b76-47ec-b432-046db621571b",
        "account_number": "PA3000000001",
        "status": "ACTIVE",
        "currency": "USD",
        "cash": "12345.67",
        "buying_power": "45690.13",
        "regt_buying_power": "45690.13",
        "non_marginable_buying_power": "12345.67",
        "equity": "98950.01",
        "last_equity": "98800",
        "portfolio_value": "98950.01",
        "multiplier": "2",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": True,
        **changes,
    }


def position(**changes: Any) -> dict[str, Any]:
    return {
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": "UPS",
        "exchange": "NYSE",
        "asset_class": "us_equity",
        "qty": "70",
        "qty_available": "0",
        "avg_entry_price": "88.1",
        "side": "long",
        "market_value": "6550.6",
        "cost_basis": "6167",
        "current_price": "93.58",
        "lastday_price": "93",
        **changes,
    }


def asset(**changes: Any) -> dict[str, Any]:
    return {
        "id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "class": "us_equity",
        "exchange": "NYSE",
        "symbol": "UPS",
        "name": "United Parcel Service, Inc. Class B",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": True,
        "fractionable": True,
        **changes,
    }
