"""Converts an older ledger of ours to the tables of today, inside one transaction. Nothing of it is lost.

Versions 10 to 14 differ in columns, keys and names; since version 15 the older system's tables are real tables and not
views over ours. What an older version did not record stays empty, or begins with the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from Departments.core.money import ZERO
from Departments.core.orders import OrderStatus
from Departments.ledger.executive_records import PlanRecords
from Departments.ledger.old_days import OldAssessments, OldSessions
from Departments.ledger.old_orders import OldOrders
from Departments.ledger.old_tables import SCHEMAS, provide_old_tables
from Departments.ledger.order_records import FILLS, ORDERS, REJECTIONS, FillRow, OrderRecord
from Departments.ledger.plan_records import EXECUTIONS
from Departments.ledger.regime_records import ASSESSMENTS
from Departments.ledger.sqlite import WORDS, SqliteDatabase
from Departments.ledger.tables import Table

#: What older versions called a column, and the values of columns that they did not have.
_FORMER_NAMES: Final = {"known": "told"}
_DEFAULTS: Final = {"by_hand": "0", "attempt": "1"}
#: Since this version an older system's table has its own name again, and our rows are written into it.
_REAL_OLD_TABLES: Final = 15
_MOVED_AWAY: Final = "before_departments_"


def convert_tables(database: SqliteDatabase, tables: Sequence[Table[Any]], version: int) -> None:
    """Rebuild what differs; before version 15, give the older system its tables back and write our rows into them."""
    has_our_rows = version >= _REAL_OLD_TABLES
    database.execute("PRAGMA legacy_alter_table = ON")  # other tables and views keep their references by name
    try:
        if not has_our_rows:
            _restore_old_tables(database)
        for table in tables:
            _rebuild(database, table)
    finally:
        database.execute("PRAGMA legacy_alter_table = OFF")
    provide_old_tables(database)
    if not has_our_rows:
        _write_orders(database)
        _write_days(database)


def _restore_old_tables(database: SqliteDatabase) -> None:
    for name in SCHEMAS:
        kind = database.row("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (name,))
        if kind is not None and kind["type"] == "view":
            database.execute(f'DROP VIEW "{name}"')
        moved = database.row("SELECT name FROM sqlite_master WHERE name = ?", (_MOVED_AWAY + name,))
        if moved is not None:
            database.execute(f'ALTER TABLE "{_MOVED_AWAY}{name}" RENAME TO "{name}"')


def _rebuild(database: SqliteDatabase, table: Table[Any]) -> None:
    """Make a table as it is today, with the rows that it has."""
    wanted = list(table.statements(WORDS))
    found = database.rows("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? AND sql <> ''", (table.name,))
    if {row["sql"] for row in found} == set(wanted):
        return
    for row in found:
        if row["type"] == "index":
            database.execute(f'DROP INDEX "{row["name"]}"')
    former = f"{table.name}_before"
    if found:
        database.execute(f"ALTER TABLE {table.name} RENAME TO {former}")
    for statement in wanted:
        database.execute(statement)
    if found:
        _copy_rows(database, table.name, former)
        database.execute(f"DROP TABLE {former}")


def _copy_rows(database: SqliteDatabase, name: str, former: str) -> None:
    known = set(database.columns(former))
    pairs = []
    for column in database.columns(name):
        source = column if column in known else _FORMER_NAMES.get(column, "")
        value = source if source in known else _DEFAULTS.get(column, "")
        if value:
            pairs.append((column, value))
    columns, values = (", ".join(each) for each in zip(*pairs, strict=True))
    database.execute(f"INSERT INTO {name} ({columns}) SELECT {values} FROM {former}")  # noqa: S608 - names of tables


def _write_orders(database: SqliteDatabase) -> None:
    """Write every order into the older system's tables, as if it happened again."""
    old = OldOrders(database)
    orders = {order.id: order for order in ORDERS.find(database, "1 = 1", order="id")}
    for order in orders.values():
        is_denied = order.status is OrderStatus.DENIED
        status = order.status if is_denied else OrderStatus.UNKNOWN
        old.add(replace(order, status=status, filled_qty=ZERO, filled_avg_price=None))
    spent = dict.fromkeys(orders, ZERO)
    for fill in FILLS.find(database, "1 = 1", order="filled_at, id"):
        spent[fill.order_id] += fill.qty * fill.price
        old.follow(_after(orders[fill.order_id], fill, spent[fill.order_id] / fill.cumulative_qty), fill)
    for order in orders.values():
        old.follow(order)
    for rejection in REJECTIONS.find(database, "1 = 1", order="id"):
        old.reject(orders[rejection.order_id], rejection)


def _after(order: OrderRecord, fill: FillRow, average: Any) -> OrderRecord:
    return replace(order, filled_qty=fill.cumulative_qty, filled_avg_price=average)


def _write_days(database: SqliteDatabase) -> None:
    assessments, sessions, plans = OldAssessments(database), OldSessions(database), PlanRecords(database)
    for found in ASSESSMENTS.find(database, "1 = 1", order="number"):
        assessments.add(found.assessment)
        assessments.record_outcome(found.assessment.assessment_id, found.outcome)
    for run in EXECUTIONS.find(database, "ended_at IS NOT NULL AND by_hand = 0", order="started_at"):
        sent = [trade for trade in plans.trades(run.plan_id) if trade.message_id]
        if plans.has_trades(run.plan_id):
            sessions.note_execution(run.plan_id, run.started_at, len(sent))
