"""The floor of the exchange: the view and the hands of its operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from Departments.core.moments import show_moment
from Departments.core.orders import Order
from Departments.core.platform.clock import Clock
from Departments.exchange.actions import MarketActions
from Departments.exchange.book import Adjustment, ExchangeBook
from Departments.exchange.field_types import RecordedBar
from Departments.exchange.foreign import ForeignRows
from Departments.exchange.market_events import ForeignOrderState, ForeignPositionState, MarketEvent
from Departments.exchange.records import Fill, list_orders

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TradingFloor:
    """The operator's view: every order and fill; and what happens to account and market from outside."""

    book: ExchangeBook
    actions: MarketActions
    foreign: ForeignRows
    clock: Clock
    advance: Callable[[datetime], None]

    def all_orders(self) -> Sequence[Order]:
        """Return every order ever accepted, oldest first, legs nested, invisible ones too."""
        self._advance()
        return list_orders(self.book.orders(), "all", _END_OF_TIME, self.book.group)

    def fills(self) -> Sequence[Fill]:
        """Return every fill, oldest first."""
        self._advance()
        return self.book.fills()

    def adjustments(self) -> Sequence[Adjustment]:
        """Return the trades by somebody else, oldest first."""
        return self.book.adjustments()

    def occur(self, event: MarketEvent) -> str:
        """Let an event happen now, or at its `at`. Return one sentence. Raises ExchangeRefusal for a refused order."""
        now = self._advance()
        with self.book.transaction("exchange.event"):
            if event.at is not None and event.at > now:
                self.actions.plan(event, event.at)
                return f"Planned for {show_moment(event.at)}: {event.do.replace('_', ' ')} {event.of or ''}".rstrip()
            said = self.actions.occur(event, now)
        self.advance(now)
        return said

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Set a symbol's price in dollars; resting orders see it at once."""
        self.occur(MarketEvent(do="set_price", of=symbol, price=price))

    def halt(self, symbol: str, seconds: Decimal | None = None) -> None:
        """Halt a symbol for some seconds, or until `resume`."""
        self.occur(MarketEvent(do="halt", of=symbol, seconds=seconds))

    def resume(self, symbol: str) -> None:
        """Resume trading in a symbol."""
        self.occur(MarketEvent(do="resume", of=symbol))

    def trade_outside(self, symbol: str, qty: Decimal) -> None:
        """Trade `qty` shares past the client at the present price; negative sells.

        It sells no shares held by open orders: Alpaca refuses that (`insufficient qty available for order`).
        """
        self.occur(MarketEvent(do="trade_outside", of=symbol, qty=qty))

    def set_prices(self, prices: Mapping[str, Decimal]) -> None:
        """Set the prices of symbols in dollars where they differ from the present ones."""
        now = self._advance()
        present = self.actions.market.prices(prices, now)
        with self.book.transaction():
            for symbol, price in prices.items():
                if present[symbol] != price:
                    self.actions.occur(MarketEvent(do="set_price", of=symbol, price=price), now)
        self.advance(now)

    def list_symbols(self, prices: Mapping[str, Decimal]) -> None:
        """List symbols at prices in dollars. Those that are known already keep theirs."""
        now = self._advance()
        with self.book.transaction():
            for symbol, price in prices.items():
                self.actions.market.listings.add(symbol, price, now)

    def record_bars(self, bars: Mapping[str, Iterable[RecordedBar]]) -> None:
        """Add recorded days. Symbols follow them where `price_mode` is bars."""
        now = self._advance()
        with self.book.transaction():
            for symbol, days in bars.items():
                self.actions.market.listings.add_bars(symbol, days)
                self.book.wake(symbol, now)

    def place_foreign(self, row: ForeignOrderState | ForeignPositionState) -> None:
        """Put an unreadable row, or an order or position in options or crypto, into the account."""
        with self.book.transaction():
            self.foreign.add(row)

    def _advance(self) -> datetime:
        now = self.clock.now()
        self.actions.market.listings.refresh()
        self.advance(now)
        return now
