from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.core.errors import BrokerUnavailable, NotFound, Refusal, Refused, UnreadableAnswer
from Departments.core.moments import iso, parse_iso
from Departments.core.orders import OrderChange, OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from tests.fakes import alpaca_answers as alpaca
from tests.fakes.loopback import Call, Loopback, Reply

OUR_ID = "MSG_EXECUTIVE_20251110T150912Z_5d20c9e7"
SELL = OrderRequest(OUR_ID, "UPS", Side.SELL, Decimal(70))
REFUSED = {"code": 42210000, "message": 'order is already in "filled" state'}


def test_a_market_order_goes_out_once_with_our_id(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("POST /v2/orders", alpaca.order())
    order = broker.submit(SELL)
    assert [(c.method, c.path, c.body) for c in server.calls] == [
        (
            "POST",
            "/v2/orders",
            {
                "symbol": "UPS",
                "qty": 70.0,
                "side": "sell",
                "type": "market",
                "time_in_force": "day",
                "client_order_id": OUR_ID,
            },
        )
    ]
    assert (order.id, order.status) == (alpaca.ORDER_ID, OrderStatus.PENDING_NEW)


def test_the_keys_travel_in_headers_only(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", alpaca.account())
    broker.account()
    headers = {name.upper(): value for name, value in server.calls[0].headers.items()}
    assert (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) == ("PKTEST", "not-a-secret")
    assert server.calls[0].query == {}


def test_a_bracket_carries_both_exits(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("POST /v2/orders", alpaca.bracket())
    entry = OrderRequest(
        OUR_ID,
        "UPS",
        Side.BUY,
        Decimal(70),
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.BRACKET,
        take_profit=Decimal("108.55"),
        stop_loss=Decimal("86.09"),
    )
    assert [leg.status for leg in broker.submit(entry).legs] == [OrderStatus.HELD, OrderStatus.HELD]
    body = server.calls[0].body
    assert (body["order_class"], body["time_in_force"], body["type"]) == ("bracket", "gtc", "market")
    assert (body["take_profit"], body["stop_loss"]) == ({"limit_price": 108.55}, {"stop_price": 86.09})


@pytest.mark.parametrize("target", ["take_profit", "limit_price"])
def test_an_oco_is_a_limit_order_whose_limit_is_its_target(
    script: Any, server: Loopback, broker: AlpacaBroker, target: str
) -> None:
    script.on("POST /v2/orders", alpaca.order(order_class="oco"))
    prices: dict[str, Any] = {target: Decimal("108.55")}
    broker.submit(
        OrderRequest(
            OUR_ID,
            "UPS",
            Side.SELL,
            Decimal(3),
            time_in_force=TimeInForce.GTC,
            order_class=OrderClass.OCO,
            stop_loss=Decimal("86.09"),
            **prices,
        )
    )
    body = server.calls[0].body
    assert (body["type"], body["order_class"]) == ("limit", "oco")
    assert (body["take_profit"], body["stop_loss"]) == ({"limit_price": 108.55}, {"stop_price": 86.09})
    assert "limit_price" not in body


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        (OrderType.LIMIT, {"limit_price": Decimal("93.58")}),
        (OrderType.STOP, {"stop_price": Decimal("86.09")}),
        (OrderType.STOP_LIMIT, {"stop_price": Decimal("86.09"), "limit_price": Decimal("86.00")}),
    ],
)
def test_priced_orders_carry_their_prices(
    script: Any, server: Loopback, broker: AlpacaBroker, kind: OrderType, prices: dict[str, Any]
) -> None:
    script.on("POST /v2/orders", alpaca.order())
    broker.submit(OrderRequest(OUR_ID, "UPS", Side.SELL, Decimal("0.5"), type=kind, **prices))
    body = server.calls[0].body
    assert (body["type"], body["qty"]) == (str(kind), 0.5)
    assert {k: v for k, v in body.items() if k.endswith("_price")} == {k: float(v) for k, v in prices.items()}


def test_a_bracket_without_exits_is_refused_before_anything_is_sent(server: Loopback, broker: AlpacaBroker) -> None:
    naked = OrderRequest(OUR_ID, "UPS", Side.BUY, Decimal(1), order_class=OrderClass.BRACKET)
    with pytest.raises(Refused, match="take_profit") as refusal:
        broker.submit(naked)
    assert (refusal.value.reason, server.calls) == (Refusal.INVALID_ORDER, [])


@pytest.mark.parametrize(
    "reply",
    [
        Reply(504, "<html>gateway timeout</html>"),
        Reply(429, {"message": "too many requests"}, {"Retry-After": "1"}),
        Reply(500, {"code": 50010000, "message": "internal server error occurred"}),
        Reply(403, "<html>blocked</html>"),
        Reply(200, "<html>welcome</html>"),
        Reply(200, {}),
        Reply(200, None),
        Reply(302, None, {"Location": "/elsewhere"}),
        Reply(200, {"id": alpaca.ORDER_ID}),
        Reply(200, alpaca.order(client_order_id="somebody-elses")),
        Reply(hang=True),
        Reply(drop=True),
    ],
    ids=lambda r: f"{r.status}-{'hang' if r.hang else 'drop' if r.drop else str(r.body)[:20]}",
)
def test_an_order_with_an_unclear_answer_is_unknown_and_never_sent_again(
    script: Any, server: Loopback, broker: AlpacaBroker, reply: Reply
) -> None:
    script.on("POST /v2/orders", reply)
    with pytest.raises(BrokerUnavailable):
        broker.submit(SELL)
    assert len(server.calls) == 1


def test_a_refusal_in_words_alone_is_a_refusal_with_those_words(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("POST /v2/orders", Reply(422, {"message": "qty is too odd"}))
    with pytest.raises(Refused, match="qty is too odd") as refusal:
        broker.submit(SELL)
    assert (refusal.value.reason, refusal.value.numbers) == (Refusal.OTHER, {"http": "422", "said": "qty_is_too_odd"})
    assert len(server.calls) == 1


def test_a_cancel_is_one_request_without_content(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on(f"DELETE /v2/orders/{alpaca.ORDER_ID}", Reply(204))
    broker.cancel(alpaca.ORDER_ID)
    assert [(c.method, c.path) for c in server.calls] == [("DELETE", f"/v2/orders/{alpaca.ORDER_ID}")]


def test_a_cancel_that_comes_too_late_is_refused(script: Any, broker: AlpacaBroker) -> None:
    script.on(f"DELETE /v2/orders/{alpaca.ORDER_ID}", Reply(422, REFUSED))
    with pytest.raises(Refused, match="already"):
        broker.cancel(alpaca.ORDER_ID)


@pytest.mark.parametrize("reply", [Reply(302), Reply(504), Reply(hang=True)], ids=["redirected", "504", "silent"])
def test_a_cancel_without_a_clear_answer_is_unknown_and_not_repeated(
    script: Any, server: Loopback, broker: AlpacaBroker, reply: Reply
) -> None:
    script.on(f"DELETE /v2/orders/{alpaca.ORDER_ID}", reply)
    with pytest.raises(BrokerUnavailable):
        broker.cancel(alpaca.ORDER_ID)
    assert len(server.calls) == 1


def test_an_order_is_asked_for_with_its_legs(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on(f"GET /v2/orders/{alpaca.ORDER_ID}", alpaca.bracket())
    assert len(broker.order(alpaca.ORDER_ID).legs) == 2
    assert server.calls[0].query == {"nested": "True"}


def test_an_id_that_cannot_be_alpacas_is_not_found_without_asking(server: Loopback, broker: AlpacaBroker) -> None:
    with pytest.raises(NotFound):
        broker.order("../account")
    assert server.calls == []


def test_a_simple_order_is_found_by_our_id_with_one_question(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("GET /v2/orders:by_client_order_id", alpaca.order())
    assert broker.order_by_client_id(OUR_ID).id == alpaca.ORDER_ID
    assert [(c.path, c.query) for c in server.calls] == [("/v2/orders:by_client_order_id", {"client_order_id": OUR_ID})]


def test_a_bracket_found_by_our_id_has_the_legs_that_alpaca_leaves_out_there(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/orders:by_client_order_id", alpaca.bracket(legs=None))
    script.on(f"GET /v2/orders/{alpaca.ORDER_ID}", alpaca.bracket())
    assert len(broker.order_by_client_id(OUR_ID).legs) == 2


def test_an_unknown_client_id_is_not_found(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/orders:by_client_order_id", Reply(404, {"code": 40410000, "message": "order not found"}))
    with pytest.raises(NotFound):
        broker.order_by_client_id(OUR_ID)


def test_a_404_without_alpacas_code_is_no_proof_of_absence(broker: AlpacaBroker) -> None:
    with pytest.raises(BrokerUnavailable):
        broker.order_by_client_id(OUR_ID)


def test_orders_are_asked_for_oldest_first_with_legs_in_full_pages(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("GET /v2/orders", [alpaca.order()])
    after = datetime(2025, 11, 10, 14, 30, tzinfo=UTC)
    assert [o.symbol for o in broker.orders("all", symbols={"UPS", "DVN"}, after=after)] == ["UPS"]
    assert [c.query for c in server.calls] == [
        {
            "status": "all",
            "limit": "500",
            "direction": "asc",
            "nested": "True",
            "symbols": "DVN,UPS",
            "after": "2025-11-10T14:30:00+00:00",
        }
    ]


def test_no_orders_are_an_empty_list(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/orders", [])
    assert list(broker.orders()) == []
    assert server.calls[0].query == {"status": "open", "limit": "500", "direction": "asc", "nested": "True"}


def _history(count: int, per_moment: int = 2) -> list[dict[str, Any]]:
    """Orders of which every `per_moment` were submitted at the same moment."""
    start = datetime(2025, 11, 3, 15, tzinfo=UTC)
    moments = [iso(start + timedelta(seconds=i // per_moment)) for i in range(count)]
    return [
        alpaca.order(id=f"00000000-0000-4000-8000-{i:012d}", client_order_id=f"c{i}", submitted_at=moment)
        for i, moment in enumerate(moments)
    ]


class History:
    """A list of orders behind Alpaca's paging: `after` excludes its own moment."""

    def __init__(self, orders: list[dict[str, Any]]) -> None:
        self.orders = orders

    def __call__(self, call: Call) -> Reply:
        after = call.query.get("after")
        later = [o for o in self.orders if after is None or parse_iso(o["submitted_at"]) > parse_iso(after)]
        return Reply(body=later[: int(call.query["limit"])])


@pytest.mark.parametrize("count", [499, 500, 501, 1201])
def test_every_order_of_a_long_list_is_returned_once_and_in_order(
    server: Loopback, broker: AlpacaBroker, count: int
) -> None:
    server.answering = History(_history(count, per_moment=3))
    orders = broker.orders("all")
    assert [o.client_order_id for o in orders] == [f"c{i}" for i in range(count)]


def test_a_page_that_legs_have_shortened_is_not_taken_for_the_last(server: Loopback, broker: AlpacaBroker) -> None:
    entries = [
        alpaca.bracket(id=f"00000000-0000-4000-8000-{i:012d}", submitted_at=o["submitted_at"])
        for i, o in enumerate(_history(200, per_moment=1))
    ]

    def rolled_up(call: Call) -> Reply:
        """Count legs into the limit, as a roll-up after the selection does."""
        page = History(entries)(call).body
        return Reply(body=page[: int(call.query["limit"]) // 3])

    server.answering = rolled_up
    assert len(broker.orders("all")) == 200


def test_a_list_that_does_not_go_on_is_an_error_and_no_endless_loop(server: Loopback, broker: AlpacaBroker) -> None:
    page = _history(500)
    server.answering = lambda _: Reply(body=page)
    with pytest.raises(BrokerUnavailable):
        broker.orders("all")
    assert len(server.calls) == 2


def test_a_leg_that_is_listed_beside_its_parent_is_not_counted_twice(script: Any, broker: AlpacaBroker) -> None:
    entry = alpaca.bracket(status="filled")
    script.on("GET /v2/orders", [entry, entry["legs"][0]])
    assert [o.id for o in broker.orders("all")] == [alpaca.ORDER_ID]


def test_an_unreadable_order_is_named_once_and_stops_no_other(
    script: Any, broker: AlpacaBroker, caplog: pytest.LogCaptureFixture
) -> None:
    script.on("GET /v2/orders", [alpaca.order(), alpaca.order(id="odd-1", qty="many")])
    for _ in range(3):
        orders = broker.orders()
        assert [o.id for o in orders] == [alpaca.ORDER_ID]
        assert [row.id for row in orders.unreadable] == ["odd-1"]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("The order odd-1 at the broker cannot be read")


def test_one_order_that_makes_no_sense_cannot_be_read_and_is_not_unanswered(script: Any, broker: AlpacaBroker) -> None:
    script.on(f"GET /v2/orders/{alpaca.ORDER_ID}", alpaca.order(qty="many"))
    with pytest.raises(UnreadableAnswer, match="the order cannot be read"):
        broker.order(alpaca.ORDER_ID)


def test_one_side_is_listed_with_spreads_which_have_none(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/orders", [alpaca.order(), alpaca.order(id="2", side="buy"), alpaca.spread()])
    orders = broker.orders(side=Side.BUY)
    assert ([o.id for o in orders], [o.kind for o in orders.foreign]) == (["2"], ["mleg"])
    assert "side" not in server.calls[0].query


def test_a_page_of_odd_rows_does_not_end_the_list(server: Loopback, broker: AlpacaBroker) -> None:
    history = _history(700, per_moment=1)
    for row in history[::3]:
        row["qty"] = "many"
    server.answering = History(history)
    orders = broker.orders("all")
    assert len(orders) + len(orders.unreadable) == 700


def test_positions_and_assets_are_asked_for_by_path(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/positions", [alpaca.position(), alpaca.position(symbol="BRK.B")])
    script.on("GET /v2/assets/BRK.B", alpaca.asset(symbol="BRK.B"))
    assert [p.symbol for p in broker.positions()] == ["UPS", "BRK.B"]
    assert broker.assets(["BRK.B"])["BRK.B"].symbol == "BRK.B"
    script.on("GET /v2/positions/BRK.B", alpaca.position(symbol="BRK.B"))
    held = broker.position("BRK.B")
    assert held is not None
    assert held.symbol == "BRK.B"
    assert [c.path for c in server.calls] == ["/v2/positions", "/v2/assets/BRK.B", "/v2/positions/BRK.B"]


def test_a_symbol_cannot_reach_another_path(server: Loopback, broker: AlpacaBroker) -> None:
    with pytest.raises(BrokerUnavailable):
        broker.assets(["../positions?x=1"])
    assert server.calls[0].path == "/v2/assets/..%2Fpositions%3Fx%3D1"


def test_a_local_server_is_reached_without_a_proxy(
    script: Any, server: Loopback, broker: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    script.on("GET /v2/account", alpaca.account())
    assert broker.account().may_trade


@pytest.mark.parametrize("body", [{"positions": []}, "[]]", None])
def test_what_is_no_list_of_positions_does_not_mean_flat(script: Any, broker: AlpacaBroker, body: Any) -> None:
    script.on("GET /v2/positions", Reply(body=body))
    with pytest.raises(BrokerUnavailable):
        broker.positions()


def test_a_long_list_without_times_cannot_be_followed(server: Loopback, broker: AlpacaBroker) -> None:
    page = [o | {"submitted_at": None, "created_at": None} for o in _history(500)]
    server.answering = lambda _: Reply(body=page)
    with pytest.raises(BrokerUnavailable):
        broker.orders("all")


@pytest.mark.parametrize(
    ("change", "body"),
    [
        (OrderChange("c-2", stop_price=Decimal("87.01")), {"stop_price": 87.01}),
        (OrderChange("c-2", limit_price=Decimal(110), qty=Decimal(30)), {"limit_price": 110.0, "qty": 30}),
        (OrderChange("c-2", trail=Decimal("2.5")), {"trail": 2.5}),
    ],
)
def test_new_terms_go_out_once_with_an_id_of_their_own(
    script: Any, server: Loopback, broker: AlpacaBroker, change: OrderChange, body: dict[str, Any]
) -> None:
    script.on(f"PATCH /v2/orders/{alpaca.ORDER_ID}", alpaca.order(client_order_id="c-2", replaces=alpaca.ORDER_ID))
    assert broker.replace(alpaca.ORDER_ID, change).replaces == alpaca.ORDER_ID
    (sent,) = server.calls
    assert (sent.method, sent.body) == ("PATCH", {"client_order_id": "c-2", **body})


@pytest.mark.parametrize("status", [429, 500, 504])
def test_new_terms_are_never_sent_again_by_the_library(
    script: Any, server: Loopback, broker: AlpacaBroker, status: int
) -> None:
    script.on(f"PATCH /v2/orders/{alpaca.ORDER_ID}", Reply(status, "<html>later</html>"))
    with pytest.raises(BrokerUnavailable):
        broker.replace(alpaca.ORDER_ID, OrderChange("c-2", stop_price=Decimal("87.01")))
    assert len(server.calls) == 1


def test_an_answer_about_another_order_is_no_answer_to_new_terms(script: Any, broker: AlpacaBroker) -> None:
    script.on(f"PATCH /v2/orders/{alpaca.ORDER_ID}", alpaca.order(client_order_id="other"))
    with pytest.raises(BrokerUnavailable, match="answered c-2 with other"):
        broker.replace(alpaca.ORDER_ID, OrderChange("c-2", stop_price=Decimal("87.01")))
