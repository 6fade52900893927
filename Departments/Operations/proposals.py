"""The PlanProposal of an external optimiser: picks with or without sizes, and what it would sell.

    {"picks": [{"ticker": "ALKS", "weight": 0.05}, {"ticker": "SN", "shares": 37}], "sells": [{"ticker": "UPS"}]}

It may also send the `trades` of a plan document. However it is told, Operations alone decides the sizes.
"""

from __future__ import annotations

from Departments.core.errors import BadInput
from Departments.core.orders import Side
from Departments.messaging.neighbours import Candidate, PlanProposal, read_entry, read_sells
from Departments.messaging.plan_documents import classify
from Departments.Operations.briefing import usable
from Departments.Operations.planning import Proposal
from Departments.Operations.selection import sell_wishes


def proposal_from(proposal: PlanProposal, source: str) -> Proposal:
    """Read a PlanProposal. Raises BadInput when there is nothing in it or a trade is neither BUY nor SELL."""
    picks, sells = list(proposal.picks), list(proposal.sells)
    for index, trade in enumerate(proposal.trades):
        place = f"trades[{index}]"
        if classify(trade, source, place) is Side.BUY:
            picks.append(read_entry(Candidate, trade, place))
        else:
            sells.extend(read_sells([{**trade, "action": "SELL"}], f"{source}: {place}"))
    if not picks and not sells:
        raise BadInput(source, "picks", "nothing is proposed", "list picks, sells or trades")
    candidates, refused = usable(picks)
    return Proposal(source, sell_wishes(sells, why="proposed"), candidates, refused)
