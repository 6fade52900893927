"""Lists of payloads with writers outside the desk, read entry by entry: a bad entry is set aside among the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from Departments.core.validation import adapter_of


class BriefingRow(BaseModel):
    """One row of a list, or one section. Other keys are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", validate_by_alias=True, validate_by_name=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, row: Any) -> Any:
        return leave_out_nulls(row) if isinstance(row, Mapping) else row


UNKNOWN_KEY: Final = "is not a known key"
#: The problem for each type of fault whose message is the library's.
PROBLEMS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": UNKNOWN_KEY,
    "unexpected_keyword_argument": UNKNOWN_KEY,
}
Prepare = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """A row with a bad key: the key, its problem and its value.

    `name` is its symbol, or else its place in the list.
    """

    name: str
    key: str
    problem: str
    value: Any


Row = TypeVar("Row")


def leave_out_nulls(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row without its nulls: they are as if they were not there."""
    return {key: value for key, value in row.items() if value is not None}


@dataclass(frozen=True, slots=True)
class EntryReader(Generic[Row]):
    """Reads rows of a list as values of a `kind`: a model, or a dataclass of fields with keys.

    A row needs one of the fields in `needed`. `prepare` changes it before it is read.
    """

    kind: type[Row]
    needed: tuple[str, ...] = ()
    prepare: Prepare = leave_out_nulls

    def read(self, row: Any, place: str) -> Row | UnusableEntry:
        """Read one row. `place` is its name if it has no symbol."""
        if isinstance(row, self.kind | UnusableEntry):  # it was read before
            return row
        if not isinstance(row, Mapping):
            return UnusableEntry(place, "entry", f"{str(row)[:40]!r} is not a mapping", row)
        kind: type = self.kind
        try:
            found = adapter_of(kind).validate_python(self.prepare(row), by_alias=True, by_name=False)
        except ValidationError as error:
            return _describe_fault(error, row, place)
        if self.needed and all(getattr(found, field) is None for field in self.needed):
            return UnusableEntry(_name(row, place), "composite_score", "is missing", None)
        usable: Row = found
        return usable


def entries_of(reader: EntryReader[Row]) -> Callable[[Any, ValidationInfo], tuple[Row | UnusableEntry, ...]]:
    """Make a reader of a list, entry by entry."""

    def read(rows: Any, info: ValidationInfo) -> tuple[Row | UnusableEntry, ...]:
        if rows is not None and not isinstance(rows, list | tuple):
            raise ValueError("is not a list; list the entries")
        return tuple(reader.read(row, f"{info.field_name}[{index}]") for index, row in enumerate(rows or ()))

    return read


def _describe_fault(error: ValidationError, row: Mapping[str, Any], place: str) -> UnusableEntry:
    fault = error.errors()[0]
    key = str(fault["loc"][-1])
    text = str(fault["msg"]).removeprefix("Value error, ").partition("; ")[0]
    return UnusableEntry(_name(row, place), key, PROBLEMS.get(fault["type"], text), row.get(key))


def _name(row: Mapping[str, Any], place: str) -> str:
    return " ".join(str(row.get("ticker") or "").split())[:20] or place
