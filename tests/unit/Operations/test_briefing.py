from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.core.reasons import ReasonCode
from Departments.messaging.message import body_with, payload_of
from Departments.messaging.neighbours import DailyBriefing
from Departments.Operations.briefing import Briefing, briefing_from, merge_picks
from tests.builders.operations import candidate, holding, payload, row


def read(payload: Any, source: str, *, at: datetime | None = None) -> Briefing:
    return briefing_from(DailyBriefing.read(payload, source), source, at=at)


def test_float_noise_in_a_price_is_dropped() -> None:
    found = read(payload(row(current_price=30.93000030517578)), "b")
    assert found.candidates[0].price == Decimal("30.93")


def test_a_message_written_with_decimals_reads_like_one_written_with_floats() -> None:
    day = payload(row(), row("BRK.B", current_price=501.5), current_holdings=[holding()])
    assert read(payload_of(body_with("# Briefing", day)), "b") == read(day, "b")


@pytest.mark.parametrize("symbol", ["BRK.B", "BF-B", "A", "ALKS", " alks "])
def test_a_symbol_with_a_class_is_a_symbol(symbol: str) -> None:
    found = read(payload(row(symbol)), "b")
    assert [c.symbol for c in found.candidates] == [symbol.strip().upper().replace("-", ".")]


@pytest.mark.parametrize("symbol", ["../x", "", None, "AL KS", "C:", 7, ["ALKS"], "ALKS\n", "ÅLKS", "A" * 40])
def test_an_odd_symbol_is_refused_alone(symbol: Any) -> None:
    found = read(payload(row(symbol) if symbol != "ALKS\n" else row("AL\nKS"), row("SN")), "b")
    assert [c.symbol for c in found.candidates] == ["SN"]
    assert [s.reason.code for s in found.refused] == [ReasonCode.INVALID_CANDIDATE]
    assert found.refused[0].reason.values["field"] == "ticker"


@pytest.mark.parametrize("price", [0, -3.5, "NaN", "Infinity", "cheap", True, [], {}, 1e300, 0.00001])
def test_a_price_that_is_none_is_refused_with_its_reason(price: Any) -> None:
    found = read(payload(row(current_price=price), row("SN")), "b")
    assert [c.symbol for c in found.candidates] == ["SN"]
    assert found.refused[0].reason.values["field"] == "current_price"
    assert found.refused[0].line.startswith("Skipped ALKS - current_price: ")


def test_a_missing_price_is_unknown_and_not_refused() -> None:
    without = {k: v for k, v in row().items() if k != "current_price"}
    found = read(payload(without, row("SN", current_price=None)), "b")
    assert [c.price for c in found.candidates] == [None, None]
    assert found.refused == ()


@pytest.mark.parametrize("score", [-1, 100.1, "high", "NaN", None])
def test_a_score_that_is_none_is_refused(score: Any) -> None:
    found = read(payload(row(composite_score=score)), "b")
    assert found.candidates == ()
    assert found.refused[0].reason.values["field"] == "composite_score"


def test_the_same_candidate_twice_is_used_once_and_told() -> None:
    found = read(payload(row(), row()), "b")
    assert [c.symbol for c in found.candidates] == ["ALKS"]
    assert [s.reason.code for s in found.refused] == [ReasonCode.DUPLICATE_TICKER]


def test_candidates_that_contradict_each_other_are_both_refused_whatever_their_order() -> None:
    one, other = row(), row(current_price=12)
    for rows in ((one, other), (other, one)):
        found = read(payload(*rows), "b")
        assert found.candidates == ()
        assert [s.reason.code for s in found.refused] == [ReasonCode.DUPLICATE_TICKER]


def test_an_entry_that_is_no_mapping_is_refused_alone() -> None:
    found = read(payload(row()) | {"candidates": ["ALKS", row("SN")]}, "b")
    assert [c.symbol for c in found.candidates] == ["SN"]
    assert found.refused[0].symbol == "candidates[0]"


@pytest.mark.parametrize("candidates", [None, "", "ALKS", {}, {"ticker": "ALKS"}])
def test_a_briefing_without_a_list_of_candidates_is_bad_input_naming_file_key_and_mend(candidates: Any) -> None:
    with pytest.raises(BadInput, match=r"^MSG_7: candidates: .+; list .+\.$") as caught:
        read(payload() | {"candidates": candidates}, "MSG_7")
    assert caught.value.exit_code == 2


def test_a_message_without_payload_is_bad_input() -> None:
    with pytest.raises(BadInput, match="candidates"):
        read(None, "MSG_7")


@pytest.mark.parametrize(
    ("conditions", "key"),
    [
        ({"vix": "high"}, "market_conditions.vix"),
        ({"vix": 0}, "market_conditions.vix"),
        ({"spy_change_pct": "NaN"}, "market_conditions.spy_change_pct"),
        ({"date": "tomorrow"}, "market_conditions.date"),
        ([1], "market_conditions"),
    ],
)
def test_market_conditions_nobody_can_read_are_bad_input(conditions: Any, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(payload(market_conditions=conditions), "b")
    assert caught.value.key == key


def test_unknown_market_conditions_stay_unknown() -> None:
    found = read(payload(market_conditions=None), "b")
    assert found.conditions.vix is None
    assert found.date is None


def test_a_briefing_that_names_no_day_is_of_the_exchange_s_day_it_was_written_on() -> None:
    late_evening = datetime(2025, 11, 11, 2, 0, tzinfo=UTC)
    assert read(payload(market_conditions={}), "b", at=late_evening).date == date(2025, 11, 10)


def test_the_sector_is_read_from_the_fundamentals_and_unknown_is_unknown() -> None:
    found = read(payload(row(), row("SN", fundamental={"sector": "Unknown"}), row("X", fundamental=None)), "b")
    assert {c.symbol: c.sector for c in found.candidates} == {"ALKS": "Healthcare", "SN": None, "X": None}


def test_a_candidate_may_bring_a_size_in_shares_dollars_or_weight() -> None:
    rows = (row("A", shares=108), row("B", allocated_capital=3583.0), row("C", weight=0.05))
    found = read(payload(*rows), "b").candidates
    assert all(c.has_size for c in found)
    assert [(c.shares, c.value, c.weight) for c in found] == [
        (Decimal(108), None, None),
        (None, Decimal("3583.0"), None),
        (None, None, Decimal("0.05")),
    ]


@pytest.mark.parametrize("size", [{"shares": -1}, {"shares": "NaN"}, {"weight": 1.5}, {"allocated_capital": 0}])
def test_a_nonsensical_size_refuses_the_candidate(size: dict[str, Any]) -> None:
    found = read(payload(row(**size)), "b")
    assert found.refused[0].reason.values["field"] == next(iter(size))


def test_a_holding_lends_score_sector_and_sell_flag() -> None:
    rows = [holding(), holding("PLD", mandatory_sell=True, sell_reason="too weak"), holding("UPS", action="sell")]
    eix, pld, ups = read(payload(current_holdings=rows), "b").holdings
    assert (eix.score, eix.sector, eix.must_sell) == (Decimal("78.0"), "Utilities", False)
    assert (pld.must_sell, pld.sell_reason) == (True, "too weak")
    assert ups.must_sell


def test_fractional_and_short_holdings_are_read_because_the_broker_decides_how_many_are_held() -> None:
    rows = [holding(quantity=10.5), holding("PLD", quantity=-40)]
    assert [h.symbol for h in read(payload(current_holdings=rows), "b").holdings] == ["EIX", "PLD"]


def test_a_reason_never_carries_line_breaks_of_the_file_into_the_log() -> None:
    found = read(payload(row("A\nFORGED LOG LINE"), row("SN")), "b")
    assert "\n" not in found.refused[0].line
    assert "\n" not in json.dumps(found.refused[0].symbol)


def test_what_a_pick_leaves_unknown_is_filled_from_the_briefing() -> None:
    day = read(payload(row()), "b")
    pick = candidate("ALKS", price=None, score=None, weight=Decimal("0.05"))
    (known,) = merge_picks(day, [pick]).candidates
    assert (known.price, known.score, known.sector, known.weight) == (
        Decimal("33.01"),
        Decimal("73.6"),
        "Healthcare",
        Decimal("0.05"),
    )


def test_correlations_are_read_for_pairs_in_any_order() -> None:
    found = read(payload(correlations={"sn|ALKS": 0.81}), "b").conditions.correlations
    assert found == {frozenset({"ALKS", "SN"}): Decimal("0.81")}


@pytest.mark.parametrize(
    ("correlations", "key"),
    [
        ([0.8], "correlations"),
        ({"ALKS": 0.8}, "correlations.ALKS"),
        ({"ALKS|ALKS": 0.8}, "correlations.ALKS|ALKS"),
        ({"A|B|C": 0.8}, "correlations.A|B|C"),
        ({"A|": 0.8}, "correlations.A|"),
        ({"A|B": "high"}, "correlations.A|B"),
        ({"A|B": 1.2}, "correlations.A|B"),
        ({"A|B": None}, "correlations.A|B"),
    ],
)
def test_correlations_nobody_can_use_are_refused_with_their_key(correlations: Any, key: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read(payload(correlations=correlations), "b")
    assert (refusal.value.source, refusal.value.key) == ("b", key)
