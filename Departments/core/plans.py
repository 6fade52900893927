"""The trading plan as a value, and the existing plan document (`proposed_trades_<date>.json`) it is written as."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.clock import iso, parse_iso
from Departments.core.errors import BadInput
from Departments.core.identifiers import is_safe_name
from Departments.core.money import decimal_of, plain, price_of
from Departments.core.orders import Side
from Departments.core.reasons import Reason

#: A symbol of the exchanges this desk trades on, such as UPS, BRK.B or BF-B.
TICKER: Final = re.compile(r"[A-Z][A-Z0-9]{0,9}(?:[.\-][A-Z0-9]{1,4})?\Z")
LARGEST: Final = 12  # the power of ten above which no number of a plan is: shares × price stay exact to the cent


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of a plan. `qty` in whole shares for a BUY, `price` in dollars per share at planning time.

    `score` is the composite score (0 to 100), `target_value` what a proposer wanted to allocate, in dollars.
    """

    ticker: str
    side: Side
    qty: Decimal
    price: Decimal | None
    score: Decimal | None = None
    sector: str | None = None
    reason: str = ""
    target_value: Decimal | None = None

    @property
    def notional(self) -> Decimal | None:
        """Return shares × price, None without a price."""
        return None if self.price is None else self.qty * self.price


@dataclass(frozen=True, slots=True)
class Skip:
    """Something Operations did not plan, and why. `line` is the sentence for the log."""

    ticker: str
    reason: Reason
    line: str


@dataclass(frozen=True, slots=True)
class TradingPlan:
    """A plan: SELLs before BUYs, each checked against projected cash when it was made.

    `limits_hash` and `equity`/`cash` say what it was made from; `notes` are sentences for people, such as which
    constraint kept the deployment target out of reach.
    """

    plan_id: str
    generated_at: datetime
    trades: tuple[Trade, ...]
    skipped: tuple[Skip, ...] = ()
    equity: Decimal | None = None
    cash: Decimal | None = None
    deployment: Decimal | None = None
    limits_hash: str = ""
    regime: str = ""
    notes: tuple[str, ...] = ()
    not_evaluated: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sells(self) -> tuple[Trade, ...]:
        """Return the SELL trades in plan order."""
        return tuple(t for t in self.trades if t.side is Side.SELL)

    @property
    def buys(self) -> tuple[Trade, ...]:
        """Return the BUY trades in plan order."""
        return tuple(t for t in self.trades if t.side is Side.BUY)


def classify(trade: Mapping[str, Any], source: str, place: str) -> Side:
    """Tell which way a trade of a plan document goes, once and for all.

    `action` decides; failing it, `allocated_capital` means BUY and `position_id` means SELL. Raises BadInput for
    neither, for contradictory evidence and for an action that is neither BUY nor SELL.
    """
    if not isinstance(trade, Mapping):
        raise BadInput(source, place, "a trade must be a mapping", "write {ticker, action, shares, …}")
    action = str(trade.get("action") or "").strip().upper()
    if action:
        if action in Side.__members__:
            return Side[action]
        raise BadInput(source, f"{place}.action", f"{action!r} is neither BUY nor SELL", "write BUY or SELL")
    buys, sells = trade.get("allocated_capital") is not None, trade.get("position_id") is not None
    if buys == sells:
        problem = "carries both allocated_capital and position_id" if buys else "says neither BUY nor SELL"
        raise BadInput(source, place, f"the trade {problem}", "add action BUY or SELL")
    return Side.BUY if buys else Side.SELL


def trade_from(document: Mapping[str, Any], source: str, place: str) -> Trade:
    """Read one trade of a plan document. Raises BadInput naming source and key."""
    side = classify(document, source, place)
    ticker = _symbol(document.get("ticker"), source, f"{place}.ticker")
    price_key = next((k for k in ("entry_price", "price", "current_price") if document.get(k) is not None), None)
    qty = _number(document.get("shares"), source, f"{place}.shares")
    if qty <= 0:
        raise BadInput(source, f"{place}.shares", f"{plain(qty)} shares cannot be traded", "give a positive number")
    price = None if price_key is None else _number(document[price_key], source, f"{place}.{price_key}", read=price_of)
    if price is not None and price <= 0:
        raise BadInput(source, f"{place}.{price_key}", f"the price {plain(price)} is not positive", "give a price")
    return Trade(
        ticker=ticker,
        side=side,
        qty=qty,
        price=price,
        score=_optional(document, "composite_score", source, place),
        sector=str(document["sector"]) if document.get("sector") else None,
        reason=str(document.get("reason") or document.get("gpt5_reasoning") or ""),
        target_value=_optional(document, "allocated_capital", source, place) if side is Side.BUY else None,
    )


def _symbol(value: Any, source: str, place: str) -> str:
    """Read a ticker: a name from outside decides nothing unchecked."""
    ticker = value.strip().upper() if isinstance(value, str) else ""
    if not TICKER.match(ticker):
        problem = "is missing" if value is None or value == "" else f"{str(value)[:40]!r} is not a symbol"
        raise BadInput(source, place, problem, "name the symbol like UPS or BRK.B")
    return ticker


def trades_from(documents: Sequence[Mapping[str, Any]], source: str) -> tuple[Trade, ...]:
    """Read all trades of a plan document and refuse contradictions between them. Raises BadInput."""
    trades = tuple(trade_from(d, source, f"trades[{i}]") for i, d in enumerate(documents))
    seen: dict[str, Side] = {}
    for index, trade in enumerate(trades):
        if trade.ticker in seen:
            first = seen[trade.ticker]
            problem = f"{trade.ticker} is already a {first} in this plan"
            raise BadInput(source, f"trades[{index}]", problem, "leave one trade for each symbol")
        seen[trade.ticker] = trade.side
    return trades


def trade_document(trade: Trade) -> dict[str, Any]:
    """Write one trade with the existing keys. Numbers stay Decimal."""
    common: dict[str, Any] = {"ticker": trade.ticker, "action": str(trade.side), "shares": trade.qty}
    if trade.side is Side.BUY:
        common |= {"allocated_capital": trade.notional, "entry_price": trade.price}
    else:
        common |= {"current_price": trade.price, "current_value": trade.notional}
    common |= {"composite_score": trade.score, "sector": trade.sector or "Unknown", "reason": trade.reason}
    return {k: v for k, v in common.items() if v is not None}


def skip_documents(skips: Iterable[Skip]) -> list[dict[str, str]]:
    """Write skips as `{ticker, code, reason}`."""
    return [{"ticker": s.ticker, "code": str(s.reason.code), "reason": str(s.reason)} for s in skips]


#: The keys that `plan_document` writes from the plan's own fields; all others are carried along.
WRITTEN_KEYS = frozenset(
    {
        "plan_id",
        "generated_at",
        "status",
        "summary",
        "trades",
        "skipped",
        "made_from",
        "notes",
        "not_evaluated",
        "approved_at",
    }
)


def plan_document(plan: TradingPlan, status: str = "READY_FOR_USER_APPROVAL") -> dict[str, Any]:
    """Write a plan as the existing plan document, with what it was made from under `made_from`."""
    return {
        "plan_id": plan.plan_id,
        "generated_at": iso(plan.generated_at),
        "status": status,
        "summary": {"total_trades": len(plan.trades), "sells": len(plan.sells), "buys": len(plan.buys)},
        "trades": [trade_document(t) for t in plan.trades],
        "skipped": [d | {"line": s.line} for d, s in zip(skip_documents(plan.skipped), plan.skipped, strict=True)],
        "made_from": {
            "equity": plan.equity,
            "cash": plan.cash,
            "deployment": plan.deployment,
            "limits_hash": plan.limits_hash,
            "regime": plan.regime,
        },
        "notes": list(plan.notes),
        "not_evaluated": list(plan.not_evaluated),
        **plan.extra,
    }


def plan_from(document: Mapping[str, Any], source: str) -> TradingPlan:
    """Read a plan document. Raises BadInput naming source and key."""
    if not isinstance(document, Mapping):
        raise BadInput(source, "", "a plan must be a mapping", "write {plan_id, generated_at, trades}")
    trades = document.get("trades")
    if not isinstance(trades, list):
        raise BadInput(source, "trades", "is missing or not a list", "list the trades")
    plan_id = str(document.get("plan_id") or "")
    if not is_safe_name(plan_id):
        problem = "cannot be the name of a file" if plan_id else "is missing"
        raise BadInput(source, "plan_id", problem, "name the plan, for example PLAN_20251110_070542")
    try:
        generated_at = parse_iso(str(document.get("generated_at")))
    except (ValueError, OverflowError) as error:
        raise BadInput(source, "generated_at", "is not an ISO time", "write 2025-11-10T15:05:42Z") from error
    made_from = document.get("made_from") or {}
    if not isinstance(made_from, Mapping):
        raise BadInput(source, "made_from", "is not a mapping", "remove it")
    return TradingPlan(
        plan_id=plan_id,
        generated_at=generated_at,
        trades=trades_from(trades, source),
        skipped=_skips(document.get("skipped")),
        equity=_optional(made_from, "equity", source, "made_from"),
        cash=_optional(made_from, "cash", source, "made_from"),
        deployment=_optional(made_from, "deployment", source, "made_from"),
        limits_hash=str(made_from.get("limits_hash") or ""),
        regime=str(made_from.get("regime") or ""),
        notes=_sentences(document.get("notes")),
        not_evaluated=_sentences(document.get("not_evaluated")),
        extra={key: value for key, value in document.items() if key not in WRITTEN_KEYS},
    )


def _sentences(value: Any) -> tuple[str, ...]:
    """Read a list of sentences; whatever else stands there is one."""
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value else ()


def _skips(documents: Any) -> tuple[Skip, ...]:
    """Read what a plan document says it left out; entries that this desk did not write are passed over."""
    entries = [s for s in documents if isinstance(s, Mapping)] if isinstance(documents, list) else []
    return tuple(skip for entry in entries if (skip := _skip(entry)))


def _skip(entry: Mapping[str, Any]) -> Skip | None:
    try:
        reason = Reason.parse(str(entry.get("reason")))
    except ValueError:
        return None
    return Skip(str(entry.get("ticker") or ""), reason, str(entry.get("line") or reason))


def _number(value: Any, source: str, place: str, *, read: Callable[[Any], Decimal] = decimal_of) -> Decimal:
    try:
        number = read(value)
    except ValueError as error:
        raise BadInput(source, place, str(error), "give a number") from error
    if number.adjusted() > LARGEST:
        raise BadInput(source, place, "is too large to be true", "correct the number")
    return number


def _optional(document: Mapping[str, Any], key: str, source: str, place: str) -> Decimal | None:
    value = document.get(key)
    return None if value is None else _number(value, source, f"{place}.{key}")
