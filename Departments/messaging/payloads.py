"""Payloads of our own messages: one frozen model a type, for its writer and its readers.

Fields have the desk's names; their aliases are the keys of the message. Quantities are shares, money is dollars, both
Decimal; moments are aware UTC. Keys are written in the order of the fields. Unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from Departments.core.errors import BadInput
from Departments.core.moments import parse_iso
from Departments.core.money import ZERO, decimal_of, plain, price_of
from Departments.core.orders import Side
from Departments.core.regimes import Confidence, Regime, RegimeAssessment, number_or_none
from Departments.core.statuses import AnyStatus, status_of
from Departments.core.validation import key_of, validate
from Departments.messaging.message import Message, body_with

AN_APPROVAL: Final = "MSG_EXECUTIVE_20251110T150912Z_0f1e2d3c"
A_BRIEFING: Final = "MSG_RESEARCH_20251110T150509Z_5b6c7d8e"
A_MOMENT: Final = "2025-11-10T15:09:12.736810Z"
A_PLAN: Final = "PLAN_20251110_071530"
AN_ORDER: Final = "7e57ab1e-0123-4cde-8f01-23456789abcd"


class Payload(BaseModel):
    """The JSON of a message. Empty keys in `LEFT_OUT` are not written."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True, defer_build=True
    )
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def of(cls, message: Message, source: str = "") -> Self:
        """Read the payload of a message. Errors name `source`, or else the message's id.

        Raises BadInput for a missing or wrong payload, UnreadableMessage for anything but a JSON object.
        """
        return cls.read(cls.document_in(message), source or message.message_id)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None, source: str) -> Self:
        """Read a parsed payload; None is a missing one. Raises BadInput naming source, key and mend."""
        needed = [key_of(name, field) for name, field in cls.model_fields.items() if field.is_required()]
        if document is None and needed:
            keys = " and ".join(filter(None, (", ".join(needed[:-1]), needed[-1])))
            raise BadInput(source, "payload", "is missing", f"add a json block with {keys}")
        return validate(cls, document or {}, source, suggest=True)

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the message's JSON to read as this payload."""
        return message.payload

    def document(self) -> dict[str, Any]:
        """Return the payload as JSON: the given keys, in the order of the fields."""
        written = self.model_dump(by_alias=True, exclude_unset=True)
        return {key: value for key, value in written.items() if value or key not in self.LEFT_OUT}

    def body(self, markdown: str) -> str:
        """Return the body of a message: Markdown, then this payload."""
        return body_with(markdown, self.document())


# --- how values are read ---


def _name(value: Any) -> str:
    text = str(value or "").strip()
    if not text:
        raise ValueError("is missing; name it")
    return text


def _capitals(value: Any) -> str:
    symbol = str(value or "").strip().upper()
    if not symbol:
        raise ValueError("is missing; name the symbol")
    return symbol


def _side(value: Any) -> Side:
    action = str(value or "").strip().upper()
    if action not in Side.__members__:
        raise ValueError(f"{action!r} is neither BUY nor SELL; write BUY or SELL")
    return Side[action]


def positive(value: Any) -> Decimal:
    """Read a number above zero. Raises ValueError with its mend."""
    try:
        number = decimal_of(value)
    except ValueError as error:
        raise ValueError(f"{error}; give a positive number") from error
    if number <= 0:
        raise ValueError(f"{plain(number)} is not positive; give a positive number")
    return number


def _price(value: Any) -> Decimal | None:
    return None if value is None else price_of(positive(value))


def _number(value: Any) -> Decimal | None:
    try:
        return None if value is None else decimal_of(value)
    except ValueError as error:
        raise ValueError(f"{error}; give a number") from error


def _moment(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        return parse_iso(str(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an ISO time; write {A_MOMENT}") from error


def _order_type(value: Any) -> str:
    kind = str(value or "MARKET").strip().upper()
    if kind not in {"MARKET", "LIMIT"}:
        raise ValueError(f"{kind.lower()!r} is not known; write MARKET or LIMIT")
    return kind


Price = Annotated[Decimal | None, BeforeValidator(_price)]
Number = Annotated[Decimal | None, BeforeValidator(_number)]
Reading = Annotated[Decimal | None, BeforeValidator(number_or_none)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(lambda value: str(value or ""))]
MaybeText = Annotated[str | None, BeforeValidator(lambda value: str(value) if value else None)]
Documents = tuple[Mapping[str, Any], ...]
Ignored = Annotated[Any, Field(description="of the older system; not used")]

Symbol = Annotated[str, BeforeValidator(_capitals), Field(alias="ticker", description="symbol", examples=["ALKS"])]
Action = Annotated[Side, BeforeValidator(_side), Field(alias="action", description="BUY or SELL", examples=["BUY"])]
Shares = Annotated[
    Decimal, BeforeValidator(positive), Field(alias="shares", description="shares, more than none", examples=[108])
]
PlanId = Annotated[MaybeText, Field(description="the plan", examples=[A_PLAN])]
ApprovalId = Annotated[Name, Field(description="the approval or request it is about", examples=[AN_APPROVAL])]
BrokerId = Annotated[str | None, Field(alias="alpaca_order_id", description="the broker's id", examples=[AN_ORDER])]
BriefingId = Annotated[MaybeText, Field(description="the DailyBriefing; the newest where empty", examples=[A_BRIEFING])]
Code = Annotated[Text, Field(description="reason code, or empty", examples=["PHASE_TIMEOUT"])]
Why = Annotated[Text, Field(description="`CODE: key=value …`, or empty", examples=["PHASE_TIMEOUT: phase=SELL"])]


# --- EXECUTIVE → TRADING ---


class ExecutiveApproval(Payload):
    """One order to send."""

    LEFT_OUT = frozenset({"limit_price"})

    symbol: Symbol
    side: Action
    qty: Shares
    price: Price = Field(None, description="dollars a share when it was planned", examples=[33.01])
    sector: MaybeText = Field(None, description="sector, or Unknown", examples=["Healthcare"])
    order_type: Annotated[Literal["MARKET", "LIMIT"], BeforeValidator(_order_type)] = Field(
        "MARKET", description="MARKET or LIMIT", examples=["MARKET"]
    )
    limit_price: Price = Field(None, description="dollars a share; a LIMIT order needs it", validate_default=True)
    plan_id: PlanId = None
    approved_at: Moment = Field(
        None,
        validation_alias=AliasChoices("approved_at", "approved_timestamp"),
        serialization_alias="approved_at",
        description="when it was approved; the time of the message where it is left out",
        examples=[A_MOMENT],
    )
    approval_status: MaybeText = Field(None, description="of the older system; APPROVED, or it is no approval")
    decision_id: Ignored = None
    proposal_id: Ignored = None
    risk_score: Ignored = None
    expected_value: Ignored = None
    portfolio_impact: Ignored = None
    approved_by: Ignored = None

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the payload with one spelling of `approved_at`, by default the message's time."""
        found = message.payload
        if found is None:
            return None
        spellings = ("approved_at", "approved_timestamp")
        given = next((key for key in spellings if found.get(key)), None)
        rest = {key: value for key, value in found.items() if key not in spellings}
        return rest | ({"approved_at": message.timestamp} if given is None else {given: found[given]})

    @field_validator("limit_price")
    @classmethod
    def _require_limit_price(cls, price: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if info.data.get("order_type") == "LIMIT" and price is None:
            raise ValueError("is missing for a LIMIT order; give the price")
        return price

    @property
    def limit(self) -> Decimal | None:
        """Return the limit in dollars a share. A market order has none, even with a `limit_price`."""
        return self.limit_price if self.order_type == "LIMIT" else None


class SharesRequest(Payload):
    """Change the exits of a symbol."""

    symbol: Symbol
    side: Action
    qty: Shares
    plan_id: PlanId = None


class ReleaseRequest(SharesRequest):
    """Cancel the resting exits of a symbol to free its shares for a sale."""


class ProtectRequest(SharesRequest):
    """Give unprotected shares a stop-loss and a take-profit."""


class CancelRequest(Payload):
    """Cancel the order of an approval, or withdraw the approval while nothing was sent."""

    approval_message_id: ApprovalId
    symbol: Symbol
    side: Action
    qty: Shares
    code: Code = ""
    reason: Why = ""
    plan_id: PlanId = None


# --- TRADING → the others ---


class ExecutionReport(Payload):
    """How an approval or a request ended."""

    approval_message_id: ApprovalId
    plan_id: PlanId = None
    client_order_id: MaybeText = Field(None, description="our id at the broker", examples=[AN_APPROVAL])
    broker_order_id: BrokerId = None
    symbol: Symbol
    side: Action
    qty: Shares
    status: Annotated[AnyStatus, BeforeValidator(lambda value: status_of(_name(value)))] = Field(
        description="the order's status, or released, protected, locked", examples=["filled"]
    )
    filled_qty: Annotated[Decimal, BeforeValidator(lambda value: _number(value or 0))] = Field(
        ZERO, description="shares filled", examples=[108]
    )
    filled_avg_price: Number = Field(None, description="average dollars a share", examples=[33.02])
    submitted_at: Moment = Field(None, description="when the broker had it", examples=[A_MOMENT])
    terminal_at: Moment = Field(None, description="when it ended", examples=[A_MOMENT])
    code: Code = ""
    reason: Why = ""


class SubmissionNote(Payload):
    """An order is at the broker."""

    order_id: MaybeText = Field(description="the broker's id", examples=[AN_ORDER])
    symbol: Symbol
    side: Action
    qty: Shares
    order_type: Name = Field(description="MARKET, LIMIT, STOP or STOP_LIMIT", examples=["MARKET"])
    status: Name = Field(description="SUBMITTED", examples=["SUBMITTED"])
    submitted_at: Moment = Field(description="when the broker had it", examples=[A_MOMENT])
    broker_order_id: BrokerId


class Escalation(Payload):
    """Something needs a person. The text explains it; there is no payload."""

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:  # noqa: ARG003 - it has no payload
        """Return None: only an escalation's text counts."""
        return None


# --- the regime ---


class RegimeRequest(Payload):
    """Assess the market."""

    briefing_message_id: BriefingId = None


class Indicators(Payload):
    """Readings of the market; null is unknown. Changes are percent: 1.15 is +1.15 %."""

    model_config = ConfigDict(extra="allow")

    spy: Reading = Field(None, description="SPY, dollars", examples=[678.22])
    spy_change_pct: Reading = Field(None, description="SPY's change of the day, percent", examples=[1.08])
    vix: Reading = Field(None, description="VIX, as quoted", examples=[18.34])
    vix_change_pct: Reading = Field(None, description="the VIX's change of the day, percent", examples=[-3.88])
    spy_trend_pct: Reading = Field(None, description="SPY against its 20-day mean, percent", examples=[2.1])
    realised_volatility_pct: Reading = Field(None, description="percent a year over 20 days", examples=[12.5])
    spy_drawdown_pct: Reading = Field(None, description="SPY below its highest close, percent", examples=[0.4])


def _sentences(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


class RegimeUpdate(Payload):
    """The regime of the market. The older analyser's texts are read as this, too; unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    assessment_id: MaybeText = Field(None, description="the assessment", examples=["REGIME_20251110_063559_0a1b2c3d"])
    regime: Regime = Field(description="BULLISH, NEUTRAL, BEARISH, PANIC or UNKNOWN", examples=["BULLISH"])
    confidence: Confidence = Field(Confidence.LOW, description="HIGH, MEDIUM or LOW", examples=["HIGH"])
    recommendation: Text = Field("", description="for people", examples=["GOOD DAY TO TRADE"])
    score: Any = Field(None, description="points, null where they are unknown", examples=[4])
    source: Text = Field("", description="where the readings come from", examples=["SPY bars of the broker"])
    indicators: Indicators = Field(default_factory=Indicators, description="the readings")
    notes: tuple[str, ...] = Field((), description="sentences about unknown readings")

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the payload, or else the extra keys of the front matter."""
        return message.payload or message.extra

    @model_validator(mode="before")
    @classmethod
    def _keep_regime(cls, document: Any) -> Any:
        """Take an odd confidence as LOW, with a note: the regime counts all the same."""
        if not isinstance(document, Mapping) or "confidence" not in document:
            return document
        given = document["confidence"]
        word = str(given).strip().upper()
        if word in Confidence.__members__:
            return {**document, "confidence": word}
        note = f"the confidence {str(given)[:40]!r} is not HIGH, MEDIUM or LOW; it is taken as LOW"
        return {**document, "confidence": Confidence.LOW, "notes": (*_sentences(document.get("notes")), note)}

    @field_validator("regime", mode="before")
    @classmethod
    def _capitalise(cls, value: Any) -> Any:
        return str(value).strip().upper() if value else value

    @field_validator("indicators", mode="before")
    @classmethod
    def _keep_mapping(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Indicators) else {}

    @field_validator("notes", mode="before")
    @classmethod
    def _keep_sentences(cls, value: Any) -> Any:
        return _sentences(value)

    @classmethod
    def from_assessment(cls, assessment: RegimeAssessment) -> Self:
        """Return an assessment as a payload."""
        return cls(
            assessment_id=assessment.assessment_id,
            regime=assessment.regime,
            confidence=assessment.confidence,
            recommendation=assessment.recommendation,
            score=assessment.score,
            source=assessment.source,
            indicators=Indicators(**assessment.indicators),
            notes=assessment.notes,
        )

    def assessment(self, assessed_at: datetime, source: str) -> RegimeAssessment:
        """Return the assessment as a value. `source` is the default for its own."""
        seen = self.indicators
        return RegimeAssessment(
            regime=self.regime,
            confidence=self.confidence,
            recommendation=self.recommendation,
            assessed_at=assessed_at,
            source=self.source or source,
            spy=seen.spy,
            spy_change_pct=seen.spy_change_pct,
            vix=seen.vix,
            vix_change_pct=seen.vix_change_pct,
            score=self.score if isinstance(self.score, int) else None,
            spy_trend_pct=seen.spy_trend_pct,
            realised_volatility_pct=seen.realised_volatility_pct,
            spy_drawdown_pct=seen.spy_drawdown_pct,
            notes=self.notes,
        )


# --- the plan ---


class PlanRequest(Payload):
    """Make a plan, or check a given one. Every error is answered by a PlanFailure."""

    LEFT_OUT = frozenset({"briefing_message_id", "mandatory_sells", "plan"})

    briefing_message_id: BriefingId = None
    mandatory_sells: Any = Field(
        None,
        description="holdings to sell: ticker, shares (all without it), reason, source",
        examples=[[{"ticker": "DVN", "shares": 225, "reason": "drift", "source": "rebalancing"}]],
    )
    plan: Any = Field(None, description="a plan document, as in TradingPlan; its sizes are made to fit")


class PlanFailure(Payload):
    """The reason for having no plan."""

    message: Name = Field(description="one sentence", examples=["no DailyBriefing is there; deliver one."])
    exit_code: int = Field(1, description="exit code of the command", examples=[2])
    status: Text = Field("FAILED", description="FAILED", examples=["FAILED"])
    plan: None = Field(None, description="null")
    stage_results: Mapping[str, Any] = Field(default_factory=dict, description="empty")


# --- the report ---


class FinalReport(Payload):
    """The report of an execution, as `departments run --json` prints it."""

    plan_id: Name = Field(description="the plan", examples=[A_PLAN])
    status: Name = Field(description="COMPLETED or COMPLETED_WITH_ISSUES", examples=["COMPLETED"])
    approvals: Documents = Field(
        (), description="who approved: approved_by, approved_at, approved_from, limits_hash", examples=[[]]
    )
    account: Mapping[str, Any] = Field(
        description="equity, cash and reserve, dollars",
        examples=[{"equity": "98950.00", "cash_before": "12000.00", "cash_after": "11200.00"}],
    )
    skipped: Documents = Field(description="not planned: ticker, code, reason", examples=[[]])
    phases: Documents = Field(description="each phase with its orders", examples=[[{"name": "SELL", "orders": []}]])
    denied: Documents = Field(description="stopped by our own check: ticker, code, reason", examples=[[]])
    deferred: Documents = Field(description="not today: ticker, code, reason", examples=[[]])
    unprotected: Documents = Field(description="without live exits: ticker, qty, since, until", examples=[[]])
    cash_identity: Mapping[str, Any] = Field(
        description="whether start + sells - buys - fees = end, dollars", examples=[{"holds": True}]
    )
    exit_code: int = Field(description="exit code of the command", examples=[0])


class DayOutcome(Payload):
    """The outcome of a day, for Regime."""

    plan_id: PlanId = None
    started_at: Annotated[datetime, BeforeValidator(_moment)] = Field(
        description="when the execution began", examples=[A_MOMENT]
    )
    trades_executed: int = Field(description="orders filled", examples=[16])
    portfolio_change: Annotated[Decimal, BeforeValidator(_number)] = Field(
        description="change of equity in between, dollars", examples=[-12.5]
    )
