from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from Departments.core.errors import BadInput
from Departments.core.reasons import ReasonCode
from Departments.messaging.neighbours import PlanProposal
from Departments.Operations.briefing import Proposal, SellWish, proposal_from

D = Decimal


def read(payload: Any) -> Proposal:
    return proposal_from(PlanProposal.read(payload, "MSG"), "MSG")


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


def test_a_nonsensical_pick_is_refused_alone() -> None:
    found = read({"picks": [{"ticker": "ALKS", "weight": -1}, {"ticker": "SN"}]})
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
