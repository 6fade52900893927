"""Payloads of other departments and programs. Unknown keys are kept.

Lists of candidates, holdings and picks are read entry by entry: a bad entry becomes an `UnusableEntry` among the
others. A payload that is wrong as a whole is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from Departments.core.errors import BadInput
from Departments.core.money import BEYOND_REASON, ONE, ZERO, decimal_of, price_of
from Departments.core.plans import SYMBOL
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.validation import validate
from Departments.messaging.payloads import MaybeText, Number, Payload, Reading, positive

HIGHEST_SCORE = Decimal(100)
PRICES = AliasChoices("current_price", "price", "entry_price")


class NeighbourPayload(Payload):
    """The JSON of a message with writers outside the desk."""

    model_config = ConfigDict(extra="allow")


class BriefingRow(BaseModel):
    """One row of a list, or one section. Other keys are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", validate_by_alias=True, validate_by_name=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, row: Any) -> Any:
        return {key: value for key, value in row.items() if value is not None} if isinstance(row, Mapping) else row


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """A row with a bad key: the key, its problem and its value.

    `name` is its symbol, or else its place in the list.
    """

    name: str
    key: str
    problem: str
    value: Any


@dataclass(frozen=True, slots=True)
class NoReading:
    """A market reading without a number, with its value as written."""

    value: Any


# --- how values are read ---


def _symbol(value: Any) -> str:
    symbol = value.strip().upper() if isinstance(value, str) else ""
    if not SYMBOL.match(symbol):
        raise ValueError(("is missing" if value == "" else "is not a symbol") + "; name the symbol")
    return symbol


def _number(value: Any) -> Decimal:
    try:
        number = decimal_of(value)
    except ValueError as error:
        raise ValueError("is not a number") from error
    if abs(number) > BEYOND_REASON:
        raise ValueError("is beyond reason")
    return number


def _positive(value: Any) -> Decimal:
    number = _number(value)
    if number <= 0:
        raise ValueError("is not positive")
    return number


def _price(value: Any) -> Decimal:
    price = price_of(_positive(value))
    if price <= 0:
        raise ValueError("is not positive")
    return price


def _score(value: Any) -> Decimal:
    score = _number(value)
    if not ZERO <= score <= HIGHEST_SCORE:
        raise ValueError("is not between 0 and 100")
    return score


def _weight(value: Any) -> Decimal:
    weight = _positive(value)
    if weight > ONE:
        raise ValueError("is more than 1, the whole of equity")
    return weight


def _day(value: Any) -> date | None:
    if isinstance(value, date) or not value:
        return value or None
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError("is not a date; write it as 2025-11-10") from error


def _sector(value: Any) -> str | None:
    sector = str(value or "").strip()
    return None if not sector or sector.lower() == UNKNOWN_SECTOR.lower() else sector


def _add_sector(row: Any) -> Any:
    """Add the sector of the fundamentals to a row without its own."""
    if not isinstance(row, Mapping) or row.get("sector"):
        return row
    fundamental = row.get("fundamental")
    return {**row, "sector": fundamental.get("sector") if isinstance(fundamental, Mapping) else None}


def _condition(value: Any) -> Decimal:
    try:
        return _number(value)
    except ValueError as error:
        raise ValueError(f"{error}; give a number or leave it out") from error


def _reading(value: Any) -> Decimal | NoReading:
    try:
        return decimal_of(value)
    except ValueError:
        return NoReading(value)


def _pair(value: Any) -> frozenset[str]:
    pair = frozenset(part.strip().upper() for part in str(value).split("|"))
    if len(pair) != 2 or "" in pair:
        raise ValueError("does not name two symbols; write them like ALKS|SN")
    return pair


def _coefficient(value: Any) -> Decimal:
    mend = "give a coefficient from -1 to 1"
    try:
        number = decimal_of(value)
    except ValueError as error:
        raise ValueError(f"is not a number; {mend}") from error
    if abs(number) > ONE:
        raise ValueError(f"{number} is not between -1 and 1; {mend}")
    return number


def _section(mend: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value and not isinstance(value, Mapping | BaseModel):
            raise ValueError(f"is not a mapping; write {mend}")
        return value or {}

    return read


def _mappings(value: Any) -> Any:
    rows = value or ()
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping | BaseModel) for row in rows):
        raise ValueError("is not a list of mappings; write [{ticker, …}]")
    return rows


Row = TypeVar("Row", bound=BriefingRow)


def _entries(model: type[Row], *needed: str) -> Callable[[Any, ValidationInfo], tuple[Row | UnusableEntry, ...]]:
    """Make a reader of a list, entry by entry. An entry needs one of the fields in `needed`."""

    def read(rows: Any, info: ValidationInfo) -> tuple[Row | UnusableEntry, ...]:
        if rows and not isinstance(rows, list | tuple):
            raise ValueError("is not a list; list the entries")
        places = (f"{info.field_name}[{index}]" for index in range(len(rows or ())))
        return tuple(read_entry(model, row, place, needed) for row, place in zip(rows or (), places, strict=True))

    return read


def read_entry(model: type[Row], row: Any, place: str, needed: tuple[str, ...] = ()) -> Row | UnusableEntry:
    """Read one row of a list. `place` is its name if it has no symbol."""
    if isinstance(row, model):
        return row
    if not isinstance(row, Mapping):
        return UnusableEntry(place, "entry", "is not a mapping", row)
    name = " ".join(str(row.get("ticker") or "").split())[:20] or place
    try:
        found = model.model_validate(row, by_alias=True, by_name=False)
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][-1])
        is_missing = fault["type"] == "missing"
        problem = "is missing" if is_missing else str(fault["msg"]).removeprefix("Value error, ").partition("; ")[0]
        return UnusableEntry(name, key, problem, row.get(key))
    if needed and all(getattr(found, field) is None for field in needed):
        return UnusableEntry(name, "composite_score", "is missing", None)
    return found


Symbol = Annotated[str, BeforeValidator(_symbol), Field(alias="ticker", description="symbol", examples=["ALKS"])]
Price = Annotated[Decimal | None, BeforeValidator(_price)]
Score = Annotated[Decimal | None, BeforeValidator(_score)]
Positive = Annotated[Decimal | None, BeforeValidator(_positive)]
Sector = Annotated[MaybeText, BeforeValidator(_sector)]
Day = Annotated[date | None, BeforeValidator(_day)]
Condition = Annotated[Decimal | None, BeforeValidator(_condition)]
Seen = Annotated[Decimal | SkipJsonSchema[NoReading] | None, BeforeValidator(_reading)]
Pair = Annotated[frozenset[str], BeforeValidator(_pair), WithJsonSchema({"type": "string"})]
Coefficient = Annotated[Decimal, BeforeValidator(_coefficient)]


# --- the briefing ---


class Candidate(BriefingRow):
    """A symbol worth considering. None is unknown."""

    symbol: Symbol
    score: Score = Field(
        None, validation_alias=AliasChoices("composite_score", "score"), description="0 to 100", examples=[73.6]
    )
    price: Price = Field(None, validation_alias=PRICES, description="dollars a share", examples=[33.01])
    sector: Sector = Field(None, description="sector, else that of `fundamental`", examples=["Healthcare"])
    shares: Positive = Field(None, description="proposed size: shares")
    value: Positive = Field(None, alias="allocated_capital", description="or dollars")
    weight: Annotated[Decimal | None, BeforeValidator(_weight)] = Field(None, description="or share of equity, to 1")
    average_volume: Positive = Field(None, description="shares a day")
    market_cap: Positive = Field(None, description="dollars")
    earnings_on: Day = Field(None, alias="earnings_date", description="the day of the earnings report")

    @property
    def has_size(self) -> bool:
        """Return True if a size is proposed."""
        return not (self.shares is None and self.value is None and self.weight is None)

    def value_at(self, price: Decimal, equity: Decimal) -> Decimal:
        """Return the proposed dollars, 0 for none. Shares count before dollars, dollars before a weight."""
        if self.shares is not None:
            return self.shares * price
        return self.value if self.value is not None else (self.weight or ZERO) * equity

    @model_validator(mode="before")
    @classmethod
    def _find_sector(cls, row: Any) -> Any:
        return _add_sector(row)


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
    must_sell: bool = Field(default=False, alias="mandatory_sell", description="true, or action SELL: sell it")
    sell_reason: str = Field("", description="the reason to sell it")

    @model_validator(mode="before")
    @classmethod
    def _read_flags(cls, row: Any) -> Any:
        """Read the two ways to flag a holding."""
        if not isinstance(row, Mapping) or "must_sell" in row:
            return row
        is_sold = row.get("mandatory_sell") is True or str(row.get("action") or "").strip().upper() == "SELL"
        reason = str(row.get("sell_reason") or row.get("reason") or "flagged in the briefing") if is_sold else ""
        return {**_add_sector(row), "mandatory_sell": is_sold, "sell_reason": reason}


class BriefedConditions(BriefingRow):
    """The market as a whole. Changes are percent: 1.15 is +1.15 %."""

    spy_change_pct: Condition = Field(None, description="SPY's change of the day, percent", examples=[1.15])
    spy_drawdown_pct: Condition = Field(None, description="S&P 500 below its high, percent", examples=[0.4])
    vix: Condition = Field(None, description="VIX, as quoted", examples=[18.04])
    vix_change_pct: Condition = Field(None, description="the VIX's change of the day, percent", examples=[-3.9])
    day: Day = Field(None, alias="date", description="the trading day", examples=["2025-11-10"])

    @field_validator("vix")
    @classmethod
    def _check_level(cls, vix: Decimal | None) -> Decimal | None:
        if vix is not None and vix <= 0:
            raise ValueError("is not positive; give the level or leave it out")
        return vix


class DailyBriefing(NeighbourPayload):
    """The day's candidates, holdings and market conditions. One bad entry of a list is set aside alone."""

    market_conditions: Annotated[BriefedConditions, BeforeValidator(_section("{spy_change_pct, vix, date}"))] = Field(
        default_factory=BriefedConditions, description="the market as a whole"
    )
    candidates: Annotated[
        tuple[Candidate | SkipJsonSchema[UnusableEntry], ...],
        BeforeValidator(_entries(Candidate, "score", "shares", "value", "weight")),
    ] = Field((), description="symbols to buy, each with a score or a size")
    current_holdings: Annotated[
        tuple[Holding | SkipJsonSchema[UnusableEntry], ...], BeforeValidator(_entries(Holding))
    ] = Field((), description="held symbols")
    correlations: Annotated[dict[Pair, Coefficient], BeforeValidator(_section('{"ALKS|SN": 0.81}'))] = Field(
        default_factory=dict, description="of pairs of symbols, -1 to 1", examples=[{"ALKS|SN": 0.81}]
    )


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

    @field_validator("market_conditions", mode="before")
    @classmethod
    def _keep_mapping(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | SeenConditions) else None


class PricedRow(BriefingRow):
    """A symbol and its price, for the account of a past day."""

    symbol: Symbol
    price: Annotated[Decimal, BeforeValidator(_price)] = Field(alias="current_price", description="dollars a share")
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
        found = (read_entry(PricedRow, row, "") for row in (rows if isinstance(rows, list) else ()))
        return tuple(row for row in found if isinstance(row, PricedRow))


# --- the proposal ---


class MandatorySell(BriefingRow):
    """A holding to sell."""

    symbol: Symbol
    qty: Annotated[Decimal | None, BeforeValidator(positive)] = Field(
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


def read_sells(rows: Any, source: str) -> tuple[MandatorySell, ...]:
    """Read `[{ticker, action, shares, reason, source}]`. Raises BadInput naming source and key."""
    return tuple(_read_sell(row, source, f"[{index}]") for index, row in enumerate(rows))


def _read_sell(row: Any, source: str, place: str) -> MandatorySell:
    if not isinstance(row, Mapping):
        raise BadInput(source, place, "is not a mapping", "write {ticker, shares, reason}")
    return validate(MandatorySell, row, source, place=place)


class PlanProposal(NeighbourPayload):
    """Picks, sizes and sales of an optimiser. Operations alone decides the sizes."""

    picks: Annotated[tuple[Candidate | SkipJsonSchema[UnusableEntry], ...], BeforeValidator(_entries(Candidate))] = (
        Field((), description="symbols to buy, with a size or without")
    )
    sells: Annotated[tuple[MandatorySell, ...], BeforeValidator(_mappings)] = Field((), description="holdings to sell")
    trades: Annotated[tuple[Mapping[str, Any], ...], BeforeValidator(_mappings)] = Field(
        (), description="trades of a plan document, in place of both"
    )


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
