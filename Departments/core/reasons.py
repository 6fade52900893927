"""Coded reasons for everything skipped, denied, rejected, deferred or dead-lettered. Pure.

A reason reads `CODE: key=value key=value`. docs/codes.md is generated from `ReasonCode`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Self

from Departments.core.money import plain


class ReasonCode(StrEnum):
    """Every reason code, with its meaning for people and for the documentation."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Bind a code to its meaning."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # --- constraints (Operations: skipped · Trading: denied) ---
    MIN_POSITION_VALUE = (
        "MIN_POSITION_VALUE",
        "the position would be smaller than max(min_position_value, min_position_pct × equity)",
    )
    MAX_POSITION_VALUE = (
        "MAX_POSITION_VALUE",
        "the position would be larger than max_position_value or max_single_position_pct × equity allow today",
    )
    MAX_POSITIONS_TOTAL = (
        "MAX_POSITIONS_TOTAL",
        "the account already holds as many symbols as max_positions_total allows",
    )
    MAX_SECTOR_CONCENTRATION = ("MAX_SECTOR_CONCENTRATION", "the sector would be too large a share of equity")
    MAX_CORRELATED_POSITIONS = ("MAX_CORRELATED_POSITIONS", "too many held positions move together with the symbol")
    MAX_PORTFOLIO_HEAT = ("MAX_PORTFOLIO_HEAT", "the loss at all stops together would be too large")
    CASH_RESERVE = ("CASH_RESERVE", "the cash left would be less than the reserve")
    NO_MARGIN = ("NO_MARGIN", "the order would need borrowed money")
    UNSETTLED_FUNDS = ("UNSETTLED_FUNDS", "the order would spend unsettled proceeds (cash account)")
    NEW_MONEY_LIMIT = (
        "NEW_MONEY_LIMIT",
        "the day would invest more money anew than max_new_per_day or ramp_days allow",
    )
    DRAWDOWN_HALT = ("DRAWDOWN_HALT", "the portfolio has fallen too far from its peak to buy")
    EQUITY_NOT_POSITIVE = ("EQUITY_NOT_POSITIVE", "the account has no equity to buy with")
    INVALID_QUANTITY = ("INVALID_QUANTITY", "the quantity is not positive, or a BUY is not of whole shares")
    SELL_EXCEEDS_HOLDING = ("SELL_EXCEEDS_HOLDING", "more shares would be sold than are held")
    SHARES_RESERVED = ("SHARES_RESERVED", "shares to be sold are still held by resting orders")
    MANUAL_ORDER_LIMIT = (
        "MANUAL_ORDER_LIMIT",
        "as many orders by hand were executed today as max_manual_orders_per_day allows",
    )
    SECOND_PERSON = ("SECOND_PERSON", "two different users must approve a plan of this size (approval.four_eyes_above)")
    MIN_DAILY_VOLUME = ("MIN_DAILY_VOLUME", "the stock trades too few shares a day")
    MAX_ORDER_OF_VOLUME = ("MAX_ORDER_OF_VOLUME", "the order is too large a share of the stock's daily volume")
    MAX_SPREAD = ("MAX_SPREAD", "bid and ask are too far apart")
    MIN_STOCK_PRICE = ("MIN_STOCK_PRICE", "the share price is too low")
    MAX_STOCK_PRICE = ("MAX_STOCK_PRICE", "the share price is too high")
    MIN_MARKET_CAP = ("MIN_MARKET_CAP", "the company's market capitalisation is too small")
    VIX_PANIC = (
        "VIX_PANIC",
        "no BUYs: the VIX is above vix_panic_threshold, or above a lower threshold with a size of 0",
    )
    REGIME_HALT = ("REGIME_HALT", "no BUYs in this market regime")
    SPY_DRAWDOWN_HALT = ("SPY_DRAWDOWN_HALT", "the S&P 500 has fallen too far from its high to buy")
    SIZE_REDUCED = ("SIZE_REDUCED", "regime or VIX make every BUY smaller today (an effect, not a violation)")
    MARKET_CLOSED = ("MARKET_CLOSED", "the exchange is closed")
    LAST_MINUTES = ("LAST_MINUTES", "it is too close to the end of the exchange's day to buy")
    TRADING_HALTED = ("TRADING_HALTED", "trading in the symbol is halted")
    NOT_TRADABLE = ("NOT_TRADABLE", "the broker does not trade the symbol")
    EARNINGS_DAY = ("EARNINGS_DAY", "the company reports earnings on this day")
    ONE_EXECUTION_PER_DAY = ("ONE_EXECUTION_PER_DAY", "another plan was executed on this trading day")
    ALREADY_EXECUTED = ("ALREADY_EXECUTED", "this plan was executed before")
    STALE_PLAN = ("STALE_PLAN", "the plan is too old to act on")
    STALE_PRICE = ("STALE_PRICE", "the price is too old to act on")
    LIMITS_CHANGED = ("LIMITS_CHANGED", "the plan was made with other limits")
    PRICE_MOVED = ("PRICE_MOVED", "the price has moved further against the plan than price_buffer_pct")
    ACCOUNT_BLOCKED = ("ACCOUNT_BLOCKED", "the broker has blocked the account")
    DAY_TRADE_LIMIT = ("DAY_TRADE_LIMIT", "the SELL would be one day trade too many")
    SAME_DAY_ROUND_TRIP = (
        "SAME_DAY_ROUND_TRIP",
        "the desk sold the symbol today and does not buy it back on the same day",
    )
    REOPEN_PAUSE = ("REOPEN_PAUSE", "the position was closed less than reopen_pause_hours ago")
    BLOCKED_SYMBOL = ("BLOCKED_SYMBOL", "the symbol is on the blocklist and is never bought")
    NOT_EVALUATED = ("NOT_EVALUATED", "a constraint lacks its data, and missing_data denies the order")
    # --- planning ---
    SCORE_BELOW_THRESHOLD = ("SCORE_BELOW_THRESHOLD", "the candidate's composite score is under the threshold")
    PRICE_MISMATCH = (
        "PRICE_MISMATCH",
        "the broker's price is further from the plan's than max_price_mismatch_pct allows",
    )
    NO_FRESH_QUOTE = ("NO_FRESH_QUOTE", "no fresh bid and ask were known while the BUYs waited (deferred)")
    NO_PRICE = ("NO_PRICE", "the symbol has no known price")
    INVALID_CANDIDATE = ("INVALID_CANDIDATE", "an entry of the briefing or proposal has a missing or invalid field")
    DUPLICATE_TICKER = ("DUPLICATE_TICKER", "one list names the symbol more than once")
    NOT_HELD = ("NOT_HELD", "the account does not hold the symbol")
    SHORT_POSITION = (
        "SHORT_POSITION",
        "the account is short the symbol; this desk trades long positions only",
    )
    SOLD_IN_THIS_PLAN = ("SOLD_IN_THIS_PLAN", "the plan sells the symbol, so it does not buy it")
    MAX_AUTO_POSITION = (
        "MAX_AUTO_POSITION",
        "the smallest allowed position is above max_auto_position_pct, or every candidate is already at it",
    )
    MIN_TRADE_VALUE = (
        "MIN_TRADE_VALUE",
        "a held symbol would be topped up by less than max(min_trade_value, min_trade_pct × equity)",
    )
    REBALANCE_BAND = (
        "REBALANCE_BAND",
        "a held symbol is about as large as the others (rebalance_band_pct)",
    )
    SIZES_KEPT = ("SIZES_KEPT", "the plan's sizes are kept, so what is left stays in cash")
    VETOED_BY = ("VETOED_BY", "a person took the order out of the plan")
    NO_CANDIDATES = ("NO_CANDIDATES", "no candidate is left to buy")
    DEPLOYMENT_TARGET = ("DEPLOYMENT_TARGET", "the plan reaches the deployment target without it")
    # --- execution and funding ---
    INSUFFICIENT_CASH = ("INSUFFICIENT_CASH", "the actual cash does not cover the order (deferred)")
    TRIMMED_TO_CASH = ("TRIMMED_TO_CASH", "the order was trimmed to the actual cash")
    TRIMMED_TO_BUDGET = (
        "TRIMMED_TO_BUDGET",
        "the price is above the plan's, so the order was trimmed to the money planned for it",
    )
    CASH_LAG = ("CASH_LAG", "the account's cash is still behind the fills; run again to finish (deferred or trimmed)")
    NOTHING_AVAILABLE = ("NOTHING_AVAILABLE", "none of the shares to sell are held and free (deferred)")
    TRIMMED_TO_AVAILABLE = ("TRIMMED_TO_AVAILABLE", "the SELL was trimmed to the shares held and free")
    SYMBOL_LOCKED = ("SYMBOL_LOCKED", "the ledger and the broker disagree about the symbol; a person must check it")
    DESK_HALTED = ("DESK_HALTED", "a person has halted BUYs, or BUYs and SELLs (departments halt)")
    ENTRY_STILL_OPEN = ("ENTRY_STILL_OPEN", "the BUY is still open; its exits go live when it fills (deferred)")
    RELEASE_STILL_OPEN = (
        "RELEASE_STILL_OPEN",
        "the old exits are still being cancelled; afterwards the shares are unprotected (deferred)",
    )
    NO_LIVE_EXITS = (
        "NO_LIVE_EXITS",
        "shares have no live exit after the day; the next run gives them exits",
    )
    ACCOUNT_SHARED = (
        "ACCOUNT_SHARED",
        "the broker has orders of today under this desk's ids that the ledger does not know; a person must check them",
    )
    PHASE_ABORTED = ("PHASE_ABORTED", "an earlier phase was aborted, so the order was not sent (deferred)")
    NOT_DISPATCHED = (
        "NOT_DISPATCHED",
        "a script's own `_send_trade_to_trading_dept` did not send the trade (deferred)",
    )
    FILLED_SHORT = (
        "FILLED_SHORT",
        "the broker calls the order filled, with fewer shares than were sent; check it there",
    )
    FILLED_BEYOND = (
        "FILLED_BEYOND",
        "the order filled with more shares than were sent: somebody edited it; check it at the broker",
    )
    PHASE_TIMEOUT = ("PHASE_TIMEOUT", "the order was still open at the phase's deadline and was cancelled")
    # --- broker refusals (rejected) ---
    BROKER_REJECTED = ("BROKER_REJECTED", "the broker refused the order for a reason of its own")
    REJECTED_LATER = (
        "REJECTED_LATER",
        "the broker accepted the order and rejected it later, without a reason",
    )
    BROKER_BUYING_POWER = ("BROKER_BUYING_POWER", "the broker found the buying power insufficient")
    BROKER_QTY_HELD = ("BROKER_QTY_HELD", "the shares are held by other open orders at the broker")
    BROKER_WASH_TRADE = ("BROKER_WASH_TRADE", "an opposite order on the same symbol is open at the broker")
    BROKER_ASSET = ("BROKER_ASSET", "the broker does not know the symbol, or does not trade it")
    BROKER_DUPLICATE_ID = ("BROKER_DUPLICATE_ID", "the client order id was used before by a different order")
    BROKER_INVALID_ORDER = ("BROKER_INVALID_ORDER", "the broker found the order's prices, quantity or class invalid")
    BROKER_CANCEL_TOO_LATE = ("BROKER_CANCEL_TOO_LATE", "the order had ended before the broker was asked to cancel it")
    # --- messages (dead letters, skips) ---
    UNREADABLE = ("UNREADABLE", "the file is not a message in any known format")
    UNKNOWN_TYPE = ("UNKNOWN_TYPE", "the department has no handler for this message type")
    MISADDRESSED = ("MISADDRESSED", "the message is addressed to another department")
    INVALID_PAYLOAD = ("INVALID_PAYLOAD", "the message's payload lacks a field or holds a wrong value")
    HANDLER_FAILED = ("HANDLER_FAILED", "every attempt to handle the message failed; the cause may pass")
    HANDLER_ERROR = ("HANDLER_ERROR", "the handler raised an unexpected error; the reason file has its traceback")
    MESSAGE_CONFLICT = ("MESSAGE_CONFLICT", "another message with this id was handled before")
    SENDER_NOT_ALLOWED = ("SENDER_NOT_ALLOWED", "this sender may not send this message type (`messages.senders`)")
    NOT_DECIDED_HERE = (
        "NOT_DECIDED_HERE",
        "the ledger does not hold this very message as decided and sent by our department; nothing was done",
    )
    REPORT_CONTRADICTED = (
        "REPORT_CONTRADICTED",
        "the report names an unsent instruction, or contradicts the ledger; it is ignored",
    )
    NOT_SIGNED = (
        "NOT_SIGNED",
        "the message lacks its sender's signature (`messages.require_signature`), or has a wrong one; nothing was done",
    )
    CONTRADICTION = (
        "CONTRADICTION",
        "files of this message id have different contents, and nothing proves one; drop the wrong one, retry the other",
    )


_PAIR = re.compile(r"(\w+)=(.*?)(?= \w+=|\Z)")


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with its numbers, and optionally a sentence for people."""

    code: ReasonCode
    values: Mapping[str, str] = field(default_factory=dict)
    sentence: str = ""

    @classmethod
    def of(cls, code: ReasonCode, sentence: str = "", **values: object) -> Reason:
        """Build a reason. Decimals become plain digits, other values their text."""
        return _share_reason(
            code, sentence, tuple((k, plain(v) if isinstance(v, Decimal) else str(v)) for k, v in values.items())
        )

    @classmethod
    def parse(cls, text: str) -> Reason:
        """Parse the text of a reason. Raises ValueError for an unknown code."""
        return _parse_reason(text)

    def __str__(self) -> str:
        pairs = " ".join(f"{key}={value}" for key, value in self.values.items())
        return f"{self.code}: {pairs}" if pairs else str(self.code)


@lru_cache(maxsize=256)  # thousands of candidates are left out for the same few
def _share_reason(code: ReasonCode, sentence: str, values: tuple[tuple[str, str], ...]) -> Reason:
    return Reason(code, dict(values), sentence)


@lru_cache(maxsize=256)
def _parse_reason(text: str) -> Reason:
    code, _, pairs = text.partition(": ")
    if code not in ReasonCode.__members__:
        raise ValueError(f"{code!r} is not a reason code")
    return Reason(ReasonCode[code], dict(_PAIR.findall(pairs)))


def join_reasons(*texts: str) -> str:
    """Return the texts of several reasons as one, the most telling first; empty ones are left out."""
    return "; ".join(filter(None, texts))
