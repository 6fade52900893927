"""JSON as the desk writes it: two spaces, UTF-8, Decimals as plain numbers, moments as ISO 8601 with Z."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from Departments.core.clock import iso


def json_text(document: Any) -> str:
    """Write a document as indented JSON text without a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=_plain)


def parse_json(text: str) -> Any:
    """Read JSON with Decimal numbers. Raises ValueError, also for NaN and infinities."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


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
