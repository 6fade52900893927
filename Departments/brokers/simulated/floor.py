"""The trading floor: what nobody can ask or do through the broker port, for checkers, tests and fault scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from Departments.brokers.simulated.book import Adjustment, Book, Holding
from Departments.brokers.simulated.engine import Engine
from Departments.brokers.simulated.market import Market
from Departments.brokers.simulated.records import Fill
from Departments.brokers.simulated.state import ExchangeState
from Departments.brokers.simulated.views import told
from Departments.core.clock import Clock
from Departments.core.money import ZERO
from Departments.core.orders import Order

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Floor:
    """Sees every order and fill, and moves prices, halts and shares from outside."""

    state: ExchangeState
    book: Book
    market: Market
    engine: Engine
    clock: Clock

    def all_orders(self) -> Sequence[Order]:
        """Return every order ever accepted, legs nested in their parents, oldest first, invisible ones too."""
        self._now()
        return told(self.book.orders(), "all", _END_OF_TIME, self.book.group)

    def fills(self) -> Sequence[Fill]:
        """Return every fill, oldest first."""
        self._now()
        return self.book.fills()

    def adjustments(self) -> Sequence[Adjustment]:
        """Return what was traded past our orders, oldest first."""
        return self.book.adjustments()

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Let a symbol cost `price` dollars from now on; resting orders see it at once."""
        now = self._now()
        with self.book.transaction():
            self.book.set_price(symbol, now, price)
            self.book.wake(symbol, now)
        self.engine.advance(now)

    def halt(self, symbol: str, seconds: Decimal | None = None) -> None:
        """Stop trading in a symbol for some seconds, or until it is resumed."""
        now = self._now()
        self.book.halt(symbol, None if seconds is None else now + timedelta(seconds=float(seconds)))

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again."""
        now = self._now()
        with self.book.transaction():
            self.book.resume(symbol)
            self.book.wake(symbol, now)
        self.engine.advance(now)

    def trade_outside(self, symbol: str, qty: Decimal) -> None:
        """Let somebody else trade on the same account at the present price: shares bought, negative when sold.

        What open orders hold is not for sale; Alpaca refuses that (`insufficient qty available for order`).
        """
        now = self._now()
        with self.book.transaction():
            held = self.book.holding(symbol)
            for_orders = self.book.held_shares(symbol).get(symbol, ZERO)
            qty = max(qty, min(ZERO, for_orders - held.qty))
            if not qty:
                return
            price = self.market.price(symbol, now) or held.avg_entry_price
            self.book.adjust(Adjustment(now, symbol, qty, -qty * price))
            self.book.set_holding(Holding(symbol, held.qty + qty, held.avg_entry_price or price))

    def _now(self) -> datetime:
        now = self.clock.now()
        self.engine.advance(now)
        return now
