"""Differences between the account and its book, each with a sentence for people and its mend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from Departments.core.account_entries import AccountDifference, DifferenceKind
from Departments.core.money import ZERO, cents, count_noun, plain, usd_cents
from Departments.ledger.account_book import Balance
from Departments.Trading.corporate_booking import AccountReading

CASH: Final = ""  # the symbol of cash in the book
CASH_NAME: Final = "CASH"  # its name for people
LOOK_AT_CASH: Final = f"Look at its activities, then: departments reconcile --accept {CASH_NAME}"


def find_differences(
    book: Balance, reading: AccountReading, now: datetime, before: Mapping[str, datetime], tolerance: Decimal
) -> list[AccountDifference]:
    """Return the differences between the account and its book, cash first. Unreadable positions are left out."""
    found = []
    cash = cents(reading.balance.cash - book.cash)
    if abs(cash) > tolerance:
        kind, since = DifferenceKind.UNEXPLAINED_CASH, before.get(CASH, now)
        found.append(AccountDifference(kind, CASH, ZERO, cash, since, describe_cash(cash)))
    for symbol in sorted({*book.holdings, *reading.balance.holdings} - reading.unreadable):
        has, should = reading.balance.holdings.get(symbol, ZERO), book.holdings.get(symbol, ZERO)
        if has != should:
            kind = DifferenceKind.MISSING_SHARES if has < should else DifferenceKind.UNKNOWN_SHARES
            since = before.get(symbol, now)
            found.append(
                AccountDifference(kind, symbol, has - should, ZERO, since, describe_shares(symbol, has, should))
            )
    return list(_name_exchanges(found))


def _name_exchanges(found: Sequence[AccountDifference]) -> Iterator[AccountDifference]:
    """Yield differences; a holding that is gone and another that grew by as much name each other."""
    for each in found:
        twins = [other.symbol for other in found if each.symbol and other.symbol and other.qty == -each.qty]
        if len(twins) != 1:
            yield each
            continue
        old, new = (each.symbol, twins[0]) if each.qty < 0 else (twins[0], each.symbol)
        hint = f"{count_noun(abs(each.qty), 'share')} left {old} and as many came to {new}: it may be called {new} now."
        yield replace(each, sentence=f"{hint} {each.sentence}")


def describe_cash(cash: Decimal, disputed: Collection[str] = ()) -> str:
    """Return the sentence about unexplained cash, which orders of the symbols `disputed` may explain."""
    where = "more" if cash > 0 else "less"
    return (
        f"The account has {usd_cents(abs(cash))} {where} than orders and bookings explain. "
        f"{advise_symbols_first(disputed) if disputed else LOOK_AT_CASH}"
    )


def advise_symbols_first(disputed: Collection[str]) -> str:
    """Return the mend of cash beside orders that the ledger does not know."""
    steps = ", ".join(f"departments reconcile --accept {symbol}" for symbol in sorted(disputed))
    return f"Orders that the ledger does not know may explain it. Accept these first: {steps}"


def describe_shares(symbol: str, has: Decimal, should: Decimal) -> str:
    """Return the sentence about a holding that differs from the book."""
    return (
        f"{symbol}: the account holds {count_noun(has, 'share')}, orders and bookings explain {plain(should)}. "
        + mend_of(symbol)
    )


def mend_of(symbol: str) -> str:
    """Return the mend of a locked symbol."""
    return f"Check it, then: departments reconcile --accept {symbol}"


def describe_acceptance(difference: AccountDifference) -> str:
    """Return the sentence about a difference that a person accepts."""
    if not difference.symbol:
        return f"{with_sign(difference.cash)} of cash taken into the ledger"
    verb = "more" if difference.qty > 0 else "fewer"
    shares = plain(abs(difference.qty))
    return f"{shares} {difference.symbol} {verb} taken into the ledger"


def with_sign(cash: Decimal) -> str:
    """Return dollars with their sign: +$1.20, −$3.00."""
    return f"{'+' if cash > 0 else '−' if cash < 0 else ''}{usd_cents(abs(cash))}"
