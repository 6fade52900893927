"""The console for tables and trees, and how texts from outside are printed on it."""

from __future__ import annotations

import re
from typing import Final

from rich.console import Console
from rich.markup import escape

WIDE: Final = 200  # columns of output without a window
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def open_console() -> Console:
    """Return a console as wide as the window. Without a window it is wide enough for file names."""
    found = Console(highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = max(found.width, WIDE)
    return found


def escape_text(text: object) -> str:
    """Escape a text from outside: neither its markup nor its control characters have an effect."""
    return escape(_escape_controls(str(text)))


def print_text(screen: Console, text: str) -> None:
    """Print a text from outside line for line, with its control characters escaped."""
    screen.file.write(_escape_controls(text) + ("" if text.endswith("\n") else "\n"))


def _escape_controls(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
