"""What will be different in a project, told with its own numbers. Reading only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from Departments.constraints.compliance import describe_origins, tighten
from Departments.constraints.limits import Limits, limits_file, load_limits
from Departments.core.errors import BadInput, LedgerError
from Departments.core.money import ZERO, cents, decimal_of
from Departments.core.platform.text_files import read_json
from Departments.ledger.sqlite import look_into
from Departments.migration.configuring import RAMP_DAYS, may_ramp
from Departments.migration.survey import Survey, has_older_code

_CENT: Final = Decimal("0.01")


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
            amounts = cents(decimal_of(equity)), cents(decimal_of(cash)), power and cents(decimal_of(power))
        except ValueError:
            continue
        found.setdefault(day, []).append(RecordedAccount(day, *amounts))
    return found


def first_account(accounts: Mapping[date, Sequence[RecordedAccount]], day: date) -> RecordedAccount | None:
    """Return the account of a morning: the first record of its day, or None."""
    return accounts[day][0] if day in accounts else None


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
    if newest is not None and limits is not None:
        yield from _tell_money(newest, limits, is_ramped=has_older_code(survey) and may_ramp(survey.root))
        yield from _tell_days(survey, accounts, limits)
    yield from (f"{sentence}." for sentence in describe_origins(limits)) if limits is not None else ()
    yield from _tell_denials(survey)
    yield from _tell_positions(survey)
    yield "SELLs are sent first and awaited; BUYs are paid from the cash that is there then."
    yield (
        "Each BUY carries a stop 8 % below and a target 16 % above the price paid (`exits` in settings.yaml), in place "
        "of trailing stops; proceeds of a cash account settle on the next trading day."
    )
    yield "A second run on one day trades nothing: `has_traded_today` of the project is true after the first."
    if survey.schedules:
        yield f"The schedule stays as it is: {', '.join(survey.schedules)}."


def _read_limits(survey: Survey) -> Limits | None:
    path = limits_file(survey.root)
    try:
        return tighten(load_limits(path) if path.is_file() else Limits(), survey.root)
    except BadInput:
        return None


def _tell_money(account: RecordedAccount, limits: Limits, *, is_ramped: bool) -> Iterator[str]:
    reserve = limits.portfolio_risk.min_cash_reserve_pct * account.equity
    spendable = max(ZERO, account.cash - reserve)
    power = "" if account.buying_power is None else f"; the system before counted {_dollars(account.buying_power)}"
    yield (
        f"{limits.portfolio_risk.min_cash_reserve_pct:.0%} of equity stay in cash and nothing is bought on margin: of "
        f"{_dollars(account.cash)} on {account.day}, {_dollars(spendable)} may be spent{power}."
    )
    target = limits.deployment.target_pct * account.equity
    room = max(ZERO, min(spendable, target - (account.equity - account.cash)))
    room = min(room, target / RAMP_DAYS) if is_ramped else room
    ramp = f", over {RAMP_DAYS} trading days (deployment.ramp_days)" if is_ramped else ""
    yield (
        f"The goal is {limits.deployment.target_pct:.0%} of equity invested{ramp}: a first morning like {account.day} "
        f"would buy for up to {_dollars(room)}, beside what its SELLs bring."
    )
    least = max(limits.position_limits.min_position_value, limits.position_limits.min_position_pct * account.equity)
    yield f"No position is opened below {_dollars(least)}, in plan and trade alike."


def _tell_days(survey: Survey, accounts: Mapping[date, Sequence[RecordedAccount]], limits: Limits) -> Iterator[str]:
    plans = read_plans(survey.root)
    both = sorted(set(plans) & set(accounts))
    over = []
    for day in both:
        account = accounts[day][0]
        room = account.cash - limits.portfolio_risk.min_cash_reserve_pct * account.equity
        if value_of_buys(plans[day]) > room:
            over.append(day)
    if over:
        yield (
            f"On {len(over)} of {len(both)} recorded days the plan's BUYs were more than that day's cash above the "
            f"reserve ({over[0]} to {over[-1]}): ours plans fewer or smaller ones, or waits for the SELLs."
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
        yield f"{sum(counts.values())} planned orders were denied at the trade ({named}); ours does not plan such ones."


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
            f"{count} positions stand as PENDING in portfolio_positions; from now on a bought one becomes OPEN and a "
            "sold one CLOSED with its price. Older rows are closed when their shares are sold."
        )


def _dollars(amount: Decimal) -> str:
    return f"${amount.quantize(_CENT):,}"
