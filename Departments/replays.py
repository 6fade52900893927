"""Replays of past days: the same departments, each day on its own simulated exchange.

A day is a DailyBriefing, and a plan of that day beside it, if any. Its account is the briefing's holdings and
cash = equity − holdings; its prices are the briefing's. Its clock starts at the time of briefing and plan, moved into
the session of the day. A day that cannot run is reported, and the others run.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from Departments.bootstrap import Choices, open_desk
from Departments.brokers.choice import SIMULATED
from Departments.constraints.compliance import NAME as COMPLIANCE
from Departments.constraints.limits import limits_file
from Departments.core.approvers import AUTOMATIC, Approver
from Departments.core.documents import json_text
from Departments.core.errors import BadInput, DepartmentsError, UnreadableMessage
from Departments.core.logs import make_logger
from Departments.core.moments import parse_iso
from Departments.core.money import ZERO, plain, price_of
from Departments.core.plans import TradingPlan
from Departments.core.platform import files
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.rights import PRIVATE, make_folder
from Departments.core.platform.text_files import config_file, read_json, read_yaml
from Departments.core.trading_calendar import EASTERN, is_trading_day, session, trading_day
from Departments.Executive.day_order import DayOrder
from Departments.messaging import codec
from Departments.messaging.disk import file_time
from Departments.messaging.message import Message
from Departments.messaging.neighbours import DailyBriefing, PricedBriefing
from Departments.Operations.briefing import briefing_from

log = make_logger(__name__)

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
class FailedDay:
    """A failed day with its reason."""

    day: date
    source: str
    message: str
    exit_code: int

    def document(self) -> dict[str, str]:
        """Return it for `--json`."""
        return {"date": self.day.isoformat(), "file": self.source, "message": self.message}


@dataclass(slots=True)
class _Silent:
    """Approves every plan, and keeps it."""

    plan: TradingPlan | None = None

    @property
    def approver(self) -> Approver:
        """Return the setting: nobody looks at a past day."""
        return AUTOMATIC

    def see_plan(self, plan: TradingPlan, review: Mapping[str, Any]) -> None:  # noqa: ARG002 - the port's names
        """Keep the plan."""
        self.plan = plan

    def objection(self, plan: TradingPlan) -> str | None:  # noqa: ARG002 - the port's names
        """Approve."""
        return None


@dataclass(frozen=True, slots=True)
class PastDays:
    """The days of a folder, oldest first, those with an unusable newest briefing, and all superseded briefings."""

    days: tuple[PastDay, ...]
    failed: tuple[FailedDay, ...]
    superseded: tuple[tuple[date, str], ...]

    def between(self, first: date | None, last: date | None) -> PastDays:
        """Return the days from `first` to `last`, both included. Raises BadInput if there is none."""

        def is_within(day: date) -> bool:
            return (first is None or day >= first) and (last is None or day <= last)

        found = PastDays(
            tuple(past for past in self.days if is_within(past.day)),
            tuple(past for past in self.failed if is_within(past.day)),
            tuple(entry for entry in self.superseded if is_within(entry[0])),
        )
        if found.days or found.failed:
            return found
        known = sorted([past.day for past in self.days] + [past.day for past in self.failed])
        problem = f"no briefing is of a day from {first or known[0]} to {last or known[-1]}"
        raise BadInput("--from, --to", "", problem, f"the folder has days from {known[0]} to {known[-1]}")


def read_past_days(folder: Path) -> PastDays:
    """Read the days of a folder. Of several briefings of a day the newest decides; the others are superseded.

    Raises BadInput for a folder without briefings and for an unreadable plan file.
    """
    if not folder.is_dir():
        raise BadInput(folder, "", "is not a folder", "name a folder with DailyBriefing messages")
    plans = _plans(folder)
    found: dict[date, PastDay | FailedDay] = {}
    superseded: list[tuple[date, str]] = []
    for message, source in sorted(_briefings(folder), key=lambda found: (found[0].timestamp, found[0].message_id)):
        day = trading_day(message.timestamp)
        try:
            read = briefing_from(DailyBriefing.of(message, source), source, at=message.timestamp)
            day, priced = read.date or day, PricedBriefing.of(message, source)
        except (BadInput, UnreadableMessage) as error:
            past: PastDay | FailedDay = FailedDay(day, source, _name_source(error, source), BadInput.exit_code)
        else:
            past = PastDay(day, message, priced, plans.get(day), source)
        if day in found:
            superseded.append((day, found[day].source))
        found[day] = past
    if not found:
        raise BadInput(folder, "", "holds no DailyBriefing", "name a folder with DailyBriefing messages")
    ordered = [found[day] for day in sorted(found)]
    days = tuple(each for each in ordered if isinstance(each, PastDay))
    return PastDays(days, tuple(each for each in ordered if isinstance(each, FailedDay)), tuple(superseded))


def replay(
    days: Iterable[PastDay], workspace: Path, config: Path, equity: Decimal, limits: Path | None = None
) -> tuple[dict[str, Any], list[FailedDay]]:
    """Run every day in its own workspace below `workspace`. Return the document and the failed days.

    `limits` is a limits file in place of that of `config`. The total's deployment and turnover are means of its days.

    Raises BadInput for faults of all days: in limits, settings or workspaces.
    """
    rows, failed = [], []
    for past in days:
        folder = prepare_day(past, workspace, config, equity, limits)
        try:
            rows.append(_row(past.day, *replay_day(past, folder), equity))
        except DepartmentsError as error:
            failed.append(FailedDay(past.day, past.source, _name_source(error, past.source), error.exit_code))
    return {"days": rows, "total": _total(rows)}, failed


def _name_source(error: DepartmentsError, source: str) -> str:
    return str(error) if source in str(error) else f"{source}: {error}"


def prepare_day(past: PastDay, workspace: Path, config: Path, equity: Decimal, limits: Path | None = None) -> Path:
    """Make and return a day's workspace. Raises BadInput for faults of all days: in limits, settings or workspaces."""
    folder = workspace / past.day.isoformat()
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(folder, "", "is not empty", "name an empty --workspace")
    _check_files(config, limits)
    _prepare(past, folder, config, equity, limits)
    copied = open_desk(folder)
    _ = copied.limits, copied.settings
    return folder


def _check_files(config: Path, limits: Path | None) -> None:
    """Read settings and limits where they are, so that an error names them and no copy. Raises BadInput."""
    desk = open_desk(config)
    _ = desk.settings
    if limits is None:
        _ = desk.limits


def replay_day(past: PastDay, workspace: Path) -> tuple[Mapping[str, Any], TradingPlan | None]:
    """Run a day in its workspace, without keys; return the final document and the plan. Raises DepartmentsError."""
    clock = SimulatedClock(_starting_time(past))
    desk = open_desk(
        workspace, Choices(clock=clock, exchange_state=workspace / "exchange_state.json", broker=SIMULATED)
    )
    audience = _Silent()
    try:
        desk.planner.accept_briefing(past.briefing)
        document = desk.day.run(DayOrder(past.briefing.message_id, past.plan), audience)
    finally:
        desk.close()
    return document, audience.plan


def _row(day: date, document: Mapping[str, Any], plan: TradingPlan | None, equity: Decimal) -> dict[str, Any]:
    orders = [order for phase in document["phases"] if phase["name"] in {"SELL", "BUY"} for order in phase["orders"]]
    goal = (plan.extra if plan else {}).get("deployment_goal") or {"binding": document["status"]}
    return {
        "date": day.isoformat(),
        "planned": len(plan.trades) if plan else 0,
        "skipped": _count_codes(document["skipped"]),
        "denied": _count_codes(document["denied"]),
        "filled": sum(order["status"] == "filled" for order in orders),
        "deployment": None if plan is None or plan.deployment is None else f"{plan.deployment:.4f}",
        "target_met": bool(goal.get("target_met", False)),
        "binding": str(goal.get("binding", "")),
        "turnover": None if plan is None else f"{plan.turnover(equity):.4f}",
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "planned": sum(row["planned"] for row in rows),
        "skipped": dict(sum((Counter(row["skipped"]) for row in rows), Counter())),
        "denied": sum(sum(row["denied"].values()) for row in rows),
        "filled": sum(row["filled"] for row in rows),
        "deployment": _mean(rows, "deployment"),
        "turnover": _mean(rows, "turnover"),
    }


def _mean(rows: Iterable[Mapping[str, Any]], name: str) -> str | None:
    known = [Decimal(row[name]) for row in rows if row[name] is not None]
    return f"{sum(known, ZERO) / len(known):.4f}" if known else None


def _count_codes(reasons: Iterable[Mapping[str, str]]) -> dict[str, int]:
    return dict(sorted(Counter(reason["code"] for reason in reasons).items()))


def _prepare(past: PastDay, workspace: Path, config: Path, equity: Decimal, limits: Path | None) -> None:
    make_folder(workspace / "config", PRIVATE)
    shutil.copy(limits or limits_file(config), workspace / "config" / "hard_constraints.yaml")
    if (path := config_file(config, COMPLIANCE)).exists():
        shutil.copy(path, workspace / "config" / COMPLIANCE)
    path = config_file(config, "settings.yaml")
    theirs = read_yaml(path) if path.exists() else {}
    # ledger and exchange of a past day are its own, whatever folder the settings or the environment name
    write_atomically(
        workspace / "config" / "settings.yaml", json_text({**theirs, "state_dir": ".", "files": "private"})
    )
    state = exchange_state(past.priced, equity)
    write_atomically(workspace / "exchange_state.json", json_text(state))


def exchange_state(briefing: PricedBriefing, equity: Decimal) -> dict[str, Any]:
    """Return a briefing's account: its long holdings, and cash = equity − holdings, negative or not."""
    positions: dict[str, dict[str, str]] = {}
    value = ZERO
    for row in briefing.current_holdings:
        if row.quantity is None or row.quantity <= 0 or row.symbol in positions:
            continue
        entry = row.price if row.cost_basis is None or row.cost_basis <= 0 else price_of(row.cost_basis / row.quantity)
        positions[row.symbol] = {
            "qty": plain(row.quantity),
            "avg_entry_price": plain(entry),
            "current_price": plain(row.price),
        }
        value += row.quantity * row.price
    prices = {row.symbol: plain(row.price) for row in briefing.candidates if row.symbol not in positions}
    return {"cash": plain(equity - value), "positions": positions, "prices": prices}


def _starting_time(past: PastDay) -> datetime:
    """Return the time of briefing and plan, moved into the day's session."""
    made = past.briefing.timestamp
    if past.plan is not None:
        made = max(made, parse_iso(str(past.plan["generated_at"])))
    if not is_trading_day(past.day):
        return made if trading_day(made) == past.day else datetime.combine(past.day, NOON, EASTERN)
    opens, closes = session(past.day)
    return min(max(made, opens + AFTER_OPEN), closes - BEFORE_CLOSE)


def _briefings(folder: Path) -> Iterator[tuple[Message, str]]:
    for path in sorted(folder.rglob("*.md")):
        try:
            message = codec.decode(files.read_bytes(path), name=path.name, written_at=partial(file_time, path))
        except (UnreadableMessage, OSError) as error:
            log.warning("Skipped %s: it is not a message (%s)", path, error)
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
