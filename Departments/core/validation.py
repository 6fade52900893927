"""Typed models from parsed data. An error is one sentence with source, key and mend.

A validator's text has two parts, problem and mend: "is not positive; give a positive number".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from Departments.core.documents import json_text
from Departments.core.errors import BadInput

Model = TypeVar("Model")
SHOWN: Final = 80  # characters of a wrong value
_NOWHERE: Final = object()
_WORDS: Final = {None: "null", True: "true", False: "false"}


def validate(
    model: type[Model],
    data: Mapping[str, Any],
    source: str | Path,
    *,
    place: str = "",
) -> Model:
    """Build a typed model, or a dataclass of such fields, from parsed data. Raises BadInput naming the first wrong key.

    A field's alias, if any, is its only key. Of several faults misspelt keys come first: all of them are named, each
    with the probable key. `place` is the data's place in the source.
    """
    try:
        if issubclass(model, BaseModel):
            return model.model_validate(data, by_alias=True, by_name=False)
        kind: type = model
        built: Model = adapter_of(kind).validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = error.errors()
        unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
        if unknown:
            raise BadInput(source, *_name_unknown(unknown, place, model, data)) from error
        raise BadInput(source, _path_of(faults[0], place, data), *_problem_and_mend(faults[0], model)) from error
    return built


@cache
def adapter_of(kind: type) -> TypeAdapter[Any]:
    """Return the validator of a model, or of a dataclass of such fields."""
    return TypeAdapter(kind)


@cache
def fields_of(kind: type) -> Mapping[str, FieldInfo]:
    """Return the fields with keys of a model or a dataclass, by their names."""
    if issubclass(kind, BaseModel):
        return kind.model_fields
    if not is_dataclass(kind):
        return {}
    hints, found = get_type_hints(kind, include_extras=True), {}
    for field in fields(kind):
        default = {} if field.default is MISSING else {"default": field.default}
        found[field.name] = FieldInfo.merge_field_infos(FieldInfo.from_annotation(hints[field.name]), **default)
    return {name: field for name, field in found.items() if field.description}


def key_of(name: str, field: FieldInfo) -> str:
    """Return a field's key in files."""
    return field.serialization_alias or field.alias or next(iter(_choices(field)), name)


def spellings_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return all accepted keys of a field, the present one first."""
    return tuple(dict.fromkeys((key_of(name, field), *_choices(field))))


def _choices(field: FieldInfo) -> list[str]:
    choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
    return [choice for choice in choices if isinstance(choice, str)]


#: pydantic's kind of fault, the problem, the mend. In braces: the facts of the fault
#: (https://docs.pydantic.dev/latest/errors/validation_errors/).
_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("must be more than {gt}", "raise it"),
    "greater_than_equal": ("must be at least {ge}", "raise it"),
    "less_than": ("must be less than {lt}", "lower it"),
    "less_than_equal": ("must be at most {le}", "lower it"),
    "literal_error": ("must be {expected}", "write one of these"),
    "string_type": ("must be a text", "write it in quotes"),
    "path_type": ("must be the path of a file or folder", "write it in quotes"),
    "too_short": ("has too few entries", "add what is missing"),
    "too_long": ("has too many entries", "remove some"),
}
_KINDS: Final[Sequence[tuple[str, tuple[str, str]]]] = (
    ("bool", ("must be true or false", "write one of them")),
    ("int", ("must be a whole number", "write it without quotes and point")),
    ("float", ("must be a number", "write it without quotes")),
    ("finite", ("must be a finite number", "write a number")),
    ("decimal", ("must be a number", "write it without quotes")),
    ("date", ("must be a date", "write it as 2025-11-10")),
    ("list", ("must be a list", "write it as [A, B]")),
    ("tuple", ("must be a list", "write it as [A, B]")),
    ("frozen_set", ("must be a list", "write it as [A, B]")),
    ("mapping", ("must hold keys and values", "write its keys below it")),
    ("dict", ("must hold keys and values", "write its keys below it")),
    ("model", ("must hold keys and values", "write its keys below it")),
    ("dataclass", ("must hold keys and values", "write its keys below it")),
)


def _problem_and_mend(fault: Any, model: type) -> tuple[str, str]:
    *above, key = fault["loc"] or ("",)
    if fault["type"] == "missing":
        return "is missing", _example(str(key), _model_at(model, above))
    if fault["type"] in {"value_error", "assertion_error"}:  # of our own validators
        problem, _, mend = str(fault["ctx"]["error"]).partition("; ")
        return problem, mend or "correct the value"
    problem, mend = _words_of(fault["type"])
    found = "" if isinstance(fault["input"], dict) else f" (found {_shorten(fault['input'])})"
    return problem.format_map(fault.get("ctx", {})) + found, mend


def _words_of(kind: str) -> tuple[str, str]:
    by_kind = (words for start, words in _KINDS if kind.startswith(start))
    return _FAULTS.get(kind) or next(by_kind, ("has an impossible value", "correct the value"))


def _shorten(value: Any) -> str:
    text = _WORDS[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _path_of(fault: Any, place: str, data: Any) -> str:
    """Return the keys to a fault. Pydantic's names for the members of a union are left out: no file has them."""
    parts, at = [], data
    *_, last = fault["loc"] or ("",)
    for part in fault["loc"]:
        inside = _look_up(at, part)
        is_absent = part == last and fault["type"] in {"missing", "value_error"} and str(part).isidentifier()
        if inside is not _NOWHERE or is_absent:
            parts.append(str(part))
            at = inside
    return ".".join(filter(None, (place, *parts)))


def _look_up(holder: Any, part: int | str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(part, _NOWHERE)
    is_place = isinstance(part, int) and isinstance(holder, list | tuple) and part < len(holder)
    return holder[int(part)] if is_place else _NOWHERE


def _name_unknown(faults: Sequence[Any], place: str, model: type, data: Any) -> tuple[str, str, str]:
    """Return key, problem and mend for all unknown keys, each with the probable one."""
    shown = [(_path_of(fault, place, data), _suggestion(fault["loc"], model)) for fault in faults]
    if len(shown) == 1:
        ((key, likely),) = shown
        return (
            key,
            "is not a known key",
            f"{likely} Correct its name or remove it" if likely else "correct its name or remove it",
        )
    words = ", ".join(f"`{key}` ({likely})" if likely else f"`{key}`" for key, likely in shown)
    return place, f"has unknown keys: {words}", "correct their names or remove them"


def _suggestion(place: Sequence[int | str], model: type) -> str:
    """Return `did you mean …?`, or an empty text."""
    *above, key = place
    holder = _model_at(model, above)
    known = fields_of(holder) if holder else {}
    spellings = [spelling for name, field in known.items() for spelling in spellings_of(name, field)]
    similar = get_close_matches(str(key), spellings, n=1)
    return f"did you mean `{similar[0]}`?" if similar else ""


def _example(key: str, model: type | None) -> str:
    known = fields_of(model).items() if model else ()
    examples = next((field.examples for name, field in known if key_of(name, field) == key), None)
    return f'write "{key}": {json_text(examples[0])}' if examples else "add it"


def _model_at(model: type, place: Sequence[int | str]) -> type | None:
    """Return the model around a key; None if it is unclear."""
    found: type | None = model
    for part in place:
        if found is not None and isinstance(part, str):
            known = fields_of(found).items()
            field = next((field for name, field in known if part in spellings_of(name, field)), None)
            found = next(models_in(field.annotation), None) if field else None
    return found


def models_in(annotation: Any) -> Iterator[type]:
    """Yield the models inside an annotation, and the dataclasses whose fields have keys."""
    if isinstance(annotation, type) and get_origin(annotation) is None and fields_of(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)
