"""What Trading works with; `bootstrap` fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from Departments.brokers.base import Broker
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
