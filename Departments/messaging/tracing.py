"""Chains of messages by parent and plan. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from Departments.core.errors import UnreadableMessage
from Departments.messaging.message import Message

#: JSON that may have this key, perhaps written with escapes.
_MAY_NAME_A_PLAN: Final = re.compile(r"plan_id|\\u")
ROWS: Final = ("trades", "skipped")  # of a plan, thousands perhaps; they name no plan
GENERATIONS: Final = 50  # upwards, and twice as many downwards: real chains have six


@dataclass(frozen=True, slots=True)
class Branch:
    """A message and its children, in the order of their times."""

    message: Message
    children: tuple[Branch, ...]


class Link(NamedTuple):
    """The parent of a message, and its plan."""

    parent: str | None
    plan: str | None


def link_of(message: Message) -> Link:
    """Return the parent and the plan of a message."""
    return Link(message.parent_message_id, plan_of(message))


def plan_of(message: Message) -> str | None:
    """Return the plan in the payload or front matter of a message, or None."""
    try:
        payload = (message.payload_without(*ROWS) if _MAY_NAME_A_PLAN.search(message.body) else None) or {}
    except UnreadableMessage:
        payload = {}
    plan = payload.get("plan_id") or message.extra.get("plan_id")
    return str(plan) if plan else None


def family(links: Mapping[str, Link], wanted: str) -> set[str]:
    """Return all ids linked, directly or not, to a message id or a plan id."""
    children: dict[str, list[str]] = {}
    for message_id, link in links.items():
        if link.parent:
            children.setdefault(link.parent, []).append(message_id)
    found, ahead = set[str](), [key for key, link in links.items() if wanted in {key, link.plan}]
    while ahead:
        key = ahead.pop()
        if key in links and key not in found:
            found.add(key)
            ahead += [*children.get(key, ()), *filter(None, [links[key].parent])]
    return found


def trees(messages: Iterable[Message], wanted: str) -> tuple[Branch, ...]:
    """Return the trees of a message id or a plan id; empty for an unknown id.

    A message brings its ancestors and all their descendants; a plan brings those of every message that names it.
    Chains longer than `GENERATIONS` are cut.
    """
    known = {message.message_id: message for message in messages}
    start = [m for m in known.values() if m.message_id == wanted or plan_of(m) == wanted]
    roots = {_root(message, known).message_id for message in start}
    children: dict[str, list[Message]] = {}
    for message in known.values():
        children.setdefault(_parent(message, known), []).append(message)
    return tuple(_branch(known[each], children, frozenset()) for each in sorted(roots, key=lambda i: _order(known[i])))


def _parent(message: Message, known: dict[str, Message]) -> str:
    parent = message.parent_message_id
    return parent if parent and parent in known and parent != message.message_id else ""


def _root(message: Message, known: dict[str, Message]) -> Message:
    seen = {message.message_id}
    while (parent := _parent(message, known)) and parent not in seen and len(seen) <= GENERATIONS:
        seen.add(parent)
        message = known[parent]
    return message


def _branch(message: Message, children: dict[str, list[Message]], above: frozenset[str]) -> Branch:
    below = above | {message.message_id}
    if len(below) > 2 * GENERATIONS:
        return Branch(message, ())
    mine = sorted((m for m in children.get(message.message_id, ()) if m.message_id not in below), key=_order)
    return Branch(message, tuple(_branch(child, children, below) for child in mine))


def _order(message: Message) -> tuple[str, str]:
    return message.timestamp.isoformat(), message.message_id
