"""Map a dataclass to its table: a field's name is its column, its type the column's type.

Times are ISO 8601 UTC text with microseconds, so they sort; money and quantities are decimal text; statuses are the
words of their enums; tuples and documents are JSON. A nested dataclass gives its own fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache
from itertools import islice
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from Departments.core.documents import json_text, parse_json
from Departments.core.errors import LedgerError
from Departments.core.moments import iso, parse_iso
from Departments.core.money import plain
from Departments.core.orders import OrderStatus
from Departments.core.statuses import AnyStatus, status_of
from Departments.ledger.database import Damageable, Database, FoundRow, Words

Record = TypeVar("Record")
Convert = Callable[[Any], Any]
#: The writers of values; the first kind that fits counts. All others stay as they are.
_WRITERS: tuple[tuple[type, Convert], ...] = (
    (Enum, lambda member: member.value),
    (str, str),
    (bool, int),
    (Decimal, plain),
    (datetime, iso),
    (date, date.isoformat),
    (tuple, json.dumps),
    (dict, json_text),
)
#: The kinds of fields whose values the engine takes as they are.
_AS_THEY_ARE = frozenset({str, int, bytes})
#: What readers raise at a value that is none of their kind.
UNREADABLE: Final = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


def _expect(kind: type) -> Convert:
    """Return the reader of values that stay as they are. It raises TypeError at another kind."""

    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return read


def _read_number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no number")
    return number


_expect_object: Final = _expect(dict)
#: The readers of columns. Each raises one of UNREADABLE at another kind of value.
_READERS: dict[type, Convert] = {
    str: _expect(str),
    int: _expect(int),
    bytes: _expect(bytes),
    bool: lambda value: bool((0, 1).index(value)),
    Decimal: _read_number,
    datetime: parse_iso,
    date: date.fromisoformat,
    tuple: lambda text: tuple(json.loads(text)),
    dict: lambda text: _expect_object(parse_json(text)),
}


#: So many of a table's rows are remembered as records: those of a day.
REMEMBERED: Final = 2_048


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `read` converts a value of the database, never NULL, to the field's. It raises one of UNREADABLE."""

    name: str
    kind: type
    optional: bool
    read: Convert

    def sql(self, words: Words) -> str:
        """Return the column's definition."""
        held = words.whole if self.kind in {int, bool} else words.data if self.kind is bytes else words.text
        return f"{self.name} {held}" if self.optional else f"{self.name} {held} NOT NULL"


class Table(Generic[Record]):
    """One table of `record`s.

    `owner` names columns before the record's own: they belong to the row, not to the record. `identity` is a column
    counted by the engine. `rules` are the table's constraints, `indexes` whole statements. A `clustered` table has
    short rows, found by their key alone.
    """

    def __init__(
        self,
        name: str,
        record: type[Record],
        *,
        owner: Mapping[str, type] | None = None,
        identity: str | None = None,
        rules: Sequence[str] = (),
        indexes: Sequence[str] = (),
        clustered: bool = False,
    ) -> None:
        self.name, self.record = name, record
        self._identity, self._rules, self._indexes, self._clustered = identity, rules, indexes, clustered
        self._owner = tuple(_make_column(column, kind) for column, kind in (owner or {}).items())
        self._own = tuple(_list_columns(record))
        self.columns = ", ".join(column.name for column in self._own)
        self._reads = tuple(c.read for c in self._own)
        self._build = _make_builder(record)
        self._has_documents = any(column.kind is dict for column in self._own)
        self._find_made = lru_cache(maxsize=REMEMBERED)(self._make)
        paths = zip(self._own, _list_paths(record), strict=True)
        takes = {column.name: path for column, path in paths if column.name != identity}
        self._take = _take_all(*takes.values())
        self._names = (*(column.name for column in self._owner), *takes)
        kinds = {column.name: column.kind for column in (*self._owner, *self._own)}
        self._written = [at for at, column in enumerate(self._names) if kinds[column] not in _AS_THEY_ARE]
        self._inserts: dict[str, str] = {}  # by the text after ON CONFLICT

    # --- its definition ---

    def statements(self, words: Words) -> Iterator[str]:
        """Yield the statements for the table and its indexes."""
        columns = (*self._owner, *self._own)
        counted = [] if self._identity in {None, *(c.name for c in columns)} else [f"{self._identity} {words.identity}"]
        held = [f"{c.name} {words.identity}" if c.name == self._identity else c.sql(words) for c in columns]
        ending = words.clustered if self._clustered else ""
        yield f"CREATE TABLE {self.name} ({', '.join([*counted, *held, *self._rules])}){ending}"
        yield from self._indexes

    # --- its rows ---

    def insert(self, database: Database, record: Record, conflict: str = "", **owner: Any) -> int:
        """Add a record; `conflict` follows ON CONFLICT. Returns the number of added or changed rows."""
        values = [owner[column.name] for column in self._owner]
        values += self._take(record)
        for at in self._written:
            if values[at] is not None:  # half of an order's columns are empty when it is intended
                values[at] = to_column(values[at])
        return database.execute(self._inserts.get(conflict) or self._write_insert(conflict), values)

    def _write_insert(self, conflict: str) -> str:
        then = f" ON CONFLICT {conflict}" if conflict else ""
        names, values = ", ".join(self._names), marks(self._names)
        self._inserts[conflict] = f"INSERT INTO {self.name} ({names}) VALUES ({values}){then}"  # noqa: S608 - our names
        return self._inserts[conflict]

    def replace(self, database: Database, record: Record, key: str, **owner: Any) -> None:
        """Add a record, or replace the row with its `key` (columns, separated by commas)."""
        keys = key.split(", ")
        names = [c.name for c in (*self._owner, *self._own) if c.name not in keys]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        self.insert(database, record, f"({key}) DO UPDATE SET {changes}", **owner)

    def find(self, database: Database, condition: str, *values: Any, order: str = "") -> list[Record]:
        """Return the records under a condition, ordered by columns."""
        by = f" ORDER BY {order}" if order else ""
        sql = f"SELECT {self.columns} FROM {self.name} WHERE {condition}{by}"  # noqa: S608 - our names and marks
        return [self.read(database, row) for row in database.rows(sql, [to_column(value) for value in values])]

    def first(self, database: Database, condition: str, *values: Any, order: str = "") -> Record | None:
        """Return the first of these records, or None."""
        return next(iter(self.find(database, condition, *values, order=f"{order} LIMIT 1" if order else "")), None)

    def update(self, database: Database, changes: Mapping[str, Any], condition: str, *values: Any) -> int:
        """Set columns of the rows under a condition and return their number."""
        sets = ", ".join(f"{name} = ?" for name in changes)
        sql = f"UPDATE {self.name} SET {sets} WHERE {condition}"  # noqa: S608 - our names and marks
        return database.execute(sql, [to_column(value) for value in (*changes.values(), *values)])

    def read(self, database: Damageable, row: FoundRow) -> Record:
        """Return the record of a row with `columns` first, in their order. Raises LedgerError for a damaged one.

        Records are frozen, and a day reads most rows several times: the same row gives the same record. Only one with
        a document, which might be changed, is made anew.
        """
        values = tuple(row)[: len(self._own)]
        try:
            return self._make(values) if self._has_documents else self._find_made(values)
        except UNREADABLE as error:
            raise self._describe_damage(database, values) from error

    def _make(self, values: tuple[Any, ...]) -> Record:
        pairs = zip(self._reads, values, strict=True)
        record: Record = self._build([None if value is None else read(value) for read, value in pairs])
        return record

    def _describe_damage(self, database: Damageable, values: tuple[Any, ...]) -> LedgerError:
        """Return the error of the first column that cannot be read."""
        for column, value in zip(self._own, values, strict=True):
            try:
                self._convert(database, column, value)
            except LedgerError as error:
                return error
        return database.describe_damage(f"its table {self.name} holds a row that cannot be read")

    def _convert(self, database: Damageable, column: Column, value: Any) -> Any:
        try:
            return None if value is None else column.read(value)
        except UNREADABLE as error:
            held = f"{value!r:.40}"
            raise database.describe_damage(f"its table {self.name} holds {held} as {column.name}") from error

    def convert(self, database: Damageable, name: str, value: Any, kind: type | None = None) -> Any:
        """Return a value of a column, read by a query of its own. Raises LedgerError for a damaged one.

        `kind` is that of a text that the record keeps as it is.
        """
        column = next(column for column in self._own if column.name == name)
        return self._convert(database, replace(column, read=_find_reader(kind)) if kind else column, value)

    def read_value(self, database: Database, name: str, condition: str, *values: Any) -> Any:
        """Return one column of the first row under a condition; None without a row, or without a value."""
        row = database.row(f"SELECT {name} FROM {self.name} WHERE {condition} LIMIT 1", values)  # noqa: S608 - our names
        return None if row is None else self.convert(database, name, row[0])


@contextmanager
def naming_damage(database: Damageable, table: Table[Any]) -> Iterator[None]:
    """Raise LedgerError where the content of a table's documents cannot be read."""
    try:
        yield
    except UNREADABLE as error:
        raise database.describe_damage(f"its table {table.name} holds a document that cannot be read") from error


def marks(values: Sized) -> str:
    """Return a question mark per value, for the list of an IN; without values nothing is in it."""
    return ", ".join("?" * len(values)) or "NULL"


def to_column(value: Any) -> Any:
    """Convert a value for its column."""
    write = _find_writer(value.__class__)
    return value if write is None else write(value)


@cache
def _find_writer(kind: type) -> Convert | None:
    return next((write for base, write in _WRITERS if issubclass(kind, base)), None)


def _list_columns(record: type) -> Iterator[Column]:
    hints = get_type_hints(record)
    for field in fields(record):
        kind = hints[field.name]
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _list_columns(kind)
        else:
            yield _make_column(field.name, kind)


def _make_column(name: str, kind: Any) -> Column:
    kinds = tuple(k for k in get_args(kind) if k is not NoneType) if get_origin(kind) in {Union, UnionType} else (kind,)
    base = get_origin(kinds[0]) or kinds[0]
    if len(kinds) > 1 and set(kinds) != set(get_args(AnyStatus)):
        raise TypeError(f"{name}: a column has one type, not {kind}")
    return Column(name, base, NoneType in get_args(kind), status_of if len(kinds) > 1 else _find_reader(base))


def _find_reader(kind: type) -> Convert:
    if issubclass(kind, Enum):
        return OrderStatus.parse if kind is OrderStatus else kind
    return _READERS[kind]


def _make_builder(record: type) -> Callable[[list[Any]], Any]:
    """Return the function from values, in the order of the columns, to a record."""
    names = [field.name for field in fields(record)]
    inner = {
        name: kind for name, kind in get_type_hints(record).items() if isinstance(kind, type) and is_dataclass(kind)
    }
    if not inner:
        places = {field.name: at for at, field in enumerate(fields(record))}
        named = {field.name for field in fields(record) if field.kw_only}
        first = [places[name] for name in names if name not in named]
        return lambda values: record(*[values[at] for at in first], **{name: values[places[name]] for name in named})
    makers = {name: _make_inner_builder(inner[name]) if name in inner else next for name in names}
    return lambda values: record(**{name: make(left) for left in (iter(values),) for name, make in makers.items()})


def _make_inner_builder(record: type) -> Callable[[Iterator[Any]], Any]:
    """Return the function that takes the values of a nested record from those that are left."""
    build, count = _make_builder(record), len(list(_list_columns(record)))
    return lambda values: build(list(islice(values, count)))


def _take_all(*paths: str) -> Callable[[Any], Iterable[Any]]:
    """Return the function from a record to its values."""
    take = attrgetter(*paths)
    return take if len(paths) > 1 else lambda record: (take(record),)


def _list_paths(record: type) -> Iterator[str]:
    """Yield the path of each column in a record, such as `intent.qty`."""
    hints = get_type_hints(record)
    for field in fields(record):
        kind = hints[field.name]
        if isinstance(kind, type) and is_dataclass(kind):
            yield from (f"{field.name}.{path}" for path in _list_paths(kind))
        else:
            yield field.name
