"""The ledger: all records in one SQLite file, opened once per process and thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from Departments.core.facts import Knowledge, TradingHistory
from Departments.core.money import ZERO, whole_shares
from Departments.core.platform.rights import PRIVATE, Rights
from Departments.core.platform.steps import Step, no_step
from Departments.core.portfolio import Position
from Departments.core.regimes import MarketView
from Departments.core.trading_calendar import trading_day
from Departments.ledger import journal
from Departments.ledger.account_book import BOOKINGS, DIFFERENCES, STATEMENTS, BookRecords
from Departments.ledger.broker_records import BROKERS_USED, BrokerRecords
from Departments.ledger.corporate_actions import ASSETS, CorporateActions
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.halt_records import HALTS, HaltRecords
from Departments.ledger.journal import LedgerJournal
from Departments.ledger.old_days import OldAssessments, OldSessions, OldSnapshots
from Departments.ledger.old_orders import OldOrders
from Departments.ledger.old_tables import provide_old_tables
from Departments.ledger.opinion_records import OPINIONS, OpinionRecords
from Departments.ledger.order_records import FILLS, ORDERS, REJECTIONS, TRADED, FillRecord
from Departments.ledger.plan_records import (
    APPROVALS,
    EXECUTIONS,
    PHASES,
    PLANS,
    TRADES,
    UNFINISHED,
    UNTRADABLE,
    ExecutionRecord,
)
from Departments.ledger.regime_records import ASSESSMENTS, OBSERVATIONS, SqliteRegimeLedger
from Departments.ledger.releases import ACCEPTED, LOCKS, RELEASES, ReleaseRecords
from Departments.ledger.sqlite import BUSY_SECONDS, SqliteDatabase
from Departments.ledger.symbol_records import DAYS, SYMBOLS, SymbolRecords
from Departments.ledger.tables import Table
from Departments.ledger.trading_records import OrderRecords
from Departments.ledger.unprotected import CHANGES, UNPROTECTED, UnprotectedRecords

TABLES: Final[tuple[Table[Any], ...]] = (
    PLANS,
    APPROVALS,
    EXECUTIONS,
    PHASES,
    TRADES,
    UNTRADABLE,
    SYMBOLS,
    DAYS,
    ORDERS,
    FILLS,
    REJECTIONS,
    TRADED,
    UNPROTECTED,
    CHANGES,
    RELEASES,
    LOCKS,
    ACCEPTED,
    HALTS,
    OPINIONS,
    BOOKINGS,
    DIFFERENCES,
    STATEMENTS,
    ASSETS,
    BROKERS_USED,
    OBSERVATIONS,
    ASSESSMENTS,
    *journal.TABLES,
)
A_WEEK: Final = timedelta(days=7)  # no pause after a sale is longer
LOOK_BACK: Final = timedelta(days=60)  # more than the longest day-trade window of 30 trading days


def _convert(database: SqliteDatabase, version: int) -> None:
    from Departments.ledger.conversion import convert_tables  # noqa: PLC0415 - an older ledger alone needs it

    convert_tables(database, TABLES, version)


class Ledger:
    """Plans, orders, regimes and the message journal in one file, under one transaction.

    With `convert` an older ledger of ours is brought up to date; without, it is refused.
    """

    def __init__(
        self,
        path: Path,
        *,
        step: Step = no_step,
        patience: float = BUSY_SECONDS,
        rights: Rights = PRIVATE,
        convert: bool = False,
    ) -> None:
        self.path = path
        converter = _convert if convert else None
        self._db = SqliteDatabase(
            path,
            TABLES,
            step=step,
            busy_seconds=patience,
            rights=rights,
            convert=converter,
            unfinished=f"SELECT 1 FROM {EXECUTIONS.name} WHERE {UNFINISHED} LIMIT 1",  # noqa: S608 - our own names
        )
        provide_old_tables(self._db)
        old = OldOrders(self._db)
        self.plans = PlanRecords(self._db, OldSessions(self._db))
        self.unprotected = UnprotectedRecords(self._db)
        self.orders = OrderRecords(self._db, self.unprotected, old)
        self.actions = CorporateActions(self._db, self.unprotected, old.positions)
        self.symbols = SymbolRecords(self._db)
        self.releases = ReleaseRecords(self._db)
        self.halts = HaltRecords(self._db)
        self.opinions = OpinionRecords(self._db)
        self.book = BookRecords(self._db, self.orders)
        self.journal = LedgerJournal(self._db)
        self.brokers = BrokerRecords(self._db)
        self.snapshots = OldSnapshots(self._db)
        self.regimes = SqliteRegimeLedger(self._db, OldAssessments(self._db))

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Commit everything inside together; an inner transaction joins the outer one.

        One that is not `durable` becomes so with the next that is: enough where nothing leaves the ledger between them.
        """
        return self._db.transaction(durable=durable)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def execution_fills(self, run: ExecutionRecord) -> list[FillRecord]:
        """Return the fills behind the cash of an attempt to execute a plan, oldest first.

        These are the fills of its own orders, and all others in its time: an exit of an earlier day may fill meanwhile.
        """
        return self.orders.fills_in(run.plan_id, run.attempt, run.started_at, run.ended_at)

    def shares_without_exits(self, *, exits_wanted: bool) -> dict[str, Decimal]:
        """Return the shares in need of exits, by symbol: the unprotected, and those under a RELEASE.

        If BUYs have no exits (`exits_wanted` is False), only shares with exits lost to a RELEASE count.
        """
        found = {row.symbol: row.qty if exits_wanted else row.released for row in self.unprotected.find_all()}
        for symbol, qty in self.orders.sum_under_exits(releasing=True).items():
            found[symbol] = found.get(symbol, ZERO) + qty
        return found

    def find_uncovered(self, positions: Mapping[str, Position], *, exits_wanted: bool) -> dict[str, Decimal]:
        """Return the shares without live exits, by symbol, as the account shows them: what no order holds.

        The desk answers for the unprotected shares and for those under its exits; only what is held counts.
        """
        known, covered = self.shares_without_exits(exits_wanted=exits_wanted), self.orders.sum_under_exits()
        found = {}
        for symbol in sorted({*known, *covered} & {*positions}):
            position = positions[symbol]
            lacking = known.get(symbol, ZERO) + covered.get(symbol, ZERO) - (position.qty - position.available)
            found[symbol] = whole_shares(min(position.available, lacking))
        return {symbol: qty for symbol, qty in found.items() if qty > 0}

    def knowledge(
        self,
        now: datetime,
        settlement_days: int,
        held: Collection[str],
        young: timedelta = timedelta(),
        wanted: Collection[str] | None = None,
    ) -> Knowledge:
        """Return the desk's own knowledge, without the broker's; with the stops of the symbols `held`.

        Of few `wanted` symbols it has the facts of no others; None wants all.


        The proceeds of a SELL settle `settlement_days` trading days after the trade. Assessments of this trading day
        that are at most as `young` count.
        """
        return replace(
            self.symbols.knowledge(now, settlement_days, wanted),
            views=tuple(map(MarketView.of, self.regimes.young_assessments(now, young))),
            history=self.history(now, held),
            locks=self.releases.find_locks(),
        )

    def find_own_exits(self, order_ids: Sequence[str]) -> frozenset[str]:
        """Return those of some orders, by the broker's ids, that are exits of the desk: sent by it, or of its BUYs."""
        return frozenset(o.broker_order_id or "" for o in self.orders.find_at_broker(order_ids) if o.is_ours)

    def history(self, now: datetime, held: Collection[str] = ()) -> TradingHistory:
        """Return the recent trading: today's execution and sides, past day trades, live stops."""
        today = trading_day(now)
        begun = self.plans.executions(today)
        executed = self.plans.pick_executed(begun)
        return TradingHistory(
            executed_plan_today=None if executed is None else executed.plan_id,
            manual_orders_today=tuple(e.plan_id for e in begun if e.by_hand),
            same_day_sides=self.orders.sides_on(today),
            day_trades=tuple(self.orders.day_trades_since(today - LOOK_BACK)),
            stops=self.orders.stops(held),
            desk_lock=self.releases.find_desk_lock(),
            halt=self.halts.find(),
            invested_before=begun[0].equity - begun[0].cash_before if begun else None,
            sold_at=self.orders.find_last_sales(now - A_WEEK),
            began_on=self.plans.find_first_day(),
        )
