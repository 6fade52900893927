"""Approvals that wait together are judged by one look at the account, and by what was sent since."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.brokers.base import BrokerList, Positions, UnreadableRow
from Departments.brokers.snapshot import FactsReader
from Departments.constraints.amounts import days_to_settle
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerUnavailable
from Departments.core.orders import OrderRequest, Side
from Departments.core.platform.clock import SimulatedClock
from Departments.core.reasons import ReasonCode
from Departments.messaging import codec
from Departments.messaging.payloads import ExecutiveApproval
from Departments.Trading.judgement import LASTING, Judge
from tests.builders.desk import MORNING, STATE, desk
from tests.builders.trading import asked, order, reports, request_text, send, unproven_workspace

SLOW = {**STATE, "latency": {"fill": [60, 60]}}


class Counting:
    """A broker that counts what is asked of it; `quoted` are the symbols whose prices were."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.asked: Counter[str] = Counter()
        self.quoted: list[list[str]] = []
        self.silent = False
        self.unreadable: tuple[UnreadableRow, ...] = ()

    def positions(self) -> Positions:
        self.asked["positions"] += 1
        return BrokerList(self._broker.positions(), unreadable=self.unreadable)

    def quotes(self, symbols: Iterable[str]) -> Any:
        self.asked["quotes"] += 1
        if self.silent:
            raise BrokerUnavailable("no prices")
        self.quoted.append(list(symbols))
        return self._broker.quotes(symbols)

    def __getattr__(self, call: str) -> Any:
        self.asked[call] += 1
        return getattr(self._broker, call)


class SetBack(SimulatedClock):
    """A clock that somebody sets back."""

    back = timedelta()

    def now(self) -> datetime:
        return super().now() - self.back


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    found = desk(unproven_workspace(tmp_path, state=SLOW))
    yield found
    found.close()


@pytest.fixture
def broker(opened: Desk) -> Counting:
    return Counting(opened.broker)


@pytest.fixture
def judge(opened: Desk, broker: Counting) -> Judge:
    return judge_of(opened, broker)


def judge_of(opened: Desk, broker: Any, *, clock: SimulatedClock | None = None, limits: Limits | None = None) -> Judge:
    limits = limits or opened.limits
    days, young = days_to_settle(limits), timedelta(hours=3)
    reader = FactsReader(broker, opened.ledger, opened.hours, clock or opened.clock, days, young, timedelta(seconds=60))
    ledger = opened.ledger
    return Judge(reader, ledger.releases.find_locks, ledger.halts.find, limits, opened.settings.exits)


def approval(symbol: str, action: str, shares: float) -> ExecutiveApproval:
    return ExecutiveApproval.of(codec.decode(request_text(order(symbol, action, shares)).encode(), name="a.md"))


def test_approvals_that_follow_each_other_are_judged_by_one_look(judge: Judge, broker: Counting) -> None:
    for symbol, shares in (("ALKS", 200), ("COMM", 300), ("AXTA", 200)):
        assert judge.judge(approval(symbol, "BUY", shares)).violations == ()
    assert broker.asked == {"account": 1, "positions": 1, "orders": 1, "quotes": 3, "assets": 3}


def test_the_prices_of_approvals_that_wait_together_are_asked_for_at_once(judge: Judge, broker: Counting) -> None:
    judge.expect(["ALKS", "COMM", "AXTA"])
    for symbol, shares in (("ALKS", 200), ("COMM", 300), ("AXTA", 200)):
        assert judge.judge(approval(symbol, "BUY", shares)).price is not None
    assert (broker.asked["quotes"], broker.asked["assets"]) == (1, 1)


def test_a_price_lasts_as_long_as_a_look_at_the_account(opened: Desk, judge: Judge, broker: Counting) -> None:
    """What is old is asked for again, together with what is still to be judged and nothing else."""
    judge.expect(["ALKS", "COMM", "AXTA"])
    judge.judge(approval("COMM", "BUY", 300))
    opened.clock.sleep(LASTING.total_seconds() + 1)
    judge.judge(approval("ALKS", "BUY", 200))
    assert broker.quoted == [["ALKS", "AXTA", "COMM"], ["ALKS", "AXTA"]]


def test_shares_are_sold_while_no_prices_are_reported_and_none_are_bought(judge: Judge, broker: Counting) -> None:
    """What reduces risk needs no price; Alpaca's prices come from another server than its orders."""
    broker.silent = True
    judge.expect(["CTVA", "ALKS"])
    assert judge.judge(approval("CTVA", "SELL", 190)).violations == ()
    with pytest.raises(BrokerUnavailable):
        judge.judge(approval("ALKS", "BUY", 200))
    broker.silent = False
    assert judge.judge(approval("ALKS", "BUY", 200)).violations == ()


def test_a_symbol_whose_position_cannot_be_read_is_not_traded(judge: Judge, broker: Counting) -> None:
    broker.unreadable = (UnreadableRow("1", "", "DVN", "qty is odd"),)
    (why,) = judge.judge(approval("DVN", "SELL", 10)).violations
    assert why.code is ReasonCode.SYMBOL_LOCKED
    assert judge.judge(approval("ALKS", "BUY", 200)).violations == ()


def test_what_is_denied_is_denied_at_a_price_of_its_own(opened: Desk, judge: Judge, broker: Counting) -> None:
    """A price that was asked for with others may be some seconds old; the position may have become large enough."""
    judge.expect(["ALKS", "COMM"])
    assert judge.judge(approval("ALKS", "BUY", 200)).violations == ()
    assert judge.judge(approval("COMM", "BUY", 10)).violations != ()
    assert broker.asked["quotes"] == 2


def test_the_cash_of_what_was_sent_is_not_given_to_the_next(judge: Judge, broker: Counting) -> None:
    """The broker's account does not show it yet; only a fresh look may deny."""
    judge.count_in(replace(judge.judge(approval("COMM", "BUY", 300)).order, qty=D(1_300)))  # of $30,000, all but 7,900
    assert judge.judge(approval("ALKS", "BUY", 200)).violations == ()
    assert broker.asked["account"] == 1
    judge.count_in(judge.judge(approval("ALKS", "BUY", 200)).order)
    assert judge.judge(approval("AXTA", "BUY", 200)).violations == ()
    assert broker.asked["account"] == 2


def test_a_buy_is_counted_in_at_the_worst_price_that_it_takes(judge: Judge, broker: Counting) -> None:
    """Of $30,000 above the reserve either leaves $7,000; ALKS asks for 6,532, AXTA for 7,160."""
    market = judge.judge(approval("COMM", "BUY", 300)).order
    judge.count_in(replace(market, qty=D(1_287)))
    judge.judge(approval("ALKS", "BUY", 200))
    judge.judge(approval("AXTA", "BUY", 250))
    assert broker.asked["account"] == 2
    judge.count_in(replace(market, qty=D(766)), D(30))
    judge.judge(approval("ALKS", "BUY", 200))
    judge.judge(approval("AXTA", "BUY", 250))
    assert broker.asked["account"] == 3


def test_what_a_symbol_was_sent_for_is_not_judged_by_the_look_before(judge: Judge, broker: Counting) -> None:
    """A BUY that was only sent gives no shares to sell, and a SELL none twice."""
    judge.count_in(judge.judge(approval("ALKS", "BUY", 200)).order)
    assert [v.code for v in judge.judge(approval("ALKS", "SELL", 200)).violations] == [ReasonCode.NOT_HELD]
    assert broker.asked["account"] == 2
    judge.count_in(judge.judge(approval("DVN", "SELL", 200)).order)
    assert broker.asked["account"] == 2
    judge.judge(approval("DVN", "SELL", 25))
    assert broker.asked["account"] == 3


def test_beside_an_open_buy_every_buy_has_a_look_of_its_own(opened: Desk, judge: Judge, broker: Counting) -> None:
    """It may fill at any moment, and is then a position that counts against the limits."""
    opened.broker.submit(OrderRequest("by-hand", "COMM", Side.BUY, D(300)))
    for looks, (symbol, side) in enumerate((("ALKS", "BUY"), ("AXTA", "BUY")), 1):
        judge.judge(approval(symbol, side, 200))
        assert broker.asked["account"] == looks
    judge.judge(approval("DVN", "SELL", 200))
    assert broker.asked["account"] == 2


def test_what_was_sent_is_counted_in_the_sector_that_the_broker_tells(tmp_path: Path) -> None:
    state = SLOW | {"assets": {"ALKS": {"sector": "Technology"}}}
    with closing(desk(unproven_workspace(tmp_path, state=state))) as opened:
        assert judge_of(opened, opened.broker).judge(approval("ALKS", "BUY", 200)).order.sector == "Technology"


def test_counting_in_asks_the_broker_nothing(opened: Desk, judge: Judge, broker: Counting) -> None:
    """The intent is committed by then: nothing may come between it and the sending."""
    judged = judge.judge(approval("ALKS", "BUY", 200))
    opened.clock.sleep(LASTING.total_seconds() + 1)
    broker.asked.clear()
    judge.count_in(judged.order)
    assert broker.asked == {}


def test_a_sell_that_was_sent_gives_no_cash_before_the_account_has_it(judge: Judge, broker: Counting) -> None:
    poor = replace(judge.judge(approval("ALKS", "BUY", 200)).order, qty=D(900))
    judge.count_in(poor)
    judge.count_in(judge.judge(approval("CTVA", "SELL", 190)).order)
    judge.judge(approval("SN", "BUY", 60))
    assert broker.asked["account"] == 2


def test_a_symbol_that_is_being_sold_is_looked_at_again_before_it_is_bought(judge: Judge, broker: Counting) -> None:
    assert judge.judge(approval("DVN", "BUY", 60)).violations == ()
    judge.count_in(judge.judge(approval("DVN", "SELL", 10)).order)
    assert broker.asked["account"] == 1
    judge.judge(approval("DVN", "BUY", 60))
    assert broker.asked["account"] == 2


def test_a_symbol_that_was_locked_meanwhile_is_not_traded(opened: Desk, judge: Judge) -> None:
    judge.judge(approval("ALKS", "BUY", 200))
    with opened.ledger.transaction():
        opened.ledger.releases.lock("COMM", "a person has to look", opened.clock.now())
    denied = judge.judge(approval("COMM", "BUY", 300)).violations
    assert [reason.code for reason in denied] == [ReasonCode.SYMBOL_LOCKED]


def test_what_is_denied_is_denied_by_a_fresh_look(judge: Judge, broker: Counting) -> None:
    assert judge.judge(approval("ALKS", "BUY", 200)).violations == ()
    too_much = judge.judge(approval("COMM", "BUY", 1_900)).violations
    assert {v.code for v in too_much} >= {ReasonCode.CASH_RESERVE}
    assert broker.asked["account"] == 2


def test_the_first_approval_is_not_looked_at_twice(judge: Judge, broker: Counting) -> None:
    assert judge.judge(approval("COMM", "BUY", 1_900)).violations
    assert broker.asked["account"] == 1


@pytest.mark.parametrize(("seconds", "looks"), [(LASTING.total_seconds(), 1), (LASTING.total_seconds() + 1, 2)])
def test_a_look_lasts_some_seconds(opened: Desk, judge: Judge, broker: Counting, seconds: float, looks: int) -> None:
    judge.judge(approval("ALKS", "BUY", 200))
    opened.clock.sleep(seconds)
    judge.judge(approval("COMM", "BUY", 300))
    assert broker.asked["account"] == looks


def test_a_look_does_not_outlast_a_clock_that_was_set_back(opened: Desk, broker: Counting) -> None:
    clock = SetBack(MORNING)
    judge = judge_of(opened, broker, clock=clock)
    judge.judge(approval("ALKS", "BUY", 200))
    clock.back = timedelta(seconds=60)
    judge.judge(approval("COMM", "BUY", 300))
    assert broker.asked["account"] == 2


def test_the_risk_of_what_was_sent_is_counted_in(opened: Desk, broker: Counting) -> None:
    """Either loses some $500 at its stop."""
    risk = opened.limits.portfolio_risk.model_copy(update={"max_portfolio_heat": D("0.008")})
    limits = opened.limits.model_copy(update={"portfolio_risk": risk})
    judge = judge_of(opened, broker, limits=limits)
    first = judge.judge(approval("ALKS", "BUY", 200))
    assert judge.judge(approval("COMM", "BUY", 350)).violations == first.violations == ()
    assert broker.asked["account"] == 1
    judge.count_in(first.order)
    judge.judge(approval("COMM", "BUY", 350))
    assert broker.asked["account"] == 2


def test_what_is_sent_at_a_second_attempt_is_counted_in_too(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path, state=SLOW | {"cash": 25_000})
    silent = {"call": "submit", "do": "timeout_before", "symbol": "ALKS", "times": 2}
    send(folder, order("ALKS", "BUY", 250), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    with closing(desk(folder, faults={"faults": [silent]})) as opened:
        opened.trading.process_inbox()
        assert list(opened.broker.orders("all")) == []
        send(folder, order("SN", "BUY", 88), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
        opened.clock.sleep(5)
        opened.trading.process_inbox()
        assert [o.symbol for o in opened.broker.orders("all")] == ["ALKS"]


def test_a_refused_order_keeps_no_cash_from_the_next(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path, state=SLOW | {"cash": 25_000})
    refused = {"call": "submit", "do": "refuse", "symbol": "ALKS", "times": 1}
    send(folder, order("ALKS", "BUY", 250), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("SN", "BUY", 88), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    opened = desk(folder, faults={"faults": [refused]})
    opened.trading.process_inbox()
    assert [o.symbol for o in opened.broker.orders("all") if o.side is Side.BUY] == ["SN"]
    opened.close()


def test_two_buys_that_fit_alone_do_not_both_get_the_cash(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path, state=SLOW | {"cash": 25_000})
    send(folder, order("ALKS", "BUY", 250), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("SN", "BUY", 88), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    opened = desk(folder)
    opened.trading.process_inbox()
    assert [o.symbol for o in opened.broker.orders("all") if o.side is Side.BUY] == ["ALKS"]
    assert [(r["ticker"], r["status"]) for r in reports(folder)] == [("SN", "denied")]
    opened.close()


def test_a_buy_that_was_refused_leaves_nothing_to_sell(tmp_path: Path) -> None:
    refused = {"call": "submit", "do": "refuse", "symbol": "ALKS", "times": 1}
    folder = unproven_workspace(tmp_path, state=SLOW)
    send(folder, order("ALKS", "BUY", 200), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("ALKS", "SELL", 200), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    with closing(desk(folder, faults={"faults": [refused]})) as opened:
        opened.trading.process_inbox()
        assert list(opened.broker.orders("all")) == []
    told = {r["action"]: (r["status"], r["reason"].split(":")[0]) for r in reports(folder)}
    assert told["SELL"] == ("denied", "NOT_HELD")


def test_the_dearest_that_an_open_limit_order_takes_is_not_given_to_the_next(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path, state=SLOW | {"cash": 25_000})
    limited = order("ALKS", "BUY", 200, order_type="LIMIT", limit_price=60)
    send(folder, limited, message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    send(folder, order("SN", "BUY", 50), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
    with closing(desk(folder)) as opened:
        opened.trading.process_inbox()
        assert [o.symbol for o in opened.broker.orders("all")] == ["ALKS"]


def test_shares_that_were_just_protected_are_not_sold(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path, state=SLOW)
    ids = [f"MSG_EXECUTIVE_20251110T150542Z_0000000{n}" for n in (1, 2, 3)]
    send(folder, order("CTVA", "SELL", 10), message_id=ids[0])
    send(folder, asked("DVN", "SELL", 225), message_id=ids[1], message_type="ProtectRequest")
    send(folder, order("DVN", "SELL", 225), message_id=ids[2])
    with closing(desk(folder)) as opened:
        opened.trading.process_inbox()
    assert [(r["ticker"], r["status"]) for r in reports(folder) if r["status"] == "denied"] == [("DVN", "denied")]


def test_a_look_does_not_outlast_the_tracking_between_two_looks_of_a_watcher(tmp_path: Path) -> None:
    """Tracking may learn of an exit's fill, and a person's sale is seen: a watcher never calls process_inbox."""
    folder = unproven_workspace(tmp_path, state=SLOW)
    send(folder, order("CTVA", "SELL", 10), message_id="MSG_EXECUTIVE_20251110T150542Z_00000001")
    with closing(desk(folder)) as opened:
        opened.bus.consume("TRADING", opened.trader.router)
        opened.broker.submit(OrderRequest("by-hand", "DVN", Side.SELL, D(200)))
        send(folder, order("DVN", "SELL", 225), message_id="MSG_EXECUTIVE_20251110T150542Z_00000002")
        opened.trader.track()
        opened.bus.consume("TRADING", opened.trader.router)
    assert [(r["ticker"], r["status"]) for r in reports(folder)] == [("DVN", "denied")]


def test_a_watcher_finds_every_cancel_that_waits_behind_a_late_approval(tmp_path: Path) -> None:
    folder, later = unproven_workspace(tmp_path, state=SLOW), MORNING - timedelta(seconds=30)
    first, second = (f"MSG_EXECUTIVE_20251110T150512Z_0000000{n}" for n in (1, 2))
    send(folder, order("CTVA", "SELL", 10), message_id=first, at=later)
    with closing(desk(folder)) as opened:
        opened.bus.consume("TRADING", opened.trader.router)
        opened.trader.track()
        send(folder, order("DVN", "SELL", 225), message_id=second, at=later)
        wish = asked("DVN", "SELL", 225, approval_message_id=second)
        cancel = {"message_id": "MSG_EXECUTIVE_20251110T150513Z_00000003", "message_type": "CancelRequest"}
        send(folder, wish, parent=second, at=later + timedelta(seconds=1), **cancel)
        opened.bus.consume("TRADING", opened.trader.router)
        assert [o.symbol for o in opened.broker.orders("all")] == ["CTVA"]


def test_an_account_that_was_read_just_now_is_part_of_the_next_look_alone(
    opened: Desk, judge: Judge, broker: Counting
) -> None:
    judge.take(opened.broker.account())
    judge.judge(approval("ALKS", "BUY", 200))
    assert "account" not in broker.asked
    judge.forget()
    judge.judge(approval("COMM", "BUY", 300))
    assert broker.asked["account"] == 1


def test_an_account_that_is_seconds_old_is_read_anew(opened: Desk, judge: Judge, broker: Counting) -> None:
    judge.take(opened.broker.account())
    opened.clock.sleep(2)
    judge.judge(approval("ALKS", "BUY", 200))
    assert broker.asked["account"] == 1
