"""Ask Alpaca about many symbols in as few questions as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from Departments.brokers.alpaca.refusals import QuestionRefused
from Departments.core.errors import NotFound
from Departments.core.platform.clock import Clock
from Departments.core.quotes import Asset

Ask = Callable[[Sequence[str]], Any]

MAX_AGE = timedelta(minutes=15)  # a symbol's state rarely changes, and Alpaca refuses an order for it then anyway
#: The most symbols to ask about one by one. Alpaca has no question about some symbols, only about one or about all
#: active ones: about 11,000 rows, a few megabytes. (https://docs.alpaca.markets/reference/get-v2-assets-1)
ONE_BY_ONE = 20


class Assets:
    """The facts of symbols, remembered for a quarter of an hour: each question counts against the limit of requests.

    `one` asks about a symbol and may raise NotFound, `active` asks about all active ones.
    """

    def __init__(self, clock: Clock, one: Callable[[str], Asset], active: Callable[[], Sequence[Asset]]) -> None:
        self._clock = clock
        self._one = one
        self._active = active
        self._known: dict[str, tuple[datetime, Asset]] = {}

    def find(self, symbols: Iterable[str]) -> dict[str, Asset]:
        """Return the facts of symbols, without those unknown to Alpaca; it asks about these every time."""
        wanted = sorted(set(symbols))
        known = self._recall(wanted)
        if len(wanted) - len(known) > ONE_BY_ONE:
            self._read_active()
            known = self._recall(wanted)
        unlisted = (s for s in wanted if s not in known)  # inactive or unknown, or there were few
        return known | {symbol: asset for symbol in unlisted if (asset := self._ask_one(symbol))}

    def _recall(self, symbols: Iterable[str]) -> dict[str, Asset]:
        now, known = self._clock.now(), ((s, self._known.get(s)) for s in symbols)
        return {s: entry[1] for s, entry in known if entry and timedelta() <= now - entry[0] < MAX_AGE}

    def _read_active(self) -> None:
        now = self._clock.now()
        self._known |= {asset.symbol: (now, asset) for asset in self._active()}

    def _ask_one(self, symbol: str) -> Asset | None:
        now = self._clock.now()
        try:
            asset = self._one(symbol)
        except (NotFound, QuestionRefused):
            return None
        self._known[symbol] = now, asset
        return asset


#: The most symbols in one question: some 1,500 characters of its address, of which servers and proxies should take
#: 8,000 (RFC 9110, 4.1). The bars of six weeks then fit into one page of 10,000 rows.
AT_ONCE = 200


def ask_about(symbols: Iterable[str], ask: Ask) -> dict[str, Any]:
    """Return the answers by symbol; one without data, or unparsable for Alpaca, has none."""
    wanted, found = sorted(set(symbols)), dict[str, Any]()
    for start in range(0, len(wanted), AT_ONCE):
        found |= _ask_halving(wanted[start : start + AT_ONCE], ask)
    return {symbol: found[symbol] for symbol in wanted if symbol in found}


def _ask_halving(symbols: Sequence[str], ask: Ask) -> dict[str, Any]:
    """Ask about symbols at once. One unparsable symbol fails them all, so halve the question then."""
    try:
        return dict(ask(symbols))
    except QuestionRefused:
        if len(symbols) == 1:
            return {}
    middle = len(symbols) // 2
    return _ask_halving(symbols[:middle], ask) | _ask_halving(symbols[middle:], ask)
