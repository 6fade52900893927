"""Ledger against broker: what each order is found to be, what it locks, and that nothing is sent."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.brokers.base import Broker, BrokerList, Orders, Positions, UnreadableRow
from Departments.core.errors import UnreadableAnswer
from Departments.core.orders import Order, OrderRequest, OrderType, Side, TimeInForce
from Departments.ledger.order_records import OrderRecord
from Departments.Trading.comparison import Finding
from Departments.Trading.coverage import ExitCoverage
from Departments.Trading.reconciliation import Reconciler
from tests.builders.desk import MORNING, desk, plan, trade
from tests.builders.trading import order, reports, send, trade_on, unproven_workspace

OURS = "MSG_EXECUTIVE_20251110T150000Z_1"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    found = desk(unproven_workspace(tmp_path))
    _ = found.broker  # orders of a ledger without an exchange beside it were sent elsewhere
    yield found
    found.close()


def intend(opened: Desk, symbol: str = "CTVA", qty: int = 100, client_order_id: str = OURS) -> None:
    intent = OrderRecord(
        client_order_id, client_order_id, symbol, Side.SELL, D(qty), "market", created_at=opened.clock.now()
    )
    with opened.ledger.transaction():
        opened.ledger.orders.intend(intent)


def sell(opened: Desk, symbol: str = "CTVA", qty: int = 100, client_order_id: str = OURS, **more: Any) -> None:
    opened.broker.submit(OrderRequest(client_order_id, symbol, Side.SELL, D(qty), **more))


def findings(opened: Desk) -> list[tuple[str, Finding]]:
    return [(row.symbol, row.finding) for row in opened.trader.reconcile()]


def test_an_order_both_know_is_matched_and_its_fill_is_taken_over(opened: Desk) -> None:
    intend(opened)
    sell(opened)
    opened.clock.sleep(10)
    assert findings(opened) == [("CTVA", Finding.MATCHED)]
    assert [f.fill.qty for f in opened.ledger.orders.fills_since(MORNING)] == [D(100)]
    assert opened.ledger.releases.find_locks() == {}


def test_an_open_order_of_ours_that_the_ledger_does_not_know_is_an_orphan(opened: Desk) -> None:
    sell(opened)
    assert findings(opened) == [("CTVA", Finding.ORPHAN)]
    assert OURS in opened.ledger.releases.find_locks()["CTVA"]


def test_a_fill_of_ours_that_the_ledger_does_not_know_is_an_unknown_fill(opened: Desk) -> None:
    sell(opened)
    opened.clock.sleep(10)
    assert findings(opened) == [("CTVA", Finding.UNKNOWN_FILL)]


def test_the_lock_of_an_unknown_fill_names_the_fill_its_day_and_the_mend(opened: Desk) -> None:
    sell(opened)
    opened.clock.sleep(10)
    opened.trader.reconcile()
    assert opened.ledger.releases.find_locks() == {
        "CTVA": f"CTVA: the broker filled SELL 100 CTVA on 2025-11-10 ({OURS}), which the ledger does not know. "
        "Check it, then: departments reconcile --accept CTVA"
    }


def test_an_order_of_somebody_else_is_none_of_ours(opened: Desk) -> None:
    sell(opened, client_order_id="by-hand")
    assert findings(opened) == []


@pytest.mark.parametrize("make", [lambda d: intend(d, "DVN"), lambda d: intend(d, "CTVA", 90)])
def test_an_order_that_is_another_one_at_the_broker_is_ambiguous(opened: Desk, make: Callable[[Desk], None]) -> None:
    make(opened)
    sell(opened)
    assert [finding for _, finding in findings(opened)] == [Finding.AMBIGUOUS]


def test_an_intent_whose_approval_is_gone_and_that_the_broker_does_not_know_is_ambiguous(opened: Desk) -> None:
    intend(opened)
    assert findings(opened) == [("CTVA", Finding.AMBIGUOUS)]


def test_an_intent_whose_approval_still_waits_will_be_finished(opened: Desk) -> None:
    intend(opened)
    send(opened.workspace, order("CTVA", "SELL", 100), message_id=OURS)
    assert findings(opened) == [("CTVA", Finding.MATCHED)]


def test_an_order_that_filled_after_the_ledger_had_given_it_up_is_ambiguous(opened: Desk) -> None:
    intend(opened)
    sell(opened)
    intent = opened.ledger.orders.find_open()[0]
    with opened.ledger.transaction():
        opened.ledger.orders.withdraw(intent, "PHASE_TIMEOUT", "PHASE_TIMEOUT", opened.clock.now())
    opened.clock.sleep(10)
    assert findings(opened) == [("CTVA", Finding.AMBIGUOUS)]


def test_an_order_that_the_ledger_has_given_up_and_that_is_still_open_is_ambiguous(opened: Desk) -> None:
    intend(opened)
    sell(opened, type=OrderType.LIMIT, limit_price=D(80))
    opened.clock.sleep(10)
    intent = opened.ledger.orders.find_open()[0]
    with opened.ledger.transaction():
        opened.ledger.orders.withdraw(intent, "PHASE_TIMEOUT", "PHASE_TIMEOUT", opened.clock.now())
    assert findings(opened) == [("CTVA", Finding.AMBIGUOUS)]


def test_reconciling_sends_nothing(opened: Desk) -> None:
    intend(opened)
    send(opened.workspace, order("CTVA", "SELL", 100), message_id=OURS)
    opened.trader.reconcile()
    assert list(opened.broker.orders("all")) == []


def test_reconciling_asks_for_no_cancel_either(opened: Desk) -> None:
    intend(opened)
    sell(opened, type=OrderType.LIMIT, limit_price=D(80))
    opened.clock.sleep(10)
    with opened.ledger.transaction():
        opened.ledger.orders.request_cancel(OURS, "PHASE_TIMEOUT", "PHASE_TIMEOUT", opened.clock.now())
    opened.trader.reconcile()
    assert [o.status for o in opened.broker.orders("all")] == ["new"]
    opened.trader.track()
    assert [o.status for o in opened.broker.orders("all")] == ["pending_cancel"]


def test_a_lock_stays_until_a_person_frees_it(opened: Desk) -> None:
    sell(opened)
    opened.trader.reconcile()
    opened.broker.cancel(opened.broker.order_by_client_id(OURS).id)
    opened.clock.sleep(5)
    opened.trader.reconcile()
    assert OURS in opened.ledger.releases.find_locks()["CTVA"]
    opened.clock.sleep(30 * 86_400)
    opened.trader.reconcile()
    assert OURS in opened.ledger.releases.find_locks()["CTVA"]
    assert opened.trader.accept("CTVA") == ["CTVA is free", "the desk may trade again"]
    assert opened.ledger.releases.find_locks() == {}


def test_a_person_who_has_looked_unlocks_the_symbol_for_good(opened: Desk) -> None:
    intend(opened)
    sell(opened, "DVN", client_order_id="MSG_2")
    opened.trader.reconcile()
    assert set(opened.ledger.releases.find_locks()) == {"CTVA", "DVN"}
    assert opened.trader.accept("CTVA") == ["SELL 100 CTVA is withdrawn: it never arrived", "CTVA is free"]
    assert set(opened.ledger.releases.find_locks()) == {"DVN"}
    assert [(r["ticker"], r["status"], r["code"]) for r in reports(opened.workspace)] == [
        ("CTVA", "canceled", "SYMBOL_LOCKED")
    ]


def test_an_orphan_of_an_earlier_day_locks_its_symbol_and_the_rest_of_the_plan_goes_on(opened: Desk) -> None:
    with closing(desk(opened.workspace, at=MORNING - timedelta(days=3))) as earlier:
        resting: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D(90), "time_in_force": TimeInForce.GTC}
        sell(earlier, client_order_id="MSG_ORPHAN", qty=10, **resting)
    opened.ceo.current_plan = plan(trade("CTVA", "SELL", 100.0, 64.64), trade("DVN", "SELL", 225.0, 33.61))
    opened.ceo.plan_approved = True
    document = opened.ceo.execute_plan()["document"]
    orders = {o["ticker"]: (o["status"], o["code"]) for p in document["phases"] for o in p["orders"]}
    assert orders == {"CTVA": ("deferred", "SYMBOL_LOCKED"), "DVN": ("filled", "")}
    assert (document["status"], document["exit_code"]) == ("COMPLETED_WITH_ISSUES", 1)


def test_exits_that_rest_for_days_are_matched_and_their_fill_becomes_known(opened: Desk) -> None:
    send(opened.workspace, order("COMM", "BUY", 250, 17.02))
    trade_on(opened)
    opened.clock.sleep(timedelta(days=1).total_seconds())
    assert {f for _, f in findings(opened)} == {Finding.MATCHED}
    broker: Any = opened.broker
    floor = broker.exchange.floor
    floor.set_price("COMM", D("15.00"))
    opened.clock.sleep(10)
    opened.trader.reconcile()
    fills = [(f.side, f.fill.qty) for f in opened.ledger.orders.fills_since(MORNING)]
    assert fills == [(Side.BUY, D(250)), (Side.SELL, D(250))]
    assert opened.ledger.history(opened.clock.now()).day_trades == ()


def test_positions_answer_as_before(opened: Desk) -> None:
    send(opened.workspace, order("COMM", "BUY", 250, 17.02))
    trade_on(opened)
    answer = opened.trading.reconcile_positions(max_age_hours=24)
    assert (answer["status"], answer["is_matched"]) == ("SUCCESS", True)
    assert answer["positions"]["COMM"] == D(250)
    broker: Any = opened.broker
    floor = broker.exchange.floor
    for exit_order in opened.broker.orders("open"):
        opened.broker.cancel(exit_order.id)
    opened.clock.sleep(10)
    floor.trade_outside("COMM", D(-100))
    answer = opened.trading.reconcile_positions(max_age_hours=24)
    assert (answer["status"], answer["is_matched"]) == ("SUCCESS", False)
    assert answer["discrepancies"] == [{"ticker": "COMM", "bought": D(250), "held": D(150)}]
    assert opened.clock.now() > MORNING


def test_shares_of_a_position_that_cannot_be_read_are_not_missed(opened: Desk) -> None:
    send(opened.workspace, order("COMM", "BUY", 250, 17.02))
    trade_on(opened)

    class Unreadable:
        """A broker whose only position cannot be read."""

        def positions(self) -> Positions:
            return BrokerList((), unreadable=[UnreadableRow("", "", "COMM", "qty: many")])

    broker: Any = Unreadable()
    books: Any = None  # positions alone are compared
    reconciler = Reconciler(
        broker, opened.ledger, opened.clock, lambda _: None, books, ExitCoverage(broker, opened.ledger, opened.clock)
    )
    assert reconciler.compare_positions(timedelta(days=1)).missing == ()


def test_shares_that_were_bought_and_sold_again_are_not_missed(opened: Desk) -> None:
    send(opened.workspace, order("COMM", "BUY", 250, 17.02))
    trade_on(opened)
    broker: Any = opened.broker
    floor = broker.exchange.floor
    floor.set_price("COMM", D("20.00"))
    opened.clock.sleep(10)
    opened.trader.track(exits=True)
    answer = opened.trading.reconcile_positions()
    assert (answer["is_matched"], answer["positions"].get("COMM")) == (True, None)


# --- start-up reconciliation ---


def test_start_up_reconciliation_locks_what_ledger_and_broker_disagree_about(opened: Desk) -> None:
    sell(opened)
    opened.work()
    assert OURS in opened.ledger.releases.find_locks()["CTVA"]


def test_start_up_reconciliation_happens_once(opened: Desk) -> None:
    opened.work()
    sell(opened)
    opened.work()
    assert opened.ledger.releases.find_locks() == {}


def test_start_up_reconciliation_is_the_same_beside_a_watcher_that_has_the_inbox_of_trading(tmp_path: Path) -> None:
    found = desk(unproven_workspace(tmp_path), via_watchers=True)
    with closing(found):
        sell(found)
        found.work()
        assert set(found.ledger.releases.find_locks()) == {"CTVA"}


class Odd:
    """A broker whose every order of ours makes no sense."""

    def __init__(self, broker: Broker, *rows: UnreadableRow) -> None:
        self._broker, self._rows = broker, rows

    def orders(self, *_: Any, **__: Any) -> Orders:
        return BrokerList((), unreadable=self._rows)

    def order(self, order_id: str) -> Order:
        raise UnreadableAnswer(f"the answer about {order_id} cannot be read")

    def order_by_client_id(self, client_order_id: str) -> Order:
        raise UnreadableAnswer(f"the answer about {client_order_id} cannot be read")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def test_an_open_order_that_cannot_be_read_locks_its_symbol_and_is_not_taken_for_missing(opened: Desk) -> None:
    intend(opened)
    opened.__dict__["broker"] = Odd(opened.broker, UnreadableRow("B1", OURS, "CTVA", "qty is empty"))
    before = opened.clock.now()
    (row,) = opened.trader.reconcile()
    assert (row.symbol, row.finding) == ("CTVA", Finding.UNREADABLE)
    assert "cannot be read" in opened.ledger.releases.find_locks()["CTVA"]
    assert opened.clock.now() == before


def test_accepting_an_order_that_cannot_be_read_unlocks_it_and_keeps_it_open(opened: Desk) -> None:
    intend(opened)
    opened.__dict__["broker"] = Odd(opened.broker, UnreadableRow("B1", OURS, "CTVA", "qty is empty"))
    assert opened.trader.accept("CTVA") == [f"order {OURS} of CTVA is left to the broker", "CTVA is free"]
    assert opened.ledger.releases.find_locks() == {}
    assert [record.client_order_id for record in opened.ledger.orders.find_open()] == [OURS]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (UnreadableRow("B9", "MSG_9", "SN", "side is empty"), [("SN", Finding.UNREADABLE)]),
        (UnreadableRow("B9", "MSG_9", "", "side is empty"), []),
        (UnreadableRow("B9", "by-hand", "SN", "side is empty"), []),
        (UnreadableRow("", "", "", "it is no object"), []),
    ],
    ids=["ours", "ours without a symbol", "somebody else's", "nothing"],
)
def test_only_an_unreadable_order_of_ours_locks_its_symbol(
    opened: Desk, row: UnreadableRow, found: list[tuple[str, Finding]]
) -> None:
    opened.__dict__["broker"] = Odd(opened.broker, row)
    assert findings(opened) == found
    assert list(opened.ledger.releases.find_locks()) == [symbol for symbol, _ in found]
