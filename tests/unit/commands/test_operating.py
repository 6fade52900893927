"""`departments exchange …`: each command says one line, and is one booking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.commands import Said, say
from tests.builders.desk import STATE, workspace, write_yaml

AT = "2025-11-10T15:05:42Z"
Give = Callable[..., Said]
DIVIDEND = "DVN will pay $0.24 on each of 225 shares on 2025-12-04"


@pytest.fixture
def give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Give:
    """Give one `exchange` command in a workspace with an exchange of the incident's morning."""
    workspace(tmp_path)

    def given(*words: str | Path, folder: Path = tmp_path) -> Said:
        return say(capsys, "exchange", *words, "--workspace", folder)

    assert given("init", tmp_path / "state.yaml", "--at", AT).code == 0
    return given


@pytest.mark.parametrize(
    ("words", "line", "booked"),
    [
        (("deposit", "20000"), "Deposited $20,000.00; cash is $60,000.00", ("CSD", "20000")),
        (("withdraw", "500.25"), "Withdrew $500.25; cash is $39,499.75", ("CSW", "-500.25")),
        (("dividend", "DVN", "0.24"), "DVN paid $54.00 on 225 shares; cash is $40,054.00", ("DIV", "54")),
        (("fee", "0.46"), "Charged a fee of $0.46; cash is $39,999.54", ("FEE", "-0.46")),
        (("interest", "-3.20"), "Paid interest of $3.20; cash is $39,996.80", ("INT", "-3.2")),
        (("split", "MSFT", "10:1"), "MSFT split 10 for 1: 80 → 800 shares at $50.25", ("SPLIT", "0")),
        (("rename", "dvn", "XYZ"), "DVN is called XYZ now: 225 shares", ("NC", "0")),
    ],
)
def test_what_happens_is_said_in_one_line_and_booked(
    give: Give, words: tuple[str, ...], line: str, booked: tuple[str, str]
) -> None:
    said = give(*words)
    assert (said.code, said.out) == (0, f"{line}\n")
    (activity,) = give("show", "--json").document["activities"]
    assert (activity["word"], activity["cash"], activity["at"]) == (*booked, "2025-11-10T15:05:42.000000Z")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("price", "nvda", "187.2"), "NVDA costs $187.20"),
        (("halt", "MSFT"), "MSFT is halted until it is resumed"),
        (("halt", "MSFT", "--seconds", "60"), "MSFT is halted for 60 seconds"),
        (("halt", "MSFT", "--end"), "MSFT trades again"),
        (
            ("show",),
            "2025-11-10 10:05 EST: cash $40,000.00, equity $100,039.85, 3 positions, 0 open orders, prices static",
        ),
        (
            ("dividend", "DVN", "0.24", "--pay-on", "2025-12-04"),
            DIVIDEND,
        ),
    ],
)
def test_what_is_no_booking_is_said_in_one_line_too(give: Give, words: tuple[str, ...], line: str) -> None:
    said = give(*words)
    assert (said.code, said.out) == (0, f"{line}\n")
    assert give("show", "--json").document["activities"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("withdraw", "99999"), "DOLLARS: $99,999.00 is more than the cash; withdraw 40000 at most."),
        (("deposit", "-5"), "amount must be above zero; give a positive number."),
        (("deposit", "0.001"), "amount 0.001 has a fraction of a cent; give dollars and cents, like 1234.57."),
        (("withdraw", "1234.567"), "amount 1234.567 has a fraction of a cent"),
        (("interest", "-3.333"), "amount -3.333 has a fraction of a cent"),
        (("interest", "0"), "amount must be above zero"),
        (("deposit", "1e12"), "amount is too large; give 10000000000 dollars at most."),
        (("fee", "1e12"), "amount is too large"),
        (("fee", "40000.01"), "DOLLARS: $40,000.01 is more than the cash; charge 40000 at most."),
        (("interest", "-40000.01"), "DOLLARS: $40,000.01 is more than the cash; pay 40000 at most."),
        (("deposit", "much"), "exchange deposit: amount: 'much' is not a number"),
        (
            ("split", "MSFT", "1"),
            "exchange split: ratio: is no ratio of a split; write 10 or 10:1",
        ),
        (("split", "NOBODY", "2"), "SYMBOL: NOBODY is not listed at the exchange; name one from"),
        (("rename", "MSFT", "a b"), "exchange rename: to: 'a b' is not a ticker"),
        (("price", "NVDA"), "SYMBOL DOLLARS: is missing; write: departments exchange price NVDA 187.20."),
        (("price", "NVDA", "0"), "exchange set_price: price: must be above zero"),
        (("halt", "MSFT", "--seconds", "soon"), "exchange halt: seconds: 'soon' is not a number"),
        (("dividend", "DVN", "1", "--pay-on", "soon"), "exchange dividend: pay_on:"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(give: Give, words: tuple[str, ...], sentence: str) -> None:
    said = give(*words)
    assert (said.code, said.out) == (2, "")
    (line,) = said.sentences[-1:]
    assert sentence in line
    document = give("show", "--json").document
    assert (document["cash"], document["activities"]) == ("40000", [])


def test_a_rename_onto_a_held_symbol_says_what_it_joins(give: Give) -> None:
    held = {row["ticker"]: row["qty"] for row in give("show", "--json").document["positions"]}
    said = give("rename", "MSFT", "DVN")
    assert said.out.startswith(f"MSFT is called DVN now: {held['MSFT']} shares, joined with {held['DVN']} DVN held"), (
        said.out
    )
    assert "joined" not in give("rename", "DVN", "DVX").out


def test_a_symbol_of_before_is_named_by_its_new_name(give: Give) -> None:
    give("rename", "MSFT", "MS")
    said = give("split", "MSFT", "2")
    assert (said.code, said.sentences) == (2, ["MSFT: is called MS now; name MS."])


def test_prices_come_from_a_file_and_recorded_days_too(give: Give, tmp_path: Path) -> None:
    prices = write_yaml(tmp_path / "prices.yaml", {"NVDA": 187.2, "MSFT": 510})
    assert give("price", "--prices", prices).out == "Took the prices of 2 symbols from prices.yaml\n"
    days = tmp_path / "SPY.csv"
    days.write_text("Date,Open,High,Low,Close,Volume\n2025-11-07,668,672.25,661.2,670.97,99000000\n", encoding="utf-8")
    assert (
        give("price", "--prices", days).out == "Took the prices of 0 symbols, recorded days of 1 symbol from SPY.csv\n"
    )
    rows = {row["ticker"]: row["current_price"] for row in give("show", "--json").document["positions"]}
    assert rows["MSFT"] == "510"


def test_an_exchange_is_replaced_only_on_purpose_and_its_file_is_kept(give: Give, tmp_path: Path) -> None:
    give("deposit", "5")
    refused = give("init", tmp_path / "state.yaml")
    assert (refused.code, "add --reseed to replace it" in refused.err) == (2, True)
    replaced = give("init", tmp_path / "state.yaml", "--reseed", "--at", AT)
    assert replaced.out.endswith("the old one is kept as simulated_exchange.20251110T150542Z.db\n")
    assert give("show", "--json").document["cash"] == "40000"
    put_away = give("reset", "--at", AT)
    assert "is kept as simulated_exchange.20251110T150542Z-2.db" in put_away.out
    assert sorted(path.name for path in tmp_path.glob("simulated_exchange.*")) == [
        "simulated_exchange.20251110T150542Z-2.db",
        "simulated_exchange.20251110T150542Z.db",
    ]
    missing = give("show")
    assert (missing.code, "seed it: departments exchange init FILE" in missing.err) == (2, True)


def test_a_fault_script_is_checked_without_an_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = write_yaml(tmp_path / "faults.yaml", {"faults": [{"call": "submit", "do": "reject"}]})
    good = say(capsys, "exchange", "faults", "check", script)
    assert (good.code, good.out) == (0, "faults.yaml: 1 fault can be read (reject)\n")
    write_yaml(script, {"faults": [{"call": "submit", "do": "explode"}]})
    bad = say(capsys, "exchange", "faults", "check", script)
    assert (bad.code, bad.out) == (2, "")
    assert f"{script}: faults.0.do" in bad.err


# --- the files of a run ---


def _plan(capsys: pytest.CaptureFixture[str], folder: Path, *more: str | Path, at: str = AT) -> Said:
    return say(capsys, "plan", "--workspace", folder, "--at", at, *more)


def test_a_used_exchange_refuses_another_state_and_names_the_mend(
    give: Give, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give("deposit", "5")
    other = write_yaml(tmp_path / "other.yaml", {**STATE, "cash": 1})
    refused = _plan(capsys, tmp_path, "--exchange-state", other)
    assert refused.code == 2
    assert refused.sentences[-1] == (
        "--exchange-state: the exchange in simulated_exchange.db is in use since 2025-11-10; "
        "leave it out, or add --reseed: the old file is kept."
    )
    _plan(capsys, tmp_path, "--exchange-state", other, "--reseed")
    assert give("show", "--json").document["cash"] == "1"
    assert len(list(tmp_path.glob("simulated_exchange.2025*.db"))) == 1


def test_the_state_that_seeded_it_is_welcome_on_its_own_day_alone(
    give: Give, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give("deposit", "5")
    again = _plan(capsys, tmp_path, "--exchange-state", tmp_path / "state.yaml")
    assert "The exchange continues" in again.err
    later = _plan(capsys, tmp_path, "--exchange-state", tmp_path / "state.yaml", at="2025-11-11T15:05:42Z")
    assert (later.code, "is in use since 2025-11-10" in later.err) == (2, True)
    assert give("show", "--json").document["cash"] == "40005"


def test_files_of_the_exchange_are_refused_beside_another_broker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace(tmp_path)
    prices = write_yaml(tmp_path / "prices.yaml", {"NVDA": 187.2})
    said = _plan(capsys, tmp_path, "--prices", prices, "--broker", "alpaca")
    assert (said.code, "--prices: is for the simulated exchange only" in said.err) == (2, True)
    alone = _plan(capsys, tmp_path, "--reseed")
    assert (alone.code, "--reseed: needs a new state; add --exchange-state FILE" in alone.err) == (2, True)
