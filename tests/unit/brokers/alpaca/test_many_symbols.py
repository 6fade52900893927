"""What questions about many symbols cost: requests that reach the vendor, counted on the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.core.errors import BrokerUnavailable
from Departments.core.moments import iso
from Departments.core.platform.clock import SimulatedClock
from tests.fakes import alpaca_answers as alpaca
from tests.fakes.loopback import Call, Loopback, Reply
from tests.unit.brokers.alpaca.conftest import NOW

MANY = [f"S{n:03}" for n in range(300)]
FEW = MANY[:20]
A_QUARTER = timedelta(minutes=15).total_seconds()
NOT_FOUND = Reply(404, {"code": 40410000, "message": "asset not found"})
BARS = "/v2/stocks/bars"


def bar(day: int) -> dict[str, Any]:
    return {"t": f"2025-11-{day:02}T05:00:00Z", "o": 5, "h": 5, "l": 5, "c": 5, "v": 1000, "n": 1, "vw": 5}


class Market:
    """Alpaca as it answers about many symbols: `bad` ones fail a question, `delisted` ones are in no list."""

    def __init__(self, symbols: Sequence[str], bad: Sequence[str] = (), delisted: Sequence[str] = ()) -> None:
        self.symbols, self.bad, self.delisted = symbols, bad, delisted
        self.tradable = True

    def __call__(self, call: Call) -> Reply:
        if call.path == "/v2/assets":
            return Reply(body=[self.asset(s) for s in self.symbols if s not in self.delisted])
        if call.path.startswith("/v2/assets/"):
            symbol = call.path.rpartition("/")[2]
            return Reply(body=self.asset(symbol)) if symbol in self.symbols else NOT_FOUND
        asked = call.query["symbols"].split(",")
        if refused := next((s for s in asked if s in self.bad), None):
            return Reply(400, {"message": f"invalid symbol: {refused}"})
        known = [s for s in asked if s in self.symbols]
        if call.path == BARS:
            return Reply(body={"bars": {s: [bar(6), bar(7)] for s in known}, "next_page_token": None})
        return Reply(body={s: {"latestTrade": {"t": iso(NOW), "p": 5}} for s in known})

    def asset(self, symbol: str) -> dict[str, Any]:
        status = "inactive" if symbol in self.delisted else "active"
        return alpaca.asset(symbol=symbol, status=status, tradable=self.tradable)


@pytest.fixture
def market(server: Loopback) -> Market:
    market = Market(MANY)
    server.answering = market
    return market


QUESTIONS: dict[str, Callable[[AlpacaBroker, Sequence[str]], Any]] = {
    "quotes": lambda broker, symbols: broker.quotes(symbols),
    "bars": lambda broker, symbols: broker.bars(symbols, days=20),
    "assets": lambda broker, symbols: broker.assets(symbols),
}
PRICES = ("quotes", "bars")


@pytest.mark.usefixtures("market")
def test_300_symbols_cost_five_requests(server: Loopback, broker: AlpacaBroker, clock: SimulatedClock) -> None:
    for ask in QUESTIONS.values():
        assert ask(broker, MANY).keys() == set(MANY)
    assert [(c.path, len(c.query.get("symbols", "").split(","))) for c in server.calls] == [
        ("/v2/stocks/snapshots", 200),
        ("/v2/stocks/snapshots", 100),
        (BARS, 200),
        (BARS, 100),
        ("/v2/assets", 1),
    ]
    assert clock.now() == NOW


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_symbols_need_no_question(question: str, server: Loopback, broker: AlpacaBroker) -> None:
    assert QUESTIONS[question](broker, []) == {}
    assert server.calls == []


@pytest.mark.parametrize("question", PRICES)
@pytest.mark.usefixtures("market")
def test_a_symbol_is_named_once_in_a_question(question: str, server: Loopback, broker: AlpacaBroker) -> None:
    QUESTIONS[question](broker, ["S002", "S001", "S002"])
    assert [c.query["symbols"] for c in server.calls] == ["S001,S002"]


@pytest.mark.parametrize("question", PRICES)
def test_a_symbol_that_alpaca_cannot_parse_costs_the_others_nothing_but_a_few_requests(
    question: str, market: Market, server: Loopback, broker: AlpacaBroker
) -> None:
    market.bad = ["BF-B"]
    assert QUESTIONS[question](broker, ["BF-B", *MANY]).keys() == set(MANY)
    assert len(server.calls) < 20


@pytest.mark.parametrize("question", PRICES)
def test_what_is_answered_about_others_is_left_out(question: str, server: Loopback, broker: AlpacaBroker) -> None:
    market = Market(MANY)
    server.answering = lambda call: market(Call(call.method, call.path, {"symbols": "S001,S002"}, None, {}))
    assert QUESTIONS[question](broker, ["S001"]).keys() == {"S001"}


def test_trouble_with_a_later_question_is_trouble_with_all(
    market: Market, server: Loopback, broker: AlpacaBroker
) -> None:
    server.answering = lambda call: Reply(403, "no") if "S299" in call.query["symbols"] else market(call)
    with pytest.raises(BrokerUnavailable):
        broker.bars(MANY, days=20)


def test_bars_are_put_together_across_pages(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    pages = [{"UPS": [bar(5), bar(6)], "DVN": [bar(5)]}, {"DVN": [bar(6), bar(7)], "EXE": [bar(7)]}]
    tokens = ["DVN|next", None]
    script.on("GET /v2/stocks/bars", *({"bars": b, "next_page_token": t} for b, t in zip(pages, tokens, strict=True)))
    bars = broker.bars(["DVN", "EXE", "PLD", "UPS"], days=2)
    assert {s: [b.day.day for b in found] for s, found in bars.items()} == {"DVN": [6, 7], "EXE": [7], "UPS": [5, 6]}
    assert [c.query.get("page_token") for c in server.calls] == [None, "DVN|next"]
    assert {(c.query["symbols"], c.query["limit"]) for c in server.calls} == {("DVN,EXE,PLD,UPS", "10000")}


def test_every_page_is_counted(server: Loopback, broker: AlpacaBroker, clock: SimulatedClock) -> None:
    tokens = iter([*map(str, range(150)), None])
    server.answering = lambda _: Reply(body={"bars": {"UPS": [bar(7)]}, "next_page_token": next(tokens)})
    broker.bars(["UPS"], days=1)
    assert len(server.calls) == 151
    assert (clock.now() - NOW).total_seconds() == pytest.approx(51 / 1.5)


# --- assets ---


def paths(server: Loopback) -> list[str]:
    return [c.path.removeprefix("/v2/assets").lstrip("/") for c in server.calls]


@pytest.mark.usefixtures("market")
def test_few_symbols_are_asked_about_one_by_one(server: Loopback, broker: AlpacaBroker) -> None:
    assert broker.assets(FEW).keys() == set(FEW)
    assert paths(server) == FEW


@pytest.mark.usefixtures("market")
def test_for_many_the_list_of_active_shares_is_asked_for(server: Loopback, broker: AlpacaBroker) -> None:
    assert broker.assets(MANY[:21]).keys() == set(MANY[:21])
    assert [(c.path, c.query) for c in server.calls] == [
        ("/v2/assets", {"status": "active", "asset_class": "us_equity"})
    ]
    assert broker.assets(MANY).keys() == set(MANY)
    assert len(server.calls) == 1


def test_what_is_not_in_the_list_is_asked_about_by_itself(
    market: Market, server: Loopback, broker: AlpacaBroker
) -> None:
    market.delisted = ["S007"]
    assets = broker.assets(["GONE", *MANY])
    assert assets.keys() == set(MANY)
    assert [s for s, asset in assets.items() if not asset.active] == ["S007"]
    assert paths(server) == ["", "GONE", "S007"]


@pytest.mark.parametrize("symbols", [["S001"], MANY], ids=["one", "many"])
def test_a_symbol_is_asked_about_once_in_a_quarter_of_an_hour(
    symbols: list[str], market: Market, server: Loopback, broker: AlpacaBroker, clock: SimulatedClock
) -> None:
    assert {broker.assets(symbols)["S001"].tradable for _ in range(3)} == {True}
    market.tradable = False
    clock.sleep(A_QUARTER - 1)
    assert broker.assets(["S001"])["S001"].tradable
    assert len(server.calls) == 1
    clock.sleep(1)
    assert not broker.assets(symbols)["S001"].tradable
    assert len(server.calls) == 2


@pytest.mark.usefixtures("market")
def test_only_what_is_not_remembered_counts_as_many(server: Loopback, broker: AlpacaBroker) -> None:
    broker.assets(FEW)
    broker.assets(MANY[:40])
    assert paths(server) == MANY[:40]


def test_what_was_answered_before_the_line_broke_is_not_asked_again(
    market: Market, server: Loopback, broker: AlpacaBroker
) -> None:
    server.answering = lambda call: Reply(403, "no") if call.path.endswith("S010") else market(call)
    with pytest.raises(BrokerUnavailable):
        broker.assets(FEW)
    server.answering = market
    assert broker.assets(FEW).keys() == set(FEW)
    assert paths(server) == [*FEW[:11], *FEW[10:]]


def test_a_symbol_that_was_not_found_is_asked_about_again(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/assets/UPS", NOT_FOUND, alpaca.asset())
    assert broker.assets(["UPS"]) == {}
    assert broker.assets(["UPS"])["UPS"].tradable


def test_a_symbol_that_alpaca_cannot_parse_is_no_asset(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/assets/BF-B", Reply(422, {"code": 42210000, "message": "invalid symbol: BF-B"}))
    script.on("GET /v2/assets/UPS", alpaca.asset())
    assert broker.assets(["BF-B", "UPS"]).keys() == {"UPS"}


def test_a_row_of_the_list_that_cannot_be_read_spoils_no_other(script: Any, broker: AlpacaBroker) -> None:
    rows = [
        {"status": "active"},
        None,
        {"symbol": ""},
        {"symbol": 5},
        *(alpaca.asset(symbol=symbol) for symbol in MANY[:-1]),
    ]
    script.on("GET /v2/assets", rows)
    script.on(f"GET /v2/assets/{MANY[-1]}", alpaca.asset(symbol=MANY[-1]))
    assert list(broker.assets(MANY)) == MANY


@pytest.mark.parametrize("answer", [{}, "<html>nothing</html>"], ids=["map", "page"])
def test_a_list_that_cannot_be_read_is_an_error(script: Any, broker: AlpacaBroker, answer: Any) -> None:
    script.on("GET /v2/assets", answer)
    with pytest.raises(BrokerUnavailable):
        broker.assets(MANY)
