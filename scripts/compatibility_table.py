"""The table of what existing scripts read from our answers: the contract of the calls, and a page of `docs/`.

A key in brackets is one of each entry of a list: `plan.trades[].ticker`. `only` names the statuses that have the key,
nothing means every status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "whole", "number", "truth", "list", "mapping", "text?", "whole?"]

READY: Final = "READY_FOR_USER_APPROVAL"
SENT: Final = "EXECUTION_INITIATED"


@dataclass(frozen=True, slots=True)
class Answered:
    """One key of an answer: its type, what it means, and an example."""

    call: str
    key: str
    kind: Kind
    meaning: str
    example: str
    only: tuple[str, ...] = ()


GENERATE: Final = 'handle_user_request("generate_plan")'
APPROVE: Final = "approve_plan(plan_id)"
EXECUTE: Final = 'handle_user_request("execute_plan")'
DASHBOARD: Final = 'handle_user_request("view_dashboard")'
SUMMARY: Final = 'handle_user_request("get_portfolio_summary")'
POSITIONS: Final = "data_source.get_open_positions()"
OPERATIONS: Final = "OperationsManager.generate_trading_plan()"
RECONCILE: Final = "TradingDepartment.reconcile_positions()"


def _rows(call: str, text: str, *only: str) -> tuple[Answered, ...]:
    """Read rows `key | kind | meaning | example`, one a line."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return tuple(Answered(call, *_cells(line), only) for line in lines)


def _cells(line: str) -> tuple[str, Kind, str, str]:
    key, kind, meaning, example = (cell.strip() for cell in line.split("|"))
    return key, KINDS[kind], meaning, example


KINDS: Final[dict[str, Kind]] = {
    "text": "text",
    "whole": "whole",
    "number": "number",
    "truth": "truth",
    "list": "list",
    "mapping": "mapping",
    "text?": "text?",
    "whole?": "whole?",
}

_PLAN = """
    plan.plan_id | text | the plan | PLAN_20251110_070542
    plan.generated_at | text | when it was made, UTC | 2025-11-10T15:05:42Z
    plan.status | text | stage of the plan | READY_FOR_USER_APPROVAL
    plan.summary.total_trades | whole | trades | 16
    plan.summary.research_candidates | whole | candidates of the briefing | 67
    plan.summary.gpt5_selected | whole | BUYs among the trades | 11
    plan.summary.compliance_flagged | whole | candidates and holdings that a limit kept out | 3
    plan.summary.overall_quality_score | whole | quality, 0 to 100 | 80
    plan.summary.available_capital | number | cash before the plan, dollars | 12000.5
    plan.stage_quality.research | whole | quality, 0 to 100 | 100
    plan.stage_quality.news | whole | share of candidates with a sentiment, 0 to 100 | 90
    plan.stage_quality.gpt5_optimizer | whole | quality of the allocation, 0 to 100 | 92
    plan.stage_quality.compliance_advisory | whole | quality by the limits, 0 to 100 | 80
    plan.trades | list | SELLs, then BUYs | [...]
    plan.trades[].ticker | text | symbol | ALKS
    plan.trades[].action | text | BUY or SELL | BUY
    plan.trades[].shares | number | shares | 108
    plan.trades[].composite_score | number | 0 to 100; 0 with `is_scored: false` where nobody scored it | 73.6
    plan.trades[].sector | text | sector, or Unknown | Healthcare
    plan.trades[].sentiment_score | number | 0 to 100, 50 without news | 61
    plan.trades[].sentiment_summary | text | a sentence about the news | no news was read
    plan.trades[].gpt5_reasoning | text | why it is traded | added in score order
    plan.gpt5_reasoning | text | the notes of the plan | the best scores within the limits
    plan.compliance_suggestions | list | what a limit kept out | [...]
    plan.compliance_suggestions[].ticker | text | symbol | COMM
    plan.compliance_suggestions[].suggestion_type | text | reason code | NOT_TRADABLE
    plan.compliance_suggestions[].suggestion | text | a sentence | Skipped COMM - the broker does not trade it
    plan.compliance_suggestions[].severity | text | WARNING | WARNING
    plan.workflow_summary | list | the four stages | [...]
    plan.workflow_summary[].stage | text | research, news, portfolio_allocator, compliance_enforcement | research
    plan.workflow_summary[].message | text | a sentence | 67 candidates considered
    plan.workflow_summary[].quality_score | whole | 0 to 100 | 100
    plan.workflow_summary[].issues | list | sentences | []
"""
_STAGES = """
    stage_results | list | one entry a stage | [...]
    stage_results[].stage | text | name of the stage | research
    stage_results[].success | truth | false where it failed | true
    stage_results[].data | mapping | what it found | {"candidates": 67}
    stage_results[].message | text | a sentence | 67 candidates considered
    stage_results[].quality_score | whole | 0 to 100 | 100
    stage_results[].issues | list | sentences | []
"""

TABLE: Final[tuple[Answered, ...]] = (
    *_rows(
        GENERATE,
        """
    status | text | READY_FOR_USER_APPROVAL, REJECTED (no plan, or one that breaks a limit) or ERROR | REJECTED
    message | text | the sentence about it | there is no DailyBriefing of today
    ceo_review | mapping | the review | {...}
    ceo_review.overall_assessment | text | a sentence with the number of trades | 16 trades (5 SELLs, 11 BUYs)
    ceo_review.quality_rating | text | EXCELLENT from 85, GOOD from 70, ACCEPTABLE from 60, else CONCERNS | GOOD
    ceo_review.quality_score | whole | the number beside the word, 0 to 100 | 80
    ceo_review.strengths | list | sentences | [...]
    ceo_review.concerns | list | sentences | [...]
    ceo_review.recommendation | text | the words of the existing system | RECOMMEND APPROVAL
    ceo_review.constraint_validation.passed | truth | no trade breaks a limit | true
    ceo_review.constraint_validation.warnings | list | sentences | []
    ceo_review.constraint_validation.errors | list | sentences | []
    validation_errors | list | why it is REJECTED, sentences | []
    next_steps | list | what a person can do, letters A R V M | [...]
    plan | mapping | the plan, empty without one | {...}
    """,
    ),
    *_rows(GENERATE, _STAGES),
    *_rows(GENERATE, _PLAN, READY),
    *_rows(
        APPROVE,
        """
    status | text | PLAN_APPROVED or ERROR | PLAN_APPROVED
    plan_id | text | the plan, empty where nobody knows it | PLAN_20251110_070542
    message | text | a sentence | PLAN_20251110_070542 is approved by script
    next_steps | list | three sentences | [...]
    """,
    ),
    *_rows(
        EXECUTE,
        """
    status | text | EXECUTION_INITIATED or ERROR; `code` has ALREADY_EXECUTED or MARKET_CLOSED | EXECUTION_INITIATED
    plan_id | text | the plan, empty without one | PLAN_20251110_070542
    message | text | a sentence | PLAN_20251110_070542: 16 of 16 trades were sent (COMPLETED)
    trades_submitted | whole | trades of the plan, SKIPPED ones included | 16
    sells_submitted | whole | SELLs that were sent | 5
    buys_submitted | whole | BUYs that were sent | 11
    execution_results | list | SELLs, then BUYs | [...]
    execution_results[].ticker | text | symbol | ALKS
    execution_results[].action | text | BUY or SELL | BUY
    execution_results[].status | text | SKIPPED, or the status of the order | filled
    execution_results[].reason | text | why, empty where all is well | INSUFFICIENT_CASH: needed=2040
    post_execution_verification.passed | truth | nothing needs a look | true
    post_execution_verification.issues | list | sentences | []
    post_execution_verification.summary.position_count | whole? | positions afterwards, or null | 16
    post_execution_verification.summary.sells_executed | whole | SELLs with fills | 5
    post_execution_verification.summary.buys_executed | whole | BUYs with fills | 11
    post_execution_verification.summary.expected_count_change | whole | BUYs less SELLs | 6
    """,
    ),
    *_rows(
        DASHBOARD,
        """
    status | text | SUCCESS or ERROR | SUCCESS
    message | text | a sentence | 3 positions, equity $100,040.25, cash $40,000.00
    """,
    ),
    *_rows(
        DASHBOARD,
        """
    dashboard.performance.starting_capital | number | equity at the first execution, dollars | 100000.0
    dashboard.performance.current_equity | number | dollars | 100040.25
    dashboard.performance.total_return_dollars | number | dollars since the starting capital | 40.25
    dashboard.performance.total_return_pct | number | percent of it | 0.04
    dashboard.performance.portfolio_value | number | dollars | 100040.25
    dashboard.performance.cash | number | dollars | 40000.0
    dashboard.performance.buying_power | number | dollars | 80000.0
    dashboard.performance.daily_pl | number | dollars against the last close | -120.5
    dashboard.performance.daily_pl_pct | number | percent against the last close | -0.12
    dashboard.performance.positions_count | whole | positions | 3
    dashboard.open_positions | list | every position | [...]
    dashboard.open_positions[].ticker | text | symbol | CTVA
    dashboard.open_positions[].shares | number | shares | 190.0
    dashboard.open_positions[].entry_price | number | dollars a share | 65.0
    dashboard.open_positions[].current_price | number | dollars a share | 64.64
    dashboard.open_positions[].market_value | number | dollars | 12281.6
    dashboard.open_positions[].unrealized_pl | number | dollars | -68.4
    dashboard.open_positions[].unrealized_plpc | number | percent | -0.55
    """,
        "SUCCESS",
    ),
    *_rows(SUMMARY, "status | text | SUCCESS or ERROR | SUCCESS"),
    *_rows(SUMMARY, "message | text | why there is no summary | the broker does not answer", "ERROR"),
    *_rows(
        SUMMARY,
        """
    summary.position_count | whole | positions | 3
    summary.cash_balance | number | dollars | 40000.0
    summary.portfolio_value | number | dollars | 100040.25
    summary.buying_power | number | dollars | 80000.0
    summary.equity | number | dollars | 100040.25
    summary.positions | list | the first five | [...]
    summary.positions[].ticker | text | symbol | CTVA
    summary.positions[].shares | number | shares | 190.0
    summary.positions[].market_value | number | dollars | 12281.6
    summary.positions[].unrealized_pl | number | dollars | -68.4
    summary.positions[].unrealized_plpc | number | share of one | -0.0055
    """,
        "SUCCESS",
    ),
    *_rows(
        POSITIONS,
        """
    [].ticker | text | symbol | CTVA
    [].actual_shares | number | shares | 190.0
    [].actual_entry_price | number | dollars a share | 65.0
    [].current_price | number | dollars a share | 64.64
    [].market_value | number | dollars | 12281.6
    [].cost_basis | number | dollars | 12350.0
    [].unrealized_pl | number | dollars | -68.4
    [].unrealized_plpc | number | share of one | -0.0055
    [].status | text | OPEN | OPEN
    [].side | text | long or short | long
    """,
    ),
    *_rows(OPERATIONS, "status | text | SUCCESS, ESCALATED (nothing to trade, capital idle) or FAILED | SUCCESS"),
    *_rows(OPERATIONS, _STAGES),
    *_rows(OPERATIONS, _PLAN, "SUCCESS", "ESCALATED"),
    *_rows(OPERATIONS, "generated_at | text | when it was made, UTC | 2025-11-10T15:05:42Z", "SUCCESS", "ESCALATED"),
    *_rows(OPERATIONS, "error | text | why there is no plan | no DailyBriefing is there", "FAILED"),
    *_rows(
        OPERATIONS,
        """
    escalation.stage | text | the stage that a person has to look at | portfolio_allocator
    escalation.issue_type | text | quality_failure | quality_failure
    escalation.severity | text | WARNING above a quality of 30, else CRITICAL | CRITICAL
    escalation.context.stage_result | mapping | the stage | {...}
    escalation.context.quality_score | whole | 0 to 100 | 0
    escalation.context.issues | list | sentences | [...]
    escalation.options | list | what can be done, sentences | [...]
    escalation.recommendation | text | the first of them | look at the plan's skips and notes
    """,
        "ESCALATED",
    ),
    *_rows(
        RECONCILE,
        """
    status | text | SUCCESS or ERROR | SUCCESS
    pending_count | whole | BUYs that were open in the ledger | 2
    updated_to_open | whole | those that have fills now | 2
    marked_stale | whole | those that ended without one | 0
    """,
    ),
    *_rows(RECONCILE, "message | text | why nothing was compared | the broker does not answer", "ERROR"),
)

#: What stands in a trade of one side beside the keys of both.
TRADES: Final[dict[str, tuple[Answered, ...]]] = {
    "BUY": _rows(
        GENERATE,
        """
    allocated_capital | number | dollars of the trade | 3565.08
    entry_price | number | dollars a share | 33.01
    gpt5_allocated | truth | false where Operations added it in score order | false
    is_position_adjustment | truth | true where the symbol is held | false
    """,
        READY,
    ),
    "SELL": _rows(
        GENERATE,
        """
    sell_pct | whole | percent of the holding | 100
    current_price | number | dollars a share | 64.64
    current_value | number | dollars of the trade | 12281.6
    """,
        READY,
    ),
}
