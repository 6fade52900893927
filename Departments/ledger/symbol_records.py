"""Facts about symbols from briefings: planner and trader judge by the same ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from Departments.core.documents import parse_json
from Departments.core.facts import NO_READINGS, READINGS, Knowledge, Readings, SymbolFacts
from Departments.core.moments import iso, parse_iso
from Departments.core.money import ZERO, decimal_of, plain
from Departments.core.open_limits import OpenLimit
from Departments.core.orders import Side
from Departments.core.regimes import MarketView, Regime
from Departments.core.trading_calendar import EASTERN, next_trading_day, trading_day
from Departments.ledger.database import Database, FoundRow
from Departments.ledger.order_records import FILLS
from Departments.ledger.plan_records import EXECUTIONS
from Departments.ledger.tables import Table, marks, naming_damage

FEW: Final = 500  # symbols that are looked up by name
LONGEST_SETTLEMENT = timedelta(days=14)  # more than five trading days, the most that the limits allow


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """The lasting facts of a symbol, from briefings."""

    symbol: str
    sector: str | None
    average_volume: Decimal | None
    market_cap: Decimal | None
    earnings_on: date | None
    earnings_known: bool
    learned_at: datetime


@dataclass(frozen=True, slots=True)
class DayRow:
    """The facts of one trading day, from briefings: prices, readings of the market, correlations."""

    day: date
    known: dict[str, Any]


SYMBOLS: Final = Table("desk_symbols", SymbolRow, rules=("PRIMARY KEY (symbol)",))
DAYS: Final = Table("desk_days", DayRow, rules=("PRIMARY KEY (day)",))
#: Unknown values erase no known ones.
_LEARN: Final = """(symbol) DO UPDATE SET
    sector = coalesce(excluded.sector, desk_symbols.sector),
    average_volume = coalesce(excluded.average_volume, desk_symbols.average_volume),
    market_cap = coalesce(excluded.market_cap, desk_symbols.market_cap),
    earnings_on = coalesce(excluded.earnings_on, desk_symbols.earnings_on),
    earnings_known = CASE WHEN excluded.earnings_known = 1 THEN 1 ELSE desk_symbols.earnings_known END,
    learned_at = excluded.learned_at"""


class SymbolRecords:
    """Facts about symbols in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def learn(
        self,
        facts: Iterable[SymbolFacts],
        at: datetime,
        readings: Readings = NO_READINGS,
        views: Iterable[MarketView] = (),
        limits: Iterable[OpenLimit] = (),
    ) -> None:
        """Remember facts; unknown values erase no known ones.

        Prices, readings, views of the market and the limits without data count for the trading day of `at`.
        """
        known = sorted(facts, key=lambda f: f.symbol)
        document = {"prices": _write_prices(known), **_write_readings(readings), "views": list(map(_write_view, views))}
        document |= {"open_limits": list(map(_write_limit, limits))}
        DAYS.replace(self._db, DayRow(trading_day(at), document), "day")
        for fact in known:
            SYMBOLS.insert(self._db, _make_row(fact, at), _LEARN)

    def read_open_limits(self, today: date) -> tuple[list[OpenLimit], list[OpenLimit]]:
        """Return the limits without data: after the last earlier day with a plan, and after the plans of today."""
        rows = self._db.rows(
            f"SELECT day, known FROM {DAYS.name} WHERE day <= ? ORDER BY day DESC LIMIT 2",  # noqa: S608 - our name
            (today.isoformat(),),
        )
        with naming_damage(self._db, DAYS):
            known = {row["day"]: parse_json(row["known"]).get("open_limits") or () for row in rows}
            found = {day: list(map(_read_limit, limits)) for day, limits in known.items()}
        now = found.pop(today.isoformat(), [])
        return next(iter(found.values()), []), now

    def list_symbols(self) -> list[str]:
        """Return every symbol whose facts a plan ever needed, in order."""
        return [row[0] for row in self._db.rows(f"SELECT symbol FROM {SYMBOLS.name} ORDER BY symbol")]  # noqa: S608 - our name

    def knowledge(self, now: datetime, settlement_days: int, wanted: Collection[str] | None = None) -> Knowledge:
        """Return all facts, the day's readings, and the highest equity before an execution.

        Of few `wanted` symbols it has the facts of no others.

        The proceeds of a SELL settle `settlement_days` trading days after the trade (T+1, SEC rule 15c6-1); 0 is at
        once.
        """
        few = wanted if wanted is not None and len(wanted) <= FEW else None
        rows = SYMBOLS.find(self._db, "1 = 1" if few is None else f"symbol IN ({marks(few)})", *(few or ()))
        symbols = {row.symbol: _read_facts(row) for row in rows}
        known, peak = self._read_day(now), self._find_peak_equity()
        unsettled = self._sum_unsettled(now, settlement_days)
        with naming_damage(self._db, DAYS):
            for symbol, (price, at) in (known.get("prices") or {}).items():
                if few is not None and symbol not in few:
                    continue
                facts = symbols.get(symbol) or SymbolFacts(symbol)
                symbols[symbol] = replace(facts, price=decimal_of(price), price_at=parse_iso(at))
            views = tuple(map(_read_view, known.get("views") or ()))
            return Knowledge(symbols, _read_readings(known), plan_views=views, peak_equity=peak, unsettled=unsettled)

    def _find_peak_equity(self) -> Decimal | None:
        row = self._db.row("SELECT equity FROM desk_executions ORDER BY CAST(equity AS NUMERIC) DESC LIMIT 1")
        return None if row is None else EXECUTIONS.convert(self._db, "equity", row["equity"])

    def _sum_unsettled(self, now: datetime, days: int) -> Decimal:
        if days == 0:
            return ZERO
        rows = self._db.rows(
            "SELECT f.qty, f.price, f.filled_at FROM desk_fills f JOIN desk_orders o ON o.id = f.order_id "
            "WHERE o.side = ? AND f.filled_at >= ?",
            (Side.SELL, iso(now - LONGEST_SETTLEMENT)),
        )
        return sum((self._measure_unsettled(row, days, now) for row in rows), ZERO)

    def _measure_unsettled(self, row: FoundRow, days: int, now: datetime) -> Decimal:
        """Return the proceeds of a fill until its settlement day begins (Eastern), then nothing."""
        qty, price, at = (FILLS.convert(self._db, name, row[name]) for name in ("qty", "price", "filled_at"))
        settles = datetime.combine(next_trading_day(trading_day(at), days), time.min, EASTERN)
        return qty * price if settles > now else ZERO

    def _read_day(self, now: datetime) -> Mapping[str, Any]:
        day = DAYS.first(self._db, "day = ?", trading_day(now))
        return {} if day is None else day.known


def _write_prices(facts: Iterable[SymbolFacts]) -> dict[str, tuple[str | None, str]]:
    return {f.symbol: (_text(f.price), iso(f.price_at)) for f in facts if f.price is not None and f.price_at}


def _write_readings(readings: Readings) -> dict[str, Any]:
    pairs = {"|".join(sorted(pair)): _text(value) for pair, value in readings.correlations.items()}
    return {
        **{name: _text(getattr(readings, name)) for name in READINGS},
        "correlations": dict(sorted(pairs.items())),
    }


def _read_readings(document: Mapping[str, Any]) -> Readings:
    pairs = document.get("correlations") or {}
    return Readings(
        **{name: _number(document.get(name)) for name in READINGS},
        correlations={frozenset(pair.split("|")): decimal_of(value) for pair, value in pairs.items()},
    )


def _write_view(view: MarketView) -> dict[str, str | None]:
    numbers = {name: _text(getattr(view, name)) for name in READINGS}
    return {"source": view.source, "at": iso(view.at), "regime": view.regime, **numbers}


def _read_view(document: Mapping[str, Any]) -> MarketView:
    regime, numbers = document["regime"], {name: _number(document[name]) for name in READINGS}
    return MarketView(document["source"], parse_iso(document["at"]), Regime(regime) if regime else None, **numbers)


def _write_limit(limit: OpenLimit) -> dict[str, Any]:
    named = limit.named_on.isoformat() if limit.named_on else None
    return {
        "code": limit.code,
        "missing": limit.missing,
        "since": limit.since.isoformat(),
        "days": limit.days,
        "named_on": named,
    }


def _read_limit(document: Mapping[str, Any]) -> OpenLimit:
    since, named = date.fromisoformat(document["since"]), document["named_on"]
    named_on = date.fromisoformat(named) if named else None
    return OpenLimit(document["code"], document["missing"], since, int(document["days"]), named_on)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _make_row(fact: SymbolFacts, at: datetime) -> SymbolRow:
    return SymbolRow(
        symbol=fact.symbol,
        sector=fact.sector,
        average_volume=fact.average_volume,
        market_cap=fact.market_cap,
        earnings_on=fact.earnings_on,
        earnings_known=fact.earnings_known,
        learned_at=at,
    )


def _read_facts(row: SymbolRow) -> SymbolFacts:
    return SymbolFacts(
        row.symbol,
        sector=row.sector,
        average_volume=row.average_volume,
        market_cap=row.market_cap,
        earnings_on=row.earnings_on,
        earnings_known=row.earnings_known,
    )
