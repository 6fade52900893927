"""What Trading works with; `bootstrap` fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from Departments.brokers.base import Broker
from Departments.brokers.snapshot import ExchangeHours, FactsReader
from Departments.constraints.checks import days_to_settle
from Departments.constraints.limits import Limits
from Departments.core.clock import Clock
from Departments.core.settings import Settings
from Departments.ledger.ledger import Ledger
from Departments.messaging.bus import Bus


@dataclass(frozen=True, slots=True)
class TradingParts:
    """Trading's tools."""

    broker: Broker
    bus: Bus
    ledger: Ledger
    limits: Limits
    clock: Clock
    settings: Settings
    hours: ExchangeHours

    @property
    def reader(self) -> FactsReader:
        """What reads facts for Trading."""
        return FactsReader(self.broker, self.ledger, self.hours, self.clock, days_to_settle(self.limits))
