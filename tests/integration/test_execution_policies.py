"""What becomes of a phase at its deadline, of a short budget, and of everything that is not as planned."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Desk
from Departments.core.errors import BrokerUnavailable
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.steps import no_step
from Departments.messaging.plan_documents import plan_from
from tests.builders.desk import MORNING, desk, plan, trade, two_and_two, workspace
from tests.invariants.promises import Promises
from tests.invariants.scenarios import SMALL, STATE

SILENT = {"call": "submit", "symbol": "DVN", "do": "partial_then_silence", "part": 0.4}
FAST = {"durability": "fast"}


def lived(
    folder: Path,
    *faults: Mapping[str, Any],
    phases: Mapping[str, Any] | None = None,
    document: Mapping[str, Any] = SMALL,
    state: Mapping[str, Any] = STATE,
    limits: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Execute a plan to its end, with every promise checked, and return the final document."""
    workspace(
        folder, state=state, limits=limits, settings={"messaging": FAST, "phases": dict(phases or {}), **settings}
    )
    opened = desk(folder, faults={"faults": list(faults)}, step=Promises(folder).step)
    with closing(opened):
        found = executed(opened, document)
        opened.trader.reconcile()
        opened.work()
    Promises(folder).check()
    return found


def executed(opened: Desk, document: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    opened.ceo.current_plan, opened.ceo.plan_approved = dict(document), True
    answer = opened.ceo.execute_plan(**options)
    return dict(answer["document"])


def statuses(document: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    orders = [o for phase in document["phases"] for o in phase["orders"] if phase["name"] in {"SELL", "BUY"}]
    return {o["ticker"]: (o["status"], o["filled_qty"], o["code"]) for o in orders}


def test_cancel_takes_back_what_is_open_and_buys_from_what_was_sold(tmp_path: Path) -> None:
    found = statuses(lived(tmp_path, SILENT))
    assert found["DVN"] == ("canceled", "90", "PHASE_TIMEOUT")
    assert found["ALKS"][0] == "filled"


def test_leave_goes_on_with_what_is_open(tmp_path: Path) -> None:
    found = statuses(lived(tmp_path, SILENT, phases={"sell": {"on_timeout": "leave"}}))
    assert found["DVN"][:2] == ("partially_filled", "90")
    assert found["ALKS"][0] == "filled"


def test_abort_takes_back_what_is_open_and_buys_nothing(tmp_path: Path) -> None:
    found = statuses(lived(tmp_path, SILENT, phases={"sell": {"on_timeout": "abort"}}))
    assert found["DVN"] == ("canceled", "90", "PHASE_TIMEOUT")
    assert {found[t] for t in ("ALKS", "COMM")} == {("deferred", "0", "PHASE_ABORTED")}


@pytest.mark.parametrize("on_timeout", ["cancel", "abort"])
def test_a_cancel_that_is_never_confirmed_ends_with_the_final_wait(tmp_path: Path, on_timeout: str) -> None:
    stuck = {"call": "cancel", "symbol": "DVN", "do": "stuck_cancel"}
    waits = {"timeout": 10, "final_wait": 7, "on_timeout": on_timeout}
    document = lived(tmp_path, SILENT, stuck, phases={"sell": waits})
    sell = next(p for p in document["phases"] if p["name"] == "SELL")
    took = datetime.fromisoformat(sell["ended_at"]) - datetime.fromisoformat(sell["started_at"])
    assert timedelta(seconds=17) <= took <= timedelta(seconds=20)
    assert statuses(document)["DVN"][0] == "pending_cancel"
    assert statuses(document)["ALKS"][0] == ("deferred" if on_timeout == "abort" else "filled")


@pytest.mark.parametrize(
    ("shortfall", "bought"),
    [("by_priority", {"ALKS": "150", "COMM": "0"}), ("strict", {"ALKS": "0", "COMM": "0"})],
)
def test_a_short_budget_follows_its_policy(tmp_path: Path, shortfall: str, bought: Mapping[str, str]) -> None:
    refused = {"call": "submit", "side": "SELL", "do": "refuse", "times": 0}
    found = statuses(lived(tmp_path, refused, phases={"buy": {"shortfall": shortfall}}))
    assert {t: found[t][1] for t in bought} == bought
    assert all(found[t][2] == "INSUFFICIENT_CASH" for t, qty in bought.items() if qty == "0")


def test_pro_rata_makes_every_buy_smaller_alike(tmp_path: Path) -> None:
    refused = {"call": "submit", "side": "SELL", "do": "refuse", "times": 0}
    found = statuses(lived(tmp_path, refused, phases={"buy": {"shortfall": "pro_rata"}}))
    assert {t: (found[t][1], found[t][2]) for t in ("ALKS", "COMM")} == {
        "ALKS": ("103", "TRIMMED_TO_CASH"),
        "COMM": ("172", "TRIMMED_TO_CASH"),
    }


def test_proceeds_that_show_late_in_the_cash_are_waited_for(tmp_path: Path) -> None:
    late = {"call": "submit", "symbol": "CTVA", "do": "cash_lag", "seconds": 8}
    document = lived(tmp_path, late, state={**STATE, "cash": 9_500})
    assert statuses(document)["ALKS"][0] == "filled"
    assert document["cash_identity"]["holds"]


def test_proceeds_that_stay_away_are_not_spent(tmp_path: Path) -> None:
    late = {"call": "submit", "side": "SELL", "do": "cash_lag", "seconds": 600, "times": 0}
    found = statuses(lived(tmp_path, late, state={**STATE, "cash": 9_500}))
    assert {found[t][2] for t in ("ALKS", "COMM")} == {"CASH_LAG"}


#: Costs all the cash there is above the reserve.
LARGE = plan(trade("ALKS", "BUY", 300, 32.66), trade("COMM", "BUY", 600, 17.02), trade("CTVA", "SELL", 190, 64.64))


@pytest.mark.parametrize("slippage", ["0.02", "0.05"])
def test_the_reserve_stands_although_every_buy_costs_more_than_its_price(tmp_path: Path, slippage: str) -> None:
    document = lived(tmp_path, document=LARGE, state={**STATE, "slippage": slippage})
    assert {status[0] for status in statuses(document).values()} == {"filled"}
    assert D(document["account"]["lowest_cash"]) >= D(document["account"]["reserve"])


def test_a_buy_that_the_market_leaves_behind_is_not_paid_from_the_reserve(tmp_path: Path) -> None:
    document = lived(tmp_path, {"call": "submit", "symbol": "COMM", "do": "set_price", "price": 17.8}, document=LARGE)
    assert statuses(document)["ALKS"][0] == "filled"
    assert statuses(document)["COMM"] == ("canceled", "0", "PHASE_TIMEOUT")


def test_proceeds_that_must_settle_are_not_in_the_budget(tmp_path: Path) -> None:
    account = {**STATE, "cash": 8_000, "account": {"type": "cash"}}
    found = statuses(lived(tmp_path, state=account, limits={"settlement": {"account": "cash"}}))
    assert found["ALKS"][0] == "filled"
    assert (found["COMM"][0], found["COMM"][2]) == ("filled", "TRIMMED_TO_CASH")


def test_what_the_broker_lends_is_spent_only_where_margin_is_allowed(tmp_path: Path) -> None:
    refused = {"call": "submit", "side": "SELL", "do": "refuse", "times": 0}
    poor = {**STATE, "cash": 3_000}
    found = statuses(lived(tmp_path / "without", refused, state=poor))
    assert {found[t][:1] for t in ("ALKS", "COMM")} == {("deferred",)}
    allowed = {"portfolio_risk": {"allow_margin": True}}
    workspace(tmp_path / "with", state=poor, limits=allowed)
    with closing(desk(tmp_path / "with", faults={"faults": [refused]})) as opened:
        found = statuses(executed(opened, SMALL))
        assert opened.broker.account().cash < 0
    assert {found[t][:1] for t in ("ALKS", "COMM")} == {("filled",)}


@pytest.mark.parametrize("account", ["cash", "margin"])
def test_a_dry_run_shows_what_the_budget_will_be(tmp_path: Path, account: str) -> None:
    state = {**STATE, "cash": 8_000, "account": {"type": account}}
    workspace(tmp_path, state=state, limits={"settlement": {"account": account}})
    with closing(desk(tmp_path)) as opened:
        shown = opened.day.judge.rehearse(plan_from(SMALL, "plan"))
        sent = executed(opened, SMALL)
    phases = [{p["name"]: {o["ticker"]: o["qty"] for o in p["orders"]} for p in d["phases"]} for d in (shown, sent)]
    assert phases[0]["BUY"] == phases[1]["BUY"]
    assert (phases[0]["BUY"]["COMM"] == "250") is (account == "margin")


def test_the_verification_and_the_status_agree(tmp_path: Path) -> None:
    document = plan(trade("SN", "SELL", 10, 96.19), trade("ALKS", "BUY", 150, 32.66))
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = document, True
        answer = opened.ceo.execute_plan()
    assert answer["document"]["status"] == "COMPLETED_WITH_ISSUES"
    assert not answer["post_execution_verification"]["passed"]


def test_shares_that_somebody_else_sold_meanwhile_are_not_sold_again(tmp_path: Path) -> None:
    sold = {"call": "positions", "do": "trade_outside", "of": "CTVA", "qty": -100, "occurrence": 2}
    found = statuses(lived(tmp_path, sold))
    assert found["CTVA"] == ("filled", "90", "TRIMMED_TO_AVAILABLE")


def test_money_that_somebody_else_took_out_is_not_spent(tmp_path: Path) -> None:
    bought = {"call": "positions", "do": "trade_outside", "of": "MSFT", "qty": 30, "occurrence": 2}
    document = lived(tmp_path, bought)
    assert (document["cash_identity"]["holds"], document["cash_identity"]["other"]) == (True, "-15073.50")
    assert D(document["account"]["cash_after"]) >= D(document["account"]["lowest_cash"]) >= 0


def test_shares_that_somebody_else_sells_meanwhile_are_named_and_an_issue(tmp_path: Path) -> None:
    document = lived(tmp_path, {"call": "positions", "do": "trade_outside", "of": "MSFT", "qty": -1, "occurrence": 2})
    assert {status[0] for status in statuses(document).values()} == {"filled"}
    assert (document["status"], document["exit_code"]) == ("COMPLETED_WITH_ISSUES", 1)
    assert document["cash_identity"] == {"holds": True, "difference": "0.00", "fees": "0.00", "other": "502.45"}
    report = (tmp_path / "Reports" / f"{SMALL['plan_id']}.md").read_text(encoding="utf-8")
    assert "Cash adds up: start + sells − buys − fees + other bookings ($502.45) = end." in report
    assert "Somebody else sold 1 MSFT at $502.45" in report


def test_fees_are_part_of_the_cash_identity_and_nobody_waits_for_what_they_took(tmp_path: Path) -> None:
    fees = {"per_order": 1, "per_share": "0.005", "sell_rate": "0.0000278"}
    document = lived(tmp_path, state={**STATE, "fees": fees}, phases={"buy": {"cash_wait": 600}})
    identity, account = document["cash_identity"], document["account"]
    cash = D(account["cash_before"]) - D(identity["fees"])
    for order in (o for phase in document["phases"] for o in phase["orders"] if o["filled_avg_price"]):
        cash += D(order["filled_qty"]) * D(order["filled_avg_price"]) * (1 if order["side"] == "SELL" else -1)
    assert (document["status"], identity["holds"], D(identity["fees"])) == ("COMPLETED", True, D("8.64"))
    assert D(account["cash_after"]) == cash
    begun = {p["name"]: datetime.fromisoformat(p["started_at"]) for p in document["phases"]}
    assert begun["PROTECT"] - begun["RELEASE"] < timedelta(seconds=30)
    report = (tmp_path / "Reports" / f"{SMALL['plan_id']}.md").read_text(encoding="utf-8")
    assert "| Fees | $8.64 |" in report


def test_what_fees_took_is_not_made_up_for_by_money_of_somebody_else(tmp_path: Path) -> None:
    sold = {"call": "positions", "do": "trade_outside", "of": "MSFT", "qty": -20, "occurrence": 2}
    document = lived(tmp_path, sold, state={**STATE, "cash": 9_500, "fees": {"sell_rate": "0.6"}})
    assert [statuses(document)[t][0] for t in ("ALKS", "COMM")] == ["filled", "filled"]
    assert statuses(document)["COMM"][2] == "TRIMMED_TO_CASH"


@pytest.mark.parametrize("call", ["account", "positions", "orders", "quotes", "submit", "cancel", "order", "any"])
@pytest.mark.parametrize("occurrence", [2, 6])
def test_a_broker_that_is_away_for_a_while_delays_and_changes_nothing(
    tmp_path: Path, call: str, occurrence: int
) -> None:
    times = 4 if call == "quotes" else 8  # an approval asks for its quote alone, and five attempts are made at it
    away = {"call": call, "do": "timeout_before", "occurrence": occurrence, "times": times}
    document = lived(tmp_path, away, phases={"sell": {"timeout": 300}, "buy": {"timeout": 300}})
    assert {status[0] for status in statuses(document).values()} == {"filled"}


@pytest.mark.parametrize("waits", [{}, {"timeout": 5, "final_wait": 5}])
def test_approvals_that_end_as_dead_letters_are_taken_back_and_the_day_ends(
    tmp_path: Path, waits: Mapping[str, Any]
) -> None:
    deaf = {"call": "submit", "symbol": "DVN", "do": "timeout_before", "times": 0}
    document = lived(tmp_path, deaf, phases={"sell": dict(waits)})
    assert statuses(document)["ALKS"][0] == "filled"
    with closing(desk(tmp_path, at=MORNING + timedelta(minutes=30), faults={"faults": []})) as later:
        later.work()
        later.clock.sleep(61)
        later.work()
        (record,) = later.ledger.orders.find_newest(["DVN"])
        assert (record.status, record.code) == ("canceled", "PHASE_TIMEOUT")
        assert not any(o.symbol == "DVN" for o in later.broker.orders("all"))
    Promises(tmp_path).check()


def test_a_broker_that_stays_away_stops_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    away = {"call": "any", "do": "timeout_before", "occurrence": 33, "times": 0}
    opened = desk(tmp_path, faults={"faults": [away]})
    with closing(opened), pytest.raises(BrokerUnavailable):
        executed(opened, SMALL)
    again = desk(tmp_path, at=opened.clock.now(), faults={"faults": []})
    with closing(again):
        resumed = again.day.resume()
        assert resumed is not None
        assert resumed.document["plan_id"] == SMALL["plan_id"]
        again.trader.reconcile()
        again.work()
    Promises(tmp_path).check()


# --- clocks ---


class JumpingClock(SimulatedClock):
    """A clock that is set by `jump` at the n-th sleep."""

    def __init__(self, start: datetime, at: int, jump: timedelta) -> None:
        super().__init__(start)
        self._left, self._jump = at, jump

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._left -= 1
        if self._left == 0:
            self._now += self._jump


def with_clock(folder: Path, clock: SimulatedClock, *faults: Mapping[str, Any]) -> Desk:
    opened = desk(folder, faults={"faults": list(faults)}, step=no_step)
    opened.choices = type(opened.choices)(**{**vars(opened.choices), "clock": clock})
    opened.clock = clock
    return opened


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(minutes=-2), timedelta(minutes=30)])
@pytest.mark.parametrize("at", [1, 3])
def test_a_clock_that_jumps_trades_nothing_twice_and_the_day_ends(tmp_path: Path, jump: timedelta, at: int) -> None:
    workspace(tmp_path, state=STATE)
    clock = JumpingClock(MORNING + timedelta(hours=1), at, jump)
    late = {**SMALL, "generated_at": "2025-11-10T16:00:00.000000Z"}
    opened = with_clock(tmp_path, clock, {"call": "submit", "symbol": "DVN", "do": "timeout_after"})
    with closing(opened):
        document = executed(opened, late)
        opened.trader.reconcile()
        opened.work()
    assert document["exit_code"] in {0, 1}
    assert [p["name"] for p in document["phases"]] == ["RELEASE", "SELL", "BUY", "PROTECT"]
    Promises(tmp_path, steady=False).check()


def test_a_clock_that_was_set_back_does_not_make_a_phase_wait_for_hours(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    clock = JumpingClock(MORNING + timedelta(hours=3), 5, timedelta(hours=-2))
    late = {**SMALL, "generated_at": "2025-11-10T18:00:00.000000Z"}
    opened = with_clock(tmp_path, clock, SILENT)
    with closing(opened):
        executed(opened, late)
    assert clock.now() < MORNING + timedelta(hours=1, minutes=10)


# --- days ---


def test_a_plan_that_became_stale_while_it_was_interrupted_sends_nothing_more(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    opened = desk(tmp_path, faults={"faults": [{"call": "any", "do": "timeout_before", "occurrence": 20, "times": 0}]})
    with closing(opened), pytest.raises(BrokerUnavailable):
        executed(opened, SMALL)
    next_day = desk(tmp_path, at=MORNING + timedelta(days=1), faults={"faults": []})
    with closing(next_day):
        resumed = next_day.day.resume()
        assert resumed is not None
        assert {o["code"] for p in resumed.document["phases"] for o in p["orders"] if o["status"] == "deferred"} == {
            "STALE_PLAN"
        }
        next_day.trader.reconcile()
        next_day.work()
    Promises(tmp_path).check()


def test_a_stale_plan_is_not_begun(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        opened.ceo.current_plan = {**SMALL, "generated_at": "2025-11-10T10:00:00.000000Z"}
        opened.ceo.plan_approved = True
        answer = opened.ceo.handle_user_request("execute_plan")
        assert answer["status"] == "ERROR"
        assert "STALE_PLAN" in answer["message"]
        assert opened.ledger.plans.executions() == []


def test_a_plan_is_never_executed_twice_not_even_by_force(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    with closing(desk(tmp_path)) as opened:
        executed(opened, SMALL)
        before = len(opened.broker.orders("all"))
        for options in ({}, {"force": True}):
            assert opened.ceo.execute_plan(**options)["status"] == "ALREADY_EXECUTED"
        assert len(opened.broker.orders("all")) == before


def test_orders_are_sent_in_the_order_of_the_plan_and_buys_by_their_scores(tmp_path: Path) -> None:
    """Should the cash fall short after all, the weakest BUY goes without it."""
    prices = {f"S{n}": 40 for n in range(6)}
    held = {f"H{n}": {"qty": 100, "avg_entry_price": 40, "current_price": 40} for n in range(6)}
    workspace(tmp_path, state={**STATE, "positions": held, "prices": prices, "cash": 40_000})
    scores = {"S3": 91, "S0": 85, "S5": 80, "S1": 75, "S4": 70, "S2": 65}
    buys = [trade(t, "BUY", 100, 40, composite_score=scores[t]) for t in sorted(scores)]
    sells = [trade(t, "SELL", 100, 40) for t in ("H4", "H1", "H5", "H0", "H3", "H2")]
    with closing(desk(tmp_path)) as opened:
        executed(opened, plan(*buys, *sells))
        sent = [o.symbol for o in opened.broker.orders("all")]
    assert sent == [t["ticker"] for t in sells] + list(scores)


def test_another_plan_of_the_day_needs_force(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    second = plan(trade("AXTA", "BUY", 120, 28.64), plan_id="PLAN_20251110_150300")
    with closing(desk(tmp_path)) as opened:
        executed(opened, SMALL)
        opened.ceo.current_plan = second
        assert opened.ceo.execute_plan()["status"] == "ALREADY_EXECUTED"
        assert executed(opened, second, force=True)["status"] == "COMPLETED"


def test_force_resumes_what_was_interrupted_and_does_not_set_it_aside(tmp_path: Path) -> None:
    workspace(tmp_path, state=STATE)
    away = {"call": "any", "do": "timeout_before", "occurrence": 33, "times": 0}
    with closing(desk(tmp_path, faults={"faults": [away]})) as opened, pytest.raises(BrokerUnavailable):
        executed(opened, two_and_two())
    second = plan(trade("AXTA", "BUY", 120, 28.64), plan_id="PLAN_20251110_150300")
    with closing(desk(tmp_path, at=opened.clock.now(), faults={"faults": []})) as again:
        assert executed(again, second, force=True)["plan_id"] == two_and_two()["plan_id"]
        assert again.ledger.plans.execution(second["plan_id"]) is None
