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

    market_conditions: Any = Field(
        None,
        description="spy_change_pct, vix, vix_change_pct, spy_drawdown_pct (percent), date",
        examples=[{"spy_change_pct": 1.15, "vix": 18.04, "date": "2025-11-10"}],
    )
    candidates: Any = Field(
        None,
        description="ticker, composite_score (0 to 100), current_price (dollars), …",
        examples=[[{"ticker": "ALKS", "composite_score": 73.6, "current_price": 33.01}]],
    )
    current_holdings: Any = Field(
        None,
        description="ticker, research_composite_score (0 to 100), sector, …",
        examples=[[{"ticker": "EIX", "research_composite_score": 78, "sector": "Utilities"}]],
    )
    correlations: Any = Field(
        None, description="of pairs of symbols: coefficients from -1 to 1", examples=[{"ALKS|SN": 0.81}]
    )


class PlanProposal(NeighbourPayload):
    """Picks and sizes of an optimiser, and what it would sell. Operations alone decides the sizes."""

    picks: Any = Field(
        None,
        description="ticker, and shares, allocated_capital (dollars) or weight (of equity) where it has a size",
        examples=[[{"ticker": "ALKS", "weight": 0.05}, {"ticker": "SN", "shares": 37}]],
    )
    sells: Any = Field(None, description="ticker, shares (all without it), reason", examples=[[{"ticker": "UPS"}]])
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
