"""What the desk holds, does and waits for at one moment, as values, and as a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from Departments.core.account_entries import AccountDifference
from Departments.core.moments import iso, show_moment
from Departments.core.money import money_text, plain
from Departments.core.plans import TradingPlan
from Departments.core.quotes import MarketClock
from Departments.core.statuses import PhaseName, PhaseState
from Departments.Executive.approvals import approval_documents
from Departments.Executive.overview.holdings import HeldPosition
from Departments.Executive.reporting.issues import Issues
from Departments.ledger.plan_records import ApprovalRecord, ExecutionRecord, PhaseRecord, TradeRecord


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person has to look at: a sentence without its full stop, and the mend."""

    sentence: str
    mend: str

    @property
    def text(self) -> str:
        """Return both as one sentence."""
        return f"{self.sentence}; {self.mend}."


@dataclass(frozen=True, slots=True)
class MoneyView:
    """The account's equity and cash, and the cash that has to stay, in dollars."""

    equity: Decimal
    cash: Decimal
    reserve: Decimal


@dataclass(frozen=True, slots=True)
class Progress:
    """An execution that has not ended. Without `is_alive` no process works on it: it was interrupted."""

    run: ExecutionRecord
    phases: tuple[PhaseRecord, ...]
    trades: tuple[TradeRecord, ...]
    is_alive: bool

    @property
    def phase(self) -> PhaseRecord | None:
        """Return the phase it is in, or None between two."""
        return next((phase for phase in self.phases if phase.state is not PhaseState.ENDED), None)

    @property
    def state(self) -> str:
        """Return its state in a word."""
        return "running" if self.is_alive else "interrupted"

    @property
    def sentence(self) -> str:
        """Return what runs, and since when, without the full stop."""
        plan_id, begun = self.run.plan_id, show_moment(self.run.started_at)
        return f"{plan_id} runs since {begun}" if self.is_alive else f"{plan_id}, begun {begun}, was interrupted"

    @property
    def place(self) -> str:
        """Return the phase it is in and the place of that among all; empty between two."""
        names, phase = list(PhaseName), self.phase
        return "" if phase is None else f"{phase.name} phase ({names.index(phase.name) + 1} of {len(names)})"

    def count(self, phase: PhaseRecord) -> tuple[int, int]:
        """Return how many orders of a phase have ended, and of how many sent."""
        sent = [t for t in self.trades if t.phase == phase.name and t.message_id]
        return sum(t.terminal_at is not None for t in sent), len(sent)

    @property
    def open_orders(self) -> list[TradeRecord]:
        """Return the orders that have not ended."""
        return [trade for trade in self.trades if trade.message_id and trade.terminal_at is None]


@dataclass(frozen=True, slots=True)
class TodaysPlan:
    """The newest plan of the day with its approvals. `approved_at` is None until the last one needed.

    `progress` is its execution until that ends.
    """

    plan: TradingPlan
    approvals: tuple[ApprovalRecord, ...] = ()
    approved_at: datetime | None = None
    is_executed: bool = False
    is_old: bool = False
    progress: Progress | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether it has trades and was not executed."""
        return bool(self.plan.trades) and not self.is_executed

    @property
    def state(self) -> str:
        """Return its state in a word or two."""
        if self.progress is not None:
            return self.progress.state
        if self.is_executed:
            return "executed"
        if not self.plan.trades:
            return "no trades"
        if self.is_old:
            return "too old"
        return "approved" if self.approved_at is not None else "not approved"


@dataclass(frozen=True, slots=True)
class BriefingView:
    """The day's briefing: its message and time, or what is wrong with it. All empty: there is none."""

    message_id: str = ""
    at: datetime | None = None
    trouble: str = ""
    is_made_by_hook: bool = False


@dataclass(frozen=True, slots=True)
class DeskStanding:
    """Everything that an operator asks for, at `now`."""

    now: datetime
    broker: str
    is_live: bool
    market: MarketClock
    issues: Issues
    last_run: ExecutionRecord | None = None
    runs_today: int = 0
    progress: Progress | None = None
    plan: TodaysPlan | None = None
    money: MoneyView | None = None
    holdings: Sequence[HeldPosition] = ()
    differences: Sequence[AccountDifference] = ()
    open_ends: Sequence[str] = ()
    letters_waiting: int = 0
    briefing: BriefingView = BriefingView()
    next_run: datetime | None = None
    overdue_since: datetime | None = None
    troubles: Sequence[Problem] = ()

    @property
    def has_open_market(self) -> bool:
        """Return whether the market is open now."""
        return self.market.is_open_at(self.now)


def standing_document(standing: DeskStanding, problems: Sequence[Problem], exit_code: int) -> dict[str, Any]:
    """Return a standing for programs; quantities and money are strings, times ISO 8601 UTC."""
    market, run, money = standing.market, standing.last_run, standing.money
    return {
        "at": iso(standing.now),
        "broker": standing.broker,
        "live": standing.is_live,
        "market": {
            "open": standing.has_open_market,
            "next_open": iso(market.next_open),
            "next_close": iso(market.next_close),
        },
        "last_run": None if run is None else run_document(run),
        "running": None if standing.progress is None else _progress_document(standing.progress),
        "plan": None if standing.plan is None else _plan_document(standing.plan),
        "account": None
        if money is None
        else {name: money_text(getattr(money, name)) for name in ("equity", "cash", "reserve")},
        "positions": [holding.document() for holding in standing.holdings],
        "differences": [each.sentence for each in standing.differences],
        "open_orders": list(standing.open_ends),
        "letters_waiting": standing.letters_waiting,
        "briefing": _briefing_document(standing.briefing),
        "next_run": _text(standing.next_run),
        "overdue_since": _text(standing.overdue_since),
        **standing.issues.lists,
        "problems": [{"sentence": each.sentence, "mend": each.mend} for each in problems],
        "exit_code": exit_code,
    }


def run_document(run: ExecutionRecord) -> dict[str, Any]:
    """Return an execution for programs."""
    return {
        "plan_id": run.plan_id,
        "day": run.trading_day.isoformat(),
        "status": str(run.status),
        "started_at": iso(run.started_at),
        "ended_at": _text(run.ended_at),
        "attempt": run.attempt,
        "by_hand": run.by_hand,
    }


def _progress_document(progress: Progress) -> dict[str, Any]:
    phase = progress.phase
    ended, sent = (0, 0) if phase is None else progress.count(phase)
    return run_document(progress.run) | {
        "alive": progress.is_alive,
        "phase": None if phase is None else str(phase.name),
        "phase_number": None if phase is None else list(PhaseName).index(phase.name) + 1,
        "phases": len(PhaseName),
        "deadline": None if phase is None else iso(phase.deadline),
        "ended": ended,
        "sent": sent,
        "orders": [
            {"ticker": t.symbol, "side": str(t.side), "qty": plain(t.qty), "status": str(t.status)}
            for t in progress.open_orders
        ],
    }


def _plan_document(known: TodaysPlan) -> dict[str, Any]:
    plan = known.plan
    return {
        "plan_id": plan.plan_id,
        "generated_at": iso(plan.generated_at),
        "state": known.state,
        "sells": len(plan.sells),
        "buys": len(plan.buys),
        "approvals": approval_documents(known.approvals),
        "approved_at": _text(known.approved_at),
    }


def _briefing_document(briefing: BriefingView) -> dict[str, Any]:
    return {
        "message_id": briefing.message_id or None,
        "at": _text(briefing.at),
        "trouble": briefing.trouble,
        "made_by_hook": briefing.is_made_by_hook,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
