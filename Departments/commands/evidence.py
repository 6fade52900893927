"""`departments messages audit`: compare the message files with the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from Departments.core.trading_calendar import trading_day
from Departments.messaging import auditing
from Departments.messaging.auditing import RECEIVED, SENT, Audit, Expected
from Departments.messaging.ports import IndexRow
from Departments.messaging.tracing import Link, family

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the digest of what has no bytes


def audit(
    which: Annotated[str | None, typer.Argument(metavar="[DAY|PLAN_ID]", help="2025-11-10, or a plan's id.")] = None,
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Compare every message file with what the ledger committed; list what was altered, lost or added.

    With `--json`: `{files, outside, altered, lost, added}`, each a list of `{file, name, day, plan_id, reason}`. The
    exit code is 1 if there is any.
    """
    root, ledger = find_messages(workspace), workspace.resolve() / LEDGER_FILE
    if not ledger.exists():
        raise BadInput(ledger, "", "there is no ledger to compare with", "name another --workspace")
    found = _limit(auditing.audit(root, _expect(ledger, index_of(workspace))), which, index_of(workspace))
    found = replace(found, differences=[each._replace(place=_shorten(each.place, root)) for each in found.differences])
    if as_json:
        print_json(_document(found))
    else:
        _show(found)
    return int(bool(found.differences))


def _expect(ledger: Path, index: Sequence[IndexRow]) -> Iterator[Expected]:
    from Departments.ledger.journal import read_committed  # noqa: PLC0415 - only this command needs the ledger

    names = {row[1]: row[0] for row in index}
    for what, department, name, digest, moment in read_committed(ledger):
        day = trading_day(parse_iso(moment))
        if what == "sent":
            yield Expected(SENT, department, name, digest, day)
        elif what == "received":
            yield Expected(RECEIVED, department, name, digest, day, may_be_gone=department not in OURS)
        elif what == "handled":
            yield Expected(RECEIVED, department, names.get(name, f"{name}.md"), digest, day)
        elif digest != NOTHING:
            yield Expected(("Dead_Letter", "Inbox"), department, name, digest, day, may_be_gone=what == "removed")


def _limit(found: Audit, which: str | None, index: Sequence[IndexRow]) -> Audit:
    if which is None:
        return found
    try:
        return found.limit(date.fromisoformat(which), None, frozenset())
    except ValueError:
        links = {row[1]: Link(row[2], row[3]) for row in index}
        ids = family(links, which)
        if not ids and all(each.plan_id != which for each in found.differences):
            mend = "name a day such as 2025-11-10, or a plan's id"
            raise BadInput("messages audit", which, "no message is of this day or plan", mend) from None
        return found.limit(None, which, frozenset(row[0] for row in index if row[1] in ids))


def _document(found: Audit) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {kind: [] for kind in (auditing.ALTERED, auditing.LOST, auditing.ADDED)}
    for each in found.differences:
        day = None if each.day is None else each.day.isoformat()
        entry = {"file": each.place, "name": each.name, "day": day, "plan_id": each.plan_id, "reason": each.sentence}
        lists[each.kind].append(entry)
    return {"files": found.files, "outside": found.outside, **lists}


def _show(found: Audit) -> None:
    screen = open_console()
    counts = Counter(each.kind for each in found.differences)
    words = ", ".join(f"{counts[kind]} {kind}" for kind in (auditing.ALTERED, auditing.LOST, auditing.ADDED))
    others = f"{found.outside} of neighbours are not ours to prove"
    screen.print(f"{found.files} files compared with the ledger: {words}; {others}.", soft_wrap=True)
    for each in found.differences:
        screen.print(f"{each.kind}: {escape_text(each.place)} {escape_text(each.sentence)}", soft_wrap=True)


def _shorten(place: str, root: Path) -> str:
    return place.removeprefix(str(root)).lstrip("/\\")
