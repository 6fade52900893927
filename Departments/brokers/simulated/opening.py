"""Opening the exchange's file: seeded once from a state, and from then on as it stands."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from Departments.brokers.simulated.book import Book, Holding
from Departments.brokers.simulated.state import ExchangeState
from Departments.brokers.simulated.storage import Storage
from Departments.core.clock import iso, parse_iso
from Departments.core.errors import BadInput
from Departments.core.steps import Step


def opened(
    path: Path, now: datetime, state: ExchangeState | None, step: Step
) -> tuple[Storage, ExchangeState, datetime]:
    """Return the file, the state that it was seeded with and the moment of that. Raises BadInput."""
    if state is None and not path.exists():
        raise BadInput(
            path,
            "",
            "the simulated exchange has no state yet",
            "seed it with --exchange-state FILE (cash, positions, prices), or set broker.name: alpaca in the settings",
        )
    storage = Storage(path, step=step)
    with storage.transaction():
        if storage.is_new:
            _seed(storage, state, now)
    return storage, ExchangeState.model_validate_json(storage.meta("state")), parse_iso(storage.meta("started_at"))


def _seed(storage: Storage, state: ExchangeState | None, now: datetime) -> None:
    if state is None:
        raise BadInput(storage.path, "", "holds no exchange", "seed it with --exchange-state FILE")
    storage.create()
    storage.set_meta("state", state.model_dump_json())
    storage.set_meta("started_at", iso(now))
    storage.set_meta("cash", state.cash)
    book = Book(storage)
    for symbol, held in state.positions.items():
        book.set_holding(Holding(symbol, held.qty, held.avg_entry_price))
    for symbol, asset in state.assets.items():
        if asset.halted:
            book.halt(symbol, None)
