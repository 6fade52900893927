"""Past days, one after the other, each through the same departments on its own simulated exchange.

A day is a DailyBriefing, and the plan of that day where one lies beside it. Its account is the briefing's holdings and
cash = equity − holdings; its prices are the briefing's; its clock starts when briefing and plan were made, or in the
session of that day when that was outside it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, open_desk
from Departments.constraints.limits import find_limits
from Departments.core.clock import SimulatedClock, parse_iso
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.money import ZERO, decimal_of, plain, price_of
from Departments.core.plans import TradingPlan
from Departments.core.settings import read_json
from Departments.core.trading_calendar import is_trading_day, next_trading_day, session, trading_day
from Departments.Executive.daily import DayOrder, run_day
from Departments.messaging import codec
from Departments.messaging.message import Message

AFTER_OPEN = timedelta(minutes=5)
BEFORE_CLOSE = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class PastDay:
    """One day to replay."""

    day: date
    briefing: Message
    payload: Mapping[str, Any]
    plan: Mapping[str, Any] | None


@dataclass(slots=True)
class _Silent:
    """Approves, and keeps the plan that was made."""

    plan: TradingPlan | None = None

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:  # noqa: ARG002 - the port's names
        """Keep the plan."""
        self.plan = plan

    def objection(self, plan: TradingPlan) -> str | None:  # noqa: ARG002 - the port's names
        """Approve."""
        return None


def past_days(folder: Path) -> list[PastDay]:
    """Read the days of a folder, oldest first; of two briefings of one day the newer counts. Raises BadInput."""
    if not folder.is_dir():
        raise BadInput(folder, "", "is not a folder", "name a folder with DailyBriefing messages")
    plans = _plans(folder)
    days: dict[date, PastDay] = {}
    for message in sorted(_briefings(folder), key=lambda m: (m.timestamp, m.message_id)):
        payload = message.payload or {}
        day = _day_of(message, payload)
        days[day] = PastDay(day, message, payload, plans.get(day))
    if not days:
        raise BadInput(folder, "", "holds no DailyBriefing", "name a folder with DailyBriefing messages")
    return [days[day] for day in sorted(days)]


def replay(days: Iterable[PastDay], workspace: Path, config: Path, equity: Decimal) -> dict[str, Any]:
    """Run every day in a workspace of its own below `workspace`; return days and totals. Raises DepartmentsError."""
    rows = [_replayed(day, workspace / day.day.isoformat(), config, equity) for day in days]
    return {"days": rows, "total": _total(rows)}


def _replayed(past: PastDay, workspace: Path, config: Path, equity: Decimal) -> dict[str, Any]:
    if workspace.exists() and any(workspace.iterdir()):
        raise BadInput(workspace, "", "is not empty", "name an empty --workspace")
    _prepare(past, workspace, config, equity)
    clock = SimulatedClock(_start(past))
    desk = open_desk(workspace, Choices(clock=clock, exchange_state=workspace / "exchange_state.json"))
    audience = _Silent()
    try:
        desk.operations.accept_briefing(past.briefing)
        document = run_day(desk.ceo, DayOrder(past.briefing.message_id, past.plan), audience)
    finally:
        desk.close()
    return _row(past.day, document, audience.plan)


def _row(day: date, document: Mapping[str, Any], plan: TradingPlan | None) -> dict[str, Any]:
    orders = [order for phase in document["phases"] if phase["name"] in {"SELL", "BUY"} for order in phase["orders"]]
    goal = (plan.extra if plan else {}).get("deployment_goal", {})
    return {
        "date": day.isoformat(),
        "planned": len(plan.trades) if plan else 0,
        "skipped": _counted(document["skipped"]),
        "denied": _counted(document["denied"]),
        "filled": sum(order["status"] == "filled" for order in orders),
        "deployment": None if plan is None or plan.deployment is None else f"{plan.deployment:.4f}",
        "target_met": bool(goal.get("target_met", False)),
        "binding": str(goal.get("binding", "")),
        "status": document["status"],
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    known = [Decimal(row["deployment"]) for row in rows if row["deployment"] is not None]
    return {
        "planned": sum(row["planned"] for row in rows),
        "skipped": dict(sum((Counter(row["skipped"]) for row in rows), Counter())),
        "denied": sum(sum(row["denied"].values()) for row in rows),
        "filled": sum(row["filled"] for row in rows),
        "deployment": f"{sum(known, ZERO) / len(known):.4f}" if known else None,
    }


def _counted(reasons: Iterable[Mapping[str, str]]) -> dict[str, int]:
    return dict(sorted(Counter(reason["code"] for reason in reasons).items()))


def _prepare(past: PastDay, workspace: Path, config: Path, equity: Decimal) -> None:
    (workspace / "config").mkdir(parents=True, exist_ok=True)
    shutil.copy(find_limits(config), workspace / "config" / "hard_constraints.yaml")
    if (config / "config" / "settings.yaml").exists():
        shutil.copy(config / "config" / "settings.yaml", workspace / "config")
    state = exchange_state(past.payload, equity)
    (workspace / "exchange_state.json").write_text(json_text(state), encoding="utf-8", newline="\n")


def exchange_state(payload: Mapping[str, Any], equity: Decimal) -> dict[str, Any]:
    """Return the account of a briefing: its long holdings, and cash = equity − their value, which may be negative."""
    positions, value = {}, ZERO
    for holding in payload.get("current_holdings") or ():
        qty, price = _number(holding.get("quantity")), _number(holding.get("current_price"))
        if qty is None or price is None or qty <= 0 or price <= 0:
            continue
        cost = _number(holding.get("cost_basis"))
        entry = price if cost is None or cost <= 0 else cost / qty
        market = price_of(price)
        positions[str(holding["ticker"])] = {
            "qty": plain(qty),
            "avg_entry_price": plain(price_of(entry)),
            "current_price": plain(market),
        }
        value += qty * market
    prices = {
        str(c["ticker"]): plain(price_of(price))
        for c in payload.get("candidates") or ()
        if (price := _number(c.get("current_price"))) is not None and price > 0 and c.get("ticker") not in positions
    }
    return {"cash": plain(equity - value), "positions": positions, "prices": prices}


def _number(value: Any) -> Decimal | None:
    try:
        return decimal_of(value)
    except ValueError:
        return None


def _start(past: PastDay) -> datetime:
    """Return when briefing and plan were both there, within the session of the day they are for."""
    made = past.briefing.timestamp
    if past.plan is not None:
        made = max(made, parse_iso(str(past.plan["generated_at"])))
    day = past.day if is_trading_day(past.day) else next_trading_day(past.day)
    opens, closes = session(day)
    return min(max(made, opens + AFTER_OPEN), closes - BEFORE_CLOSE)


def _day_of(message: Message, payload: Mapping[str, Any]) -> date:
    stated = (payload.get("market_conditions") or {}).get("date")
    try:
        return date.fromisoformat(str(stated))
    except ValueError:
        return trading_day(message.timestamp)


def _briefings(folder: Path) -> Iterator[Message]:
    for path in sorted(folder.rglob("*.md")):
        try:
            message = codec.decode(path.read_bytes(), name=path.name)
        except (UnreadableMessage, OSError):
            continue
        if message.message_type == "DailyBriefing":
            yield message


def _plans(folder: Path) -> dict[date, Mapping[str, Any]]:
    found: dict[date, Mapping[str, Any]] = {}
    for path in sorted(folder.rglob("proposed_trades_*.json")):
        document = read_json(path)
        try:
            found[trading_day(parse_iso(str(document.get("generated_at"))))] = document
        except ValueError as error:
            raise BadInput(path, "generated_at", "is not an ISO time", "write 2025-11-10T15:05:42Z") from error
    return found
