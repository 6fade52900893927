"""Events to come: kept in the exchange's file, and run in the order of time beside the orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.exchange.market_events import MarketEvent
from Departments.exchange.records import ExchangeRefusal
from Departments.exchange.state import ExchangeState
from Departments.exchange.storage import ExchangeFile

log = make_logger(__name__)


def plan_events(storage: ExchangeFile, state: ExchangeState, now: datetime) -> None:
    """Store the seed's orders of strangers and its events, inside the caller's transaction."""
    for order in state.orders:
        plan_event(storage, MarketEvent(do="place_order", order=order), now)
    for event in state.events:
        plan_event(storage, event, event.at or now)


def plan_event(storage: ExchangeFile, event: MarketEvent, due_at: datetime) -> None:
    """Store an event for a moment."""
    storage.execute("INSERT INTO events (due_at, event) VALUES (?, ?)", (due_at, event.model_dump_json()))


class Schedule:
    """Moves orders and events from one moment to a later one, in the order of time."""

    def __init__(
        self,
        storage: ExchangeFile,
        advance_orders: Callable[[datetime], None],
        occur: Callable[[MarketEvent, datetime], str],
    ) -> None:
        self._storage = storage
        self._advance_orders = advance_orders
        self._occur = occur

    def advance(self, now: datetime) -> None:
        """Run everything due by `now`. A clock set back changes nothing."""
        while (row := self._next(now)) is not None:
            at = datetime.fromisoformat(row[1])
            self._advance_orders(at)
            with self._storage.transaction():
                self._storage.execute("DELETE FROM events WHERE seq = ?", (row[0],))
                self._run(MarketEvent.model_validate_json(row[2]), at)
        self._advance_orders(now)

    def _run(self, event: MarketEvent, at: datetime) -> None:
        try:
            self._occur(event, at)
        except (ExchangeRefusal, BadInput) as error:
            log.warning("The simulated exchange cannot %s as planned: %s", event.do.replace("_", " "), error)

    def _next(self, now: datetime) -> tuple[int, str, str] | None:
        row = self._storage.row("SELECT seq, due_at, event FROM events WHERE due_at <= ? ORDER BY due_at, seq", (now,))
        return None if row is None else (row[0], row[1], row[2])
