"""Each order is followed by its own id to its end, and everybody is told once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.brokers.base import Broker, BrokerList, Orders, UnreadableRow
from Departments.core.errors import BrokerUnavailable, NotFound, UnreadableAnswer
from Departments.core.moments import parse_iso
from Departments.core.orders import Order, OrderScope, OrderStatus, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.messaging.message import Message
from Departments.Trading.exits import exit_intent
from Departments.Trading.tracking import OrderTracker
from tests.builders.desk import MORNING, desk
from tests.builders.trading import (
    APPROVAL_ID,
    asked,
    order,
    reports,
    send,
    sent_by_trading,
    trade_on,
    unproven_workspace,
)

CANCEL_ID = "MSG_EXECUTIVE_20251110T150600Z_cancel00"
SOLD = Order("B1", "C1", "CTVA", Side.SELL, D(190), OrderStatus.NEW, submitted_at=MORNING)


class Book:
    """A broker that knows the orders it was given; `asked` counts requests, `cancelled` is what was to be cancelled."""

    def __init__(self, *orders: Order) -> None:
        self.known = {o.id: o for o in orders}
        self.asked = 0
        self.unreadable: tuple[UnreadableRow, ...] = ()
        self.cancelled: list[str] = []

    def orders(
        self,
        scope: OrderScope = "open",
        *,
        symbols: Iterable[str] = (),
        after: datetime | None = None,
        side: Side | None = None,
    ) -> Orders:
        self.asked += 1
        return BrokerList((o for o in self.known.values() if o.symbol in set(symbols)), unreadable=self.unreadable)

    def order(self, order_id: str) -> Order:
        self.asked += 1
        if order_id not in self.known:
            raise NotFound(order_id)
        return self.known[order_id]

    def order_by_client_id(self, client_order_id: str) -> Order:
        self.asked += 1
        found = next((o for o in self.known.values() if o.client_order_id == client_order_id), None)
        if found is None:
            raise NotFound(client_order_id)
        return found

    def cancel(self, order_id: str) -> None:
        self.cancelled.append(order_id)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "sentinel.db")
    opened.orders.intend(
        OrderRecord("C1", "MSG_1", "CTVA", Side.SELL, D(190), "market", plan_id="P", created_at=MORNING)
    )
    yield opened
    opened.close()


@pytest.fixture
def told() -> list[Message]:
    return []


def tracker(broker: Any, ledger: Ledger, told: list[Message], clock: SimulatedClock | None = None) -> OrderTracker:
    port: Broker = broker
    return OrderTracker(port, ledger, clock or SimulatedClock(MORNING), told.append)


def status(ledger: Ledger) -> tuple[OrderStatus, D]:
    record = ledger.orders.find("C1")
    assert record is not None
    return record.status, record.filled_qty


def test_an_order_is_reported_once_when_it_has_ended(ledger: Ledger, told: list[Message]) -> None:
    broker = Book(replace(SOLD, status=OrderStatus.FILLED, filled_qty=D(190), filled_avg_price=D("64.64")))
    following = tracker(broker, ledger, told)
    for _ in range(3):
        following.track()
    assert [m.message_type for m in told] == ["execution", "log", "ExecutionReport"]


def test_all_orders_of_a_look_cost_one_request(ledger: Ledger, told: list[Message]) -> None:
    others = [replace(SOLD, id=f"B{n}", client_order_id=f"C{n}") for n in range(2, 30)]
    for other in others:
        intent = OrderRecord(
            other.client_order_id, f"MSG_{other.id}", "CTVA", Side.SELL, D(190), "market", created_at=MORNING
        )
        ledger.orders.intend(intent)
    broker = Book(SOLD, *others)
    tracker(broker, ledger, told).track()
    assert broker.asked == 1


def test_what_one_look_tells_is_one_commit(tmp_path: Path, told: list[Message]) -> None:
    labels: list[str] = []
    with closing(Ledger(tmp_path / "sentinel.db", step=labels.append)) as opened:
        orders = [replace(SOLD, id=f"B{n}", client_order_id=f"C{n}") for n in range(1, 4)]
        for each in orders:
            intent = OrderRecord(
                each.client_order_id, f"MSG_{each.id}", "CTVA", Side.SELL, D(190), "market", created_at=MORNING
            )
            opened.orders.intend(intent)
        labels.clear()
        following = tracker(Book(*orders), opened, told)
        following.track()
        following.track()
        assert labels.count("after:ledger.commit") == 1
        assert {record.status for record in opened.orders.find_open()} == {OrderStatus.NEW}


def test_what_was_seen_before_the_broker_fell_silent_is_recorded(ledger: Ledger, told: list[Message]) -> None:
    """Neither a cancel that nobody takes nor an order that nobody tells of holds up the news of another."""
    ledger.orders.request_cancel("C1", "PHASE_TIMEOUT", "PHASE_TIMEOUT: phase=SELL", MORNING)
    ledger.orders.intend(OrderRecord("C2", "MSG_2", "DVN", Side.SELL, D(225), "market", created_at=MORNING))

    class Silent(Book):
        def cancel(self, order_id: str) -> None:
            raise BrokerUnavailable(order_id)

    tracker(Silent(SOLD), ledger, told).track()
    assert status(ledger)[0] is OrderStatus.NEW


def test_a_word_nobody_knows_is_not_an_end(ledger: Ledger, told: list[Message]) -> None:
    tracker(Book(replace(SOLD, status=OrderStatus.UNKNOWN)), ledger, told).track()
    assert status(ledger)[0] is OrderStatus.UNKNOWN
    assert not [m for m in told if m.message_type == "ExecutionReport"]


def test_an_order_that_vanished_is_neither_rejected_nor_cancelled(ledger: Ledger, told: list[Message]) -> None:
    ledger.orders.observe(SOLD, MORNING)
    following = tracker(Book(), ledger, told, SimulatedClock(MORNING + timedelta(days=1)))
    following.track()
    assert status(ledger)[0] is OrderStatus.NEW
    assert told == []


def test_a_replaced_order_is_followed_to_its_successor(ledger: Ledger, told: list[Message]) -> None:
    first = replace(SOLD, status=OrderStatus.REPLACED, filled_qty=D(40), filled_avg_price=D(64), replaced_by="B2")
    second = Order("B2", "other", "CTVA", Side.SELL, D(150), OrderStatus.NEW, submitted_at=MORNING)
    broker = Book(first, second)
    following = tracker(broker, ledger, told)
    following.track()
    assert status(ledger) == (OrderStatus.NEW, D(40))
    broker.known["B2"] = replace(second, status=OrderStatus.FILLED, filled_qty=D(150), filled_avg_price=D(66))
    following.track()
    assert status(ledger) == (OrderStatus.FILLED, D(190))
    assert sum(f.fill.qty * f.fill.price for f in ledger.orders.fills_since(MORNING)) == 40 * 64 + 150 * 66


@pytest.mark.parametrize("sold", [0, 190])
def test_exits_without_a_clients_id_are_known_by_the_brokers(ledger: Ledger, told: list[Message], sold: int) -> None:
    exit_ = Order("E1", "", "CTVA", Side.SELL, D(190), OrderStatus.NEW, D(sold), D(70), submitted_at=MORNING)
    bracket = replace(SOLD, side=Side.BUY, legs=(exit_,))
    following = tracker(Book(bracket), ledger, told)
    following.observe([bracket])
    following.observe([replace(bracket, legs=(replace(exit_, status=OrderStatus.FILLED, filled_qty=D(190)),))])
    found = ledger.orders.find("E1")
    assert found is not None
    assert (found.status, found.filled_qty) == (OrderStatus.FILLED, D(190))


def test_an_exit_without_a_clients_id_is_followed_by_itself_too(ledger: Ledger, told: list[Message]) -> None:
    """Its entry may have ended before the days that are asked for; and what else there is to record is recorded."""
    exit_ = Order("E1", "", "CTVA", Side.SELL, D(190), OrderStatus.NEW, limit_price=D(70), submitted_at=MORNING)
    ledger.orders.adopt(exit_intent(exit_, "P", None, MORNING), exit_, MORNING, None)
    sold = replace(exit_, status=OrderStatus.FILLED, filled_qty=D(190), filled_avg_price=D(70))
    broker = Book(SOLD, sold)
    tracker(broker, ledger, told).track(exits=True)
    found = ledger.orders.find("E1")
    assert found is not None
    assert (found.status, found.filled_qty) == (OrderStatus.FILLED, D(190))
    assert status(ledger)[0] is OrderStatus.NEW
    assert broker.asked == 1


@pytest.mark.parametrize("exits", [True, False])
def test_an_exit_that_trades_in_the_same_look_as_its_entry_is_reported_once(
    ledger: Ledger, told: list[Message], *, exits: bool
) -> None:
    exit_ = Order("E1", "", "CTVA", Side.SELL, D(190), OrderStatus.HELD, submitted_at=MORNING)
    entry = replace(SOLD, side=Side.BUY, legs=(exit_,))
    broker = Book(entry)
    following = tracker(broker, ledger, told)
    following.track(exits=True)
    told.clear()
    sold, bought = (
        replace(o, status=OrderStatus.FILLED, filled_qty=D(190), filled_avg_price=D(70)) for o in (exit_, entry)
    )
    broker.known["B1"] = replace(bought, legs=(sold,))
    for _ in range(2):
        following.track(exits=exits)
    assert [(m.payload or {})["client_order_id"] for m in told] == ["C1", "E1"]
    assert len(ledger.orders.fills_since(MORNING)) == 2


def test_a_cancel_is_asked_for_again_until_the_order_shows_it(ledger: Ledger, told: list[Message]) -> None:
    ledger.orders.observe(SOLD, MORNING)
    ledger.orders.request_cancel("C1", "PHASE_TIMEOUT", "PHASE_TIMEOUT: phase=SELL", MORNING)
    broker = Book(SOLD)
    following = tracker(broker, ledger, told)
    following.track()
    following.track()
    broker.known["B1"] = replace(SOLD, status=OrderStatus.PENDING_CANCEL)
    following.track()
    assert broker.cancelled == ["B1", "B1"]


def test_an_order_that_shows_up_after_its_cancel_was_wished_is_cancelled(ledger: Ledger, told: list[Message]) -> None:
    ledger.orders.request_cancel("C1", "PHASE_TIMEOUT", "PHASE_TIMEOUT: phase=SELL", MORNING)
    broker = Book()
    following = tracker(broker, ledger, told)
    following.track()
    assert broker.cancelled == []
    broker.known["B1"] = SOLD
    following.track()
    assert broker.cancelled == ["B1"]


def test_an_order_that_never_arrived_is_withdrawn_a_minute_after_it_was_missed(
    ledger: Ledger, told: list[Message]
) -> None:
    ledger.orders.request_cancel("C1", "PHASE_TIMEOUT", "PHASE_TIMEOUT: phase=SELL", MORNING)
    clock = SimulatedClock(MORNING - timedelta(days=2))  # the clock was set back meanwhile
    following = tracker(Book(), ledger, told, clock)
    following.track()
    assert status(ledger)[0] is OrderStatus.UNKNOWN
    clock.sleep(61)
    following.track()
    assert status(ledger)[0] is OrderStatus.CANCELED
    assert [(m.payload or {})["code"] for m in told] == ["PHASE_TIMEOUT"]


# --- on the simulated exchange ---


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    found = desk(unproven_workspace(tmp_path), faults={"faults": FAULTS})
    yield found
    found.close()


FAULTS: list[Mapping[str, Any]] = [
    {"call": "submit", "symbol": "DVN", "do": "partial_then_silence", "part": 0.4},
    {"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": 0.4},
    {"call": "cancel", "symbol": "ALKS", "do": "fill_on_cancel"},
    {"call": "submit", "symbol": "AXTA", "do": "reject"},
]


def cancel(folder: Path, symbol: str, action: str, shares: float) -> None:
    cause = {"approval_message_id": APPROVAL_ID, "code": "PHASE_TIMEOUT", "reason": "too slow"}
    send(
        folder,
        asked(symbol, action, shares, **cause),
        message_id=CANCEL_ID,
        message_type="CancelRequest",
        parent=APPROVAL_ID,
    )


def test_a_partial_fill_that_is_cancelled_is_reported_with_what_it_filled(opened: Desk) -> None:
    send(opened.workspace, order("DVN", "SELL", 225.0, 33.61))
    trade_on(opened)
    cancel(opened.workspace, "DVN", "SELL", 225.0)
    trade_on(opened)
    found = [(r["status"], r["filled_qty"], r["code"]) for r in reports(opened.workspace)]
    assert found == [("canceled", 90, "PHASE_TIMEOUT")]


def test_an_order_that_fills_while_it_is_cancelled_is_filled_and_no_reason_is_left(opened: Desk) -> None:
    send(opened.workspace, order("ALKS", "BUY", 150, 32.66))
    trade_on(opened)
    cancel(opened.workspace, "ALKS", "BUY", 150)
    trade_on(opened)
    found = [(r["status"], r["filled_qty"], r["code"]) for r in reports(opened.workspace)]
    assert found == [("filled", 150, "")]


def test_what_the_market_rejects_after_it_was_taken_is_reported_like_every_rejection(opened: Desk) -> None:
    send(opened.workspace, order("AXTA", "BUY", 120, 28.64))
    trade_on(opened)
    (report,) = reports(opened.workspace)
    told = "REJECTED_LATER: filled=0 qty=120"
    assert (report["status"], report["code"], report["reason"]) == ("rejected", "REJECTED_LATER", told)
    (escalation,) = sent_by_trading(opened.workspace, "escalation")
    assert escalation.parent_message_id == APPROVAL_ID
    assert "the broker accepted the order and rejected it later" in escalation.body
    row = opened.ledger._db.row("SELECT * FROM trading_rejections JOIN desk_orders o ON o.id = order_id")
    assert row is not None
    assert (row["symbol"], row["rejection_code"], row["rejection_reason"]) == ("AXTA", "REJECTED_LATER", told)
    assert (row["rejection_source"], row["escalated_to_executive"]) == ("ALPACA", 1)
    assert (row["escalation_msg_id"], row["status"]) == (escalation.message_id, "rejected")
    assert row["terminal_at"] == report["terminal_at"]
    assert row["rejection_timestamp"] == f"{parse_iso(row['terminal_at']):%Y-%m-%d %H:%M:%S}"


def test_what_was_rejected_after_its_cancel_was_wished_says_that_it_was_rejected(
    ledger: Ledger, told: list[Message]
) -> None:
    ledger.orders.observe(SOLD, MORNING)
    ledger.orders.request_cancel("C1", "PHASE_TIMEOUT", "PHASE_TIMEOUT: phase=SELL", MORNING)
    rejected = replace(SOLD, status=OrderStatus.REJECTED)
    following = tracker(Book(rejected), ledger, told)
    following.track()
    following.observe([rejected])
    assert [m.message_type for m in told] == ["escalation", "ExecutionReport"]
    assert (told[1].payload or {})["code"] == "REJECTED_LATER"


def test_a_cancel_that_comes_before_its_approval_withdraws_it(opened: Desk) -> None:
    cancel(opened.workspace, "CTVA", "SELL", 190.0)
    trade_on(opened, 1)
    send(opened.workspace, order("CTVA", "SELL", 190.0, 64.64))
    trade_on(opened, 1)
    assert list(opened.broker.orders("all")) == []
    assert [(r["status"], r["filled_qty"]) for r in reports(opened.workspace)] == [("canceled", 0)]


def test_an_approval_whose_cancel_waits_behind_it_is_not_sent(opened: Desk) -> None:
    send(opened.workspace, order("CTVA", "SELL", 190.0, 64.64))
    cancel(opened.workspace, "CTVA", "SELL", 190.0)
    opened.clock.sleep(60)
    trade_on(opened, 1)
    assert list(opened.broker.orders("all")) == []
    assert [(r["status"], r["code"]) for r in reports(opened.workspace)] == [("canceled", "PHASE_TIMEOUT")]


def test_a_cancel_of_what_has_ended_changes_nothing(opened: Desk) -> None:
    send(opened.workspace, order("CTVA", "SELL", 190.0, 64.64))
    trade_on(opened)
    cancel(opened.workspace, "CTVA", "SELL", 190.0)
    trade_on(opened)
    assert [(r["status"], r["code"]) for r in reports(opened.workspace)] == [("filled", "")]


def test_a_brackets_exits_stand_in_the_ledger_when_its_entry_has_filled(opened: Desk) -> None:
    send(opened.workspace, order("COMM", "BUY", 250, 17.02))
    trade_on(opened)
    exits = opened.ledger.orders.find_open_exits(symbols=["COMM"])
    found = [(e.order_type, e.side, e.qty, e.status) for e in exits]
    assert found == [
        ("limit", Side.SELL, D(250), OrderStatus.NEW),
        ("stop", Side.SELL, D(250), OrderStatus.HELD),
    ]


def test_an_order_that_cannot_be_read_stays_as_it_is_and_the_others_are_followed(
    ledger: Ledger, told: list[Message]
) -> None:
    ledger.orders.intend(OrderRecord("C2", "MSG_2", "DVN", Side.SELL, D(10), "market", plan_id="P", created_at=MORNING))
    other = Order("B2", "C2", "DVN", Side.SELL, D(10), OrderStatus.FILLED, D(10), D(33), submitted_at=MORNING)
    book = Book(other)
    book.unreadable = (UnreadableRow("B1", "C1", "CTVA", "qty is empty"),)
    tracker(book, ledger, told).track()
    assert [record.symbol for record in ledger.orders.find_open()] == ["CTVA"]
    assert book.asked == 1


def test_an_order_that_is_listed_nowhere_and_cannot_be_read_stops_no_other(ledger: Ledger, told: list[Message]) -> None:
    ledger.orders.intend(OrderRecord("C2", "MSG_2", "DVN", Side.SELL, D(10), "market", plan_id="P", created_at=MORNING))
    other = Order("B2", "C2", "DVN", Side.SELL, D(10), OrderStatus.FILLED, D(10), D(33), submitted_at=MORNING)

    class Odd(Book):
        def order_by_client_id(self, client_order_id: str) -> Order:
            raise UnreadableAnswer(client_order_id)

    tracker(Odd(other), ledger, told).track()
    assert [record.symbol for record in ledger.orders.find_open()] == ["CTVA"]
