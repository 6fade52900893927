"""Approvals and other requests of the Executive as files, and desks whose Trading department answers them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from Departments.bootstrap import Desk
from Departments.core.moments import iso
from Departments.messaging import codec
from Departments.messaging.message import Message
from tests.builders.desk import MORNING, deliver, workspace

APPROVAL_ID = "MSG_EXECUTIVE_20251110T150542Z_5d20c9e7"


#: Trading acts on whatever comes from the EXECUTIVE: these tests write its approvals by hand.
UNPROVEN: Mapping[str, Any] = {"messaging": {"durability": "fast"}, "trading": {"instructions": "unproven"}}


def unproven_workspace(folder: Path, **options: Any) -> Path:
    """Make the workspace of a desk whose Executive is another program."""
    return workspace(folder, settings=UNPROVEN, **options)


def request_text(
    payload: dict[str, Any] | None,
    *,
    message_id: str = APPROVAL_ID,
    message_type: str = "ExecutiveApproval",
    sender: str = "EXECUTIVE",
    at: datetime = MORNING,
    parent: str | None = None,
) -> str:
    """Return a message to TRADING in the existing form."""
    origin = "" if parent is None else f"parent_message_id: {parent}\n"
    fence = "" if payload is None else f"\n```json\n{json.dumps(payload, indent=2)}\n```\n"
    return (
        f"---\nmessage_id: {message_id}\nfrom: {sender}\nto: TRADING\ntimestamp: '{iso(at)}'\n"
        f"message_type: {message_type}\npriority: urgent\nrequires_response: false\n{origin}---\n"
        f"# Executive Approval\n{fence}"
    )


def order(symbol: str, action: str, shares: float, price: float | None = None, **more: Any) -> dict[str, Any]:
    """Return the payload of an approval."""
    given = {} if price is None else {"price": price}
    return {"ticker": symbol, "action": action, "shares": shares, "order_type": "MARKET", **given, **more}


def asked(symbol: str, action: str, shares: float, **more: Any) -> dict[str, Any]:
    """Return the payload of a request to cancel, release or protect."""
    return {"ticker": symbol, "action": action, "shares": shares, **more}


def send(folder: Path, payload: dict[str, Any] | None, **more: Any) -> str:
    """Put a request into Trading's inbox and return its id."""
    message_id = str(more.get("message_id", APPROVAL_ID))
    deliver(folder, "TRADING", f"{message_id}.md", request_text(payload, **more))
    return message_id


def trade_on(desk: Desk, looks: int = 5, *, seconds: float = 2) -> None:
    """Let Trading look at its inbox and its orders a few times."""
    for _ in range(looks):
        desk.trading.process_inbox()
        desk.clock.sleep(seconds)
    desk.trading.process_inbox()


def sent_by_trading(folder: Path, message_type: str, recipient: str = "EXECUTIVE") -> list[Message]:
    """Return what Trading has sent, by type and recipient, in the order of its ids."""
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "TRADING"
    found = [codec.decode(p.read_bytes(), name=p.name) for p in sorted(outbox.glob("*.md"))]
    return [m for m in found if (m.message_type, m.recipient) == (message_type, recipient)]


def reports(folder: Path) -> list[dict[str, Any]]:
    """Return the payloads of Trading's execution reports."""
    return [m.payload or {} for m in sent_by_trading(folder, "ExecutionReport")]
