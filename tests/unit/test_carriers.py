"""Which classes carry the shares of a BUY. ARCHITECTURE.md lists them in order, and a new one needs a place here."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What a field for shares is called; `least`, `most`, `wanted` and `lower` are bounds in shares.
SHARES = re.compile(r"(?:\w+_)?(?:qty|shares|quantity)|least|most|wanted|lower")

#: The shares of a BUY from the number that Operations finds to the fill in the ledger and the report.
CARRIERS = (
    "Trade",
    "TradeRecord",
    "ExecutiveApproval",
    "OrderRequest",
    "OrderRecord",
    "Order",
    "FillRow",
    "ExecutionReport",
)
#: Before the number is found: a proposed size, and the bounds of a pick.
BEFORE = {"Candidate", "Pick", "Raise"}
#: Shares that are no BUY's: holdings, SELLs asked for, exits, requests, notes, a limit, bookings, new terms, history.
OTHERS = {
    "Activity",
    "AccountEntry",
    "CancelRequest",
    "Change",
    "AccountDifference",
    "LiquidityRequirements",
    "MandatorySell",
    "OrderChange",
    "Position",
    "PricedRow",
    "Release",
    "SellWish",
    "SharesRequest",
    "Sighting",
    "Stretch",
    "SubmissionNote",
    "TradeOrder",
    "UnprotectedShares",
}


def classes_with_shares() -> set[str]:
    """Return the classes with a field for shares; the exchange is a product of its own."""
    found = set()
    for path in (ROOT / "Departments").rglob("*.py"):
        if "exchange" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(map(is_for_shares, node.body)):
                found.add(node.name)
    return found


def is_for_shares(statement: ast.stmt) -> bool:
    """Return True for a field such as `filled_qty: Decimal`."""
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
        return False
    return SHARES.fullmatch(statement.target.id) is not None


def test_every_class_with_a_field_for_shares_is_accounted_for() -> None:
    assert classes_with_shares() == {*CARRIERS, *BEFORE, *OTHERS}


def test_at_most_eight_classes_carry_the_shares_of_a_buy() -> None:
    assert len(CARRIERS) <= 8


def test_the_architecture_lists_the_carriers_in_their_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- carriers -->\n(.*?)\n<!-- end of carriers -->", text, re.DOTALL)
    assert tuple(re.findall(r"^\d+\. `(\w+)`", table, re.MULTILINE)) == CARRIERS
