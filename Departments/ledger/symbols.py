"""What briefings have taught the desk about symbols, so that planner and trader judge by the same facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from Departments.core.clock import iso, parse_iso
from Departments.core.documents import json_text, parse_json
from Departments.core.market import NOTHING_TOLD, READINGS, Knowledge, SymbolFacts, Told
from Departments.core.money import ZERO, decimal_of
from Departments.core.orders import Side
from Departments.core.trading_calendar import EASTERN, next_trading_day, trading_day
from Departments.ledger.database import Database, Row
from Departments.ledger.values import number, number_text

LONGEST_SETTLEMENT = timedelta(days=14)  # more than five trading days, the most that the limits allow


class SymbolRecords:
    """Facts about symbols in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def learn(self, facts: Iterable[SymbolFacts], at: datetime, told: Told = NOTHING_TOLD) -> None:
        """Remember facts; what is unknown now does not erase what was known before.

        Prices and what was `told` of the market are remembered for the trading day of `at`.
        """
        known = sorted(facts, key=lambda f: f.symbol)
        document = {"prices": _prices(known), **_told_document(told)}
        self._db.execute("INSERT OR REPLACE INTO desk_days VALUES (?, ?)", (_day_text(at), json_text(document)))
        for fact in known:
            self._db.execute(
                "INSERT INTO desk_symbols VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (symbol) DO UPDATE SET "
                "sector = coalesce(excluded.sector, sector), "
                "average_volume = coalesce(excluded.average_volume, average_volume), "
                "market_cap = coalesce(excluded.market_cap, market_cap), "
                "earnings_on = coalesce(excluded.earnings_on, earnings_on), "
                "earnings_known = max(excluded.earnings_known, earnings_known), learned_at = excluded.learned_at",
                (
                    fact.symbol,
                    fact.sector,
                    number_text(fact.average_volume),
                    number_text(fact.market_cap),
                    None if fact.earnings_on is None else fact.earnings_on.isoformat(),
                    int(fact.earnings_known),
                    iso(at),
                ),
            )

    def knowledge(self, now: datetime | None = None, settlement_days: int = 1) -> Knowledge:
        """Return everything learnt, and the highest equity an execution began with.

        With `now`, what was told for its trading day is part of it, and what has not settled then: the proceeds of a
        SELL settle `settlement_days` trading days after the trade (T+1, SEC rule 15c6-1); 0 is at once.
        """
        symbols = {row["symbol"]: _facts(row) for row in self._db.rows("SELECT * FROM desk_symbols")}
        known, peak = self._of_day(now), self._peak_equity()
        for symbol, (price, at) in (known.get("prices") or {}).items():
            facts = symbols.get(symbol) or SymbolFacts(symbol)
            symbols[symbol] = replace(facts, price=decimal_of(price), price_at=parse_iso(at))
        unsettled = ZERO if now is None else self._unsettled(now, settlement_days)
        return Knowledge(symbols, peak, _told(known), unsettled)

    def _peak_equity(self) -> Decimal | None:
        row = self._db.row("SELECT equity FROM desk_executions ORDER BY CAST(equity AS REAL) DESC LIMIT 1")
        return None if row is None else Decimal(row["equity"])

    def _unsettled(self, now: datetime, days: int) -> Decimal:
        if days == 0:
            return ZERO
        rows = self._db.rows(
            "SELECT f.qty, f.price, f.filled_at FROM desk_fills f JOIN desk_orders o ON o.id = f.order_id "
            "WHERE o.side = ? AND f.filled_at >= ?",
            (Side.SELL, iso(now - LONGEST_SETTLEMENT)),
        )
        return sum((Decimal(row["qty"]) * Decimal(row["price"]) for row in rows if _settles(row, days) > now), ZERO)

    def _of_day(self, now: datetime | None) -> Mapping[str, Any]:
        if now is None:
            return {}
        row = self._db.row("SELECT told FROM desk_days WHERE day = ?", (_day_text(now),))
        found: Mapping[str, Any] = {} if row is None else parse_json(row["told"])
        return found


def _settles(row: Row, days: int) -> datetime:
    """Return the beginning of the Eastern day on which a fill settles."""
    day = next_trading_day(trading_day(parse_iso(row["filled_at"])), days)
    return datetime.combine(day, time.min, EASTERN)


def _day_text(moment: datetime) -> str:
    return trading_day(moment).isoformat()


def _prices(facts: Iterable[SymbolFacts]) -> dict[str, tuple[str | None, str]]:
    return {f.symbol: (number_text(f.price), iso(f.price_at)) for f in facts if f.price is not None and f.price_at}


def _told_document(told: Told) -> dict[str, Any]:
    pairs = {"|".join(sorted(pair)): number_text(value) for pair, value in told.correlations.items()}
    return {
        **{name: number_text(getattr(told, name)) for name in READINGS},
        "correlations": dict(sorted(pairs.items())),
    }


def _told(document: Mapping[str, Any]) -> Told:
    pairs = document.get("correlations") or {}
    return Told(
        **{name: number(document.get(name)) for name in READINGS},
        correlations={frozenset(pair.split("|")): decimal_of(value) for pair, value in pairs.items()},
    )


def _facts(row: Row) -> SymbolFacts:
    return SymbolFacts(
        row["symbol"],
        sector=row["sector"],
        average_volume=number(row["average_volume"]),
        market_cap=number(row["market_cap"]),
        earnings_on=None if row["earnings_on"] is None else date.fromisoformat(row["earnings_on"]),
        earnings_known=bool(row["earnings_known"]),
    )
