"""What a page shows beside the final document of a plan, read from the ledger: its key `page`.

Money, quantities and shares of equity are strings; times are ISO 8601 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from Departments.constraints.amounts import known_sector
from Departments.core.moments import iso
from Departments.core.money import ZERO, money_text, plain
from Departments.core.orders import OrderType, Side
from Departments.core.plans import TradingPlan
from Departments.core.portfolio import UNKNOWN_SECTOR
from Departments.core.statuses import PhaseName
from Departments.core.trading_calendar import trading_day
from Departments.Executive.overview.past_days import Slippage, measure_slippage
from Departments.Executive.reporting.document import orders_by_hand
from Departments.Executive.reporting.reason_words import describe_gap, describe_reasons, describe_skip
from Departments.Executive.reporting.run_cash import cash_path, lowest_cash_with_buys_first
from Departments.ledger.account_book import read_holdings
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import FillRecord, OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from Departments.messaging.plan_stages import OUTLOOK, RESEARCH

#: One basis point, a hundredth of a percent.
POINT: Final = Decimal("0.0001")
#: The review's concern that names the same gaps again.
GAPS: Final = "not evaluated"
#: A plan is made on an assessment that is at most so old.
VIEWS_LAST: Final = timedelta(hours=12)
_TRADING: Final = frozenset({PhaseName.SELL, PhaseName.BUY})


def add_page(ledger: Ledger, plan: TradingPlan, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the final document of an executed plan with `page`. Raises LookupError for a plan never executed."""
    run = ledger.plans.execution(plan.plan_id)
    if run is None:
        raise LookupError(f"{plan.plan_id} was never executed")
    first = ledger.plans.attempts(plan.plan_id)[0]
    fills = ledger.execution_fills(run)
    trades = ledger.plans.trades(plan.plan_id)
    outlook = plan.extra.get(OUTLOOK)
    outlook = outlook if isinstance(outlook, Mapping) else {}
    weights = _weigh(run, outlook, ledger, trades)
    invested = _share(run.equity - _find_cash(run, fills), run.equity)
    page = {
        "title": _write_title(run, trades, invested),
        "trading_day": run.trading_day.isoformat(),
        "started_at": iso(first.started_at),
        "ended_at": None if run.ended_at is None else iso(run.ended_at),
        "invested": invested,
        "cash": [list(step) for step in _cash_steps(run, fills)],
        "cash_buys_first": [list(step) for step in _cash_steps(run, _with_buys_first(fills))],
        "numbers": _sum_up(run, fills, trades),
        "trades": [_trade(plan, trade, fills) for trade in trades],
        "skipped": [
            {"ticker": s.symbol, "sentence": describe_skip(s), "code": str(s.reason.code)} for s in plan.skipped
        ],
        "weights": weights,
        "sectors": _weigh_sectors(outlook, weights, plan),
        "limits": list(outlook.get("headroom", ())),
        "limits_hash": str(ledger.plans.limits_hash(plan.plan_id) or ""),
        "not_evaluated": [describe_gap(line) for line in plan.not_evaluated],
        "positions": _positions(ledger, plan.plan_id, run),
        "regime": {"name": plan.regime, "views": list(_views(ledger, plan)), "concerns": list(_concerns(plan))},
        "later_by_hand": []
        if run.by_hand or run.ended_at is None
        else orders_by_hand(ledger, run.trading_day, since=run.ended_at),
        "opinions": [each.sentence for each in ledger.opinions.find(plan.plan_id)],
        "trail": list(_trail(ledger, plan, trades)),
    }
    return {**document, "page": page}


def _write_title(run: ExecutionRecord, trades: Iterable[TradeRecord], invested: str | None) -> str:
    """Return the day in words: date, symbols sold and bought, share of equity invested."""
    filled = {(t.phase, t.symbol) for t in trades if t.filled_qty > 0}
    sold, bought = (sum(phase is name for phase, _ in filled) for name in (PhaseName.SELL, PhaseName.BUY))
    day = run.trading_day
    share = "" if invested is None else f", {Decimal(invested) * 100:.0f} % invested"
    done = f"{sold} sold, {bought} bought" if sold or bought else "nothing traded"
    return f"{day:%A}, {day.day} {day:%B %Y} — {done}{share}"


def _find_cash(run: ExecutionRecord, fills: Iterable[FillRecord]) -> Decimal:
    """Return the cash at the end, or so far."""
    return cash_path(run.cash_before, fills)[-1] if run.cash_after is None else run.cash_after


def _share(amount: Decimal, equity: Decimal) -> str | None:
    return f"{amount / equity:.4f}" if equity > 0 else None


def _sum_up(run: ExecutionRecord, fills: Sequence[FillRecord], trades: Iterable[TradeRecord]) -> dict[str, Any]:
    """Return sales, purchases, slippage, and the lowest cash with the BUYs first."""
    ours = {side: [t for t in trades if t.side is side and t.phase in _TRADING] for side in Side}
    values = {side: sum(map(_value, rows), ZERO) for side, rows in ours.items()}
    slippage = {side: sum(map(measure_slippage, rows), Slippage()) for side, rows in ours.items()}
    return {
        "sold": money_text(values[Side.SELL]),
        "bought": money_text(values[Side.BUY]),
        "slippage": {"buys": slippage[Side.BUY].document(), "sells": slippage[Side.SELL].document()},
        "lowest_buys_first": money_text(lowest_cash_with_buys_first(run.cash_before, fills)) if fills else None,
    }


def _value(trade: TradeRecord) -> Decimal:
    return trade.filled_qty * (trade.filled_avg_price or ZERO)


# --- cash ---


def _with_buys_first(fills: Iterable[FillRecord]) -> list[FillRecord]:
    return sorted(fills, key=lambda record: record.side is Side.SELL)


def _cash_steps(run: ExecutionRecord, fills: Sequence[FillRecord]) -> Iterator[tuple[str, str, str]]:
    """Yield (moment, cash in dollars, what filled). Another order of the same fills keeps the moments."""
    moments = sorted(record.fill.filled_at for record in fills)
    path = cash_path(run.cash_before, fills)
    yield iso(run.started_at), money_text(path[0]), ""
    for at, cash, record in zip(moments, path[1:], fills, strict=True):
        yield iso(max(at, run.started_at)), money_text(cash), f"{record.side} {plain(record.fill.qty)} {record.symbol}"
    if run.ended_at is not None:
        yield iso(max([run.ended_at, *moments])), money_text(path[-1]), ""


# --- trades ---


def _trade(plan: TradingPlan, trade: TradeRecord, fills: Iterable[FillRecord]) -> dict[str, Any]:
    """Return one line of a phase with the plan's price and reason, and its slippage in basis points."""
    planned = next((t for t in plan.trades if (t.symbol, t.side) == (trade.symbol, trade.side)), None)
    price = trade.price or (planned.price if planned else None)
    return {
        "phase": str(trade.phase),
        "attempt": trade.attempt,
        "ticker": trade.symbol,
        "side": str(trade.side),
        "sector": trade.sector or (planned.sector if planned else None),
        "score": None if trade.score is None else plain(trade.score),
        "planned_qty": plain(trade.planned_qty),
        "funded_qty": plain(trade.qty),
        "sent_qty": plain(trade.qty if trade.message_id and trade.submitted_at else ZERO),
        "filled_qty": plain(trade.filled_qty),
        "plan_price": None if price is None else plain(price),
        "filled_avg_price": None if trade.filled_avg_price is None else plain(trade.filled_avg_price),
        "slippage_bps": _slippage(trade, price),
        "status": str(trade.status),
        "why": planned.reason if planned else "",
        "notes": describe_reasons(trade.reason),
        "sent_at": _moment(trade.submitted_at or trade.dispatched_at),
        "ended_at": _moment(trade.terminal_at),
        "fills": sum(r.symbol == trade.symbol and r.side is trade.side for r in fills),
        "message_id": trade.message_id,
    }


def _slippage(trade: TradeRecord, price: Decimal | None) -> str | None:
    """Return how much worse than the plan's price the fill was, in basis points; negative is better."""
    if price is None or trade.filled_avg_price is None or price <= 0:
        return None
    worse = trade.filled_avg_price - price if trade.side is Side.BUY else price - trade.filled_avg_price
    return f"{worse / price / POINT:.1f}"


def _moment(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


# --- the account ---


def _weigh(
    run: ExecutionRecord, outlook: Mapping[str, Any], ledger: Ledger, trades: Iterable[TradeRecord]
) -> list[dict[str, str | None]]:
    """Return each symbol's weight before, as planned, and after by its fills. Without an outlook there are none."""
    statement = ledger.book.find_statement(run.plan_id)
    held = None if statement is None else read_holdings(statement)
    moved: dict[str, Decimal] = {}
    for trade in trades:
        if trade.filled_avg_price is not None and trade.phase in {PhaseName.SELL, PhaseName.BUY}:
            value = _value(trade)
            moved[trade.symbol] = moved.get(trade.symbol, ZERO) + (value if trade.side is Side.BUY else -value)
    rows = list[dict[str, str | None]]()
    for row in outlook.get("weights", ()):
        name, before = str(row["name"]), Decimal(row["before"])
        after = before + moved.get(name, ZERO) / run.equity if run.equity > 0 else before
        if held is not None and not held.get(name):
            after = ZERO
        rows.append(
            {
                "ticker": name,
                "before": f"{before:.4f}",
                "planned": str(row["after"]),
                "after": f"{after:.4f}",
            }
        )
    return sorted(rows, key=lambda row: (-Decimal(str(row["after"])), -Decimal(str(row["before"])), str(row["ticker"])))


def _weigh_sectors(
    outlook: Mapping[str, Any], weights: Iterable[Mapping[str, str | None]], plan: TradingPlan
) -> list[dict[str, str]]:
    """Return each sector's weight before, as planned, and after: before, and what its symbols have changed by."""
    sectors = {trade.symbol: known_sector(trade.sector) or UNKNOWN_SECTOR for trade in plan.trades}
    rows = {str(row["name"]): row for row in outlook.get("sectors", ())}
    after = {name: Decimal(row["before"]) for name, row in rows.items()}
    for row in weights:
        sector = sectors.get(str(row["ticker"]))
        if sector in after:
            after[sector] += Decimal(str(row["after"])) - Decimal(str(row["before"]))
    found = [
        {"name": name, "before": row["before"], "planned": row["after"], "after": f"{max(ZERO, after[name]):.4f}"}
        for name, row in rows.items()
    ]
    return sorted(found, key=lambda row: (-Decimal(row["after"]), -Decimal(row["before"]), row["name"]))


def _positions(ledger: Ledger, plan_id: str, run: ExecutionRecord) -> list[dict[str, str | None]]:
    """Return the shares held after the run with the price paid and today's live exits."""
    statement = ledger.book.find_statement(plan_id)
    held = {} if statement is None else {s: q for s, q in read_holdings(statement).items() if q}
    until = run.ended_at or run.started_at
    exits = ledger.orders.find_open_exits(symbols=sorted(held)) if held else []
    return [
        {
            "ticker": symbol,
            "qty": plain(qty),
            "entry": _price(ledger.book.find_entry_price(symbol, until + timedelta(microseconds=1))),
            "stop": _price(next((o.stop_price for o in exits if o.symbol == symbol and o.stop_price), None)),
            "target": _price(next((o.limit_price for o in exits if o.symbol == symbol and _is_target(o)), None)),
        }
        for symbol, qty in sorted(held.items())
    ]


def _is_target(order: OrderRecord) -> bool:
    return order.order_type == OrderType.LIMIT


def _price(price: Decimal | None) -> str | None:
    return None if price is None else money_text(price)


# --- the market, and the messages ---


def _views(ledger: Ledger, plan: TradingPlan) -> Iterator[dict[str, str]]:
    for found in ledger.regimes.young_assessments(plan.generated_at, VIEWS_LAST):
        if trading_day(found.assessed_at) == trading_day(plan.generated_at):
            numbers = (f"{_name_indicator(name)} {plain(value)}" for name, value in found.indicators.items() if value)
            yield {
                "regime": str(found.regime),
                "confidence": str(found.confidence),
                "at": iso(found.assessed_at),
                "source": found.source,
                "numbers": ", ".join(numbers),
            }


def _name_indicator(name: str) -> str:
    """Return the name of an indicator for people: `spy_change_pct` is "SPY change %"."""
    words = ("%" if word == "pct" else word.upper() if word in {"spy", "vix"} else word for word in name.split("_"))
    return " ".join(words)


def _concerns(plan: TradingPlan) -> Iterator[str]:
    """Yield the concerns of the review, as the plan document keeps them."""
    stages = plan.extra.get("workflow_summary")
    for stage in stages if isinstance(stages, Sequence) and not isinstance(stages, str) else ():
        if isinstance(stage, Mapping):
            yield from (text for each in stage.get("issues") or () if not (text := str(each)).startswith(GAPS))


def _trail(ledger: Ledger, plan: TradingPlan, trades: Sequence[TradeRecord]) -> Iterator[dict[str, str]]:
    """Yield the messages of a day in their order: the briefing, and what the desk sent for the plan."""
    research = plan.extra.get(RESEARCH)
    briefing = str(research.get("briefing") or "") if isinstance(research, Mapping) else ""
    if briefing.startswith("MSG_"):
        yield {"message_id": briefing, "from": "RESEARCH", "to": "OPERATIONS", "at": "", "about": "briefing"}
    about = {trade.message_id: f"{trade.side} {trade.symbol}" for trade in trades if trade.message_id}
    for letter in ledger.journal.find_letters_of(plan.plan_id):
        message_id = letter.name.removesuffix(".md")
        topic = about.get(message_id) or about.get(letter.parent_message_id or "") or ""
        yield {
            "message_id": message_id,
            "from": letter.sender,
            "to": letter.recipient,
            "at": iso(letter.enqueued_at),
            "about": topic,
        }
