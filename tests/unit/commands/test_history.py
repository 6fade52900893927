"""`departments history` and `positions`: the numbers of some days, worked out by hand."""

from __future__ import annotations

import csv
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.core.account_entries import AccountEntry, EntryKind
from Departments.core.orders import Order, OrderStatus, Side
from Departments.core.statuses import ExecutionStatus, PhaseName, TradeStatus
from Departments.Executive.overview.past_days import HistoryDay, read_history
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord
from Departments.ledger.plan_records import ExecutionRecord, TradeRecord
from tests.builders.commands import Said, contents, plan_file, say
from tests.builders.desk import STATE, plan, trade, workspace

Capture = pytest.CaptureFixture[str]
MONDAY, TUESDAY = date(2025, 11, 10), date(2025, 11, 11)
MORNING = datetime(2025, 11, 10, 15, 0, tzinfo=UTC)
NEXT = MORNING + timedelta(days=1)


class Book:
    """A ledger that is written by hand: an account of $10,000 with 100 AAPL at $50, of which $5,000 is cash."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        opening = AccountEntry(EntryKind.OPENING, MONDAY, MORNING - timedelta(hours=1))
        shares = replace(opening, symbol="AAPL", qty=D(100), price=D(50))
        with ledger.transaction():
            ledger.book.add([replace(opening, cash=D(5_000)), shares])

    def run(self, at: datetime, equity: int, cash: int, cash_after: int, **more: Any) -> str:
        plan_id = f"PLAN_{at:%Y%m%d}"
        record = ExecutionRecord(
            plan_id, at.date(), at, at, ExecutionStatus.COMPLETED, D(equity), D(cash), D(1_000), D(cash_after), **more
        )
        with self.ledger.transaction():
            self.ledger.plans.save(plan(plan_id=plan_id), "", at)
            self.ledger.plans.start(record)
        return plan_id

    def fill(self, plan_id: str, symbol: str, side: Side, qty: int, planned: str, price: str, at: datetime) -> None:
        name = f"MSG_{plan_id}_{symbol}_{side}"
        intent = OrderRecord(name, name, symbol, side, D(qty), "market", plan_id, created_at=at)
        order = Order(name, name, symbol, side, D(qty), OrderStatus.FILLED, D(qty), D(price), filled_at=at)
        self.trade(plan_id, symbol, side, qty, planned, price)
        with self.ledger.transaction():
            self.ledger.orders.intend(intent)
            self.ledger.orders.observe(order, at)

    def trade(
        self, plan_id: str, symbol: str, side: Side, qty: int, planned: str, price: str | None, **more: Any
    ) -> None:
        found: dict[str, Any] = {"status": OrderStatus.FILLED, "message_id": f"MSG_{plan_id}_{symbol}_{side}"} | more
        record = TradeRecord(
            PhaseName(side),
            symbol,
            side,
            D(qty),
            D(qty),
            D(planned),
            filled_qty=D(qty if price else 0),
            filled_avg_price=None if price is None else D(price),
            **found,
        )
        with self.ledger.transaction():
            self.ledger.plans.add_trade(plan_id, len(self.ledger.plans.trades(plan_id)), record)

    def enter(self, kind: EntryKind, cash: str, at: datetime, **more: Any) -> None:
        with self.ledger.transaction():
            self.ledger.book.add([AccountEntry(kind, at.date(), at, cash=D(cash), **more)])


def two_days(ledger: Ledger) -> list[HistoryDay]:
    """On Monday 50 AAPL are sold and 60 MSFT bought; on Tuesday all AAPL; in between $500 come in."""
    book = Book(ledger)
    first = book.run(MORNING, equity=10_500, cash=5_000, cash_after=4_726)
    book.fill(first, "AAPL", Side.SELL, 50, "55", "54.90", MORNING)
    book.fill(first, "MSFT", Side.BUY, 60, "50", "50.30", MORNING)
    book.trade(first, "TSLA", Side.BUY, 5, "100", None, status=TradeStatus.DEFERRED, message_id=None)
    book.enter(EntryKind.FEE, "-1.20", MORNING + timedelta(minutes=1))
    book.enter(EntryKind.DEPOSIT, "500", MORNING + timedelta(hours=5))
    second = book.run(NEXT, equity=11_200, cash=5_226, cash_after=8_026)
    book.fill(second, "AAPL", Side.SELL, 50, "56", "56", NEXT)
    return list(read_history(ledger).days)


@pytest.fixture
def days(tmp_path: Path) -> list[HistoryDay]:
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        return two_days(ledger)


def test_slippage_is_told_in_dollars_and_basis_points_buys_and_sells_apart(days: list[HistoryDay]) -> None:
    bought, sold = days[0].slippage(Side.BUY), days[0].slippage(Side.SELL)
    assert (bought.dollars, bought.planned, bought.document()["basis_points"]) == (D("18.00"), D(3_000), "60.0")
    assert (sold.dollars, sold.planned, sold.document()["basis_points"]) == (D("5.00"), D(2_750), "18.2")
    assert days[1].slippage(Side.BUY).basis_points is None


def test_orders_deployment_turnover_and_fees_are_of_their_day(days: list[HistoryDay]) -> None:
    first, second = days
    assert (first.day, second.day) == (MONDAY, TUESDAY)
    counts = first.count(), first.count(OrderStatus.FILLED), first.count(TradeStatus.DEFERRED)
    assert counts == (2, 2, 1)
    assert first.deployment == 1 - D(4_726) / 10_500
    assert first.turnover == D(2_745) / 10_500  # 50 AAPL at $54.90; the BUY is larger
    assert (first.fees, second.fees) == (D("1.20"), D(0))


def test_realised_profit_is_beside_the_average_cost_and_unrealised_that_of_the_rest(days: list[HistoryDay]) -> None:
    first, second = days
    assert (first.realised, second.realised) == (D("245.00"), D("300.00"))
    assert first.unrealised == 500  # $5,500 of AAPL that cost $5,000
    assert second.unrealised == D(5_974) - D(2_500) - D(3_018)  # the rest of AAPL, and MSFT


def test_a_deposit_is_no_profit(days: list[HistoryDay]) -> None:
    first, second = days
    assert (first.profit, second.profit) == (None, D(200))  # $11,200 − $10,500 − $500
    assert (first.deposits, second.deposits) == (D(500), D(0))


def test_an_unknown_cost_is_counted_and_is_no_profit(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        book = Book(ledger)
        book.enter(EntryKind.FOREIGN_TRADE, "0", MORNING, symbol="T", qty=D(10), price=None)
        plan_id = book.run(MORNING, equity=10_000, cash=5_000, cash_after=5_000)
        book.fill(plan_id, "T", Side.SELL, 10, "20", "20", MORNING)
        (day,) = read_history(ledger).days
    assert (day.realised, day.unknown_costs, day.unrealised) == (D(0), 1, None)


def test_a_second_attempt_counts_each_trade_once_and_the_slippage_of_both(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "sentinel.db")) as ledger:
        book = Book(ledger)
        plan_id = book.run(MORNING, equity=10_000, cash=5_000, cash_after=4_000)
        book.trade(plan_id, "MSFT", Side.BUY, 10, "50", "50.10")
        again = book.run(MORNING + timedelta(hours=1), equity=10_000, cash=4_000, cash_after=3_000, attempt=2)
        book.trade(again, "MSFT", Side.BUY, 20, "50", "50.20", attempt=2, message_id="MSG_2")
        (day,) = read_history(ledger).days
    assert (day.count(), day.slippage(Side.BUY).dollars, len(day.runs)) == (1, D("5.00"), 2)


# --- the commands ---


@pytest.fixture
def traded(tmp_path: Path, capsys: Capture) -> Path:
    """A workspace with two days, slippage, fees, and a deposit in between."""
    state = STATE | {"slippage": 0.001, "fees": {"per_order": 1}}
    folder = workspace(tmp_path, state=state)
    run(capsys, folder, "2025-11-10", trade("ALKS", "BUY", 150, 32.66), trade("CTVA", "SELL", 190, 64.64))
    words = ("exchange", "deposit", "500", "--workspace", folder, "--at", "2025-11-10T19:00:00Z")
    assert say(capsys, *words).code == 0
    run(capsys, folder, "2025-11-11", trade("DVN", "SELL", 225, 33.61))
    return folder


def run(capsys: Capture, folder: Path, day: str, *trades: dict[str, Any]) -> None:
    name = f"PLAN_{day.replace('-', '')}_150000"
    document = plan(*trades, plan_id=name, generated_at=f"{day}T15:00:00.000000Z")
    state = ["--exchange-state", str(folder / "state.yaml")] if day == "2025-11-10" else []
    words = [
        "run",
        "--workspace",
        str(folder),
        "--plan",
        str(plan_file(folder, document)),
        "--approve",
        "auto",
        "--json",
    ]
    said = say(capsys, *words, *state, "--at", f"{day}T15:05:42Z")
    assert said.code == 0, said.out


def history(capsys: Capture, folder: Path, *more: str | Path) -> Said:
    return say(capsys, "history", "--workspace", folder, "--at", "2025-11-11T16:00:00Z", *more)


def test_the_history_of_two_days_adds_up(traded: Path, capsys: Capture) -> None:
    document = history(capsys, traded, "--json").document
    first, second = document["days"]
    assert (first["status"], first["sent"], first["filled"], second["filled"]) == ("COMPLETED", 2, 2, 1)
    assert (first["fees"], first["deposits"], document["total"]["fees"]) == ("2.00", "500.00", "3.00")
    assert float(first["slippage"]["buys"]["dollars"]) > 0
    assert float(first["slippage"]["sells"]["dollars"]) > 0
    assert second["profit"] is not None
    ends = D(document["now"]["equity"]) - D(first["equity"])
    assert D(document["total"]["profit"]) + D(document["now"]["profit"]) == ends - 500


def test_the_tables_fit_into_eighty_columns_and_have_sums(traded: Path, capsys: Capture) -> None:
    lines = history(capsys, traded).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith(("Orders", "Costs", "Money", "Total", "now"))] == [
        *("Orders", "Total", "Costs", "Total", "Money", "now", "Total"),
    ]


def test_days_may_be_chosen_and_written_as_csv(traded: Path, capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    said = history(capsys, traded, "--from", "2025-11-11", "--to", "2025-11-11", "--json", "--csv", path)
    assert ([day["day"] for day in said.document["days"]], said.document["now"]) == (["2025-11-11"], None)
    (row,) = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    (day,) = said.document["days"]
    assert (row["day"], row["realised"], row["slippage_sells_dollars"]) == (
        "2025-11-11",
        day["realised"],
        day["slippage"]["sells"]["dollars"],
    )


@pytest.mark.parametrize(("option", "value"), [("--from", "yesterday"), ("--csv", "nowhere/days.csv")])
def test_a_wrong_option_is_named(traded: Path, capsys: Capture, option: str, value: str) -> None:
    said = history(capsys, traded, option, value)
    assert (said.code, option in said.err) == (2, True)


def test_without_a_run_there_is_nothing_to_show_and_nothing_is_made(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    before = contents(folder)
    said = history(capsys, folder)
    assert (said.code, said.out, contents(folder)) == (0, "Nothing has run in these days.\n", before)


def test_positions_name_price_plan_and_exits(traded: Path, capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "held.csv"
    said = say(capsys, "positions", "--workspace", traded, "--at", "2025-11-11T16:00:00Z", "--csv", path)
    lines = {words[0]: words for line in said.out.splitlines() if (words := line.split())}
    assert lines["ALKS"][-4:] == ["2025-11-10", "10:05", "EST", "PLAN_20251110_150000"]
    assert lines["MSFT"][-3:] == ["before", "the", "ledger"]
    rows = {row["ticker"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}
    assert (rows["ALKS"]["qty"], rows["ALKS"]["plan_ids"]) == ("150", "PLAN_20251110_150000")
    assert D(rows["ALKS"]["stop"]) < D(rows["ALKS"]["bought_at"]) < D(rows["ALKS"]["target"])
    assert (rows["MSFT"]["stop"], rows["MSFT"]["since"]) == ("", "")
