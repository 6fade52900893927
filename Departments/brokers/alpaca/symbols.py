"""Asking about many symbols in few questions, none of which a single symbol spoils."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from Departments.brokers.alpaca.faults import QuestionRefused

Ask = Callable[[Sequence[str]], Any]

#: The most symbols in one question. Their names then take some 1,500 characters of its address, of which servers and
#: proxies should take 8,000 (RFC 9110, 4.1), and the bars of six weeks fit into one page of 10,000 rows.
AT_ONCE = 200


def answers_about(symbols: Iterable[str], ask: Ask) -> dict[str, Any]:
    """Return what is answered about each symbol; one without data, or that Alpaca cannot parse, is absent."""
    wanted, found = sorted(set(symbols)), dict[str, Any]()
    for start in range(0, len(wanted), AT_ONCE):
        found |= _halving(wanted[start : start + AT_ONCE], ask)
    return {symbol: found[symbol] for symbol in wanted if symbol in found}


def _halving(symbols: Sequence[str], ask: Ask) -> dict[str, Any]:
    """Ask about symbols at once; one that Alpaca cannot parse fails them all, so the question is halved."""
    try:
        return dict(ask(symbols))
    except QuestionRefused:
        if len(symbols) == 1:
            return {}
    middle = len(symbols) // 2
    return _halving(symbols[:middle], ask) | _halving(symbols[middle:], ask)
