from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import stdev

import pytest

from Departments.core.errors import BadInput
from Departments.core.quotes import Bar
from Departments.core.trading_calendar import is_trading_day
from Departments.Regime.bar_files import read_bars
from Departments.Regime.market_data import (
    change_on,
    change_pct,
    drawdown_pct,
    known_at,
    realised_volatility_pct,
    trend_pct,
)

HEADER = "date,open,high,low,close,volume\n"
MONDAY = date(2025, 11, 10)


def bar(day: date, close: str, symbol: str = "SPY") -> Bar:
    price = Decimal(close)
    return Bar(symbol, day, price, price, price, price, Decimal(0))


def series(*closes: str, until: date = MONDAY) -> list[Bar]:
    days: list[date] = []
    day = until
    while len(days) < len(closes):
        days += [day] if is_trading_day(day) else []
        day -= timedelta(days=1)
    return [bar(day, close) for day, close in zip(reversed(days), closes, strict=True)]


def written(folder: Path, text: str, name: str = "spy.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return path


def test_bars_are_read_oldest_first_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "2025-11-10,2,3,1,2.5,100\n2025-11-07,1,2,1,1.5,90\n")
    assert [(b.day.isoformat(), b.close, b.volume) for b in read_bars(path, "SPY")] == [
        ("2025-11-07", Decimal("1.5"), Decimal(90)),
        ("2025-11-10", Decimal("2.5"), Decimal(100)),
    ]


def test_the_volume_may_be_missing_and_header_names_may_be_capitalised(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffDate,Open,High,Low,Close\r\n2025-11-10 00:00:00-05:00,2,3,1,2.5\r\n")
    assert read_bars(path, "SPY")[0] == Bar("SPY", MONDAY, *map(Decimal, ("2", "3", "1", "2.5", "0")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lacks the column date"),
        ("date,open,high,low\n", "lacks the column close"),
        (HEADER + "10.11.2025,2,3,1,2,0\n", "line 2"),
        (HEADER + "2025-11-10,2,3,1,x,0\n", "'x' is not a number"),
        (HEADER + "2025-11-10,2,3,1,nan,0\n", "not a finite number"),
        (HEADER + "2025-11-10,2,3\n", "line 2"),
        (HEADER + "2025-11-10,2,3,-1,2,0\n", "contradict"),
        (HEADER + "2025-11-10,2,1.5,1,2,0\n", "contradict"),
        (HEADER + "2025-11-10,2,3,1,2,-5\n", "contradict"),
        (HEADER + "2025-11-10,2,3,1,2,0\n2025-11-10,2,3,1,2,0\n", "2025-11-10: is there twice"),
        ('date,open,high,low,close\n"' + "x" * 200_000 + '",1,1,1,1\n', "after line 1: is not CSV"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_file_place_and_mend(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as refused:
        read_bars(path, "SPY")
    assert told in str(refused.value)
    assert str(path) in str(refused.value)
    assert refused.value.mend


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        read_bars(tmp_path / "none.csv", "SPY")


@pytest.mark.parametrize("name", ["VIXY.csv", "vxx_daily.csv", "uvxy-2025.csv"])
def test_a_file_of_a_vix_fund_is_refused_where_the_vix_is_meant(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, HEADER + "2025-11-10,45,46,44,45,0\n", name)
    with pytest.raises(BadInput, match="which is not VIX"):
        read_bars(path, "VIX")


def test_a_symbol_column_that_names_something_else_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "symbol,date,open,high,low,close\nVIXY,2025-11-10,45,46,44,45\n", "volatility.csv")
    with pytest.raises(BadInput, match="VIXY"):
        read_bars(path, "VIX")


def test_the_index_is_known_by_its_quoted_names(tmp_path: Path) -> None:
    path = written(tmp_path, "symbol,date,open,high,low,close\n^VIX,2025-11-10,18,19,17,18\n", "volatility.csv")
    assert read_bars(path, "VIX")[0].symbol == "VIX"


def test_the_change_is_against_the_trading_day_before() -> None:
    assert change_pct(series("100", "101")) == 1


def test_there_is_no_change_where_the_trading_day_before_is_missing() -> None:
    assert change_pct([bar(date(2025, 11, 6), "100"), bar(MONDAY, "101")]) is None
    assert change_pct([bar(MONDAY, "101")]) is None


def test_the_change_at_a_close_is_of_that_very_day() -> None:
    week = series("100", "101", "102.01", "105")
    assert change_on(week, date(2025, 11, 7)) == 1
    assert change_on(week, MONDAY + timedelta(days=1)) is None


def test_the_trend_needs_twenty_bars() -> None:
    assert trend_pct(series(*["100"] * 19)) is None
    assert trend_pct(series(*["100"] * 19, "120")) == Decimal("18.812")


def test_realised_volatility_is_the_annualised_deviation_of_twenty_log_returns() -> None:
    closes = ["100", *["101", "100"] * 10]
    steps = [1, -1] * 10
    expected = stdev(step * float(Decimal("1.01").ln()) for step in steps) * 252**0.5 * 100
    assert realised_volatility_pct(series(*closes[1:])) is None
    assert float(realised_volatility_pct(series(*closes)) or 0) == pytest.approx(expected, abs=0.001)


def test_the_drawdown_is_measured_from_the_highest_close() -> None:
    assert drawdown_pct(series("80", "100", "90")) == 10
    assert drawdown_pct([]) is None


@pytest.mark.parametrize(("hour", "known"), [(20, 2), (21, 3)])
def test_a_days_bar_is_known_only_after_its_close(hour: int, known: int) -> None:
    now = datetime(2025, 11, 10, hour, tzinfo=UTC)
    assert len(known_at(series("1", "2", "3"), now)) == known
