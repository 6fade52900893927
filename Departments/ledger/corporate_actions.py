"""Splits and renames in the ledger: open exits, the newest stop and the unprotected shares follow the shares held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.core.money import ZERO, on_tick, whole_shares
from Departments.core.orders import Purpose
from Departments.ledger.database import Database
from Departments.ledger.old_positions import OldPositions
from Departments.ledger.order_records import OPEN, ORDERS, WITH_STOP, FillRow, OrderRecord
from Departments.ledger.tables import Table, marks
from Departments.ledger.unprotected import ChangeCause, UnprotectedRecords


@dataclass(frozen=True, slots=True)
class AssetRow:
    """The broker's id of a symbol's last asset. It stays when the symbol changes."""

    symbol: str
    asset_id: str


ASSETS: Final = Table("desk_assets", AssetRow, rules=("PRIMARY KEY (symbol)",))
_OPEN_EXITS: Final = f"symbol = ? AND purpose = '{Purpose.EXIT}' AND {OPEN}"
_NEWEST_STOP: Final = f"id = (SELECT max(id) FROM desk_orders WHERE symbol = ? AND {WITH_STOP})"  # noqa: S608 - our own names


class CorporateActions:
    """Brings the orders in the ledger up to splits and renames. Every method joins the caller's transaction."""

    def __init__(self, database: Database, unprotected: UnprotectedRecords, positions: OldPositions) -> None:
        self._db = database
        self._unprotected = unprotected
        self._positions = positions

    def learn_assets(self, ids: Mapping[str, str]) -> None:
        """Remember the asset of each symbol; an empty id says nothing."""
        known = self.find_assets()
        for symbol, asset_id in sorted(ids.items()):
            if asset_id and known.get(symbol) != asset_id:
                ASSETS.replace(self._db, AssetRow(symbol, asset_id), "symbol")

    def find_assets(self) -> dict[str, str]:
        """Return the known asset ids by symbol."""
        return {row.symbol: row.asset_id for row in ASSETS.find(self._db, "1 = 1")}

    def rename(self, symbol: str, new: str, at: datetime) -> None:
        """Move the open exits and the unprotected shares of a symbol to its new one; the past keeps the old one."""
        ORDERS.update(self._db, {"symbol": new}, _OPEN_EXITS, symbol)
        self._unprotected.rename(symbol, new, at)
        self._positions.rename(symbol, new, at)

    def split(self, symbol: str, ratio: Decimal, at: datetime, later: Sequence[FillRow] = ()) -> None:
        """Multiply the unsold shares of a symbol by `ratio` (new ones for each old one), and divide its exits' prices.

        `later` are sales after the split. Exits are for whole shares: fractions of several make a whole unprotected
        one, and so does what an old exit has left.
        """
        sold_later: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
        for fill in later:
            sold_later[fill.order_id] += fill.qty
        unprotected = self._unprotected.find(symbol).qty
        before, accounted = unprotected, ZERO
        groups: defaultdict[str, list[OrderRecord]] = defaultdict(list)
        for record in ORDERS.find(self._db, _OPEN_EXITS, symbol):
            groups[record.parent_id or record.client_order_id].append(record)
        for root, exits in groups.items():
            twins = ORDERS.find(self._db, "(client_order_id = ? OR parent_id = ?) AND purpose = 'exit'", root, root)
            sold = sum((twin.filled_qty for twin in twins), ZERO)
            since = sum((sold_later.pop(twin.id, ZERO) for twin in twins), ZERO)
            covered = max(ZERO, max(record.qty for record in exits) - sold + since)
            left = max(ZERO, whole_shares(covered * ratio) - since)
            for record in exits:
                self._rewrite(record, sold + left, ratio)
            before, accounted = before + covered, accounted + since + left
        for record in ORDERS.find(self._db, f"id IN ({marks(sold_later)}) AND purpose = 'exit'", *map(str, sold_later)):
            since = sold_later[record.id]
            before, accounted = before + min(since, record.qty), accounted + since
        newest = ORDERS.first(self._db, _NEWEST_STOP, symbol)
        if newest is not None and not any(newest.id == record.id for exits in groups.values() for record in exits):
            self._rewrite(newest, newest.qty, ratio)
        self._unprotected.split(symbol, ratio, at)
        left = max(ZERO, whole_shares(before * ratio) - accounted)
        self._unprotected.adopt(symbol, left - whole_shares(unprotected * ratio), at, ChangeCause.SPLIT)
        self._positions.split(symbol, ratio, at)

    def _rewrite(self, record: OrderRecord, qty: Decimal, ratio: Decimal) -> None:
        prices = {"limit_price": _divide(record.limit_price, ratio), "stop_price": _divide(record.stop_price, ratio)}
        changes = {"qty": qty, **prices}
        ORDERS.update(self._db, changes, "id = ?", record.id)


def _divide(price: Decimal | None, ratio: Decimal) -> Decimal | None:
    return None if price is None else on_tick(price / ratio)
