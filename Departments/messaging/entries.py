"""Lists of payloads with writers outside the desk, read entry by entry: a bad entry is set aside among the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator


class BriefingRow(BaseModel):
    """One row of a list, or one section. Other keys are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", validate_by_alias=True, validate_by_name=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, row: Any) -> Any:
        return {key: value for key, value in row.items() if value is not None} if isinstance(row, Mapping) else row


UNKNOWN_KEY: Final = "is not a known key"


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """A row with a bad key: the key, its problem and its value.

    `name` is its symbol, or else its place in the list.
    """

    name: str
    key: str
    problem: str
    value: Any


Row = TypeVar("Row", bound=BriefingRow)


def entries_of(model: type[Row], *needed: str) -> Callable[[Any, ValidationInfo], tuple[Row | UnusableEntry, ...]]:
    """Make a reader of a list, entry by entry. An entry needs one of the fields in `needed`."""

    def read(rows: Any, info: ValidationInfo) -> tuple[Row | UnusableEntry, ...]:
        if rows is not None and not isinstance(rows, list | tuple):
            raise ValueError("is not a list; list the entries")
        places = (f"{info.field_name}[{index}]" for index in range(len(rows or ())))
        return tuple(read_entry(model, row, place, needed) for row, place in zip(rows or (), places, strict=True))

    return read


def read_entry(model: type[Row], row: Any, place: str, needed: tuple[str, ...] = ()) -> Row | UnusableEntry:
    """Read one row of a list. `place` is its name if it has no symbol."""
    if isinstance(row, model):
        return row
    if not isinstance(row, Mapping):
        return UnusableEntry(place, "entry", f"{str(row)[:40]!r} is not a mapping", row)
    name = " ".join(str(row.get("ticker") or "").split())[:20] or place
    try:
        found = model.model_validate(row, by_alias=True, by_name=False)
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][-1])
        text = str(fault["msg"]).removeprefix("Value error, ").partition("; ")[0]
        problem = {"missing": "is missing", "extra_forbidden": UNKNOWN_KEY}.get(fault["type"], text)
        return UnusableEntry(name, key, problem, row.get(key))
    if needed and all(getattr(found, field) is None for field in needed):
        return UnusableEntry(name, "composite_score", "is missing", None)
    return found
