"""The PlanProposal of an external optimiser: picks with or without sizes, and what it would sell.

    {"picks": [{"ticker": "ALKS", "weight": 0.05}, {"ticker": "SN", "shares": 37}], "sells": [{"ticker": "UPS"}]}

It may also send the `trades` of a plan document. However it is told, Operations alone decides the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Departments.core.errors import BadInput
from Departments.core.orders import Side
from Departments.core.plans import classify
from Departments.messaging.neighbours import PlanProposal
from Departments.Operations.briefing import picks_from
from Departments.Operations.planning import Proposal
from Departments.Operations.selection import sell_wishes


def proposal_from(proposal: PlanProposal, source: str) -> Proposal:
    """Read a PlanProposal. Raises BadInput when there is nothing in it or a trade is neither BUY nor SELL."""
    picks, sells = _rows(proposal.picks, "picks", source), _rows(proposal.sells, "sells", source)
    for index, trade in enumerate(_rows(proposal.trades, "trades", source)):
        is_buy = classify(trade, source, f"trades[{index}]") is Side.BUY
        (picks if is_buy else sells).append({**trade, "action": "BUY" if is_buy else "SELL"})
    if not picks and not sells:
        raise BadInput(source, "picks", "nothing is proposed", "list picks, sells or trades")
    candidates, refused = picks_from(picks)
    return Proposal(source, sell_wishes(sells, source, why="proposed"), candidates, refused)


def _rows(given: Any, key: str, source: str) -> list[Any]:
    rows = given or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise BadInput(source, key, "is not a list of mappings", "write [{ticker, …}]")
    return list(rows)
