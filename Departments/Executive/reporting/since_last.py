"""What changed in the account since the last report, and the bridge from its cash then to its cash now.

Everything comes from the ledger: exits that filled between two runs, bookings of the broker or a person, and
differences that nothing explains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from Departments.core.account_entries import AccountDifference, AccountEntry, EntryKind, Statement
from Departments.core.moments import iso, parse_iso, show_day, show_shortly
from Departments.core.money import CENT, ZERO, cents, count_noun, money_text, plain, usd_cents
from Departments.core.orders import OrderStatus, OrderType, Purpose, Side
from Departments.core.safe_text import Form, make_safe
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, FillRow, OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from Departments.ledger.unprotected import OrderGroup

#: The labels of the bridge, in its order.
_LABELS: Final[Mapping[EntryKind, str]] = {
    EntryKind.DEPOSIT: "Deposits",
    EntryKind.WITHDRAWAL: "Withdrawals",
    EntryKind.DIVIDEND: "Dividends",
    EntryKind.INTEREST: "Interest",
    EntryKind.FEE: "Fees",
    EntryKind.FOREIGN_TRADE: "Trades by somebody else",
}
OTHER: Final = "Other"
#: The lists of a document's `since_last` whose rows are sentences.
_SENTENCES: Final = ("exits", "changes", "expired", "cancelled", "differences")


@dataclass(frozen=True, slots=True)
class EarlierFill:
    """A fill of an order that no phase of the run sent, with its order.

    `entry` is the average price paid for the shares of a SELL, None if unknown.
    """

    order: OrderRecord
    fill: FillRow
    entry: Decimal | None

    @property
    def cash(self) -> Decimal:
        """Return the signed change of the cash in dollars."""
        value = self.fill.qty * self.fill.price
        return value if self.order.side is Side.SELL else -value

    @property
    def kind(self) -> str:
        """Return the name of the order for people."""
        order = self.order
        if order.purpose is not Purpose.EXIT:
            return "An earlier order"
        if order.order_type == OrderType.LIMIT:
            return "Take-profit"
        return "Stop-loss" if order.order_type in {OrderType.STOP, OrderType.STOP_LIMIT} else "Exit"

    @property
    def profit(self) -> Decimal | None:
        """Return the realised profit of a SELL in dollars, None if unknown."""
        return None if self.entry is None else cents((self.fill.price - self.entry) * self.fill.qty)

    @property
    def sentence(self) -> str:
        """Return the sentence about it, in New York time."""
        fill = self.fill
        deed = "sold" if self.cash > 0 else "bought"
        symbol, price = self.order.symbol, usd_cents(fill.price)
        start = f"{self.kind} {deed} {plain(fill.qty)} {symbol} at {price} on {show_shortly(fill.filled_at)}"
        if self.entry is None or self.profit is None:
            return start
        return f"{start} (bought at {usd_cents(self.entry)}, {_with_sign(self.profit)})"

    def document(self) -> dict[str, str | None]:
        """Return it for programs; numbers are strings."""
        order, fill = self.order, self.fill
        return {
            "ticker": order.symbol,
            "side": str(order.side),
            "kind": self.kind,
            "qty": plain(fill.qty),
            "price": plain(fill.price),
            "at": iso(fill.filled_at),
            "bought_at": None if self.entry is None else plain(self.entry),
            "profit": None if self.profit is None else money_text(self.profit),
            "client_order_id": order.client_order_id,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class SinceLast:
    """The changes since a statement. `cash` is the account's at the end; `start` is None for a new ledger."""

    start: Statement | None
    cash: Decimal | None
    exits: tuple[EarlierFill, ...] = ()
    bookings: tuple[AccountEntry, ...] = ()
    differences: tuple[AccountDifference, ...] = ()
    expired: tuple[OrderRecord, ...] = ()
    cancelled: tuple[OrderGroup, ...] = ()

    def sentences(self) -> list[str]:
        """Return a sentence for every change."""
        return changed_sentences(self.document())

    def bridge(self) -> list[tuple[str, Decimal]]:
        """Return the amounts from the cash then to the cash now; they add up to the cent."""
        if self.start is None or self.cash is None:
            return []
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.exits:
            sums["Exits" if each.cash > 0 else "Earlier BUYs"] += each.cash
        for booking in self.bookings:
            sums[_LABELS.get(booking.kind, OTHER)] += booking.cash
        labels = ("Exits", "Earlier BUYs", *_LABELS.values(), OTHER)
        rows = [
            ("Cash then", cents(self.start.cash)),
            *((label, cents(sums[label])) for label in labels if sums[label]),
        ]
        rest = cents(self.cash) - sum((amount for _, amount in rows), ZERO)
        name = "Rounding" if abs(rest) <= CENT * (1 + len(self.exits)) else "Unexplained"
        return [*rows, *([(name, rest)] if rest else []), ("Cash now", cents(self.cash))]

    def document(self) -> dict[str, Any]:
        """Return it for programs; numbers are strings."""
        return {
            "since": None if self.start is None else iso(self.start.at),
            "plan_id": None if self.start is None else self.start.plan_id,
            "exits": [each.document() for each in self.exits],
            "expired": [_ended_document(order, describe_expired(order)) for order in self.expired],
            "cancelled": [_ended_document(group.last, describe_cancelled(group)) for group in self.cancelled],
            "changes": [entry_document(b) for b in self.bookings if b.sentence],
            "differences": [_difference_document(d) for d in self.differences],
            "bridge": [{"label": label, "amount": money_text(amount)} for label, amount in self.bridge()],
        }


def since_last_report(ledger: Ledger, run: ExecutionRecord | None, cash: Decimal | None = None) -> SinceLast:
    """Return the changes from the last report to the beginning of a run, or until now (`cash` is the account's)."""
    begun = None if run is None else run.started_at
    start = ledger.book.last_statement(begun)
    differences = tuple(ledger.book.differences())
    if start is None:
        return SinceLast(None, cash if run is None else run.cash_before, differences=differences)
    expired = ledger.orders.find_expired_exits(start.holdings, start.at)
    cancelled = ledger.orders.find_cancelled(start.holdings, start.plan_id, start.at)
    fills = (f for f in ledger.book.fills_after(start) if begun is None or f.fill.filled_at < begun)
    own = (
        set() if run is None else {t.client_order_id for t in ledger.plans.trades(run.plan_id)}
    )  # whatever the clocks say
    bookings = (b for b in ledger.book.bookings_after(start) if begun is None or b.noted_at <= begun)
    return SinceLast(
        start=start,
        cash=cash if run is None else run.cash_before,
        exits=tuple(describe_fills(ledger, fills, own)),
        bookings=tuple(bookings),
        differences=differences,
        expired=tuple(o for o in expired if begun is None or (o.terminal_at or begun) <= begun),
        cancelled=tuple(g for g in cancelled if begun is None or (g.last.terminal_at or begun) <= begun),
    )


def earlier_fills_in(ledger: Ledger, trades: Iterable[TradeRecord], fills: Iterable[FillRecord]) -> list[EarlierFill]:
    """Return the fills in a run's time that are not of its own `trades`."""
    return list(describe_fills(ledger, fills, {trade.client_order_id for trade in trades}))


def describe_fills(
    ledger: Ledger, fills: Iterable[FillRecord], own: Container[str | None] = ()
) -> Iterator[EarlierFill]:
    """Yield fills with their order and the price paid for their shares, without those of a run's `own` orders."""
    found = list(fills)
    orders = ledger.orders.find_by_ids({record.fill.order_id for record in found})
    for record in (r for r in found if orders[r.fill.order_id].client_order_id not in own):
        fill, is_sale = record.fill, record.side is Side.SELL
        entry = ledger.book.find_entry_price(record.symbol, fill.filled_at) if is_sale else None
        yield EarlierFill(orders[fill.order_id], fill, entry)


def describe_expired(order: OrderRecord) -> str:
    """Return the sentence about an exit that expired, in New York time."""
    kind = "Take-profit" if order.order_type == OrderType.LIMIT else "Stop-loss"
    return f"{kind} of {plain(order.qty - order.filled_qty)} {order.symbol} expired{_on_day(order)}"


def describe_cancelled(group: OrderGroup) -> str:
    """Return the sentence about an order, or the exits of shares, that the desk did not cancel; New York time."""
    last, entry = group.last, group.entry
    day = f"cancelled{_on_day(last)}, not by the desk"
    if entry is not None and entry.status is not OrderStatus.FILLED:
        filled = f"; {count_noun(entry.filled_qty, 'share', 'had')} filled" if entry.filled_qty else ""
        return f"{entry.side} {plain(entry.qty)} {entry.symbol} was {day}{filled}"
    stops = {leg.stop_price for leg in group.exits if leg.stop_price}
    targets = {leg.limit_price for leg in group.exits if leg.limit_price}
    named = (("stop-loss", sorted(stops)), ("take-profit", sorted(targets)))
    terms = ", ".join(f"{word} {usd_cents(price)}" for word, prices in named for price in prices)
    at = f" ({terms})" if terms else ""
    return f"The exits of {plain(group.unsold)} {last.symbol}{at} were {day}"


def _on_day(order: OrderRecord) -> str:
    return "" if order.terminal_at is None else f" on {show_day(order.terminal_at)}"


def _ended_document(order: OrderRecord, sentence: str) -> dict[str, str | None]:
    return {
        "ticker": order.symbol,
        "client_order_id": order.client_order_id,
        "at": None if order.terminal_at is None else iso(order.terminal_at),
        "sentence": sentence,
    }


def since_last_lines(changes: Mapping[str, Any]) -> list[str]:
    """Return the section of the report as Markdown lines, without its title, from a document's `since_last`."""
    if changes["since"] is None:
        return ["This is the first report of this ledger: it took the account as it was."]
    told = changed_sentences(changes)
    lines = [f"- {make_safe(sentence, Form.MARKDOWN)}" for sentence in told]
    rows = (f"| {row['label']} | {usd_cents(Decimal(row['amount']))} |" for row in changes["bridge"])
    since = show_day(parse_iso(changes["since"]))
    return [*(lines or [f"Nothing changed since {since}."]), "", "| | Amount |", "| --- | --- |", *rows]


def changed_sentences(changes: Mapping[str, Any]) -> list[str]:
    """Return the sentences of a document's `since_last`. A symbol change is two entries and one sentence."""
    found: list[str] = []
    for row in (row for key in _SENTENCES for row in changes.get(key, ())):
        if row.get("kind") != EntryKind.RENAME or row["sentence"] not in found:
            found.append(row["sentence"])
    return found


def _with_sign(amount: Decimal) -> str:
    return f"{'+' if amount >= 0 else '−'}{usd_cents(abs(amount))}"


def entry_document(booking: AccountEntry) -> dict[str, str | None]:
    """Return an entry of the book for programs; numbers are strings."""
    return {
        "kind": str(booking.kind),
        "ticker": booking.symbol or None,
        "qty": plain(booking.qty),
        "price": None if booking.price is None else plain(booking.price),
        "cash": money_text(booking.cash),
        "day": booking.day.isoformat(),
        "sentence": booking.sentence,
    }


def _difference_document(difference: AccountDifference) -> dict[str, str | None]:
    return {
        "kind": str(difference.kind),
        "ticker": difference.symbol or None,
        "qty": plain(difference.qty),
        "cash": money_text(difference.cash),
        "since": iso(difference.since),
        "sentence": difference.sentence,
    }
