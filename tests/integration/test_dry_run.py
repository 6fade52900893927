"""A dry run shows what the execution decides: the same quantities and the same codes, whatever the day is like."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Departments.bootstrap import Desk
from Departments.brokers.base import Broker
from Departments.brokers.registry import BROKERS, Opening
from Departments.commands.rehearsal import rehearse
from Departments.core.errors import LedgerError
from Departments.core.moments import iso
from Departments.core.portfolio import Account
from Departments.messaging import codec
from Departments.messaging.plan_documents import plan_from
from tests.builders.desk import MORNING, STATE, desk, plan, trade, workspace
from tests.builders.trading import APPROVAL_ID, order, request_text, unproven_workspace

Decided = dict[str, tuple[str, str]]

CASH_ACCOUNT = {"settlement": {"account": "cash"}}


class Silent:
    """A broker that does not tell what has not settled, as Alpaca does not."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def account(self) -> Account:
        return replace(self._broker.account(), unsettled_cash=None)

    def __getattr__(self, call: str) -> Any:
        return getattr(self._broker, call)


def open_silent(opening: Opening) -> Broker:
    silent: Any = Silent(BROKERS[0].open(opening))
    return silent  # type: ignore[no-any-return]


SILENT = replace(BROKERS[0], name="silent", title="A broker of few words", open=open_silent)


def decided(document: Mapping[str, Any]) -> Decided:
    """The shares and the code of each order that SELL and BUY decided; a denial or refusal is no decision."""
    orders = [o for phase in document["phases"] if phase["name"] in {"SELL", "BUY"} for o in phase["orders"]]
    own = {"filled", "planned", "deferred", "canceled"}
    return {f"{o['side']} {o['ticker']}": (o["qty"], o["code"] if o["status"] in own else "") for o in orders}


def both(opened: Desk, document: Mapping[str, Any], *, force: bool = False) -> tuple[Decided, Decided, str]:
    """What a dry run shows, what the execution decides right after it, and the execution's answer."""
    opened.recover()
    shown = opened.day.judge.rehearse(plan_from(document, "plan"), force=force)
    opened.ceo.current_plan, opened.ceo.plan_approved = dict(document), True
    answer = opened.ceo.execute_plan(force=force)
    return (
        decided(shown),
        decided(answer.get("document", {"phases": []})),
        f"{answer['status']} {answer.get('message')}",
    )


def test_proceeds_of_today_that_have_not_settled_are_not_planned_with(tmp_path: Path) -> None:
    """The broker does not tell: our own SELLs of earlier today say what is unsettled."""
    workspace(tmp_path, state={**STATE, "cash": 500}, limits=CASH_ACCOUNT)
    with closing(desk(tmp_path, broker="silent", brokers=(*BROKERS, SILENT))) as opened:
        both(opened, plan(trade("CTVA", "SELL", 190, 64.64), plan_id="PLAN_20251110_150000"))
        opened.clock.sleep(60)
        later = plan(trade("ALKS", "BUY", 150, 32.66), plan_id="PLAN_20251110_150500")
        shown, sent, _ = both(opened, later, force=True)
    assert shown == sent == {"BUY ALKS": ("0", "INSUFFICIENT_CASH")}


def test_a_locked_symbol_is_shown_as_locked(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        opened.recover()
        with opened.ledger.transaction():
            opened.ledger.releases.lock("ALKS", "T is odd", opened.clock.now())
        shown, sent, _ = both(opened, plan(trade("ALKS", "BUY", 239, 32.66)))
    assert shown == sent == {"BUY ALKS": ("0", "SYMBOL_LOCKED")}


def test_a_locked_buy_takes_no_cash_from_the_others(tmp_path: Path) -> None:
    workspace(tmp_path, state={**STATE, "cash": 13_500})
    best, other = trade("ALKS", "BUY", 150, 32.66, composite_score=90.0), trade("COMM", "BUY", 250, 17.02)
    with closing(desk(tmp_path)) as opened:
        opened.recover()
        with opened.ledger.transaction():
            opened.ledger.releases.lock("ALKS", "T is odd", opened.clock.now())
        shown, sent, _ = both(opened, plan(best, other))
    assert shown == sent
    assert (shown["BUY ALKS"], shown["BUY COMM"]) == (("0", "SYMBOL_LOCKED"), ("250", ""))


def test_after_an_execution_a_dry_run_says_that_no_second_one_follows_today(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        both(opened, plan(trade("CTVA", "SELL", 190, 64.64), plan_id="PLAN_20251110_150000"))
        later = plan(trade("ALKS", "BUY", 150, 32.66), plan_id="PLAN_20251110_150500")
        shown, _, answer = both(opened, later)
        assert shown == {"BUY ALKS": ("0", "ONE_EXECUTION_PER_DAY")}
        assert answer.startswith("ALREADY_EXECUTED PLAN_20251110_150000 was executed on 2025-11-10; ")
        shown, sent, _ = both(opened, later, force=True)
        assert shown == sent == {"BUY ALKS": ("150", "")}


def test_a_second_run_of_the_day_needs_no_broker_to_say_so(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        both(opened, plan(trade("CTVA", "SELL", 190, 64.64)))
    away = {"faults": [{"call": "any", "do": "timeout_before", "times": 0}]}
    with closing(desk(tmp_path, faults=away)) as opened:
        stop = opened.day.find_stop()
    assert stop is not None
    assert stop.status == "ALREADY_EXECUTED"


PRICES = {"CTVA": 64.64, "DVN": 33.61, "ALKS": 32.66, "COMM": 17.02, "AXTA": 28.64}
LENIENT: Mapping[str, Any] = {
    "position_limits": {
        "max_single_position_pct": 1.0,
        "max_sector_concentration_pct": 1.0,
        "min_position_value": 500,
        "min_position_pct": 0.01,
    },
    "portfolio_risk": {"max_portfolio_heat": 1.0},
}
#: In the session, in its last minutes, before the open, after the close, on a half day's afternoon.
MOMENTS = ("11-10T15:05:42", "11-10T20:50:00", "11-10T14:00:00", "11-10T21:30:00", "11-28T18:30:00")


@st.composite
def random_days(draw: st.DrawFn) -> dict[str, Any]:
    """An account, limits, locks, a moment and a plan that may be stale."""
    moment = draw(st.sampled_from([MOMENTS[0]] * 4 + list(MOMENTS[1:])))
    at = datetime.fromisoformat(f"2025-{moment}").replace(tzinfo=UTC)
    made = at - timedelta(minutes=draw(st.sampled_from((5, 5, 5, 300))))
    sells = [
        trade(t, "SELL", draw(st.integers(1, 250)), PRICES[t]) for t in draw(st.sets(st.sampled_from(("CTVA", "DVN"))))
    ]
    bought = draw(st.sets(st.sampled_from(("ALKS", "COMM", "AXTA"))))
    scores = {symbol: draw(st.sampled_from((60.0, 70.0, 80.0))) for symbol in sorted(bought)}
    buys = [
        trade(t, "BUY", draw(st.integers(10, 500)), PRICES[t], composite_score=score) for t, score in scores.items()
    ]
    account = draw(st.sampled_from(("margin", "margin", "cash")))
    state = {**STATE, "cash": draw(st.integers(500, 40_000)), "account": {"type": account}}
    return {
        "at": at,
        "plan": plan(*buys, *sells, generated_at=iso(made)),
        "locks": draw(st.sets(st.sampled_from(sorted(PRICES)), max_size=2)),
        "state": state,
        "limits": {**LENIENT, "settlement": {"account": account}},
        "shortfall": draw(st.sampled_from(("by_priority", "pro_rata", "strict"))),
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_days())
def test_on_any_day_dry_run_and_execution_decide_the_same(day: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phases = {"messaging": {"durability": "fast"}, "phases": {"buy": {"shortfall": day["shortfall"]}}}
        workspace(folder, state=day["state"], limits=day["limits"], settings=phases)
        with closing(desk(folder, at=day["at"])) as opened:
            opened.recover()
            with opened.ledger.transaction():
                for symbol in day["locks"]:
                    opened.ledger.releases.lock(symbol, "odd", opened.clock.now())
            shown, sent, answer = both(opened, day["plan"])
    if answer.startswith("EXECUTION_INITIATED"):
        assert shown == sent
    else:  # nothing is executed, and every order of the dry run says why
        assert {qty for qty, _ in shown.values()} <= {"0"}
        assert {code for _, code in shown.values()} <= {"MARKET_CLOSED", "STALE_PLAN", "SYMBOL_LOCKED"}


@pytest.mark.parametrize("moment", ["2025-11-10T12:00:00", "2025-11-10T21:30:00"])
def test_outside_trading_hours_a_dry_run_reports_it(tmp_path: Path, moment: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path, at=at)) as opened:
        made = plan(trade("ALKS", "BUY", 150, 32.66), generated_at=iso(at - timedelta(minutes=5)))
        assert both(opened, made)[0] == {"BUY ALKS": ("0", "MARKET_CLOSED")}


def test_a_rehearsal_repeats_no_letters_and_sends_no_order_of_an_approval_that_waits(tmp_path: Path) -> None:
    """An execution was cut off between its approval and Trading: the account may be a real one."""
    unproven_workspace(tmp_path, state=STATE)
    approval = codec.decode(request_text(order("CTVA", "SELL", 10, 64.64)).encode(), name="approval.md")
    late = codec.decode(request_text(order("DVN", "SELL", 10, 33.61), message_id=f"{APPROVAL_ID}2").encode(), name="l")
    with closing(desk(tmp_path)) as opened:
        opened.recover()
        opened.bus.publish(approval)
        with opened.ledger.transaction():
            opened.bus.enqueue(late)
    with (
        rehearse(tmp_path, MORNING) as folder,
        closing(desk(tmp_path, rehearsal=folder)) as rehearsed,
    ):
        rehearsed.work()
        assert rehearsed.mailbox.waiting("TRADING") == []
        assert list(rehearsed.broker.orders("all")) == []
    with closing(desk(tmp_path)) as opened:
        opened.work()
        assert [o.symbol for o in opened.broker.orders("all")] == ["CTVA", "DVN"]


def test_a_refusal_of_the_ledger_names_the_workspace_in_a_dry_run_too(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    (tmp_path / "sentinel.db").write_bytes(b"not a ledger " * 100)
    with (
        pytest.raises(LedgerError, match=re.escape(str(tmp_path / "sentinel.db"))),
        rehearse(tmp_path, MORNING) as folder,
        closing(desk(tmp_path, rehearsal=folder)) as rehearsed,
    ):
        rehearsed.recover()
