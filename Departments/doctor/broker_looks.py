"""What the doctor asks the broker: keys, account, gates, clock, prices, rows. It sends no order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from Departments.bootstrap import Desk
from Departments.brokers.registry import find_access
from Departments.brokers.snapshot import measure_offset
from Departments.constraints.case import Circumstances
from Departments.constraints.checks.timing import check_account
from Departments.core.facts import DeskFacts
from Departments.core.money import usd_cents
from Departments.core.platform.clock import SystemClock
from Departments.core.reasons import Reason
from Departments.doctor.diagnoses import Diagnosis, Look, ok, trouble, warning

INDEX: Final = "SPY"


def describe_broker(desk: Desk) -> Iterator[Diagnosis]:
    """Name the broker without asking it."""
    yield ok("broker", f"The broker is {desk.broker_row.title}; `departments doctor` asks it.")


def look_at_credentials(desk: Desk) -> Iterator[Diagnosis]:
    """Say whose keys are there; no character of them is shown."""
    access = find_access(desk.workspace)
    if access.kind == "none":
        yield ok("credentials", f"No keys are set; the broker is {desk.broker_row.title}.")
    elif access.kind == "live":
        yield warning("credentials", f"The keys in {access.source} are of an account with REAL money (keys not shown).")
    else:
        yield ok("credentials", f"The keys in {access.source} are of a paper account (keys not shown).")


def look_at_account(desk: Desk) -> Iterator[Diagnosis]:
    """Ask for the account, its gates and its rows."""
    account = desk.broker.account()
    money = f"equity {usd_cents(account.equity)}, cash {usd_cents(account.cash)}"
    yield ok("broker", f"{desk.broker_row.title} answers: {money}.")
    facts = DeskFacts(desk.clock.now(), account, desk.read_hours())
    blocked = check_account(Circumstances(facts, desk.limits, "dispatch"))
    if isinstance(blocked, Reason):
        yield trouble("gates", f"{blocked.sentence[:1].upper()}{blocked.sentence[1:]}; ask the broker.")
    else:
        yield ok("gates", f"The account may trade (status {account.status}).")
    for row in desk.broker.positions().unreadable:
        name = row.symbol or row.id or "without a name"
        yield warning("rows", f"The position {name} cannot be read ({row.problem}); look at it at the broker.")


def look_at_clock(desk: Desk) -> Iterator[Diagnosis]:
    """Compare the machine's clock with the broker's."""
    if not isinstance(desk.clock, SystemClock) or desk.broker_row.takes_simulated_clock:
        return
    asked_at, theirs = desk.clock.now(), desk.broker.market_clock()
    ahead = measure_offset(theirs, asked_at, desk.clock.now()).total_seconds()
    if ahead:
        side = "behind" if ahead > 0 else "ahead of"
        yield warning("clock", f"The machine's clock is {abs(ahead):.0f} s {side} the broker's; set it.")
    else:
        yield ok("clock", "The machine's clock agrees with the broker's.")


def look_at_feed(desk: Desk) -> Iterator[Diagnosis]:
    """Ask for one price."""
    if desk.broker_row.takes_exchange_files:
        yield ok("feed", "The simulated exchange makes its own prices.")
        return
    quote, feed = desk.broker.quotes([INDEX]).get(INDEX), f"(feed {desk.settings.broker.feed})"
    if quote is None:
        yield warning("feed", f"The broker has no price of {INDEX} {feed}; look at the subscription.")
    else:
        yield ok("feed", f"{INDEX} has a price of {usd_cents(quote.price)} {feed}.")


LOOKS: Final[tuple[Look, ...]] = (look_at_credentials, look_at_account, look_at_clock, look_at_feed)
