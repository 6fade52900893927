"""JSON for documents and messages.

Output: two spaces of indent, Decimals and numpy's numbers as plain numbers, moments as ISO 8601 with Z. Input: numbers
with a point become Decimal. Duplicate keys are refused, and so are NaN and infinities unless a reader judges them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import repeat
from typing import Any, Final

from Departments.core.errors import BadInput
from Departments.core.moments import iso
from Departments.core.money import LARGEST
from Departments.core.safe_text import escape_in_json
from Departments.core.syntax import describe_json

ReadRow = Callable[[Any, int], Any]  # a row and its place in its list


def json_text(document: Any, *, ascii_only: bool = False) -> str:
    """Format a document as indented JSON, without a final newline.

    Raises TypeError or ValueError for values outside JSON.
    """
    return escape_in_json("".join(_lay_out(document, ascii_only, "\n")))


def json_pieces(document: Any) -> Iterator[str]:
    """Yield the text of `json_text` piece by piece, so a long one never is in memory as a whole."""
    return map(escape_in_json, _lay_out(document, False, "\n"))


def parse_json(text: str, *, keep_nan: bool = False) -> Any:
    """Parse JSON with Decimal numbers. Raises ValueError, also for NaN, infinities and duplicate keys.

    With `keep_nan` NaN and infinities become Decimals that are not finite: whoever reads them refuses them by key.
    A lone surrogate (an escape in a text that was cut off) becomes U+FFFD: no encoding can write it.
    """
    try:
        found = (_LENIENT if keep_nan else _DECODER).decode(text)
    except ValueError as error:
        raise ValueError(describe_json(error)) from error
    return _whole(found) if _SURROGATE.search(text) else found


def parse_rows(text: str, readers: Mapping[str, ReadRow]) -> dict[str, Any] | None:
    """Parse a JSON object with NaN; the rows of its lists named in `readers` are read one by one as they come.

    So thousands of rows never are in memory together. Returns None for any other text: `parse_json` says what is wrong.
    """
    try:
        return None if _SURROGATE.search(text) else _parse_object(text, readers)
    except (IndexError, ValueError, RecursionError):
        return None


def _parse_object(text: str, readers: Mapping[str, ReadRow]) -> dict[str, Any]:
    """Parse a whole text. Raises ValueError or IndexError for anything but one object."""
    found: dict[str, Any] = {}
    at = _expect(text, 0, "{")
    while True:
        if text[at] != '"':
            raise ValueError("no key")
        key, at = _LENIENT.raw_decode(text, at)
        if key in found:
            raise ValueError("a key twice")
        at = _expect(text, at, ":")
        is_read = key in readers and text[at] == "["
        found[key], at = _parse_list(text, at, readers[key]) if is_read else _LENIENT.raw_decode(text, at)
        at = _skip_space(text, at)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if _skip_space(text, at + 1) != len(text):
        raise ValueError("more than one object")
    return found


def _parse_list(text: str, at: int, read: ReadRow) -> tuple[list[Any], int]:
    rows: list[Any] = []
    at = _skip_space(text, at + 1)
    if text[at] == "]":
        return rows, at + 1
    while True:
        row, at = _LENIENT.raw_decode(text, at)
        rows.append(read(row, len(rows)))
        at = _skip_space(text, at)
        if text[at] == "]":
            return rows, at + 1
        at = _expect(text, at, ",")


def _expect(text: str, at: int, mark: str) -> int:
    """Return the place of what follows a mark, or raise ValueError."""
    at = _skip_space(text, at)
    if text[at] != mark:
        raise ValueError(f"no {mark}")
    return _skip_space(text, at + 1)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def as_json(document: Any, source: str, *, keep_nan: bool = False) -> Any:
    """Convert a script's argument, of any classes, to plain JSON values. Raises BadInput naming `source`."""
    try:
        text = json.dumps(document, ensure_ascii=False, default=_plain)
        text.encode()
        return parse_json(text, keep_nan=keep_nan)
    except (TypeError, ValueError, RecursionError) as error:
        mend = "make it of text, finite numbers, lists and mappings"
        raise BadInput(source, "", "cannot be written as JSON", mend) from error


def for_scripts(document: Any) -> Any:
    """Convert a document's numbers to int and float: scripts calculate with them and write them into files."""
    return json.loads(json.dumps(document, default=_plain))


def _lay_out(value: Any, ascii_only: bool, end: str) -> Iterator[str]:  # noqa: FBT001 - as in json_text
    """Yield the pieces of what `json.dumps` with an indent of two returns; `end` is the line end and its indent.

    `indent` switches the library to its slow Python encoder. Separators lay out what is flat several times faster.
    """
    inner = end + "  "
    encode = _find_encoder(ascii_only, inner)
    if not isinstance(value, _HOLDERS) or not value:
        yield encode(value)
        return
    held = value.values() if isinstance(value, dict) else value
    if not any(isinstance(each, _HOLDERS) for each in held):
        text = encode(value)
        yield f"{text[0]}{inner}{text[1:-1]}{end}{text[-1]}"
        return
    opens, closes = "{}" if isinstance(value, dict) else "[]"
    keys = [f"{encode({key: None})[1:-7]}: " for key in value] if isinstance(value, dict) else repeat("")
    for place, (key, each) in enumerate(zip(keys, held, strict=False)):
        yield f"{',' if place else opens}{inner}{key}"
        yield from _lay_out(each, ascii_only, inner)
    yield f"{end}{closes}"


@cache
def _find_encoder(ascii_only: bool, inner: str) -> Callable[[Any], str]:  # noqa: FBT001 - as in json_text
    return json.JSONEncoder(ensure_ascii=ascii_only, default=_plain, separators=(f",{inner}", ": ")).encode


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if value.adjusted() > LARGEST:  # its digits would fill the memory
            raise ValueError("a number is too large to be written")
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numbers and arrays of numpy and pandas
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return {_whole(k): _whole(v) for k, v in value.items()} if isinstance(value, dict) else value


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} appears twice")
    return found


_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique)
_LENIENT: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_unique)
_SURROGATE: Final = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_HOLDERS: Final = (dict, list, tuple)
