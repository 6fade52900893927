"""What briefings have taught the desk about symbols, so that planner and trader judge by the same facts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from Departments.core.clock import iso
from Departments.core.market import Knowledge, SymbolFacts
from Departments.ledger.database import Database, Row
from Departments.ledger.values import number, number_text


class SymbolRecords:
    """Facts about symbols in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def learn(self, facts: Iterable[SymbolFacts], at: datetime) -> None:
        """Remember facts; what is unknown now does not erase what was known before."""
        for fact in sorted(facts, key=lambda f: f.symbol):
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

    def knowledge(self) -> Knowledge:
        """Return everything learnt, and the highest equity an execution began with."""
        symbols = {row["symbol"]: _facts(row) for row in self._db.rows("SELECT * FROM desk_symbols")}
        equities = [Decimal(row["equity"]) for row in self._db.rows("SELECT equity FROM desk_executions")]
        return Knowledge(symbols, max(equities, default=None))


def _facts(row: Row) -> SymbolFacts:
    return SymbolFacts(
        row["symbol"],
        sector=row["sector"],
        average_volume=number(row["average_volume"]),
        market_cap=number(row["market_cap"]),
        earnings_on=None if row["earnings_on"] is None else date.fromisoformat(row["earnings_on"]),
        earnings_known=bool(row["earnings_known"]),
    )
