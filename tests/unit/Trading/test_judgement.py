"""Approvals that wait together are judged by one look at the account, and by what was sent since."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.orders import Side
from Departments.core.reasons import ReasonCode
from Departments.messaging import codec
from Departments.Trading.judgement import LASTING, Judge
from Departments.Trading.orders import Approval, approval_from
from tests.builders.desk import STATE, desk, workspace
from tests.builders.trading import order, reports, request_text, send

SLOW = {**STATE, "latency": {"fill": [60, 60]}}


class Counting:
    """A broker that counts what is asked of it."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.asked: Counter[str] = Counter()

    def __getattr__(self, call: str) -> Any:
        self.asked[call] += 1
        return getattr(self._broker, call)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    found = desk(workspace(tmp_path, state=SLOW))
    yield found
    found.close()


@pytest.fixture
def broker(opened: Desk) -> Counting:
    return Counting(opened.broker)


@pytest.fixture
def judge(opened: Desk, broker: Counting) -> Judge:
    return Judge(replace(opened.trading_parts, broker=broker))


def approval(ticker: str, action: str, shares: float) -> Approval:
    return approval_from(codec.decode(request_text(order(ticker, action, shares)).encode(), name="a.md"))


def test_approvals_that_follow_each_other_are_judged_by_one_look(judge: Judge, broker: Counting) -> None:
    for ticker, shares in (("ALKS", 200), ("COMM", 300), ("AXTA", 200)):
        assert judge.judged(approval(ticker, "BUY", shares)).violations == ()
    assert broker.asked == {"account": 1, "positions": 1, "orders": 1, "quotes": 3, "assets": 3}


def test_the_cash_of_what_was_sent_is_not_given_to_the_next(judge: Judge, broker: Counting) -> None:
    """The broker's account does not show it yet; only a fresh look may deny."""
    judge.count_in(replace(judge.judged(approval("COMM", "BUY", 300)).order, qty=D(1_300)))  # of $30,000, all but 7,900
    assert judge.judged(approval("ALKS", "BUY", 200)).violations == ()
    assert broker.asked["account"] == 1
    judge.count_in(judge.judged(approval("ALKS", "BUY", 200)).order)
    assert judge.judged(approval("AXTA", "BUY", 200)).violations == ()
    assert broker.asked["account"] == 2


def test_shares_promised_to_one_sell_are_not_promised_to_the_next(judge: Judge, broker: Counting) -> None:
    first = judge.judged(approval("DVN", "SELL", 200))
    assert judge.judged(approval("DVN", "SELL", 225)).violations == ()
    judge.count_in(first.order)
    judge.judged(approval("DVN", "SELL", 25))
    assert broker.asked["account"] == 1
    judge.judged(approval("DVN", "SELL", 26))
    assert broker.asked["account"] == 2


def test_a_sell_that_was_sent_gives_no_cash_before_the_account_has_it(judge: Judge, broker: Counting) -> None:
    poor = replace(judge.judged(approval("ALKS", "BUY", 200)).order, qty=D(900))
    judge.count_in(poor)
    judge.count_in(judge.judged(approval("CTVA", "SELL", 190)).order)
    judge.judged(approval("SN", "BUY", 60))
    assert broker.asked["account"] == 2


def test_a_symbol_that_is_being_sold_is_looked_at_again_before_it_is_bought(judge: Judge, broker: Counting) -> None:
    assert judge.judged(approval("DVN", "BUY", 60)).violations == ()
    judge.count_in(judge.judged(approval("DVN", "SELL", 10)).order)
    assert broker.asked["account"] == 1
    judge.judged(approval("DVN", "BUY", 60))
    assert broker.asked["account"] == 2


def test_what_is_denied_is_denied_by_a_fresh_look(judge: Judge, broker: Counting) -> None:
    assert judge.judged(approval("ALKS", "BUY", 200)).violations == ()
    too_much = judge.judged(approval("COMM", "BUY", 1_900)).violations
    assert {v.code for v in too_much} >= {ReasonCode.CASH_RESERVE}
    assert broker.asked["account"] == 2


def test_the_first_approval_is_not_looked_at_twice(judge: Judge, broker: Counting) -> None:
    assert judge.judged(approval("COMM", "BUY", 1_900)).violations
    assert broker.asked["account"] == 1


@pytest.mark.parametrize(("seconds", "looks"), [(LASTING.total_seconds(), 1), (LASTING.total_seconds() + 1, 2)])
def test_a_look_lasts_some_seconds(opened: Desk, judge: Judge, broker: Counting, seconds: float, looks: int) -> None:
    judge.judged(approval("ALKS", "BUY", 200))
    opened.clock.sleep(seconds)
    judge.judged(approval("COMM", "BUY", 300))
    assert broker.asked["account"] == looks


def test_a_refused_order_keeps_no_cash_from_the_next(tmp_path: Path) -> None:
    folder = workspace(tmp_path, state=SLOW | {"cash": 25_000})
    refused = {"call": "submit", "do": "refuse", "symbol": "ALKS", "times": 1}
    send(folder, order("ALKS", "BUY", 250), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("SN", "BUY", 88), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    opened = desk(folder, faults={"faults": [refused]})
    opened.trading.process_inbox()
    assert [o.symbol for o in opened.broker.orders("all") if o.side is Side.BUY] == ["SN"]
    opened.close()


def test_two_buys_that_fit_alone_do_not_both_get_the_cash(tmp_path: Path) -> None:
    folder = workspace(tmp_path, state=SLOW | {"cash": 25_000})
    send(folder, order("ALKS", "BUY", 250), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("SN", "BUY", 88), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    opened = desk(folder)
    opened.trading.process_inbox()
    assert [o.symbol for o in opened.broker.orders("all") if o.side is Side.BUY] == ["ALKS"]
    assert [(r["ticker"], r["status"]) for r in reports(folder)] == [("SN", "denied")]
    opened.close()
