"""`departments veto`, `comment` and `reject`: what a person says about a plan besides approving it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from Departments.bootstrap import Choices
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, BrokerOption, Workspace
from Departments.core.approvers import ApprovalPlace, Approver
from Departments.core.errors import BadInput
from Departments.core.platform.users import name_user
from Departments.core.readers import read_symbol
from Departments.core.safe_text import make_safe
from Departments.Executive.reporting.terminal import show_plan, show_review

VETO_HELP = """Take one order out of a plan; the rest is reviewed again and shown. Approvals given before count no more.

The symbol is `skipped: VETOED_BY` in the plan, with who and the comment.
"""
PlanId = Annotated[str, typer.Argument(help="The plan, for example PLAN_20251110_071530.")]
Comment = Annotated[str, typer.Option("--comment", help="Why, for whoever looks next.", metavar="TEXT")]


def veto(
    plan_id: PlanId,
    symbol: Annotated[str, typer.Argument(help="The symbol of the order.")],
    workspace: Workspace = Path(),
    comment: Comment = "",
    broker: BrokerOption = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Take an order out of a plan."""
    try:
        name = read_symbol(symbol)
    except ValueError as error:
        raise BadInput("SYMBOL", "", *str(error).split("; ", 1)) from error
    choices = look_at_own_time(workspace, Choices(clock=make_clock(at), broker=broker))
    with work_at_desk(workspace, "veto", choices) as desk:
        made = desk.opinions.veto(plan_id, name, _by_command(), comment)
    if as_json:
        print_json({"plan": made.filed.document, "review": made.review.document(), **made.outlook.document()})
    else:
        screen = open_console()
        show_plan(screen, made.filed.plan)
        show_review(screen, made.review.document())
        screen.print(f"Approve it with: departments approve {make_safe(plan_id)}", highlight=False, markup=False)
    return 0


def say_about(
    plan_id: PlanId,
    text: Annotated[str, typer.Argument(help="The comment.")],
    workspace: Workspace = Path(),
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Say something about a plan; it is in its page and report."""
    return _record("comment", workspace, plan_id, text, at, as_json=as_json)


def reject(
    plan_id: PlanId,
    workspace: Workspace = Path(),
    comment: Comment = "",
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Reject a plan: nobody can approve or execute it any more. `departments run` makes another one."""
    return _record("reject", workspace, plan_id, comment, at, as_json=as_json)


def _by_command() -> Approver:
    return Approver(name_user(), ApprovalPlace.COMMAND)


def _record(command: str, workspace: Path, plan_id: str, words: str, at: str | None, *, as_json: bool) -> int:
    """Record a comment or a rejection, and print it."""
    with work_at_desk(workspace, command, look_at_own_time(workspace, Choices(clock=make_clock(at)))) as desk:
        record = desk.opinions.reject if command == "reject" else desk.opinions.comment
        opinion = record(plan_id, _by_command(), words)
    if as_json:
        print_json({"plan_id": plan_id, "sentence": opinion.sentence})
    else:
        open_console().print(f"{make_safe(opinion.sentence)}.", markup=False, highlight=False, soft_wrap=True)
    return 0


def register(app: typer.Typer) -> None:
    """Add `veto`, `comment` and `reject`."""
    app.command("veto", help=VETO_HELP)(veto)
    app.command("comment", help=say_about.__doc__)(say_about)
    app.command("reject", help=reject.__doc__)(reject)
