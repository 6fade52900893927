"""The desk's promises, checked from outside: by what lies on the disk, after every step and when all work is done.

One checker for every test that lets a plan run, be killed or be spoiled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal as D
from pathlib import Path
from typing import Final

from tests.invariants.reading import PLACES, Books, Disk, Exchange, Row

#: Exits that Trading makes without a message of their own: parts of one, and after a split.
OWN_EXITS = ("EXIT_", "PART_", "MSG_TRADING_")
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
NEVER_SENT = frozenset({"denied", "rejected", "canceled"})  # how an order may end that the exchange does not know
STAFFED = ("EXECUTIVE", "OPERATIONS", "REGIME_DETECTION", "TRADING")


class BrokenPromise(BaseException):
    """What was promised and does not hold, one sentence for each; nobody who survives every error swallows it."""


@dataclass
class Promises:
    """Checks one workspace. Give `step` to a desk to have it checked at every durable step.

    `steady` tells that the clock only went forward, so that the exchange's times can be compared.
    """

    folder: Path
    steady: bool = True
    steps: int = 0
    checks: int = 0
    undecided: frozenset[str] = frozenset()
    disk: Disk = field(init=False)

    def __post_init__(self) -> None:
        self.disk = Disk(self.folder)

    def step(self, label: str) -> None:
        """Count a step and check all that its moment may have broken. Raises BrokenPromise."""
        self.steps += 1
        if label.endswith(":lock"):
            return  # nothing moves
        self._check(ALWAYS, self.disk.look(label), label)

    def check_midway(self) -> None:
        """Check what holds at every moment. Raises BrokenPromise."""
        self.disk.look()
        self._check(ALWAYS, {"exchange", "books", "boxes"}, "midway")
        self.disk.close()

    def check(self) -> None:
        """Check everything, when all work is done. Raises BrokenPromise."""
        self.disk.look()
        self._check({**ALWAYS, **IN_THE_END}, {"exchange", "books", "boxes"}, "in the end")
        self.disk.close()

    def _check(self, promises: Mapping[Promise, frozenset[str]], changed: set[str], label: str) -> None:
        """Check the promises that speak of something that changed."""
        broken: list[str] = []
        for promise, concerns in promises.items():
            if concerns & changed:
                self.checks += 1
                broken += promise(self)
        if broken:
            self.disk.close()
            raise BrokenPromise("\n".join((*broken, f"({label}, step {self.steps})")))

    @property
    def exchange(self) -> Exchange:
        return self.disk.exchange

    @property
    def books(self) -> Books:
        return self.disk.books


Promise = Callable[[Promises], Iterator[str]]


# --- money, shares, orders ---


def money_and_shares_add_up(seen: Promises) -> Iterator[str]:
    """Cash and positions are what the start, the fills and the trades of others make of them; nothing is short."""
    exchange = seen.exchange
    cash = exchange.start_cash + sum((_cash_of(f) for f in exchange.fills), D(0))
    cash += sum((D(a["cash"]) for a in exchange.adjustments), D(0))
    if cash != exchange.cash:
        yield f"the cash is {exchange.cash}, its fills make it {cash}"
    held = defaultdict(D, exchange.start_held)
    for fill in exchange.fills:
        held[fill["symbol"]] += D(fill["qty"]) * (1 if fill["side"] == "BUY" else -1)
    for change in (*exchange.adjustments, *exchange.splits):
        held[change["symbol"]] += D(change["qty"])
    for symbol in {*held, *exchange.held}:
        if held[symbol] != exchange.held.get(symbol, D(0)):
            yield f"{symbol}: {exchange.held.get(symbol)} held, the fills make it {held[symbol]}"
        if held[symbol] < 0:
            yield f"{symbol}: {held[symbol]} shares are sold short"


def orders_are_their_fills(seen: Promises) -> Iterator[str]:
    """An order has traded what its fills say, and never more than it asked for."""
    traded: dict[str, D] = defaultdict(D)
    for fill in seen.exchange.fills:
        traded[fill["order_id"]] += D(fill["qty"])
    for order in seen.exchange.orders:
        filled = D(order["filled_qty"])
        if filled != traded[order["id"]] or filled > D(order["qty"]):
            what = f"{order['symbol']} {order['client_order_id']}"
            yield f"{what}: {filled} of {order['qty']} are filled, its fills make it {traded[order['id']]}"


def cash_keeps_its_floor(seen: Promises) -> Iterator[str]:
    """Our BUYs never take the cash below min(reserve, cash at the start); what others take is not ours."""
    exchange, books = seen.exchange, seen.books
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


def buys_wait_for_sells(seen: Promises) -> Iterator[str]:
    """No BUY is submitted before every SELL is terminal or the deadline policy has run."""
    orders = seen.exchange.by_client_id
    for execution in seen.books.executions:
        plan_id = execution["plan_id"]
        sells = [orders[m] for m in seen.books.messages(execution, "SELL") if m in orders]
        buys = [orders[m] for m in seen.books.messages(execution, "BUY") if m in orders]
        phase = seen.books.phase(execution, "SELL")
        if not buys:
            continue
        if phase is None or phase["state"] != "ended":
            yield f"{plan_id}: {buys[0]['symbol']} was bought before the SELL phase had ended"
        elif phase["outcome"] == "aborted":
            yield f"{plan_id}: {buys[0]['symbol']} was bought although the SELL phase was aborted"
        elif phase["outcome"] == "all terminal":
            first_buy = min(b["submitted_at"] for b in buys)
            for sell in sells:
                if sell["status"] not in ENDED or (seen.steady and sell["updated_at"] > first_buy):
                    yield f"{plan_id}: SELL {sell['symbol']} had not ended when the first BUY was submitted"


def orders_have_approvals(seen: Promises) -> Iterator[str]:
    """Every order has a message and an intent, and no approval leads to two orders."""
    known = {o["client_order_id"]: o for o in seen.books.orders}
    first: dict[tuple[str, str, str, int], str] = {}
    trades = {t["message_id"]: t for t in seen.books.trades if t["message_id"]}
    for order in seen.exchange.sent:
        client_order_id = order["client_order_id"]
        if client_order_id not in known:
            yield f"{order['symbol']}: order {client_order_id} is at the exchange without an intent in the ledger"
            continue
        message_id = known[client_order_id]["message_id"]
        is_trading_s_own = known[client_order_id]["purpose"] == "exit" and message_id.startswith(OWN_EXITS)
        if not is_trading_s_own and f"{message_id}.md" not in seen.disk.boxes.names:
            yield f"{order['symbol']}: order {client_order_id} has no message"
        if message_id in trades:
            trade = trades[message_id]
            key = (trade["plan_id"], trade["phase"], trade["symbol"], trade["attempt"])
            if key in first:
                yield f"{key}: two orders, {first[key]} and {client_order_id}"
            first[key] = client_order_id


def attempts_repeat_nothing(seen: Promises) -> Iterator[str]:
    """All attempts together never trade more of a symbol than the first planned."""
    orders = seen.exchange.by_client_id
    filled, planned = defaultdict[tuple[str, ...], D](D), defaultdict[tuple[str, ...], D](D)
    for trade in seen.books.trades:
        what = trade["plan_id"], trade["phase"], trade["symbol"]
        planned[what] = max(planned[what], D(trade["planned_qty"]))
        if trade["phase"] in {"SELL", "BUY"} and trade["message_id"] in orders:
            filled[what] += D(orders[trade["message_id"]]["filled_qty"])
    for which, qty in filled.items():
        if qty > planned[which]:
            yield f"{which}: {qty} filled of {planned[which]} planned"


# --- what the ledger says ---


def ledger_knows_no_more(seen: Promises) -> Iterator[str]:
    """The ledger may be behind the exchange and never ahead of it: no fill and no end that did not happen."""
    orders = seen.exchange.by_client_id
    for record in seen.books.orders:
        what = f"{record['symbol']} {record['client_order_id']}"
        order = orders.get(record["client_order_id"])
        if order is None:
            if D(record["filled_qty"]) or record["status"] not in NEVER_SENT | {"unknown"}:
                yield f"{what} is {record['status']} in the ledger and unknown at the exchange"
        elif D(record["filled_qty"]) > D(order["filled_qty"]):
            yield f"{what}: {record['filled_qty']} filled in the ledger, {order['filled_qty']} at the exchange"
        elif record["status"] in ENDED and record["status"] != order["status"]:
            yield f"{what} is {record['status']} in the ledger, {order['status']} at the exchange"


def ledger_agrees(seen: Promises) -> Iterator[str]:
    """What the ledger says of an order is what the exchange says of it, or its symbol waits for a person."""
    orders = seen.exchange.by_client_id
    filled: dict[int, D] = defaultdict(D)
    for fill in seen.books.fills:
        filled[fill["order_id"]] += D(fill["qty"])
    for record in seen.books.orders:
        order = orders.get(record["client_order_id"])
        what = f"{record['symbol']} {record['client_order_id']}"
        if filled[record["id"]] != D(record["filled_qty"]):
            yield f"{what}: its fills are {filled[record['id']]}, the ledger's order has {record['filled_qty']}"
        if order is None:
            given_up = record["cancel_requested_at"] is not None or record["symbol"] in seen.books.locked
            if record["status"] not in (NEVER_SENT | {"unknown"} if given_up else NEVER_SENT):
                yield f"{what} is {record['status']} in the ledger and unknown at the exchange"
        elif (record["status"], D(record["filled_qty"])) != (order["status"], D(order["filled_qty"])):
            yield (
                f"{what} is {record['status']} with {record['filled_qty']} filled in the ledger, "
                f"{order['status']} with {order['filled_qty']} at the exchange"
            )


def unprotected_shares_are_known(seen: Promises) -> Iterator[str]:
    """The ledger's unprotected shares are those that no exit holds, where the desk bought all that is held."""
    exchange, covered = seen.exchange, defaultdict[str, dict[str, D]](dict)
    others = {*exchange.start_held, *(a["symbol"] for a in exchange.adjustments), *seen.books.locked}
    for order in exchange.orders:
        if order["status"] in ENDED:
            continue
        if order["role"] == "entry":
            others.add(order["symbol"])  # it still trades
        exits, left = covered[order["symbol"]], D(order["qty"]) - D(order["filled_qty"])
        exits[order["group"]] = max(left, exits.get(order["group"], D(0)))
    for symbol in {o["symbol"] for o in exchange.orders} - others:
        free = exchange.held.get(symbol, D(0)) - sum(covered[symbol].values())
        if free != seen.books.unprotected.get(symbol, D(0)):
            yield f"{symbol}: {free} shares have no exits, {seen.books.unprotected.get(symbol, 0)} in the ledger"


# --- messages ---


def messages_follow_their_commits(seen: Promises) -> Iterator[str]:
    """A letter is sent after the commit that decided it, a message archived after the commit of its effect."""
    for name in sorted(seen.books.decided & seen.undecided):
        yield f"{name} was sent before its decision was committed"
    seen.undecided = seen.disk.boxes.names - seen.books.decided  # strangers' messages, and questions
    for department, name in seen.disk.boxes["Archive"].keys() - seen.books.handled:
        yield f"{name} was archived by {department} before its effect was committed"


def delivered_letters_lie_somewhere(seen: Promises) -> Iterator[str]:
    """What the ledger calls delivered lies in a place of its recipient, and its copy with its sender."""
    for recipient, name in seen.books.received - seen.disk.boxes.places:
        yield f"{name} was delivered to {recipient} and lies nowhere"
    for sender, name in seen.books.sent - seen.disk.boxes["Outbox"].keys():
        yield f"{name} was delivered and {sender} has no copy"


def messages_lie_in_one_place(seen: Promises) -> Iterator[str]:
    """A message lies in one of Inbox, Archive and Dead_Letter of its recipient, and only once."""
    places = [seen.disk.boxes[box] for box in PLACES]
    if sum(len(folders) for files in places for folders in files.values()) == len(seen.disk.boxes.places):
        return
    for department, name in seen.disk.boxes.places:
        folders = [folder for files in places for folder in files.get((department, name), ())]
        if len(folders) > 1:
            yield f"{name} to {department} lies in {len(folders)} places: {', '.join(sorted(folders))}"


def dead_letters_have_reasons(seen: Promises) -> Iterator[str]:
    """The reason of a dead letter lies beside it before it does."""
    dead = seen.disk.boxes["Dead_Letter"]
    for department, name in dead:
        if name.endswith(".md") and (department, f"{name}.reason.yaml") not in dead:
            yield f"{name} is a dead letter without a reason"


def messages_have_outcomes(seen: Promises) -> Iterator[str]:
    """Nothing waits undelivered, unread or unanswered."""
    for letter in seen.books.letters:
        if letter["published_at"] is None:
            yield f"{letter['name']} was committed and never delivered"
    for department, name in sorted(seen.disk.boxes["Inbox"]):
        if department in STAFFED and name not in seen.books.failures:
            yield f"{name} still waits in the inbox of {department}"
    orders = {o["message_id"]: o for o in seen.books.orders}
    for trade in seen.books.trades:
        order = orders.get(trade["message_id"])
        if trade["phase"] not in {"SELL", "BUY"} or order is None or order["status"] not in ENDED | {"denied"}:
            continue
        if (order["status"], D(order["filled_qty"])) != (trade["status"], D(trade["filled_qty"])):
            what = f"{trade['phase']} {trade['symbol']} of {trade['plan_id']}"
            yield f"{what} is {trade['status']} for the Executive, {order['status']} for Trading"


ALWAYS: Final[Mapping[Promise, frozenset[str]]] = {
    money_and_shares_add_up: frozenset({"exchange"}),
    orders_are_their_fills: frozenset({"exchange"}),
    cash_keeps_its_floor: frozenset({"exchange"}),
    buys_wait_for_sells: frozenset({"exchange", "books"}),
    orders_have_approvals: frozenset({"exchange"}),
    attempts_repeat_nothing: frozenset({"exchange", "books"}),
    ledger_knows_no_more: frozenset({"books"}),
    messages_follow_their_commits: frozenset({"books", "boxes"}),
    delivered_letters_lie_somewhere: frozenset({"books", "boxes"}),
    messages_lie_in_one_place: frozenset({"boxes"}),
    dead_letters_have_reasons: frozenset({"boxes"}),
}
IN_THE_END: Final[Mapping[Promise, frozenset[str]]] = {
    ledger_agrees: frozenset({"exchange", "books"}),
    messages_have_outcomes: frozenset({"books", "boxes"}),
    unprotected_shares_are_known: frozenset({"exchange", "books"}),
}


def _cash_of(fill: Row) -> D:
    value = D(fill["qty"]) * D(fill["price"])
    return (value if fill["side"] == "SELL" else -value) - D(fill["fee"])
