"""The choices of a command that looks: it makes no ledger and no exchange where there is none."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from Departments.bootstrap import Choices, open_desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.rehearsal import rehearse
from Departments.core.platform.places import locate


def look_only(workspace: Path, choices: Choices, stack: ExitStack) -> Choices:
    """Return choices for a look. Without a ledger or an account, copies show what a run would find.

    The copies are removed with `stack`. Raises BadInput.
    """
    choices = look_at_own_time(workspace, choices)
    desk = open_desk(workspace, choices)
    file = desk.broker_row.file
    is_used = desk.ledger_path.exists() and (file is None or (desk.state_dir / file).exists())
    desk.close()
    if is_used:
        return choices
    return replace(choices, rehearsal=stack.enter_context(rehearse(locate(workspace), choices.clock.now())))
