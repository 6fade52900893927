"""How values are written into the ledger and read back."""

from __future__ import annotations

from collections.abc import Sized
from datetime import datetime
from decimal import Decimal

from Departments.core.clock import iso, parse_iso
from Departments.core.money import plain


def number_text(number: Decimal | None) -> str | None:
    """Write a Decimal as plain text; None stays None."""
    return None if number is None else plain(number)


def number(text: str | None) -> Decimal | None:
    """Read a Decimal; None stays None."""
    return None if text is None else Decimal(text)


def time_text(moment: datetime | None) -> str | None:
    """Write a moment as ISO 8601 UTC; None stays None."""
    return None if moment is None else iso(moment)


def moment(text: str | None) -> datetime | None:
    """Read a moment; None stays None."""
    return None if text is None else parse_iso(text)


def marks(values: Sized) -> str:
    """Return as many question marks as there are values, to stand for them in a list of a statement."""
    return ", ".join("?" * len(values))
