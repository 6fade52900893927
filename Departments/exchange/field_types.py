"""The typed values of the exchange's files: symbols, prices, quantities, seconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from Departments.core.moments import parse_iso
from Departments.core.money import BEYOND_REASON, decimal_of
from Departments.core.readers import spell_symbol
from Departments.core.settings import Section
from Departments.core.trading_calendar import EASTERN

LEAST_PRICE = Decimal("0.0001")  # the smallest price step
LONGEST = Decimal(10) ** 9  # seconds: thirty years
LARGEST_RATIO = Decimal(1000)
BEFORE_OPEN = time(4)  # Eastern: corporate actions are booked before the pre-market begins
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.\-/]{0,15}\Z")


def _read_symbol(key: Any) -> str:
    if isinstance(key, bool):
        raise ValueError("a ticker was read as a truth value; write it in quotes, for example 'ON'")  # noqa: TRY004 - pydantic's way
    text = spell_symbol(str(key))
    if not _SYMBOL.match(text):
        raise ValueError(f"{key!r} is not a ticker; write it like UPS or BRK.B")
    return text


def _read_number(value: Any) -> Decimal:
    number = decimal_of(value)
    if abs(number) > BEYOND_REASON:
        raise ValueError("is above 10^15; give a smaller number")
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


def _read_amount(value: Any) -> Decimal:
    number = _read_number(value)
    if number <= 0:
        raise ValueError(f"must be above zero; give a positive number instead of {value}")
    return number


def _read_seconds(value: Any) -> Decimal:
    seconds = _read_quantity(value)
    if seconds > LONGEST:
        raise ValueError("is too long a time to wait; give fewer seconds")
    return seconds


def _read_ratio(value: Any) -> Decimal:
    """Read new shares for each old one: 10, 0.1, or 10:1 and 1:10."""
    new, separator, old = str(value).partition(":")
    divisor = decimal_of(old) if separator else Decimal(1)
    ratio = decimal_of(new) / divisor if divisor else Decimal(0)
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO or ratio == 1:
        raise ValueError(f"is no ratio of a split; write 10 or 10:1, or 1:10, instead of {value}")
    return ratio


def _read_moment(value: Any) -> datetime:
    """Read a moment; a day alone means 4 o'clock in New York, before anything trades."""
    if isinstance(value, str):
        text = value.strip()
        value = date.fromisoformat(text) if len(text) == len("2025-11-10") else parse_iso(text)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, BEFORE_OPEN, EASTERN).astimezone(UTC)
    raise ValueError(f"{value!r} is no moment; write 2025-11-12 or 2025-11-12T15:00:00Z")


Symbol = Annotated[str, BeforeValidator(_read_symbol)]
Number = Annotated[Decimal, BeforeValidator(_read_number)]
Price = Annotated[Decimal, BeforeValidator(_read_price)]
Quantity = Annotated[Decimal, BeforeValidator(_read_quantity)]
Amount = Annotated[Decimal, BeforeValidator(_read_amount)]
Seconds = Annotated[Decimal, BeforeValidator(_read_seconds)]
Ratio = Annotated[Decimal, BeforeValidator(_read_ratio)]
Moment = Annotated[datetime, BeforeValidator(_read_moment)]


class RecordedBar(Section):
    """One recorded day: dollars and shares."""

    day: date = Field(description="the trading day")
    open: Price = Field(description="dollars")
    high: Price = Field(description="dollars")
    low: Price = Field(description="dollars")
    close: Price = Field(description="dollars")
    volume: Quantity = Field(Decimal(0), description="shares")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError(f"the bar of {self.day} has prices outside low and high; correct it")
        return self
