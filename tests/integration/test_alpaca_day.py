"""The whole day through alpaca-py and real HTTP: the simulated exchange answers behind Alpaca's own paths.

Nothing of the desk is replaced: the commands run as a user runs them, with credentials in the environment. Only the
machine's clock is set to the morning of the day, and sleeping moves its hands.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from Departments.core.orders import Order, OrderClass, OrderStatus
from Departments.core.platform.clock import SimulatedClock, SystemClock
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState
from Departments.Executive.ceo import CEO
from tests.builders.commands import Said, deliver_briefing, plan_file, say
from tests.builders.desk import MORNING, STATE, candidate, plan, trade, two_and_two, workspace, write_yaml
from tests.contract.alpaca_gateway import KEYS, Gateway
from tests.fakes import alpaca_answers
from tests.fakes.loopback import Call, Reply, serving

NAMES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_BASE_URL")
SOLD, BOUGHT = [f"S{n}" for n in range(5)], [f"B{n:02d}" for n in range(11)]
BIG_STATE = {
    "cash": 40_000,
    "positions": {s: {"qty": 100, "avg_entry_price": 50, "current_price": 50} for s in SOLD},
    "prices": dict.fromkeys(BOUGHT, 40),
}
A_DAY, A_MINUTE = timedelta(days=1), timedelta(seconds=60)
Capture = pytest.CaptureFixture[str]


@dataclass
class Outage:
    """The line is dead for some seconds, from the n-th request on; `answers` that are lost were still acted on."""

    request: int
    seconds: int
    loses: Literal["questions", "answers"]
    since: datetime | None = None

    def covers(self, number: int, now: datetime) -> bool:
        if number == self.request:
            self.since = now
        return number == self.request or (self.since is not None and now - self.since < timedelta(seconds=self.seconds))


@dataclass
class Line:
    """The line to the broker: what went over it, when, and with which status it was answered (0: not at all)."""

    clock: SimulatedClock
    gateway: Gateway
    outage: Outage | None = None
    calls: list[tuple[datetime, Call, int]] = field(default_factory=list)

    def __call__(self, call: Call) -> Reply:
        now = self.clock.now()
        dead = self.outage is not None and self.outage.covers(len(self.calls), now)
        reply = Reply(status=0, drop=True)
        if not dead or (self.outage and self.outage.loses == "answers"):
            answered = self.gateway(call)
            reply = reply if dead else answered
        self.calls.append((now, call, reply.status))
        return reply

    def asked(self, method: str, path: str) -> list[Call]:
        return [c for _, c, _ in self.calls if (c.method, c.path) == (method, path)]

    def posted(self, symbol: str) -> list[Mapping[str, Any]]:
        return [c.body for c in self.asked("POST", "/v2/orders") if c.body["symbol"] == symbol]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for *_, status in self.calls)

    def busiest_minute(self) -> int:
        """Return the most requests that any minute saw, trading and market data together."""
        moments = [at for at, *_ in self.calls]
        return max(sum(start <= at < start + A_MINUTE for at in moments) for start in moments)


@dataclass
class Day:
    """A workspace on the machine of a user with an account at the broker."""

    folder: Path
    clock: SimulatedClock
    line: Line
    exchange: SimulatedExchange
    credentials: Mapping[str, str]
    capsys: Capture

    def run(self, *more: str | Path) -> Said:
        options: Sequence[str | Path] = ("--workspace", self.folder, "--broker", "alpaca", "--approve", "auto")
        return say(self.capsys, "run", *options, "--json", *more)

    def orders(self, symbol: str) -> list[Order]:
        return [o for o in self.exchange.floor.all_orders() if o.symbol == symbol]

    def held(self) -> dict[str, Decimal]:
        return {p.symbol: p.qty for p in self.exchange.positions()}


Opening = Callable[..., Day]


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Iterator[Opening]:
    """Open a day with a state, faults and a limit of requests of its own."""
    clock = SimulatedClock(MORNING)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: clock.sleep(seconds))
    with ExitStack() as stack:

        def opened(*faults: Mapping[str, Any], state: Mapping[str, Any] = STATE, a_minute: int = 200) -> Day:
            folder, file = workspace(tmp_path / "ws"), tmp_path / "alpaca.db"
            (folder / "state.yaml").unlink()
            script = FaultScript.model_validate({"faults": faults})
            gateway = Gateway(file, clock, ExchangeState.model_validate(state), script, a_minute=a_minute)
            stack.callback(gateway.close)
            exchange = SimulatedExchange(file, clock)
            stack.callback(exchange.close)
            line = Line(clock, gateway)
            url = stack.enter_context(serving(line)).url
            credentials = dict(zip(NAMES, (*KEYS, url), strict=True))
            for name, value in credentials.items():
                monkeypatch.setenv(name, value)
            return Day(folder, clock, line, exchange, credentials, capsys)

        yield opened


def planned(day: Day, document: Mapping[str, Any] | None = None) -> tuple[str, Path]:
    return "--plan", plan_file(day.folder, document or two_and_two())


# --- a good day ---


def test_the_day_sells_waits_buys_with_brackets_and_reports(opening: Opening) -> None:
    day = opening()
    said = day.run(*planned(day))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert {t: said.order(t)["status"] for t in ("CTVA", "DVN", "ALKS", "COMM")} == dict.fromkeys(
        ("CTVA", "DVN", "ALKS", "COMM"), "filled"
    )
    sold = max(o.filled_at for s in ("CTVA", "DVN") for o in day.orders(s) if o.filled_at)
    bought = [o for s in ("ALKS", "COMM") for o in day.orders(s)]
    assert all(o.submitted_at and o.submitted_at >= sold for o in bought)
    assert {(o.order_class, o.legs[0].status, o.legs[1].status) for o in bought} == {
        (OrderClass.BRACKET, OrderStatus.NEW, OrderStatus.HELD)
    }
    assert said.document["cash_identity"]["holds"]
    assert Decimal(said.document["account"]["cash_after"]) == day.exchange.account().cash
    assert said.document["account_number"] == "alpaca PA3…TED"
    files = [path for path in day.folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"PA3SIMULATED" in path.read_bytes()] == []
    assert (day.folder / "Reports" / "PLAN_20251110_150000.md") in files
    assert day.line.statuses == {200: len(day.line.calls)}


def test_a_bare_script_with_a_config_py_does_the_same(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    day = opening()
    for name in day.credentials:
        monkeypatch.delenv(name)
    keys = "".join(f'{name} = "{value}"\n' for name, value in day.credentials.items())
    (day.folder / "config.py").write_text(keys, encoding="utf-8")
    settings = {"broker": {"name": "alpaca"}, "messaging": {"durability": "fast"}}
    write_yaml(day.folder / "config" / "settings.yaml", settings)
    deliver_briefing(day.folder)
    ceo = CEO(day.folder)
    ceo.set_mandatory_sells([{"ticker": "CTVA", "action": "SELL", "shares": 190, "reason": "stop", "source": "risk"}])
    made = ceo.handle_user_request("generate_plan", ai_model="none")
    assert made["status"] == "READY_FOR_USER_APPROVAL"
    assert ceo.approve_plan(made["plan"]["plan_id"])["status"] == "PLAN_APPROVED"
    answer = ceo.handle_user_request("execute_plan")
    assert answer["status"] == "EXECUTION_INITIATED"
    verified = answer["post_execution_verification"]
    assert (verified["passed"], verified["issues"], verified["summary"]["sells_executed"]) == (True, [], 1)
    assert answer["buys_submitted"] > 0
    assert {o.status for o in day.exchange.floor.all_orders()} == {OrderStatus.FILLED}


def test_sixteen_orders_stay_well_under_the_limit_of_requests(opening: Opening) -> None:
    day = opening(state=BIG_STATE)
    sells = [trade(s, "SELL", 100, 50) for s in SOLD]
    said = day.run(*planned(day, plan(*(trade(s, "BUY", 100, 40) for s in BOUGHT), *sells)))
    orders = [o for n in ("SELL", "BUY") for o in said.phase(n)["orders"]]
    assert [o["status"] for o in orders] == ["filled"] * 16
    print(f"{len(day.line.calls)} requests, {day.line.busiest_minute()} in the busiest minute")  # noqa: T201
    assert day.line.busiest_minute() < 95
    assert day.line.statuses.keys() == {200}


def test_planning_with_300_candidates_asks_hardly_more_than_with_four(opening: Opening) -> None:
    many = [f"M{n:03}" for n in range(300)]
    market = {"prices": dict.fromkeys(many, 40), "volumes": dict.fromkeys(many, 2_000_000)}
    day = opening(state={**STATE, **market, "assets": {"M000": {"active": False}}})
    deliver_briefing(day.folder, [candidate(s, 75, 40, f"Sector {s}") for s in many])
    said = say(day.capsys, "plan", "--workspace", day.folder, "--broker", "alpaca", "--json")
    trades = [t["ticker"] for t in said.document["plan"]["trades"]]
    assert said.code == 0
    assert trades
    assert "M000" not in trades
    print(f"{len(day.line.calls)} requests")  # noqa: T201
    assert len(day.line.calls) < 30
    assert day.line.statuses == {200: len(day.line.calls)}
    assert day.clock.now() == MORNING


def test_a_look_at_the_orders_is_one_request_however_many_there_are(opening: Opening) -> None:
    day = opening(
        {"call": "submit", "side": "SELL", "times": 0, "do": "partial_then_silence", "part": "0.5"}, state=BIG_STATE
    )
    day.run(*planned(day, plan(*(trade(s, "SELL", 100, 50) for s in SOLD))))
    waiting = [c for at, c, _ in day.line.calls if timedelta(seconds=5) < at - MORNING < timedelta(seconds=55)]
    assert {(c.method, c.path) for c in waiting} == {("GET", "/v2/orders")}
    assert 45 <= len(waiting) <= 55
    assert {c.query["symbols"] for c in waiting} == {",".join(sorted(SOLD))}


# --- exits ---


def test_the_next_day_releases_resting_exits_before_it_sells_what_they_hold(opening: Opening) -> None:
    day = opening()
    day.run(*planned(day))
    entry = day.orders("ALKS")[0]
    day.clock.sleep((MORNING + A_DAY - day.clock.now()).total_seconds())
    tomorrow = plan(trade("ALKS", "SELL", 150, 32.66), plan_id="PLAN_2", generated_at="2025-11-11T15:00:00.000000Z")
    said = day.run(*planned(day, tomorrow))
    assert (said.code, said.order("ALKS")["status"]) == (0, "filled")
    assert said.phase("RELEASE")["orders"][0]["status"] == "released"
    cancelled = [c.path for _, c, _ in day.line.calls if c.method == "DELETE"]
    assert {path.rpartition("/")[2] for path in cancelled} <= {leg.id for leg in entry.legs}
    assert {leg.status for leg in day.orders("ALKS")[0].legs} == {OrderStatus.CANCELED}
    assert "ALKS" not in day.held()
    assert {leg.status for leg in day.orders("COMM")[0].legs} == {OrderStatus.NEW, OrderStatus.HELD}


def test_what_a_buy_filled_in_part_is_protected_by_an_oco(opening: Opening) -> None:
    day = opening({"call": "submit", "symbol": "ALKS", "do": "partial_then_silence", "part": "0.4"})
    said = day.run(*planned(day))
    assert (said.order("ALKS")["status"], said.order("ALKS")["filled_qty"]) == ("canceled", "60")
    entry, exits = day.line.posted("ALKS")
    assert (entry["order_class"], exits["order_class"], exits["side"], exits["qty"]) == ("bracket", "oco", "sell", 60)
    assert (exits["type"], exits["time_in_force"]) == ("limit", "gtc")
    assert exits["stop_loss"]["stop_price"] < 32.66 < exits["take_profit"]["limit_price"]
    oco = day.orders("ALKS")[-1]
    assert (oco.status, oco.legs[0].status) == (OrderStatus.NEW, OrderStatus.HELD)
    assert said.phase("PROTECT")["orders"][0]["status"] == "protected"


# --- a bad line, a bad day ---


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"do": "refuse", "http_status": 403, "code": 40310000, "message": "insufficient buying power",
          "body": {"buying_power": "12.5", "cost_basis": "4899"}}, "rejected", "BROKER_BUYING_POWER"),
        ({"do": "refuse", "http_status": 422, "code": 42210000, "message": 'asset "ALKS" not found'}, "rejected",
         "BROKER_ASSET"),
        ({"do": "reject"}, "rejected", "REJECTED_LATER"),
    ],
)  # fmt: skip
def test_a_rejection_is_reported_with_its_reason_and_the_rest_goes_on(
    opening: Opening, fault: Mapping[str, Any], status: str, code: str
) -> None:
    day = opening({"call": "submit", "symbol": "ALKS", **fault})
    said = day.run(*planned(day))
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert (said.order("ALKS")["status"], said.order("COMM")["status"]) == (status, "filled")
    assert said.order("ALKS")["code"] == code
    assert len(day.line.posted("ALKS")) == 1


@pytest.mark.parametrize(
    ("symbol", "do", "sent"),
    [
        ("CTVA", "gateway_timeout", 1),
        ("ALKS", "gateway_timeout", 1),
        ("ALKS", "timeout_after", 1),
        ("CTVA", "malformed", 1),
        ("CTVA", "timeout_before", 2),
        ("ALKS", "server_error", 2),
    ],
)
def test_an_unclear_answer_to_an_order_makes_exactly_one_order(
    opening: Opening, symbol: str, do: str, sent: int
) -> None:
    day = opening({"call": "submit", "symbol": symbol, "do": do})
    said = day.run(*planned(day))
    assert said.order(symbol)["status"] == "filled"
    assert len(day.orders(symbol)) == 1
    posted = day.line.posted(symbol)
    assert len(posted) == sent
    assert len({body["client_order_id"] for body in posted}) == 1


def test_an_order_that_cannot_be_found_at_once_is_not_made_twice(opening: Opening) -> None:
    slow = {"call": "submit", "symbol": "CTVA", "do": "invisible", "seconds": 30}
    day = opening(slow, {"call": "submit", "symbol": "CTVA", "do": "gateway_timeout"})
    said = day.run(*planned(day))
    assert said.order("CTVA")["status"] == "filled"
    assert len(day.orders("CTVA")) == 1


def test_a_small_limit_of_requests_makes_the_day_longer_and_nothing_else(opening: Opening) -> None:
    day = opening(a_minute=30)
    said = day.run(*planned(day))
    assert day.line.statuses[429] > 0
    assert {s: len(day.orders(s)) for s in ("CTVA", "DVN", "ALKS", "COMM")} == dict.fromkeys(
        ("CTVA", "DVN", "ALKS", "COMM"), 1
    )
    assert (said.code, said.document["status"]) == (0, "COMPLETED")


@pytest.mark.parametrize("loses", ["questions", "answers"])
@pytest.mark.parametrize("request_number", [0, 6, 20, 30, 42, 48])
def test_an_outage_changes_nothing_but_the_time(
    opening: Opening, request_number: int, loses: Literal["questions", "answers"]
) -> None:
    day = opening()
    day.line.outage = Outage(request_number, 40, loses)
    said = day.run(*planned(day))
    assert day.line.statuses[0] > 0
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert sorted(o.symbol for o in day.exchange.floor.all_orders()) == ["ALKS", "COMM", "CTVA", "DVN"]
    assert said.document["cash_identity"]["holds"]


ODD_ORDERS = [
    alpaca_answers.spread(status="filled"),
    alpaca_answers.option_order(),
    alpaca_answers.order(id="odd", client_order_id="by-hand", qty="many"),
    alpaca_answers.order(id="odd-2", client_order_id="by-hand-2", side=""),
    None,
]
ODD_POSITIONS = [
    alpaca_answers.position(symbol="AAPL251219C00150000", asset_class="us_option", qty="5", market_value="410"),
    alpaca_answers.position(symbol="ZZZ", qty="many"),
]


def test_odd_rows_in_the_account_stop_nothing_else(opening: Opening) -> None:
    day = opening()
    day.line.gateway.strange |= {"/v2/orders": ODD_ORDERS, "/v2/positions": ODD_POSITIONS}
    said = day.run(*planned(day))
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert sorted(o.symbol for o in day.exchange.floor.all_orders()) == ["ALKS", "COMM", "CTVA", "DVN"]
    assert "Cash for BUYs: $47,439.87 (reserve $10,003.99)" in said.err  # 59,843.86 less the reserve and ten contracts
    for name in ("The order odd", "The order odd-2", "The order without a name", "The position ZZZ"):
        assert said.err.count(f"{name} at the broker cannot be read") == 1


def test_an_order_of_ours_that_makes_no_sense_locks_its_symbol_and_no_other(opening: Opening) -> None:
    day = opening()
    row = alpaca_answers.order(id="odd", client_order_id="MSG_EXECUTIVE_20251109_lost", symbol="CTVA", qty="many")
    day.line.gateway.strange |= {"/v2/orders": [row]}
    said = day.run(*planned(day))
    assert said.order("CTVA")["code"] == "SYMBOL_LOCKED"
    assert sorted(o.symbol for o in day.exchange.floor.all_orders()) == ["ALKS", "COMM", "DVN"]


def test_an_account_that_makes_no_sense_ends_the_day_at_once_with_its_own_sentence(opening: Opening) -> None:
    day = opening({"call": "account", "do": "malformed", "times": 0})
    before = day.clock.now()
    said = day.run(*planned(day))
    assert (said.code, len(said.sentences)) == (4, 1)
    assert "the broker's answer to GET /account cannot be read" in said.sentences[0]
    assert day.clock.now() - before < A_MINUTE


def test_a_broker_that_stays_away_ends_the_day_with_4_and_the_next_run_finishes_it(opening: Opening) -> None:
    day = opening()
    day.line.outage = Outage(33, 900, "answers")  # a phase waits ten minutes
    said = day.run(*planned(day))
    assert (said.code, said.document["status"], len(said.sentences)) == (4, "FAILED", 1)
    day.clock.sleep(900)
    again = day.run(*planned(day))
    assert again.document["plan_id"] == "PLAN_20251110_150000"
    assert Counter(o.symbol for o in day.exchange.floor.all_orders()).most_common(1)[0][1] == 1
    assert again.document["cash_identity"]["holds"]


def test_refused_keys_end_with_4_and_one_sentence(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    day = opening()
    monkeypatch.setenv("APCA_API_SECRET_KEY", "a-wrong-secret")
    said = day.run(*planned(day))
    assert said.code == said.document["exit_code"] == 4
    assert len(said.sentences) == 1
    assert "answered 401" in said.sentences[0]
    assert "check APCA_API_KEY_ID and APCA_API_SECRET_KEY; run the same command again" in said.sentences[0]
    assert not day.exchange.floor.all_orders()
    assert {status for *_, status in day.line.calls} == {401}


def test_keys_refused_in_the_middle_of_a_day_stop_it_and_the_next_run_finishes_it(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = opening({"call": "orders", "occurrence": 8, "do": "unauthorized"})  # while the SELLs are followed
    assert day.run(*planned(day)).code == 4
    assert day.exchange.floor.all_orders()
    assert day.run(*planned(day)).document["status"] == "COMPLETED"
    assert sorted(o.symbol for o in day.exchange.floor.all_orders()) == ["ALKS", "COMM", "CTVA", "DVN"]


def test_a_simulated_time_is_refused_beside_a_real_broker(opening: Opening) -> None:
    day = opening()
    said = day.run(*planned(day), "--at", "2025-11-10T15:05:42Z")
    assert (said.code, len(said.sentences)) == (2, 1)
    assert "--at" in said.sentences[0]
    assert day.line.calls == []


@pytest.mark.parametrize("secret", [KEYS[1], "a-wrong-secret"])
def test_the_secrets_are_written_nowhere(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    day = opening(
        {"call": "submit", "symbol": "ALKS", "do": "reject"},
        {"call": "submit", "side": "SELL", "do": "gateway_timeout"},
    )
    monkeypatch.setenv("APCA_API_SECRET_KEY", secret)
    with caplog.at_level(logging.DEBUG):
        said = day.run(*planned(day))
    written = [p.read_bytes() for p in day.folder.rglob("*") if p.is_file()]
    told = [said.out.encode(), said.err.encode(), caplog.text.encode(), *written]
    assert caplog.records
    assert not [text for text in told if secret.encode() in text or KEYS[0].encode() in text]


@pytest.mark.parametrize("body", [{"message": "forbidden."}, {"message": "not permitted"}, "<html>blocked</html>"])
def test_activities_that_are_forbidden_are_not_waited_for(
    opening: Opening, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    day = opening()
    answer = day.line.gateway._answer

    def forbid(call: Call) -> Reply:
        return Reply(403, body) if "/activities" in call.path else answer(call)

    monkeypatch.setattr(day.line.gateway, "_answer", forbid)
    said = day.run("--plan", plan_file(day.folder, two_and_two()))
    assert said.code == 0, said.err
    asked = [at for at, call, _ in day.line.calls if call.path == "/v2/account/activities"]
    assert len(asked) <= 4
    assert "cannot be read" in said.err
