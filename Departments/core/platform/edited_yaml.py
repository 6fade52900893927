"""One value of a YAML file changed, with every comment and the order of keys kept."""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

from Departments.core.errors import BadInput

WIDE: Final = 10_000  # characters: no line is folded


def set_in_yaml(text: str, key: str, value: str) -> str:
    """Return the text with the value (YAML) at a key such as `broker.name`. Raises BadInput for a value out of place.

    Groups that are missing are added at the end. Comments, order, quotes and numbers of all other keys stay.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - few commands edit
    from ruamel.yaml.comments import CommentedMap  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    editor = YAML()
    editor.preserve_quotes, editor.width = True, WIDE
    editor.representer.add_representer(type(None), _write_null)
    try:
        document, parsed = editor.load(text), editor.load(value)
    except (YAMLError, ValueError, RecursionError) as error:  # 2025-02-30 is a ValueError
        raise BadInput("config set", key, f"{value!r} is not YAML", "write a number, a word or [A, B]") from error
    document = CommentedMap() if document is None else document
    *groups, name = key.split(".")
    place: Any = document
    for group in groups:
        if not isinstance(place.get(group), dict):
            place[group] = CommentedMap()
        place = place[group]
    place[name] = parsed
    out = StringIO()
    editor.dump(document, out)
    return out.getvalue()


def _write_null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
