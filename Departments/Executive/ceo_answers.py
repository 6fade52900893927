"""The CEO's answers to existing scripts: dicts with the status words and keys that they know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from Departments.core.answers import Answer, error_answer
from Departments.core.documents import for_scripts
from Departments.core.errors import DepartmentsError
from Departments.core.logs import SparseLine, make_logger
from Departments.core.money import count_noun
from Departments.core.orders import OrderStatus, Side
from Departments.core.platform.clock import Clock
from Departments.core.statuses import PhaseName
from Departments.Executive.approvals import Approved
from Departments.Executive.day_order import DayFailed, Executed
from Departments.Executive.phases import is_in_order
from Departments.Executive.plan_judge import NotToday
from Departments.Executive.review import Review
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.plan_records import TradeRecord
from Departments.ledger.trading_records import OrderRecords
from Departments.messaging.plan_documents import classify
from Departments.messaging.plan_stages import LIMITS_STAGE, list_stages

log = make_logger(__name__)

#: Statuses of a plan that is in order and not executed today.
NOT_TODAY = frozenset({"ALREADY_EXECUTED", "MARKET_CLOSED"})
#: What a person can do with a plan.
MAY_APPROVE = (
    "A - approve the plan: approve_plan(plan_id)",
    "R - reject it: nothing is sent without an approval",
    "V - view every trade, and what was skipped and why",
    "M - modify it: set current_plan, then approve it",
)
MAY_EXECUTE = (
    "execute it: handle_user_request('execute_plan')",
    "look at it first: the file of the day has every trade",
    "leave it: without an execution nothing is sent",
)


def legacy_answer(answer: Answer) -> Answer:
    """Return an answer in the words of scripts: a plan not executed today is an error, and `code` has the cause."""
    return answer | {"status": "ERROR", "code": answer["status"]} if answer["status"] in NOT_TODAY else answer


def complete_answer(request: str, answer: Answer) -> Answer:
    """Return a failed request's answer with the keys of a success for scripts, each with its type."""
    message = str(answer.get("message", ""))
    return {**_missing_keys(request, message), **answer} if answer["status"] == "ERROR" else answer


def _missing_keys(request: str, message: str) -> Answer:
    if request == "execute_plan":
        sent = {"trades_submitted": 0, "sells_submitted": 0, "buys_submitted": 0, "execution_results": []}
        return {"plan_id": "", **sent, "post_execution_verification": verification([message], 0, 0, None)}
    if request == "approve_plan":
        return {"plan_id": "", "next_steps": _mend(message)}
    return _no_plan(message) if request == "generate_plan" else {}


def _mend(message: str) -> list[str]:
    return [f"mend this: {message}", "make the plan anew: handle_user_request('generate_plan')", "then approve it"]


def failure_answer(failure: DayFailed) -> Answer:
    """Return the answer to a failed step, with the keys of the failing department's answer."""
    return {**failure.document, **error_answer(str(failure))}


def rejected_answer(error: DepartmentsError) -> Answer:
    """Return the answer where there is no plan. Scripts show the message of REJECTED, and of no other status."""
    message = error.sentence
    return {"status": "REJECTED", "message": message, "exit_code": error.exit_code, **_no_plan(message)}


def _no_plan(message: str) -> Answer:
    stage = {"stage": "research", "success": False, "data": {}, "message": message, "quality_score": 0}
    return {
        "plan": {},
        "ceo_review": script_review(Review(0, (), (message,), "REJECT", (message,)), f"There is no plan: {message}"),
        "stage_results": [{**stage, "issues": [message]}],
        "validation_errors": [message],
        "next_steps": _mend(message),
    }


def plan_answer(plan: Mapping[str, Any], review: Review) -> Answer:
    """Return the answer to a request for a plan: REJECTED where a trade breaks a limit on today's account."""
    rows = plan["trades"]
    buys = sum(row["action"] == Side.BUY for row in rows)
    assessment = f"{count_noun(len(rows), 'trade')} ({count_noun(len(rows) - buys, 'SELL')}, {count_noun(buys, 'BUY')})"
    assessment += f", quality {review.score} of 100"
    errors = [f"{plan['plan_id']} breaks a limit: {each}" for each in review.violations]
    ready = f"{plan['plan_id']} is ready for approval: {assessment}"
    return {
        "status": "REJECTED" if errors else "READY_FOR_USER_APPROVAL",
        "message": "; ".join(errors) or ready,
        "plan": plan,
        "ceo_review": script_review(review, assessment),
        "stage_results": [_with_review(stage, review) for stage in for_scripts(list_stages(plan))],
        "validation_errors": errors,
        "next_steps": list(MAY_APPROVE),
    }


def _with_review(stage: Answer, review: Review) -> Answer:
    if stage["stage"] != LIMITS_STAGE:
        return stage
    return stage | {"success": not review.violations, "quality_score": review.score, "issues": list(review.concerns)}


def script_review(review: Review, assessment: str) -> Answer:
    """Return `ceo_review`: the word for the quality with its number (0 to 100) beside it."""
    word, advice = review.words
    warnings = [each for each in review.concerns if each not in review.violations]
    return {
        "overall_assessment": assessment,
        "quality_rating": word,
        "quality_score": review.score,
        "strengths": list(review.strengths),
        "concerns": list(review.concerns),
        "recommendation": advice,
        "constraint_validation": {
            "passed": not review.violations,
            "warnings": warnings,
            "errors": list(review.violations),
        },
    }


def approval_answer(plan_id: str, approved: Approved) -> Answer:
    """Return the answer to an approval: the file of the approved plan, and who approved it."""
    names = str(approved.filed.document["approved_by"])
    return {
        "status": "PLAN_APPROVED",
        "plan_id": plan_id,
        "message": f"{plan_id} is approved by {names}",
        "next_steps": list(MAY_EXECUTE),
        "file": str(approved.path),
        "approved_by": names,
    }


def execution_answer(end: Executed | NotToday, plans: PlanRecords, position_count: int | None) -> Answer:
    """Return the answer to a request for an execution: its SELLs and BUYs, or why there was none.

    `position_count` is the number of positions afterwards, None if the broker does not say.
    """
    if isinstance(end, NotToday):
        return {"status": end.status, "plan_id": end.plan_id or "", "message": end.message}
    last = {(t.phase, t.symbol): t for t in plans.trades(end.plan_id) if t.phase in SIDES}
    trades = sorted(last.values(), key=_in_script_order)
    sent = [t for t in trades if t.message_id]
    filled = [t for t in trades if t.filled_qty > 0]
    sells, buys = (sum(t.side is side for t in filled) for side in (Side.SELL, Side.BUY))
    answer: Answer = for_scripts(
        {
            "status": "EXECUTION_INITIATED",
            "plan_id": end.plan_id,
            "message": _describe_end(end, len(trades), len(sent)),
            "trades_submitted": len(trades),
            "sells_submitted": sum(t.side is Side.SELL for t in sent),
            "buys_submitted": sum(t.side is Side.BUY for t in sent),
            "execution_results": [_result(t) for t in trades],
            "post_execution_verification": verification(list_issues(end.document), sells, buys, position_count),
            "report": str(end.report),
            "document": end.document,
        }
    )
    return answer


SIDES: Final = (PhaseName.SELL, PhaseName.BUY)


def _in_script_order(trade: TradeRecord) -> tuple[bool, int]:
    """Return the sort key of results: SELLs that were not sent, SELLs, BUYs."""
    is_left_out = trade.side is Side.SELL and not trade.message_id
    return not is_left_out, SIDES.index(trade.phase)


def _describe_end(end: Executed, planned: int, sent: int) -> str:
    status = end.document["status"]
    if not planned:
        return f"{end.plan_id} has no trades; nothing was sent ({status})"
    return f"{end.plan_id}: {sent} of {planned} trades were sent ({status}); the report is {end.report}"


def _result(trade: TradeRecord) -> Answer:
    shown = {"ticker": trade.symbol, "action": str(trade.side), "message_id": trade.message_id}
    if not trade.message_id:  # the word of scripts for what was not sent
        shown = {"ticker": trade.symbol, "action": str(trade.side), "code": trade.code}
    return {
        **shown,
        "status": str(trade.status) if trade.message_id else "SKIPPED",
        "filled_qty": trade.filled_qty,
        "reason": trade.reason,
    }


def verification(issues: Sequence[str], sells: int, buys: int, position_count: int | None) -> Answer:
    """Return `post_execution_verification`. The numbers are of SELLs and BUYs that filled."""
    return {
        "passed": not issues,
        "issues": list(issues),
        "summary": {
            "position_count": position_count,
            "sells_executed": sells,
            "buys_executed": buys,
            "expected_count_change": buys - sells,
        },
    }


def list_issues(document: Mapping[str, Any]) -> list[str]:
    """Return what needs a look after an execution: its trades, and cash that does not add up."""
    issues = [
        f"{order['ticker']} {order['side']}: {order['status']} {order['reason']}".strip()
        for phase in document["phases"]
        for order in phase["orders"]
        if not is_in_order(order["status"], order["code"])
    ]
    if not document["cash_identity"]["holds"]:
        issues.append(f"cash is off by {document['cash_identity']['difference']}")
    return issues


def separate_buys_sells(
    trades: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return (sells, buys); each trade is in exactly one. Raises BadInput for a contradictory trade."""
    sides = [classify(trade, "plan", f"trades[{index}]") for index, trade in enumerate(trades)]
    pairs = list(zip(trades, sides, strict=True))
    return [t for t, side in pairs if side is Side.SELL], [t for t, side in pairs if side is Side.BUY]


def wait_for_orders_to_fill(
    symbols: Sequence[str], timeout: float, orders: OrderRecords, clock: Clock, work: Callable[[], None], poll: float
) -> bool:
    """Wait until the newest order of each symbol is terminal. Returns True if all of them filled.

    `work` has every department read its inbox once; `poll` is the pause between two looks, in seconds. Orders are
    followed by their own ids in the ledger, never by "no open order for the symbol".
    """
    give_up, line = clock.now() + timedelta(seconds=timeout), SparseLine(log)
    while True:
        work()
        newest = {o.symbol: o for o in orders.find_newest(symbols)}
        waiting = [t for t in symbols if t in newest and not newest[t].status.is_terminal]
        if not waiting:
            break
        if clock.now() >= give_up:
            log.warning("Timeout waiting for orders to fill after %gs", timeout)
            return False
        line.say(clock.now(), waiting, f"Waiting for {count_noun(len(waiting), 'order')} to fill: {', '.join(waiting)}")
        clock.sleep(poll)
    unfilled = [t for t in symbols if t not in newest or newest[t].status is not OrderStatus.FILLED]
    if not unfilled:
        log.info("All orders filled: %s", ", ".join(symbols))
    return not unfilled
