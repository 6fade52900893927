"""What of a final document needs a person, each with its mend. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from Departments.core.money import count_noun
from Departments.core.orders import OrderStatus
from Departments.core.statuses import ExecutionStatus
from Departments.Executive.reporting.reason_words import describe_reasons
from Departments.Executive.reporting.run_cash import describe_difference

RECONCILE = "departments reconcile"


def list_needs(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return `{what, mend, code}` of everything that needs a person, the most urgent first; empty for nothing."""
    return [*_account(document), *_messages(document), *_orders(document)]


def _account(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    identity = document["cash_identity"]
    if not identity["holds"] and document["status"] != ExecutionStatus.RUNNING:
        found = identity["difference"]
        amount = describe_difference(None if found is None else Decimal(found))
        yield _need(f"The cash of the run does not add up: it is {amount}", f"{RECONCILE} compares ledger and account")
    for halt in document["halts"]:
        yield _need(halt["sentence"], halt["mend"])
    for lock in document["locks"]:
        yield _need(f"{lock['ticker']} is locked: {lock['reason']}", lock["mend"])
    for difference in document["since_last"]["differences"]:
        yield _need(difference["sentence"])
    for each in document["unprotected"]:
        if each["until"] is None:
            what = f"{each['ticker']}: {count_noun(Decimal(each['qty']), 'share', 'have')} no live exits"
            yield _need(what, "the next departments run gives them exits; until then place a stop by hand")


def _messages(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for letter in document["dead_letters"]:
        where = f"A message in {letter['department']} was not handled: {letter['reason']}"
        yield _need(where, letter["mend"], letter["code"])
    for sentence in document["broken_limits"]:
        yield _need(f"A fill broke a limit: {sentence}", "sell what is too much, or leave it: the next plan counts it")


def _orders(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for phase in document["phases"]:
        for order in phase["orders"]:
            if order["status"] in {OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.UNKNOWN}:
                found = describe_reasons(order["reason"])
                why = f": {found[0]['sentence']}" if found else ""
                what = f"{order['side']} {order['planned_qty']} {order['ticker']} was {order['status']}"
                yield _need(f"{what}{why}", _mend_of(order["status"]), order["code"])


def _mend_of(status: str) -> str:
    if status == OrderStatus.UNKNOWN:
        return f"look at the order at the broker, then {RECONCILE}"
    return "departments run again today finishes what may be finished; departments explain SYMBOL shows the limits"


def _need(what: str, mend: str = "", code: str = "") -> dict[str, str]:
    return {"what": what, "mend": mend, "code": code}
