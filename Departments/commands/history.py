"""`departments history` and `departments positions`: the days of the desk, and what it holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table

from Departments.bootstrap import Choices, Desk
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, use_desk
from Departments.commands.inputs import make_clock
from Departments.commands.looks import look_only
from Departments.commands.options import AsJson, At, BrokerOption, Workspace, read_days
from Departments.core.errors import BadInput, BrokerError
from Departments.core.moments import show_moment
from Departments.core.money import ZERO, count_noun, money_text, percent, plain, usd, usd_cents
from Departments.core.orders import OrderStatus, Side
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.statuses import TradeStatus
from Departments.Executive.overview.holdings import BrokerHoldings, HeldPosition, list_holdings
from Departments.Executive.overview.past_days import DeskHistory, HistoryDay, Slippage, Totals, read_history

HISTORY_HELP = """Show the days of the desk, from its ledger: orders, cost, profit and equity.

Deployment is what is invested after the run, turnover the smaller of BUYs and SELLs, both as a share of equity.
Slippage is plan price to fill, in dollars and basis points: positive is worse. Realised is the profit of SELLs and
exits, unrealised that of the positions before the day's first run. Equity is the one before that run; profit is its
change since the row before, without deposits. The row *now* is the account's.
"""
POSITIONS_HELP = """Show what is held, since when, at what price, by which plan, and its exits."""
STATUSES: Final = {"COMPLETED": "completed", "COMPLETED_WITH_ISSUES": "with issues", "NOTHING_TO_DO": "no trades"}
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Also write the rows to this CSV file.")]
#: The columns of a CSV file of days; a dot leads into a key.
DAY_COLUMNS: Final = (
    *("day", "status", "sent", "filled", "denied", "deferred", "deployment", "turnover", "bought", "sold", "fees"),
    *("slippage.buys.dollars", "slippage.buys.basis_points", "slippage.sells.dollars", "slippage.sells.basis_points"),
    *("realised", "unrealised", "income", "equity", "deposits", "profit"),
)
POSITION_COLUMNS: Final = (
    *("ticker", "qty", "bought_at", "price", "value", "weight", "profit", "since", "plan_ids"),
    *("stop", "target", "unprotected"),
)


def history(
    workspace: Workspace = Path(),
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day, 2025-11-10.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day.")] = None,
    broker: BrokerOption = None,
    at: At = None,
    csv_file: CsvFile = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Show the days."""
    with ExitStack() as stack:
        bounds = read_days(first, last)
        choices = Choices(clock=make_clock(at), broker=broker)
        desk = stack.enter_context(use_desk(workspace, look_only(workspace, choices, stack)))
        found = read_history(desk.ledger, *bounds)
        now = _read_now(desk, found) if bounds[1] is None else None
        days = [day.document() for day in found.days]
        if csv_file is not None:
            _write_csv(csv_file, DAY_COLUMNS, days)
    if as_json:
        moment = None if now is None else now.document()
        print_json({"days": days, "total": Totals(found.days).document(), "now": moment})
    else:
        _show_history(found, now)
    return 0


def positions(
    workspace: Workspace = Path(),
    broker: BrokerOption = None,
    at: At = None,
    csv_file: CsvFile = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Show the positions."""
    with ExitStack() as stack:
        choices = Choices(clock=make_clock(at), broker=broker)
        desk = stack.enter_context(use_desk(workspace, look_only(workspace, choices, stack)))
        held = _list_held(desk, BrokerHoldings.read(desk.patient_broker))
        documents = [each.document() for each in held]
        if csv_file is not None:
            _write_csv(csv_file, POSITION_COLUMNS, documents)
    if as_json:
        print_json({"positions": documents})
    else:
        _show_positions(held)
    return 0


@dataclass(frozen=True, slots=True)
class Now:
    """The account now: equity, the profit since the last day's first run, the unrealised one; None is unknown."""

    equity: Decimal
    profit: Decimal | None
    unrealised: Decimal | None

    def document(self) -> dict[str, str | None]:
        """Return it for programs."""
        numbers = {name: getattr(self, name) for name in ("equity", "profit", "unrealised")}
        return {name: None if number is None else money_text(number) for name, number in numbers.items()}


def _read_now(desk: Desk, known: DeskHistory) -> Now | None:
    """Read the account; None if the broker does not answer."""
    try:
        read = BrokerHoldings.read(desk.broker)
    except (BrokerError, BadInput):
        return None
    profits = [each.profit for each in _list_held(desk, read)]
    certain = [profit for profit in profits if profit is not None]
    equity, before = read.account.equity, known.last_equity
    profit = None if before is None else equity - before - known.deposited
    return Now(equity, profit, sum(certain, ZERO) if len(certain) == len(profits) else None)


def _list_held(desk: Desk, read: BrokerHoldings) -> Sequence[HeldPosition]:
    return list_holdings(desk.ledger, read, desk.clock.now(), exits_wanted=desk.settings.exits.enabled)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    if not path.parent.is_dir() or path.is_dir():
        raise BadInput("--csv", "", f"{path} cannot be written", "name a file in an existing folder")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(name.replace(".", "_") for name in columns)
    for row in rows:
        writer.writerow(_find_cell(row, name.split(".")) for name in columns)
    write_atomically(path, file.getvalue())


def _find_cell(row: Any, keys: Sequence[str]) -> str:
    for key in keys:
        row = row[key]
    return " ".join(row) if isinstance(row, list) else "" if row is None else str(row)


def _show_history(found: DeskHistory, now: Now | None) -> None:
    """Print three tables, each narrow enough for a window of 80 columns."""
    screen, days = open_console(), found.days
    if not days:
        screen.print("Nothing has run in these days.")
        return
    for table in (_draw_orders(days), _draw_costs(days), _draw_money(days, now)):
        screen.print(table)
    unknown = sum(day.unknown_costs for day in days)
    if unknown:
        screen.print(f"The cost of {count_noun(unknown, 'filled SELL')} is unknown; realised profit leaves it out.")


def _draw_orders(days: Sequence[HistoryDay]) -> Table:
    table = _make_table("Orders", "Status", "Filled", "Denied", "Deferred", "Deployed", "Turnover")
    for day in days:
        shares = (_percent(share) for share in (day.deployment, day.turnover))
        table.add_row(day.day.isoformat(), STATUSES.get(day.status, day.status), *_order_cells(day), *shares)
    total = Totals(days)
    table.add_section()
    table.add_row("Total", "", *_order_cells(total), "", _percent(total.sum("turnover")))
    return table


def _draw_costs(days: Sequence[HistoryDay]) -> Table:
    table = _make_table("Costs", "BUYs", "Slippage", "bp", "SELLs", "Slippage", "bp", "Fees")
    for day in days:
        table.add_row(day.day.isoformat(), *_cost_cells(day))
    table.add_section()
    table.add_row("Total", *_cost_cells(Totals(days)))
    return table


def _draw_money(days: Sequence[HistoryDay], now: Now | None) -> Table:
    table, total = _make_table("Money", "Realised", "Unrealised", "Deposits", "Equity", "Profit"), Totals(days)
    for day in days:
        rest = map(_dollars, (day.unrealised, day.deposits or None, day.equity, day.profit))
        table.add_row(day.day.isoformat(), usd_cents(day.realised), *rest)
    if now is not None:
        table.add_row("now", "", *map(_dollars, (now.unrealised, None, now.equity, now.profit)))
    since = None if now is None else now.profit
    table.add_section()
    sums = (usd(total.sum("deposits")), "", usd(total.sum("profit") + (since or ZERO)))
    table.add_row("Total", usd_cents(total.sum("realised")), "", *sums)
    return table


def _make_table(name: str, *columns: str) -> Table:
    """Return a table of days; no number of it is cut."""
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column(name, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column == "Status" else "right", no_wrap=True)
    return table


def _order_cells(of: HistoryDay | Totals) -> list[str]:
    denied, deferred = of.count(OrderStatus.DENIED), of.count(TradeStatus.DEFERRED)
    return [f"{of.count(OrderStatus.FILLED)}/{of.count()}", str(denied), str(deferred)]


def _cost_cells(of: HistoryDay | Totals) -> list[str]:
    fees = of.sum("fees") if isinstance(of, Totals) else of.fees
    return [*_slippage_cells(of.slippage(Side.BUY)), *_slippage_cells(of.slippage(Side.SELL)), usd_cents(fees)]


def _slippage_cells(slippage: Slippage) -> tuple[str, str, str]:
    points = slippage.basis_points
    return ("", "", "") if points is None else (usd(slippage.planned), usd_cents(slippage.dollars), f"{points:.1f}")


def _percent(share: Decimal | None) -> str:
    return "" if share is None else percent(share)


def _dollars(amount: Decimal | None) -> str:
    return "" if amount is None else usd(amount)


def _show_positions(held: Sequence[HeldPosition]) -> None:
    screen = open_console()
    if not held:
        screen.print("Nothing is held.")
        return
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for name in ("Ticker", "Shares", "Bought at", "Price", "Profit", "Stop", "Target"):
        table.add_column(name, justify="left" if name == "Ticker" else "right", no_wrap=True)
    for name in ("Since", "Plan"):
        table.add_column(name, overflow="fold")
    for each in held:
        table.add_row(*map(escape_text, _position_cells(each)), style="red" if each.unprotected else None)
    screen.print(table)


def _position_cells(each: HeldPosition) -> list[str]:
    position, paid, since = each.position, each.position.avg_entry_price, each.origin.since
    stop, target = ("none" if price is None else usd_cents(price) for price in (each.exits.stop, each.exits.target))
    return [
        position.symbol,
        plain(position.qty),
        "unknown" if paid is None else usd_cents(paid),
        usd_cents(position.price),
        "unknown" if each.profit is None else usd_cents(each.profit),
        stop,
        target,
        "before the ledger" if since is None else show_moment(since),
        ", ".join(each.origin.plan_ids),
    ]


def register(app: typer.Typer) -> None:
    """Add `history` and `positions`."""
    app.command("history", help=HISTORY_HELP)(history)
    app.command("positions", help=POSITIONS_HELP)(positions)
