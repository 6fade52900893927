"""An order by hand: what a person asks for on the command line, read and checked before anything is planned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self

from Departments.core.errors import BadInput
from Departments.core.moments import iso
from Departments.core.money import plain
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.readers import SYMBOL, spell_symbol

_SHARES: Final = re.compile(r"[0-9]{1,12}\Z")
_FORM: Final = "write departments order SELL MSFT 10"
LONGEST_REASON: Final = 200  # characters; it stands in tables


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """One trade on a person's request: whole shares, more than none. Its price is the market's."""

    trade: Trade

    @classmethod
    def read(cls, side: str, symbol: str, shares: str, reason: str = "") -> Self:
        """Read the words of the command. Raises BadInput."""
        if side not in Side.__members__:
            mend = f"write {side.upper()}" if side.upper() in Side.__members__ else _FORM
            raise BadInput("order", "", f"{side!r} is neither BUY nor SELL", mend)
        if not SYMBOL.match(symbol.upper()):
            raise BadInput("order", "", f"{symbol!r} is not a symbol", "name it like UPS or BRK.B")
        if not _SHARES.match(shares):
            raise BadInput("order", "", f"{shares!r} is no whole number of shares", "write 1 or more in digits")
        if int(shares) == 0:
            raise BadInput("order", "", "0 shares cannot be traded", "write 1 or more")
        return cls(Trade(spell_symbol(symbol), Side[side], Decimal(shares), None, reason=_read_reason(reason)))

    def __str__(self) -> str:
        return f"{self.trade.side} {plain(self.trade.qty)} {self.trade.symbol}"

    def is_in(self, plan: TradingPlan) -> bool:
        """Return whether a plan is this order and nothing else."""
        return [(t.side, t.symbol, t.qty) for t in plan.trades] == [
            (self.trade.side, self.trade.symbol, self.trade.qty)
        ]

    def document(self, plan_id: str, now: datetime) -> dict[str, Any]:
        """Return the plan document of this one trade."""
        trade = self.trade
        said = f"by hand: {trade.reason}" if trade.reason else "by hand"
        line = {"ticker": trade.symbol, "action": str(trade.side), "shares": trade.qty, "reason": said}
        return {"plan_id": plan_id, "generated_at": iso(now), "trades": [line], "notes": [said]}


def _read_reason(text: str) -> str:
    reason = text.strip()
    if not reason.isprintable():
        raise BadInput("--reason", "", "has characters that cannot be shown", "write one line of plain text")
    if len(reason) > LONGEST_REASON:
        problem = f"has {len(reason)} characters"
        raise BadInput("--reason", "", problem, f"write {LONGEST_REASON} at most")
    return reason
