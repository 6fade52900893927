"""Whatever happens outside between two runs: the bridge adds up, and no share is unprotected without a line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal as D
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from Departments.core.activities import ActivityKind
from Departments.core.errors import BadInput, BrokerError
from Departments.core.money import whole_shares
from Departments.core.orders import OrderChange
from Departments.exchange.prices import round_to_tick
from Departments.exchange.records import ExchangeRefusal
from Departments.Trading.exits import ask_to_cancel, resting_exits
from tests.builders.desk import MORNING, STATE, desk, trade, workspace
from tests.integration.test_account_truth import DAY, SETTINGS, check_sum, execute, final, happen, outside, plan_of
from tests.integration.test_protection_is_told import forget_exits
from tests.integration.test_splits_and_renames import hide, miss_activities

SYMBOLS = ("ALKS", "COMM", "MSFT")
DOLLARS = st.integers(1, 500_000).map(lambda cents: D(cents) / 100)
of_one = st.sampled_from(SYMBOLS)
SPLITS = ("2", "10", "3", "0.5", "0.1", "1.5", "1.25")
HIDDEN = (ActivityKind.SPLIT, ActivityKind.RENAME)


def event(do: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(do), **more})


ratios, names = st.sampled_from([D(each) for each in SPLITS]), st.sampled_from(["META", "XYZ", "COMM"])
prices = st.sampled_from([D(9), D("27.5"), D(45), D(700)])
EVENTS = st.one_of(
    event("deposit", amount=DOLLARS),
    event("withdraw", amount=DOLLARS),
    event("fee", amount=st.integers(1, 999).map(lambda cents: D(cents) / 100)),
    event("interest", amount=DOLLARS),
    event("dividend", of=of_one, amount=st.integers(1, 200).map(lambda cents: D(cents) / 100)),
    event("set_price", of=of_one, price=prices),
    event("trade_outside", of=of_one, qty=st.sampled_from([D(-30), D(-7), D(12), D(150)])),
    event("split", of=of_one, ratio=ratios),
    event("rename", of=of_one, to=names),
    event("split and rename", of=of_one, ratio=ratios, to=names),
    event("cancel", of=of_one),
    event("edit", of=of_one, factor=st.sampled_from([D("0.97"), D("0.995"), D("1.01")])),
    event("lose", of=of_one),
)
#: What happens when the run has sent its BUY.
IN_THE_RUN = st.none() | st.one_of(
    event("set_price", of=of_one, price=prices),
    event("deposit", amount=DOLLARS),
    event("withdraw", amount=DOLLARS),
    event("dividend", of=of_one, amount=st.integers(1, 200).map(lambda cents: D(cents) / 100)),
)
COURSES = {
    "nights": st.lists(st.lists(EVENTS, max_size=3), min_size=2, max_size=2),
    "runs": st.lists(IN_THE_RUN, min_size=2, max_size=2),
    "policy": st.sampled_from(["cancel", "adjust", "multiply", "keep"]),
    "hidden": st.sets(st.sampled_from(HIDDEN)),
    "announced": st.booleans(),
}


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(**COURSES)
def test_the_bridge_adds_up_and_no_share_is_unprotected_without_a_line(
    tmp_path_factory: pytest.TempPathFactory, **course: Any
) -> None:
    check_days(tmp_path_factory.mktemp("days"), **course)


@pytest.mark.soak
@settings(
    max_examples=int(os.environ.get("OUTSIDE_EVENTS", "200")),
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(**COURSES)
def test_whatever_happens_in_many_more_courses(tmp_path_factory: pytest.TempPathFactory, **course: Any) -> None:
    folder = tmp_path_factory.mktemp("days")
    check_days(folder, **course)
    shutil.rmtree(folder)


def check_days(
    folder: Path,
    *,
    nights: list[list[dict[str, Any]]],
    runs: list[dict[str, Any] | None],
    policy: str,
    hidden: set[ActivityKind],
    announced: bool,
) -> None:
    """Let three days pass with events between and in the runs, and check each report."""
    workspace(folder, settings=SETTINGS, state={**STATE, "orders_at_split": policy, "cash": 60_000})
    execute(folder, 0, trade("ALKS", "BUY", 150, 32.66), trade("COMM", "BUY", 251, 17.02), at=MORNING)
    answered = {"ALKS", "COMM"}
    with pytest.MonkeyPatch.context() as patch:
        (miss_activities if announced else hide)(patch, *hidden)
        for number, night in enumerate(nights, start=1):
            morning, (symbol, price) = MORNING + number * DAY, (("SN", 96.19), ("AXTA", 28.64))[number - 1]
            for minutes, each in enumerate(night):
                at = morning - timedelta(hours=2) + timedelta(minutes=minutes)
                for what in split_up(each):
                    if let_happen(folder, at, what):
                        follow(answered, what)
            document = run(folder, number, trade(symbol, "BUY", 40, price), morning, runs[number - 1])
            answered.add(symbol)
            check_sum(document)
            assert document["cash_identity"]["holds"] or document["status"] == "COMPLETED_WITH_ISSUES"
            assert "Unexplained" not in {row["label"] for row in document["since_last"]["bridge"]}
            check_protection(folder, morning + timedelta(hours=1), document, answered)
            past = list(chain(*nights[:number]))
            lost, changed = (
                {each.get("of") for each in past if (each["do"] == "lose") is is_lost} for is_lost in (True, False)
            )
            is_explained = all(each["do"] != "trade_outside" for each in past) and not lost & changed
            if not hidden and is_explained:  # an exit that is lost while its symbol changes may have filled
                assert document["locks"] == []


def split_up(what: dict[str, Any]) -> list[dict[str, Any]]:
    if what["do"] != "split and rename":
        return [what]
    split = {"do": "split", "of": what["of"], "ratio": what["ratio"]}
    return [split, {"do": "rename", "of": what["of"], "to": what["to"]}]


def run(
    folder: Path, number: int, buy: Mapping[str, Any], at: datetime, meanwhile: dict[str, Any] | None
) -> dict[str, Any]:
    """Execute a plan of one BUY; something may happen when it is sent."""
    fault = None if meanwhile is None else {"call": "submit", "side": "BUY", **meanwhile}
    with closing(desk(folder, at=at, faults=None if fault is None else {"faults": [jsonable(fault)]})) as opened:
        plan_id = f"PLAN_2025111{number}_150000"
        opened.ceo.current_plan, opened.ceo.plan_approved = plan_of(number, buy, at=at), True
        opened.ceo.execute_plan()
        return final(opened, plan_id)


def jsonable(fault: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, D) else value for key, value in fault.items()}


def let_happen(folder: Path, at: datetime, what: Mapping[str, Any]) -> bool:
    """Let an event happen at the exchange. Returns False where the exchange refuses it."""
    if what["do"] == "lose":
        forget_exits(folder, what["of"])
        return True
    with outside(folder, at) as opened:
        exits = [order for order, _ in resting_exits(opened.broker, what["of"])] if what["do"] in BY_HAND else []
        try:
            for order in exits:
                if what["do"] == "cancel":
                    ask_to_cancel(opened.broker, order.id, order.symbol)
                elif order.stop_price is not None:
                    stop = round_to_tick(order.stop_price * what["factor"])
                    opened.broker.replace(order.id, OrderChange(f"by-hand-{order.id}", stop_price=stop))
            if what["do"] not in BY_HAND:
                happen(opened, **what)
        except (BadInput, BrokerError, ExchangeRefusal, ValidationError):
            return False
        opened.clock.sleep(10)
    return True


BY_HAND = ("cancel", "edit")


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
    """Check that a line names every free share of what the desk bought, that its status fits, and the book."""
    with outside(folder, at) as opened:
        positions = {p.symbol: p for p in opened.broker.positions()}
        held = {symbol: p.qty for symbol, p in positions.items()}
        free = {symbol for symbol, p in positions.items() if whole_shares(p.available) > 0}
        differing = {d.symbol for d in opened.ledger.book.differences()}
        book = opened.ledger.book.balance().holdings
    named = {row["ticker"] for key in ("deferred", "locks") for row in document[key]}
    assert answered & free <= named
    assert {s for s in {*held, *book} if held.get(s, 0) != book.get(s, 0)} <= differing
    if document["status"] == "COMPLETED":
        assert not document["locks"]
        assert all(stretch["until"] is not None for stretch in document["unprotected"])
