"""The rows of the Executive's records: a plan, an approval, an execution, its phases, and the trades of a phase."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from Departments.core.approvers import ApprovalPlace
from Departments.core.money import ZERO
from Departments.core.orders import Side
from Departments.core.statuses import AnyStatus, ExecutionStatus, PhaseName, PhaseOutcome, PhaseState, TradeStatus
from Departments.ledger.tables import Table


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """One phase of an attempt to execute a plan. `outcome` is NONE until it ended."""

    name: PhaseName
    state: PhaseState
    started_at: datetime
    deadline: datetime
    ended_at: datetime | None
    outcome: PhaseOutcome
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One trade of a phase: planned shares (`planned_qty`), sent shares (`qty`), and the outcome."""

    phase: PhaseName
    symbol: str
    side: Side
    planned_qty: Decimal
    qty: Decimal
    price: Decimal | None = None
    score: Decimal | None = None
    sector: str | None = None
    status: AnyStatus = TradeStatus.DISPATCHED
    message_id: str | None = None
    client_order_id: str | None = None
    dispatched_at: datetime | None = None
    submitted_at: datetime | None = None
    terminal_at: datetime | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    code: str = ""
    reason: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class DecidedTrade:
    """The Executive's decision of one message: the trade, its plan's approval, whether its phase was dispatched."""

    plan_id: str
    approved_at: datetime | None
    trade: TradeRecord
    is_dispatched: bool


class TradeReport(Protocol):
    """A trade's news from Trading. `terminal_at` is None while its order is open."""

    @property
    def status(self) -> AnyStatus:
        """The order's status, or that of a request."""

    @property
    def client_order_id(self) -> str | None:
        """Our id at the broker."""

    @property
    def submitted_at(self) -> datetime | None:
        """The moment of its submission."""

    @property
    def terminal_at(self) -> datetime | None:
        """The moment of its end."""

    @property
    def filled_qty(self) -> Decimal:
        """Shares filled."""

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Average dollars a share."""

    @property
    def code(self) -> str:
        """The reason code, or empty."""

    @property
    def reason(self) -> str:
        """The reason, or empty."""


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One attempt to execute a plan, with its fees and the cash before and after, in dollars.

    `account` is the number of the account at the broker, masked. An older ledger knows neither of them.
    """

    plan_id: str
    trading_day: date
    started_at: datetime
    ended_at: datetime | None
    status: ExecutionStatus
    equity: Decimal
    cash_before: Decimal
    reserve: Decimal
    cash_after: Decimal | None
    fees: Decimal = ZERO
    by_hand: bool = False
    attempt: int = 1
    broker: str | None = None
    account: str | None = None

    @property
    def where(self) -> str:
        """Return broker and masked account, as far as they are known: `simulated SIM…A79`."""
        return " ".join(filter(None, (self.broker, self.account)))

    def is_running_at(self, moment: datetime) -> bool:
        """Return whether the execution ran at a moment."""
        return self.started_at <= moment and (self.ended_at is None or moment <= self.ended_at)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A saved plan: its document, the document's own `generated_at`, and the fingerprint of its limits.

    An order `by_hand` is not the day's plan.
    """

    plan_id: str
    generated_at: str
    saved_at: datetime
    status: str
    document: dict[str, Any]
    limits_hash: str
    approved_at: datetime | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """One approval of a plan: by whom, when, from where (`place`), under which limits.

    It holds for the plan of this digest and for no other.
    """

    approved_by: str
    approved_at: datetime
    place: ApprovalPlace
    limits_hash: str
    digest: str


@dataclass(frozen=True, slots=True)
class Untradable:
    """An untradable holding, and the moment of the report to a person."""

    symbol: str
    reported_at: datetime


_OF_A_PLAN: Final = "FOREIGN KEY (plan_id) REFERENCES desk_plans (plan_id)"
PLANS: Final = Table("desk_plans", PlanRecord, rules=("PRIMARY KEY (plan_id)",))
APPROVALS: Final = Table(
    "desk_approvals",
    ApprovalRecord,
    owner={"plan_id": str},
    rules=("PRIMARY KEY (plan_id, digest, approved_by)", _OF_A_PLAN),
)
UNFINISHED: Final = "ended_at IS NULL"
EXECUTIONS: Final = Table("desk_executions", ExecutionRecord, rules=("PRIMARY KEY (plan_id, attempt)", _OF_A_PLAN))
PHASES: Final = Table(
    "desk_phases", PhaseRecord, owner={"plan_id": str}, rules=("PRIMARY KEY (plan_id, attempt, name)", _OF_A_PLAN)
)
TRADES: Final = Table(
    "desk_trades",
    TradeRecord,
    owner={"plan_id": str, "rank": int},
    rules=("PRIMARY KEY (plan_id, attempt, phase, symbol)", _OF_A_PLAN),
    indexes=("CREATE UNIQUE INDEX desk_trades_by_message ON desk_trades (message_id)",),
)
UNTRADABLE: Final = Table("desk_untradable", Untradable, rules=("PRIMARY KEY (symbol)",))
