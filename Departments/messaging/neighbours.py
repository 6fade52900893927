"""What other departments and programs write as JSON, as far as this desk knows it. Unknown keys are kept."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from Departments.messaging.payloads import MaybeText, Number, Payload


class NeighbourPayload(Payload):
    """The JSON of a message that not only our own departments write."""

    model_config = ConfigDict(extra="allow")


class DailyBriefing(NeighbourPayload):
    """The day's candidates, holdings and market conditions. One bad entry of a list is set aside alone."""

    market_conditions: Any = Field(None, description="{spy_change_pct, vix, vix_change_pct, spy_drawdown_pct, date}")
    candidates: Any = Field(None, description="[{ticker, composite_score, current_price, …}]")
    current_holdings: Any = Field(None, description="[{ticker, research_composite_score, sector, …}]")
    correlations: Any = Field(None, description='{"ALKS|SN": 0.81}: coefficients from -1 to 1')


class PlanProposal(NeighbourPayload):
    """Picks and sizes of an optimiser, and what it would sell. Operations alone decides the sizes."""

    picks: Any = Field(None, description="[{ticker, shares | allocated_capital | weight}]")
    sells: Any = Field(None, description="[{ticker, shares, reason}]")
    trades: Any = Field(None, description="trades of a plan document")


class RiskAssessment(NeighbourPayload):
    """What RISK thinks of candidates. The limits decide here."""

    assessment_date: MaybeText = Field(None, description="the day", examples=["2025-11-10"])
    approved_candidates: Any = Field(None, description="[{ticker, position_size_shares, …}]")
    rejected_candidates: Any = Field(None, description="[{ticker, …}]")


class TradeOrder(NeighbourPayload):
    """An order that PORTFOLIO wishes for. Only an ExecutiveApproval leads to an order."""

    ticker: MaybeText = Field(None, description="symbol", examples=["ALKS"])
    order_type: MaybeText = Field(None, description="BUY or SELL", examples=["BUY"])
    shares: Number = Field(None, description="shares", examples=[56])


class CandidateRequest(NeighbourPayload):
    """PORTFOLIO asks RESEARCH for candidates."""

    request_type: MaybeText = Field(None, description="CANDIDATE_REQUEST", examples=["CANDIDATE_REQUEST"])
    deployment_status: Any = Field(None, description="what is deployed, and what should be")
    criteria: Any = Field(None, description="what candidates have to be like")
