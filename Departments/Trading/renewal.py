"""Exits after a split or a rename: made anew for all shares held, before anything else is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.core.account_entries import AccountEntry, EntryKind
from Departments.core.departments import TRADING
from Departments.core.errors import BrokerUnavailable, NotFound
from Departments.core.identifiers import message_id
from Departments.core.logs import make_logger
from Departments.core.money import CENT, plain, usd_cents
from Departments.core.orders import Order, OrderRequest, OrderStatus, Side
from Departments.core.platform.clock import Clock
from Departments.core.settings import ExitSettings
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.messaging.payloads import ProtectRequest
from Departments.messaging.router import Commit
from Departments.Trading.exits import cancel_to_renew, protection_intent
from Departments.Trading.restoration import exit_request
from Departments.Trading.submission import OrderSender

log = make_logger(__name__)

AWAITED = 10  # seconds for the old exits to end
WATCHER_AWAITED = 30  # seconds for a watching Trading to make exits anew


class ExitRenewer:
    """Makes the exits of split and renamed symbols anew. `track` brings the ledger's exits up to date."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        clock: Clock,
        exits: ExitSettings,
        sender: OrderSender,
        track: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._clock = clock
        self._exits = exits
        self._sender = sender
        self._track = track
        self._done: set[tuple[str, datetime]] = set()

    def renew(self) -> None:
        """Renew the exits of every unlocked symbol with a split or a new name since the last report.

        Exits that the broker has adjusted itself stay. What is left unprotected stays in the ledger for PROTECT. Each
        change is done once.
        """
        for symbol, entry in self._list_moved():
            if (symbol, entry.noted_at) in self._done:
                continue
            try:
                self._renew(symbol, entry)
                self._done.add((symbol, entry.noted_at))
            except BrokerUnavailable as error:
                log.warning("%s: the exits wait for PROTECT (%s)", symbol, error)

    def _list_moved(self) -> list[tuple[str, AccountEntry]]:
        """Return the symbols split or renamed since the last report with their last change, without locked ones."""
        moved = self._ledger.book.find_moved()
        newest = {entry.symbol: entry for entry in moved if entry.kind is EntryKind.SPLIT or entry.qty > 0}
        locked = self._ledger.releases.find_locks() if newest else {}
        return [(symbol, entry) for symbol, entry in sorted(newest.items()) if symbol not in locked]

    def await_watcher(self) -> list[str]:
        """Wait until another process has renewed what is due; return the symbols that it has not."""
        due = self._list_due()
        for _ in range(WATCHER_AWAITED):
            if not due:
                break
            self._clock.sleep(1)
            self._track()
            due = self._list_due()
        return due

    def _list_due(self) -> list[str]:
        """Return the moved symbols with wrong exits, or with free shares and none."""
        return [symbol for symbol, _ in self._list_moved() if self._is_due(symbol)]

    def _is_due(self, symbol: str) -> bool:
        try:
            records = self._ledger.orders.find_open_exits(symbols=[symbol])
            found = [(record, self._find(record)) for record in records]
            if any(order is None or not _is_right(record, order) for record, order in found):
                return True
            position = self._broker.position(symbol)
        except BrokerUnavailable:
            return False
        lacking = self._ledger.shares_without_exits(exits_wanted=self._exits.enabled).get(symbol)
        return bool(lacking) and position is not None and position.available >= 1

    def _renew(self, symbol: str, entry: AccountEntry) -> None:
        name = message_id(TRADING, entry.noted_at, symbol, entry.kind)
        begun = self._ledger.orders.find(name)
        if begun is not None:
            if begun.status is OrderStatus.UNKNOWN:  # a run before was cut off
                self._send(begun, self._sender.resume)
            return
        if not self._end_wrong_exits(symbol):
            log.warning("%s: the old exits have not ended; they stay", symbol)
            return
        lacking = self._ledger.shares_without_exits(exits_wanted=self._exits.enabled).get(symbol)
        position = self._broker.position(symbol)
        if not lacking or position is None:
            return
        asked = ProtectRequest(symbol=symbol, side=Side.SELL, qty=lacking)
        intent = protection_intent(asked, name, position, self._exits, self._clock.now())
        if intent is None:
            return
        with self._ledger.transaction():
            self._ledger.orders.intend(intent)
        self._send(intent, self._sender.submit_once)

    def _send(self, intent: OrderRecord, send: Callable[[OrderRecord, OrderRequest], Commit]) -> None:
        """Send new exits, or look for those that a run before may have sent, and await them."""
        commit = send(intent, exit_request(intent))
        with self._ledger.transaction():
            commit()
        self._await(lambda: self._is_known(intent.client_order_id))
        prices = tuple(map(usd_cents, (intent.stop_price or Decimal(0), intent.limit_price or Decimal(0))))
        log.info("%s: exits for %s shares were made anew, %s and %s", intent.symbol, plain(intent.qty), *prices)

    def _end_wrong_exits(self, symbol: str) -> bool:
        """Cancel the ledger's exits of a symbol if one differs at the broker; return True once none is wrong."""
        records = self._ledger.orders.find_open_exits(symbols=[symbol])
        found = [(record, self._find(record)) for record in records]
        if all(order is not None and _is_right(record, order) for record, order in found):
            return True
        cancel_to_renew(self._ledger, self._broker, [record for record, order in found if order], self._clock.now())
        return self._await(lambda: not self._ledger.orders.find_open_exits(symbols=[symbol]))

    def _find(self, record: OrderRecord) -> Order | None:
        """Return an exit as the broker has it: by its id, which a rename does not change."""
        try:
            return self._broker.order(record.broker_order_id) if record.broker_order_id else None
        except NotFound:
            return None

    def _is_known(self, name: str) -> bool:
        record = self._ledger.orders.find(name)
        return record is not None and record.status not in {OrderStatus.UNKNOWN, OrderStatus.PENDING_NEW}

    def _await(self, is_done: Callable[[], bool]) -> bool:
        """Track for a few seconds; return True once it is done."""
        for _ in range(AWAITED):
            self._track()
            if is_done():
                return True
            self._clock.sleep(1)
        return False


def _is_right(record: OrderRecord, order: Order) -> bool:
    """Return whether an exit at the broker has the right prices and shares."""
    pairs = ((record.limit_price, order.limit_price), (record.stop_price, order.stop_price))
    is_priced = all(ours is None or theirs is None or abs(ours - theirs) <= CENT for ours, theirs in pairs)
    return is_priced and order.qty >= record.qty - record.filled_qty
