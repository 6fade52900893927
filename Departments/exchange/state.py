"""The seed file of the simulated exchange, as typed values.

    cash: 12500
    positions:
      UPS: {qty: 70, avg_entry_price: 88.10, current_price: 93.58}
    prices: {COMM: 17.02, ALKS: 32.66}

is enough: prices are constant, every order fills completely after a second or two, nothing costs a fee. For a symbol
in `prices` and in `positions`, `prices` wins. All further keys, with their defaults unless the comment differs (and
each key by itself in docs/exchange.md):

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
    bars_files: []                           # CSV of symbol,date,open,high,low,close,volume, beside the state file
    unknown_prices: refuse                   # or draw: every symbol is listed, at a price between $10 and $300
    seed: 0                                  # of delays, partial fills, walks and drawn prices
    spread: 0                                # between bid and ask, share of the price
    slippage: 0                              # share of the price
    collar: 0.05                             # the worst price of a market order, distance as a share
    fees: {per_order: 0, per_share: 0, sell_rate: 0}     # dollars, dollars, share of a sale
    latency: {fill: [0.6, 2.2], cancel: [0.2, 0.8]}      # seconds, from and to
    partial_fills: {rate: 0, pause: 2}       # share of orders with two fills; seconds between them
    cash_lag: 0                              # seconds until proceeds show in cash and buying power
    orders_at_split: multiply                # or cancel, keep, or adjust: quantities and prices follow
    orders_at_rename: cancel                 # or keep
    orders:                                  # none; open orders of somebody else in the same account
      - {symbol: UPS, side: SELL, qty: 70, type: trailing_stop, trail_percent: 5}
    events:                                  # none; what happens later by itself, a day alone means before its session
      - {at: 2025-11-12, do: split, of: UPS, ratio: 2}
    foreign_orders:                          # none; orders for options, spreads, crypto; `problem`: unreadable
      - {id: 7e4c1a7e, kind: mleg, promised: 1000}
    foreign_positions:                       # none; positions in options and crypto, value in dollars
      - {symbol: AAPL251219C00200000, kind: us_option, market_value: 4125}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from Departments.core.errors import BadInput
from Departments.core.platform.text_files import read_document
from Departments.core.settings import Section
from Departments.core.validation import validate
from Departments.exchange import market_events
from Departments.exchange.field_types import Number, Price, Quantity, RecordedBar, Seconds, Symbol
from Departments.exchange.price_files import read_bars


class HeldShares(Section):
    """A position: whole or fractional shares, prices in dollars."""

    qty: Quantity = Field(description="whole or fractional shares")
    avg_entry_price: Price = Field(description="dollars paid per share")
    current_price: Price | None = Field(None, description="dollars per share now; a price in `prices` wins")


class AssetState(Section):
    """The facts of a symbol. Volume in shares a day, market_cap in dollars."""

    name: str = Field("", description="the company's name")
    active: bool = Field(default=True, description="an inactive asset takes no order")
    tradable: bool = Field(default=True, description="an untradable asset takes no order")
    halted: bool = Field(default=False, description="halted until `departments exchange halt --end`")
    fractionable: bool = Field(default=True, description="trades in fractions; after a split others get cash instead")
    sector: str | None = Field(None, description="its sector")
    average_volume: Quantity | None = Field(None, description="shares a day")
    market_cap: Quantity | None = Field(None, description="dollars")
    earnings_on: date | None = Field(None, description="the day of its next earnings report")


class AccountState(Section):
    """The account. A margin account's buying power is multiplier × equity less the value of its positions.

    A cash account buys only with settled cash (`settlement_days` trading days after a sale).
    """

    type: Literal["margin", "cash"] = Field("margin", description="a cash account buys with settled cash only")
    multiplier: Price = Field(Decimal(2), description="buying power as a multiple of the equity")
    settlement_days: int = Field(1, ge=0, le=10, description="trading days until a sale has settled")
    status: str = Field("ACTIVE", description="the account's status; any other one closes it")
    trading_blocked: bool = Field(default=False, description="a closed gate")
    account_blocked: bool = Field(default=False, description="a closed gate")
    trade_suspended: bool = Field(default=False, description="a closed gate, closed by its owner")

    @property
    def blocks(self) -> tuple[str, ...]:
        """Return the closed gates by name."""
        gates = ("trading_blocked", "account_blocked", "trade_suspended")
        return tuple(gate for gate in gates if getattr(self, gate))


class Latency(Section):
    """The shortest and longest delays of orders, in seconds. Seed and id choose between them."""

    fill: tuple[Seconds, Seconds] = Field((Decimal("0.6"), Decimal("2.2")), description="seconds to a fill")
    cancel: tuple[Seconds, Seconds] = Field(
        (Decimal("0.2"), Decimal("0.8")), description="seconds to a cancel or a replacement, from and to"
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for low, high in (self.fill, self.cancel):
            if low > high:
                raise ValueError(f"{low} is above {high}; write the shorter delay first")
        return self


class Partials(Section):
    """The share of orders with two fills, and the seconds between them."""

    rate: Quantity = Field(Decimal(0), description="share of orders with two fills")
    pause: Seconds = Field(Decimal(2), description="seconds between the two")


class Fees(Section):
    """Fees: dollars per order, dollars per share, and a share of a sale."""

    per_order: Quantity = Field(Decimal(0), description="dollars for each order")
    per_share: Quantity = Field(Decimal(0), description="dollars for each share")
    sell_rate: Quantity = Field(Decimal(0), description="share of a sale's proceeds")


class Walk(Section):
    """A random walk: volatility and drift per tick (shares of the price), seconds per tick."""

    volatility: Quantity = Field(Decimal("0.0005"), description="standard deviation of one tick, share of the price")
    drift: Number = Field(Decimal(0), description="mean change of one tick, share of the price")
    interval: int = Field(60, ge=1, le=86_400, description="seconds between two ticks, day and night")


class ExchangeState(Section):
    """The whole seed of the simulated exchange."""

    cash: Number = Field(description="dollars")
    positions: Mapping[Symbol, HeldShares] = Field({}, description="the shares held, by symbol")
    prices: Mapping[Symbol, Price] = Field({}, description="dollars per share, by symbol")
    assets: Mapping[Symbol, AssetState] = Field({}, description="the facts of symbols")
    volumes: Mapping[Symbol, Quantity] = Field({}, description="shares a day, by symbol")
    bars: Mapping[Symbol, tuple[RecordedBar, ...]] = Field({}, description="recorded days, by symbol")
    bars_files: tuple[str, ...] = Field((), description="CSV files of recorded days, beside this file")
    orders: tuple[market_events.PlacedOrder, ...] = Field(
        (), description="open orders of somebody else, placed at the start"
    )
    foreign_orders: tuple[market_events.ForeignOrderState, ...] = Field(
        (), description="open orders for options, spreads, crypto"
    )
    foreign_positions: tuple[market_events.ForeignPositionState, ...] = Field(
        (), description="positions in options and crypto"
    )
    events: tuple[market_events.MarketEvent, ...] = Field((), description="what happens later, by itself")
    account: AccountState = Field(AccountState(), description="the account's kind and gates")
    last_equity: Number | None = Field(None, description="dollars at the previous close; without it the first equity")
    price_mode: Literal["static", "walk", "bars"] = Field(
        "static", description="prices are constant, walk at random by `walk` and `seed`, or follow `bars`"
    )
    walk: Walk = Field(Walk(), description="the random walk")
    seed: int = Field(0, description="of delays, partial fills and walks: equal seeds give equal days")
    unknown_prices: Literal["refuse", "draw"] = Field(
        "refuse", description="`draw` lists every symbol, at a price between $10 and $300 that `seed` draws"
    )
    spread: Quantity = Field(Decimal(0), description="distance between bid and ask, share of the price")
    slippage: Quantity = Field(Decimal(0), description="how much worse a trade is than bid or ask, share of the price")
    collar: Quantity = Field(Decimal("0.05"), description="the worst price of a market order, distance as a share")
    fees: Fees = Field(Fees(), description="booked with each fill")
    latency: Latency = Field(Latency(), description="delays in seconds")
    partial_fills: Partials = Field(Partials(), description="orders that fill in two parts")
    cash_lag: Seconds = Field(Decimal(0), description="seconds until proceeds show in cash and buying power")
    orders_at_split: Literal["multiply", "cancel", "adjust", "keep"] = Field(
        "multiply", description="open orders at a split; a reverse split and a partial fill cancel them"
    )
    orders_at_rename: Literal["cancel", "keep"] = Field("cancel", description="open orders when a symbol changes")

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        if self.account.type == "cash" and self.cash < 0:
            raise ValueError("cash is negative in a cash account; give zero or more, or account.type margin")
        if self.price_mode == "bars" and not self.bars:
            raise ValueError("price_mode is bars and there are no bars; give bars or another price_mode")
        if any(event.at is None for event in self.events):
            raise ValueError("an event has no time; add its at")
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
    seed = validate(ExchangeState, data | {"price_mode": "static"} if data.get("bars_files") else data, path)
    bars = {symbol: days for name in seed.bars_files for symbol, days in read_bars(path.parent / name).items()}
    return validate(ExchangeState, data | {"bars": {**bars, **seed.bars}}, path) if bars else seed
