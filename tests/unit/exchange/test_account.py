from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import pytest

from Departments.core.orders import OrderClass, Side, TimeInForce
from Departments.exchange.records import ExchangeRefusal

TUESDAY_NOON_SECONDS = 86_400
SALE = 70 * Decimal("93.58")


class Opener(Protocol):
    def __call__(self, **state: Any) -> Any: ...


def test_equity_is_cash_and_what_the_shares_are_worth(opened: Opener) -> None:
    account = opened().exchange.account()
    assert account.equity == 5000 + SALE
    assert account.last_equity == account.equity


@pytest.mark.parametrize(("multiplier", "expected"), [(1, 5000), (2, 10_000 + SALE), (4, 20_000 + 3 * SALE)])
def test_buying_power_is_the_multiple_of_equity_less_what_is_invested(
    opened: Opener, multiplier: int, expected: Decimal
) -> None:
    assert opened(account={"multiplier": multiplier}).exchange.account().buying_power == expected


def test_an_open_buy_reduces_buying_power_but_not_cash(opened: Opener) -> None:
    stand = opened(account={"type": "cash"})
    stand.buy(limit="17", qty=100)
    account = stand.exchange.account()
    assert (account.cash, account.buying_power) == (5000, 3300)


def test_a_cancelled_buy_gives_its_buying_power_back(opened: Opener) -> None:
    stand = opened(account={"type": "cash"})
    order = stand.buy(limit="17", qty=100)
    stand.exchange.cancel(order.id)
    stand.wait()
    assert stand.exchange.account().buying_power == 5000


def test_a_margin_account_may_spend_proceeds_at_once(opened: Opener) -> None:
    stand = opened(cash=0)
    stand.sell()
    stand.wait()
    account = stand.exchange.account()
    assert (account.cash, account.unsettled_cash) == (SALE, 0)
    stand.buy(qty=300)


def test_a_cash_account_may_spend_proceeds_a_trading_day_later(opened: Opener) -> None:
    stand = opened(cash=0, account={"type": "cash"})
    stand.sell()
    stand.wait()
    account = stand.exchange.account()
    assert (account.cash, account.unsettled_cash, account.buying_power) == (SALE, SALE, 0)
    with pytest.raises(ExchangeRefusal, match="buying power"):
        stand.buy(qty=1)
    stand.wait(TUESDAY_NOON_SECONDS)
    assert stand.exchange.account().unsettled_cash == 0
    stand.buy(qty=1)


def test_a_sale_on_friday_settles_on_monday(opened: Opener) -> None:
    stand = opened(at=datetime(2025, 11, 7, 17, tzinfo=UTC), account={"type": "cash"})
    stand.sell()
    stand.wait(2 * 86_400)
    assert stand.exchange.account().unsettled_cash == SALE
    stand.wait(86_400)
    assert stand.exchange.account().unsettled_cash == 0


def test_settlement_days_follow_the_state(opened: Opener) -> None:
    stand = opened(account={"type": "cash", "settlement_days": 0})
    stand.sell()
    stand.wait()
    assert stand.exchange.account().unsettled_cash == 0


def test_late_proceeds_are_missing_from_cash_and_buying_power_for_a_while(opened: Opener) -> None:
    stand = opened(cash_lag=10, account={"multiplier": 1})
    stand.sell()
    stand.wait(5)
    account = stand.exchange.account()
    assert (account.cash, account.buying_power, account.equity) == (5000, 5000, 5000 + SALE)
    stand.wait(10)
    assert stand.cash == 5000 + SALE


def test_fees_are_paid_out_of_the_cash_and_named_in_the_fill(opened: Opener) -> None:
    stand = opened(fees={"per_order": 1, "per_share": "0.01", "sell_rate": "0.0001"})
    stand.sell()
    stand.wait()
    assert stand.exchange.floor.fills()[0].fee == Decimal("2.36")
    assert stand.cash == 5000 + SALE - Decimal("2.36")


def test_the_fee_per_order_is_paid_once_when_it_fills_in_parts(opened: Opener) -> None:
    stand = opened(fees={"per_order": 1}, partial_fills={"rate": 1})
    stand.sell()
    stand.wait(10)
    assert [fill.fee for fill in stand.exchange.floor.fills()] == [1, 0]


def test_slippage_and_spread_make_a_buy_dearer_and_a_sell_cheaper(opened: Opener) -> None:
    stand = opened(spread="0.02", slippage="0.01")
    stand.buy(qty=1)
    stand.sell(qty=1)
    stand.wait()
    prices = {fill.side: fill.price for fill in stand.exchange.floor.fills()}
    assert prices == {Side.BUY: Decimal("17.36"), Side.SELL: Decimal("91.71")}
    quote = stand.exchange.quotes(["COMM"])["COMM"]
    assert (quote.bid, quote.price, quote.ask) == (Decimal("16.85"), Decimal("17.02"), Decimal("17.19"))


def test_the_average_entry_price_moves_with_buys_only(opened: Opener) -> None:
    stand = opened(account={"multiplier": 4})
    stand.buy(symbol="UPS", qty=30)
    stand.wait()
    average = (70 * Decimal("88.10") + 30 * Decimal("93.58")) / 100
    assert stand.exchange.positions()[0].avg_entry_price == average
    stand.sell(qty=50)
    stand.wait()
    assert stand.exchange.positions()[0].avg_entry_price == average


def test_last_equity_is_what_the_day_began_with(opened: Opener) -> None:
    stand = opened()
    stand.wait(TUESDAY_NOON_SECONDS)
    stand.exchange.floor.set_price("UPS", Decimal(100))
    stand.sell()
    stand.wait()
    account = stand.exchange.account()
    assert (account.equity, account.last_equity) == (12_000, 5000 + SALE)


def test_a_stated_last_equity_holds_on_the_first_day(opened: Opener) -> None:
    stand = opened(last_equity=20_000)
    assert stand.exchange.account().last_equity == 20_000
    stand.wait(TUESDAY_NOON_SECONDS)
    assert stand.exchange.account().last_equity == 5000 + SALE


def test_a_positions_sector_is_passed_on(opened: Opener) -> None:
    assert opened(assets={"UPS": {"sector": "Industrials"}}).exchange.positions()[0].sector == "Industrials"


@pytest.mark.parametrize("seed", range(12))
def test_cash_and_shares_add_up_whatever_is_traded(opened: Opener, seed: int) -> None:
    dice = random.Random(seed)
    symbols = ("UPS", "COMM", "ALKS")
    stand = opened(
        cash=20_000, seed=seed, price_mode="walk", walk={"volatility": "0.004", "interval": 20},
        prices={"COMM": "17.02", "ALKS": "32.66"}, partial_fills={"rate": "0.4", "pause": 3},
        fees={"per_share": "0.003", "sell_rate": "0.00003"}, spread="0.001", slippage="0.0007", cash_lag=2,
    )  # fmt: skip
    for number in range(40):
        _trade_at_random(stand, dice, dice.choice(symbols), str(number))
        stand.wait(dice.uniform(0, 90))
    fills, state = stand.exchange.floor.fills(), stand.exchange.starting_state()
    stand.wait(10)
    assert len(fills) > 15
    assert stand.cash == state.cash + sum((fill.cash for fill in stand.exchange.floor.fills()), Decimal(0))
    for symbol in symbols:
        bought = sum(
            f.qty if f.side is Side.BUY else -f.qty for f in stand.exchange.floor.fills() if f.symbol == symbol
        )
        start = state.positions[symbol].qty if symbol in state.positions else 0
        assert stand.held(symbol) == start + bought >= 0
    for order in stand.exchange.floor.all_orders():
        parts = [f for f in stand.exchange.floor.fills() if f.order_id == order.id]
        assert order.filled_qty == sum(f.qty for f in parts) <= order.qty


def _trade_at_random(stand: Any, dice: random.Random, symbol: str, name: str) -> None:
    price = stand.exchange.quotes([symbol])[symbol].price
    near = str((price * Decimal(str(dice.uniform(0.997, 1.003)))).quantize(Decimal("0.01")))
    exits = {"profit": f"{price * Decimal('1.004'):.2f}", "loss": f"{price * Decimal('0.996'):.2f}"}
    qty = dice.randint(1, 40)
    actions = (
        lambda: stand.buy(symbol=symbol, qty=qty, id=name),
        lambda: stand.buy(symbol=symbol, qty=qty, id=name, limit=near),
        lambda: stand.sell(symbol=symbol, qty=qty, id=name),
        lambda: stand.sell(symbol=symbol, qty=qty, id=name, stop=near, time_in_force=TimeInForce.GTC),
        lambda: stand.buy(symbol=symbol, qty=qty, id=name, order_class=OrderClass.BRACKET, **exits),
        lambda: stand.sell(symbol=symbol, qty=qty, id=name, order_class=OrderClass.OCO, **exits),
        lambda: [stand.exchange.cancel(order.id) for order in stand.exchange.orders("open")],
    )
    try:
        dice.choice(actions)()
    except ExchangeRefusal:
        return
