"""Typed models from parsed data. An error is one sentence with source, key and mend.

A validator's text has two parts, problem and mend: "is not positive; give a positive number".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from Departments.core.documents import json_text
from Departments.core.errors import BadInput

Model = TypeVar("Model")


def validate(
    model: type[Model],
    data: Mapping[str, Any],
    source: str | Path,
    *,
    suggest: bool = False,
    name_all: bool = False,
    place: str = "",
) -> Model:
    """Build a typed model, or a dataclass of such fields, from parsed data. Raises BadInput naming the first wrong key.

    A field's alias, if any, is its only key. Of several faults a misspelt key comes first; `suggest` adds the
    probable key, `name_all` names every misspelt key with it. `place` is the data's place in the source.
    """
    try:
        if issubclass(model, BaseModel):
            return model.model_validate(data, by_alias=True, by_name=False)
        kind: type = model
        built: Model = _adapter(kind).validate_python(data, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = error.errors()
        unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
        first = (unknown or faults)[0]
        key, (problem, mend) = _path_of(first, place), _problem_and_mend(first, model)
        if suggest and unknown:
            problem, mend = _suggestion(first["loc"], model) or (problem, mend)
        if name_all and unknown:
            key, problem, mend = _name_unknown(unknown, place, model)
        raise BadInput(source, key, problem, mend) from error
    return built


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
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


def _problem_and_mend(fault: Any, model: type) -> tuple[str, str]:
    *above, key = fault["loc"] or ("",)
    if fault["type"] == "extra_forbidden":
        return "is not a known key", "remove it or correct its name"
    if fault["type"] == "missing":
        return "is missing", _example(str(key), _model_at(model, above))
    if fault["type"] == "model_type":
        return f"must hold keys and values (found {fault['input']!r})", "write its keys below it"
    problem, _, mend = str(fault["msg"]).removeprefix("Value error, ").partition("; ")
    if mend:
        return problem, mend
    found = "" if isinstance(fault["input"], dict) else f" (found {fault['input']!r})"
    return problem[:1].lower() + problem[1:] + found, "correct the value"


def _path_of(fault: Any, place: str) -> str:
    return ".".join(filter(None, (place, *(str(part) for part in fault["loc"] if part != "[key]"))))


def _name_unknown(faults: Sequence[Any], place: str, model: type) -> tuple[str, str, str]:
    """Return key, problem and mend for all unknown keys, each with the probable one."""
    shown = [(_path_of(fault, place), _suggestion(fault["loc"], model)) for fault in faults]
    if len(shown) == 1:
        ((key, likely),) = shown
        return key, "is not a known key", f"{f'{likely[1]} ' if likely else ''}remove it or correct its name"
    words = ", ".join(f"`{key}` ({likely[1]})" if likely else f"`{key}`" for key, likely in shown)
    return place, f"has unknown keys: {words}", "correct their names or remove them"


def _suggestion(place: Sequence[int | str], model: type) -> tuple[str, str] | None:
    *above, key = place
    holder = _model_at(model, above)
    known = fields_of(holder) if holder else {}
    spellings = [spelling for name, field in known.items() for spelling in spellings_of(name, field)]
    similar = get_close_matches(str(key), spellings, n=1)
    return (f"unknown key `{key}`", f"did you mean `{similar[0]}`?") if similar else None


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
