"""The plan document: the payload of a TradingPlan, and the file `proposed_trades_<date>.json`.

Plans of other writers are read, too: `allocated_capital` or `position_id` may replace `action`, the price has one of
three keys, and unknown keys are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_serializer,
    model_validator,
)

from Departments.core.errors import BadInput
from Departments.core.identifiers import is_safe_name
from Departments.core.moments import iso
from Departments.core.orders import Side
from Departments.core.plans import PRICES, REASONS, Amount, SkippedTrade, Trade, TradingPlan
from Departments.core.readers import (
    MaybeText,
    Text,
    read_moment,
    read_side,
)
from Departments.core.reasons import Reason
from Departments.core.validation import validate
from Departments.messaging.payloads import Payload
from Departments.messaging.plan_stages import complete_plan
from Departments.messaging.values import A_MOMENT, A_PLAN

READY = "READY_FOR_USER_APPROVAL"
#: Keys that every writing sets anew; all other unknown keys are kept.
WRITTEN_ANEW = frozenset({"approved_at", "approved_by", "approvals"})


# --- how values are read ---


def _action(value: Any) -> Side | None:
    return read_side(value) if str(value or "").strip() else None


def _plan_id(value: Any) -> str:
    plan_id = str(value or "")
    if not is_safe_name(plan_id):
        problem = "cannot be the name of a file" if plan_id else "is missing"
        raise ValueError(f"{problem}; name the plan, for example PLAN_20251110_071530")
    return plan_id


def _sentences(value: Any) -> list[str]:
    """Read a list of sentences. Any other value is one sentence."""
    return list(map(str, value)) if isinstance(value, list | tuple) else [str(value)] if value else []


def _keep_mappings(value: Any) -> list[Any]:
    """Keep the mappings of a list. Other entries are not ours, and ignored."""
    return [row for row in value if isinstance(row, Mapping | SkipLine)] if isinstance(value, list) else []


def _keep_mapping(value: Any) -> Any:
    return value if isinstance(value, Mapping | BaseModel) else None


def _origin(value: Any) -> Any:
    if value and not isinstance(value, Mapping | BaseModel):
        raise ValueError("is not a mapping; remove it")
    return value or {}


Sentences = Annotated[list[str], BeforeValidator(_sentences)]


class DocumentPart(BaseModel):
    """A part of a plan document. Unknown keys are kept."""

    model_config = ConfigDict(
        frozen=True, extra="allow", validate_by_alias=True, validate_by_name=True, defer_build=True
    )


class Direction(DocumentPart):
    """The side of a trade: by `action`, else `allocated_capital` means BUY and `position_id` SELL."""

    action: Annotated[Side | None, BeforeValidator(_action)] = Field(None, description="BUY or SELL")
    allocated_capital: Any = Field(None, description="of a BUY")
    position_id: Any = Field(None, description="of a SELL")

    @model_validator(mode="after")
    def _check_direction(self) -> Self:
        buys, sells = self.allocated_capital is not None, self.position_id is not None
        if self.action is None and buys == sells:
            problem = "carries both allocated_capital and position_id" if buys else "is neither BUY nor SELL"
            raise ValueError(f"the trade {problem}; add action BUY or SELL")
        return self

    @property
    def side(self) -> Side:
        """Return the side."""
        return self.action or (Side.SELL if self.allocated_capital is None else Side.BUY)


def classify(trade: Mapping[str, Any], source: str, place: str) -> Side:
    """Return the side of a trade in a plan document.

    Raises BadInput for missing or contradictory evidence, and for an action other than BUY and SELL.
    """
    if not isinstance(trade, Mapping):
        raise BadInput(source, place, "a trade must be a mapping", "write {ticker, action, shares, …}")
    return validate(Direction, trade, source, place=place).side


def read_trade(row: Mapping[str, Any], source: str, place: str) -> Trade:
    """Read one trade of a plan document. Raises BadInput naming source and key."""
    side = classify(row, source, place)
    price = next((key for key in PRICES if row.get(key) is not None), None)
    reason = next((key for key in REASONS if row.get(key)), None)
    unscored = ("composite_score",) if row.get("is_scored") is False else ()  # it only stands in for other tools
    ignored = {*PRICES, *REASONS, *unscored, "stop_price", *(() if side is Side.BUY else ("allocated_capital",))}
    kept = {key: value for key, value in row.items() if key not in ignored - {price, reason}}
    return validate(Trade, kept | {"action": side}, source, place=place)


def write_trade(trade: Trade) -> dict[str, Any]:
    """Write one trade of a plan document: a BUY with its entry price, a SELL with the current one."""
    bought = {"allocated_capital": trade.notional, "entry_price": trade.price}
    sold = {"current_price": trade.price, "current_value": trade.notional}
    line = {
        "ticker": trade.symbol,
        "action": trade.side,
        "shares": trade.qty,
        **(bought if trade.side is Side.BUY else sold),
        "composite_score": trade.score,
        "sector": trade.sector or "Unknown",
        "reason": trade.reason,
    }
    return {key: value for key, value in line.items() if value is not None}


@dataclass(frozen=True, slots=True)
class SkipLine:
    """A skipped trade."""

    symbol: Annotated[Text, Field(alias="ticker", description="symbol", examples=["COMM"])] = ""
    code: Annotated[Text, Field(description="reason code", examples=["MIN_POSITION_VALUE"])] = ""
    reason: Annotated[Text, Field(description="`CODE: key=value …`", examples=["MIN_POSITION_VALUE: value=879"])] = ""
    line: Annotated[MaybeText, Field(description="the sentence for people")] = None

    @classmethod
    def from_skip(cls, skip: SkippedTrade) -> Self:
        """Return a skipped trade as a line."""
        return cls(skip.symbol, str(skip.reason.code), str(skip.reason), skip.line)

    def skip(self) -> SkippedTrade | None:
        """Return the skipped trade as a value, or None if another desk wrote it."""
        try:
            reason = Reason.parse(self.reason)
        except ValueError:
            return None
        return SkippedTrade(self.symbol, reason, self.line or str(reason))


class Summary(DocumentPart):
    """The number of trades in a plan."""

    total_trades: Any = Field(None, description="trades", examples=[16])
    sells: Any = Field(None, description="SELLs among them", examples=[5])
    buys: Any = Field(None, description="BUYs among them", examples=[11])


class Origin(DocumentPart):
    """The inputs of a plan."""

    equity: Amount = Field(None, description="dollars", examples=[98950])
    cash: Amount = Field(None, description="dollars", examples=[12000])
    deployment: Amount = Field(None, description="share of equity put to work", examples=[0.9])
    limits_hash: Text = Field("", description="fingerprint of the limits", examples=["0a1b2c3d"])
    regime: Text = Field("", description="market regime", examples=["BULLISH"])


class PlanDocument(Payload):
    """A trading plan, as in its file. Keys of other writers are kept."""

    model_config = ConfigDict(extra="allow")

    plan_id: Annotated[str, BeforeValidator(_plan_id)] = Field(description="the plan", examples=[A_PLAN])
    generated_at: Annotated[datetime, BeforeValidator(read_moment), PlainSerializer(iso)] = Field(
        description="when it was made", examples=[A_MOMENT]
    )
    status: MaybeText = Field(None, description="stage of the plan", examples=[READY])
    summary: Annotated[Summary | None, BeforeValidator(_keep_mapping)] = Field(None, description="number of trades")
    trades: list[Trade] = Field(description="SELLs before BUYs")
    skipped: Annotated[list[SkipLine], BeforeValidator(_keep_mappings)] = Field(
        default_factory=list, description="skipped trades"
    )
    made_from: Annotated[Origin, BeforeValidator(_origin)] = Field(
        default_factory=Origin, description="inputs of the plan"
    )
    notes: Sentences = Field(default_factory=list, description="sentences for people")
    not_evaluated: Sentences = Field(default_factory=list, description="constraints whose data are missing")

    @field_serializer("trades")
    def _write_trades(self, trades: list[Trade]) -> list[dict[str, Any]]:
        return list(map(write_trade, trades))

    @classmethod
    def read(cls, document: Mapping[str, Any] | None, source: str) -> Self:
        """Read a plan document. Raises BadInput naming source and key."""
        if not isinstance(document, Mapping):
            raise BadInput(source, "", "a plan must be a mapping", "write {plan_id, generated_at, trades}")
        rows = document.get("trades")
        if not isinstance(rows, list):
            raise BadInput(source, "trades", "is missing or not a list", "list the trades")
        trades = [read_trade(row, source, f"trades[{index}]") for index, row in enumerate(rows)]
        _refuse_contradictions(trades, source)
        return super().read({**document, "trades": trades}, source)

    @classmethod
    def from_plan(cls, plan: TradingPlan, status: str = READY) -> Self:
        """Return a plan as a document."""
        written = cls(
            plan_id=plan.plan_id,
            generated_at=plan.generated_at,
            status=status,
            summary=Summary(total_trades=len(plan.trades), sells=len(plan.sells), buys=len(plan.buys)),
            trades=list(plan.trades),
            skipped=[SkipLine.from_skip(skip) for skip in plan.skipped],
            made_from=Origin(
                equity=plan.equity,
                cash=plan.cash,
                deployment=plan.deployment,
                limits_hash=plan.limits_hash,
                regime=plan.regime,
            ),
            notes=list(plan.notes),
            not_evaluated=list(plan.not_evaluated),
        )
        return written.model_copy(update=dict(plan.extra))

    def plan(self) -> TradingPlan:
        """Return the plan as a value."""
        skips = (line.skip() for line in self.skipped)
        return TradingPlan(
            plan_id=self.plan_id,
            generated_at=self.generated_at,
            trades=tuple(self.trades),
            skipped=tuple(skip for skip in skips if skip is not None),
            equity=self.made_from.equity,
            cash=self.made_from.cash,
            deployment=self.made_from.deployment,
            limits_hash=self.made_from.limits_hash,
            regime=self.made_from.regime,
            notes=tuple(self.notes),
            not_evaluated=tuple(self.not_evaluated),
            extra={key: value for key, value in (self.model_extra or {}).items() if key not in WRITTEN_ANEW},
        )


def _refuse_contradictions(trades: Iterable[Trade], source: str) -> None:
    seen: dict[str, Side] = {}
    for index, trade in enumerate(trades):
        if trade.symbol in seen:
            problem = f"{trade.symbol} is already a {seen[trade.symbol]} in this plan"
            raise BadInput(source, f"trades[{index}]", problem, "leave one trade for each symbol")
        seen[trade.symbol] = trade.side


def plan_from(document: Any, source: str) -> TradingPlan:
    """Read a plan document as a value. Raises BadInput naming source and key."""
    return PlanDocument.read(document, source).plan()


def plan_document(plan: TradingPlan) -> dict[str, Any]:
    """Write a plan as a plan document, with its inputs under `made_from` and the keys of other tools."""
    return complete_plan(PlanDocument.from_plan(plan).document())
