"""Views for other tools. They also show the rows of an older system's tables of those names."""

from __future__ import annotations

from typing import Final

from Departments.ledger.sqlite import SqliteDatabase

OLD_PREFIX = "before_departments_"

#: The views for other tools, in the older system's names and words. `{above}` lifts our ids above those of the older
#: system's rows.
OLD_TABLES: Final = {
    "trading_orders": """
        SELECT client_order_id AS order_id, broker_order_id AS alpaca_order_id, symbol AS ticker, side AS action,
            CAST(qty AS REAL) AS quantity, upper(order_type) AS order_type, CAST(limit_price AS REAL) AS limit_price,
            message_id AS executive_approval_msg_id, NULL AS portfolio_request_msg_id,
            CASE WHEN status = 'filled' THEN 'FILLED' WHEN status IN ('denied', 'rejected') THEN 'REJECTED'
                WHEN status IN ('canceled', 'expired') AND filled_qty <> '0' THEN 'PARTIAL'
                WHEN status IN ('canceled', 'expired', 'replaced') THEN 'CANCELLED'
                WHEN status = 'partially_filled' THEN 'PARTIAL' WHEN submitted_at IS NULL THEN 'PENDING'
                ELSE 'SUBMITTED' END AS status,
            submitted_at AS submitted_timestamp, status <> 'denied' AS hard_constraints_passed,
            CASE WHEN status = 'denied' THEN reason ELSE '' END AS constraint_violations, created_at, updated_at,
            id{above} AS id
        FROM desk_orders WHERE purpose = 'trade' OR filled_qty <> '0'""",
    "trading_fills": """
        SELECT order_id{above} AS order_id, CAST(price AS REAL) AS fill_price, CAST(qty AS REAL) AS quantity_filled,
            0.0 AS commission, filled_at AS fill_timestamp, CAST(expected_price AS REAL) AS expected_price,
            (CAST(price AS REAL) - CAST(expected_price AS REAL)) * 100
                / CAST(expected_price AS REAL) AS slippage_pct,
            abs(CAST(price AS REAL) - CAST(expected_price AS REAL)) > 0.01 * CAST(expected_price AS REAL)
                AS slippage_flag,
            (order_id{above}) || '-' || cumulative_qty AS alpaca_fill_id, id
        FROM desk_fills""",
    "trading_rejections": """
        SELECT order_id{above} AS order_id, reason AS rejection_reason, code AS rejection_code,
            at AS rejection_timestamp,
            CASE source WHEN 'constraint' THEN 'HARD_CONSTRAINT' WHEN 'broker' THEN 'ALPACA' ELSE 'DUPLICATE' END
                AS rejection_source, escalation_msg_id IS NOT NULL AS escalated_to_executive, escalation_msg_id, id
        FROM desk_rejections""",
    "trading_daily_logs": """
        SELECT substr(o.created_at, 1, 10) AS log_date, count(*) AS total_orders,
            count(*) FILTER (WHERE o.filled_qty <> '0') AS total_fills,
            count(*) FILTER (WHERE o.status IN ('denied', 'rejected')) AS total_rejections,
            sum(CAST(o.filled_qty AS REAL) * coalesce(CAST(o.filled_avg_price AS REAL), 0)) AS total_volume_traded,
            avg((CAST(o.filled_avg_price AS REAL) - CAST(o.expected_price AS REAL)) * 100
                / CAST(o.expected_price AS REAL)) AS avg_slippage_pct
        FROM desk_orders o WHERE o.purpose = 'trade' OR o.filled_qty <> '0' GROUP BY substr(o.created_at, 1, 10)""",
}


def provide_old_tables(database: SqliteDatabase) -> None:
    """Create the views. A table of the same name is renamed once; the view shows its rows too."""
    if all(_find_kind(database, name) == "view" for name in OLD_TABLES):
        return
    with database.transaction():
        for name, query in OLD_TABLES.items():
            _provide(database, name, query)


def _provide(database: SqliteDatabase, name: str, query: str) -> None:
    kind = _find_kind(database, name)  # again: another process may have created the view meanwhile
    if kind == "table":
        _rename(database, name)
    if kind != "view":
        ours = query.format(above=_above_old_rows(database))
        database.execute(f'CREATE VIEW "{name}" AS {_add_old_rows(database, name, ours)}')


def _rename(database: SqliteDatabase, name: str) -> None:
    """Rename an older table. The older system's own views keep the old name, so they read our view."""
    database.execute("PRAGMA legacy_alter_table = ON")
    try:
        database.execute(f'ALTER TABLE "{name}" RENAME TO "{OLD_PREFIX}{name}"')
    finally:
        database.execute("PRAGMA legacy_alter_table = OFF")


def _add_old_rows(database: SqliteDatabase, name: str, query: str) -> str:
    if _find_kind(database, OLD_PREFIX + name) is None:
        return query
    columns = database.columns(f"({query})")
    present = {column.lower() for column in database.columns(f'"{OLD_PREFIX}{name}"')}
    old = ", ".join(f'"{c}"' if c in present else f'NULL AS "{c}"' for c in columns)
    return f'{query} UNION ALL SELECT {old} FROM "{OLD_PREFIX}{name}"'  # noqa: S608 - names are our own constants


def _above_old_rows(database: SqliteDatabase) -> str:
    """Return the addend for our ids: an older system's rows join only their own."""
    old = f"{OLD_PREFIX}trading_orders"
    if _find_kind(database, old) is None or "id" not in map(str.lower, database.columns(f'"{old}"')):
        return ""
    row = database.row(f'SELECT coalesce(max(id), 0) FROM "{old}"')  # noqa: S608 - names are our own constants
    return f" + {int(row[0])}" if row else ""


def _find_kind(database: SqliteDatabase, name: str) -> str | None:
    row = database.row("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (name,))
    return None if row is None else str(row["type"])
