"""Whatever happens outside between two runs: the bridge adds up, and no share is unprotected without a line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from Departments.core.activities import ActivityKind
from Departments.core.errors import BadInput, BrokerError
from Departments.core.money import whole_shares
from Departments.exchange.records import ExchangeRefusal
from Departments.Trading.exits import ask_to_cancel, resting_exits
from tests.builders.desk import MORNING, STATE, trade, workspace
from tests.integration.test_account_truth import DAY, SETTINGS, check_sum, execute, happen, outside
from tests.integration.test_splits_and_renames import hide

SYMBOLS = ("ALKS", "COMM", "MSFT")
DOLLARS = st.integers(1, 500_000).map(lambda cents: D(cents) / 100)
of_one = st.sampled_from(SYMBOLS)
SPLITS = ("2", "10", "3", "0.5", "0.1", "1.5", "1.25")


def event(do: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(do), **more})


EVENTS = st.one_of(
    event("deposit", amount=DOLLARS),
    event("withdraw", amount=DOLLARS),
    event("fee", amount=st.integers(1, 999).map(lambda cents: D(cents) / 100)),
    event("interest", amount=DOLLARS),
    event("dividend", of=of_one, amount=st.integers(1, 200).map(lambda cents: D(cents) / 100)),
    event("set_price", of=of_one, price=st.sampled_from([D(9), D("27.5"), D(45), D(700)])),
    event("trade_outside", of=of_one, qty=st.sampled_from([D(-30), D(-7), D(12), D(150)])),
    event("split", of=of_one, ratio=st.sampled_from([D(each) for each in SPLITS])),
    event("rename", of=of_one, to=st.sampled_from(["META", "XYZ", "COMM"])),
    event("cancel", of=of_one),
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    nights=st.lists(st.lists(EVENTS, max_size=3), min_size=2, max_size=2),
    policy=st.sampled_from(["cancel", "adjust", "multiply"]),
    hidden=st.sets(st.sampled_from([ActivityKind.SPLIT, ActivityKind.RENAME])),
)
def test_the_bridge_adds_up_and_no_share_is_unprotected_without_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    nights: list[list[dict[str, Any]]],
    policy: str,
    hidden: set[ActivityKind],
) -> None:
    folder = workspace(
        tmp_path_factory.mktemp("days"), settings=SETTINGS, state={**STATE, "orders_at_split": policy, "cash": 60_000}
    )
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), trade("COMM", "BUY", 251, 17.02), at=MORNING)
    answered = {"ALKS", "COMM"}
    with pytest.MonkeyPatch.context() as patch:
        hide(patch, *hidden)
        for number, night in enumerate(nights, start=1):
            morning, bought = MORNING + number * DAY, (("SN", 96.19), ("AXTA", 28.64))[number - 1]
            for minutes, each in enumerate(night):
                if let_happen(folder, morning - timedelta(hours=2) + timedelta(minutes=minutes), each):
                    follow(answered, each)
            document = execute(folder, number, trade(bought[0], "BUY", 40, bought[1]), at=morning)
            answered.add(bought[0])
            check_sum(document)
            assert "Unexplained" not in {row["label"] for row in document["since_last"]["bridge"]}
            check_protection(folder, morning + timedelta(hours=1), document, answered)


def let_happen(folder: Path, at: datetime, what: Mapping[str, Any]) -> bool:
    """Let an event happen at the exchange. Returns False where the exchange refuses it."""
    with outside(folder, at) as opened:
        if what["do"] == "cancel":
            for order, _ in resting_exits(opened.broker, what["of"]):
                ask_to_cancel(opened.broker, order.id, order.symbol)
        else:
            try:
                happen(opened, **what)
            except (BadInput, BrokerError, ExchangeRefusal):
                return False
        opened.clock.sleep(10)
    return True


def follow(answered: set[str], what: Mapping[str, Any]) -> None:
    """Follow an event: what a person bought is not the desk's to protect, what is renamed is."""
    if what["do"] == "trade_outside" and what["qty"] > 0:
        answered.discard(what["of"])
    if what["do"] == "rename" and what["of"] in answered:
        answered.remove(what["of"])
        answered.add(what["to"])
    elif what["do"] == "rename":
        answered.discard(what["to"])


def check_protection(folder: Path, at: datetime, document: Mapping[str, Any], answered: set[str]) -> None:
    """Check that the report names every free share of what the desk bought, and that its status fits."""
    with outside(folder, at) as opened:
        held = {p.symbol: whole_shares(p.available) for p in opened.broker.positions()}
    named = {row["ticker"] for key in ("deferred", "locks") for row in document[key]}
    named |= {row["ticker"] for row in document["unprotected"] if row["until"] is None}
    assert {symbol for symbol in answered if held.get(symbol, 0) > 0} <= named
    if document["status"] == "COMPLETED":
        assert not document["locks"]
        assert all(stretch["until"] is not None for stretch in document["unprotected"])
