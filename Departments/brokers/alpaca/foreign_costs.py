"""What an open BUY of an option costs at most, where the order names no price.

An option is 100 shares. Its ask counts; without one a put counts with its strike, which no put is worth more than, and
a call with the price of its share, for the same reason. Legs that are sold bring nothing in advance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from Departments.brokers.alpaca.parsing import OPTION_SHARES, SENSELESS, is_option, read_number, read_words
from Departments.core.money import ONE, ZERO, decimal_of
from Departments.core.quotes import Quote

Data = Mapping[str, Any]
_PARTS: Final = re.compile(r"([A-Z0-9.]{1,6})\d{6}([CP])(\d{8})")
_STRIKE_UNITS: Final = 1000  # a symbol names its strike in thousandths of a dollar


def list_unpriced(rows: Iterable[Any], ids: Iterable[str]) -> dict[str, list[tuple[str, Decimal]]]:
    """Return the bought options of some orders: by the order's id, each symbol with its open contracts."""
    wanted = set(ids)
    found = {read_words(row, "id"): row for row in rows if isinstance(row, Mapping)}
    return {order_id: _list_bought(row) for order_id, row in found.items() if order_id in wanted}


def _list_bought(row: Data) -> list[tuple[str, Decimal]]:
    """Return the bought options of an order; empty if one of them cannot be read."""
    try:
        return list(_read_bought(row))
    except SENSELESS:
        return []


def _read_bought(row: Data) -> Iterator[tuple[str, Decimal]]:
    """Yield each bought option. Raises an error of SENSELESS, among them one for a leg in shares."""
    left = (read_number(row, "qty") or ZERO) - (read_number(row, "filled_qty") or ZERO)
    legs = [leg for leg in row.get("legs") or () if isinstance(leg, Mapping)]
    for leg in legs or [row]:
        symbol, ratio = read_words(leg, "symbol"), read_number(leg, "ratio_qty") or ONE
        if not is_option(symbol):
            raise ValueError(f"{symbol} is no option")
        if read_words(leg, "side") != "sell":
            yield symbol, left * ratio if legs else left


def price_options(
    bought: Iterable[tuple[str, Decimal]], asks: Mapping[str, Decimal], shares: Mapping[str, Quote]
) -> Decimal | None:
    """Return the most that options may cost in dollars, None without any."""
    costs = [qty * OPTION_SHARES * (asks.get(symbol) or _bound(symbol, shares)) for symbol, qty in bought]
    return sum(costs, ZERO) if costs else None


def _bound(symbol: str, shares: Mapping[str, Quote]) -> Decimal:
    """Return the most that one share of an option is worth: a put its strike, a call its share's price."""
    parts = _PARTS.fullmatch(symbol)
    if parts is None:
        return ZERO
    underlying, kind, thousandths = parts.groups()
    strike, quote = Decimal(thousandths) / _STRIKE_UNITS, shares.get(underlying)
    return max(strike, quote.price) if kind == "C" and quote is not None else strike


def find_underlying(symbol: str) -> str:
    """Return the share of an option, empty for another symbol."""
    parts = _PARTS.fullmatch(symbol)
    return "" if parts is None else parts[1]


def read_asks(answer: Any) -> dict[str, Decimal]:
    """Read the asks of options, by symbol; one without a positive ask is absent."""
    found = dict[str, Decimal]()
    for symbol, quote in answer.items() if isinstance(answer, Mapping) else ():
        try:
            ask = decimal_of(quote["ap"])
        except (KeyError, ValueError, TypeError):
            continue
        if ask > 0:
            found[symbol] = ask
    return found
