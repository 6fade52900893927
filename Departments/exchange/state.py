"""The seed file of the simulated exchange, as typed values.

    cash: 12500
    positions:
      UPS: {qty: 70, avg_entry_price: 88.10, current_price: 93.58}
    prices: {COMM: 17.02, ALKS: 32.66}

is enough: prices are constant, every order fills completely after a second or two, nothing costs a fee. For a symbol
in `prices` and in `positions`, `prices` wins. The exchange knows no other symbols. All further keys, with their
defaults unless the comment differs:

    account: {type: margin, multiplier: 2, settlement_days: 1, status: ACTIVE, trading_blocked: false,
              account_blocked: false, trade_suspended: false}   # type cash: buys with settled cash only (T+1)
    assets:                                  # none; the facts of a symbol, every key optional
      IPG: {name: Interpublic, active: false, tradable: true, halted: false, fractionable: true,
            sector: Communication, average_volume: 5000000, market_cap: 9000000000, earnings_on: 2026-02-12}
    volumes: {COMM: 2500000}                 # none; shares a day
    last_equity: 98950                       # the equity it starts with, in dollars
    price_mode: static                       # or walk, or bars
    walk: {volatility: 0.0005, drift: 0, interval: 60}   # per tick, shares of the price; seconds per tick
    bars:                                    # none; recorded days, dollars and shares
      SPY: [{day: 2025-11-07, open: 668.3, high: 671.1, low: 661.2, close: 670.97, volume: 99000000}]
    seed: 0                                  # of delays, partial fills and walks
    spread: 0                                # between bid and ask, share of the price
    slippage: 0                              # share of the price
    collar: 0.05                             # the worst price of a market order, distance as a share
    fees: {per_order: 0, per_share: 0, sell_rate: 0}     # dollars, dollars, share of a sale
    latency: {fill: [0.6, 2.2], cancel: [0.2, 0.8]}      # seconds, from and to
    partial_fills: {rate: 0, pause: 2}       # share of orders with two fills; seconds between them
    cash_lag: 0                              # seconds until proceeds show in cash and buying power
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from Departments.core.errors import BadInput
from Departments.core.money import BEYOND_REASON, decimal_of
from Departments.core.platform.text_files import read_document
from Departments.core.settings import Section
from Departments.core.validation import validate

LEAST_PRICE = Decimal("0.0001")  # the smallest price step
LONGEST = Decimal(10) ** 9  # seconds: thirty years
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.\-/]{0,15}\Z")


def _read_symbol(key: Any) -> str:
    if isinstance(key, bool):
        raise ValueError("a ticker was read as a truth value; write it in quotes, for example 'ON'")  # noqa: TRY004 - pydantic's way
    text = str(key).strip().upper()
    if not _SYMBOL.match(text):
        raise ValueError(f"{key!r} is not a ticker; write it like UPS or BRK.B")
    return text


def _read_number(value: Any) -> Decimal:
    number = decimal_of(value)
    if abs(number) > BEYOND_REASON:
        raise ValueError("is too large to be true; correct the number")
    return number


def _read_price(value: Any) -> Decimal:
    number = _read_number(value)
    if number <= 0:
        raise ValueError(f"must be above zero; give a positive price instead of {value}")
    if number < LEAST_PRICE:
        raise ValueError(f"must be at least {LEAST_PRICE}; give more than {value}")
    return number


def _read_quantity(value: Any) -> Decimal:
    number = _read_number(value)
    if number < 0:
        raise ValueError(f"must not be negative; give zero or more instead of {value}")
    return number


def _read_seconds(value: Any) -> Decimal:
    seconds = _read_quantity(value)
    if seconds > LONGEST:
        raise ValueError("is too long a time to wait; give fewer seconds")
    return seconds


Symbol = Annotated[str, BeforeValidator(_read_symbol)]
Number = Annotated[Decimal, BeforeValidator(_read_number)]
Price = Annotated[Decimal, BeforeValidator(_read_price)]
Quantity = Annotated[Decimal, BeforeValidator(_read_quantity)]
Seconds = Annotated[Decimal, BeforeValidator(_read_seconds)]


class HeldShares(Section):
    """A position: whole or fractional shares, prices in dollars."""

    qty: Quantity
    avg_entry_price: Price
    current_price: Price | None = None


class AssetState(Section):
    """The facts of a symbol. Volume in shares a day, market_cap in dollars."""

    name: str = ""
    active: bool = True
    tradable: bool = True
    halted: bool = False
    fractionable: bool = True
    sector: str | None = None
    average_volume: Quantity | None = None
    market_cap: Quantity | None = None
    earnings_on: date | None = None


class AccountState(Section):
    """The account. A margin account's buying power is multiplier × equity less the value of its positions.

    A cash account buys only with settled cash (`settlement_days` trading days after a sale).
    """

    type: Literal["margin", "cash"] = "margin"
    multiplier: Price = Decimal(2)
    settlement_days: int = Field(1, ge=0, le=10)
    status: str = "ACTIVE"
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended: bool = False

    @property
    def blocks(self) -> tuple[str, ...]:
        """Return the closed gates by name."""
        gates = ("trading_blocked", "account_blocked", "trade_suspended")
        return tuple(gate for gate in gates if getattr(self, gate))


class Latency(Section):
    """The shortest and longest delays of orders, in seconds. Seed and id choose between them."""

    fill: tuple[Seconds, Seconds] = (Decimal("0.6"), Decimal("2.2"))
    cancel: tuple[Seconds, Seconds] = (Decimal("0.2"), Decimal("0.8"))

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for low, high in (self.fill, self.cancel):
            if low > high:
                raise ValueError(f"{low} is above {high}; write the shorter delay first")
        return self


class Partials(Section):
    """The share of orders with two fills, and the seconds between them."""

    rate: Quantity = Decimal(0)
    pause: Seconds = Decimal(2)


class Fees(Section):
    """Fees: dollars per order, dollars per share, and a share of a sale."""

    per_order: Quantity = Decimal(0)
    per_share: Quantity = Decimal(0)
    sell_rate: Quantity = Decimal(0)


class Walk(Section):
    """A random walk: volatility and drift per tick (shares of the price), seconds per tick."""

    volatility: Quantity = Decimal("0.0005")
    drift: Number = Decimal(0)
    interval: int = Field(60, ge=1, le=86_400)


class RecordedBar(Section):
    """One recorded day: dollars and shares."""

    day: date
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity = Decimal(0)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError(f"the bar of {self.day} has prices outside low and high; correct it")
        return self


class ExchangeState(Section):
    """The whole seed of the simulated exchange."""

    cash: Number
    positions: Mapping[Symbol, HeldShares] = {}
    prices: Mapping[Symbol, Price] = {}
    assets: Mapping[Symbol, AssetState] = {}
    volumes: Mapping[Symbol, Quantity] = {}
    bars: Mapping[Symbol, tuple[RecordedBar, ...]] = {}
    account: AccountState = AccountState()
    last_equity: Number | None = None
    price_mode: Literal["static", "walk", "bars"] = "static"
    walk: Walk = Walk()
    seed: int = 0
    spread: Quantity = Decimal(0)
    slippage: Quantity = Decimal(0)
    collar: Quantity = Decimal("0.05")
    fees: Fees = Fees()
    latency: Latency = Latency()
    partial_fills: Partials = Partials()
    cash_lag: Seconds = Decimal(0)

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        if self.account.type == "cash" and self.cash < 0:
            raise ValueError("cash is negative in a cash account; give zero or more, or account.type margin")
        if self.price_mode == "bars" and not self.bars:
            raise ValueError("price_mode is bars and there are no bars; give bars or another price_mode")
        return self

    @cached_property
    def symbols(self) -> frozenset[str]:
        """Return every known symbol, those with a set price apart."""
        return frozenset((*self.positions, *self.prices, *self.assets, *self.bars))

    def asset(self, symbol: str) -> AssetState:
        """Return the facts of a symbol, or the defaults."""
        return self.assets.get(symbol) or AssetState()

    def start_price(self, symbol: str) -> Decimal | None:
        """Return a symbol's first price, or None."""
        held = self.positions.get(symbol)
        return self.prices.get(symbol) or (held.current_price if held else None)

    def volume(self, symbol: str) -> Decimal | None:
        """Return the stated average daily volume in shares, or None."""
        stated = self.volumes.get(symbol)
        return self.asset(symbol).average_volume if stated is None else stated


def load_exchange_state(path: Path) -> ExchangeState:
    """Read an exchange-state file (YAML, or JSON by its ending). Raises BadInput naming file, key and mend."""
    data = read_document(path)
    if "cash" not in data:
        raise BadInput(path, "cash", "is missing", "state the cash of the account in dollars")
    return validate(ExchangeState, data, path)
