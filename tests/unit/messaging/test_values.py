"""Values in payloads: one sentence for one fault, whoever writes the payload."""

from collections.abc import Mapping
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.messaging.entries import UnusableEntry
from Departments.messaging.neighbours import DailyBriefing
from Departments.messaging.payloads import ExecutiveApproval
from Departments.messaging.plan_documents import read_trade
from Departments.messaging.proposal_payloads import read_sells

OWN: Mapping[str, Any] = {"ticker": "ALKS", "action": "BUY", "shares": 108, "price": 33.01}
NUMBERS = {
    -5: "-5 is not positive; give a positive number",
    0: "0 is not positive; give a positive number",
    True: "True is not a number; give a positive number",
    "many": "'many' is not a number; give a positive number",
    "NaN": "'NaN' is not a finite number; give a positive number",
    1e40: "the number is above 10^15; give a positive number",
    "9" * 400: "the number is above 10^15; give a positive number",
    "x" * 4000: f"{'x' * 40!r} is not a number; give a positive number",
}
SYMBOLS = {
    "": "is missing; name the symbol like UPS or BRK.B",
    "../../A": "'../../A' is not a symbol; name the symbol like UPS or BRK.B",
    5: "'5' is not a symbol; name the symbol like UPS or BRK.B",
}


def of_an_approval(**changes: Any) -> str:
    with pytest.raises(BadInput) as caught:
        ExecutiveApproval.read({**OWN, **changes}, "MSG")
    return str(caught.value).removesuffix(".")


def of_a_plan(**changes: Any) -> str:
    with pytest.raises(BadInput) as caught:
        read_trade({**OWN, **changes}, "MSG", "trades[0]")
    return str(caught.value).removesuffix(".")


def of_a_sell(**changes: Any) -> str:
    with pytest.raises(BadInput) as caught:
        read_sells([{"ticker": "ALKS", "shares": 108, **changes}], "MSG")
    return str(caught.value).removesuffix(".")


def of_a_candidate(**changes: Any) -> tuple[str, str]:
    (entry,) = DailyBriefing.read({"candidates": [{**OWN, **changes}]}, "MSG").candidates
    assert isinstance(entry, UnusableEntry)
    return entry.key, entry.problem


@pytest.mark.parametrize(("value", "sentence"), NUMBERS.items())
def test_shares_and_prices_of_every_writer_are_refused_in_one_sentence(value: Any, sentence: str) -> None:
    problem = sentence.partition("; ")[0]
    assert of_an_approval(shares=value) == f"MSG: shares: {sentence}"
    assert of_a_plan(shares=value) == f"MSG: trades[0].shares: {sentence}"
    assert of_a_sell(shares=value) == f"MSG: [0].shares: {sentence}"
    assert of_a_candidate(shares=value) == ("shares", problem)
    assert of_an_approval(price=value) == f"MSG: price: {sentence}"
    assert of_a_plan(price=value) == f"MSG: trades[0].price: {sentence}"
    assert of_a_candidate(price=value) == ("price", problem)


@pytest.mark.parametrize(("value", "sentence"), SYMBOLS.items())
def test_symbols_of_every_writer_are_refused_in_one_sentence(value: Any, sentence: str) -> None:
    assert of_a_plan(ticker=value) == f"MSG: trades[0].ticker: {sentence}"
    assert of_a_sell(ticker=value) == f"MSG: [0].ticker: {sentence}"
    assert of_a_candidate(ticker=value) == ("ticker", sentence.partition("; ")[0])


def test_an_approval_names_any_broker_s_symbol_but_some() -> None:
    assert ExecutiveApproval.read({**OWN, "ticker": " btc/usd "}, "MSG").symbol == "BTC/USD"
    assert of_an_approval(ticker="") == f"MSG: ticker: {SYMBOLS['']}"


def test_a_price_that_rounds_to_nothing_is_not_positive() -> None:
    assert of_an_approval(price=0.00001) == "MSG: price: 0.00001 is not positive; give a positive number"


def test_a_trade_of_a_plan_stays_exact_to_the_cent() -> None:
    assert of_a_plan(shares=10**13) == "MSG: trades[0].shares: the number is above 10^15; give a number"
    assert ExecutiveApproval.read({**OWN, "shares": 10**13}, "MSG").qty == 10**13
