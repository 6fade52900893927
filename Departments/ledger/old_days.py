"""Assessments, days of trading and the account as rows of the older system's tables, in its words and local times."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.identifiers import short_hash
from Departments.core.moments import parse_iso
from Departments.core.money import ZERO, plain
from Departments.core.portfolio import Account
from Departments.core.regimes import Regime, RegimeAssessment, RegimeOutcome
from Departments.ledger.old_tables import OldTable, write_local
from Departments.ledger.sqlite import SqliteDatabase

HUNDRED: Final = Decimal(100)
#: The older system knows three words. UNKNOWN has none: its readers take every row for a known market.
_WORDS: Final = {
    Regime.BULLISH: "BULLISH",
    Regime.NEUTRAL: "NEUTRAL",
    Regime.BEARISH: "BEARISH",
    Regime.PANIC: "BEARISH",
}


class OldAssessments:
    """Follows the Regime department. Every method joins the caller's transaction."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._table = OldTable(database, "market_regime_assessments")

    def add(self, assessment: RegimeAssessment) -> None:
        """Add an assessment. Its readers format all four numbers, so an unknown one is 0, and the notes name it."""
        word = _WORDS.get(assessment.regime)
        numbers = {
            "spy_price": assessment.spy,
            "spy_change_pct": assessment.spy_change_pct,
            "vix_level": assessment.vix,
            "vix_change_pct": assessment.vix_change_pct,
        }
        if word is None or self._has(assessment.assessment_id):
            return
        unknown = [f"{name} is unknown" for name, value in numbers.items() if value is None]
        local = write_local(assessment.assessed_at)
        values = {
            "assessment_id": assessment.assessment_id,
            "date": local[:10],
            "timestamp": local,
            **{name: value or ZERO for name, value in numbers.items()},
            "regime": word,
            "confidence": assessment.confidence.value,
            "recommendation": assessment.recommendation,
            "reasoning": " • ".join(_reasons(assessment)),
            "notes": "; ".join((*assessment.notes, *unknown)) or None,
        }
        self._table.insert(values)

    def record_outcome(self, assessment_id: str, outcome: RegimeOutcome) -> None:
        """Add what is known of an assessment's day. The older system's change of the portfolio is a share of it."""
        known = {"trades_executed": outcome.trades_executed, "spy_eod_change_pct": outcome.spy_close_change_pct}
        values = {name: value for name, value in known.items() if value is not None}
        if values:
            self._table.update(values, "assessment_id = ?", assessment_id)

    def _has(self, assessment_id: str) -> bool:
        sql = "SELECT 1 FROM market_regime_assessments WHERE assessment_id = ?"
        return bool(self._table.find(sql, assessment_id))


class OldSessions:
    """Follows plans and executions: one row a day, as `has_traded_today` of the older system reads it."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._table = OldTable(database, "trading_sessions")

    def note_plan(self, plan_id: str, generated_at: str, at: datetime) -> None:
        """Record the newest plan of a day."""
        try:
            moment = parse_iso(generated_at)
        except ValueError:
            moment = at
        self._write(plan_id, moment, {"plan_generated_at": _local_iso(moment)})

    def note_execution(self, plan_id: str, started_at: datetime, trades: int) -> None:
        """Record an execution that has sent or deferred trades."""
        values = {"plan_executed_at": _local_iso(started_at), "market_status": "OPEN", "trades_submitted": trades}
        self._write(plan_id, started_at, values)

    def _write(self, plan_id: str, moment: datetime, values: dict[str, Any]) -> None:
        day = write_local(moment)[:10]
        session = f"SESSION_{day}_{plan_id[:8]}"
        if not self._table.update(values, "session_id = ?", session):
            created = {"session_id": session, "date": day, "created_at": moment}
            self._table.insert(created | values | {"user_override": 0})


class OldSnapshots:
    """Keeps the account as scripts were told it. `add` joins the caller's transaction."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._table = OldTable(database, "portfolio_snapshots")

    def add(self, account: Account, positions: int, source: str, at: datetime) -> None:
        """Add a row at the request of `source`. Invested is what is not cash, in dollars; SPY is not looked up."""
        snapshot = f"SNAP_{at.astimezone():%Y%m%d_%H%M%S}_{short_hash(at.isoformat(), source)}"
        if self._table.find("SELECT 1 FROM portfolio_snapshots WHERE snapshot_id = ?", snapshot):
            return
        before = account.equity if account.last_equity is None else account.last_equity
        values = {
            "snapshot_id": snapshot,
            "timestamp": _local_iso(at),
            "total_value": account.equity,
            "cash_balance": account.cash,
            "equity_value": account.equity - account.cash,
            "buying_power": account.buying_power,
            "margin_used": max(ZERO, -account.cash),
            "positions_count": positions,
            "daily_pl": account.equity - before,
            "daily_pl_pct": HUNDRED * (account.equity - before) / before if before else ZERO,
            "source": source,
        }
        self._table.insert(values)


def _local_iso(moment: datetime) -> str:
    return moment.astimezone().replace(tzinfo=None).isoformat()


def _reasons(assessment: RegimeAssessment) -> list[str]:
    """Return the parts that people read: the market's change, and the VIX."""
    found = []
    if assessment.spy_change_pct is not None:
        found.append(f"SPY {assessment.spy_change_pct:+.2f}%")
    if assessment.vix is not None:
        found.append(f"VIX = {plain(assessment.vix)}")
    return found or [assessment.source]
