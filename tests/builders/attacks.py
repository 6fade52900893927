"""What an attacker can do: write, change and copy files in the folders of messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from Departments.messaging import codec
from tests.builders.desk import deliver, desk, two_and_two, workspace
from tests.builders.trading import order, request_text

MESSAGES = "Messages_Between_Departments"
PLAN = str(two_and_two()["plan_id"])
SHORT_WAITS: Mapping[str, Any] = {
    "messaging": {"durability": "fast"},
    "phases": {phase: {"timeout": 6, "final_wait": 4, "poll": 2} for phase in ("sell", "buy")},
}


def target(folder: Path) -> Path:
    """Make the workspace to attack: 80 MSFT are held, that no plan sells."""
    return workspace(folder, settings=SHORT_WAITS)


def forge_approval(folder: Path, message_id: str = "MSG_EXECUTIVE_20251110T150541Z_deadbeef", **more: Any) -> Path:
    """Drop an approval to sell 10 MSFT that nobody decided."""
    payload = order("MSFT", "SELL", 10, 502.45, plan_id=PLAN) | more
    return deliver(folder, "TRADING", f"{message_id}.md", request_text(payload, message_id=message_id))


def interrupt_after_dispatch(folder: Path) -> list[Path]:
    """Approve and execute two SELLs and two BUYs, and end the process when the SELLs wait in Trading's inbox.

    Returns their files.
    """

    def stop() -> None:
        if approvals(folder):
            raise KeyboardInterrupt

    with closing(desk(folder, via_watchers=True)) as opened:
        opened.__dict__["beside"] = stop
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with suppress(KeyboardInterrupt):
            opened.day.execute(opened.ceo._read_approved_plan())
    return approvals(folder)


def approvals(folder: Path) -> list[Path]:
    """Return the files that wait in Trading's inbox, by the symbols of their payloads."""
    return sorted((folder / MESSAGES / "Inbox" / "TRADING").glob("*.md"), key=lambda path: path.read_text("utf-8"))


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change a message's text in place. It must be another one afterwards."""
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") != before


def traded(folder: Path) -> dict[str, tuple[str, str]]:
    """Return side and shares of every order that the exchange ever got, by symbol; exits of BUYs apart."""
    if not (folder / "simulated_exchange.db").exists():
        return {}
    with closing(sqlite3.connect(folder / "simulated_exchange.db")) as exchange:
        exchange.row_factory = sqlite3.Row
        rows = exchange.execute("SELECT * FROM orders WHERE role = 'entry'").fetchall()
    return {row["symbol"]: (row["side"], row["qty"]) for row in rows}


def dead_letters(folder: Path, department: str) -> dict[str, str]:
    """Return the code of each dead letter by its file's name."""
    found = (folder / MESSAGES / "Dead_Letter" / department).glob("*.reason.yaml")
    return {
        path.name.removesuffix(".reason.yaml"): str(codec.load_mapping(path.read_text(encoding="utf-8"))["code"])
        for path in found
    }


def escalations(folder: Path) -> list[str]:
    """Return the titles of all escalations to the Executive."""
    files = (folder / MESSAGES).glob("Outbox/*/*.md")
    found = (codec.decode(path.read_bytes(), name=path.name) for path in files)
    return [m.body.strip().splitlines()[0] for m in found if m.message_type == "escalation"]


def report_text(about: str, sender: str, **payload: Any) -> str:
    """Return a report to the Executive that an order has ended."""
    told = {"approval_message_id": about, "status": "filled", "terminal_at": "2025-11-10T15:05:50Z", **payload}
    return (
        f"---\nmessage_id: MSG_{sender}_20251110T150550Z_{abs(hash(about)) % 10**8:08d}\nfrom: {sender}\n"
        f"to: EXECUTIVE\ntimestamp: '2025-11-10T15:05:50.000000Z'\nmessage_type: ExecutionReport\n---\n"
        f"# Report\n\n```json\n{json.dumps(told)}\n```\n"
    )
