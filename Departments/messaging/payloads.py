"""Payloads of our own messages: one frozen model a type, for its writer and its readers.

Fields have the desk's names; their aliases are the keys of the message. Quantities are shares, money is dollars, both
Decimal; moments are aware UTC. Keys are written in the order of the fields. Unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from Departments.core.errors import BadInput
from Departments.core.money import ZERO
from Departments.core.readers import (
    Action,
    AnySymbol,
    MaybeText,
    Moment,
    Name,
    Number,
    Price,
    Shares,
    Text,
    read_moment,
    read_name,
    read_number,
)
from Departments.core.statuses import AnyStatus, status_of
from Departments.core.validation import key_of, validate
from Departments.messaging.message import Message, body_around, write_payload
from Departments.messaging.values import (
    A_MOMENT,
    A_PLAN,
    AN_APPROVAL,
    AN_ORDER,
    ApprovalId,
    BriefingId,
    BrokerId,
    Code,
    Documents,
    Ignored,
    PlanId,
    Why,
)


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
        if document is None and (
            needed := [key_of(name, field) for name, field in cls.model_fields.items() if field.is_required()]
        ):
            keys = " and ".join(filter(None, (", ".join(needed[:-1]), needed[-1])))
            raise BadInput(source, "payload", "is missing", f"add a json block with {keys}")
        return validate(cls, document or {}, source)

    @classmethod
    def document_in(cls, message: Message) -> Mapping[str, Any] | None:
        """Return the message's JSON to read as this payload."""
        return message.payload

    def document(self) -> dict[str, Any]:
        """Return the payload as JSON: the given keys, in the order of the fields."""
        written = self.model_dump(by_alias=True, exclude_unset=True)
        return {key: value for key, value in written.items() if value or key not in self.LEFT_OUT}

    def text(self) -> str:
        """Return the payload as the JSON text of a message."""
        return write_payload(self.document())

    def body(self, markdown: str) -> str:
        """Return the body of a message: Markdown, then this payload."""
        return body_around(markdown, self.text())


# --- EXECUTIVE → TRADING ---


def _order_type(value: Any) -> str:
    kind = str(value or "MARKET").strip().upper()
    if kind not in {"MARKET", "LIMIT"}:
        raise ValueError(f"{kind.lower()!r} is not known; write MARKET or LIMIT")
    return kind


class ExecutiveApproval(Payload):
    """One order to send."""

    LEFT_OUT = frozenset({"limit_price"})

    symbol: AnySymbol
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

    symbol: AnySymbol
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
    symbol: AnySymbol
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
    symbol: AnySymbol
    side: Action
    qty: Shares
    status: Annotated[AnyStatus, BeforeValidator(lambda value: status_of(read_name(value)))] = Field(
        description="the order's status, or released, protected, locked", examples=["filled"]
    )
    filled_qty: Annotated[Decimal, BeforeValidator(lambda value: read_number(value or 0))] = Field(
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
    symbol: AnySymbol
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


# --- the plan ---


Sizes = Literal["keep", "resize"]


class PlanRequest(Payload):
    """Make a plan, or check a given one. Every error is answered by a PlanFailure."""

    LEFT_OUT = frozenset({"briefing_message_id", "mandatory_sells", "plan", "by_hand", "fill"})

    briefing_message_id: BriefingId = None
    mandatory_sells: Any = Field(
        None,
        description="holdings to sell: ticker, shares (all without it), reason, source",
        examples=[[{"ticker": "DVN", "shares": 225, "reason": "drift", "source": "rebalancing"}]],
    )
    plan: Any = Field(None, description="a plan document, as in TradingPlan; `sizes` says what becomes of it")
    sizes: Sizes = Field("keep", description="keep: given sizes only shrink, or reach the minimum; resize: to the goal")
    fill: bool = Field(False, description="whether candidates of the day's briefing may fill up a given plan")
    by_hand: bool = Field(False, description="the plan is an order by hand: its size is judged and not changed")


class PlanFailure(Payload):
    """The reason for having no plan."""

    message: Name = Field(description="one sentence", examples=["there is no DailyBriefing; deliver one."])
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
    orders_by_hand: Documents = Field(
        (), description="orders by hand of the same day before its end: plan_id, status, trades", examples=[[]]
    )
    account: Mapping[str, Any] = Field(
        description="equity, cash and reserve, dollars",
        examples=[{"equity": "98950.00", "cash_before": "12000.00", "cash_after": "11200.00"}],
    )
    account_number: str = Field(
        "", description="broker and number of the account, masked", examples=["simulated SIM…A79"]
    )
    attempts: Documents = Field((), description="each attempt: attempt, status, times, cash", examples=[[]])
    left: Documents = Field((), description="what did not fill: ticker, side, qty, code, reason", examples=[[]])
    since_last: Mapping[str, Any] = Field(
        default_factory=dict,
        description="since the last report: exits, changes, differences, and the bridge of the cash",
        examples=[{"since": None, "exits": [], "changes": [], "differences": [], "bridge": []}],
    )
    earlier_orders: Documents = Field((), description="fills in the run of orders of an earlier day", examples=[[]])
    bookings: Documents = Field((), description="what the broker booked during the run", examples=[[]])
    skipped: Documents = Field(description="not planned: ticker, code, reason", examples=[[]])
    plan_notes: tuple[str, ...] = Field(
        (), description="the plan's sentences for people, its sources among them", examples=[[]]
    )
    not_evaluated: tuple[str, ...] = Field(
        default=(), description="the plan's limits that lacked data, the data, the symbols"
    )
    review: Mapping[str, Any] | None = Field(
        None, description="the plan's review: quality_rating, recommendation, strengths, concerns, facts"
    )
    phases: Documents = Field(description="each phase with its orders", examples=[[{"name": "SELL", "orders": []}]])
    denied: Documents = Field(description="stopped by our own check: ticker, code, reason", examples=[[]])
    deferred: Documents = Field(description="not today: ticker, code, reason", examples=[[]])
    broken_limits: tuple[str, ...] = Field((), description="a sentence for each limit that a fill broke", examples=[[]])
    unprotected: Documents = Field(description="without live exits: ticker, qty, since, until", examples=[[]])
    cash_identity: Mapping[str, Any] = Field(
        description="whether start + sells - buys - fees = end, dollars", examples=[{"holds": True}]
    )
    instructions: Text = Field("", description="what Trading acted on", examples=["decided"])
    dead_letters: Documents = Field((), description="set aside: department, file, code, reason, mend", examples=[[]])
    locks: Documents = Field((), description="locked symbols: ticker, reason, mend", examples=[[]])
    halts: Documents = Field((), description="a halt in force: scope, reason, halted_by, since, mend", examples=[[]])
    exit_code: int = Field(description="exit code of the command", examples=[0])


class DayOutcome(Payload):
    """The outcome of a day, for Regime."""

    plan_id: PlanId = None
    started_at: Annotated[datetime, BeforeValidator(read_moment)] = Field(
        description="when the execution began", examples=[A_MOMENT]
    )
    trades_executed: int = Field(description="orders filled", examples=[16])
    portfolio_change: Annotated[Decimal, BeforeValidator(read_number)] = Field(
        description="change of equity in between, dollars", examples=[-12.5]
    )
