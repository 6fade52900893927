"""Joins old approvals and results that name no parent: by symbol, side, shares and time. Pure.

The existing system's results carry neither a parent nor a plan. An execution and a log of one order are one result. A
result belongs to the nearest unused approval of the same trade before it, or to the one whose id its text names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from Departments.core.departments import EXECUTIVE, TRADING
from Departments.core.errors import UnreadableMessage
from Departments.messaging.message import Message

APPROVAL_TYPES: Final = frozenset({"ExecutiveApproval", "execution_request"})
RESULT_TYPES: Final = frozenset({"execution", "log", "escalation"})
LONGEST: Final = timedelta(days=4)  # between an approval and its result: over a long weekend
HOW: Final = "symbol, side, shares and time"
_NAMED_ID: Final = re.compile(r"\*\*Message ID:?\*\*:?\s*(\S+)")
_LINE: Final = re.compile(r"\*\*(Ticker|Action|Quantity):?\*\*:?\s*(\S+)")


#: The symbol, side and shares by which an approval and its result are the same trade.
TradeKey = tuple[str, str, Decimal]


def is_approval(message: Message) -> bool:
    """Return True for an approval of the Executive."""
    return message.message_type in APPROVAL_TYPES and message.sender == EXECUTIVE


def is_orphan(message: Message) -> bool:
    """Return True for a result of Trading that names no parent."""
    is_result = message.message_type in RESULT_TYPES and message.sender == TRADING
    return is_result and not message.parent_message_id


def join_results(messages: Iterable[Message], answered: Iterable[str | None] = ()) -> dict[str, str]:
    """Return the approval's id of each orphan that belongs to one, by the orphan's id.

    No orphan belongs to an approval in `answered`, or to one that a message of Trading names.
    """
    known = {message.message_id: message for message in messages}
    approvals = sorted(filter(is_approval, known.values()), key=lambda m: (m.timestamp, m.message_id))
    results = sorted(filter(is_orphan, known.values()), key=lambda m: (m.timestamp, m.message_id))
    taken = {*answered, *(m.parent_message_id for m in known.values() if m.sender == TRADING)}
    free = [approval for approval in approvals if approval.message_id not in taken]
    found: dict[str, str] = {}
    for group in _group_by_order(results):
        approval = _find_named(group, free) or _find_nearest(group[0], free)
        if approval is not None:
            free.remove(approval)
            found |= {result.message_id: approval.message_id for result in group}
    return found


def adopt(messages: Iterable[Message], parents: Mapping[str, str]) -> list[Message]:
    """Return the messages, the joined ones with their parent and `joined_by` beside it."""
    return [
        replace(m, parent_message_id=parents[m.message_id], extra={**m.extra, "joined_by": HOW})
        if m.message_id in parents
        else m
        for m in messages
    ]


def _group_by_order(results: Sequence[Message]) -> list[list[Message]]:
    """Group the execution and the log of one order, in order of time."""
    groups: dict[str, list[Message]] = {}
    for result in results:
        order_id = _payload_of(result).get("order_id")
        groups.setdefault(str(order_id or result.message_id), []).append(result)
    return list(groups.values())


def _find_named(group: Sequence[Message], approvals: Sequence[Message]) -> Message | None:
    named = {match.group(1) for result in group if (match := _NAMED_ID.search(result.body))}
    return next((approval for approval in approvals if approval.message_id in named), None)


def _find_nearest(result: Message, approvals: Sequence[Message]) -> Message | None:
    """Return the last approval of the trade before a result, else the first after it: some were dated by hand."""
    key = _key_of(result)
    alike = [a for a in approvals if key is not None and _key_of(a) == key]
    near = [a for a in alike if abs(result.timestamp - a.timestamp) <= LONGEST]
    before = [a for a in near if a.timestamp <= result.timestamp]
    return before[-1] if before else next(iter(near), None)


def _key_of(message: Message) -> TradeKey | None:
    payload = _payload_of(message)
    listed = {name.lower(): value for name, value in _LINE.findall(message.body)}
    symbol, side = payload.get("ticker") or listed.get("ticker"), payload.get("action") or listed.get("action")
    try:
        shares = Decimal(str(payload.get("shares") or listed.get("quantity") or ""))
    except InvalidOperation:
        return None
    return (str(symbol).upper(), str(side).upper(), shares) if symbol and side else None


def _payload_of(message: Message) -> Mapping[str, Any]:
    try:
        return message.payload or {}
    except UnreadableMessage:
        return {}
