"""`departments halt` and `departments unhalt`: a person stops the desk's BUYs and SELLs, and lets them go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from Departments.bootstrap import Choices
from Departments.commands.consoles import open_console
from Departments.commands.frame import print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, Workspace
from Departments.core.errors import BadInput
from Departments.core.halts import UNHALT, Halt, HaltScope, read_reason
from Departments.core.moments import iso
from Departments.core.platform.users import name_user
from Departments.core.safe_text import make_safe
from Departments.Executive.desk_halts import begin_halt

HALT_HELP = """Stop BUYs and SELLs, or with `--buys` BUYs alone, until `departments unhalt`.

It holds from the next order on, in running commands too, and survives restarts. Exits are given, restored and renewed
as before, and open orders stay at the broker: cancel them there. A second halt takes the place of the first.
"""
UNHALT_HELP = """End the halt. What it deferred today is sent by the next `departments run`."""


def halt(
    workspace: Workspace = Path(),
    at: At = None,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks next.", metavar="TEXT")] = None,
    buys: Annotated[bool, typer.Option("--buys", help="Stop BUYs only; SELLs go on.")] = False,
    as_json: AsJson = False,
) -> int:
    """Halt the desk."""
    words = _check_reason(reason)
    with work_at_desk(workspace, "halt", Choices(clock=make_clock(at))) as desk:
        scope = HaltScope.BUYS if buys else HaltScope.ALL
        wanted = Halt(scope, words, name_user(), desk.clock.now())
        begun = begin_halt(desk.ledger, desk.announcer, wanted)
    sentences = [f"{wanted.sentence}.", f"{UNHALT[0].upper()}{UNHALT[1:]}.", *begun.effects]
    return _show(_describe(wanted) | {"open_orders": list(begun.still_open)}, sentences, as_json=as_json)


def unhalt(workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """End the halt."""
    with work_at_desk(workspace, "unhalt", Choices(clock=make_clock(at))) as desk:
        ended = desk.ledger.halts.end(name_user(), desk.clock.now())
    if ended is None:
        return _show({"halt": None}, ["Nothing is halted."], as_json=as_json)
    sentences = [f"Ended: {ended.sentence}.", "`departments run` sends what it deferred today, if it still may."]
    return _show(_describe(ended), sentences, as_json=as_json)


def _check_reason(text: str | None) -> str:
    try:
        return read_reason(text)
    except ValueError as error:
        raise BadInput("--reason", "", *str(error).split("; ", 1)) from error


def _describe(found: Halt) -> dict[str, Any]:
    return {
        "halt": {
            "scope": str(found.scope),
            "reason": found.reason,
            "halted_by": found.halted_by,
            "since": iso(found.halted_at),
            "sentence": found.sentence,
        }
    }


def _show(document: dict[str, Any], sentences: list[str], *, as_json: bool) -> int:
    if as_json:
        print_json(document)
        return 0
    for sentence in sentences:
        open_console().print(make_safe(sentence), markup=False, highlight=False, soft_wrap=True)
    return 0


def register(app: typer.Typer) -> None:
    """Add `halt` and `unhalt`."""
    app.command("halt", help=HALT_HELP)(halt)
    app.command("unhalt", help=UNHALT_HELP)(unhalt)
