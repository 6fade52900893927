from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.core.reasons import ReasonCode
from Departments.messaging.proposal_payloads import PlanProposal
from Departments.Operations.proposals import Proposal, SellWish, proposal_from

D = Decimal
MORNING = datetime(2025, 11, 10, 15, tzinfo=UTC)


def read(payload: Any) -> Proposal:
    return proposal_from(PlanProposal.read(payload, "MSG"), "MSG", at=MORNING)


def test_picks_need_neither_score_nor_price_nor_size() -> None:
    found = read({"picks": [{"ticker": "ALKS"}, {"ticker": "SN", "weight": 0.05}]})
    assert [(c.symbol, c.has_size, c.weight) for c in found.picks] == [("ALKS", False, None), ("SN", True, D("0.05"))]


def test_the_trades_of_a_plan_document_are_understood() -> None:
    trades = [
        {"ticker": "ALKS", "shares": 108, "allocated_capital": 3583.0, "entry_price": 33.01, "composite_score": 79.6},
        {"ticker": "UPS", "action": "SELL", "shares": 70.0, "position_id": 7},
    ]
    found = read({"trades": trades})
    assert [(c.symbol, c.shares, c.value) for c in found.picks] == [("ALKS", D(108), D("3583.0"))]
    assert found.sells == (SellWish("UPS", D("70.0"), "proposed"),)


def test_a_hint_nobody_can_read_is_refused_alone() -> None:
    found = read({"picks": [{"ticker": "ALKS", "composite_score": 101}, {"ticker": "SN"}]})
    assert [c.symbol for c in found.picks] == ["SN"]
    assert [s.reason.code for s in found.refused] == [ReasonCode.INVALID_CANDIDATE]


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (None, "picks"),
        ({"picks": []}, "picks"),
        ({"sells": ["UPS"]}, "sells"),
        ({"trades": [{"ticker": "ALKS", "shares": 1}]}, "trades[0]"),
    ],
)
def test_a_proposal_nobody_can_read_is_bad_input(payload: Any, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(payload)
    assert (caught.value.source, caught.value.key) == ("MSG", key)


WHOLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "a misspelt key": ({"pickz": [], "picks": [{"ticker": "SN"}]}, "pickz", "picks"),
    "a misspelt key of a pick": ({"picks": [{"ticker": "SN", "wieght": 0.1}]}, "picks[0].wieght", "not a known key"),
    "a misspelt key of a sale": ({"sells": [{"ticker": "SN", "qty": 1}]}, "sells.0.qty", "not a known key"),
    "a mode of no name": ({"mode": "exakt", "picks": [{"ticker": "SN"}]}, "mode", "neither exact nor hint"),
    "a negative weight": ({"picks": [{"ticker": "A"}, {"ticker": "SN", "weight": -0.1}]}, "picks[1].weight", "SN"),
    "a weight above the whole": ({"picks": [{"ticker": "SN", "weight": 1.2}]}, "picks[0].weight", "more than 1"),
    "a weight that is no number": ({"picks": [{"ticker": "SN", "weight": "x"}]}, "picks[0].weight", "not a number"),
    "no shares": ({"picks": [{"ticker": "SN", "shares": 0}]}, "picks[0].shares", "not positive"),
    "no dollars": ({"picks": [{"ticker": "SN", "allocated_capital": -5}]}, "picks[0].allocated_capital", "SN"),
    "weights above the whole": (
        {"picks": [{"ticker": symbol, "weight": 0.4} for symbol in ("A", "B", "C")]},
        "picks",
        "add up to 1.2",
    ),
    "an exact pick without a size": ({"mode": "exact", "picks": [{"ticker": "SN"}]}, "picks[0]", "has no size"),
    "an exact pick with two": (
        {"mode": "exact", "picks": [{"ticker": "SN", "weight": 0.1, "shares": 3}]},
        "picks[0]",
        "give one size",
    ),
    "an exact pick twice": (
        {"mode": "exact", "picks": [{"ticker": "SN", "shares": 3}, {"ticker": "SN", "shares": 3}]},
        "picks",
        "proposed 2 times",
    ),
    "an exact pick that is sold": (
        {"mode": "exact", "picks": [{"ticker": "SN", "shares": 3}], "sells": [{"ticker": "SN"}]},
        "picks",
        "BUYs and SELLs",
    ),
    "an exact pick nobody can read": (
        {"mode": "exact", "picks": [{"ticker": "../x", "shares": 3}, {"ticker": "SN", "shares": 3}]},
        "picks[0].ticker",
        "not a symbol",
    ),
    "an exact trade without a size": (
        {"mode": "exact", "trades": [{"ticker": "SN", "action": "BUY"}]},
        "trades[0]",
        "has no size",
    ),
    "an end before its beginning": (
        {"valid_until": "2025-11-09", "picks": [{"ticker": "SN"}]},
        "valid_until",
        "before",
    ),
    "an end far away": ({"valid_until": "2026-11-09", "picks": [{"ticker": "SN"}]}, "valid_until", "31 days"),
    "an end of no form": ({"valid_until": "soon", "picks": [{"ticker": "SN"}]}, "valid_until", "'soon'"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_cannot_be_meant_refuses_a_proposal_as_a_whole(case: str) -> None:
    payload, key, words = WHOLE[case]
    with pytest.raises(BadInput) as caught:
        read(payload)
    assert (caught.value.source, caught.value.key) == ("MSG", key)
    assert words in str(caught.value)


@pytest.mark.parametrize("mode", ["exact", "hint"])
def test_weights_that_were_rounded_may_exceed_the_whole_a_little(mode: str) -> None:
    picks = [{"ticker": f"A{n}", "weight": "0.08334"} for n in range(12)]
    assert len(read({"mode": mode, "picks": picks}).picks) == 12


def test_a_pick_may_be_a_copy_of_a_candidate() -> None:
    row = {"ticker": "SN", "technical": {"score": 1}, "fundamental": {"score": 2, "sector": "Energy"}, "sentiment": {}}
    (pick,) = read({"picks": [row]}).picks
    assert pick.sector == "Energy"


def test_a_proposal_holds_until_the_end_of_a_day_or_until_a_moment() -> None:
    picks = [{"ticker": "SN"}]
    day = read({"valid_until": "2025-11-12", "picks": picks}).valid_until
    moment = read({"valid_until": "2025-11-12T15:00:00Z", "picks": picks}).valid_until
    assert day is not None
    assert moment is not None
    assert (day.isoformat(), moment.isoformat()) == ("2025-11-12T23:59:59.999999-05:00", "2025-11-12T15:00:00+00:00")
