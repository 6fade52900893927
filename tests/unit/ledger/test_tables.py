"""The mapping between dataclasses and tables, and the SQL that every engine must understand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path

import pytest

import Departments.ledger
from Departments.core.errors import LedgerError
from Departments.core.orders import OrderStatus, Side
from Departments.core.statuses import AnyStatus, RequestStatus, TradeStatus
from Departments.ledger.database import Words
from Departments.ledger.ledger import TABLES
from Departments.ledger.sqlite import SqliteDatabase
from Departments.ledger.tables import Table, marks

ELSEWHERE = Words(text="text", whole="bigint", data="bytea", identity="bigint PRIMARY KEY", clustered="")
#: What only SQLite understands, or understands in its own way.
FOREIGN = re.compile(
    r"INSERT OR|REPLACE INTO|\browid\b|WITHOUT ROWID|AUTOINCREMENT|PRAGMA|\bsqlite_|\bIFNULL\b|\bGLOB\b|\bNOCASE\b"
    r"|(GROUP|ORDER) BY \d|IN \(\)|AS REAL|\b(max|min)\([^()]*,|\b(datetime|strftime|julianday|total)\(|== ?\?",
    re.IGNORECASE,
)
#: The tables of an older system, which are in SQLite.
OLDER = {"old_tables.py", "old_orders.py", "old_positions.py", "old_days.py"}
#: The engine itself, its conversion, and these tables.
OF_SQLITE = {"sqlite.py", "generations.py", "conversion.py", *OLDER}


@dataclass(frozen=True)
class Inner:
    side: Side
    qty: D


@dataclass(frozen=True)
class Everything:
    name: str
    inner: Inner
    count: int
    known: bool
    at: datetime
    day: date
    status: AnyStatus
    notes: tuple[str, ...]
    document: dict[str, object]
    data: bytes
    maybe: D | None = None
    later: datetime | None = None


RECORD = Everything(
    name="one",
    inner=Inner(Side.SELL, D("1.50")),
    count=3,
    known=True,
    at=datetime(2025, 11, 10, 15, 6, tzinfo=UTC),
    day=date(2025, 11, 10),
    status=TradeStatus.DEFERRED,
    notes=("a — dash", "b"),
    document={"price": D("32.66"), "none": None},
    data=b"\x00\xff",
)


@pytest.fixture
def table() -> Table[Everything]:
    return Table("everything", Everything, owner={"plan_id": str}, identity="number", rules=("UNIQUE (name)",))


@pytest.fixture
def database(tmp_path: Path, table: Table[Everything]) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase(tmp_path / "facts.db", [table])) as opened:
        yield opened


def test_a_record_comes_back_as_it_was_added(database: SqliteDatabase, table: Table[Everything]) -> None:
    table.insert(database, RECORD, plan_id="P")
    assert table.find(database, "plan_id = ? AND day = ?", "P", RECORD.day) == [RECORD]
    assert table.first(database, "name = ?", "nobody") is None


def test_columns_are_the_fields_and_their_types(database: SqliteDatabase) -> None:
    found = {row["name"]: (row["type"], row["notnull"]) for row in database.rows("PRAGMA table_info(everything)")}
    assert list(found) == [
        *("number", "plan_id", "name", "side", "qty", "count", "known", "at", "day", "status"),
        *("notes", "document", "data", "maybe", "later"),
    ]
    assert (found["qty"], found["count"], found["data"]) == (("TEXT", 1), ("INTEGER", 1), ("BLOB", 1))
    assert (found["maybe"], found["later"]) == (("TEXT", 0), ("TEXT", 0))


def test_an_update_takes_values_and_counts_rows(database: SqliteDatabase, table: Table[Everything]) -> None:
    table.insert(database, RECORD, plan_id="P")
    changes = {"status": RequestStatus.RELEASED, "qty": D("2.5"), "later": RECORD.at}
    assert table.update(database, changes, "at = ?", RECORD.at) == 1
    assert table.update(database, changes, "at = ?", None) == 0
    (found,) = table.find(database, "status = ?", RequestStatus.RELEASED)
    assert (found.status, found.inner.qty, found.later) == (RequestStatus.RELEASED, D("2.5"), RECORD.at)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", b"\xff"), ("side", "HOLD"), ("qty", "many"), ("qty", "NaN"), ("qty", "Infinity"), ("count", "three"),
        ("known", "yes"), ("at", "soon"), ("at", b"\xff"), ("day", ""), ("notes", "5"), ("document", "7"),
        ("document", ""), ("data", "text"), ("maybe", "abc"), ("later", "-1"),
    ],
)  # fmt: skip
def test_a_damaged_value_is_named_with_file_table_and_column(
    database: SqliteDatabase, table: Table[Everything], column: str, value: object
) -> None:
    table.insert(database, RECORD, plan_id="P")
    database.execute(f"UPDATE everything SET {column} = ?", [value])
    for read in (lambda: table.find(database, "1 = 1"), lambda: table.read_value(database, column, "1 = 1")):
        with pytest.raises(LedgerError) as caught:
            read()
        assert (
            f"{database.path}: the ledger is damaged: its table everything holds {value!r} as {column}; put a copy"
            in (caught.value.sentence)
        )


def test_a_status_that_nobody_knows_is_unknown(database: SqliteDatabase, table: Table[Everything]) -> None:
    table.insert(database, RECORD, plan_id="P")
    table.update(database, {"status": "half_filled"}, "1 = 1")
    assert [found.status for found in table.find(database, "1 = 1")] == [OrderStatus.UNKNOWN]


def test_a_field_of_two_types_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: int | str

    with pytest.raises(TypeError, match="value: a column has one type"):
        Table("odd", Odd)


def test_nothing_is_in_an_empty_list(database: SqliteDatabase, table: Table[Everything]) -> None:
    table.insert(database, RECORD, plan_id="P")
    assert table.find(database, f"name IN ({marks(())})") == []
    assert (marks("ab"), marks(())) == ("?, ?", "NULL")


def sql_in(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are not docstrings, the parts of each f-string joined."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    docs = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inside):
            yield node.value


def test_the_ledger_s_sql_is_what_another_engine_understands_too() -> None:
    modules = [p for p in Path(Departments.ledger.__path__[0]).glob("*.py") if p.name not in OF_SQLITE]
    texts = [(path.name, text) for path in modules for text in sql_in(path)]
    assert [each for each in texts if FOREIGN.search(each[1])] == []
    assert len([text for _, text in texts if "SELECT" in text]) > 5


def test_the_tables_are_what_another_engine_understands_too() -> None:
    statements = [statement for table in TABLES for statement in table.statements(ELSEWHERE)]
    assert [statement for statement in statements if FOREIGN.search(statement)] == []
    assert sum(statement.startswith("CREATE TABLE") for statement in statements) == len(TABLES)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR IGNORE INTO t VALUES (?)",
        "SELECT a FROM t ORDER BY rowid",
        "SELECT a, max(b) FROM t GROUP BY 1",
        "SELECT max(a, b) FROM t",
        "SELECT a FROM t WHERE b IN ()",
        "CREATE TABLE t (a TEXT) WITHOUT ROWID",
    ],
)
def test_what_only_sqlite_understands_is_found(sql: str) -> None:
    assert FOREIGN.search(sql)
