"""What the desk learns and is told: planner and trader read the same."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path

import pytest

from Departments.core.facts import Readings, SymbolFacts
from Departments.core.orders import Order, OrderStatus, Side
from Departments.ledger.ledger import Ledger
from Departments.ledger.order_records import OrderRecord

NOW = datetime(2025, 11, 26, 15, 6, tzinfo=UTC)  # the day before Thanksgiving
READ = Readings(spy_drawdown_pct=D("2.5"), correlations={frozenset({"ALKS", "SN"}): D("0.81")})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "sentinel.db")


def test_the_readings_of_a_day_count_for_no_other(ledger: Ledger) -> None:
    ledger.symbols.learn([SymbolFacts("ALKS", price=D("32.66"), price_at=NOW)], NOW, READ)
    today, tomorrow = (ledger.symbols.knowledge(NOW + timedelta(days=days), 1) for days in (0, 1))
    assert today.readings == READ
    assert (today.symbols["ALKS"].price, today.symbols["ALKS"].price_at) == (D("32.66"), NOW)
    assert tomorrow.readings == Readings()
    assert tomorrow.symbols["ALKS"].price is None


def test_what_is_unknown_now_does_not_erase_what_was_learnt(ledger: Ledger) -> None:
    ledger.symbols.learn([SymbolFacts("ALKS", sector="Healthcare", earnings_on=date(2025, 12, 2))], NOW)
    ledger.symbols.learn([SymbolFacts("ALKS", average_volume=D(5))], NOW)
    known = ledger.symbols.knowledge(NOW, 1).symbols["ALKS"]
    assert (known.sector, known.earnings_on, known.average_volume) == ("Healthcare", date(2025, 12, 2), D(5))


def sold(ledger: Ledger, side: Side = Side.SELL) -> None:
    """Fill 100 shares at $50."""
    ledger.orders.intend(OrderRecord("C1", "MSG_1", "CTVA", side, D(100), "market", created_at=NOW))
    filled = Order("B1", "C1", "CTVA", side, D(100), OrderStatus.FILLED, D(100), D(50), updated_at=NOW, filled_at=NOW)
    ledger.orders.observe(filled, NOW)


@pytest.mark.parametrize(
    ("moment", "days", "unsettled"),
    [
        (NOW, 1, 5_000),
        (NOW + timedelta(days=1), 1, 5_000),  # a holiday settles nothing
        (datetime(2025, 11, 28, 5, 1, tzinfo=UTC), 1, 0),
        (datetime(2025, 11, 28, 15, tzinfo=UTC), 2, 5_000),
        (datetime(2025, 12, 1, 15, tzinfo=UTC), 2, 0),
        (NOW, 0, 0),
    ],
)
def test_proceeds_are_unsettled_until_the_trading_day_that_the_limits_name(
    ledger: Ledger, moment: datetime, days: int, unsettled: int
) -> None:
    sold(ledger)
    assert ledger.symbols.knowledge(moment, days).unsettled == unsettled


def test_a_buy_brings_no_proceeds(ledger: Ledger) -> None:
    sold(ledger, Side.BUY)
    assert ledger.symbols.knowledge(NOW, 1).unsettled == 0
