"""What becomes of the sizes of a given plan, and of what is held: by the command line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import AT, Said, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import briefing, candidate, deliver, plan, trade, workspace

D = Decimal
STATE: dict[str, Any] = {
    "cash": 100_000,
    "prices": {"ALKS": "33.01", "COMM": "17.02", "BANC": "17.29", "AXTA": 28.64, "SN": 96.19, "BRK.B": 480},
}


def shares(said: Said) -> dict[str, int]:
    return {o["ticker"]: int(D(o["filled_qty"])) for o in said.phase("BUY")["orders"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path, state=STATE)


def given(folder: Path, *trades: dict[str, Any]) -> Path:
    return plan_file(folder, plan(*trades))


def test_an_approved_size_is_kept_and_what_stays_in_cash_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = given(folder, trade("ALKS", "BUY", 108, 33.01), trade("BANC", "BUY", 118, 17.29))
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--plan", path, "--json"))
    assert shares(said) == {"ALKS": 108, "BANC": 174}
    assert "Raised BANC from 118 to 174 shares - position would be $2,040 (< $3,000 minimum)" in said.err
    assert "the plan's sizes are kept; with --sizes resize" in said.err


def test_on_request_sizes_grow_to_the_maximum_of_a_position(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = given(folder, trade("ALKS", "BUY", 108, 33.01), trade("BANC", "BUY", 118, 17.29))
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--plan", path, "--sizes", "resize", "--json"))
    assert shares(said) == {"ALKS": 239, "BANC": 458}  # $7,889 and $7,918


def test_candidates_of_the_day_fill_a_plan_up_only_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = given(folder, trade("ALKS", "BUY", 108, 33.01))
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--plan", path, "--fill", "--json"))
    bought = shares(said)
    assert bought.pop("ALKS") == 108
    assert set(bought) == {"COMM", "AXTA", "SN"}
    assert min(n * D(str(STATE["prices"][s])) for s, n in bought.items()) > 7_800


@pytest.mark.parametrize("option", [("--fill",), ("--sizes", "resize")])
def test_what_becomes_of_a_plan_needs_a_plan(
    folder: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, *option))
    assert said.code == 2
    assert f"{option[0]}: needs a plan; add --plan FILE" in said.err


def test_a_plan_whose_sizes_break_a_limit_is_cut_to_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = given(folder, trade("ALKS", "BUY", 1_200, 33.01), trade("SN", "BUY", 100, 96.19))
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder, "--plan", path, "--json"))
    assert shares(said) == {"ALKS": int(D(25_000) / (D("33.01") * D("1.01"))), "SN": 100}
    made = json.loads(next((folder).glob("proposed_trades_*.json")).read_text(encoding="utf-8"))
    (alks,) = (t for t in made["trades"] if t["ticker"] == "ALKS")
    assert alks["reason"] == "proposed, 1200 shares wanted, cut to the largest position, $25,000"


def test_brk_b_is_one_share_in_every_spelling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {**STATE, "positions": {"BRK-B": {"qty": 10, "avg_entry_price": 470, "current_price": 480}}}
    folder = workspace(tmp_path, state=state)
    text = briefing([], [{"ticker": "BRK-B", "research_composite_score": 30}])
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", text)
    said = say(capsys, *run_of(folder, "--json"))
    assert said.order("BRK.B")["filled_qty"] == "10"
    assert "does not know" not in said.err


def test_one_symbol_in_two_spellings_with_two_scores_is_not_bought(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [candidate("BRK-B", 80, 480), candidate("BRK.B", 60, 480), candidate("SN", 70, 96.19, "Consumer Cyclical")]
    deliver_briefing(folder, rows)
    said = say(capsys, "plan", "--workspace", folder, "--at", AT, "--exchange-state", folder / "state.yaml", "--json")
    made = said.document["plan"]
    assert {t["ticker"] for t in made["trades"]} == {"SN"}
    assert {s["ticker"]: s["code"] for s in made["skipped"]} == {"BRK.B": "DUPLICATE_TICKER"}


DAYS = ("2025-11-10", "2025-11-11", "2025-11-12", "2025-11-13", "2025-11-14")


def test_in_five_days_with_one_list_no_crumb_is_bought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prices move, money comes in: every BUY after the first day is a position or a top-up worth its exits."""
    symbols = [f"S{n:02}" for n in range(12)]
    state = {
        "cash": 60_000,
        "prices": {s: 20 + 7 * n for n, s in enumerate(symbols)},
        "price_mode": "walk",
        "walk": {"volatility": "0.004", "interval": 3600},
    }
    folder = workspace(tmp_path, state=state)
    rows = [candidate(s, 80 - n, 20 + 7 * n, f"Sector {n % 5}") for n, s in enumerate(symbols)]
    topped_up = 0
    for day in DAYS:
        held = _held(folder, capsys, day) if day != DAYS[0] else {}
        holdings = [{"ticker": s, "research_composite_score": 80} for s in held]
        name = f"MSG_RESEARCH_{day.replace('-', '')}T150509Z_0badcafe.md"
        deliver(folder, "OPERATIONS", name, briefing([] if day == DAYS[4] else rows, holdings, day=day))
        start: list[str | Path] = ["--exchange-state", folder / "state.yaml"] if day == DAYS[0] else []
        said = say(
            capsys, "run", "--workspace", folder, "--at", f"{day}T15:05:42Z", "--approve", "auto", "--json", *start
        )
        assert said.document["status"] in {"COMPLETED", "NOTHING_TO_DO"}, said.err
        equity = D(said.document["account"]["equity"])
        for phase in said.document["phases"]:
            for order in phase["orders"] if phase["name"] == "BUY" else ():
                if not D(order["filled_qty"]):
                    continue
                value = D(order["filled_qty"]) * D(order["filled_avg_price"] or 0)
                topped_up += order["ticker"] in held
                assert value >= max(D(500), equity / 100) * D("0.97"), (day, order)
        if day in {DAYS[1], DAYS[3]}:
            say(capsys, "exchange", "deposit", "25000", "--workspace", folder, "--at", f"{day}T23:00:00Z")
    assert topped_up


def _held(folder: Path, capsys: pytest.CaptureFixture[str], day: str) -> dict[str, D]:
    shown = say(capsys, "exchange", "show", "--json", "--workspace", folder, "--at", f"{day}T15:05:00Z").document
    return {row["ticker"]: D(row["qty"]) for row in shown["positions"]}


def test_new_shares_of_a_position_get_its_own_exits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bought at $30 with a target of $34.80; bought again at $33 the new shares' is the same, not $38.28."""
    folder = workspace(tmp_path, state={"cash": 100_000, "prices": {"ALKS": 30}})
    deliver_briefing(folder, [candidate("ALKS", 80, 30)])
    first = ("run", "--workspace", folder, "--approve", "auto", "--json")
    small = given(folder, trade("ALKS", "BUY", 110, 30))
    start = ("--plan", small, "--exchange-state", folder / "state.yaml")
    assert say(capsys, *first, "--at", AT, *start).order("ALKS")["filled_qty"] == "110"
    assert (
        say(capsys, "exchange", "price", "ALKS", "33", "--workspace", folder, "--at", "2025-11-11T14:00:00Z").code == 0
    )
    text = briefing([candidate("ALKS", 80, 33)], day="2025-11-11")
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251111T150509Z_0badcafe.md", text)
    second = say(capsys, *first, "--at", "2025-11-11T15:05:42Z")
    bought = int(second.order("ALKS")["filled_qty"])
    assert bought > 100
    shown = say(capsys, "exchange", "show", "--json", "--workspace", folder, "--at", "2025-11-11T20:00:00Z").document
    targets = {int(D(o["qty"])): o["limit_price"] for o in shown["orders"] if o["side"] == "SELL"}
    assert targets == {110: "34.8", bought: "34.8"}
    made = json.loads((folder / "proposed_trades_2025-11-11.json").read_text(encoding="utf-8"))
    assert made["trades"][0]["reason"].startswith("top-up of 110 held")
