"""The project's own last days on the simulated exchange: what ours would have done beside what was done, and why.

A day is its briefing, with the account that the project recorded. Ours plans from the briefing itself. Nothing of the
project is changed, no key is read and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from Departments.constraints.limits import limits_file
from Departments.core.errors import BadInput, DepartmentsError, LedgerError
from Departments.core.money import ZERO, decimal_of, plain
from Departments.core.plans import TradingPlan
from Departments.core.platform.text_files import read_json
from Departments.ledger.sqlite import look_into
from Departments.messaging.neighbours import DailyBriefing
from Departments.migration.configuring import LIMITS, find_default
from Departments.migration.forecast import RecordedAccount, read_accounts, read_plans
from Departments.migration.record import find_ledger
from Departments.Operations.briefing import briefing_from
from Departments.plumbing import MESSAGES
from Departments.replays import FailedDay, PastDay, prepare_day, read_past_days, replay_day

#: The equity (dollars) of a day whose account was not recorded.
ASSUMED: Final = Decimal(100_000)
_TRADED: Final = frozenset({"FILLED", "SUBMITTED", "PARTIAL"})


@dataclass(frozen=True, slots=True)
class RehearsedDay:
    """One day: what was done and what ours would have done (`SELL 190 CTVA`), the reasons, the cash of the morning."""

    day: date
    cash: Decimal
    account: str
    done: tuple[str, ...]
    ours: tuple[str, ...]
    why: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        texts = {"done": self.done, "ours": self.ours, "why": self.why}
        return {"date": self.day.isoformat(), "cash": plain(self.cash), "account": self.account, **texts}


def rehearse_days(root: Path, count: int, workspace: Path) -> tuple[list[RehearsedDay], list[FailedDay]]:
    """Rehearse the last days of a project that have a briefing, oldest first; each in a folder of `workspace`.

    Raises BadInput for a number that is none, a project without briefings, and faults in its limits or settings.
    """
    if count < 1:
        raise BadInput("--rehearse", "", f"{count} is no number of days", "name at least 1")
    past = read_past_days(root / MESSAGES)
    chosen = past.days[-count:]
    since = chosen[0].day if chosen else date.min
    failed = [each for each in past.failed if each.day >= since]
    ledger = find_ledger(root)
    accounts, plans, orders = read_accounts(ledger), read_plans(root), _read_orders(ledger)
    limits, found = None if limits_file(root).exists() else find_default(LIMITS), []
    for each in chosen:
        holdings = sum(((row.quantity or ZERO) * row.price for row in each.priced.current_holdings), ZERO)
        cash, account = _find_cash(root, each.day, accounts, holdings)
        folder = prepare_day(each, workspace, root, cash + holdings, limits)
        try:
            document, plan = replay_day(each, folder)
        except DepartmentsError as error:
            failed.append(FailedDay(each.day, each.source, str(error), error.exit_code))
            continue
        done = _list_done(plans.get(each.day, ()), orders.get(each.day, {}))
        ours = _list_ours(document)
        texts = tuple(done.values()), tuple(f"{line}, {status}" for line, status in ours.values())
        found.append(RehearsedDay(each.day, cash, account, *texts, tuple(_reasons(done, ours, document, plan, each))))
    return found, failed


# --- the account of a morning ---


def _find_cash(
    root: Path, day: date, accounts: Mapping[date, Sequence[RecordedAccount]], holdings: Decimal
) -> tuple[Decimal, str]:
    """Return the cash of a morning and where it is from: the first record of the day comes first."""
    if day in accounts:
        return accounts[day][0].cash, "recorded"
    try:
        state = read_json(root / f"automated_trading_results_{day}.json").get("portfolio_state")
        return decimal_of(state.get("cash") if isinstance(state, dict) else None), "recorded at the end of the day"
    except (BadInput, ValueError):
        return ASSUMED - holdings, f"not recorded: equity of ${ASSUMED:,} assumed"


# --- what was done ---


def _read_orders(path: Path) -> dict[date, dict[tuple[str, str], tuple[str, str]]]:
    """Read status and first violation of each order of the older system, by its day (UTC), symbol and side."""
    sql = (
        "SELECT o.created_at, o.ticker, o.action, o.status, r.rejection_reason FROM trading_orders o "
        "LEFT JOIN trading_rejections r ON r.order_id = o.id ORDER BY o.id"
    )
    try:
        rows = look_into(path, sql)
    except LedgerError:
        return {}
    found: dict[date, dict[tuple[str, str], tuple[str, str]]] = {}
    for created, symbol, side, status, reason in rows:
        try:
            day = date.fromisoformat(str(created)[:10])
        except ValueError:
            continue
        found.setdefault(day, {})[str(side), str(symbol)] = str(status), str(reason or "").partition(":")[0]
    return found


Key = tuple[str, str]


def _list_done(trades: Sequence[Mapping[str, Any]], orders: Mapping[Key, tuple[str, str]]) -> dict[Key, str]:
    """Return the trades of the day's plan with their ends, as far as they are recorded."""
    found = {}
    for trade in trades:
        key = str(trade.get("action") or "BUY"), str(trade.get("ticker"))
        status, reason = orders.get(key, ("not recorded", ""))
        end = "traded" if status in _TRADED else f"denied ({reason})" if reason else status.lower()
        found[key] = f"{key[0]} {_shares(trade.get('shares'))} {key[1]}, {end}"
    return found


def _list_ours(document: Mapping[str, Any]) -> dict[Key, tuple[str, str]]:
    found = {}
    for phase in document["phases"]:
        if phase["name"] in {"SELL", "BUY"}:
            for order in phase["orders"]:
                line = f"{phase['name']} {_shares(order.get('qty'))} {order['ticker']}"
                found[str(phase["name"]), str(order["ticker"])] = line, str(order["status"])
    return found


def _shares(value: Any) -> str:
    try:
        return plain(decimal_of(value))
    except ValueError:
        return "?"


# --- why ---


def _reasons(
    done: Mapping[Key, str],
    ours: Mapping[Key, tuple[str, str]],
    document: Mapping[str, Any],
    plan: TradingPlan | None,
    past: PastDay,
) -> list[str]:
    """Return a sentence for each difference, or one that there is none."""
    causes = {
        str(row["ticker"]): str(row.get("reason") or row["code"]) for row in (*document["denied"], *document["skipped"])
    }
    briefing = briefing_from(DailyBriefing.of(past.briefing, past.source), past.source, at=past.briefing.timestamp)
    scores = {row.symbol: f": score {plain(row.score)}" for row in briefing.candidates if row.score is not None}
    found = []
    for side, symbol in done:
        if (side, symbol) not in ours:
            cause = causes.get(symbol) or _explain(side, symbol, plan, document)
            found.append(f"no {side} {symbol}: {cause}")
    for side, symbol in ours:
        if (side, symbol) not in done:
            found.append(f"{side} {symbol} beside{scores.get(symbol, '')}")
    return found or ["the same trades"]


def _explain(side: str, symbol: str, plan: TradingPlan | None, document: Mapping[str, Any]) -> str:
    if plan is None:
        return str(document.get("message") or document["status"])
    if any(trade.symbol == symbol for trade in plan.trades):
        return "planned, and not sent"
    return "it is kept: its score is above the limit for selling" if side == "SELL" else "others came first"
