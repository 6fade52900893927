"""An order that a person edits at the broker is one order: each of its fills counts once."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.brokers.base import Broker, BrokerList, Orders
from Departments.core.errors import NotFound
from Departments.core.money import cents
from Departments.core.orders import Order, OrderChange, OrderRequest, OrderScope, OrderStatus, OrderType, Purpose, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.core.quotes import MarketClock
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.messaging.message import Message
from Departments.Trading.comparison import ComparedOrder, Finding, compare_orders
from Departments.Trading.tracking import OrderTracker
from tests.builders.desk import MORNING, STATE, desk
from tests.builders.trading import unproven_workspace

OURS = "MSG_EXECUTIVE_20251110T150000Z_1"
LONG_AGO = MORNING - timedelta(days=7)


class Rows:
    """A broker with these rows; the `hidden` ones are unknown to it, the `unlisted` ones only stand in no list."""

    def __init__(self, *rows: Order, hidden: Iterable[str] = (), unlisted: Iterable[str] = ()) -> None:
        self.rows = {row.id: row for row in rows if row.id not in set(hidden)}
        self.unlisted = set(unlisted)

    def orders(self, scope: OrderScope = "open", **_: Any) -> Orders:
        found = (row for row in self.rows.values() if row.id not in self.unlisted)
        return BrokerList(row for row in found if scope == "all" or not row.status.is_terminal)

    def order(self, order_id: str) -> Order:
        if order_id not in self.rows:
            raise NotFound(order_id)
        return self.rows[order_id]

    def order_by_client_id(self, client_order_id: str) -> Order:
        for row in self.rows.values():
            if row.client_order_id == client_order_id:
                return row
        raise NotFound(client_order_id)

    def market_clock(self) -> MarketClock:
        return MarketClock.by_calendar(MORNING)


def chain(*steps: tuple[int, int], last: OrderStatus = OrderStatus.FILLED, price: int = 10) -> list[Order]:
    """Return the rows A, B, C, … of an order: (shares, filled shares) each; every row but the last is replaced."""
    names = "ABCDEFGH"[: len(steps)]
    rows = []
    for number, ((qty, filled), name) in enumerate(zip(steps, names, strict=True)):
        is_last = number == len(steps) - 1
        rows.append(
            Order(
                name,
                OURS if number == 0 else f"dashboard-{name}",
                "CTVA",
                Side.BUY,
                D(qty),
                last if is_last else OrderStatus.REPLACED,
                D(filled),
                D(price + number) if filled else None,
                submitted_at=MORNING + timedelta(seconds=number),
                replaced_by=None if is_last else names[number + 1],
                replaces=names[number - 1] if number else None,
            )
        )
    return rows


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "sentinel.db")
    opened.orders.intend(OrderRecord(OURS, OURS, "CTVA", Side.BUY, D(300), "limit", plan_id="P", created_at=MORNING))
    yield opened
    opened.close()


def follow(broker: Any, ledger: Ledger) -> list[Message]:
    port: Broker = broker
    told: list[Message] = []
    OrderTracker(port, ledger, SimulatedClock(MORNING + timedelta(minutes=1)), told.append).track(exits=True)
    return told


def compare(broker: Any, ledger: Ledger) -> list[ComparedOrder]:
    port: Broker = broker
    rows, _ = compare_orders(port, ledger.orders, LONG_AGO)
    return rows


def known(ledger: Ledger) -> tuple[OrderStatus, D, list[D]]:
    record = ledger.orders.find(OURS)
    assert record is not None
    return record.status, record.filled_qty, [each.fill.qty for each in ledger.orders.fills_since(LONG_AGO)]


CHAINS = [
    [(300, 100), (200, 200)],
    [(300, 0), (300, 300)],
    [(300, 100), (200, 50), (150, 150)],
    [(300, 0), (300, 120), (180, 0), (180, 180)],
]


@pytest.mark.parametrize("unlisted", ["", "B", "A", "ABCD"])
@pytest.mark.parametrize("steps", CHAINS)
def test_an_edited_order_is_matched_and_filled_with_all_its_rows(
    ledger: Ledger, steps: list[tuple[int, int]], unlisted: str
) -> None:
    broker = Rows(*chain(*steps), unlisted=unlisted)
    assert [row.finding for row in compare(broker, ledger)] == [Finding.MATCHED]
    assert follow(broker, ledger) != []
    assert follow(broker, ledger) == []
    assert known(ledger) == (OrderStatus.FILLED, D(300), [D(300)])
    cost = sum(each.fill.qty * each.fill.price for each in ledger.orders.fills_since(LONG_AGO))
    assert cents(D(cost)) == sum(filled * (10 + number) for number, (_, filled) in enumerate(steps))
    assert [row for row in compare(broker, ledger) if row.is_disputed] == []


@pytest.mark.parametrize("steps", CHAINS)
def test_an_edit_seen_step_by_step_books_each_fill_once(ledger: Ledger, steps: list[tuple[int, int]]) -> None:
    for count in range(1, len(steps) + 1):
        rows = chain(*steps[:count], last=OrderStatus.FILLED if count == len(steps) else OrderStatus.PARTIALLY_FILLED)
        follow(Rows(*rows, unlisted="A"), ledger)
    status, filled, fills = known(ledger)
    assert (status, filled, sum(fills)) == (OrderStatus.FILLED, D(300), D(300))


@pytest.mark.parametrize(("steps", "filled"), [([(300, 100), (50, 50)], 150), ([(300, 100), (250, 250)], 350)])
def test_an_order_edited_to_other_shares_is_matched_with_what_it_filled(
    ledger: Ledger, steps: list[tuple[int, int]], filled: int
) -> None:
    broker = Rows(*chain(*steps))
    (row,) = compare(broker, ledger)
    assert row.finding is Finding.MATCHED
    assert "edited at the broker (300 were sent)" in row.sentence
    follow(broker, ledger)
    assert known(ledger)[:2] == (OrderStatus.FILLED, D(filled))
    assert [row for row in compare(broker, ledger) if row.is_disputed] == []


@pytest.mark.parametrize("ending", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED])
def test_an_edited_order_that_ends_in_part_keeps_the_fills_of_every_row(ledger: Ledger, ending: OrderStatus) -> None:
    broker = Rows(*chain((300, 100), (200, 30), last=ending))
    follow(broker, ledger)
    assert known(ledger) == (ending, D(130), [D(130)])
    assert [row for row in compare(broker, ledger) if row.is_disputed] == []


def test_a_chain_without_its_middle_is_whole_when_every_share_is_accounted_for(ledger: Ledger) -> None:
    broker = Rows(*chain((300, 100), (200, 0), (200, 200)), hidden="B")
    assert [row.finding for row in compare(broker, ledger)] == [Finding.MATCHED]
    follow(broker, ledger)
    assert known(ledger)[:2] == (OrderStatus.FILLED, D(300))


@pytest.mark.parametrize(
    ("steps", "hidden", "filled"),
    [([(300, 100), (200, 50), (150, 150)], "B", 250), ([(300, 100), (200, 200)], "B", 100)],
)
def test_a_chain_with_a_row_missing_is_ambiguous_and_has_not_ended(
    ledger: Ledger, steps: list[tuple[int, int]], hidden: str, filled: int
) -> None:
    broker = Rows(*chain(*steps), hidden=hidden)
    (row,) = compare(broker, ledger)
    assert row.finding is Finding.AMBIGUOUS
    assert "shows no readable order B, which replaced A" in row.sentence
    follow(broker, ledger)
    assert known(ledger) == (OrderStatus.UNKNOWN, D(filled), [D(filled)])


def test_a_chain_that_runs_in_a_circle_is_ambiguous_and_ends_the_look(ledger: Ledger) -> None:
    a, b = chain((300, 100), (200, 0))
    broker = Rows(replace(a, replaces="B"), replace(b, status=OrderStatus.REPLACED, replaced_by="A"))
    (row,) = compare(broker, ledger)
    assert (row.finding, "run in a circle" in row.sentence) == (Finding.AMBIGUOUS, True)
    follow(broker, ledger)
    assert known(ledger)[:2] == (OrderStatus.UNKNOWN, D(100))


def test_a_chain_that_names_itself_is_ambiguous(ledger: Ledger) -> None:
    (a,) = chain((300, 100), last=OrderStatus.REPLACED)
    (row,) = compare(Rows(replace(a, replaced_by="A")), ledger)
    assert row.finding is Finding.AMBIGUOUS


@pytest.mark.parametrize("last", [OrderStatus.NEW, OrderStatus.FILLED])
def test_an_edited_order_that_the_ledger_lacks_is_one_dispute(tmp_path: Path, last: OrderStatus) -> None:
    rows = chain((300, 0), (300, 300 if last is OrderStatus.FILLED else 0), last=last)
    again = replace(rows[1], client_order_id=f"{OURS}_edited")  # the edit may keep our beginning
    with closing(Ledger(tmp_path / "empty.db")) as empty:
        (row,) = compare(Rows(rows[0], again), empty)
    finding = Finding.UNKNOWN_FILL if last is OrderStatus.FILLED else Finding.ORPHAN
    assert (row.finding, row.client_order_id) == (finding, OURS)


def test_an_edited_exit_without_a_clients_id_is_followed_under_its_first_id(ledger: Ledger) -> None:
    exit_ = OrderRecord(
        "E1", "EXIT_E1", "DVN", Side.SELL, D(50), "stop", stop_price=D(30), purpose=Purpose.EXIT, created_at=MORNING
    )
    first = Order("E1", "", "DVN", Side.SELL, D(50), OrderStatus.REPLACED, submitted_at=MORNING, replaced_by="E2")
    ledger.orders.adopt(exit_, replace(first, status=OrderStatus.NEW), MORNING, None)
    second = Order("E2", "", "DVN", Side.SELL, D(50), OrderStatus.FILLED, D(50), D(31), replaces="E1")
    follow(Rows(first, second), ledger)
    record = ledger.orders.find("E1")
    assert record is not None
    assert (record.status, record.filled_qty) == (OrderStatus.FILLED, D(50))


# --- on the simulated exchange ---


def at_exchange(folder: Path) -> Desk:
    state = {**STATE, "partial_fills": {"rate": 1, "pause": 30}}
    return desk(unproven_workspace(folder, state=state))


def submit(opened: Desk) -> Order:
    opened.recover()  # the account as it is becomes the opening balance
    request = OrderRequest(OURS, "CTVA", Side.SELL, D(100), OrderType.LIMIT, limit_price=D("64.00"))
    with opened.ledger.transaction():
        intent = OrderRecord(OURS, OURS, "CTVA", Side.SELL, D(100), "limit", limit_price=D(64), created_at=MORNING)
        opened.ledger.orders.intend(intent)
    return opened.broker.submit(request)


def edit(opened: Desk, order: Order, number: int) -> Order:
    return opened.broker.replace(order.id, OrderChange(f"dashboard-{number}", limit_price=D("63.90")))


@pytest.mark.parametrize("looks", [True, False])
def test_an_edit_in_the_dashboard_is_no_trade_of_somebody_else(tmp_path: Path, *, looks: bool) -> None:
    with closing(at_exchange(tmp_path)) as opened:
        order = submit(opened)
        opened.clock.sleep(5)
        first = opened.broker.order(order.id)
        assert 0 < first.filled_qty < 100
        if looks:
            opened.trader.track()
        second = edit(opened, order, 1)
        opened.clock.sleep(5)
        if looks:
            opened.trader.track()
        if not opened.broker.order(second.id).status.is_terminal:
            edit(opened, second, 2)
        opened.clock.sleep(120)
        assert [row for row in opened.trader.reconcile() if row.is_disputed] == []
        record = opened.ledger.orders.find(OURS)
        assert record is not None
        assert (record.status, record.filled_qty) == (OrderStatus.FILLED, D(100))
        assert opened.ledger.book.differences() == []
        assert opened.ledger.releases.locks() == []
        assert opened.ledger.book.balance().holdings["CTVA"] == 90
        opened.trader.reconcile()
        assert opened.ledger.book.differences() == []
