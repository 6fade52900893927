"""Past days, one after the other, each through the same departments on its own simulated exchange.

A day is a DailyBriefing, and the plan of that day where one lies beside it. Its account is the briefing's holdings and
cash = equity − holdings; its prices are the briefing's; its clock starts when briefing and plan were made, or in the
session of that day when that was outside it. A day that cannot be run is told, and the others run.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, open_desk
from Departments.constraints.limits import find_limits
from Departments.core.clock import SimulatedClock, parse_iso
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, DepartmentsError, UnreadableMessage
from Departments.core.money import ZERO, plain, price_of
from Departments.core.plans import TradingPlan
from Departments.core.settings import config_file, read_json
from Departments.core.trading_calendar import EASTERN, is_trading_day, session, trading_day
from Departments.Executive.day import DayOrder
from Departments.messaging import codec
from Departments.messaging.message import Message
from Departments.messaging.neighbours import DailyBriefing, PricedBriefing
from Departments.Operations.briefing import briefing_from

log = logging.getLogger(__name__)

NOON = time(12)
AFTER_OPEN = timedelta(minutes=5)
BEFORE_CLOSE = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class PastDay:
    """One day to replay; `source` names the briefing's file."""

    day: date
    briefing: Message
    priced: PricedBriefing
    plan: Mapping[str, Any] | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A day that cannot be run, and why."""

    day: date
    source: str
    message: str
    exit_code: int

    def document(self) -> dict[str, str]:
        """Return the same for `--json`."""
        return {"date": self.day.isoformat(), "file": self.source, "message": self.message}


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


def past_days(folder: Path) -> tuple[list[PastDay], list[Failed]]:
    """Read the days of a folder, oldest first; of two briefings of one day the newer readable one counts.

    Raises BadInput for a folder without briefings and for a plan file that cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(folder, "", "is not a folder", "name a folder with DailyBriefing messages")
    plans, days, failed = _plans(folder), {}, []
    for message, source in sorted(_briefings(folder), key=lambda found: (found[0].timestamp, found[0].message_id)):
        try:
            briefing_from(DailyBriefing.of(message, source), source, at=message.timestamp)
            priced = PricedBriefing.of(message, source)
            day = _day_of(message, priced)
        except (BadInput, UnreadableMessage) as error:
            failed.append(Failed(trading_day(message.timestamp), source, _named(error, source), BadInput.exit_code))
        else:
            days[day] = PastDay(day, message, priced, plans.get(day), source)
    if not days and not failed:
        raise BadInput(folder, "", "holds no DailyBriefing", "name a folder with DailyBriefing messages")
    return [days[day] for day in sorted(days)], failed


def replay(
    days: Iterable[PastDay], workspace: Path, config: Path, equity: Decimal
) -> tuple[dict[str, Any], list[Failed]]:
    """Run every day in a workspace of its own below `workspace`; return days and totals, and what could not be run.

    Raises BadInput for limits, settings or workspaces that are wrong for all days.
    """
    rows, failed = [], []
    for past in days:
        folder = workspace / past.day.isoformat()
        if folder.exists() and any(folder.iterdir()):
            raise BadInput(folder, "", "is not empty", "name an empty --workspace")
        _prepare(past, folder, config, equity)
        _ = (there := open_desk(folder)).limits, there.settings
        try:
            rows.append(_replayed(past, folder))
        except DepartmentsError as error:
            failed.append(Failed(past.day, past.source, _named(error, past.source), error.exit_code))
    return {"days": rows, "total": _total(rows)}, failed


def _named(error: DepartmentsError, source: str) -> str:
    return str(error) if source in str(error) else f"{source}: {error}"


def _replayed(past: PastDay, workspace: Path) -> dict[str, Any]:
    clock = SimulatedClock(_start(past))
    desk = open_desk(workspace, Choices(clock=clock, exchange_state=workspace / "exchange_state.json"))
    audience = _Silent()
    try:
        desk.planner.accept_briefing(past.briefing)
        document = desk.day.run(DayOrder(past.briefing.message_id, past.plan), audience)
    finally:
        desk.close()
    return _row(past.day, document, audience.plan)


def _row(day: date, document: Mapping[str, Any], plan: TradingPlan | None) -> dict[str, Any]:
    orders = [order for phase in document["phases"] if phase["name"] in {"SELL", "BUY"} for order in phase["orders"]]
    goal = (plan.extra if plan else {}).get("deployment_goal") or {"binding": document["status"]}
    return {
        "date": day.isoformat(),
        "planned": len(plan.trades) if plan else 0,
        "skipped": _counted(document["skipped"]),
        "denied": _counted(document["denied"]),
        "filled": sum(order["status"] == "filled" for order in orders),
        "deployment": None if plan is None or plan.deployment is None else f"{plan.deployment:.4f}",
        "target_met": bool(goal.get("target_met", False)),
        "binding": str(goal.get("binding", "")),
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
    settings = config_file(config, "settings.yaml")
    if settings.exists():
        shutil.copy(settings, workspace / "config" / "settings.yaml")
    state = exchange_state(past.priced, equity)
    (workspace / "exchange_state.json").write_text(json_text(state), encoding="utf-8", newline="\n")


def exchange_state(briefing: PricedBriefing, equity: Decimal) -> dict[str, Any]:
    """Return the account of a briefing: its long holdings, and cash = equity − their value, which may be negative."""
    positions: dict[str, dict[str, str]] = {}
    value = ZERO
    for row in briefing.current_holdings:
        if row.quantity is None or row.quantity <= 0 or row.ticker in positions:
            continue
        entry = row.price if row.cost_basis is None or row.cost_basis <= 0 else price_of(row.cost_basis / row.quantity)
        positions[row.ticker] = {
            "qty": plain(row.quantity),
            "avg_entry_price": plain(entry),
            "current_price": plain(row.price),
        }
        value += row.quantity * row.price
    prices = {row.ticker: plain(row.price) for row in briefing.candidates if row.ticker not in positions}
    return {"cash": plain(equity - value), "positions": positions, "prices": prices}


def _start(past: PastDay) -> datetime:
    """Return when briefing and plan were both there, within the session of their day where it has one."""
    made = past.briefing.timestamp
    if past.plan is not None:
        made = max(made, parse_iso(str(past.plan["generated_at"])))
    if not is_trading_day(past.day):
        return made if trading_day(made) == past.day else datetime.combine(past.day, NOON, EASTERN)
    opens, closes = session(past.day)
    return min(max(made, opens + AFTER_OPEN), closes - BEFORE_CLOSE)


def _day_of(message: Message, briefing: PricedBriefing) -> date:
    conditions = briefing.market_conditions
    stated = None if conditions is None else conditions.day
    try:
        return date.fromisoformat(str(stated))
    except ValueError:
        return trading_day(message.timestamp)


def _briefings(folder: Path) -> Iterator[tuple[Message, str]]:
    for path in sorted(folder.rglob("*.md")):
        try:
            message = codec.decode(path.read_bytes(), name=path.name)
        except (UnreadableMessage, OSError) as error:
            log.warning("%s is passed over: it is not a message (%s)", path, error)
            continue
        if message.message_type == "DailyBriefing":
            yield message, str(path)


def _plans(folder: Path) -> dict[date, Mapping[str, Any]]:
    found: dict[date, Mapping[str, Any]] = {}
    for path in sorted(folder.rglob("proposed_trades_*.json")):
        document = read_json(path)
        try:
            found[trading_day(parse_iso(str(document.get("generated_at"))))] = document
        except ValueError as error:
            raise BadInput(path, "generated_at", "is not an ISO time", "write 2025-11-10T15:05:42Z") from error
    return found
