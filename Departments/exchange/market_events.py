"""What happens to an account and its symbols from outside: bookings, corporate actions, halts, orders of strangers.

One model serves the state file (`events`), the fault script (`do`) and the commands.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from Departments.core.money import cents, plain
from Departments.core.orders import OrderClass, OrderRequest, OrderType, Side, TimeInForce
from Departments.core.settings import Section
from Departments.exchange.field_types import Amount, Moment, Number, Price, Quantity, Ratio, Seconds, Symbol

EventName = Literal[
    "deposit", "withdraw", "dividend", "interest", "fee", "split", "rename",
    "halt", "resume", "set_price", "trade_outside", "place_order",
]  # fmt: skip

LARGEST_BOOKING: Final = Decimal(10) ** 10  # dollars

#: The keys that an event needs, by its name.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("deposit", "withdraw", "interest", "fee"), ("amount",)),
    "dividend": ("of", "amount"),
    "split": ("of", "ratio"),
    "rename": ("of", "to"),
    **dict.fromkeys(("halt", "resume"), ("of",)),
    "set_price": ("of", "price"),
    "trade_outside": ("of", "qty"),
    "place_order": ("order",),
}


class PlacedOrder(Section):
    """An order of somebody else in the same account. Shares, dollars; `trail_percent` in percent."""

    symbol: Symbol = Field(description="the symbol")
    side: Side = Field(description="BUY or SELL")
    qty: Quantity | None = Field(None, description="shares")
    notional: Amount | None = Field(None, description="dollars instead of shares: an order by amount")
    type: OrderType = Field(OrderType.MARKET, description="market, limit, stop, stop_limit or trailing_stop")
    time_in_force: TimeInForce = Field(TimeInForce.GTC, description="day or gtc")
    order_class: OrderClass = Field(OrderClass.SIMPLE, description="simple, bracket or oco")
    limit_price: Price | None = Field(None, description="dollars")
    stop_price: Price | None = Field(None, description="dollars")
    trail_price: Price | None = Field(None, description="distance of a trailing stop in dollars")
    trail_percent: Amount | None = Field(None, description="distance of a trailing stop in percent")
    take_profit: Price | None = Field(None, description="limit of the target of a bracket or an OCO")
    stop_loss: Price | None = Field(None, description="stop of a bracket or an OCO")
    client_order_id: str = Field("", description="its id; without one the exchange makes it")

    @model_validator(mode="before")
    @classmethod
    def _capitalise_side(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("side"), str):
            return data | {"side": data["side"].upper()}
        return data

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        if (self.qty is None) is (self.notional is None):
            raise ValueError("has no quantity, or two; give either qty or notional")
        return self

    def request(self, client_order_id: str) -> OrderRequest:
        """Return the request under an id, unless it has its own. `qty` is 0 for an order by amount."""
        return OrderRequest(
            self.client_order_id or client_order_id,
            self.symbol,
            self.side,
            self.qty or Decimal(0),
            type=self.type,
            time_in_force=self.time_in_force,
            order_class=self.order_class,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            take_profit=self.take_profit,
            stop_loss=self.stop_loss,
            trail_price=self.trail_price,
            trail_percent=self.trail_percent,
        )


class ForeignOrderState(Section):
    """An open order for an option, a spread or crypto; with a `problem` a row that cannot be read."""

    id: str = Field(min_length=1, description="the broker's id")
    kind: str = Field("us_option", description="us_option, crypto or mleg")
    symbol: str = Field("", description="its symbol; a spread has none")
    promised: Quantity | None = Field(None, description="dollars it may cost")
    client_order_id: str = Field("", description="the id that its owner gave it")
    problem: str = Field("", description="why the row cannot be read")


class ForeignPositionState(Section):
    """A position in options or crypto; with a `problem` a row that cannot be read."""

    symbol: str = Field(min_length=1, description="its symbol, like AAPL251219C00200000 or BTCUSD")
    kind: str = Field("us_option", description="us_option or crypto")
    market_value: Number | None = Field(None, description="dollars, negative for a short one")
    problem: str = Field("", description="why the row cannot be read")


class MarketEvent(Section):
    """One event. `amount` in dollars (of a dividend: per share), `price` in dollars, `qty` in shares."""

    do: EventName = Field(description="what happens")
    at: Moment | None = Field(None, description="when; a day alone means before its session; at once without it")
    of: Symbol | None = Field(None, description="the symbol")
    amount: Number | None = Field(None, description="dollars; of a dividend dollars per share")
    pay_on: date | None = Field(None, description="the day a dividend is paid; at once without it")
    ratio: Ratio | None = Field(None, description="new shares for each old one: 10, 10:1 or 1:10")
    to: Symbol | None = Field(None, description="the new symbol")
    price: Price | None = Field(None, description="dollars per share")
    qty: Number | None = Field(None, description="shares; negative sells")
    seconds: Seconds | None = Field(None, description="how long a halt lasts; without it until `resume`")
    order: PlacedOrder | None = Field(None, description="the order of somebody else")

    @model_validator(mode="after")
    def _check_sense(self) -> Self:
        check_needs(self, NEEDS[self.do])
        if NEEDS[self.do] == ("amount",) and self.amount is not None:
            check_dollars(self.amount)
        if self.do == "rename" and self.of == self.to:
            raise ValueError(f"to is {self.to}, its own symbol; give the new one")
        if self.do != "interest" and self.amount is not None and self.amount <= 0:
            raise ValueError("amount must be above zero; give a positive number")
        return self


def check_dollars(amount: Decimal) -> None:
    """Check the dollars of a booking: whole cents, not zero, believable. Raises ValueError."""
    if not amount:
        raise ValueError("amount must be above zero; of interest it may be below zero, too")
    if abs(amount) > LARGEST_BOOKING:
        raise ValueError(f"amount is too large; give {plain(LARGEST_BOOKING)} dollars at most")
    if amount != cents(amount):
        raise ValueError(f"amount {plain(amount)} has a fraction of a cent; give dollars and cents, like 1234.57")


def check_needs(entry: Section, needed: tuple[str, ...]) -> None:
    """Check that an entry has all keys that its deed needs. Raises ValueError."""
    missing = next((name for name in needed if getattr(entry, name) is None), None)
    if missing is not None:
        raise ValueError(f"{getattr(entry, 'do', 'it')} lacks its {missing}; add it")
