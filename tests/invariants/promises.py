"""The desk's promises, checked from outside: read from the exchange's file, the ledger's file and the folders.

One checker for every test that lets a plan run, be killed or be spoiled. It uses none of the code it checks: two
SQLite files and a tree of Markdown files are read as they lie on the disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal as D
from pathlib import Path
from typing import Any

ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
STAFFED = ("EXECUTIVE", "OPERATIONS", "REGIME_DETECTION", "TRADING")
MESSAGES = "Messages_Between_Departments"
Row = sqlite3.Row


class BrokenPromise(AssertionError):  # noqa: N818 - what it is
    """What was promised and does not hold, one sentence for each."""


@dataclass(frozen=True)
class Exchange:
    """What the exchange's file says, read at one moment."""

    orders: tuple[Row, ...]
    fills: tuple[Row, ...]
    adjustments: tuple[Row, ...]
    cash: D
    start_cash: D
    held: dict[str, D]
    start_held: dict[str, D]

    @property
    def sent(self) -> list[Row]:
        """The orders that somebody sent; their legs left out."""
        return [o for o in self.orders if o["group"] == o["id"]]

    def by_client_id(self) -> dict[str, Row]:
        return {o["client_order_id"]: o for o in self.orders}


@dataclass(frozen=True)
class Books:
    """What the ledger's file says, read at one moment."""

    executions: tuple[Row, ...] = ()
    phases: tuple[Row, ...] = ()
    trades: tuple[Row, ...] = ()
    orders: tuple[Row, ...] = ()
    fills: tuple[Row, ...] = ()
    letters: tuple[Row, ...] = ()
    failures: frozenset[str] = frozenset()

    def phase(self, plan_id: str, name: str) -> Row | None:
        return next((p for p in self.phases if (p["plan_id"], p["name"]) == (plan_id, name)), None)

    def messages(self, plan_id: str, phase: str) -> set[str]:
        return {t["message_id"] for t in self.trades if (t["plan_id"], t["phase"]) == (plan_id, phase)}


@dataclass
class Promises:
    """Checks one workspace. Give `step` to a desk to have the cheap checks made after every durable step.

    `steady` tells that the clock only went forward, so that the exchange's times can be compared.
    """

    folder: Path
    steady: bool = True
    steps: int = 0
    broken: list[str] = field(default_factory=list)

    def step(self, label: str) -> None:
        """Count a step; after each order that the exchange took, check what can be broken by it."""
        self.steps += 1
        if label == "after:exchange.submit":
            self.check_orders()

    def check_orders(self) -> None:
        """Check what one order more can break. Raises BrokenPromise."""
        exchange, books = read_exchange(self.folder), read_books(self.folder)
        _raise(
            [
                *buys_wait_for_sells(exchange, books, steady=self.steady),
                *orders_have_approvals(exchange, books, self.folder),
            ]
        )

    def check(self) -> None:
        """Check everything, when all work is done. Raises BrokenPromise."""
        exchange, books = read_exchange(self.folder), read_books(self.folder)
        _raise(
            [
                *buys_wait_for_sells(exchange, books, steady=self.steady),
                *orders_have_approvals(exchange, books, self.folder),
                *cash_keeps_its_floor(exchange, books),
                *money_and_shares_add_up(exchange),
                *ledger_agrees(exchange, books),
                *messages_have_outcomes(books, self.folder),
                *files_lie_in_one_place(self.folder),
            ]
        )


def _raise(sentences: list[str]) -> None:
    if sentences:
        raise BrokenPromise("\n".join(sentences))


# --- the promises ---


def buys_wait_for_sells(exchange: Exchange, books: Books, *, steady: bool = True) -> Iterator[str]:
    """No BUY is submitted before every SELL is terminal or the deadline policy has run."""
    orders = exchange.by_client_id()
    for execution in books.executions:
        plan_id = execution["plan_id"]
        sells = [orders[m] for m in books.messages(plan_id, "SELL") if m in orders]
        buys = [orders[m] for m in books.messages(plan_id, "BUY") if m in orders]
        phase = books.phase(plan_id, "SELL")
        if not buys:
            continue
        if phase is None or phase["state"] != "ended":
            yield f"{plan_id}: {buys[0]['symbol']} was bought before the SELL phase had ended"
        elif phase["outcome"] == "aborted":
            yield f"{plan_id}: {buys[0]['symbol']} was bought although the SELL phase was aborted"
        elif phase["outcome"] == "all terminal":
            first_buy = min(b["submitted_at"] for b in buys)
            for sell in sells:
                if sell["status"] not in ENDED or (steady and sell["updated_at"] > first_buy):
                    yield f"{plan_id}: SELL {sell['symbol']} had not ended when the first BUY was submitted"


def orders_have_approvals(exchange: Exchange, books: Books, folder: Path) -> Iterator[str]:
    """Every order has a message and an intent, and no approval leads to two orders."""
    names = {path.name for path in (folder / MESSAGES).rglob("*.md")}
    known = {o["client_order_id"]: o for o in books.orders}
    seen: dict[tuple[str, str, str], str] = {}
    trades = {t["message_id"]: t for t in books.trades if t["message_id"]}
    for order in exchange.sent:
        client_order_id = order["client_order_id"]
        if client_order_id not in known:
            yield f"{order['symbol']}: order {client_order_id} is at the exchange without an intent in the ledger"
            continue
        message_id = known[client_order_id]["message_id"]
        if not message_id.startswith("EXIT_") and f"{message_id}.md" not in names:
            yield f"{order['symbol']}: order {client_order_id} has no message"
        if message_id in trades:
            trade = trades[message_id]
            key = (trade["plan_id"], trade["phase"], trade["ticker"])
            if key in seen:
                yield f"{key}: two orders, {seen[key]} and {client_order_id}"
            seen[key] = client_order_id


def cash_keeps_its_floor(exchange: Exchange, books: Books) -> Iterator[str]:
    """Our BUYs never take the cash below min(reserve, cash at the start); what others take is not ours."""
    plan_of = {o["client_order_id"]: o["plan_id"] for o in books.orders}
    runs = {e["plan_id"]: e for e in books.executions}
    taken: list[tuple[str, D, Row | None]] = [(f["at"], _cash_of(f), f) for f in exchange.fills]
    taken += [(a["at"], D(a["cash"]), None) for a in exchange.adjustments]
    cash, outside = exchange.start_cash, D(0)
    in_order = sorted(taken, key=lambda t: t[0]) if exchange.adjustments else taken
    for _, amount, fill in in_order:
        cash += amount
        if fill is None:
            outside += min(D(0), amount)
            continue
        run = runs.get(plan_of.get(fill["client_order_id"]) or "")
        if run is None or fill["side"] != "BUY":
            continue
        floor = min(D(run["reserve"]), D(run["cash_before"])) + outside
        if cash < floor:
            yield f"{run['plan_id']}: buying {fill['symbol']} took the cash to {cash}, below {floor}"


def money_and_shares_add_up(exchange: Exchange) -> Iterator[str]:
    """Cash and positions are what the start, the fills and the trades of others make of them; nothing is short."""
    cash = exchange.start_cash + sum((_cash_of(f) for f in exchange.fills), D(0))
    cash += sum((D(a["cash"]) for a in exchange.adjustments), D(0))
    if cash != exchange.cash:
        yield f"the cash is {exchange.cash}, its fills make it {cash}"
    held = defaultdict(D, exchange.start_held)
    for fill in exchange.fills:
        held[fill["symbol"]] += D(fill["qty"]) * (1 if fill["side"] == "BUY" else -1)
    taken: dict[str, D] = defaultdict(D)  # by others, who may take what an order of ours is about to sell
    for change in exchange.adjustments:
        held[change["symbol"]] += D(change["qty"])
        taken[change["symbol"]] += min(D(0), D(change["qty"]))
    for symbol in {*held, *exchange.held}:
        if held[symbol] != exchange.held.get(symbol, D(0)):
            yield f"{symbol}: {exchange.held.get(symbol)} held, the fills make it {held[symbol]}"
        if held[symbol] < taken[symbol]:
            yield f"{symbol}: {held[symbol]} shares are sold short"


def ledger_agrees(exchange: Exchange, books: Books) -> Iterator[str]:
    """What the ledger says of an order is what the exchange says of it."""
    orders = exchange.by_client_id()
    filled: dict[int, D] = defaultdict(D)
    for fill in books.fills:
        filled[fill["order_id"]] += D(fill["qty"])
    for record in books.orders:
        order = orders.get(record["client_order_id"])
        what = f"{record['ticker']} {record['client_order_id']}"
        if filled[record["id"]] != D(record["filled_qty"]):
            yield f"{what}: its fills are {filled[record['id']]}, the ledger's order has {record['filled_qty']}"
        if order is None:
            wished_away = record["status"] == "unknown" and record["cancel_requested_at"] is not None
            if not wished_away and record["status"] not in {"denied", "rejected", "canceled"}:
                yield f"{what} is {record['status']} in the ledger and unknown at the exchange"
        elif (record["status"], D(record["filled_qty"])) != (order["status"], D(order["filled_qty"])):
            yield (
                f"{what} is {record['status']} with {record['filled_qty']} filled in the ledger, "
                f"{order['status']} with {order['filled_qty']} at the exchange"
            )


def messages_have_outcomes(books: Books, folder: Path) -> Iterator[str]:
    """Nothing waits undelivered or unread; every dead letter has its reason."""
    for letter in books.letters:
        if letter["published_at"] is None:
            yield f"{letter['name']} was committed and never delivered"
    root = folder / MESSAGES
    for department in STAFFED:
        for path in sorted((root / "Inbox" / department).glob("*.md")):
            if path.stem not in books.failures:
                yield f"{path.name} still waits in the inbox of {department}"
    for path in sorted((root / "Dead_Letter").rglob("*.md")):
        if not path.with_name(path.name + ".reason.yaml").exists():
            yield f"{path.name} is a dead letter without a reason"


def files_lie_in_one_place(folder: Path) -> Iterator[str]:
    """A message lies in one of Inbox, Archive and Dead_Letter of its recipient, and only once."""
    places: dict[tuple[str, str], list[Path]] = defaultdict(list)
    root = folder / MESSAGES
    for box in ("Inbox", "Archive", "Dead_Letter"):
        for path in (root / box).rglob("*.md"):
            places[path.parent.name, path.name].append(path)
    for (department, name), paths in places.items():
        if len(paths) > 1:
            yield f"{name} to {department} lies in {len(paths)} places: {', '.join(str(p.parent) for p in paths)}"


# --- reading ---


def _cash_of(fill: Row) -> D:
    value = D(fill["qty"]) * D(fill["price"])
    return (value if fill["side"] == "SELL" else -value) - D(fill["fee"])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def read_exchange(folder: Path) -> Exchange:
    """Read the exchange's file."""
    with _opened(folder / "simulated_exchange.db") as db:
        meta: dict[str, Any] = {r["key"]: r["value"] for r in db.execute("SELECT * FROM meta")}
        state = json.loads(meta["state"])
        return Exchange(
            tuple(db.execute("SELECT * FROM orders ORDER BY seq")),
            tuple(db.execute("SELECT * FROM fills ORDER BY seq")),
            tuple(db.execute("SELECT * FROM adjustments ORDER BY seq")),
            D(meta["cash"]),
            D(str(state["cash"])),
            {r["symbol"]: D(r["qty"]) for r in db.execute("SELECT * FROM positions")},
            {symbol: D(str(p["qty"])) for symbol, p in state["positions"].items()},
        )


def read_books(folder: Path) -> Books:
    """Read the ledger's file."""
    with _opened(folder / "sentinel.db") as db:
        return Books(
            tuple(db.execute("SELECT * FROM desk_executions")),
            tuple(db.execute("SELECT * FROM desk_phases")),
            tuple(db.execute("SELECT * FROM desk_trades")),
            tuple(db.execute("SELECT * FROM desk_orders")),
            tuple(db.execute("SELECT * FROM desk_fills")),
            tuple(db.execute("SELECT * FROM bus_letters")),
            frozenset(r["message_id"] for r in db.execute("SELECT message_id FROM bus_failures")),
        )
