"""Every message type, one row each: its payload, its senders, and each recipient's handler.

Routers, `docs/messages.md`, JSON Schemas and tests are made from this table; there is no other list of types. A
recipient without an entry sets the message aside as UNKNOWN_TYPE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from Departments.core.departments import (
    ALL,
    COMPLIANCE,
    EXECUTIVE,
    OPERATIONS,
    OURS,
    PORTFOLIO,
    REGIME_DETECTION,
    RESEARCH,
    RISK,
    TRADING,
)
from Departments.messaging.neighbours import (
    CandidateRequest,
    DailyBriefing,
    MarketBriefing,
    RiskAssessment,
    TradeOrder,
)
from Departments.messaging.payloads import (
    CancelRequest,
    DayOutcome,
    Escalation,
    ExecutionReport,
    ExecutiveApproval,
    FinalReport,
    Payload,
    PlanFailure,
    PlanRequest,
    ProtectRequest,
    ReleaseRequest,
    SubmissionNote,
)
from Departments.messaging.plan_documents import PlanDocument
from Departments.messaging.proposal_payloads import PlanProposal
from Departments.messaging.regime_payloads import RegimeRequest, RegimeUpdate

ANYBODY: Final = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """The recipient archives the message without acting on it, for this reason."""

    reason: str


class Proof(StrEnum):
    """The evidence a message needs before anybody acts on it: none, or that the ledger holds it as our letter."""

    NONE = "none"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class MessageType:
    """One row. `recipients` maps departments to the name of their handler, or to a Skip.

    `senders` is empty where anybody may send it; settings may name others for what is not ours alone. `variants` are
    recipients that get a payload of their own.
    """

    name: str
    payload: type[Payload]
    senders: tuple[str, ...]
    recipients: Mapping[str, str | Skip]
    proof: Proof = Proof.NONE
    aliases: tuple[str, ...] = ()
    variants: Mapping[str, type[Payload]] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Return True if only our departments write it: then no setting adds a sender."""
        is_closed = self.proof is Proof.DECIDED or not self.keeps_unknown_keys
        return bool(self.senders) and set(self.senders) <= set(OURS) and is_closed

    @property
    def keeps_unknown_keys(self) -> bool:
        """Return True if other programs write it too, so that its unknown keys are kept."""
        return self.payload.model_config.get("extra") == "allow"

    def payload_for(self, recipient: str) -> type[Payload]:
        """Return a recipient's model of the payload."""
        return self.variants.get(recipient, self.payload)

    def payloads(self) -> tuple[type[Payload], ...]:
        """Return all models of this type's payload."""
        return (self.payload, *self.variants.values())

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the payload."""
        schemas = [model.model_json_schema() for model in self.payloads()]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


class Catalogue:
    """The table of message types."""

    def __init__(self, rows: Sequence[MessageType]) -> None:
        self._rows = {row.name: row for row in rows}
        self._names = {alias: row.name for row in rows for alias in (row.name, *row.aliases)}
        if len(self._rows) < len(rows):
            raise ValueError("a message type has two rows")

    def __iter__(self) -> Iterator[MessageType]:
        return iter(self._rows.values())

    def find(self, name: str) -> MessageType | None:
        """Find the row of a type or alias. Returns None for an unknown type."""
        return self._rows.get(self._names.get(name, name))


_NEIGHBOUR: Final = Skip("a department outside this desk reads it")
_NOT_AN_ORDER: Final = Skip("only an Executive approval leads to an order")
_ACCOUNT_KNOWS: Final = Skip("the account shows all trades")
_REPORTED: Final = Skip("Trading reports every outcome to the Executive itself")
_LIMITS_DECIDE: Final = Skip("the limits decide about risk")
_NO_MARKET_NEWS: Final = Skip("orders are no news about the market")

CATALOGUE: Final = Catalogue(
    (
        MessageType(
            "DailyBriefing",
            DailyBriefing,
            senders=(RESEARCH,),
            recipients={
                OPERATIONS: "keep_briefing",
                REGIME_DETECTION: "observe_briefing",
                EXECUTIVE: Skip("Operations plans from it"),
                TRADING: _NOT_AN_ORDER,
                PORTFOLIO: _NEIGHBOUR,
            },
            variants={REGIME_DETECTION: MarketBriefing},
        ),
        MessageType(
            "RegimeRequest",
            RegimeRequest,
            (EXECUTIVE, OPERATIONS),
            {REGIME_DETECTION: "assess_market"},
            Proof.DECIDED,
        ),
        MessageType(
            "RegimeUpdate",
            RegimeUpdate,
            senders=(REGIME_DETECTION,),
            recipients={
                EXECUTIVE: "log_regime",
                OPERATIONS: "save_regime",
                TRADING: Skip("the regime concerns those who plan and approve, not Trading"),
                REGIME_DETECTION: Skip("this department sends the regime, it does not receive it"),
                RESEARCH: _NEIGHBOUR,
                RISK: _NEIGHBOUR,
                PORTFOLIO: _NEIGHBOUR,
                COMPLIANCE: _NEIGHBOUR,
            },
        ),
        MessageType("PlanRequest", PlanRequest, (EXECUTIVE,), {OPERATIONS: "answer_request"}, Proof.DECIDED),
        MessageType("TradingPlan", PlanDocument, (OPERATIONS,), {EXECUTIVE: "keep_answer"}, Proof.DECIDED),
        MessageType("PlanFailure", PlanFailure, (OPERATIONS,), {EXECUTIVE: "keep_answer"}, Proof.DECIDED),
        MessageType("PlanProposal", PlanProposal, (RESEARCH, PORTFOLIO), {OPERATIONS: "keep_proposal"}),
        MessageType(
            "ExecutiveApproval",
            ExecutiveApproval,
            senders=(EXECUTIVE,),
            recipients={TRADING: "send_order"},
            proof=Proof.DECIDED,
            aliases=("execution_request",),
        ),
        MessageType("CancelRequest", CancelRequest, (EXECUTIVE,), {TRADING: "cancel_order"}, Proof.DECIDED),
        MessageType("ReleaseRequest", ReleaseRequest, (EXECUTIVE,), {TRADING: "release_exits"}, Proof.DECIDED),
        MessageType("ProtectRequest", ProtectRequest, (EXECUTIVE,), {TRADING: "protect_shares"}, Proof.DECIDED),
        MessageType("ExecutionReport", ExecutionReport, (TRADING,), {EXECUTIVE: "record_report"}),
        MessageType(
            "execution",
            SubmissionNote,
            senders=(TRADING,),
            recipients={
                PORTFOLIO: _NEIGHBOUR,
                EXECUTIVE: _REPORTED,
                OPERATIONS: _ACCOUNT_KNOWS,
                REGIME_DETECTION: _NO_MARKET_NEWS,
            },
        ),
        MessageType(
            "log",
            SubmissionNote,
            senders=(TRADING,),
            recipients={
                COMPLIANCE: _NEIGHBOUR,
                EXECUTIVE: _REPORTED,
                OPERATIONS: _ACCOUNT_KNOWS,
                REGIME_DETECTION: _NO_MARKET_NEWS,
            },
        ),
        MessageType("escalation", Escalation, ALL, {EXECUTIVE: "log_escalation"}),
        MessageType(
            "FinalReport",
            FinalReport,
            senders=(EXECUTIVE,),
            recipients={COMPLIANCE: _NEIGHBOUR, REGIME_DETECTION: "record_day"},
            proof=Proof.DECIDED,
            variants={REGIME_DETECTION: DayOutcome},
        ),
        MessageType(
            "RiskAssessment",
            RiskAssessment,
            senders=(RISK,),
            recipients={
                PORTFOLIO: _NEIGHBOUR,
                EXECUTIVE: _LIMITS_DECIDE,
                OPERATIONS: _LIMITS_DECIDE,
                REGIME_DETECTION: Skip("risks of single trades are no news about the market"),
                TRADING: _NOT_AN_ORDER,
            },
        ),
        MessageType("TradeOrder", TradeOrder, (PORTFOLIO,), {TRADING: _NOT_AN_ORDER}),
        MessageType("CandidateRequest", CandidateRequest, (PORTFOLIO, OPERATIONS), {RESEARCH: _NEIGHBOUR}),
    )
)
