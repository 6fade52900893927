"""The trading plan as a value. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.moments import iso
from Departments.core.money import plain
from Departments.core.orders import Side
from Departments.core.reasons import Reason

#: A symbol of the US exchanges, such as UPS, BRK.B or BF-B.
SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9]{0,9}(?:[.\-][A-Z0-9]{1,4})?\Z")
LARGEST: Final = 12  # the largest power of ten in a plan: so shares × price stay exact to the cent


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of a plan. `qty` in whole shares for a BUY, `price` in dollars per share at planning time.

    `score` is the composite score (0 to 100), `target_value` the allocation of its proposal in dollars.
    `stop_price` is the stop of a BUY in dollars per share.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None
    score: Decimal | None = None
    sector: str | None = None
    reason: str = ""
    target_value: Decimal | None = None
    stop_price: Decimal | None = None

    @property
    def notional(self) -> Decimal | None:
        """Return shares × price, None without a price."""
        return None if self.price is None else self.qty * self.price


@dataclass(frozen=True, slots=True)
class SkippedTrade:
    """A skipped symbol and its reason. `line` is the sentence for the log."""

    symbol: str
    reason: Reason
    line: str


@dataclass(frozen=True, slots=True)
class TradingPlan:
    """A plan: SELLs before BUYs, each checked on projected facts at planning time.

    `limits_hash`, `equity` and `cash` are its basis. `notes` are sentences for people, such as the constraint that
    keeps the plan below its deployment target. An order `by_hand` is a plan of one trade beside the day's; the ledger
    alone says that of a plan, no document does.
    """

    plan_id: str
    generated_at: datetime
    trades: tuple[Trade, ...]
    skipped: tuple[SkippedTrade, ...] = ()
    equity: Decimal | None = None
    cash: Decimal | None = None
    deployment: Decimal | None = None
    limits_hash: str = ""
    regime: str = ""
    notes: tuple[str, ...] = ()
    not_evaluated: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    by_hand: bool = False

    @property
    def sells(self) -> tuple[Trade, ...]:
        """Return the SELL trades in plan order."""
        return tuple(t for t in self.trades if t.side is Side.SELL)

    @property
    def buys(self) -> tuple[Trade, ...]:
        """Return the BUY trades in plan order."""
        return tuple(t for t in self.trades if t.side is Side.BUY)

    @property
    def digest(self) -> str:
        """Return a hash of what would be traded, and under which limits: an approval holds for nothing else."""
        parts = [self.plan_id, iso(self.generated_at), self.limits_hash]
        for t in self.trades:
            numbers = ("" if number is None else plain(number) for number in (t.qty, t.price, t.score))
            parts += (t.symbol, str(t.side), *numbers, t.sector or "")
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def skip_documents(skips: Iterable[SkippedTrade]) -> list[dict[str, str]]:
    """Format skips as `{ticker, code, reason}`."""
    return [{"ticker": s.symbol, "code": str(s.reason.code), "reason": str(s.reason)} for s in skips]
