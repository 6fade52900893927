"""Workspaces for tests: real files, the simulated exchange, a simulated clock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from Departments.bootstrap import Choices, Desk
from Departments.core.platform.clock import SimulatedClock

ROOT = Path(__file__).resolve().parents[2]
MORNING = datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC)
STATE = {
    "cash": 40_000,
    "positions": {
        "CTVA": {"qty": 190, "avg_entry_price": 65, "current_price": 64.64},
        "DVN": {"qty": 225, "avg_entry_price": 33, "current_price": 33.61},
        "MSFT": {"qty": 80, "avg_entry_price": 480, "current_price": 502.45},
    },
    "prices": {"ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64, "SN": 96.19, "CVE": 17.58},
}


def workspace(
    folder: Path,
    *,
    state: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Make a workspace with limits, settings and an exchange-state file."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    if limits is None:
        shutil.copy(ROOT / "config" / "hard_constraints.yaml", folder / "config")
    else:
        write_yaml(folder / "config" / "hard_constraints.yaml", limits)
    write_yaml(folder / "config" / "settings.yaml", settings or {"messaging": {"durability": "fast"}})
    write_yaml(folder / "state.yaml", state or STATE)
    return folder


def write_yaml(path: Path, data: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(data)), encoding="utf-8")
    return path


class SharedDesk(Desk):
    """A desk that is not alone: whenever its departments have worked, `beside` happens."""

    @staticmethod
    def beside() -> None:
        """Do nothing; a test sets something else."""

    def work(self) -> None:
        super().work()
        self.beside()

    def consult(self) -> None:
        super().consult()
        self.beside()


def desk(
    folder: Path, *, at: datetime = MORNING, faults: Mapping[str, Any] | None = None, **choices: Any
) -> SharedDesk:
    """Open the desk of a workspace at a simulated moment."""
    script = None if faults is None else write_yaml(folder / "faults.yaml", faults)
    return SharedDesk(
        folder,
        Choices(clock=SimulatedClock(at), exchange_state=folder / "state.yaml", exchange_faults=script, **choices),
    )


def trade(symbol: str, action: str, shares: float, price: float, **more: Any) -> dict[str, Any]:
    key = "entry_price" if action == "BUY" else "current_price"
    return {"ticker": symbol, "action": action, "shares": shares, key: price, "composite_score": 70.0, **more}


def plan(
    *trades: Mapping[str, Any],
    plan_id: str = "PLAN_20251110_150000",
    generated_at: str = "2025-11-10T15:00:00.000000Z",
) -> dict[str, Any]:
    """Return a plan document of the existing form, made a few minutes before MORNING."""
    return {
        "plan_id": plan_id,
        "generated_at": generated_at,
        "status": "APPROVED_BY_USER",
        "trades": [dict(t) for t in trades],
    }


def two_and_two() -> dict[str, Any]:
    """Return the plan of the incident report's first test, BUYs first as existing files have them."""
    return plan(
        trade("ALKS", "BUY", 150, 32.66),
        trade("COMM", "BUY", 250, 17.02),
        trade("CTVA", "SELL", 190.0, 64.64),
        trade("DVN", "SELL", 225.0, 33.61),
    )


def briefing(
    candidates: Sequence[Mapping[str, Any]],
    holdings: Sequence[Mapping[str, Any]] = (),
    *,
    day: str = "2025-11-10",
    vix: float | None = 18.0,
    spy_change_pct: float | None = 1.15,
    conditions: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """Return a DailyBriefing to OPERATIONS as the text of its file; `more` stands beside its lists."""
    seen = {"spy_change_pct": spy_change_pct, "vix": vix, "vix_status": "NORMAL", "date": day}
    payload = {
        "market_conditions": {**seen, **(conditions or {})},
        "candidates": list(candidates),
        "current_holdings": list(holdings),
        **more,
    }
    message_id = f"MSG_RESEARCH_{day.replace('-', '')}T150509Z_0badcafe"
    return (
        f"---\nmessage_id: {message_id}\nfrom: RESEARCH\nto: OPERATIONS\ntimestamp: '{day}T15:05:09.000000Z'\n"
        "message_type: DailyBriefing\npriority: routine\nrequires_response: false\n---\n"
        f"# Daily Market Briefing - {day}\n\n```json\n{json.dumps(payload, indent=2)}\n```\n"
    )


def candidate(symbol: str, score: float, price: float, sector: str = "Technology", **more: Any) -> dict[str, Any]:
    return {
        "ticker": symbol,
        "composite_score": score,
        "current_price": price,
        "fundamental": {"score": score, "sector": sector},
        **more,
    }


def deliver(folder: Path, department: str, name: str, text: str | bytes) -> Path:
    """Put a file straight into an inbox, as writers outside the project do."""
    inbox = folder / "Messages_Between_Departments" / "Inbox" / department
    inbox.mkdir(parents=True, exist_ok=True)
    path = inbox / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
