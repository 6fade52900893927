"""`departments resume` and `departments reconcile`: the first steps of `run`, on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import check_moving_on, look_at_own_time
from Departments.commands.consoles import escape_text
from Departments.commands.frame import document_failures, print_json, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.live_view import follow_on_terminal
from Departments.commands.log_files import LogFile, keep_log
from Departments.commands.options import (
    AsJson,
    At,
    BrokerOption,
    ExchangeFaults,
    Quiet,
    Verbose,
    Workspace,
    choose_level,
)
from Departments.commands.run import show_document, write_page
from Departments.core.errors import BadInput
from Departments.core.moments import iso, show_day
from Departments.core.money import count_noun, plain
from Departments.core.readers import spell_symbol
from Departments.Executive.overview.holdings import count_unprotected
from Departments.Executive.remainder import FOLLOW
from Departments.Executive.reporting.document import unexecuted_document
from Departments.Executive.reporting.issues import describe_lock
from Departments.Executive.reporting.since_last import SinceLast, since_last_report
from Departments.ledger.releases import WHOLE_DESK, Lock
from Departments.Trading.comparison import ComparedOrder


def resume(  # noqa: PLR0913 - one parameter for each option
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    exchange_faults: ExchangeFaults = None,
    log_file: LogFile = None,
    *,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> int:
    """Finish an interrupted execution, if there is one."""
    keep_log(log_file, workspace)
    choices = Choices(clock=make_clock(at), broker=broker, exchange_faults=exchange_faults)
    level = choose_level(quiet=quiet, verbose=verbose)
    with document_failures(), work_at_desk(workspace, "resume", choices, level) as desk:
        check_moving_on(desk)
        with desk.announcer.telling_failures(), follow_on_terminal(desk, wanted=not quiet) as observe:
            resumed = replace(desk.day, observe=observe).resume()
        document = _describe_loose_ends(desk.day.chase()) if resumed is None else resumed.document
        if resumed is None:
            document = desk.reporter.add_issues(document)
        if as_json:
            print_json(document)
        else:
            show_document(Console(), desk, document)
        write_page(None if as_json else Console(), desk, document)
        desk.announcer.tell_end(document)
        return int(document["exit_code"])


def _describe_loose_ends(still_open: list[str]) -> dict[str, Any]:
    """Return the document of a resume without an interrupted execution. Open orders need a person."""
    nothing = "no execution was interrupted here"
    if not still_open:
        return unexecuted_document("NOTHING_TO_RESUME", None, nothing)
    return unexecuted_document("NOTHING_TO_RESUME", None, f"{nothing}, but {'; '.join(still_open)}: {FOLLOW}") | {
        "exit_code": 1
    }


def reconcile(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    accept: Annotated[
        str | None, typer.Option(help="Take over what the account has of this symbol (or CASH), and unlock it.")
    ] = None,
    *,
    accept_all: Annotated[
        bool, typer.Option("--accept-all", help="Take over every difference and free every lock.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every compared order too.")] = False,
    as_json: AsJson = False,
) -> int:
    """Compare the ledger with the account: orders, shares and cash. Send nothing.

    Exit code 1 if something differs, is locked, or has no live exits. A simulated exchange that nobody has used for
    more than 7 days is looked at as of its own last moment, unless --at names another.
    """
    choices = Choices(clock=make_clock(at), broker=broker)
    with document_failures(), work_at_desk(workspace, "reconcile", look_at_own_time(workspace, choices)) as desk:
        done = _accept(desk, None if accept_all else accept) if accept_all or accept is not None else []
        return show_comparison(desk, as_json=as_json, everything=everything, accepted=done)


def show_comparison(
    desk: Desk, *, as_json: bool, everything: bool = False, accepted: Sequence[str] = (), **more: str | None
) -> int:
    """Compare ledger and account, show the findings and return the exit code. `more` keys go into the document."""
    found = Findings.read(desk, desk.trader.reconcile(), accepted)
    if as_json:
        print_json({**more, **found.document()})
    else:
        _show(Console(), found, everything=everything)
    return int(found.needs_a_person)


def _accept(desk: Desk, symbol: str | None) -> list[str]:
    """Accept a symbol, or everything. Raises BadInput if there is nothing to accept."""
    wanted = None if symbol is None else spell_symbol(symbol)
    done = desk.trader.accept(wanted)
    if done or wanted is None:
        return done
    mend = "name a locked symbol from `departments reconcile`"
    raise BadInput("--accept", "", f"{wanted} is not locked and does not differ", mend)


@dataclass(frozen=True, slots=True)
class Findings:
    """A reconciliation for people: what was accepted, every compared order, changes, locks, unprotected shares."""

    accepted: Sequence[str]
    rows: Sequence[ComparedOrder]
    changes: SinceLast
    locks: Sequence[Lock]
    held: int
    unprotected: Mapping[str, Decimal]

    @classmethod
    def read(cls, desk: Desk, rows: Sequence[ComparedOrder], accepted: Sequence[str]) -> Findings:
        """Read the rest beside the compared orders."""
        broker, ledger = desk.patient_broker, desk.ledger
        positions = broker.positions()
        return cls(
            accepted,
            rows,
            since_last_report(ledger, None, broker.account().cash),
            ledger.releases.locks(),
            len(positions),
            count_unprotected(ledger, positions, exits_wanted=desk.settings.exits.enabled),
        )

    def document(self) -> dict[str, Any]:
        """Return them for programs."""
        return {
            "orders": [self._describe(row) for row in self.rows],
            "accepted": list(self.accepted),
            "locks": [{"ticker": k.symbol, "since": iso(k.locked_at), "reason": k.reason} for k in self.locks],
            "unprotected": [{"ticker": symbol, "qty": plain(qty)} for symbol, qty in self._bare()],
            "since_last": self.changes.document(),
        }

    def _bare(self) -> list[tuple[str, Decimal]]:
        return sorted(self.unprotected.items())

    def _describe(self, row: ComparedOrder) -> dict[str, str | bool]:
        return {
            "ticker": row.symbol,
            "client_order_id": row.client_order_id,
            "finding": str(row.finding),
            "reason": row.sentence,
            "locked": self.is_locked(row),
        }

    def is_locked(self, row: ComparedOrder) -> bool:
        """Return whether a disputed order locks its symbol."""
        return row.is_disputed and row.symbol in {lock.symbol for lock in self.locks}

    @property
    def needs_a_person(self) -> bool:
        """Return whether something is locked, unexplained or unprotected."""
        return bool(self.locks or self.changes.differences or self.unprotected)

    def summary(self) -> str:
        """Return the one sentence about the account."""
        protected = "all protected" if not self.unprotected else f"{len(self.unprotected)} not fully protected"
        changes, start = len(self.changes.sentences()), self.changes.start
        since = "the ledger took them as its opening balance"
        if start is not None:
            since = f"{count_noun(changes, 'thing')} changed since {show_day(start.at)}"
        locked = f"; {count_noun(len(self.locks), 'lock')}" if self.locks else ""
        return f"{count_noun(self.held, 'position')}, {protected}; {since}{locked}."

    def sentences(self) -> list[str]:
        """Return a sentence for every change, difference, lock and unprotected symbol."""
        mend = "the next `departments run` protects them"
        bare = (f"{name}: {count_noun(qty, 'share', 'have')} no live exits; {mend}" for name, qty in self._bare())
        changes = self.changes.sentences()
        locks = (_describe(lock) for lock in self.locks if lock.reason not in changes)
        return [*changes, *dict.fromkeys((*locks, *bare))]


def _describe(lock: Lock) -> str:
    known = describe_lock(lock.symbol, lock.reason)
    name = "The desk" if lock.symbol == WHOLE_DESK else lock.symbol
    return f"{name} is locked: {known['reason']}; {known['mend']}"


def _show(console: Console, found: Findings, *, everything: bool) -> None:
    for line in (*found.accepted, found.summary(), *(f"- {sentence}" for sentence in found.sentences())):
        console.print(escape_text(line), highlight=False, soft_wrap=True)
    if not everything:
        return
    table = Table("Ticker", "Finding", "Comparison", box=box.SIMPLE)
    for row in found.rows:
        colour = "red" if found.is_locked(row) else "green"
        table.add_row(escape_text(row.symbol), f"[{colour}]{row.finding}[/{colour}]", escape_text(row.sentence))
    console.print(table if found.rows else "No order is open.")


def register(app: typer.Typer) -> None:
    """Add `resume` and `reconcile`."""
    app.command("resume", help=resume.__doc__)(resume)
    app.command("reconcile", help=reconcile.__doc__)(reconcile)
