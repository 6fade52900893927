"""The payloads of those who propose: a PlanProposal, and the mandatory sells of a caller.

A proposal moves money, so it is read strictly: a misspelt key or a size that cannot be refuses it as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from Departments.core.errors import BadInput
from Departments.core.readers import MaybeText, Symbol, or_none, read_day, read_moment, read_positive
from Departments.core.trading_calendar import EASTERN
from Departments.core.validation import validate
from Departments.messaging.entries import BriefingRow, EntryReader, UnusableEntry, entries_of
from Departments.messaging.neighbours import Candidate, NeighbourPayload, prepare_candidate

Mode = Literal["exact", "hint"]
DATE_ONLY: Final = 10  # characters of a date without a time


def _mappings(value: Any) -> Any:
    rows = value or ()
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping | BaseModel) for row in rows):
        raise ValueError("is not a list of mappings; write [{ticker, …}]")
    return rows


def _mode(value: Any) -> str:
    mode = str(value or "").strip().lower()
    if mode not in {"exact", "hint"}:
        raise ValueError(f"{str(value)[:40]!r} is neither exact nor hint; write one of them")
    return mode


def _end(value: Any) -> datetime:
    """Read the last moment of a proposal: a time, or a day of the exchange as a whole."""
    text = str(value).strip()
    day = read_day(text) if len(text) <= DATE_ONLY else None
    if day is None:
        return read_moment(text)
    return datetime.combine(day + timedelta(days=1), time.min, EASTERN) - timedelta(microseconds=1)


class MandatorySell(BriefingRow):
    """A holding to sell."""

    symbol: Symbol
    qty: Annotated[Decimal | None, BeforeValidator(read_positive)] = Field(
        None, alias="shares", description="shares; all of it without", examples=[70]
    )
    reason: MaybeText = Field(None, description="why", examples=["drift"])
    source: MaybeText = Field(None, description="who asks for it", examples=["rebalancing"])
    action: MaybeText = Field(None, description="SELL, or nothing")

    @field_validator("action")
    @classmethod
    def _check_action(cls, action: str | None) -> str | None:
        if action is not None and action.strip().upper() != "SELL":
            raise ValueError(f"{action.strip().upper()!r} cannot be a mandatory sell; write SELL")
        return action


class ProposedSell(MandatorySell):
    """A sale of a proposal."""

    model_config = ConfigDict(extra="forbid")


#: What else a candidate of a briefing may carry: a pick may be a copy of one.
CARRIED: Final = frozenset({"fundamental", "technical", "sentiment"})


@dataclass(frozen=True, slots=True)
class ProposedPick(Candidate):
    """A pick of a proposal: a candidate, perhaps with a size."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    reason: Annotated[MaybeText, Field(description="why", examples=["momentum"])] = None


def _prepare_pick(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in prepare_candidate(row).items() if key not in CARRIED}


def read_sells(rows: Any, source: str) -> tuple[MandatorySell, ...]:
    """Read `[{ticker, action, shares, reason, source}]`. Raises BadInput naming source and key."""
    return tuple(_read_sell(row, source, f"[{index}]") for index, row in enumerate(rows))


def _read_sell(row: Any, source: str, place: str) -> MandatorySell:
    if not isinstance(row, Mapping):
        raise BadInput(source, place, "is not a mapping", "write {ticker, shares, reason}")
    return validate(MandatorySell, row, source, place=place)


class PlanProposal(NeighbourPayload):
    """Picks, sizes and sales of an optimiser: hints to Operations, or exactly what it may buy and sell."""

    model_config = ConfigDict(extra="forbid")

    mode: Annotated[Mode, BeforeValidator(_mode)] = Field(
        "hint",
        description="exact: these symbols and sizes and nothing else, limits only cut; hint: they come first",
        examples=["exact"],
    )
    valid_until: Annotated[datetime | None, BeforeValidator(or_none(_end))] = Field(
        None,
        description="the last moment or day it holds, at most 31 days later; its own day without",
        examples=["2025-11-12"],
    )
    reason: MaybeText = Field(None, description="why")
    picks: Annotated[
        tuple[ProposedPick | SkipJsonSchema[UnusableEntry], ...],
        BeforeValidator(entries_of(EntryReader(ProposedPick, prepare=_prepare_pick))),
    ] = Field((), description="symbols to buy; in an exact proposal each with one size")
    sells: Annotated[tuple[ProposedSell, ...], BeforeValidator(_mappings)] = Field((), description="holdings to sell")
    trades: Annotated[tuple[Mapping[str, Any], ...], BeforeValidator(_mappings)] = Field(
        (), description="trades of a plan document, in place of both"
    )
