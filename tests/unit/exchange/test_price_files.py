from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.exchange.price_files import read_prices
from Departments.exchange.state import load_exchange_state


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.yaml", "NVDA: 187.20\nups: 93.58\n"),
        ("p.yaml", "prices: {NVDA: 187.2, UPS: 93.58}\n"),
        ("p.json", '{"NVDA": 187.2, "UPS": "93.58"}'),
        ("p.csv", "symbol,price\nNVDA,187.20\nUPS,93.58\n"),
        ("p.csv", "\ufeffTicker, Price\r\nnvda, 187.20\r\nUPS,93.58\r\n"),
    ],
)
def test_prices_are_read_from_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    read = read_prices(written(tmp_path / name, text))
    assert read.prices == {"NVDA": Decimal("187.2"), "UPS": Decimal("93.58")}


def test_recorded_days_have_a_column_or_the_files_name_as_symbol(tmp_path: Path) -> None:
    days = "2025-11-07,668,672.25,661.2,670.97"
    own = read_prices(written(tmp_path / "SPY.csv", f"date,open,high,low,close\n{days}\n"))
    named = read_prices(written(tmp_path / "all.csv", f"Symbol,Date,Open,High,Low,Close,Volume\nSPY,{days},5\n"))
    assert [bar.close for bar in own.bars["SPY"]] == [Decimal("670.97")]
    assert [bar.volume for bar in named.bars["SPY"]] == [5]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.yaml", "NVDA: 0\n", "prices.NVDA: must be above zero"),
        ("p.yaml", "NVDA: much\n", "'much' is not a number"),
        ("p.csv", "symbol,price\nNVDA,187\nUPS,\n", "line 3: price"),
        ("p.csv", "symbol,price\n,187\n", "line 2: symbol"),
        ("SPY.csv", "date,open,high,low\n2025-11-07,1,2,1\n", "line 2: close: is missing"),
        ("SPY.csv", "date,open,high,low,close\n2025-11-07,1,2,1,3\n", "has prices outside low and high"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(BadInput) as refused:
        read_prices(path)
    assert str(refused.value).startswith(str(path))
    assert words in str(refused.value)


def test_a_state_may_name_files_of_recorded_days_beside_it(tmp_path: Path) -> None:
    written(tmp_path / "SPY.csv", "date,open,high,low,close\n2025-11-07,668,672.25,661.2,670.97\n")
    path = written(tmp_path / "state.yaml", "cash: 1\nprice_mode: bars\nbars_files: [SPY.csv]\n")
    assert [bar.close for bar in load_exchange_state(path).bars["SPY"]] == [Decimal("670.97")]
    written(tmp_path / "state.yaml", "cash: 1\nbars_files: [QQQ.csv]\n")
    with pytest.raises(BadInput, match=r"QQQ\.csv: there is no such file"):
        load_exchange_state(path)
