"""`departments messages audit`: compare the message files with the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from Departments.bootstrap import LEDGER_FILE
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import find_messages, print_json
from Departments.commands.messages import index_of
from Departments.commands.options import AsJson, Workspace
from Departments.core.departments import OURS
from Departments.core.errors import BadInput
from Departments.core.moments import parse_iso
from Departments.core.money import count_noun
from Departments.core.platform.places import find_state, locate
from Departments.core.trading_calendar import trading_day
from Departments.messaging import auditing
from Departments.messaging.auditing import Audit, Expected, Slot, count_kinds
from Departments.messaging.ports import IndexRow
from Departments.messaging.tracing import Link, family


def audit(
    which: Annotated[str | None, typer.Argument(metavar="DAY|PLAN_ID", help="2025-11-10, or a plan's id.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Compare every message file with the ledger; list what was altered, lost or added.

    With `--json`: `{files, outside, altered, lost, added}`, each a list of `{file, name, day, plan_id, reason}`. The
    exit code is 1 if there is any.
    """
    root, ledger = find_messages(workspace), find_state(locate(workspace)) / LEDGER_FILE
    if not ledger.exists():
        raise BadInput(ledger, "", "there is no ledger to compare with", "name another --workspace")
    index = index_of(workspace)
    found = _limit(auditing.audit(root, _expect(ledger, index)), which, index)
    if as_json:
        print_json(_document(found))
    else:
        _show(found)
    return int(bool(found.differences))


def _expect(ledger: Path, index: Sequence[IndexRow]) -> Iterator[Expected]:
    from Departments.ledger.journal import read_committed  # noqa: PLC0415 - only this command needs the ledger

    names: dict[str, list[str]] = {}
    for row in index:
        names.setdefault(row[1], []).append(row[0])
    for what, department, name, digest, moment in read_committed(ledger):
        day = trading_day(parse_iso(moment))
        if what == "sent":
            yield Expected(Slot.SENT, department, name, digest, day)
        elif what == "received":
            yield Expected(Slot.RECEIVED, department, name, digest, day, may_be_gone=department not in OURS)
        elif what == "handled":
            for each in names.get(name, [f"{name}.md"]):
                yield Expected(Slot.RECEIVED, department, each, digest, day)
        else:
            gone = what == "removed"
            yield Expected(Slot.RECEIVED, department, name, digest, day, may_be_gone=gone, is_dead=True)


def _limit(found: Audit, which: str | None, index: Sequence[IndexRow]) -> Audit:
    """Return the part of a day or a plan. Raises BadInput if nothing is of it: 0 differences would reassure."""
    if which is None:
        return found
    try:
        part = found.limit(date.fromisoformat(which), None, frozenset())
    except ValueError:
        ids = family({row[1]: Link(row[2], row[3]) for row in index}, which)
        part = found.limit(None, which, frozenset(row[0] for row in index if row[1] in ids))
    if not part.compared and not part.differences:
        mend = "name a day such as 2025-11-10, or a plan's id"
        raise BadInput("messages audit", which, "0 files compared: no message is of this day or plan", mend)
    return part


def _document(found: Audit) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {kind: [] for kind in (auditing.ALTERED, auditing.LOST, auditing.ADDED)}
    for each in found.differences:
        day = None if each.day is None else each.day.isoformat()
        entry = {"file": each.place, "name": each.name, "day": day, "plan_id": each.plan_id, "reason": each.sentence}
        lists[each.kind].append(entry)
    return {"files": found.files, "outside": found.outside, **lists}


def _show(found: Audit) -> None:
    screen = open_console()
    words = ", ".join(f"{number} {kind}" for kind, number in count_kinds(found.differences))
    others = f"{count_noun(found.outside, 'file')} of neighbours not compared"
    compared = f"{count_noun(found.files, 'file')} compared with the ledger"
    screen.print(f"{compared}: {words}; {others}.", soft_wrap=True)
    for each in found.differences:
        screen.print(f"{each.kind}: {escape_text(each.place)} {escape_text(each.sentence)}", soft_wrap=True)
