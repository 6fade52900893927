"""Coded reasons: why something was skipped, denied, rejected, deferred or set aside.

A reason reads `CODE: key=value key=value`. The table of codes in ARCHITECTURE.md is generated from `ReasonCode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Self

from Departments.core.money import plain


class ReasonCode(StrEnum):
    """Every code the desk uses; the text after `#:` is its line in the documentation."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Bind a code and the sentence that explains it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # --- constraints (Operations: skipped · Trading: denied) ---
    MIN_POSITION_VALUE = (
        "MIN_POSITION_VALUE",
        "the position would be smaller than max(min_position_value, min_position_pct × equity)",
    )
    # --- planning ---
    SCORE_BELOW_THRESHOLD = ("SCORE_BELOW_THRESHOLD", "the candidate's composite score is under the threshold")
    NO_PRICE = ("NO_PRICE", "nobody knows a price for the symbol")
    INVALID_CANDIDATE = ("INVALID_CANDIDATE", "an entry of the briefing or proposal has a missing or nonsensical field")
    DUPLICATE_TICKER = ("DUPLICATE_TICKER", "the symbol stands in one list more than once")
    NOT_HELD = ("NOT_HELD", "the account does not hold the symbol that was to be sold")
    SHORT_POSITION = ("SHORT_POSITION", "the account is short of the symbol; this desk only buys and sells what it holds")
    SOLD_IN_THIS_PLAN = ("SOLD_IN_THIS_PLAN", "the plan sells the symbol and never buys what it sells")
    DEPLOYMENT_TARGET = ("DEPLOYMENT_TARGET", "the deployment target is reached without it")
    # --- execution and funding ---
    INSUFFICIENT_CASH = ("INSUFFICIENT_CASH", "the cash that is really there does not cover the order (deferred)")
    TRIMMED_TO_CASH = ("TRIMMED_TO_CASH", "the order was made smaller, to what the cash that is really there covers")
    PHASE_ABORTED = ("PHASE_ABORTED", "an earlier phase was aborted, so the order was not sent (deferred)")
    PHASE_TIMEOUT = ("PHASE_TIMEOUT", "the order was still open at the phase's deadline and was cancelled")
    # --- broker refusals (rejected) ---
    BROKER_REJECTED = ("BROKER_REJECTED", "the broker refused the order for a reason of its own")
    BROKER_BUYING_POWER = ("BROKER_BUYING_POWER", "the broker found the buying power insufficient")
    BROKER_QTY_HELD = ("BROKER_QTY_HELD", "the shares are held by other open orders at the broker")
    BROKER_WASH_TRADE = ("BROKER_WASH_TRADE", "an opposite order on the same symbol is open at the broker")
    BROKER_ASSET = ("BROKER_ASSET", "the broker does not know the symbol, or it cannot be traded")
    BROKER_DUPLICATE_ID = ("BROKER_DUPLICATE_ID", "the client order id was used before by a different order")
    BROKER_INVALID_ORDER = ("BROKER_INVALID_ORDER", "the broker found the order's prices, quantity or class invalid")
    BROKER_CANCEL_TOO_LATE = ("BROKER_CANCEL_TOO_LATE", "the order had ended before the broker was asked to cancel it")
    # --- messages (dead letters, skips) ---
    UNREADABLE = ("UNREADABLE", "the file is not a message in any known format")
    UNKNOWN_TYPE = ("UNKNOWN_TYPE", "the department has no handler for this message type")
    MISADDRESSED = ("MISADDRESSED", "the message is addressed to another department")
    INVALID_PAYLOAD = ("INVALID_PAYLOAD", "the message's payload lacks a field or holds a wrong value")
    HANDLER_FAILED = ("HANDLER_FAILED", "handling failed again and again for a reason that may pass")


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with the numbers behind it, and optionally a sentence for people."""

    code: ReasonCode
    values: Mapping[str, str] = field(default_factory=dict)
    sentence: str = ""

    @classmethod
    def of(cls, code: ReasonCode, sentence: str = "", **values: object) -> Reason:
        """Build a reason; Decimals are written plainly, everything else as text."""
        return cls(code, {k: plain(v) if isinstance(v, Decimal) else str(v) for k, v in values.items()}, sentence)

    def __str__(self) -> str:
        pairs = " ".join(f"{key}={value}" for key, value in self.values.items())
        return f"{self.code}: {pairs}" if pairs else str(self.code)
