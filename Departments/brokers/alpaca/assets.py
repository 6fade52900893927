"""The facts of symbols at Alpaca, in as few questions as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from Departments.brokers.alpaca.refusals import QuestionRefused
from Departments.core.clock import Clock
from Departments.core.errors import NotFound
from Departments.core.quotes import Asset

Ask = Callable[[Sequence[str]], Any]

MAX_AGE = timedelta(minutes=15)  # a symbol's state rarely changes, and an order for it is refused then anyway
#: The most symbols that are asked about one by one. Alpaca has no question about some symbols, only about one or about
#: all active ones: about 11,000 rows, a few megabytes. (https://docs.alpaca.markets/reference/get-v2-assets-1)
ONE_BY_ONE = 20


class Assets:
    """Remembers what was said for a quarter of an hour: each question counts against the limit of requests.

    `one` asks about a symbol and may raise NotFound, `active` about all active ones.
    """

    def __init__(self, clock: Clock, one: Callable[[str], Asset], active: Callable[[], Sequence[Asset]]) -> None:
        self._clock = clock
        self._one = one
        self._active = active
        self._known: dict[str, tuple[datetime, Asset]] = {}

    def of(self, symbols: Iterable[str]) -> dict[str, Asset]:
        """Return what is said of symbols; one that Alpaca does not know is absent, and asked about again."""
        wanted = sorted(set(symbols))
        known = self._recall(wanted)
        if len(wanted) - len(known) > ONE_BY_ONE:
            self._list()
            known = self._recall(wanted)
        unlisted = (s for s in wanted if s not in known)  # inactive or unknown, or there were few
        return known | {symbol: asset for symbol in unlisted if (asset := self._ask_one(symbol))}

    def _recall(self, symbols: Iterable[str]) -> dict[str, Asset]:
        now, known = self._clock.now(), ((s, self._known.get(s)) for s in symbols)
        return {s: said[1] for s, said in known if said and timedelta() <= now - said[0] < MAX_AGE}

    def _list(self) -> None:
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
