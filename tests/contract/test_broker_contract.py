"""What every broker behind the port keeps: the simulated exchange, Alpaca's adapter over real HTTP, and a third one.

Alpaca's adapter talks to the same exchange served behind Alpaca's REST paths, and the third one (`bourse`) to a vendor
with other words and codes before it, so a difference is the adapter's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from Departments.brokers import registry
from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.credentials import Credentials
from Departments.brokers.base import Broker
from Departments.brokers.simulated import SimulatedBroker
from Departments.core.activities import ActivityKind
from Departments.core.errors import BrokerUnavailable, NotAuthorized, NotFound, Refusal, Refused
from Departments.core.orders import (
    Order,
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from Departments.core.platform.clock import SimulatedClock
from Departments.core.platform.steps import no_step
from Departments.core.settings import BrokerSettings
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import FaultScript
from Departments.exchange.market_events import MarketEvent
from Departments.exchange.state import ExchangeState, Fees
from tests.contract.alpaca_gateway import KEYS, Gateway
from tests.fakes import bourse
from tests.fakes.loopback import serving

IN_HOURS = datetime(2025, 11, 10, 15, 9, 12, 760093, tzinfo=UTC)
AT_NIGHT = datetime(2025, 11, 11, 2, 0, tzinfo=UTC)

STATE = ExchangeState.model_validate(
    {
        "cash": "12500.25",
        "positions": {
            "UPS": {"qty": 70, "avg_entry_price": "88.10", "current_price": "93.58"},
            "DVN": {"qty": "10.5", "avg_entry_price": "30", "current_price": "33.61"},
        },
        "prices": {"ALKS": "32.66", "CRDO": "164.97", "IPG": "24", "OTC": "5"},
        "assets": {"IPG": {"active": False}, "OTC": {"tradable": False}, "UPS": {"name": "United Parcel Service"}},
        "bars": {
            "SPY": [
                {"day": "2025-11-06", "open": 674, "high": 676, "low": 668.5, "close": 670.31, "volume": 85_000_000},
                {"day": "2025-11-07", "open": 668, "high": 672.25, "low": 661.2, "close": 670.97, "volume": 99_000_000},
            ]
        },
    }
)


@dataclass
class World:
    """A broker, its clock, and the exchange behind it as its operator sees it."""

    broker: Broker
    clock: SimulatedClock
    exchange: SimulatedExchange

    def wait(self, seconds: float = 5) -> None:
        self.clock.sleep(seconds)


@contextmanager
def _simulated(path: Path, clock: SimulatedClock, state: ExchangeState, faults: FaultScript) -> Iterator[Broker]:
    exchange = SimulatedExchange(path, clock, state=state, faults=faults)
    yield SimulatedBroker(exchange, clock)
    exchange.close()


@contextmanager
def _alpaca(path: Path, clock: SimulatedClock, state: ExchangeState, faults: FaultScript) -> Iterator[Broker]:
    gateway = Gateway(path, clock, state, faults)
    with serving(gateway) as server:
        broker = AlpacaBroker(Credentials(*KEYS, server.url), clock, read_timeout=5)
        yield broker
        broker.close()
    gateway.close()


@contextmanager
def _bourse(path: Path, clock: SimulatedClock, state: ExchangeState, faults: FaultScript) -> Iterator[Broker]:
    opening = registry.Opening(path.parent, path.parent, clock, BrokerSettings(), live=False, step=no_step)
    broker: Any = bourse.ROW.open(replace(opening, exchange_state=state, exchange_faults=faults))
    yield broker
    broker.close()


BROKERS = {"simulated": _simulated, "alpaca": _alpaca, "bourse": _bourse}
Opening = Callable[..., World]


@pytest.fixture(params=sorted(BROKERS))
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Open a world with a state, a start and faults of its own."""
    with ExitStack() as stack:

        def opened(
            state: ExchangeState = STATE, at: datetime = IN_HOURS, faults: list[dict[str, Any]] | None = None
        ) -> World:
            clock, path = SimulatedClock(at), tmp_path / bourse.FILE
            script = FaultScript.model_validate({"faults": faults or []})
            broker = stack.enter_context(BROKERS[request.param](path, clock, state, script))
            exchange = SimulatedExchange(path, clock)
            stack.callback(exchange.close)
            return World(broker, clock, exchange)

        yield opened


@pytest.fixture
def world(opening: Opening) -> World:
    return opening()


def _request(side: Side, symbol: str, qty: str, client_order_id: str = "c-1", **changes: Any) -> OrderRequest:
    return replace(OrderRequest(client_order_id, symbol, side, Decimal(qty)), **changes)


def _buy(symbol: str, qty: str, client_order_id: str = "c-1", **changes: Any) -> OrderRequest:
    return _request(Side.BUY, symbol, qty, client_order_id, **changes)


def _sell(symbol: str, qty: str, client_order_id: str = "c-1", **changes: Any) -> OrderRequest:
    return _request(Side.SELL, symbol, qty, client_order_id, **changes)


def _bracket(client_order_id: str = "c-1", **changes: Any) -> OrderRequest:
    exits: dict[str, Any] = {"take_profit": Decimal("37.89"), "stop_loss": Decimal("30.05")}
    terms: dict[str, Any] = {"time_in_force": TimeInForce.GTC, "order_class": OrderClass.BRACKET}
    return _buy("ALKS", "100", client_order_id, **(terms | exits | changes))


def _oco(client_order_id: str = "oco") -> OrderRequest:
    terms: dict[str, Any] = {"type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "order_class": OrderClass.OCO}
    return _sell("UPS", "70", client_order_id, take_profit=Decimal("108.55"), stop_loss=Decimal("86.09"), **terms)


def _refusal(world: World, request: OrderRequest) -> Refused:
    before = len(world.exchange.floor.all_orders())
    with pytest.raises(Refused) as error:
        world.broker.submit(request)
    assert len(world.exchange.floor.all_orders()) == before
    return error.value


# --- what there is ---


def test_the_account_is_exact_to_the_cent(world: World) -> None:
    account = world.broker.account()
    assert (account.cash, account.multiplier, account.may_trade) == (Decimal("12500.25"), Decimal(2), True)
    assert account.equity == Decimal("12500.25") + 70 * Decimal("93.58") + Decimal("10.5") * Decimal("33.61")
    assert replace(account, unsettled_cash=None) == replace(world.exchange.account(), unsettled_cash=None)


def test_positions_have_fractions_and_prices(world: World) -> None:
    positions = {p.symbol: p for p in world.broker.positions()}
    assert sorted(positions) == ["DVN", "UPS"]
    assert (positions["DVN"].qty, positions["UPS"].available) == (Decimal("10.5"), Decimal(70))
    assert positions["UPS"].current_price == Decimal("93.58")


def test_one_position_equals_its_row_among_all_and_is_none_without_shares(world: World) -> None:
    assert (
        world.broker.submit(_sell("UPS", "20", type=OrderType.LIMIT, limit_price=Decimal(120))).status
        is not OrderStatus.REJECTED
    )
    assert [world.broker.position(p.symbol) for p in world.broker.positions()] == list(world.broker.positions())
    held = world.broker.position("UPS")
    assert held is not None
    assert (held.qty, held.available) == (Decimal(70), Decimal(50))
    assert (world.broker.position("ALKS"), world.broker.position("NOBODY")) == (None, None)


def test_an_asset_is_active_and_tradable_or_not(world: World) -> None:
    facts = world.broker.assets(["UPS", "IPG", "OTC"])
    assert {s: (a.active, a.tradable) for s, a in facts.items()} == {
        "UPS": (True, True),
        "IPG": (False, True),
        "OTC": (True, False),
    }
    assert facts["UPS"].name == "United Parcel Service"


@pytest.mark.parametrize("more", [0, 300], ids=["few", "many"])
def test_an_asset_that_is_unknown_is_absent_and_one_that_is_inactive_is_not(opening: Opening, more: int) -> None:
    many = {f"S{n}": {"name": f"Share {n}"} for n in range(more)}
    world = opening(ExchangeState.model_validate(STATE.model_dump() | {"assets": {"IPG": {"active": False}} | many}))
    assets = world.broker.assets(["COMM", "IPG", "BF-B", "UPS", "UPS", *many])
    assert assets.keys() == {"IPG", "UPS", *many}
    assert [s for s, asset in assets.items() if not asset.active] == ["IPG"]
    assert all(assets[s].name == row["name"] for s, row in many.items())


def test_quotes_are_there_for_known_symbols_only(world: World) -> None:
    quotes = world.broker.quotes(["UPS", "ALKS", "BF-B", "COMM"])
    assert sorted(quotes) == ["ALKS", "UPS"]
    assert (quotes["UPS"].price, quotes["UPS"].at) == (Decimal("93.58"), IN_HOURS)


def test_bars_are_the_finished_days_oldest_first(world: World) -> None:
    bars = world.broker.bars(["SPY"], days=5)["SPY"]
    assert [bar.day for bar in bars] == [date(2025, 11, 6), date(2025, 11, 7)]
    assert (bars[-1].close, bars[-1].volume) == (Decimal("670.97"), Decimal(99_000_000))
    assert [bar.day for bar in world.broker.bars(["SPY"], days=1)["SPY"]] == [date(2025, 11, 7)]


def test_bars_of_many_symbols_are_each_their_own(opening: Opening) -> None:
    volumes = {f"S{n}": Decimal(1000 + n) for n in range(450)}
    state = STATE.model_dump() | {"volumes": volumes, "prices": dict.fromkeys(volumes, 5)}
    bars = opening(ExchangeState.model_validate(state)).broker.bars(["SPY", "BF-B", *volumes, "COMM"], days=20)
    assert bars.keys() == {"SPY", *volumes}
    assert {s: (len(bars[s]), {bar.symbol for bar in bars[s]}, bars[s][-1].volume) for s in volumes} == {
        s: (20, {s}, volume) for s, volume in volumes.items()
    }


@pytest.mark.parametrize(("symbols", "days"), [(["COMM", "UPS"], 5), (["BF-B"], 5), (["SPY"], 0), ([], 5)])
def test_where_there_are_no_bars_there_are_none(world: World, symbols: list[str], days: int) -> None:
    assert world.broker.bars(symbols, days=days) == {}


@pytest.mark.parametrize(("at", "is_open"), [(IN_HOURS, True), (AT_NIGHT, False)])
def test_the_market_clock_knows_the_session(opening: Opening, at: datetime, *, is_open: bool) -> None:
    clock = opening(at=at).broker.market_clock()
    assert (clock.now, clock.is_open) == (at, is_open)
    assert clock.next_close == datetime(2025, 11, 11 if at == AT_NIGHT else 10, 21, tzinfo=UTC)
    assert clock.next_open == datetime(2025, 11, 11, 14, 30, tzinfo=UTC)


def test_fees_count_from_a_moment_on(opening: Opening) -> None:
    world = opening(STATE.model_copy(update={"fees": Fees(per_order=Decimal(1), sell_rate=Decimal("0.0001"))}))
    assert world.broker.fees(IN_HOURS) == 0
    before = world.broker.account().cash
    world.broker.submit(_sell("UPS", "70"))
    world.wait()
    second = world.clock.now()
    world.broker.submit(_buy("ALKS", "10", "c-2"))
    world.wait()
    cash = before + 70 * Decimal("93.58") - 10 * Decimal("32.66")
    assert world.broker.fees(IN_HOURS) == cash - world.broker.account().cash == Decimal("2.66")
    assert [world.broker.fees(at) for at in (second, world.clock.now())] == [1, 0]


def test_fees_are_zero_without_any(world: World) -> None:
    world.broker.submit(_sell("UPS", "70"))
    world.wait()
    assert world.broker.fees(IN_HOURS) == 0


def test_an_account_keeps_its_name_and_another_has_another(opening: Opening, tmp_path: Path) -> None:
    world = opening()
    assert world.broker.account().id == world.exchange.account().id != ""
    with closing(SimulatedExchange(tmp_path / "other.db", world.clock, state=STATE)) as other:
        assert other.account().id != world.broker.account().id


# --- an order's life ---


def test_a_market_order_is_taken_then_filled_and_paid(world: World) -> None:
    order = world.broker.submit(_sell("UPS", "70"))
    assert (order.status, order.filled_qty, order.submitted_at) == (OrderStatus.PENDING_NEW, Decimal(0), IN_HOURS)
    world.wait()
    filled = world.broker.order(order.id)
    assert (filled.status, filled.filled_qty, filled.filled_avg_price) == (
        OrderStatus.FILLED,
        Decimal(70),
        Decimal("93.58"),
    )
    assert world.broker.account().cash == Decimal("12500.25") + 70 * Decimal("93.58")
    assert [p.symbol for p in world.broker.positions()] == ["DVN"]


def test_out_of_hours_an_order_is_accepted_and_waits_for_the_open(opening: Opening) -> None:
    world = opening(at=AT_NIGHT)
    order = world.broker.submit(_buy("ALKS", "10"))
    world.wait(3600)
    assert (order.status, world.broker.order(order.id).status) == (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED)
    world.wait(12 * 3600)
    assert world.broker.order(order.id).status is OrderStatus.FILLED


def test_an_order_is_the_same_by_either_id_and_as_the_exchange_has_it(world: World) -> None:
    submitted = world.broker.submit(_buy("ALKS", "10"))
    assert submitted == world.broker.order(submitted.id) == world.broker.order_by_client_id("c-1")
    world.wait()
    assert world.broker.order(submitted.id) == world.exchange.order(submitted.id)


@pytest.mark.parametrize("order_id", ["00000000-0000-4000-8000-000000000000", "not-an-id"])
def test_an_unknown_order_is_not_found(world: World, order_id: str) -> None:
    for ask in (world.broker.order, world.broker.order_by_client_id, world.broker.cancel):
        with pytest.raises(NotFound):
            ask(order_id)


def test_a_fractional_quantity_is_exact(world: World) -> None:
    order = world.broker.submit(_sell("DVN", "10.123456789"))
    world.wait()
    assert world.broker.order(order.id).filled_qty == Decimal("10.123456789")
    assert world.broker.positions()[0].qty == Decimal("0.376543211")


@pytest.mark.parametrize(
    ("kind", "prices"),
    [
        (OrderType.LIMIT, {"limit_price": Decimal("100.01")}),
        (OrderType.STOP, {"stop_price": Decimal("86.09")}),
        (OrderType.STOP_LIMIT, {"stop_price": Decimal("86.09"), "limit_price": Decimal("86.01")}),
    ],
)
def test_a_resting_order_keeps_its_type_and_prices(world: World, kind: OrderType, prices: dict[str, Any]) -> None:
    order = world.broker.submit(_sell("UPS", "5", type=kind, time_in_force=TimeInForce.GTC, **prices))
    world.wait()
    found = world.broker.order(order.id)
    assert (found.type, found.time_in_force, found.status) == (kind, TimeInForce.GTC, OrderStatus.NEW)
    assert {name: getattr(found, name) for name in prices} == prices


def test_an_order_that_fills_in_part_tells_how_much(opening: Opening) -> None:
    world = opening(faults=[{"call": "submit", "do": "partial_then_silence", "part": "0.4"}])
    order = world.broker.submit(_buy("ALKS", "100"))
    world.wait()
    assert world.broker.order(order.id).filled_qty == Decimal(40)
    world.broker.cancel(order.id)
    world.wait()
    ended = world.broker.order(order.id)
    assert (ended.status, ended.filled_qty, ended.remaining_qty) == (OrderStatus.CANCELED, Decimal(40), Decimal(60))


def test_an_order_may_be_accepted_and_rejected_later(opening: Opening) -> None:
    world = opening(faults=[{"call": "submit", "do": "reject"}])
    order = world.broker.submit(_buy("ALKS", "10"))
    world.wait()
    assert world.broker.order(order.id).status is OrderStatus.REJECTED


# --- cancelling ---


def test_a_cancel_is_a_request_that_is_confirmed_later(world: World) -> None:
    order = world.broker.submit(_sell("UPS", "5", type=OrderType.LIMIT, limit_price=Decimal(120)))
    world.broker.cancel(order.id)
    assert world.broker.order(order.id).status is OrderStatus.PENDING_CANCEL
    world.broker.cancel(order.id)
    world.wait()
    assert world.broker.order(order.id).status is OrderStatus.CANCELED


def test_a_cancel_may_lose_to_a_fill(opening: Opening) -> None:
    world = opening(faults=[{"call": "cancel", "do": "fill_on_cancel"}])
    order = world.broker.submit(_sell("UPS", "5"))
    world.broker.cancel(order.id)
    world.wait()
    assert world.broker.order(order.id).status is OrderStatus.FILLED


def test_a_cancel_that_comes_too_late_is_refused(world: World) -> None:
    order = world.broker.submit(_sell("UPS", "5"))
    world.wait()
    with pytest.raises(Refused) as error:
        world.broker.cancel(order.id)
    assert error.value.reason is Refusal.CANCEL_TOO_LATE


# --- exits ---


def test_a_bracket_comes_with_held_exits_that_live_when_the_entry_is_filled(world: World) -> None:
    entry = world.broker.submit(_bracket())
    assert [(leg.type, leg.status) for leg in entry.legs] == [
        (OrderType.LIMIT, OrderStatus.HELD),
        (OrderType.STOP, OrderStatus.HELD),
    ]
    assert (entry.legs[0].limit_price, entry.legs[1].stop_price) == (Decimal("37.89"), Decimal("30.05"))
    world.wait()
    target, stop = world.broker.order_by_client_id("c-1").legs
    assert (target.status, stop.status) == (OrderStatus.NEW, OrderStatus.HELD)
    assert {target.time_in_force, stop.time_in_force} == {TimeInForce.GTC}


def test_a_held_leg_is_not_listed_as_open(world: World) -> None:
    entry = world.broker.submit(_bracket())
    world.wait()
    open_ids = {o.id for o in world.broker.orders("open")}
    assert open_ids == {entry.legs[0].id}


def test_a_leg_can_be_asked_for_and_cancelled_by_its_own_id(world: World) -> None:
    target, stop = world.broker.submit(_bracket()).legs
    world.wait()
    world.broker.cancel(target.id)
    world.wait()
    assert {world.broker.order(leg.id).status for leg in (target, stop)} == {OrderStatus.CANCELED}


def test_a_stop_that_is_reached_sells_and_ends_the_target(world: World) -> None:
    target, stop = world.broker.submit(_bracket()).legs
    world.wait()
    world.exchange.floor.set_price("ALKS", Decimal(29))
    world.wait()
    assert world.broker.order(stop.id).status is OrderStatus.FILLED
    assert world.broker.order(target.id).status is OrderStatus.CANCELED
    assert "ALKS" not in {p.symbol for p in world.broker.positions()}


def test_an_oco_protects_shares_that_are_held(world: World) -> None:
    order = world.broker.submit(_oco())
    world.wait()
    found = world.broker.order(order.id)
    assert (found.order_class, found.limit_price, found.status) == (
        OrderClass.OCO,
        Decimal("108.55"),
        OrderStatus.NEW,
    )
    assert [leg.stop_price for leg in found.legs] == [Decimal("86.09")]
    assert {p.symbol: p.available for p in world.broker.positions()}["UPS"] == 0


def test_nested_orders_are_as_the_exchange_has_them(world: World) -> None:
    for request in (_bracket("bracket"), _oco(), _sell("DVN", "1", "simple")):
        world.broker.submit(request)
    world.wait()
    assert list(world.broker.orders("all")) == list(world.exchange.orders("all"))


# --- lists ---


def _three(world: World) -> list[Order]:
    """Return a filled, an open and another open order, a second apart."""
    requests = [
        _sell("UPS", "5", "first"),
        _sell("UPS", "5", "second", type=OrderType.LIMIT, limit_price=Decimal(120)),
        _buy("ALKS", "5", "third", type=OrderType.LIMIT, limit_price=Decimal(20)),
    ]
    orders = []
    for request in requests:
        orders.append(world.broker.submit(request))
        world.wait(5)
    return orders


def _ids(orders: Any) -> list[str]:
    return [o.client_order_id for o in orders]


def test_lists_are_by_scope_and_oldest_first(world: World) -> None:
    _three(world)
    assert _ids(world.broker.orders()) == ["second", "third"]
    assert _ids(world.broker.orders("closed")) == ["first"]
    assert _ids(world.broker.orders("all")) == ["first", "second", "third"]


def test_lists_can_be_narrowed_to_symbols_and_to_what_came_after(world: World) -> None:
    orders = _three(world)
    assert _ids(world.broker.orders("all", symbols=["UPS"])) == ["first", "second"]
    assert _ids(world.broker.orders("all", after=orders[0].submitted_at)) == ["second", "third"]
    assert _ids(world.broker.orders("open", symbols=["UPS", "ALKS"], after=orders[1].submitted_at)) == ["third"]
    assert _ids(world.broker.orders("all", after=IN_HOURS + timedelta(days=1))) == []


def test_lists_can_be_narrowed_to_one_side_which_legs_follow(world: World) -> None:
    _three(world)
    world.broker.submit(_bracket("entry", type=OrderType.LIMIT, limit_price=Decimal(31)))
    world.wait(5)
    assert _ids(world.broker.orders("all", side=Side.SELL)) == ["first", "second"]
    assert _ids(world.broker.orders(side=Side.SELL)) == ["second"]
    bought = world.broker.orders(side=Side.BUY)
    assert (_ids(bought), [len(o.legs) for o in bought]) == (["third", "entry"], [0, 2])


# --- refusals ---


@pytest.mark.parametrize("ending", ["open", "filled", "canceled"])
def test_a_client_order_id_is_used_once_for_ever(world: World, ending: str) -> None:
    limit: dict[str, Any] = {} if ending == "filled" else {"type": OrderType.LIMIT, "limit_price": Decimal(120)}
    order = world.broker.submit(_sell("UPS", "5", **limit))
    if ending == "canceled":
        world.broker.cancel(order.id)
    world.wait()
    assert _refusal(world, _sell("DVN", "1")).reason is Refusal.DUPLICATE_ID


def test_a_buy_beyond_the_buying_power_is_refused_with_its_numbers(world: World) -> None:
    refused = _refusal(world, _buy("CRDO", "10000"))
    assert refused.reason is Refusal.BUYING_POWER
    assert Decimal(refused.numbers["cost_basis"]) == 10000 * Decimal("164.97")
    assert Decimal(refused.numbers["buying_power"]) == world.broker.account().buying_power


def test_shares_that_another_order_holds_cannot_be_sold(world: World) -> None:
    resting = world.broker.submit(_sell("UPS", "60", type=OrderType.LIMIT, limit_price=Decimal(120)))
    refused = _refusal(world, _sell("UPS", "70", "c-2"))
    assert refused.reason is Refusal.SHARES_HELD
    assert refused.numbers == {
        "requested": "70",
        "symbol": "UPS",
        "available": "10",
        "existing_qty": "70",
        "held_for_orders": "60",
        "related_orders": resting.id,
    }


def test_an_order_opposite_to_an_open_one_is_refused(world: World) -> None:
    resting = world.broker.submit(_sell("UPS", "5", type=OrderType.LIMIT, limit_price=Decimal(120)))
    refused = _refusal(world, _buy("UPS", "5", "c-2"))
    assert (refused.reason, refused.numbers) == (Refusal.WASH_TRADE, {"existing_order_id": resting.id})


@pytest.mark.parametrize(
    ("order", "symbol"),
    [
        (_buy("COMM", "10"), "COMM"),
        (_buy("IPG", "10"), "IPG"),
        (_buy("OTC", "10"), "OTC"),
        (_sell("ALKS", "10"), "ALKS"),
    ],
    ids=["unknown", "inactive", "untradable", "short"],
)
def test_what_cannot_be_traded_is_refused_by_name(world: World, order: OrderRequest, symbol: str) -> None:
    refused = _refusal(world, order)
    assert (refused.reason, refused.numbers) == (Refusal.ASSET, {"symbol": symbol})


@pytest.mark.parametrize(
    "order",
    [
        _buy("ALKS", "10", type=OrderType.LIMIT, limit_price=Decimal("32.661")),
        _buy("ALKS", "10", type=OrderType.LIMIT),
        _buy("ALKS", "10", limit_price=Decimal(32)),
        replace(_bracket(), qty=Decimal("10.5")),
        _bracket(take_profit=Decimal("32.66")),
        _bracket(stop_loss=Decimal("32.66")),
        _bracket(stop_loss=None),
        _bracket(take_profit=None),
    ],
    ids=["sub-penny", "no limit", "stray limit", "fraction", "low target", "high stop", "no stop", "no target"],
)
def test_an_order_with_senseless_terms_is_refused(world: World, order: OrderRequest) -> None:
    refused = _refusal(world, order)
    assert (refused.reason, refused.numbers) == (Refusal.INVALID_ORDER, {"said": "_".join(str(refused).split())})


@pytest.mark.parametrize("gate", [{"status": "ACCOUNT_UPDATED"}, {"trading_blocked": True}, {"trade_suspended": True}])
def test_a_closed_account_shows_its_gate_and_takes_no_order(opening: Opening, gate: dict[str, Any]) -> None:
    world = opening(STATE.model_copy(update={"account": STATE.account.model_copy(update=gate)}))
    assert not world.broker.account().may_trade
    assert _refusal(world, _buy("ALKS", "10")).reason is Refusal.OTHER


# --- when the broker does not say what happened ---


@pytest.mark.parametrize("deed", ["timeout_after", "gateway_timeout", "malformed"])
def test_an_order_whose_answer_was_lost_is_there_once_and_found_by_our_id(opening: Opening, deed: str) -> None:
    world = opening(faults=[{"call": "submit", "do": deed}])
    with pytest.raises(BrokerUnavailable):
        world.broker.submit(_buy("ALKS", "10"))
    assert world.broker.order_by_client_id("c-1").qty == Decimal(10)
    assert len(world.exchange.floor.all_orders()) == 1


@pytest.mark.parametrize("deed", ["timeout_before", "rate_limit", "server_error"])
def test_an_order_that_never_arrived_is_not_found_and_may_be_sent_with_the_same_id(opening: Opening, deed: str) -> None:
    world = opening(faults=[{"call": "submit", "do": deed}])
    with pytest.raises(BrokerUnavailable):
        world.broker.submit(_buy("ALKS", "10"))
    with pytest.raises(NotFound):
        world.broker.order_by_client_id("c-1")
    assert world.broker.submit(_buy("ALKS", "10")).client_order_id == "c-1"
    assert len(world.exchange.floor.all_orders()) == 1


def test_an_order_can_be_there_and_not_be_found_for_a_while(opening: Opening) -> None:
    world = opening(
        faults=[{"call": "submit", "do": "timeout_after"}, {"call": "submit", "do": "invisible", "seconds": 5}]
    )
    with pytest.raises(BrokerUnavailable):
        world.broker.submit(_buy("ALKS", "10"))
    with pytest.raises(NotFound):
        world.broker.order_by_client_id("c-1")
    assert list(world.broker.orders("all")) == []
    world.wait(6)
    assert world.broker.order_by_client_id("c-1").symbol == "ALKS"


QUESTIONS: dict[str, Callable[[Broker], object]] = {
    "account": lambda broker: broker.account(),
    "positions": lambda broker: broker.positions(),
    "position": lambda broker: broker.position("UPS"),
    "orders": lambda broker: broker.orders(),
    "fees": lambda broker: broker.fees(IN_HOURS),
    "activities": lambda broker: broker.activities(IN_HOURS),
    "announcements": lambda broker: broker.announcements(["UPS"], IN_HOURS.date()),
    "clock": lambda broker: broker.market_clock(),
    "assets": lambda broker: broker.assets(["UPS"]),
    "many assets": lambda broker: broker.assets(f"S{n}" for n in range(50)),
    "quotes": lambda broker: broker.quotes(["UPS"]),
    "bars": lambda broker: broker.bars(["SPY"], days=5),
    "order": lambda broker: broker.order("00000000-0000-4000-8000-000000000000"),
    "order by our id": lambda broker: broker.order_by_client_id("c-1"),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("deed", ["timeout_before", "rate_limit", "server_error"])
def test_a_broker_in_trouble_is_unavailable_and_never_empty(opening: Opening, deed: str, question: str) -> None:
    world = opening(faults=[{"call": "any", "do": deed, "times": 0}])
    with pytest.raises(BrokerUnavailable):
        QUESTIONS[question](world.broker)


@pytest.mark.parametrize("question", sorted(QUESTIONS.keys() - {"order", "order by our id"}))
@pytest.mark.parametrize("deed", ["timeout_after", "gateway_timeout", "malformed"])
def test_an_answer_that_is_lost_or_garbled_is_no_answer(opening: Opening, deed: str, question: str) -> None:
    world = opening(faults=[{"call": "any", "do": deed, "times": 0}])
    with pytest.raises(BrokerUnavailable):
        QUESTIONS[question](world.broker)


def test_refused_credentials_raise_not_authorized(opening: Opening) -> None:
    world = opening(faults=[{"call": "any", "do": "unauthorized", "times": 0}])
    for ask in (world.broker.account, world.broker.positions, lambda: world.broker.submit(_buy("ALKS", "1"))):
        with pytest.raises(NotAuthorized):
            ask()


# --- new terms for a live order ---


def _change(client_order_id: str = "c-2", **terms: Any) -> OrderChange:
    return OrderChange(client_order_id, **{name: Decimal(str(value)) for name, value in terms.items()})


def _resting(world: World, qty: str = "20", **changes: Any) -> Order:
    terms: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": Decimal(120), "time_in_force": TimeInForce.GTC}
    order = world.broker.submit(_sell("UPS", qty, **(terms | changes)))
    world.wait()
    return order


def test_a_replaced_order_goes_on_under_a_new_id_at_a_new_price(world: World) -> None:
    old = _resting(world)
    new = world.broker.replace(old.id, _change(limit_price="118.50"))
    assert (new.client_order_id, new.replaces, new.limit_price) == ("c-2", old.id, Decimal("118.5"))
    assert world.broker.order(old.id).status is OrderStatus.PENDING_REPLACE
    world.wait()
    ended, live = world.broker.order(old.id), world.broker.order_by_client_id("c-2")
    assert (ended.status, ended.replaced_by) == (OrderStatus.REPLACED, new.id)
    assert (live.status, live.qty, live.replaces) == (OrderStatus.NEW, Decimal(20), old.id)
    assert _ids(world.broker.orders()) == ["c-2"]


def test_a_replacement_takes_a_new_quantity_and_holds_its_shares_once(world: World) -> None:
    old = _resting(world)
    world.broker.replace(old.id, _change(qty=30))
    world.wait()
    held = world.broker.position("UPS")
    assert held is not None
    assert (world.broker.order_by_client_id("c-2").qty, held.available) == (Decimal(30), Decimal(40))


@pytest.mark.parametrize("leg", [0, 1], ids=["target", "stop"])
def test_a_live_leg_takes_a_new_price_without_an_unprotected_moment(world: World, leg: int) -> None:
    entry = world.broker.submit(_bracket())
    world.wait()
    name, price = (("limit_price", "39.01"), ("stop_price", "31.02"))[leg]
    old = world.broker.order(entry.id).legs[leg]
    new = world.broker.replace(old.id, _change(**{name: price}))
    for _ in range(20):
        legs = world.broker.order(entry.id).legs
        live = [o for o in legs if o.type is old.type and not o.status.is_terminal]
        assert live
        world.wait(0.1)
    (left,) = (o for o in world.broker.order(entry.id).legs if o.type is old.type and not o.status.is_terminal)
    assert (left.id, getattr(left, name), left.qty) == (new.id, Decimal(price), Decimal(100))
    assert left.status is (OrderStatus.NEW, OrderStatus.HELD)[leg]


def test_a_replaced_stop_sells_at_its_new_price_and_ends_its_target(world: World) -> None:
    target, stop = world.broker.submit(_bracket()).legs
    world.wait()
    new = world.broker.replace(stop.id, _change(stop_price="31.02"))
    world.exchange.floor.set_price("ALKS", Decimal(31))
    world.wait()
    assert world.broker.order(new.id).status is OrderStatus.FILLED
    assert world.broker.order(target.id).status is OrderStatus.CANCELED
    assert world.broker.position("ALKS") is None


def test_a_leg_takes_no_new_quantity(world: World) -> None:
    entry = world.broker.submit(_bracket())
    world.wait()
    with pytest.raises(Refused) as refused:
        world.broker.replace(entry.legs[1].id, _change(qty=50))
    assert refused.value.reason is Refusal.INVALID_ORDER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_change(limit_price="118.503"), Refusal.INVALID_ORDER),
        (_change(stop_price="80"), Refusal.INVALID_ORDER),
        (_change(), Refusal.INVALID_ORDER),
        (_change(qty="1.5"), Refusal.INVALID_ORDER),
        (_change("c-1", limit_price=118), Refusal.DUPLICATE_ID),
    ],
    ids=["sub-penny", "stray stop", "nothing new", "part of a share", "used id"],
)
def test_senseless_new_terms_are_refused_and_the_order_stays(
    world: World, change: OrderChange, reason: Refusal
) -> None:
    old = _resting(world)
    with pytest.raises(Refused) as refused:
        world.broker.replace(old.id, change)
    assert refused.value.reason is reason
    assert world.broker.order(old.id).status is OrderStatus.NEW
    assert len(world.exchange.floor.all_orders()) == 1


def test_an_order_that_has_ended_takes_no_new_terms_and_an_unknown_one_is_not_found(world: World) -> None:
    order = world.broker.submit(_sell("UPS", "5"))
    world.wait()
    with pytest.raises(Refused):
        world.broker.replace(order.id, _change(limit_price=100))
    with pytest.raises(NotFound):
        world.broker.replace("00000000-0000-4000-8000-000000000000", _change(limit_price=100))


def test_an_order_that_fills_first_rejects_its_replacement(world: World) -> None:
    old = _resting(world)
    new = world.broker.replace(old.id, _change(limit_price=125))
    world.exchange.floor.set_price("UPS", Decimal(121))
    filled, rejected = world.broker.order(old.id), world.broker.order(new.id)
    assert (filled.status, filled.filled_qty, filled.replaced_by) == (OrderStatus.FILLED, Decimal(20), None)
    assert (rejected.status, rejected.filled_qty) == (OrderStatus.REJECTED, Decimal(0))


def test_what_filled_before_a_replacement_stays_on_the_old_row(opening: Opening) -> None:
    world = opening(faults=[{"call": "submit", "do": "partial_then_silence", "part": "0.4"}])
    old = world.broker.submit(_buy("ALKS", "100", type=OrderType.LIMIT, limit_price=Decimal(33)))
    world.wait()
    new = world.broker.replace(old.id, _change(limit_price="33.50"))
    world.wait()
    ended, live = world.broker.order(old.id), world.broker.order(new.id)
    assert (ended.status, ended.filled_qty) == (OrderStatus.REPLACED, Decimal(40))
    assert (live.status, live.filled_qty) == (OrderStatus.FILLED, Decimal(60))
    held = world.broker.position("ALKS")
    assert held is not None
    assert held.qty == 100


def test_a_replacement_that_the_market_rejects_leaves_the_old_order_live(opening: Opening) -> None:
    world = opening(faults=[{"call": "replace", "do": "reject"}])
    old = _resting(world)
    new = world.broker.replace(old.id, _change(limit_price=118))
    world.wait()
    assert world.broker.order(new.id).status is OrderStatus.REJECTED
    assert (world.broker.order(old.id).status, world.broker.order(old.id).replaced_by) == (OrderStatus.NEW, None)


@pytest.mark.parametrize("deed", ["timeout_after", "gateway_timeout", "rate_limit", "malformed"])
def test_a_replacement_without_an_answer_is_sent_once_and_settled_by_its_ids(opening: Opening, deed: str) -> None:
    world = opening(faults=[{"call": "replace", "do": deed}])
    old = _resting(world)
    with pytest.raises(BrokerUnavailable):
        world.broker.replace(old.id, _change(limit_price=118))
    world.wait()
    if deed == "rate_limit":
        assert world.broker.order(old.id).replaced_by is None
        with pytest.raises(NotFound):
            world.broker.order_by_client_id("c-2")
        return
    new = world.broker.order_by_client_id("c-2")
    assert (new.replaces, world.broker.order(old.id).replaced_by) == (old.id, new.id)
    assert len(world.exchange.floor.all_orders()) == 2


def test_a_trailing_stop_follows_the_price_up_and_never_down(world: World) -> None:
    terms: dict[str, Any] = {"type": OrderType.TRAILING_STOP, "time_in_force": TimeInForce.GTC}
    order = world.broker.submit(_sell("UPS", "70", trail_percent=Decimal(5), **terms))
    stops = []
    for price in ("100", "99", "110", "106"):
        world.exchange.floor.set_price("UPS", Decimal(price))
        world.wait()
        stops.append(world.broker.order(order.id).stop_price)
    assert stops == [Decimal(95), Decimal(95), Decimal("104.5"), Decimal("104.5")]
    assert world.broker.order(order.id).trail_percent == 5
    world.exchange.floor.set_price("UPS", Decimal(104))
    world.wait()
    sold = world.broker.order(order.id)
    assert (sold.status, sold.type, sold.filled_avg_price) == (
        OrderStatus.FILLED,
        OrderType.TRAILING_STOP,
        Decimal(104),
    )


def test_an_open_order_says_when_it_expires(world: World) -> None:
    order = _resting(world)
    assert order.expires_at == datetime(2026, 2, 8, 21, 15, tzinfo=UTC)
    world.clock.sleep((order.expires_at - world.clock.now()).total_seconds() - 1)
    assert world.broker.order(order.id).status is OrderStatus.NEW
    world.wait(2)
    assert world.broker.order(order.id).status is OrderStatus.EXPIRED


# --- what was booked on the account ---


def _occur(world: World, do: str, **terms: Any) -> str:
    return world.exchange.floor.occur(MarketEvent.model_validate({"do": do, **terms}))


def test_activities_add_up_to_the_cash_and_name_each_change(opening: Opening) -> None:
    world = opening(STATE.model_copy(update={"fees": Fees(per_order=Decimal(1))}))
    start = world.broker.account().cash
    world.broker.submit(_sell("UPS", "20"))
    world.wait()
    _occur(world, "deposit", amount=20_000)
    _occur(world, "withdraw", amount="500.25")
    _occur(world, "dividend", of="UPS", amount="1.64")
    _occur(world, "interest", amount="-3.20")
    _occur(world, "fee", amount="0.46")
    world.exchange.floor.trade_outside("UPS", Decimal(-10))
    found = world.broker.activities(IN_HOURS)
    assert sorted((str(a.kind), a.cash) for a in found) == sorted(
        [
            ("fill", Decimal("1871.6")),
            ("fee", Decimal(-1)),
            ("deposit", Decimal(20_000)),
            ("withdrawal", Decimal("-500.25")),
            ("dividend", Decimal(82)),
            ("interest", Decimal("-3.2")),
            ("fee", Decimal("-0.46")),
            ("fill", Decimal("935.8")),
        ]
    )
    assert world.broker.account().cash == start + sum((a.cash or Decimal(0) for a in found), Decimal(0))
    (dividend,) = (a for a in found if a.kind is ActivityKind.DIVIDEND)
    assert (dividend.symbol, dividend.qty, dividend.price) == ("UPS", Decimal(50), Decimal("1.64"))
    assert list(found) == list(world.exchange.activities(IN_HOURS))


def test_activities_are_those_since_a_moment_oldest_first(world: World) -> None:
    moments = []
    for amount in (1, 2, 3):
        _occur(world, "deposit", amount=amount)
        moments.append(world.clock.now())
        world.wait()
    assert [a.cash for a in world.broker.activities(moments[1])] == [2, 3]
    assert [a.at for a in world.broker.activities(moments[0])] == moments
    assert list(world.broker.activities(world.clock.now())) == []


def test_activities_are_read_page_by_page(world: World) -> None:
    for _ in range(205):
        _occur(world, "deposit", amount=1)
        world.wait(1)
    assert [a.cash for a in world.broker.activities(IN_HOURS)] == [1] * 205


def test_a_split_multiplies_shares_and_says_its_ratio(world: World) -> None:
    _occur(world, "split", of="UPS", ratio=10)
    (split,) = world.broker.activities(IN_HOURS)
    assert (split.kind, split.symbol, split.qty, split.ratio) == (ActivityKind.SPLIT, "UPS", Decimal(630), Decimal(10))
    held = world.broker.position("UPS")
    assert held is not None
    assert (held.qty, held.avg_entry_price, held.current_price) == (Decimal(700), Decimal("8.81"), Decimal("9.36"))


def test_a_renamed_symbol_keeps_its_asset_and_its_shares(world: World) -> None:
    before = world.broker.position("UPS")
    _occur(world, "rename", of="UPS", to="XYZ")
    (renamed,) = world.broker.activities(IN_HOURS)
    assert (renamed.kind, renamed.symbol, renamed.new_symbol) == (ActivityKind.RENAME, "UPS", "XYZ")
    assert world.broker.position("UPS") is None
    after = world.broker.position("XYZ")
    assert before is not None
    assert after == replace(before, symbol="XYZ")
    assets = world.broker.assets(["UPS", "XYZ"])
    assert (assets["XYZ"].id, assets["XYZ"].tradable) == (before.asset_id, True)
    assert not assets["UPS"].active
    assert assets["UPS"].id != before.asset_id
    assert _refusal(world, _buy("UPS", "1")).reason is Refusal.ASSET


def test_splits_and_new_symbols_are_announced_for_the_symbols_asked_about(world: World) -> None:
    day = IN_HOURS.date()
    assert list(world.broker.announcements(["UPS", "ALKS"], day)) == []
    _occur(world, "split", of="UPS", ratio="0.1")
    (split,) = world.broker.announcements(["UPS", "ALKS"], day)
    terms = (split.kind, split.symbol, split.ratio, split.qty, split.cash, split.day)
    assert terms == (ActivityKind.SPLIT, "UPS", Decimal("0.1"), None, Decimal(0), day)
    _occur(world, "rename", of="ALKS", to="META")
    for asked in ("ALKS", "META"):
        (renamed,) = world.broker.announcements([asked], day)
        assert (renamed.kind, renamed.symbol, renamed.new_symbol) == (ActivityKind.RENAME, "ALKS", "META")
    assert split in world.broker.announcements(["UPS"], day)  # under the same id again
    assert list(world.broker.announcements(["UPS", "ALKS"], day + timedelta(days=1))) == []
