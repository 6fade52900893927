"""JSON as the desk writes and reads it, in documents and in messages.

Written: two spaces, Decimals as plain numbers, moments as ISO 8601 with Z. Read: numbers with a point as Decimal; what
JSON does not know, and a key that stands there twice, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from Departments.core.clock import iso


def json_text(document: Any, *, ascii_only: bool = False) -> str:
    """Write a document as indented JSON text without a final newline. Raises TypeError for what JSON cannot hold."""
    written = partial(json.dumps, document, ensure_ascii=ascii_only, default=_plain)
    if not isinstance(document, dict) or not document or any(isinstance(v, _HOLDERS) for v in document.values()):
        return written(indent=2)
    # Told to indent, the library writes in Python; what is flat its separators lay out, several times as fast.
    return "{\n  " + written(separators=(",\n  ", ": "))[1:-1] + "\n}"


def parse_json(text: str) -> Any:
    """Read JSON with Decimal numbers. Raises ValueError, also for NaN, infinities and a key that stands there twice."""
    return _DECODER.decode(text)


def _plain(value: object) -> int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a number JSON knows")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands there twice")
    return found


_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique)
_HOLDERS: Final = (dict, list, tuple)
