from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.settings import Section
from Departments.exchange import state as module
from Departments.exchange.state import ExchangeState, load_exchange_state


def written(tmp_path: Path, text: str, name: str = "state.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_state_file_gives_cash_positions_and_prices(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "cash: 12500.10\n"
        "positions: {ups: {qty: 70, avg_entry_price: 88.1, current_price: 93.58}}\n"
        "prices: {COMM: 17.02}\n",
    )
    state = load_exchange_state(path)
    assert state.cash == Decimal("12500.10")
    assert state.positions["UPS"].qty == 70
    assert state.start_price("UPS") == Decimal("93.58")
    assert state.start_price("COMM") == Decimal("17.02")
    assert state.symbols == {"UPS", "COMM"}


def documented(tmp_path: Path) -> Path:
    """Return a file that holds the two examples of the module's documentation as one."""
    text = (module.__doc__ or "").splitlines()
    return written(tmp_path, "\n".join(line[4:] for line in text if line.startswith("    ")))


def every_key() -> set[str]:
    """Return the keys of every section of the state file."""
    inner = [s for s in vars(module).values() if isinstance(s, type) and issubclass(s, Section) and s is not Section]
    return set().union(*(section.model_fields for section in inner))


def test_the_documentation_is_a_file_that_loads_and_names_every_key(tmp_path: Path) -> None:
    path = documented(tmp_path)
    load_exchange_state(path)
    words = set(re.findall(r"(\w+):", path.read_text(encoding="utf-8")))
    assert every_key() - words == set()


def test_the_documentation_tells_the_defaults(tmp_path: Path) -> None:
    told, plain = load_exchange_state(documented(tmp_path)), ExchangeState(cash=Decimal(0))
    for key in ("account", "price_mode", "walk", "seed", "spread", "slippage", "collar", "fees", "latency", "cash_lag"):
        assert getattr(told, key) == getattr(plain, key), key
    assert told.partial_fills == plain.partial_fills


def test_a_json_file_gives_the_same_state_without_float_noise(tmp_path: Path) -> None:
    path = written(tmp_path, '{"cash": 0.1, "prices": {"COMM": 17.02}}', "state.json")
    assert load_exchange_state(path).cash == Decimal("0.1")


def test_a_price_wins_over_a_positions_own(tmp_path: Path) -> None:
    text = "cash: 1\npositions: {UPS: {qty: 1, avg_entry_price: 1, current_price: 2}}\nprices: {UPS: 3}\n"
    assert load_exchange_state(written(tmp_path, text)).start_price("UPS") == 3


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("positions: {}", "cash", "is missing"),
        ("cash: many", "cash", "not a number"),
        ("cash: .nan", "cash", "not a finite number"),
        ("cash: true", "cash", "not a number"),
        ("cash: 1\nmoney: 2", "money", "not a known key"),
        ("cash: 1\npositions: {UPS: {qty: -1, avg_entry_price: 1}}", "positions.UPS.qty", "must not be negative"),
        ("cash: 1\npositions: {UPS: {qty: 1}}", "positions.UPS.avg_entry_price", "is missing"),
        ("cash: 1\npositions: {UPS: {qty: 1, avg_entry_price: 0}}", "positions.UPS.avg_entry_price", "above zero"),
        ("cash: 1\npositions: {UPS: {qty: 1, avg_entry_price: 1, price: 3}}", "positions.UPS.price", "not a known key"),
        ("cash: 1\npositions: {UPS: 3}", "positions.UPS", "must hold keys and values"),
        ("cash: 1\nprices: {UPS: -3}", "prices.UPS", "above zero"),
        ("cash: 1\nprices: {UPS: .inf}", "prices.UPS", "not a finite number"),
        ("cash: 1.0e+27", "cash", "above 10^15"),
        ("cash: -1.0e+27", "cash", "above 10^15"),
        ("cash: 1\npositions: {UPS: {qty: 1.0e+27, avg_entry_price: 1}}", "positions.UPS.qty", "above 10^15"),
        ("cash: 1\nprices: {UPS: 1.0e+27}", "prices.UPS", "above 10^15"),
        ("cash: 1\nprices: {UPS: 1.0e-30}", "prices.UPS", "at least 0.0001"),
        ("cash: 1\nvolumes: {UPS: 1.0e+29}", "volumes.UPS", "above 10^15"),
        ("cash: 1\nlatency: {fill: [1, 1.0e+13]}", "latency.fill.1", "too long"),
        ("cash: 1\ncash_lag: 1.0e+13", "cash_lag", "too long"),
        ("cash: 1\nprices: {ON: 3}", "prices.", "in quotes"),
        ("cash: 1\nprices: {'U PS': 3}", "prices.U PS", "not a ticker"),
        ("cash: 1\naccount: {type: loan}", "account.type", "margin"),
        ("cash: -1\naccount: {type: cash}", "", "negative in a cash account"),
        ("cash: 1\nlatency: {fill: [2, 1]}", "latency", "shorter delay first"),
        ("cash: 1\nprice_mode: bars", "", "there are no bars"),
    ],
)
def test_a_wrong_state_file_is_refused_in_one_sentence(tmp_path: Path, text: str, key: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as refusal:
        load_exchange_state(path)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{path}: {key}" if key else str(path))
    assert words in sentence
    assert "\n" not in sentence
    assert refusal.value.exit_code == 2
