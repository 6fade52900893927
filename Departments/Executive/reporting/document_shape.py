"""The shape of the final document, key by key, for people: the help of the commands shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EARLIER_FILL_SHAPE: Mapping[str, Any] = {
    "ticker": "symbol",
    "side": "SELL or BUY",
    "kind": "Stop-loss, Take-profit, Exit or An earlier order",
    "qty": "shares filled",
    "price": "dollars per share",
    "at": "when it filled",
    "bought_at": "the average price paid, or null",
    "profit": "realised profit in dollars, or null",
    "client_order_id": "our id at the broker",
    "sentence": "all of it for people",
}


ENTRY_SHAPE: Mapping[str, Any] = {
    "kind": "deposit, withdrawal, dividend, interest, fee, trade by somebody else, split, symbol change …",
    "ticker": "symbol, or null",
    "qty": "change of the shares held",
    "price": "dollars per share, or null",
    "cash": "change of the cash",
    "day": "the broker's day",
    "sentence": "all of it for people",
}


DOCUMENT_SHAPE: Mapping[str, Any] = {
    "error": {
        "code": "with status FAILED: a stable code such as BAD_INPUT or LEDGER_BUSY",
        "source": "the file, option or part, or null",
        "key": "the place in it, or null",
        "sentence": "what is wrong, for people, with the mend",
        "mend": "the mend alone, or null",
        "exit_code": "of the command (a number)",
    },
    "plan_id": "the plan",
    "status": (
        "COMPLETED, COMPLETED_WITH_ISSUES, DRY_RUN, NOT_APPROVED, ALREADY_EXECUTED, MARKET_CLOSED, "
        "NOTHING_TO_DO, NOTHING_TO_RESUME or FAILED"
    ),
    "approvals": [
        {
            "approved_by": "user@host, automatic or script",
            "approved_at": "when",
            "approved_from": "terminal, command or script",
            "limits_hash": "fingerprint of the limits in force",
        }
    ],
    "orders_by_hand": [
        {
            "plan_id": "an order by hand of the same day, begun before this report",
            "status": "COMPLETED or COMPLETED_WITH_ISSUES",
            "ticker": "symbol",
            "side": "SELL or BUY",
            "qty": "shares ordered",
            "filled_qty": "shares filled",
            "approved_by": "who approved it",
        }
    ],
    "account": {
        "equity": "equity before the run",
        "cash_before": "cash before the run",
        "cash_after": "cash after the run",
        "lowest_cash": "lowest cash of the run, by its fills and at its end; its fees are in the last figure",
        "reserve": "cash that had to stay",
    },
    "account_number": "broker and number of the account, masked, such as simulated SIM…A79; empty if unknown",
    "attempts": [
        {
            "attempt": "1, 2 … (a number)",
            "status": "COMPLETED, COMPLETED_WITH_ISSUES or NOTHING_TO_DO",
            "started_at": "when it began",
            "ended_at": "when it ended",
            "cash_before": "cash before it",
            "cash_after": "cash after it",
        }
    ],
    "left": [
        {
            "ticker": "symbol",
            "side": "SELL or BUY",
            "qty": "shares of the plan that did not fill",
            "code": "the last reason code, or empty",
            "reason": "CODE: key=value …, or empty",
        }
    ],
    "since_last": {
        "since": "the end of the last run, or null for a new ledger",
        "plan_id": "the plan of the last run, or null",
        "exits": [EARLIER_FILL_SHAPE],
        "changes": [ENTRY_SHAPE],
        "expired": [
            {"ticker": "symbol", "client_order_id": "of the exit", "at": "when it expired", "sentence": "all of it"}
        ],
        "cancelled": [
            {
                "ticker": "symbol",
                "client_order_id": "of the order or the exit",
                "at": "when it was cancelled, not by the desk",
                "sentence": "all of it",
            }
        ],
        "differences": [
            {
                "kind": "missing shares, unknown shares or unexplained cash",
                "ticker": "symbol, or null for cash",
                "qty": "shares the account has more",
                "cash": "dollars the account has more",
                "since": "first seen",
                "sentence": "all of it for people, with the mend",
            }
        ],
        "bridge": [{"label": "Cash then, Exits, Deposits, … Cash now", "amount": "dollars; they add up"}],
    },
    "earlier_orders": [EARLIER_FILL_SHAPE],
    "bookings": [ENTRY_SHAPE],
    "skipped": [{"ticker": "symbol", "code": "reason code", "reason": "CODE: key=value …"}],
    "plan_notes": ["a sentence of the plan for people, such as the message it was made from and whether it is signed"],
    "not_evaluated": ["a limit that orders of the plan could not be judged by, its missing data, the symbols"],
    "review": {
        "quality_rating": "0 to 10 (a number); the review of the executed plan, null without one",
        "recommendation": "APPROVE, HOLD or REJECT",
        "strengths": ["a sentence"],
        "concerns": ["a sentence, with the rule if it says HOLD"],
        "facts": [
            {"fact": "name", "value": "number for people", "limit": "or empty", "rule": "why it says HOLD, or empty"}
        ],
    },
    "phases": [
        {
            "name": "RELEASE, SELL, BUY or PROTECT",
            "attempt": "1, or more where an attempt finishes what the ones before left (a number)",
            "started_at": "when its orders were dispatched",
            "ended_at": "when the last was terminal, or the deadline had run",
            "orders": [
                {
                    "ticker": "symbol",
                    "side": "SELL or BUY",
                    "planned_qty": "shares planned",
                    "qty": "shares sent",
                    "status": "the order's status, denied or deferred; planned in a dry run",
                    "filled_qty": "shares filled",
                    "filled_avg_price": "average price, or null",
                    "message_id": "the approval, or null",
                    "client_order_id": "our id at the broker, or null",
                    "submitted_at": "when the broker had it, or null",
                    "terminal_at": "when it ended, or null",
                    "code": "reason code, or empty",
                    "reason": "CODE: key=value …, or empty",
                }
            ],
        }
    ],
    "denied": [{"ticker": "symbol", "code": "reason code", "reason": "CODE: key=value …"}],
    "deferred": [{"ticker": "symbol", "code": "reason code", "reason": "CODE: key=value …"}],
    "broken_limits": ["a sentence for each limit that a fill broke"],
    "unprotected": [
        {
            "ticker": "symbol",
            "qty": "shares that had no live exits",
            "since": "from when",
            "until": "to when, or null while they still have none",
        }
    ],
    "cash_identity": {
        "holds": "start + sells − buys − fees + other = end, to the cent; where it does not, somebody has to look",
        "difference": "end − (start + sells − buys − fees + other)",
        "other": "what the broker booked during the run besides trades and fees",
        "fees": "what the broker has booked for trading since the start",
    },
    "instructions": "what Trading acted on: decided, signed or unproven (`trading.instructions`); null otherwise",
    "dead_letters": [
        {
            "department": "whose inbox",
            "file": "its name there",
            "message_id": "the id it claims",
            "code": "reason code",
            "reason": "a sentence",
            "since": "when it was set aside",
            "mend": "what a person does about it",
        }
    ],
    "locks": [{"ticker": "symbol", "reason": "a sentence", "mend": "what a person does about it"}],
    "halts": [
        {
            "scope": "all (BUYs and SELLs) or buys",
            "reason": "the person's words",
            "halted_by": "user@host",
            "since": "from when",
            "sentence": "all of it for people",
            "mend": "what a person does about it",
        }
    ],
    "exit_code": "what the command ends with (a number)",
    "message": "only where nothing was executed: why",
}
