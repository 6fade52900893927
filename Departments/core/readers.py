"""Readers of values in documents, with one sentence for each fault, and the types of fields made of them.

A reader raises ValueError with problem and mend: "-5 is not positive; give a positive number".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from Departments.core.moments import parse_iso
from Departments.core.money import BEYOND_REASON, decimal_of, plain, price_of
from Departments.core.orders import Side
from Departments.core.regimes import number_or_none

#: A symbol of the US exchanges, such as UPS or BRK.B; with a dash before it is spelled.
SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9]{0,9}(?:[.\-][A-Z0-9]{1,4})?\Z")
#: A class of shares behind a dash, as price feeds write it.
SHARE_CLASS: Final = re.compile(r"[A-Z]{1,5}-[A-Z]\Z")
AGE: Final = re.compile(r"(\d{1,5})([mhdw])\Z")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHORT: Final = 80  # characters of a sentence that shows the value
Value = TypeVar("Value")
Read = Callable[[Any], Value]


def or_none(read: Read[Value]) -> Read[Value | None]:
    """Make a reader that keeps None."""
    return lambda value: None if value is None else read(value)


# --- words ---


def read_name(value: Any) -> str:
    """Read a text that is not empty."""
    text = str(value or "").strip()
    if not text:
        raise ValueError("is missing; name it")
    return text


def spell_symbol(text: str) -> str:
    """Return a symbol in capitals and as brokers spell it: a class of shares follows a dot, so BRK-B is BRK.B."""
    symbol = text.strip().upper()
    return symbol.replace("-", ".") if SHARE_CLASS.match(symbol) else symbol


def read_capitals(value: Any) -> str:
    """Read any broker's symbol, foreign ones such as BTC/USD included, in capitals."""
    symbol = spell_symbol(str(value or ""))
    if not symbol:
        raise ValueError("is missing; name the symbol like UPS or BRK.B")
    return symbol


def read_symbol(value: Any) -> str:
    """Read a symbol of the US exchanges. A name from outside is checked before its use."""
    symbol = read_capitals(value)
    if not isinstance(value, str) or not SYMBOL.match(symbol):
        raise ValueError(f"{str(value)[:40]!r} is not a symbol; name the symbol like UPS or BRK.B")
    return symbol


def read_side(value: Any) -> Side:
    """Read BUY or SELL in any case."""
    action = str(value or "").strip().upper()
    if action not in Side.__members__:
        raise ValueError(f"{action!r} is neither BUY nor SELL; write BUY or SELL")
    return Side[action]


# --- numbers ---


def read_number(value: Any) -> Decimal:
    """Read a number of at most 10^15."""
    try:
        number = decimal_of(value)
    except ValueError as error:
        problem = str(error) if len(str(error)) < SHORT else f"{str(value)[:40]!r} is not a number"
        raise ValueError(f"{problem}; give a number") from error
    if abs(number) > BEYOND_REASON:
        raise ValueError("the number is above 10^15; give a number")
    return number


def read_positive(value: Any) -> Decimal:
    """Read a number above zero."""
    try:
        number = read_number(value)
    except ValueError as error:
        raise ValueError(str(error).replace("give a number", "give a positive number")) from error
    return _require_positive(number, number)


def read_price(value: Any) -> Decimal:
    """Read a price in dollars a share, without its float noise."""
    number = read_positive(value)
    return _require_positive(price_of(number), number)


def _require_positive(number: Decimal, written: Decimal) -> Decimal:
    if number <= 0:
        raise ValueError(f"{plain(written)} is not positive; give a positive number")
    return number


# --- times ---


def read_moment(value: Any) -> datetime:
    """Read an ISO time."""
    try:
        return value if isinstance(value, datetime) else parse_iso(str(value))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{str(value)[:40]!r} is not an ISO time; write 2025-11-10T15:05:42Z") from error


def read_day(value: Any) -> date | None:
    """Read a day; an empty text is None."""
    return read_date(str(value)) if value and not isinstance(value, date) else value or None


def read_date(text: str) -> date:
    """Read an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is not a date; write it as 2025-11-10") from error


def read_time_of_day(text: str) -> time:
    """Read a time of a day in New York, such as 9:20."""
    if re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text.strip()) is None:
        raise ValueError(f'{text[:40]!r} is no time of a day; write it like "10:30", in New York time')
    return time.fromisoformat(f"{text.strip():0>5}")


def read_age(text: str) -> timedelta:
    """Read an age such as 30m, 12h, 7d or 2w."""
    found = AGE.match(text.strip().lower())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not an age; write for example 12h, 7d or 2w")
    return timedelta(**{_UNITS[found.group(2)]: int(found.group(1))})


# --- places ---


def read_web_address(text: str) -> str:
    """Read an address of the web. It may hold a password, so no sentence repeats it."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not text.isprintable() or " " in text:
        raise ValueError("is no address of the web; write it like https://host/path")
    return text


# --- types of fields ---

Price = Annotated[Decimal | None, BeforeValidator(or_none(read_price))]
Number = Annotated[Decimal | None, BeforeValidator(or_none(read_number))]
Positive = Annotated[Decimal | None, BeforeValidator(or_none(read_positive))]
Reading = Annotated[Decimal | None, BeforeValidator(number_or_none)]
Moment = Annotated[datetime | None, BeforeValidator(or_none(read_moment))]
Day = Annotated[date | None, BeforeValidator(read_day)]
Name = Annotated[str, BeforeValidator(read_name)]
Text = Annotated[str, BeforeValidator(lambda value: str(value or ""))]
MaybeText = Annotated[str | None, BeforeValidator(lambda value: str(value) if value else None)]

AnySymbol = Annotated[
    str, BeforeValidator(read_capitals), Field(alias="ticker", description="symbol", examples=["ALKS"])
]
Symbol = Annotated[str, BeforeValidator(read_symbol), Field(alias="ticker", description="symbol", examples=["ALKS"])]
Action = Annotated[Side, BeforeValidator(read_side), Field(alias="action", description="BUY or SELL", examples=["BUY"])]
Shares = Annotated[
    Decimal, BeforeValidator(read_positive), Field(alias="shares", description="shares, more than none", examples=[108])
]
