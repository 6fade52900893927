"""`departments plan` and `departments approve`: show a plan, approve a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from Departments.bootstrap import Choices
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock, read_day_order
from Departments.commands.options import (
    AsJson,
    At,
    BriefingFile,
    BrokerOption,
    ExchangePrices,
    ExchangeState,
    Fill,
    PlanFile,
    Reseed,
    SizesOfPlan,
    Workspace,
)
from Departments.commands.seeding import check_exchange_files
from Departments.constraints.headroom import Headroom
from Departments.core.approvers import ApprovalPlace, Approver
from Departments.core.money import percent, plain, usd
from Departments.core.platform.users import name_user
from Departments.core.safe_text import make_safe
from Departments.Executive.approvals import Approved
from Departments.Executive.day_order import ReviewedPlan
from Departments.Executive.reporting.terminal import show_plan, show_review
from Departments.Executive.review import Outlook, Shift

BAR = 40  # characters for the whole of equity


def plan(  # noqa: PLR0913 - one parameter for each option
    workspace: Workspace = Path(),
    briefing: BriefingFile = None,
    plan_file: PlanFile = None,
    exchange_state: ExchangeState = None,
    prices: ExchangePrices = None,
    broker: BrokerOption = None,
    at: At = None,
    *,
    sizes: SizesOfPlan = "keep",
    fill: Fill = False,
    reseed: Reseed = False,
    as_json: AsJson = False,
) -> int:
    """Make a plan and show it with weights, sectors and headroom, before and after. Send nothing.

    The exit code is 1 if the day's proposal was refused and the plan was made without it.
    """
    choices = Choices(clock=make_clock(at), broker=broker, exchange_state=exchange_state, exchange_prices=prices)
    with work_at_desk(workspace, "plan", look_at_own_time(workspace, choices)) as desk:
        check_exchange_files(desk, reseed=reseed)
        # before ledger and exchange are made
        order = read_day_order(desk, briefing, plan_file, dry_run=True, sizes=sizes, fill=fill)
        made = desk.day.plan(order)
    if as_json:
        print_json({"plan": made.filed.document, "review": made.review.document(), **made.outlook.document()})
    else:
        _show(made)
    return int(made.filed.plan.has_refused_proposal)


def approve(
    plan_id: Annotated[str, typer.Argument(help="The plan, for example PLAN_20251110_071530.")],
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Approve a plan for today's `departments run`. Stale plans, prices or limits are refused.

    Above `approval.four_eyes_above` two different users must; after the first the exit code is 1.
    """
    choices = look_at_own_time(workspace, Choices(clock=make_clock(at), broker=broker))
    with work_at_desk(workspace, "approve", choices) as desk:
        filed = desk.approvals.find_known(plan_id)  # a wrong name needs no broker
        approved = desk.day.approve(plan_id, Approver(name_user(), ApprovalPlace.COMMAND), filed)
    if as_json:
        print_json(describe_approval(approved))
    else:
        text = approved.waits or _describe_approved(approved)
        open_console().print(make_safe(text), markup=False, soft_wrap=True)
    return int(bool(approved.waits))


def _describe_approved(approved: Approved) -> str:
    plan = approved.filed.plan
    if plan.by_hand:
        (trade,) = plan.trades
        command = f"departments order {trade.side} {trade.symbol} {plain(trade.qty)}"
        return f"Approved {plan.plan_id}; `{command}` executes it."
    return f"Approved {plan.plan_id}; written to {approved.path}. `departments run` executes it."


def describe_approval(approved: Approved) -> dict[str, Any]:
    """Return an approval for programs."""
    document, waits, path = approved.filed.document, approved.waits, approved.path
    return {
        "status": "SECOND_PERSON_NEEDED" if waits else "PLAN_APPROVED",
        "plan_id": approved.filed.plan.plan_id,
        "file": None if path is None else str(path),
        "approved_by": document["approved_by"],
        "approvals": document["approvals"],
        **({"message": waits} if waits else {}),
    }


def _show(made: ReviewedPlan) -> None:
    screen, plan = Console(), made.filed.plan
    show_plan(screen, plan)
    _OutlookTables(screen, made.outlook).show()
    show_review(screen, made.review.document())
    screen.print(f"Approve it with: departments approve {escape_text(plan.plan_id)}", highlight=False)


@dataclass(frozen=True, slots=True)
class _OutlookTables:
    console: Console
    outlook: Outlook

    def show(self) -> None:
        """Print weights, sectors and headroom."""
        self._shifts("Weights (share of equity)", self.outlook.weights)
        self._shifts("Sectors (share of equity)", self.outlook.sectors)
        self._headroom(self.outlook.headroom)

    def _shifts(self, title: str, shifts: Sequence[Shift]) -> None:
        table = Table(title=title, title_justify="left", box=box.SIMPLE)
        table.add_column("")
        table.add_column("Before", justify="right")
        table.add_column("After", justify="right")
        table.add_column("")
        for shift in shifts:
            table.add_row(escape_text(shift.name), percent(shift.before), percent(shift.after), _bar(shift.after))
        self.console.print(table)

    def _headroom(self, rooms: Sequence[Headroom]) -> None:
        table = Table(title="Headroom after the plan", title_justify="left", box=box.SIMPLE)
        table.add_column("Limit", no_wrap=True)
        for name in ("Used", "Bound", "Left"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Where")
        for room in rooms:
            amounts = [usd(n) if room.unit == "dollars" else plain(n) for n in (room.used, room.bound, room.left)]
            table.add_row(room.key.partition(".")[2], *amounts, escape_text(room.about))
        self.console.print(table)


def _bar(share: Decimal) -> str:
    return "█" * max(0, min(BAR, int(share * BAR)))


def register(app: typer.Typer) -> None:
    """Add `plan` and `approve`."""
    app.command("plan", help=plan.__doc__)(plan)
    app.command("approve", help=approve.__doc__)(approve)
