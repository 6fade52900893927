"""RELEASE and PROTECT: exits are cancelled before a SELL, and no share that was bought stays without any."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers.base import Broker
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.brokers.simulated import SimulatedBroker
from Departments.core.errors import Refusal, Refused
from Departments.core.orders import Order, OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account
from Departments.exchange.exchange import SimulatedExchange
from Departments.messaging import codec
from tests.builders.desk import MORNING, desk, plan, trade, workspace, write_yaml
from tests.invariants.promises import Promises
from tests.invariants.reading import MESSAGES
from tests.invariants.scenarios import NEXT_DAY, SETTINGS, SMALL, STATE, carry_out

SELL_ALL = plan(
    trade("ALKS", "SELL", 150.0, 32.66),
    trade("COMM", "SELL", 250.0, 17.02),
    plan_id="PLAN_20251111_150000",
    generated_at="2025-11-11T15:00:00.000000Z",
)
DAY_AFTER = NEXT_DAY + timedelta(days=1)
NOTHING_NEW = plan(
    trade("SN", "BUY", 40, 96.19), plan_id="PLAN_20251112_150000", generated_at="2025-11-12T15:00:00.000000Z"
)


def live(
    folder: Path, at: datetime, document: Mapping[str, Any], faults: Sequence[Mapping[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    opened = desk(folder, at=at, faults={"faults": list(faults)}, step=Promises(folder).step, **more)
    with closing(opened):
        found = carry_out(opened, document)
        opened.trader.reconcile()
        opened.work()
    Promises(folder).check()
    return found


@pytest.fixture
def bought(tmp_path: Path) -> Path:
    """A workspace that bought ALKS and COMM the day before, their brackets resting."""
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    live(tmp_path, MORNING, SMALL)
    return tmp_path


def statuses(document: Mapping[str, Any], phase: str) -> dict[str, tuple[str, str]]:
    orders = next(p["orders"] for p in document["phases"] if p["name"] == phase)
    return {o["ticker"]: (o["status"], o["filled_qty"]) for o in orders}


def report(folder: Path, document: Mapping[str, Any]) -> str:
    return (folder / "Reports" / f"{document['plan_id']}.md").read_text(encoding="utf-8")


def told_to_compliance(folder: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the final document as it was sent."""
    inbox = folder / MESSAGES / "Inbox" / "COMPLIANCE"
    found = [codec.decode(p.read_bytes(), name=p.name) for p in inbox.glob("*.md")]
    reports = [m.payload or {} for m in found if m.message_type == "FinalReport"]
    (sent,) = [r for r in reports if r["plan_id"] == document["plan_id"]]
    return sent


def bare(broker: Broker) -> dict[str, D]:
    """Return the shares of what the desk trades that no open SELL holds."""
    return {
        p.symbol: p.available for p in broker.positions() if p.symbol in {"ALKS", "COMM", "AXTA", "SN"} and p.available
    }


def at_the_broker(folder: Path, at: datetime) -> tuple[dict[str, D], dict[str, D]]:
    with closing(desk(folder, at=at, faults={"faults": []})) as opened:
        held = {p.symbol: p.qty for p in opened.broker.positions()}
        return held, bare(opened.broker)


def test_what_was_bought_yesterday_is_sold_today(bought: Path) -> None:
    document = live(bought, NEXT_DAY, SELL_ALL)
    assert statuses(document, "RELEASE") == {"ALKS": ("released", "0"), "COMM": ("released", "0")}
    assert statuses(document, "SELL") == {"ALKS": ("filled", "150"), "COMM": ("filled", "250")}
    assert statuses(document, "PROTECT") == {}
    assert document["status"] == "COMPLETED"


def test_a_target_that_fills_while_it_is_cancelled_leaves_nothing_to_sell(bought: Path) -> None:
    document = live(bought, NEXT_DAY, SELL_ALL, [{"call": "cancel", "symbol": "ALKS", "do": "fill_on_cancel"}])
    held, _ = at_the_broker(bought, DAY_AFTER)
    assert statuses(document, "SELL") == {"ALKS": ("deferred", "0"), "COMM": ("filled", "250")}
    assert "ALKS" not in held
    assert document["cash_identity"]["holds"]


def test_a_target_that_fills_in_part_while_it_is_cancelled_leaves_the_rest_to_sell(bought: Path) -> None:
    partly = {"call": "cancel", "symbol": "ALKS", "do": "fill_on_cancel", "part": 0.4}
    document = live(bought, NEXT_DAY, SELL_ALL, [partly])
    held, _ = at_the_broker(bought, DAY_AFTER)
    assert statuses(document, "SELL")["ALKS"] == ("filled", "90")
    assert "ALKS" not in held
    assert document["cash_identity"]["holds"]


def test_a_stop_that_filled_overnight_is_not_sold_again(bought: Path) -> None:
    fallen = {"call": "any", "do": "set_price", "of": "ALKS", "price": 25}
    document = live(bought, NEXT_DAY, SELL_ALL, [fallen])
    held, _ = at_the_broker(bought, DAY_AFTER)
    assert "ALKS" not in held
    assert statuses(document, "SELL")["ALKS"][0] == "deferred"


def test_what_stays_unsold_gets_its_protection_back(bought: Path) -> None:
    silent = {"call": "submit", "symbol": "COMM", "do": "partial_then_silence", "part": 0.4}
    document = live(bought, NEXT_DAY, SELL_ALL, [silent])
    assert statuses(document, "SELL")["COMM"] == ("canceled", "100")
    assert statuses(document, "PROTECT") == {"COMM": ("protected", "0")}
    assert at_the_broker(bought, DAY_AFTER)[1] == {}
    assert "- COMM: 150 shares had no live exits from " in report(bought, document)
    stretches = [s for s in told_to_compliance(bought, document)["unprotected"] if s["ticker"] == "COMM"]
    assert [s["qty"] for s in stretches] == ["250", "150"]
    assert stretches[0]["since"] < stretches[0]["until"] == stretches[1]["since"] < stretches[1]["until"]


def test_a_sell_that_is_refused_gives_all_shares_their_protection_back(bought: Path) -> None:
    refused = {"call": "submit", "symbol": "COMM", "do": "refuse"}
    document = live(bought, NEXT_DAY, SELL_ALL, [refused])
    assert statuses(document, "PROTECT") == {"COMM": ("protected", "0")}
    assert at_the_broker(bought, DAY_AFTER)[1] == {}


def test_the_filled_part_of_a_cancelled_buy_is_protected_and_no_other_share(tmp_path: Path) -> None:
    state = {
        **STATE,
        "positions": {**STATE["positions"], "ALKS": {"qty": 33, "avg_entry_price": 30, "current_price": 32.66}},
    }
    workspace(tmp_path, state=state, settings=SETTINGS)
    silent = {"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": 0.6}
    document = live(tmp_path, MORNING, SMALL, [silent])
    assert statuses(document, "BUY")["ALKS"] == ("canceled", "90")
    assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}
    assert at_the_broker(tmp_path, NEXT_DAY)[1] == {"ALKS": D(33)}


def test_shares_of_an_entry_that_is_still_open_wait_for_its_exits(tmp_path: Path) -> None:
    left = {**SETTINGS, "phases": {"buy": {"timeout": 20, "on_timeout": "leave"}}}
    workspace(tmp_path, state=STATE, settings=left)
    silent = {"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": 0.6}
    document = live(tmp_path, MORNING, SMALL, [silent])
    (order,) = next(p["orders"] for p in document["phases"] if p["name"] == "PROTECT")
    assert (order["ticker"], order["status"], order["code"]) == ("ALKS", "deferred", "ENTRY_STILL_OPEN")
    assert "ALKS: 90 shares had no live exits" in report(tmp_path, document)


def test_a_release_that_does_not_end_in_time_is_made_up_for_by_the_next_execution(bought: Path) -> None:
    write_yaml(bought / "config" / "settings.yaml", {**SETTINGS, "phases": {"release": {"timeout": 5}}})
    stuck = {"call": "cancel", "symbol": "COMM", "do": "stuck_cancel", "seconds": 4000, "times": 0}
    document = live(bought, NEXT_DAY, SELL_ALL, [stuck])
    assert statuses(document, "SELL")["COMM"] == ("deferred", "0")
    (order,) = next(p["orders"] for p in document["phases"] if p["name"] == "PROTECT")
    assert (order["ticker"], order["planned_qty"], order["code"]) == ("COMM", "250", "RELEASE_STILL_OPEN")
    document = live(bought, DAY_AFTER, NOTHING_NEW)
    assert statuses(document, "PROTECT") == {"COMM": ("protected", "0")}
    assert at_the_broker(bought, DAY_AFTER + timedelta(days=1))[1] == {}


def test_protection_that_the_broker_refuses_is_an_issue_and_tried_again_the_next_day(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    silent = {"call": "submit", "symbol": "ALKS", "side": "BUY", "do": "partial_then_silence", "part": 0.6}
    refused = {"call": "submit", "symbol": "ALKS", "side": "SELL", "do": "refuse", "code": 42210000, "http_status": 422}
    document = live(tmp_path, MORNING, SMALL, [silent, refused])
    assert statuses(document, "PROTECT") == {"ALKS": ("rejected", "0")}
    assert document["status"] == "COMPLETED_WITH_ISSUES"
    assert "ALKS: 90 shares had no live exits from" in report(tmp_path, document)
    assert "and have none now" in report(tmp_path, document)
    (still_bare,) = told_to_compliance(tmp_path, document)["unprotected"]
    assert (still_bare["ticker"], still_bare["qty"], still_bare["until"]) == ("ALKS", "90", None)
    document = live(tmp_path, NEXT_DAY, {**NOTHING_NEW, "generated_at": "2025-11-11T15:00:00.000000Z"})
    assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}


def test_an_exit_of_an_earlier_day_that_fills_during_a_run_is_in_its_cash(bought: Path) -> None:
    fallen = {"call": "orders", "occurrence": 6, "do": "set_price", "of": "COMM", "price": 15}
    document = live(bought, NEXT_DAY, {**NOTHING_NEW, "generated_at": "2025-11-11T15:00:00.000000Z"}, [fallen])
    held, _ = at_the_broker(bought, DAY_AFTER)
    assert "COMM" not in held
    assert document["cash_identity"]["holds"]


def test_with_exits_switched_off_nothing_is_protected(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings={**SETTINGS, "exits": {"enabled": False}})
    document = live(tmp_path, MORNING, SMALL)
    assert statuses(document, "PROTECT") == {}
    assert "Unprotected" not in report(tmp_path, document)
    assert told_to_compliance(tmp_path, document)["unprotected"] == []
    assert at_the_broker(tmp_path, NEXT_DAY)[1] == {"ALKS": D(150), "COMM": D(250)}


def test_what_an_earlier_day_left_unprotected_is_protected_beside_what_is_bought_of_it_today(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    silent = {"call": "submit", "symbol": "ALKS", "side": "BUY", "do": "partial_then_silence", "part": 0.4}
    refused = {"call": "submit", "symbol": "ALKS", "side": "SELL", "do": "refuse"}
    live(tmp_path, MORNING, plan(trade("ALKS", "BUY", 150, 32.66)), [silent, refused])
    more = {**plan(trade("ALKS", "BUY", 100, 32.66), plan_id="P2"), "generated_at": "2025-11-11T15:00:00.000000Z"}
    document = live(tmp_path, NEXT_DAY, more)
    assert statuses(document, "BUY") == {"ALKS": ("filled", "100")}
    assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}
    held, without_exits = at_the_broker(tmp_path, DAY_AFTER)
    assert (held["ALKS"], without_exits) == (D(160), {})
    (stretch,) = told_to_compliance(tmp_path, document)["unprotected"]
    assert (stretch["ticker"], stretch["qty"], stretch["until"] is None) == ("ALKS", "60", False)


def test_what_an_old_exit_sells_hides_no_share_that_a_new_entry_left_unprotected(bought: Path) -> None:
    more = {**plan(trade("ALKS", "BUY", 100, 32.66), plan_id="P2"), "generated_at": "2025-11-11T15:00:00.000000Z"}
    silent = {"call": "submit", "symbol": "ALKS", "side": "BUY", "do": "partial_then_silence", "part": 0.4}
    risen = {"call": "orders", "occurrence": 12, "do": "set_price", "of": "ALKS", "price": 40}
    document = live(bought, NEXT_DAY, more, [silent, risen])
    held, without_exits = at_the_broker(bought, DAY_AFTER)
    assert held["ALKS"] < D(100)
    assert without_exits == {}
    assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}


def test_exits_that_a_release_took_are_given_back_even_where_buys_have_none(bought: Path) -> None:
    write_yaml(bought / "config" / "settings.yaml", {**SETTINGS, "exits": {"enabled": False}})
    document = live(bought, NEXT_DAY, SELL_ALL, [{"call": "submit", "symbol": "COMM", "do": "refuse"}])
    assert statuses(document, "PROTECT") == {"COMM": ("protected", "0")}
    assert at_the_broker(bought, DAY_AFTER)[1] == {}


def test_exits_made_by_hand_are_reported_from_the_moment_they_are_cancelled(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        exits = OrderRequest("by hand", "CTVA", Side.SELL, D(190), OrderType.LIMIT, time_in_force=TimeInForce.GTC)
        exits = replace(exits, order_class=OrderClass.OCO, take_profit=D(80), stop_loss=D(50))
        opened.broker.submit(exits)
    refused = {"call": "submit", "symbol": "CTVA", "do": "refuse"}
    opened = desk(tmp_path, at=MORNING + timedelta(minutes=1), faults={"faults": [refused]})
    with closing(opened):
        document = carry_out(opened, plan(trade("CTVA", "SELL", 190.0, 64.64)))
    (stretch,) = told_to_compliance(tmp_path, document)["unprotected"]
    assert (stretch["ticker"], stretch["qty"], stretch["until"] is None) == ("CTVA", "190", False)
    assert statuses(document, "PROTECT") == {"CTVA": ("protected", "0")}


def test_exits_that_are_gone_weeks_after_the_purchase_are_made_anew(bought: Path) -> None:
    later = NEXT_DAY + timedelta(days=21)
    with closing(desk(bought, at=later - timedelta(hours=1))) as opened:
        (exits,) = opened.broker.orders("open", symbols=["ALKS"])
        opened.broker.cancel(exits.id)
        opened.clock.sleep(60)
        assert bare(opened.broker) == {"ALKS": D(150)}
    document = live(bought, later, {**NOTHING_NEW, "generated_at": "2025-12-02T15:00:00.000000Z"})
    assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}
    assert at_the_broker(bought, later + timedelta(days=1))[1] == {}


class Ahead:
    """The clock of a broker that is some time ahead of ours."""

    def __init__(self, ours: Clock, by: timedelta) -> None:
        self._ours, self._by = ours, by

    def now(self) -> datetime:
        return self._ours.now() + self._by

    def sleep(self, seconds: float) -> None:
        self._ours.sleep(seconds)


@pytest.mark.parametrize("seconds", [5, 60])
def test_shares_are_protected_and_reported_where_the_broker_s_clock_is_ahead(tmp_path: Path, seconds: int) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    silent = {"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": 0.6}
    more = {"call": "cancel", "symbol": "ALKS", "do": "fill_on_cancel", "part": 0.4}
    with closing(desk(tmp_path, faults={"faults": [silent, more]})) as opened:
        state, faults = opened.exchange_files
        clock = Ahead(opened.clock, timedelta(seconds=seconds))
        exchange = SimulatedExchange(opened.state / EXCHANGE_FILE, clock, state=state, faults=faults)
        opened.__dict__["broker"] = SimulatedBroker(exchange, opened.clock)
        document = carry_out(opened, SMALL)
        assert statuses(document, "BUY")["ALKS"] == ("canceled", "114")
        assert statuses(document, "PROTECT") == {"ALKS": ("protected", "0")}
        assert bare(opened.broker) == {}
    stretches = [s for s in told_to_compliance(tmp_path, document)["unprotected"] if s["ticker"] == "ALKS"]
    assert stretches
    assert all(s["until"] is not None for s in stretches)


class Blocked:
    """A broker whose account may not trade any more, from the `after`-th look at it on."""

    def __init__(self, broker: Broker, after: int) -> None:
        self._broker, self._left = broker, after

    def account(self) -> Account:
        self._left -= 1
        blocks = ("trading_blocked",) if self._left < 0 else ()
        return replace(self._broker.account(), may_trade=not blocks, blocks=blocks)

    def submit(self, _request: OrderRequest) -> Order:
        raise Refused(Refusal.OTHER, "account is not allowed to trade")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@pytest.mark.parametrize("after", [0, 3])
def test_an_account_that_may_not_trade_keeps_its_exits(bought: Path, after: int) -> None:
    with closing(desk(bought, at=NEXT_DAY)) as opened:
        opened.__dict__["broker"] = Blocked(opened.broker, after)
        opened.ceo.current_plan, opened.ceo.plan_approved = dict(SELL_ALL), True
        answer = opened.ceo.execute_plan()
        assert bare(opened.broker) == {}
    assert answer["status"] == ("ERROR" if after == 0 else "EXECUTION_INITIATED")
    assert after or "trading_blocked" in answer["message"]


# --- exits of somebody else ---


def place_stop(folder: Path, kind: OrderType, **terms: Any) -> str:
    """Place an exit of 190 CTVA by hand, and return the broker's id."""
    workspace(folder, state=STATE, settings=SETTINGS)
    with closing(desk(folder)) as opened:
        request = OrderRequest("by hand", "CTVA", Side.SELL, D(190), kind, TimeInForce.GTC, **terms)
        return opened.broker.submit(request).id


@pytest.mark.parametrize("trail", [{"trail_percent": D(5)}, {"trail_percent": D("2.5")}, {"trail_price": D("3.10")}])
@pytest.mark.parametrize("sold", [0, 60])
def test_a_trailing_stop_comes_back_with_its_trail_for_what_stays_unsold(
    tmp_path: Path, trail: dict[str, D], sold: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    placed = place_stop(tmp_path, OrderType.TRAILING_STOP, **trail)
    refuse = {"call": "submit", "symbol": "CTVA", "side": "SELL", "occurrence": 1, "do": "refuse"}
    faults = [] if sold else [refuse]
    opened = desk(tmp_path, at=MORNING + timedelta(minutes=1), faults={"faults": faults})
    with closing(opened):
        document = carry_out(opened, plan(trade("CTVA", "SELL", float(sold or 190), 64.64)))
        (back,) = [o for o in opened.broker.orders("open", symbols=["CTVA"]) if o.side is Side.SELL]
    assert statuses(document, "PROTECT") == {"CTVA": ("protected", "0")}
    assert (back.type, back.qty, back.time_in_force) == (OrderType.TRAILING_STOP, D(190 - sold), TimeInForce.GTC)
    assert (back.trail_percent, back.trail_price) == (trail.get("trail_percent"), trail.get("trail_price"))
    assert "cancelling the trailing stop of 190 CTVA with a trail of" in caplog.text
    assert placed in caplog.text
    (released,) = (row for phase in document["phases"] if phase["name"] == "RELEASE" for row in phase["orders"])
    assert f"trailing stop of 190 ({placed})" in released["reason"]
    assert placed in report(tmp_path, document)
    assert document["status"] == ("COMPLETED" if sold else "COMPLETED_WITH_ISSUES")


STOP, TRAIL = OrderType.STOP, OrderType.TRAILING_STOP
PAIR = {"type": OrderType.LIMIT, "order_class": OrderClass.OCO, "take_profit": D(80), "stop_loss": D(50)}


@pytest.mark.parametrize(
    "placed",
    [
        [{"type": STOP, "qty": D(190), "stop_price": D(55)}],
        [{"type": OrderType.STOP_LIMIT, "qty": D(190), "stop_price": D(55), "limit_price": D(54)}],
        [{**PAIR, "qty": D(190)}],
        [{"type": TRAIL, "qty": D(90), "trail_percent": D(5)}, {"type": TRAIL, "qty": D(100), "trail_price": D(3)}],
        [{"type": STOP, "qty": D(40), "stop_price": D(55)}, {**PAIR, "qty": D(100)}],
    ],
    ids=["a stop", "a stop limit", "a pair", "two trailing stops", "a stop, a pair and free shares"],
)
@pytest.mark.parametrize("days", [1, 2])
def test_exits_of_somebody_else_come_back_as_what_they_were(
    tmp_path: Path, placed: list[dict[str, Any]], days: int
) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        for number, terms in enumerate(placed):
            opened.broker.submit(
                OrderRequest(f"by hand {number}", "CTVA", Side.SELL, time_in_force=TimeInForce.GTC, **terms)
            )
    before = list_terms(tmp_path, MORNING)
    refuse = {"call": "submit", "symbol": "CTVA", "side": "SELL", "occurrence": 1, "do": "refuse", "http_status": 422}
    for day in range(days):
        at = MORNING + timedelta(days=day, minutes=1)
        sell = plan(trade("CTVA", "SELL", 190.0, 64.64), plan_id=f"P{day}", generated_at=at.isoformat())
        with closing(desk(tmp_path, at=at, faults={"faults": [{**refuse, "code": 42210000 + day}]})) as opened:
            document = carry_out(opened, sell)
        assert statuses(document, "PROTECT") == {"CTVA": ("protected", "0")}
        covered = sum(qty for _, qty, *_ in before)
        after = list_terms(tmp_path, at + timedelta(minutes=5))
        assert after[: len(before)] == before
        assert sum(qty for _, qty, *_ in after) >= covered


def list_terms(folder: Path, at: datetime) -> list[tuple[Any, ...]]:
    """Return type, shares and terms of the exits of CTVA, those placed by hand first."""
    with closing(desk(folder, at=at)) as opened:
        found = [o for o in opened.broker.orders("open", symbols=["CTVA"]) if o.side is Side.SELL]
        return [
            (
                o.type,
                o.qty,
                o.limit_price,
                o.stop_price if o.type is not TRAIL else None,
                o.trail_percent,
                o.trail_price,
                [leg.stop_price for leg in o.legs],
            )
            for o in found
        ]


def test_a_sale_at_a_limit_by_somebody_else_is_no_exit_and_stays(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE, settings=SETTINGS)
    with closing(desk(tmp_path)) as opened:
        request = OrderRequest("by hand", "CTVA", Side.SELL, D(50), OrderType.LIMIT, TimeInForce.GTC, D(80))
        placed = opened.broker.submit(request).id
    with closing(desk(tmp_path, at=MORNING + timedelta(minutes=1))) as opened:
        document = carry_out(opened, plan(trade("CTVA", "SELL", 140.0, 64.64)))
        assert not opened.broker.order(placed).status.is_terminal
    assert statuses(document, "RELEASE") == {"CTVA": ("released", "0")}
    assert statuses(document, "SELL") == {"CTVA": ("filled", "140")}
