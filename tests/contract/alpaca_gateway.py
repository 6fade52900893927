"""The simulated exchange behind Alpaca's REST paths, as far as a day of the desk needs them.

As at Alpaca, wrong keys are answered 401, and the 201st request of a minute 429, trading and market data apart.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.core.activities import Activity, ActivityKind
from Departments.core.moments import parse_iso
from Departments.core.money import decimal_of
from Departments.core.orders import OrderChange, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.platform.clock import Clock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.records import ExchangeError, ExchangeRefusal, Outage
from Departments.exchange.state import ExchangeState
from tests.contract.alpaca_json import (
    ASSET_CLASS,
    account_json,
    activity_json,
    announcement_json,
    asset_json,
    bar_json,
    clock_json,
    corporate_action_json,
    fee_json,
    order_json,
    position_json,
    snapshot_json,
)
from tests.fakes.loopback import Call, Reply

KEYS = ("PKTEST", "not-a-secret")
A_MINUTE = timedelta(seconds=60)
SYMBOL = re.compile(r"[A-Z0-9]+(\.[A-Z]+)?")
Answering = Callable[[SimulatedExchange, Call], Reply]


class Gateway:
    """Answers each call with what the exchange says, on the one thread that the exchange lives on."""

    def __init__(
        self, path: Path, clock: Clock, state: ExchangeState, faults: FaultScript, *, a_minute: int = 200
    ) -> None:
        self._clock = clock
        self._a_minute = a_minute
        self._taken: dict[bool, deque[datetime]] = {True: deque(), False: deque()}
        self._thread = ThreadPoolExecutor(1)
        self.strange: dict[str, list[Any]] = {}  # rows by path that a list holds beside the exchange's own
        opened = self._thread.submit(SimulatedExchange, path, clock, state=state, faults=faults)
        self._exchange = opened.result()

    def __call__(self, call: Call) -> Reply:
        return self._thread.submit(self._admitted, call).result()

    def close(self) -> None:
        self._thread.submit(self._exchange.close).result()
        self._thread.shutdown()

    def _admitted(self, call: Call) -> Reply:
        if not _has_keys(call):
            return Reply(401, {"message": "unauthorized."})
        now, taken = self._clock.now(), self._taken[call.path.startswith("/v2/stocks")]
        while taken and now - taken[0] >= A_MINUTE:
            taken.popleft()
        if len(taken) >= self._a_minute:
            reset = int((taken[0] + A_MINUTE).timestamp()) + 1
            return Reply(429, {"message": "too many requests."}, {"X-RateLimit-Reset": str(reset)})
        taken.append(now)
        return self._answer(call)

    def _strangers(self, call: Call) -> list[Any]:
        return self.strange.get(call.path, []) if call.method == "GET" else []

    def _answer(self, call: Call) -> Reply:
        question = f"{call.method} {call.path}"
        for pattern, answer in ROUTES.items():
            if found := re.fullmatch(pattern, question):
                try:
                    reply = answer(self._exchange, call, *found.groups())
                    return replace(reply, body=[*reply.body, *self._strangers(call)]) if _is_list(reply) else reply
                except ExchangeError as error:
                    return _refusal(error)
        return Reply(404, "404 page not found")


def _is_list(reply: Reply) -> bool:
    return isinstance(reply.body, list)


def _has_keys(call: Call) -> bool:
    given = {name.upper(): value for name, value in call.headers.items()}
    return (given.get("APCA-API-KEY-ID"), given.get("APCA-API-SECRET-KEY")) == KEYS


def _refusal(error: ExchangeError) -> Reply:
    if isinstance(error, ExchangeRefusal):
        return Reply(error.http_status, dict(error.body))
    status = error.http_status if isinstance(error, Outage) else 500
    return Reply(drop=True) if status is None else Reply(status, "<html>trouble</html>")


def _submit(exchange: SimulatedExchange, call: Call) -> Reply:
    body = call.body
    exits = (body.get("take_profit", {}).get("limit_price"), body.get("stop_loss", {}).get("stop_price"))
    request = OrderRequest(
        client_order_id=body["client_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"].upper()),
        qty=decimal_of(body["qty"]),
        type=OrderType(body["type"]),
        time_in_force=TimeInForce(body["time_in_force"]),
        limit_price=_decimal(body.get("limit_price")),
        stop_price=_decimal(body.get("stop_price")),
        order_class=OrderClass(body.get("order_class", "simple")),
        take_profit=_decimal(exits[0]),
        stop_loss=_decimal(exits[1]),
        trail_price=_decimal(body.get("trail_price")),
        trail_percent=_decimal(body.get("trail_percent")),
    )
    return Reply(body=order_json(exchange.submit(request)))


def _replace(exchange: SimulatedExchange, call: Call, order_id: str) -> Reply:
    body = call.body
    change = OrderChange(
        client_order_id=body["client_order_id"],
        qty=_decimal(body.get("qty")),
        limit_price=_decimal(body.get("limit_price")),
        stop_price=_decimal(body.get("stop_price")),
        trail=_decimal(body.get("trail")),
    )
    return Reply(body=order_json(exchange.replace(order_id, change)))


def _cancel(exchange: SimulatedExchange, call: Call, order_id: str) -> Reply:
    exchange.cancel(order_id)
    return Reply(204)


def _position(exchange: SimulatedExchange, call: Call, symbol: str) -> Reply:
    position = exchange.position(symbol)
    if position is None:
        return Reply(404, {"code": 40410000, "message": "position does not exist"})
    return Reply(body=position_json(position))


def _orders(exchange: SimulatedExchange, call: Call) -> Reply:
    after = call.query.get("after")
    symbols = [s for s in call.query.get("symbols", "").split(",") if s]
    scope: Any = call.query.get("status", "open")
    orders = exchange.orders(scope, symbols=symbols, after=parse_iso(after) if after else None)
    assert (call.query["direction"], call.query["nested"]) == ("asc", "True")
    return Reply(body=[order_json(o) for o in orders][: int(call.query.get("limit", "50"))])


def _by_client_id(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer without legs, as Alpaca does."""
    order = exchange.order_by_client_id(call.query["client_order_id"])
    return Reply(body=order_json(order) | {"legs": None})


def _snapshots(exchange: SimulatedExchange, call: Call) -> Reply:
    quotes = exchange.quotes(call.query["symbols"].split(","))
    return Reply(body={symbol: snapshot_json(quote) for symbol, quote in quotes.items()})


def _bars(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer one page of rows, by symbol and then by day; as at Alpaca the limit is one for all symbols."""
    start, page = parse_iso(call.query["start"]), int(call.query.get("page_token", "0"))
    known = exchange.bars(call.query["symbols"].split(","), days=100)
    rows = [(s, row) for s in sorted(known) for bar in known[s] if parse_iso((row := bar_json(bar))["t"]) >= start]
    end, bars = page + int(call.query.get("limit", "1000")), dict[str, list[Any]]()
    for symbol, row in rows[page:end]:
        bars.setdefault(symbol, []).append(row)
    return Reply(body={"bars": bars, "next_page_token": str(end) if end < len(rows) else None})


def _about_all(answer: Answering) -> Answering:
    """Answer about many symbols; as at Alpaca, one that is none fails the whole question."""

    def answered(exchange: SimulatedExchange, call: Call) -> Reply:
        bad = next((s for s in call.query["symbols"].split(",") if not SYMBOL.fullmatch(s)), None)
        return answer(exchange, call) if bad is None else Reply(400, {"message": f"invalid symbol: {bad}"})

    return answered


def _asset(exchange: SimulatedExchange, call: Call, symbol: str) -> Reply:
    known = exchange.assets([symbol])
    if symbol not in known:
        return Reply(404, {"code": 40410000, "message": f"asset not found for {symbol}"})
    return Reply(body=asset_json(known[symbol]))


def _assets(exchange: SimulatedExchange, call: Call) -> Reply:
    known = exchange.assets(exchange.starting_state().symbols)
    assert call.query["asset_class"] == ASSET_CLASS
    return Reply(body=[row for a in known.values() if (row := asset_json(a))["status"] == call.query["status"]])


def _fees(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer one page of fees, one for each fill that cost some; Alpaca's comes a day later and is one for all."""
    after = parse_iso(call.query["after"])
    exchange.fees(after)
    rows = [fee_json(fill) for fill in exchange.floor.fills() if fill.fee and fill.at > after]
    known = [row["id"] for row in rows]
    begin = known.index(call.query["page_token"]) + 1 if "page_token" in call.query else 0
    assert call.query["direction"] == "asc"
    return Reply(body=rows[begin : begin + int(call.query.get("page_size", "100"))])


def _activities(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer one page of activities, oldest first."""
    rows = [activity_json(each) for each in exchange.activities(parse_iso(call.query["after"]))]
    known = [row["id"] for row in rows]
    begin = known.index(call.query["page_token"]) + 1 if "page_token" in call.query else 0
    assert call.query["direction"] == "asc"
    return Reply(body=rows[begin : begin + int(call.query.get("page_size", "100"))])


def _announcements(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer the splits between two days, of all symbols; Alpaca's list knows no other new symbols."""
    since, until = (date.fromisoformat(call.query[name]) for name in ("since", "until"))
    assert "split" in call.query["ca_types"]
    found = _announced(exchange, since, until)
    return Reply(body=[announcement_json(a) for a in found if a.kind is ActivityKind.SPLIT])


def _corporate_actions(exchange: SimulatedExchange, call: Call) -> Reply:
    """Answer the splits and new symbols of some symbols between two days, a list for each kind."""
    start, end = (date.fromisoformat(call.query[name]) for name in ("start", "end"))
    wanted, found = set(call.query["symbols"].split(",")), dict[str, list[Any]]()
    for each in _announced(exchange, start, end):
        if wanted & {each.symbol, each.new_symbol}:
            kind, row = corporate_action_json(each)
            found.setdefault(kind, []).append(row)
    return Reply(body={"corporate_actions": found, "next_page_token": None})


def _announced(exchange: SimulatedExchange, since: date, until: date) -> list[Activity]:
    listed = {*exchange.starting_state().symbols, *(p.symbol for p in exchange.positions())}
    return [a for a in exchange.announcements(listed, since) if a.day <= until]


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else decimal_of(value)


ROUTES: dict[str, Callable[..., Reply]] = {
    "POST /v2/orders": _submit,
    "GET /v2/orders": _orders,
    "GET /v2/orders:by_client_order_id": _by_client_id,
    "GET /v2/orders/([^/]+)": lambda exchange, _, order_id: Reply(body=order_json(exchange.order(order_id))),
    "DELETE /v2/orders/([^/]+)": _cancel,
    "PATCH /v2/orders/([^/]+)": _replace,
    "GET /v2/account/activities": _activities,
    "GET /v2/corporate_actions/announcements": _announcements,
    "GET /v1/corporate-actions": _corporate_actions,
    "GET /v2/account": lambda exchange, _: Reply(body=account_json(exchange.account())),
    "GET /v2/account/activities/FEE": _fees,
    "GET /v2/positions": lambda exchange, _: Reply(body=[position_json(p) for p in exchange.positions()]),
    "GET /v2/positions/([^/]+)": _position,
    "GET /v2/assets": _assets,
    "GET /v2/assets/([^/]+)": _asset,
    "GET /v2/clock": lambda exchange, _: Reply(body=clock_json(exchange.market_clock())),
    "GET /v2/stocks/snapshots": _about_all(_snapshots),
    "GET /v2/stocks/bars": _about_all(_bars),
}
