"""The console for tables and trees, and how texts from outside are printed on it."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape

from Departments.core.safe_text import Form, make_safe

WIDE: Final = 200  # columns of output without a window


def open_console() -> Console:
    """Return a console as wide as the window. Without a window it is wide enough for file names."""
    found = Console(highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = max(found.width, WIDE)
    return found


def escape_text(text: object) -> str:
    """Make a text from outside safe for one line, without effect of its markup."""
    return escape(make_safe(text))


def print_text(screen: Console, text: str) -> None:
    """Print a text from outside line for line."""
    screen.file.write(make_safe(text, Form.LINES) + ("" if text.endswith("\n") else "\n"))
