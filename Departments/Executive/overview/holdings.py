"""The positions of the account, each with its weight, profit and exits, since when and by which plan it is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from Departments.brokers.base import Broker, Orders, Positions
from Departments.core.account_entries import EntryKind
from Departments.core.moments import iso
from Departments.core.money import ZERO, money_text, plain
from Departments.core.orders import Order, Side
from Departments.core.portfolio import Account, Position
from Departments.ledger.account_book import measure_effect
from Departments.ledger.ledger import Ledger

A_DAY: Final = timedelta(days=1)  # the broker's clock may be ahead


@dataclass(frozen=True, slots=True)
class HoldingOrigin:
    """The beginning of a holding: its moment (None: before the ledger), and the plans that bought of it."""

    since: datetime | None = None
    plan_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExitPrices:
    """The prices of a symbol's live exits in dollars a share, None without one."""

    stop: Decimal | None = None
    target: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BrokerHoldings:
    """The account with its positions and open orders, as the broker has them."""

    account: Account
    positions: Positions
    orders: Orders

    @classmethod
    def read(cls, broker: Broker) -> Self:
        """Read them. Raises BrokerUnavailable, NotAuthorized."""
        return cls(broker.account(), broker.positions(), broker.orders("open"))


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """One position. `weight` is its share of equity, `unprotected` its shares without a live exit."""

    position: Position
    weight: Decimal | None
    exits: ExitPrices
    unprotected: Decimal
    origin: HoldingOrigin

    @property
    def profit(self) -> Decimal | None:
        """Return the unrealised profit in dollars, None if the price paid is unknown."""
        paid = self.position.avg_entry_price
        return None if paid is None else (self.position.price - paid) * self.position.qty

    @property
    def profit_share(self) -> Decimal | None:
        """Return the unrealised profit as a share of what was paid, None if unknown."""
        paid = self.position.avg_entry_price
        return None if not paid else (self.position.price - paid) / paid

    def document(self) -> dict[str, Any]:
        """Return it for programs; numbers are strings."""
        position, profit = self.position, self.profit
        return {
            "ticker": position.symbol,
            "qty": plain(position.qty),
            "price": _text(position.current_price),
            "bought_at": _text(position.avg_entry_price),
            "value": money_text(position.market_value),
            "weight": None if self.weight is None else f"{self.weight:.4f}",
            "profit": None if profit is None else money_text(profit),
            "stop": _text(self.exits.stop),
            "target": _text(self.exits.target),
            "unprotected": plain(self.unprotected),
            "since": None if self.origin.since is None else iso(self.origin.since),
            "plan_ids": list(self.origin.plan_ids),
        }


def list_holdings(
    ledger: Ledger | None, held: BrokerHoldings, now: datetime, *, exits_wanted: bool
) -> tuple[HeldPosition, ...]:
    """Return the account's positions, the largest first. Without a `ledger` nothing is known of their origin."""
    positions, equity = held.positions, held.account.equity
    bare = {} if ledger is None else count_unprotected(ledger, positions, exits_wanted=exits_wanted)
    exits = find_exits(ledger, held)
    found = [
        HeldPosition(
            position,
            position.market_value / equity if equity > 0 else None,
            exits.get(position.symbol, ExitPrices()),
            bare.get(position.symbol, ZERO),
            HoldingOrigin() if ledger is None else find_origin(ledger, position.symbol, now),
        )
        for position in positions
    ]
    return tuple(sorted(found, key=lambda each: (-each.position.market_value, each.position.symbol)))


def count_unprotected(ledger: Ledger, positions: Positions, *, exits_wanted: bool) -> dict[str, Decimal]:
    """Return the desk's own held and free shares without a live exit, by symbol."""
    bare = ledger.shares_without_exits(exits_wanted=exits_wanted)
    free = {p.symbol: p.available for p in positions} | {
        row.symbol: bare.get(row.symbol, ZERO) for row in positions.unreadable
    }
    there = {symbol: min(qty, free.get(symbol, ZERO)) for symbol, qty in bare.items()}
    return {symbol: qty for symbol, qty in there.items() if qty > 0}


def find_exits(ledger: Ledger | None, held: BrokerHoldings) -> dict[str, ExitPrices]:
    """Return the prices of live exits by symbol: the ledger's, held legs included, else those open at the broker."""
    found: dict[str, ExitPrices] = {}
    resting = (order for order in _flatten(held.orders) if order.side is Side.SELL and not order.status.is_terminal)
    for order in resting:
        is_exit = order.stop_price is not None or order.limit_price is not None
        if is_exit:
            found[order.symbol] = _join(found.get(order.symbol), order.stop_price, order.limit_price)
    known: dict[str, ExitPrices] = {}
    symbols = [position.symbol for position in held.positions]
    for record in [] if ledger is None else ledger.orders.find_open_exits(symbols=symbols):
        known[record.symbol] = _join(known.get(record.symbol), record.stop_price, record.limit_price)
    return found | {symbol: _complete(each, found.get(symbol)) for symbol, each in known.items()}


def _join(known: ExitPrices | None, stop: Decimal | None, limit: Decimal | None) -> ExitPrices:
    """Add an exit's prices. Of several exits the nearest counts; a stop's limit is no target."""
    known, target = known or ExitPrices(), limit if stop is None else None
    stops = [price for price in (known.stop, stop) if price is not None]
    targets = [price for price in (known.target, target) if price is not None]
    return ExitPrices(max(stops, default=None), min(targets, default=None))


def _complete(exits: ExitPrices, other: ExitPrices | None) -> ExitPrices:
    other = other or ExitPrices()
    return ExitPrices(
        other.stop if exits.stop is None else exits.stop, other.target if exits.target is None else exits.target
    )


def _flatten(orders: Iterable[Order]) -> Iterator[Order]:
    for order in orders:
        yield order
        yield from _flatten(order.legs)


def find_origin(ledger: Ledger, symbol: str, now: datetime) -> HoldingOrigin:
    """Return since when a symbol is held without a break, and the plans whose BUYs are in it."""
    entries = ledger.book.find_of_symbol(symbol)
    opened = next((entry.noted_at for entry in entries if entry.kind is EntryKind.OPENING), None)
    fills = [r for r in ledger.orders.fills_of(symbol, now + A_DAY) if opened is None or r.fill.filled_at > opened]
    events = [(entry.noted_at, entry.qty, 0) for entry in entries]
    events += [(record.fill.filled_at, measure_effect(record), record.fill.order_id) for record in fills]
    held, since, bought = ZERO, opened, list[int]()
    for at, qty, order_id in sorted(events, key=lambda event: event[0]):
        if held <= 0:
            since, bought = at, []
        if qty > 0 and order_id:
            bought.append(order_id)
        held += qty
    orders = ledger.orders.find_by_ids(bought) if bought else {}
    plans = dict.fromkeys(plan for row in bought if row in orders and (plan := orders[row].plan_id))
    return HoldingOrigin(None if since == opened else since, tuple(plans))


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
