"""`departments watch`: handle messages as they arrive, until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import check_moving_on
from Departments.commands.frame import work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.log_files import LogFile, keep_log
from Departments.commands.options import BrokerOption, ExchangePrices, ExchangeState, Workspace
from Departments.core.departments import EXECUTIVE, TRADING
from Departments.core.documents import json_text
from Departments.core.errors import BadInput
from Departments.core.platform.signals import stop_on_signals
from Departments.messaging.inbound import ConsumeReport
from Departments.messaging.watcher import Watched, Watcher, hear, poll_every


def watch(  # noqa: PLR0913 - one parameter for each option
    departments: Annotated[
        list[str] | None, typer.Argument(metavar="DEPT", help="The inboxes; by default all but the Executive's.")
    ] = None,
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: Annotated[str | None, typer.Option(help="Start the clock at this ISO time.")] = None,
    exchange_state: ExchangeState = None,
    prices: ExchangePrices = None,
    log_file: LogFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line for each pass with an effect.")] = False,
) -> int:
    """Handle messages as they arrive: the backlog first, then every new file, until Ctrl-C.

    The Executive works in `departments run`; name it to watch its inbox too. A second watcher of an inbox waits for
    its turn. With `--json` every line is `{department, handled, skipped, dead_lettered, duplicates, left}`.
    """
    keep_log(log_file, workspace)
    choices = Choices(
        clock=make_clock(at, side_by_side=True), broker=broker, exchange_state=exchange_state, exchange_prices=prices
    )
    return watch_desk(workspace, departments or (), choices, as_json=as_json)


def watch_desk(
    workspace: Path, departments: Sequence[str], choices: Choices | None = None, *, as_json: bool = False
) -> int:
    """Watch inboxes of a workspace and return the exit code.

    Without names it watches all but the Executive's. With Trading among them it first compares ledger and broker.
    """
    with work_at_desk(workspace, "watch", choices) as desk:
        check_moving_on(desk)
        watcher = build_watcher(desk, departments, _print_json_line if as_json else _print_line)
        with stop_on_signals(watcher.stop):
            if TRADING in _list_names(desk, departments):
                desk.recover()
            watcher.run()
    return 0


def build_watcher(desk: Desk, departments: Sequence[str], on_report: Callable[[ConsumeReport], None]) -> Watcher:
    """Build the watcher of a desk. Raises BadInput for another department."""
    settings = desk.settings.messaging
    return Watcher(
        desk.bus,
        desk.mailbox.root,
        [_build_watched(desk, name) for name in _list_names(desk, departments)],
        rescan=settings.rescan_seconds,
        events=poll_every(settings.rescan_seconds) if settings.polling_observer else hear,
        rights=desk.rights,
        notify=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - for the person at the terminal
        on_report=partial(_report, desk, on_report),
    )


def _list_names(desk: Desk, departments: Sequence[str]) -> list[str]:
    names = [name.upper() for name in departments] or [name for name in desk.routers if name != EXECUTIVE]
    for name in names:
        if name not in desk.routers:
            known = ", ".join(desk.routers)
            raise BadInput("watch", name, "this desk has no such department", f"name one of {known}")
    return list(dict.fromkeys(names))


def _build_watched(desk: Desk, name: str) -> Watched:
    router = desk.routers[name]
    return Watched(router, desk.trader.attend) if name == TRADING else Watched(router)


def _print_line(report: ConsumeReport) -> None:
    counts = ((report.handled, "handled"), (report.skipped, "skipped"), (report.duplicates, "seen before"))
    words = [f"{count} {word}" for count, word in (*counts, (report.dead_lettered, "dead letters")) if count]
    print(f"{report.department}: {', '.join(words)}", file=sys.stderr, flush=True)  # noqa: T201


def _report(desk: Desk, show: Callable[[ConsumeReport], None], report: ConsumeReport) -> None:
    """Show what a pass over an inbox did, and tell people of new dead letters."""
    show(report)
    if report.dead_lettered:
        desk.announcer.tell_issues(desk.ledger)


def _print_json_line(report: ConsumeReport) -> None:
    document = {
        "department": report.department,
        "handled": report.handled,
        "skipped": report.skipped,
        "dead_lettered": report.dead_lettered,
        "duplicates": report.duplicates,
        "left": report.left,
    }
    sys.stdout.write(" ".join(json_text(document).split()) + "\n")
    sys.stdout.flush()


def register(app: typer.Typer) -> None:
    """Add `watch`."""
    app.command("watch")(watch)
