"""The trading plan as a value. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from Departments.core.moments import iso
from Departments.core.money import ZERO, count_noun, plain
from Departments.core.orders import Side
from Departments.core.readers import (
    Action,
    MaybeText,
    Read,
    Symbol,
    Text,
    or_none,
    read_number,
    read_positive,
    read_price,
)
from Departments.core.reasons import Reason

LARGEST: Final = 12  # the largest power of ten in a plan: so shares × price stay exact to the cent
#: The spellings of keys: the first with a value counts.
PRICES: Final = ("entry_price", "price", "current_price")
REASONS: Final = ("reason", "gpt5_reasoning")


def read_in_plan(read: Read[Decimal]) -> Read[Decimal]:
    """Make a reader of numbers that a plan may hold."""

    def read_bounded(value: Any) -> Decimal:
        number = read(value)
        if number.adjusted() > LARGEST:
            raise ValueError("the number is above 10^15; give a number")
        return number

    return read_bounded


Amount = Annotated[Decimal | None, BeforeValidator(or_none(read_in_plan(read_number)))]


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of a plan. `qty` in whole shares for a BUY, `price` in dollars per share at planning time.

    `score` is the composite score (0 to 100), `target_value` the allocation of its proposal in dollars.
    `stop_price` is the stop of a BUY in dollars per share. The fields' aliases are the keys of a plan document.
    """

    symbol: Symbol
    side: Action
    qty: Annotated[
        Decimal,
        BeforeValidator(read_in_plan(read_positive)),
        Field(alias="shares", description="shares", examples=[108]),
    ]
    price: Annotated[
        Decimal | None,
        BeforeValidator(or_none(read_in_plan(read_price))),
        Field(
            validation_alias=AliasChoices(*PRICES),
            description="dollars a share; written as `entry_price` of a BUY, as `current_price` of a SELL",
            examples=[33.01],
        ),
    ] = None
    score: Annotated[Amount, Field(alias="composite_score", description="0 to 100", examples=[73.6])] = None
    sector: Annotated[MaybeText, Field(description="sector, or Unknown", examples=["Healthcare"])] = None
    reason: Annotated[
        Text, Field(validation_alias=AliasChoices(*REASONS), description="why", examples=["score 73.6"])
    ] = ""
    target_value: Annotated[
        Amount,
        Field(
            alias="allocated_capital",
            description="of a BUY: dollars; of a SELL they are written as `current_value`",
            examples=[3565.08],
        ),
    ] = None
    stop_price: SkipJsonSchema[Decimal | None] = None

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

    def turnover(self, equity: Decimal) -> Decimal:
        """Return the smaller of its BUYs and SELLs as a share of `equity` (in dollars); 0 without equity."""
        bought, sold = (sum((t.notional or ZERO for t in side), ZERO) for side in (self.buys, self.sells))
        return min(bought, sold) / equity if equity > 0 else ZERO

    @property
    def has_refused_proposal(self) -> bool:
        """Return True if the day's proposal was refused, so that Operations planned alone."""
        proposal = self.extra.get("proposal")
        return isinstance(proposal, Mapping) and proposal.get("status") == "REFUSED"

    @property
    def symbols(self) -> frozenset[str]:
        """Return the symbols with an order."""
        return frozenset(trade.symbol for trade in self.trades)

    @property
    def digest(self) -> str:
        """Return a hash of the trades and their limits: an approval holds for nothing else."""
        parts = [self.plan_id, iso(self.generated_at), self.limits_hash]
        for t in self.trades:
            numbers = ("" if number is None else plain(number) for number in (t.qty, t.price, t.score))
            parts += (t.symbol, str(t.side), *numbers, t.sector or "")
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def skip_documents(skips: Iterable[SkippedTrade]) -> list[dict[str, str]]:
    """Format skips as `{ticker, code, reason}`."""
    return [{"ticker": s.symbol, "code": str(s.reason.code), "reason": str(s.reason)} for s in skips]


def count_sides(sells: int, buys: int) -> str:
    """Return how many orders of each side there are: `5 SELLs and 9 BUYs`."""
    return f"{count_noun(sells, 'SELL')} and {count_noun(buys, 'BUY')}"
