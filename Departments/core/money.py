"""Decimal money and quantities: safe parsing, brokers' rounding, formatting for people. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
BEYOND_REASON = Decimal(10) ** 15  # far above any account, price, volume or company
_OF_ONE = {"have": "has", "had": "had", "are": "is", "were": "was"}
LARGEST = 308  # the largest power of ten in a float; the digits of larger ones would fill the memory


def decimal_of(value: Any) -> Decimal:
    """Parse a number from JSON, YAML or text as a finite Decimal.

    A float goes through its shortest text, so 0.1 is 0.1. Raises ValueError for booleans, NaN, infinities,
    numbers beyond a float's range and everything else.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a number")
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise ValueError(f"{str(value)!r} is not a finite number")
    if number.adjusted() > LARGEST:
        raise ValueError("the number is above 10^15")
    return number


def cents(amount: Decimal) -> Decimal:
    """Round an amount of dollars to whole cents, half up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def price_of(value: Any) -> Decimal:
    """Parse a price without its float noise: 30.93000030517578 is 30.93. Raises ValueError."""
    try:
        rounded = decimal_of(value).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is too large for a price") from error
    return rounded.quantize(CENT) if rounded == rounded.quantize(CENT) else rounded


def price_tick(price: Decimal) -> Decimal:
    """Return the smallest price step: a cent at or above $1, a hundredth of a cent below (Reg NMS rule 612)."""
    return CENT if price >= ONE else Decimal("0.0001")


def on_tick(price: Decimal) -> Decimal:
    """Round a price to its smallest step, half up."""
    return price.quantize(price_tick(price), rounding=ROUND_HALF_UP)


def whole_shares(qty: Decimal) -> Decimal:
    """Round a quantity down to whole shares."""
    return qty.quantize(ONE, rounding=ROUND_FLOOR)


def shares_to_reach(value: Decimal, price: Decimal) -> Decimal:
    """Return the fewest whole shares worth at least `value` at `price`."""
    return (value / price).to_integral_value(rounding=ROUND_CEILING)


def shares_within(value: Decimal, price: Decimal) -> Decimal:
    """Return the most whole shares worth at most `value` at `price`, never negative."""
    return max(ZERO, (value / price).to_integral_value(rounding=ROUND_FLOOR))


def plain(number: Decimal) -> str:
    """Format a Decimal without exponent or trailing zeros: 190.0 is "190"."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def count_noun(number: Decimal | int, noun: str, verb: str = "") -> str:
    """Format a number with its noun, and a verb that follows it: "1 share has", "2 shares have"."""
    is_one = number == 1
    words = [noun if is_one else f"{noun}s", *([_OF_ONE.get(verb, f"{verb}s") if is_one else verb] if verb else [])]
    return " ".join([plain(Decimal(number)), *words])


def money_text(amount: Decimal) -> str:
    """Format dollars in exact cents for files and JSON: "12282.00"."""
    return format(cents(amount), "f")


def usd(amount: Decimal) -> str:
    """Format whole dollars for people, rounded toward zero: $2,968.50 is "$2,968"."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${int(abs(amount)):,}"


def usd_cents(amount: Decimal) -> str:
    """Format dollars and cents for people: "$12,282.00"."""
    rounded = cents(amount)
    sign = "-" if rounded < 0 else ""
    return f"{sign}${abs(rounded):,.2f}"


def percent(share: Decimal, places: int = 1) -> str:
    """Format a share of one as a percentage: 0.0289 is "2.9%"."""
    return f"{share * 100:.{places}f}%"
