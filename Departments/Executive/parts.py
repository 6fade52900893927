"""What the Executive works with; `bootstrap` fills it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import ExchangeHours, FactsReader
from Departments.constraints.checks import days_to_settle
from Departments.constraints.limits import Limits
from Departments.core.clock import Clock
from Departments.core.settings import Settings
from Departments.ledger.ledger import Ledger
from Departments.messaging.bus import Bus


@dataclass(frozen=True, slots=True)
class ExecutiveParts:
    """The CEO's tools.

    `broker` waits out a short silence by itself; `work` lets the other departments of this process read their inboxes;
    `locks` is the folder of the lock that keeps two workspaces from executing on one account.
    """

    project_root: Path
    broker: Broker
    bus: Bus
    ledger: Ledger
    hours: ExchangeHours
    limits: Limits
    clock: Clock
    settings: Settings
    work: Callable[[], None]
    locks: Path

    @property
    def reader(self) -> FactsReader:
        """What reads facts for the Executive."""
        return FactsReader(self.broker, self.ledger, self.hours, self.clock, days_to_settle(self.limits))
