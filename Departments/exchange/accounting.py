"""Compute account and positions from the book, in Alpaca's terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

from Departments.core.money import ZERO
from Departments.core.portfolio import Account, Position
from Departments.core.trading_calendar import EASTERN, trading_day
from Departments.exchange.book import ExchangeBook, Lot
from Departments.exchange.foreign import ForeignRows
from Departments.exchange.prices import Market
from Departments.exchange.records import Record
from Departments.exchange.state import ExchangeState


def sum_reserved(orders: Iterable[Record]) -> Decimal:
    """Return the cash reserved for open BUY orders, in dollars."""
    return sum((r.reserve * r.remaining for r in orders), ZERO)


class Accounting:
    """Equity, buying power and positions at a moment."""

    def __init__(self, state: ExchangeState, book: ExchangeBook, market: Market, foreign: ForeignRows) -> None:
        self._state = state
        self._book = book
        self._market = market
        self._foreign = foreign
        self._midnight: tuple[date, Decimal] | None = None

    def account(self, now: datetime) -> Account:
        """Return the account at a moment. Late proceeds are missing from cash and buying power, not from equity."""
        stated = self._state.account
        cash = self._book.cash
        invested = self._market_value(now) + self._foreign.market_value
        unsettled = self._book.unsettled_cash(trading_day(now))
        late = self._book.late_proceeds(now)
        free = cash - max(late, unsettled) if stated.type == "cash" else self._margin(cash, invested) - late
        return Account(
            cash=cash - late,
            equity=cash + invested,
            buying_power=max(ZERO, free - sum_reserved(self._book.open_buys()) - self._foreign.promised),
            multiplier=Decimal(1) if stated.type == "cash" else stated.multiplier,
            status=stated.status,
            may_trade=stated.status == "ACTIVE" and not stated.blocks,
            blocks=stated.blocks,
            last_equity=self._last_equity(now),
            unsettled_cash=unsettled,
        )

    def positions(self, now: datetime) -> Sequence[Position]:
        """Return every position with its free shares."""
        holdings, held = self._book.holdings(), self._book.held_shares()
        prices = self._market.prices((h.symbol for h in holdings), now)
        return [self._position(h, prices[h.symbol], held.get(h.symbol, ZERO)) for h in holdings]

    def position(self, symbol: str, now: datetime) -> Position | None:
        """Return the position in a symbol, or None."""
        holding, held = self._book.holding(symbol), self._book.held_shares(symbol)
        price = self._market.price(symbol, now)
        return self._position(holding, price, held.get(symbol, ZERO)) if holding.qty else None

    def _position(self, holding: Lot, price: Decimal | None, held: Decimal) -> Position:
        listings = self._market.listings
        stated = self._state.assets.get(listings.origin(holding.symbol))
        return Position(
            symbol=holding.symbol,
            qty=holding.qty,
            avg_entry_price=holding.avg_entry_price,
            current_price=price,
            qty_available=max(ZERO, holding.qty - held),
            sector=stated.sector if stated else None,
            asset_id=listings.asset_id(holding.symbol),
        )

    def _margin(self, cash: Decimal, invested: Decimal) -> Decimal:
        return self._state.account.multiplier * (cash + invested) - invested

    def _market_value(self, at: datetime) -> Decimal:
        holdings = self._book.holdings()
        prices = self._market.prices((h.symbol for h in holdings), at)
        return sum((h.qty * (prices[h.symbol] or h.avg_entry_price) for h in holdings), ZERO)

    def _last_equity(self, now: datetime) -> Decimal | None:
        midnight = datetime.combine(trading_day(now), time(), EASTERN).astimezone(UTC)
        if self._state.last_equity is not None and midnight <= self._market.started_at:
            return self._state.last_equity
        return self._equity_at(trading_day(now), midnight)

    def _equity_at(self, day: date, midnight: datetime) -> Decimal:
        """Return the equity at the beginning of a day. The day cannot change it, so count it once."""
        if self._midnight is None or self._midnight[0] != day:
            cash, held = self._book.morning(day)
            prices = self._market.prices(held, midnight)
            worth = (qty * (prices[symbol] or ZERO) for symbol, qty in held.items())
            self._midnight = day, cash + sum(worth, ZERO)
        return self._midnight[1]
