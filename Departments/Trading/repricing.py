"""Exits stand around the price really paid: after a fill at another price the live exits of a BUY get new prices.

An exit is replaced at the broker, so its shares are protected all the time. Each replacement has a client order id of
its own, and its intent is committed first: after a lost answer the tracker looks for that id, and the same request is
sent again only while the old exit has not been replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

from Departments.brokers.base import Broker, Orders
from Departments.core.errors import BrokerUnavailable, NotFound, Refused
from Departments.core.identifiers import client_order_id
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, usd_cents, whole_shares
from Departments.core.orders import Order, OrderChange, OrderStatus, OrderType, Purpose, Side
from Departments.core.platform.clock import Clock
from Departments.core.reasons import ReasonCode
from Departments.core.settings import ExitSettings
from Departments.core.trading_calendar import trading_day
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import ADOPTED, OrderRecord
from Departments.ledger.unprotected import NOT_LIVE
from Departments.Trading.exits import cancel_to_renew
from Departments.Trading.restoration import exit_request
from Departments.Trading.submission import LOOK_UP_PAUSE, LOOK_UPS, OrderSender
from Departments.Trading.tracking import OrderTracker

log = make_logger(__name__)

AWAITED = 10  # seconds for the cancels of exits that the broker does not replace
#: An exit in one of these states takes a new price.
REPLACEABLE = frozenset({OrderStatus.NEW, OrderStatus.HELD, OrderStatus.ACCEPTED})


class ExitRepricer:
    """Tracks orders, and replaces the exits of today's BUYs with fills far from their planned price."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        exits: ExitSettings,
        tracker: OrderTracker,
        sender: OrderSender,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._exits = exits
        self._tracker = tracker
        self._sender = sender
        self._due: dict[str, OrderRecord] | None = None

    def track(self, *, exits: bool = False, asking: bool = True, listed: Orders | None = None) -> None:
        """Track the open orders as `OrderTracker` does; where it may ask the broker for something, reprice exits."""
        self._tracker.track(exits=exits, asking=asking, listed=listed)
        if self._due is None:  # a run before may have been cut off
            filled = self._ledger.orders.find_filled_brackets() if self._tracker.has_exits else []
            self._due = {entry.client_order_id: entry for entry in filled}
        self._due |= self._tracker.take_filled()
        if asking:
            self._due = {name: entry for name, entry in self._due.items() if self._is_far(entry)}
            self._due = {name: entry for name, entry in self._due.items() if not self._reprice(entry)}

    def _is_far(self, entry: OrderRecord) -> bool:
        """Return whether a BUY of today filled far from the price behind its exits."""
        paid, expected, at = entry.filled_avg_price, entry.expected_price, entry.terminal_at
        if paid is None or not expected or at is None or entry.stop_price is None:
            return False
        if entry.stop_price != self._exits.around(expected)[1]:
            return False  # the exits stand where those of the position do
        is_today = trading_day(at) == trading_day(self._clock.now())
        return is_today and abs(paid - expected) > self._exits.reprice_above_pct * expected

    def _reprice(self, entry: OrderRecord) -> bool:
        """Replace the exits whose price is no longer right. Returns True when none is left to replace."""
        paid, find_exits = entry.filled_avg_price or ZERO, self._ledger.orders.find_exits_of
        exits = find_exits(entry.client_order_id)
        changes = [(leg, intent) for leg, intent in self._list_changes(entry, paid, exits) if leg.status in REPLACEABLE]
        try:
            if not all(self._replace(leg, intent) for leg, intent in changes):
                self._make_anew(entry, paid, exits)
        except BrokerUnavailable as error:
            log.warning("%s: the exits keep their prices for now (%s)", entry.symbol, error)
            return False
        exits = find_exits(entry.client_order_id) if changes else exits
        return bool(exits) and not list(self._list_changes(entry, paid, exits))

    def _list_changes(
        self, entry: OrderRecord, paid: Decimal, exits: list[OrderRecord]
    ) -> Iterator[tuple[OrderRecord, OrderRecord]]:
        """Yield each open exit with a wrong price, and the intent of its successor."""
        known = {record.client_order_id: record for record in exits}
        target, stop = self._exits.around(paid)
        for leg in exits:
            is_target = leg.order_type == OrderType.LIMIT
            price, was = (target, leg.limit_price) if is_target else (stop, leg.stop_price)
            name = client_order_id(f"{entry.client_order_id}_{'target' if is_target else 'stop'}")
            before = known.get(name)
            is_open = not leg.status.is_terminal and leg.client_order_id != name
            is_due = before is None or before.status is OrderStatus.UNKNOWN
            if is_open and is_due and price != was:
                yield leg, _successor(leg, name, price, self._clock.now(), is_target=is_target)

    def _replace(self, leg: OrderRecord, intent: OrderRecord) -> bool:
        """Commit the intent, replace the exit once, and record its successor. Returns False if the broker refuses."""
        is_new = self._ledger.orders.find(intent.client_order_id) is None
        if is_new:
            with self._ledger.transaction():
                self._ledger.orders.intend(intent)
        found = (None if is_new else self._find_sent(intent)) or self._send(leg, intent)
        if found is None:
            return False
        with self._ledger.transaction():
            self._tracker.observe([found])
        log.info("%s: an exit moves to %s", intent.symbol, usd_cents(_price_of(intent)))
        return True

    def _send(self, leg: OrderRecord, intent: OrderRecord, *, attempts: int = LOOK_UPS) -> Order | None:
        """Ask for the new price; after a lost answer again, unless the broker has the successor.

        Returns None if the broker refuses.
        """
        change = OrderChange(intent.client_order_id, limit_price=intent.limit_price, stop_price=intent.stop_price)
        try:
            return self._broker.replace(leg.broker_order_id or "", change)
        except BrokerUnavailable:
            if attempts <= 1:
                raise
            self._clock.sleep(LOOK_UP_PAUSE)
            return self._find_sent(intent) or self._send(leg, intent, attempts=attempts - 1)
        except (Refused, NotFound) as refusal:
            found = self._find_sent(intent)
            if found is None:
                self._record_refusal(intent, refusal)
            return found

    def _find_sent(self, intent: OrderRecord) -> Order | None:
        """Return the successor of an earlier attempt whose answer was lost, or None."""
        try:
            return self._broker.order_by_client_id(intent.client_order_id)
        except NotFound:
            return None

    def _record_refusal(self, intent: OrderRecord, refusal: Refused | NotFound) -> None:
        log.warning("%s: the broker does not replace an exit (%s)", intent.symbol, refusal)
        code = refusal.reason if isinstance(refusal, Refused) else ReasonCode.BROKER_REJECTED
        with self._ledger.transaction():
            self._ledger.orders.refuse(intent.client_order_id, str(code), str(refusal), self._clock.now(), None)

    # --- where the broker refuses ---

    def _make_anew(self, entry: OrderRecord, paid: Decimal, exits: Sequence[OrderRecord]) -> None:
        """Cancel the exits, await it, and submit an OCO around the price paid for the shares left.

        The shares have no live exits in between, and the report says how long. PROTECT finishes what is cut off.
        """
        orders, symbol = self._ledger.orders, entry.symbol
        cancel_to_renew(
            self._ledger, self._broker, [leg for leg in exits if not leg.status.is_terminal], self._clock.now()
        )
        if not self._await(partial(self._have_ended, entry)):
            log.warning("%s: the old exits have not ended; they stay", symbol)
            return
        position = self._broker.position(symbol)
        free = ZERO if position is None else max(ZERO, position.available)
        qty, prices = min(entry.filled_qty, whole_shares(free)), self._exits.around(paid)
        intent = _new_exits(entry, qty, prices, self._clock.now())
        if intent.qty == 0 or orders.find(intent.client_order_id) is not None:
            return
        with self._ledger.transaction():
            orders.intend(intent)
        commit = self._sender.submit_once(intent, exit_request(intent))
        with self._ledger.transaction():
            commit()
        self._await(partial(self._is_live, intent))
        log.info("%s: the exits were cancelled and made anew around %s", symbol, usd_cents(paid))

    def _have_ended(self, entry: OrderRecord) -> bool:
        exits = self._ledger.orders.find_exits_of(entry.client_order_id)
        return all(leg.status.is_terminal for leg in exits)

    def _is_live(self, intent: OrderRecord) -> bool:
        record = self._ledger.orders.find(intent.client_order_id)
        return record is not None and record.status not in NOT_LIVE

    def _await(self, is_done: Callable[[], bool]) -> bool:
        """Track the exits for a few seconds; return True once it is done."""
        for _ in range(AWAITED):
            self._tracker.track(exits=True)
            if is_done():
                return True
            self._clock.sleep(1)
        return False


def _successor(leg: OrderRecord, name: str, price: Decimal, at: datetime, *, is_target: bool) -> OrderRecord:
    """Return the intent of an exit's successor at another price."""
    return OrderRecord(
        client_order_id=name,
        message_id=f"{ADOPTED}{name}",
        symbol=leg.symbol,
        side=Side.SELL,
        qty=leg.qty,
        order_type=leg.order_type,
        plan_id=leg.plan_id,
        limit_price=price if is_target else None,
        expected_price=leg.expected_price,
        stop_price=None if is_target else price,
        purpose=leg.purpose,
        parent_id=leg.parent_id,
        created_at=at,
    )


def _new_exits(entry: OrderRecord, qty: Decimal, prices: tuple[Decimal, Decimal], at: datetime) -> OrderRecord:
    """Return the intent of an OCO in place of a bracket's exits."""
    name, (target, stop) = client_order_id(f"{entry.client_order_id}_exits"), prices
    return OrderRecord(
        client_order_id=name,
        message_id=name,
        symbol=entry.symbol,
        side=Side.SELL,
        qty=qty,
        order_type=OrderType.LIMIT,
        plan_id=entry.plan_id,
        limit_price=target,
        stop_price=stop,
        purpose=Purpose.EXIT,
        created_at=at,
    )


def _price_of(intent: OrderRecord) -> Decimal:
    return intent.limit_price or intent.stop_price or ZERO
