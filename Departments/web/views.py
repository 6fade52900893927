"""What a page shows, read from the desk: plain values for the templates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from Departments.bootstrap import MESSAGES, Desk
from Departments.constraints.amounts import maximum_position, sector_cap, sector_of, sector_value, size_factor
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerError
from Departments.core.facts import Facts
from Departments.core.moments import iso
from Departments.core.money import ONE, ZERO, money_text, plain
from Departments.core.orders import Side
from Departments.core.plans import Trade, TradingPlan
from Departments.core.reasons import ReasonCode
from Departments.core.trading_calendar import trading_day
from Departments.Executive.approvals import FiledPlan
from Departments.Executive.overview.problems import exit_code_of, find_problems
from Departments.Executive.overview.standing import standing_document
from Departments.Executive.reporting.reason_words import describe_gap, describe_skip
from Departments.Executive.review import Outlook, review
from Departments.ledger.journal import read_index
from Departments.messaging.lookup import find_all

#: One basis point.
POINT = Decimal("0.0001")


def show_standing(desk: Desk) -> dict[str, Any]:
    """Return the standing of the desk, as `departments status --json`."""
    standing = desk.standing.read()
    problems = find_problems(standing)
    return standing_document(standing, problems, exit_code_of(standing, problems))


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as its page shows it. `trouble` is why prices and limits of now are unknown, empty if they are known."""

    filed: FiledPlan
    outlook: Outlook | None
    stale: str
    trouble: str = ""


def read_plan(desk: Desk, filed: FiledPlan) -> PlanView:
    """Read a plan beside the account and the prices of now. A broker that is away is one trouble."""
    judge = desk.day.judge
    try:
        return PlanView(filed, judge.foresee(filed.plan), judge.find_staleness(filed.plan) or "")
    except BrokerError as error:
        return PlanView(filed, None, "", str(error))


def show_plan(desk: Desk, view: PlanView) -> dict[str, Any]:
    """Return a plan with every order, its reasons, its limits, and the price of now."""
    plan, outlook = view.filed.plan, view.outlook
    run, rejection = desk.ledger.plans.execution(plan.plan_id), desk.ledger.opinions.find_rejection(plan.plan_id)
    found = None if outlook is None else review(plan, outlook, desk.limits).document()
    return {
        "plan_id": plan.plan_id,
        "digest": plan.digest,
        "generated_at": iso(plan.generated_at),
        "equity": _money(plan.equity),
        "deployment": None if plan.deployment is None else f"{plan.deployment:.4f}",
        "regime": plan.regime,
        "by_hand": plan.by_hand,
        "orders": [_show_order(desk, trade, view) for trade in plan.trades],
        "skipped": [
            {"ticker": s.symbol, "sentence": describe_skip(s), "code": str(s.reason.code)} for s in plan.skipped
        ],
        "notes": list(plan.notes),
        "not_evaluated": [describe_gap(line) for line in plan.not_evaluated],
        "approvals": desk.day.approvals.documents(plan),
        "is_approved": desk.ledger.plans.approved_at(plan.plan_id) is not None,
        "newest": find_newest(desk, plan),
        "instead": _find_instead(desk, plan),
        "opinions": [each.sentence for each in desk.ledger.opinions.find(plan.plan_id)],
        "state": _name_state(view, run is not None, rejection is not None),
        "run_status": None if run is None else str(run.status),
        "stale": view.stale,
        "trouble": view.trouble,
        "review": found,
        "headroom": [] if outlook is None else outlook.document()["headroom"],
        "sectors": [] if outlook is None else outlook.document()["sectors"],
        "dollars": _sum_dollars(plan),
    }


def find_newest(desk: Desk, plan: TradingPlan) -> str:
    """Return the plan that was made last on the day of a plan: perhaps itself. An order by hand has no other."""
    newest = None if plan.by_hand else desk.ledger.plans.find_newest(trading_day(plan.generated_at))
    return newest or plan.plan_id


def _find_instead(desk: Desk, plan: TradingPlan) -> str | None:
    """Return the plan that was approved after this one, so that a run executes it, None without any."""
    last = None if plan.by_hand else desk.ledger.plans.find_approved(trading_day(desk.clock.now()))
    return None if last is None or last["plan_id"] == plan.plan_id else str(last["plan_id"])


def _name_state(view: PlanView, executed: bool, rejected: bool) -> str:  # noqa: FBT001 - two facts
    if executed:
        return "executed"
    if rejected:
        return "rejected"
    if not view.filed.plan.trades:
        return "empty"
    return "stale" if view.stale else "open"


def _show_order(desk: Desk, trade: Trade, view: PlanView) -> dict[str, Any]:
    outlook = view.outlook
    said = defaultdict[str, list[dict[str, str]]](list)
    price = weight = before = None
    if outlook is not None:
        price = outlook.before.of(trade.symbol).price_for(trade.side)
        weights = {each.name: each for each in outlook.weights}
        shift = weights.get(trade.symbol)
        before, weight = (None, None) if shift is None else (shift.before, shift.after)
        for kind, rows in (("breaks", outlook.verdict.violations), ("warns", outlook.verdict.warnings)):
            for order, reason in rows:
                if order.symbol == trade.symbol and reason.code is not ReasonCode.NOT_EVALUATED:  # named once, below
                    said[kind].append({"sentence": reason.sentence or reason.code.meaning, "code": str(reason.code)})
    return {
        "ticker": trade.symbol,
        "side": str(trade.side),
        "qty": plain(trade.qty),
        "sector": trade.sector,
        "score": None if trade.score is None else plain(trade.score),
        "why": trade.reason,
        "plan_price": _money(trade.price),
        "price": _money(price),
        "worse_bps": _compare(trade, price),
        "value": _money(None if trade.notional is None else trade.notional),
        "before": None if before is None else f"{before:.4f}",
        "after": None if weight is None else f"{weight:.4f}",
        "held": None if outlook is None else _count_held(outlook.before, trade.symbol),
        "uses": [] if outlook is None or trade.side is Side.SELL else _list_uses(trade, outlook, desk.limits),
        "breaks": said["breaks"],
        "warns": said["warns"],
    }


def _list_uses(trade: Trade, outlook: Outlook, limits: Limits) -> list[dict[str, str]]:
    """Return the limits that a BUY uses: what is used of each after the plan, as shares of equity."""
    facts = outlook.verdict.facts
    if facts.equity <= 0:
        return []
    sector = sector_of(limits, trade.symbol, facts, trade.sector)
    rows = (
        (
            "position",
            facts.held_value(trade.symbol),
            maximum_position(limits, facts.equity, size_factor(limits, facts) or ONE),
        ),
        (f"sector {sector}", sector_value(limits, facts, sector), sector_cap(limits, facts.equity, sector)),
    )
    return [
        {"name": name, "used": f"{used / facts.equity:.4f}", "bound": f"{bound / facts.equity:.4f}"}
        for name, used, bound in rows
    ]


def _count_held(facts: Facts, symbol: str) -> str:
    position = facts.positions.get(symbol)
    return "0" if position is None else plain(position.qty)


def _compare(trade: Trade, price: Decimal | None) -> str | None:
    """Return how much worse the price of now is than the plan's, in basis points; negative is better."""
    if price is None or not trade.price:
        return None
    worse = price - trade.price if trade.side is Side.BUY else trade.price - price
    return f"{worse / trade.price / POINT:.1f}"


def _sum_dollars(plan: TradingPlan) -> dict[str, str]:
    return {
        name: money_text(sum((t.notional or ZERO for t in trades), ZERO))
        for name, trades in (("sells", plan.sells), ("buys", plan.buys))
    }


def show_days(desk: Desk) -> list[dict[str, Any]]:
    """Return every execution, newest first."""
    return [
        {
            "plan_id": run.plan_id,
            "day": run.trading_day.isoformat(),
            "status": str(run.status),
            "attempt": run.attempt,
            "by_hand": run.by_hand,
            "started_at": iso(run.started_at),
            "equity": _money(run.equity),
            "cash_after": _money(run.cash_after),
            "invested": None if run.cash_after is None or run.equity <= 0 else f"{1 - run.cash_after / run.equity:.4f}",
        }
        for run in reversed(desk.ledger.plans.executions())
    ]


def show_message(desk: Desk, message_id: str) -> dict[str, Any] | None:
    """Return a message wherever it is, None if it is nowhere."""
    found = find_all(desk.state / MESSAGES, message_id, read_index(desk.ledger_path))
    if not found:
        return None
    return {"message_id": message_id, "text": found[0].text, "places": [str(each.place) for each in found]}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else money_text(amount)
