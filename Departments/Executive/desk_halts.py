"""A person halts the desk: the same for the command line and the page."""

from __future__ import annotations

from dataclasses import dataclass

from Departments.core.halts import Halt
from Departments.core.money import plain
from Departments.core.orders import Purpose
from Departments.Executive.reporting.announcer import Announcer
from Departments.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class BegunHalt:
    """A new halt, the one before it, and the orders already at the broker."""

    halt: Halt
    before: Halt | None
    still_open: tuple[str, ...]

    @property
    def effects(self) -> list[str]:
        """Return what it replaces and what it leaves, as sentences for people."""
        replaced = [] if self.before is None else [f"It takes the place of: {self.before.sentence}."]
        left = f"Open at the broker, and not cancelled by this: {', '.join(self.still_open)}."
        return [*replaced, *([left] if self.still_open else [])]


def begin_halt(ledger: Ledger, announcer: Announcer, wanted: Halt) -> BegunHalt:
    """Begin a halt, and tell people of it."""
    before = ledger.halts.begin(wanted)
    opened = (order for order in ledger.orders.find_open() if order.purpose is Purpose.TRADE)
    left = tuple(f"{o.side} {plain(o.qty)} {o.symbol}" for o in opened if wanted.stops(o.side))
    announcer.tell_issues(ledger)
    return BegunHalt(wanted, before, left)
