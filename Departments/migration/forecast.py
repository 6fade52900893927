"""What will be different in a project, told with its own numbers. Reading only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from Departments.constraints.amounts import (
    cash_reserve,
    days_to_settle,
    deployment_target,
    minimum_position,
    must_settle,
)
from Departments.constraints.compliance import describe_origins, tighten
from Departments.constraints.limits import Limits, limits_file, load_limits
from Departments.core.errors import BadInput, LedgerError
from Departments.core.money import BEYOND_REASON, ZERO, cents, count_noun, decimal_of, plain, usd_cents
from Departments.core.platform.text_files import config_file, read_json
from Departments.core.settings import load_settings
from Departments.ledger.sqlite import look_into
from Departments.migration.configuring import RAMP_DAYS, may_ramp
from Departments.migration.survey import Survey, has_older_code


@dataclass(frozen=True, slots=True)
class RecordedAccount:
    """The account as the project recorded it on a day, in dollars; buying power is with margin."""

    day: date
    equity: Decimal
    cash: Decimal
    buying_power: Decimal | None


def read_accounts(path: Path) -> dict[date, list[RecordedAccount]]:
    """Read the records of each day from `portfolio_snapshots`, in their order; none where there is no such table."""
    sql = "SELECT timestamp, total_value, cash_balance, buying_power FROM portfolio_snapshots ORDER BY timestamp"
    try:
        rows = look_into(path, sql)
    except LedgerError:
        return {}
    found: dict[date, list[RecordedAccount]] = {}
    for timestamp, equity, cash, power in rows:
        try:
            day = date.fromisoformat(str(timestamp)[:10])
            amounts = _read_amount(equity), _read_amount(cash), None if power is None else _read_amount(power)
        except ValueError:
            continue
        found.setdefault(day, []).append(RecordedAccount(day, *amounts))
    return found


def _read_amount(value: Any) -> Decimal:
    """Read an amount of dollars. Raises ValueError for one that no account has."""
    amount = decimal_of(value)
    if abs(amount) > BEYOND_REASON:
        raise ValueError("the amount is above 10^15")
    return cents(amount)


def read_plans(root: Path) -> dict[date, Sequence[Mapping[str, Any]]]:
    """Read the trades of the project's plan files, by the day in their name; odd files are left out."""
    found: dict[date, Sequence[Mapping[str, Any]]] = {}
    for path in sorted(root.glob("proposed_trades_*.json")):
        try:
            day = date.fromisoformat(path.stem.removeprefix("proposed_trades_"))
            trades = read_json(path).get("trades")
        except (ValueError, BadInput):
            continue
        if isinstance(trades, list):
            found[day] = [trade for trade in trades if isinstance(trade, dict)]
    return found


def value_of_buys(trades: Sequence[Mapping[str, Any]]) -> Decimal:
    """Return the dollars that the BUYs of a plan were meant to take."""
    total = ZERO
    for trade in trades:
        if trade.get("action") == "BUY":
            try:
                total += decimal_of(trade.get("shares")) * decimal_of(trade.get("entry_price"))
            except ValueError:
                continue
    return total


def forecast(survey: Survey) -> Iterator[str]:
    """Yield a sentence about each difference that concerns the project."""
    limits = _read_limits(survey)
    accounts = read_accounts(survey.ledger.path) if survey.ledger is not None else {}
    newest = accounts[max(accounts)][-1] if accounts else None
    if newest is not None and newest.equity > 0 and limits is not None:
        yield from _tell_money(newest, limits, is_ramped=has_older_code(survey) and may_ramp(survey.root))
        yield from _tell_days(survey, accounts, limits)
    yield from (f"{sentence}." for sentence in describe_origins(limits)) if limits is not None else ()
    yield from _tell_denials(survey)
    yield from _tell_positions(survey)
    yield "SELLs are sent first and awaited; BUYs are paid from the cash that is there then."
    if limits is not None and must_settle(limits):
        yield f"Proceeds of SELLs are spent when they have settled: trading days {days_to_settle(limits)} later."
    yield from _tell_exits(survey.root)
    yield (
        "A second run on one day only finishes what the first left: `has_traded_today` of the project is true after "
        "the first."
    )
    if survey.schedules:
        yield f"The schedule stays as it is: {', '.join(survey.schedules)}."


def _tell_exits(root: Path) -> Iterator[str]:
    try:
        exits = load_settings(config_file(root, "settings.yaml")).exits
    except BadInput:  # the doctor names it
        return
    if exits.enabled and exits.kind == "bracket":
        yield (
            f"Each BUY carries a stop {plain(exits.stop_loss_pct * 100)} % below and a target "
            f"{plain(exits.take_profit_pct * 100)} % above the price paid (`exits` in settings.yaml), in place of "
            "trailing stops."
        )


def _read_limits(survey: Survey) -> Limits | None:
    path = limits_file(survey.root)
    try:
        return tighten(load_limits(path) if path.is_file() else Limits(), survey.root)
    except BadInput:
        return None


def _tell_money(account: RecordedAccount, limits: Limits, *, is_ramped: bool) -> Iterator[str]:
    equity, reserve = account.equity, cash_reserve(limits, account.equity)
    target = deployment_target(limits, equity)
    room = target - (equity - account.cash)
    if not limits.allow_margin:
        spendable = max(ZERO, account.cash - reserve)
        room = min(room, spendable)
        power = "" if account.buying_power is None else f"; the system before counted {usd_cents(account.buying_power)}"
        yield (
            f"{_percent(reserve, equity)} of equity stay in cash and nothing is bought on margin: of "
            f"{usd_cents(account.cash)} on {account.day}, {usd_cents(spendable)} may be spent{power}."
        )
    room = max(ZERO, min(room, target / RAMP_DAYS) if is_ramped else room)
    ramp = f", over {RAMP_DAYS} trading days (deployment.ramp_days)" if is_ramped else ""
    yield (
        f"The goal is {_percent(target, equity)} of equity invested{ramp}: a first morning like {account.day} "
        f"would buy for up to {usd_cents(room)}, beside what its SELLs bring."
    )
    yield f"No position is opened below {usd_cents(minimum_position(limits, equity))}, in plan and trade alike."


def _percent(amount: Decimal, equity: Decimal) -> str:
    return f"{plain(round(amount / equity * 100, 2))}%"


def _tell_days(survey: Survey, accounts: Mapping[date, Sequence[RecordedAccount]], limits: Limits) -> Iterator[str]:
    plans = read_plans(survey.root)
    both = sorted(set(plans) & set(accounts))
    over = []
    for day in both:
        account = accounts[day][0]
        room = account.cash - cash_reserve(limits, account.equity)
        if value_of_buys(plans[day]) > room:
            over.append(day)
    if over:
        yield (
            f"On {len(over)} of {count_noun(len(both), 'recorded day')} the plan's BUYs were more than that day's "
            f"cash above the reserve ({over[0]} to {over[-1]}). This desk plans fewer or smaller ones, or waits for "
            "the SELLs."
        )


def _tell_denials(survey: Survey) -> Iterator[str]:
    if survey.ledger is None or "trading_rejections" not in survey.ledger.tables:
        return
    sql = "SELECT rejection_source, rejection_reason FROM trading_rejections"
    try:
        rows = look_into(survey.ledger.path, sql)
    except LedgerError:
        return
    counts = Counter(str(reason).partition(":")[0] for source, reason in rows if source == "HARD_CONSTRAINT")
    if counts:
        named = ", ".join(f"{name} {count}" for name, count in counts.most_common(5))
        denied = count_noun(sum(counts.values()), "planned order", "were")
        yield f"{denied} denied at the trade ({named}); ours does not plan such ones."


def _tell_positions(survey: Survey) -> Iterator[str]:
    if survey.ledger is None or "portfolio_positions" not in survey.ledger.tables:
        return
    try:
        sql = "SELECT count(*) FROM portfolio_positions WHERE status = 'PENDING'"
        count = int(look_into(survey.ledger.path, sql)[0][0])
    except LedgerError:
        return
    if count:
        yield (
            f"{count_noun(count, 'position', 'are')} PENDING in portfolio_positions; from now on a bought one becomes "
            "OPEN and a sold one CLOSED with its price. Older rows are closed when their shares are sold."
        )
