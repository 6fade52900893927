"""What a day tells people: notices made of a plan, of a run's final document, or of its failure. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from Departments.core.money import count_noun, plain, usd, usd_cents
from Departments.core.plans import Trade, TradingPlan, count_sides
from Departments.core.statuses import ExecutionStatus
from Departments.notices.notice import Notice, NoticeEvent, keep_ten

ENDED: Final = frozenset(
    {ExecutionStatus.COMPLETED, ExecutionStatus.COMPLETED_WITH_ISSUES, ExecutionStatus.NOTHING_TO_DO}
)


def announce_plan(plan: TradingPlan, mend: str, cause: str = "") -> Notice:
    """Return the notice of a plan that waits for a person. `mend` is how to approve it."""
    title = f"{plan.plan_id} waits for approval: {count_sides(len(plan.sells), len(plan.buys))}"
    lines = (*keep_ten([mend, *map(_describe_trade, (*plan.sells, *plan.buys))]),)
    return Notice(NoticeEvent.APPROVAL, f"{plan.plan_id}{cause}", title, lines)


def _describe_trade(trade: Trade) -> str:
    price = "" if trade.price is None else f" at {usd_cents(trade.price)}"
    value = "" if trade.notional is None else f", {usd(trade.notional)}"
    return f"{trade.side} {plain(trade.qty)} {trade.symbol}{price}{value}"


def announce_end(document: Mapping[str, Any], report: str = "") -> Iterator[Notice]:
    """Yield the notices of a run's final document; `report` is the path of its report."""
    yield from _announce_changes(document)
    yield from announce_issues(document)
    status, plan_id, message = str(document["status"]), document["plan_id"], str(document.get("message") or "")
    if status == "MARKET_CLOSED":
        yield Notice(NoticeEvent.MARKET_CLOSED, "market", "The market is closed; nothing was sent", (message,))
    elif status in ENDED:
        attempt = max((each["attempt"] for each in document["attempts"]), default=1)
        title = f"{plan_id}: {status}, {_count_filled(document)}"
        lines = keep_ten(_describe_end(document))
        yield Notice(NoticeEvent.DONE, f"{plan_id}:{attempt}", title, lines, report)
        if document["exit_code"]:
            troubles = keep_ten(_list_troubles(document))
            title = f"{plan_id} ended with issues: somebody has to look"
            yield Notice(NoticeEvent.ISSUE, f"{plan_id}:{attempt}", title, troubles, report)


def announce_failure(sentence: str) -> Notice:
    """Return the notice of a command that failed."""
    return Notice(NoticeEvent.ISSUE, sentence, "The run failed", (sentence,))


def announce_issues(lists: Mapping[str, Any]) -> Iterator[Notice]:
    """Yield a notice for each dead letter, lock and halt, by their keys in documents."""
    for letter in lists["dead_letters"]:
        name = f"{letter['department']}/{letter['file']}"
        lines = (f"{letter['code']}: {letter['reason']}", letter["mend"])
        yield Notice(NoticeEvent.DEAD_LETTER, name, f"Dead letter {name}", lines)
    for lock in lists["locks"]:
        yield Notice(NoticeEvent.LOCK, lock["ticker"], f"{lock['ticker']} is locked", (lock["reason"], lock["mend"]))
    for halt in lists["halts"]:
        sentence = f"{halt['sentence']}; {halt['mend']}."
        yield Notice(NoticeEvent.HALT, f"{halt['scope']}:{halt['since']}", "The desk is halted", (sentence,))


def _announce_changes(document: Mapping[str, Any]) -> Iterator[Notice]:
    for fill in (*document["since_last"]["exits"], *document["earlier_orders"]):
        cause = f"{fill['client_order_id']}:{fill['at']}"
        yield Notice(NoticeEvent.EXIT_FILLED, cause, fill["sentence"])


def _count_filled(document: Mapping[str, Any]) -> str:
    traded = [phase for phase in document["phases"] if phase["name"] in {"SELL", "BUY"}]
    orders = {(o["side"], o["ticker"]): o for phase in traded for o in phase["orders"]}.values()  # the last attempt's
    return f"{sum(order['status'] == 'filled' for order in orders)} of {count_noun(len(orders), 'order')} filled"


def _describe_end(document: Mapping[str, Any]) -> Iterator[str]:
    account = document["account"]
    yield f"{_count_filled(document)}, {len(document['skipped'])} skipped"
    before, after, reserve = (_money(account[key]) for key in ("cash_before", "cash_after", "reserve"))
    yield f"Cash {before} before, {after} after, beside a reserve of {reserve}"
    yield from _list_troubles(document)
    for phase in document["phases"]:
        for order in phase["orders"]:
            if order["status"] == "filled":
                yield f"{order['side']} {order['filled_qty']} {order['ticker']} at ${order['filled_avg_price']}"


def _list_troubles(document: Mapping[str, Any]) -> Iterator[str]:
    for word in ("denied", "deferred"):
        for each in document[word]:
            yield f"{each['ticker']} {word}: {each['reason']}"
    yield from document["broken_limits"]
    yield from (each["sentence"] for each in document["since_last"]["differences"])
    for stretch in document["unprotected"]:
        if stretch["until"] is None:
            yield f"{stretch['ticker']}: {count_noun(Decimal(stretch['qty']), 'share', 'have')} no live exits"
    if not document["cash_identity"]["holds"]:
        yield f"Cash differs by ${document['cash_identity']['difference']}"
    yield from (f"Halted: {each['sentence']}" for each in document["halts"])
    yield from (f"Locked: {each['ticker']}: {each['reason']}" for each in document["locks"])
    yield from (f"Dead letter: {each['department']}/{each['file']}" for each in document["dead_letters"])


def _money(text: str | None) -> str:
    return "unknown" if text is None else usd_cents(Decimal(text))
