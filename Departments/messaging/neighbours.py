"""Payloads of other departments and programs. Unknown keys are kept.

Lists of candidates, holdings and picks are read entry by entry: a bad entry becomes an `UnusableEntry` among the
others. A payload that is wrong as a whole is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from Departments.core.money import ONE, ZERO, decimal_of
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.readers import (
    Day,
    MaybeText,
    Number,
    Positive,
    Price,
    Reading,
    Symbol,
    read_number,
    read_positive,
    read_price,
    spell_symbol,
)
from Departments.messaging.entries import BriefingRow, EntryReader, UnusableEntry, entries_of, leave_out_nulls
from Departments.messaging.message import Message
from Departments.messaging.payloads import Payload

HIGHEST_SCORE = Decimal(100)
PRICES = AliasChoices("current_price", "price", "entry_price")


class NeighbourPayload(Payload):
    """The JSON of a message with writers outside the desk."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the message's JSON. One NaN among many numbers is the fault of its entry alone."""
        return message.foreign_payload


@dataclass(frozen=True, slots=True)
class NoReading:
    """A market reading without a number, with its value as written."""

    value: Any


# --- how values are read ---


def _score(value: Any) -> Decimal:
    score = read_number(value)
    if not ZERO <= score <= HIGHEST_SCORE:
        raise ValueError(f"{score} is not between 0 and 100; give a score")
    return score


def _weight(value: Any) -> Decimal:
    weight = read_positive(value)
    if weight > ONE:
        raise ValueError(f"{weight} is more than 1, the whole of equity; give a share of it")
    return weight


def _sector(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value} is not the name of a sector; write a text such as Healthcare")
    sector = (value or "").strip()
    return None if not sector or sector.lower() == UNKNOWN_SECTOR.lower() else sys.intern(sector)


def add_sector(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the sector of the fundamentals to a row without its own."""
    if row.get("sector"):
        return row
    fundamental = row.get("fundamental")
    return {**row, "sector": fundamental.get("sector") if isinstance(fundamental, Mapping) else None}


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false; write true or false")  # noqa: TRY004
    return value


def _reading(value: Any) -> Decimal | NoReading:
    try:
        return decimal_of(value)
    except ValueError:
        return NoReading(value)


def _pair(value: Any) -> frozenset[str]:
    pair = frozenset(map(spell_symbol, str(value).split("|")))
    if len(pair) != 2 or "" in pair:
        raise ValueError("does not name two symbols; write them like ALKS|SN")
    return pair


def _coefficient(value: Any) -> Decimal:
    number = read_number(value)
    if abs(number) > ONE:
        raise ValueError(f"{number} is not between -1 and 1; give a coefficient")
    return number


def _section(mend: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value and not isinstance(value, Mapping | BaseModel):
            raise ValueError(f"is not a mapping; write {mend}")
        return value or {}

    return read


def _keep_sentiment(value: Any) -> Any:
    return leave_out_nulls(value) if isinstance(value, Mapping) else value if isinstance(value, Sentiment) else None


def prepare_candidate(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a candidate's row without nulls, with the sector of its fundamentals."""
    return leave_out_nulls(add_sector(row))


Score = Annotated[Decimal | None, BeforeValidator(_score)]
Sector = Annotated[MaybeText, BeforeValidator(_sector)]
Seen = Annotated[Decimal | SkipJsonSchema[NoReading] | None, BeforeValidator(_reading)]
Pair = Annotated[frozenset[str], BeforeValidator(_pair), WithJsonSchema({"type": "string"})]
Coefficient = Annotated[Decimal, BeforeValidator(_coefficient)]


# --- the briefing ---


@dataclass(frozen=True, slots=True)
class Sentiment:
    """What the news say of a symbol. Only other tools read it."""

    score: Annotated[Reading, Field(description="0 to 100", examples=[61])] = None
    summary: Annotated[MaybeText, Field(description="a sentence")] = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A symbol worth considering. None is unknown."""

    symbol: Symbol
    score: Annotated[
        Score,
        Field(validation_alias=AliasChoices("composite_score", "score"), description="0 to 100", examples=[73.6]),
    ] = None
    price: Annotated[Price, Field(validation_alias=PRICES, description="dollars a share", examples=[33.01])] = None
    sector: Annotated[Sector, Field(description="sector, else that of `fundamental`", examples=["Healthcare"])] = None
    shares: Annotated[Positive, Field(description="proposed size: shares")] = None
    value: Annotated[Positive, Field(alias="allocated_capital", description="or dollars")] = None
    weight: Annotated[Decimal | None, BeforeValidator(_weight), Field(description="or share of equity, to 1")] = None
    average_volume: Annotated[Positive, Field(description="shares a day")] = None
    market_cap: Annotated[Positive, Field(description="dollars")] = None
    earnings_on: Annotated[Day, Field(alias="earnings_date", description="the day of the earnings report")] = None
    sentiment: Annotated[Sentiment | None, BeforeValidator(_keep_sentiment), Field(description="of the news")] = None

    @property
    def has_size(self) -> bool:
        """Return True if a size is proposed."""
        return not (self.shares is None and self.value is None and self.weight is None)

    def value_at(self, price: Decimal, equity: Decimal) -> Decimal:
        """Return the proposed dollars, 0 for none. Shares count before dollars, dollars before a weight."""
        if self.shares is not None:
            return self.shares * price
        return self.value if self.value is not None else (self.weight or ZERO) * equity


class Holding(BriefingRow):
    """A held symbol in the briefing. The number of shares comes from the broker."""

    symbol: Symbol
    score: Score = Field(
        None,
        validation_alias=AliasChoices("research_composite_score", "composite_score", "score"),
        description="0 to 100",
        examples=[78],
    )
    price: Price = Field(None, validation_alias=PRICES, description="dollars a share", examples=[57.4])
    sector: Sector = Field(None, description="sector, else that of `fundamental`", examples=["Utilities"])
    must_sell: Annotated[bool, BeforeValidator(_truth)] = Field(
        default=False, alias="mandatory_sell", description="true, or action SELL: sell it"
    )
    sell_reason: str = Field("", description="the reason to sell it")
    sentiment: Annotated[Sentiment | None, BeforeValidator(_keep_sentiment)] = Field(None, description="of the news")

    @model_validator(mode="before")
    @classmethod
    def _read_flags(cls, row: Any) -> Any:
        """Read the two ways to flag a holding."""
        if not isinstance(row, Mapping) or "must_sell" in row:
            return row
        flag = row.get("mandatory_sell", False)
        if not isinstance(flag, bool):
            return add_sector(row)  # refused by its own key
        is_sold = flag or str(row.get("action") or "").strip().upper() == "SELL"
        reason = str(row.get("sell_reason") or row.get("reason") or "flagged in the briefing") if is_sold else ""
        return {**add_sector(row), "mandatory_sell": is_sold, "sell_reason": reason}


class BriefedConditions(BriefingRow):
    """The market as a whole. Changes are percent: 1.15 is +1.15 %."""

    spy_change_pct: Number = Field(None, description="SPY's change of the day, percent", examples=[1.15])
    spy_drawdown_pct: Number = Field(None, description="S&P 500 below its high, percent", examples=[0.4])
    vix: Number = Field(None, description="VIX, as quoted", examples=[18.04])
    vix_change_pct: Number = Field(None, description="the VIX's change of the day, percent", examples=[-3.9])
    day: Day = Field(None, alias="date", description="the trading day", examples=["2025-11-10"])

    @field_validator("vix")
    @classmethod
    def _check_level(cls, vix: Decimal | None) -> Decimal | None:
        if vix is not None and vix <= 0:
            raise ValueError(f"{vix} is not positive; give a positive number")
        return vix


CANDIDATES: Final = EntryReader(Candidate, ("score", "shares", "value", "weight"), prepare_candidate)
HOLDINGS: Final = EntryReader(Holding)


class DailyBriefing(NeighbourPayload):
    """The day's candidates, holdings and market conditions. One bad entry of a list is set aside alone."""

    market_conditions: Annotated[BriefedConditions, BeforeValidator(_section("{spy_change_pct, vix, date}"))] = Field(
        default_factory=BriefedConditions, description="the market as a whole"
    )
    candidates: Annotated[
        tuple[Candidate | SkipJsonSchema[UnusableEntry], ...],
        BeforeValidator(entries_of(CANDIDATES)),
    ] = Field((), description="symbols to buy, each with a score or a size")
    current_holdings: Annotated[
        tuple[Holding | SkipJsonSchema[UnusableEntry], ...], BeforeValidator(entries_of(HOLDINGS))
    ] = Field((), description="held symbols")
    correlations: Annotated[dict[Pair, Coefficient], BeforeValidator(_section('{"ALKS|SN": 0.81}'))] = Field(
        default_factory=dict, description="of pairs of symbols, -1 to 1", examples=[{"ALKS|SN": 0.81}]
    )

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the message's JSON with its candidates and holdings read one by one: there may be thousands."""
        return message.read_rows(
            {
                "candidates": lambda row, index: CANDIDATES.read(row, f"candidates[{index}]"),
                "current_holdings": lambda row, index: HOLDINGS.read(row, f"current_holdings[{index}]"),
            }
        )

    @classmethod
    def skim(cls, message: Message) -> Self:
        """Read a briefing without its rows. Raises as `of` does: no row makes a briefing unusable."""
        return cls.read(message.payload_without("candidates", "current_holdings"), message.message_id)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, row: Any) -> Any:
        """Read `candidates: null` as no list: only an empty list says that there is nothing to buy."""
        if isinstance(row, Mapping) and row.get("candidates", ()) is None:
            return {key: value for key, value in row.items() if key != "candidates"}
        return row


class SeenConditions(BriefingRow):
    """The market conditions of a briefing, wrong values included."""

    spy_change_pct: Seen = Field(None, description="SPY's change of the day, percent", examples=[1.15])
    vix: Seen = Field(None, description="VIX, as quoted", examples=[18.04])
    vix_change_pct: Seen = Field(None, description="the VIX's change of the day, percent", examples=[-3.9])
    spy_drawdown_pct: Seen = Field(None, description="S&P 500 below its high, percent", examples=[0.4])
    day: Any = Field(None, alias="date", description="the trading day", examples=["2025-11-10"])

    @field_validator("vix")
    @classmethod
    def _check_level(cls, vix: Decimal | NoReading | None) -> Decimal | NoReading | None:
        return NoReading(vix) if isinstance(vix, Decimal) and vix <= 0 else vix


class MarketBriefing(NeighbourPayload):
    """A DailyBriefing as Regime reads it: only the conditions, wrong numbers as unknown."""

    market_conditions: SeenConditions | None = Field(None, description="the market as a whole")

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the message's JSON without its candidates and holdings."""
        return message.payload_without("candidates", "current_holdings")

    @field_validator("market_conditions", mode="before")
    @classmethod
    def _keep_mapping(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | SeenConditions) else None


class PricedRow(BriefingRow):
    """A symbol and its price, for the account of a past day."""

    symbol: Symbol
    price: Annotated[Decimal, BeforeValidator(read_price)] = Field(alias="current_price", description="dollars a share")
    quantity: Reading = Field(None, description="shares")
    cost_basis: Reading = Field(None, description="dollars paid")


class PricedBriefing(NeighbourPayload):
    """A DailyBriefing as a replay reads it: only rows with a price. Operations reports the others."""

    market_conditions: SeenConditions | None = Field(None, description="the market as a whole")
    candidates: tuple[PricedRow, ...] = Field((), description="symbols to buy")
    current_holdings: tuple[PricedRow, ...] = Field((), description="held symbols")

    @field_validator("market_conditions", mode="before")
    @classmethod
    def _keep_mapping(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else None

    @field_validator("candidates", "current_holdings", mode="before")
    @classmethod
    def _keep_priced_rows(cls, rows: Any) -> Any:
        read = EntryReader(PricedRow).read
        found = (read(row, "") for row in (rows if isinstance(rows, list) else ()))
        return tuple(row for row in found if isinstance(row, PricedRow))


# --- for the neighbours only ---


class RiskAssessment(NeighbourPayload):
    """RISK's view of candidates. The limits decide here."""

    assessment_date: MaybeText = Field(None, description="the day", examples=["2025-11-10"])
    approved_candidates: Any = Field(None, description="ticker, position_size_shares, stop_loss, …", examples=[[]])
    rejected_candidates: Any = Field(None, description="ticker, …", examples=[[]])


class TradeOrder(NeighbourPayload):
    """An order wished by PORTFOLIO. Only an ExecutiveApproval leads to an order."""

    symbol: MaybeText = Field(None, alias="ticker", description="symbol", examples=["ALKS"])
    order_type: MaybeText = Field(None, description="BUY or SELL", examples=["BUY"])
    shares: Number = Field(None, description="shares", examples=[56])


class CandidateRequest(NeighbourPayload):
    """PORTFOLIO asks RESEARCH for candidates."""

    request_type: MaybeText = Field(None, description="CANDIDATE_REQUEST", examples=["CANDIDATE_REQUEST"])
    deployment_status: Any = Field(None, description="the deployed share of equity, and its target", examples=[{}])
    criteria: Any = Field(None, description="criteria for candidates", examples=[{}])
