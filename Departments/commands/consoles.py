"""The console that tables and trees are printed on, and how texts from outside come to it."""

from __future__ import annotations

import re
from typing import Final

from rich.console import Console
from rich.markup import escape

WIDE: Final = 200  # columns, where nobody's window sets them
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console() -> Console:
    """Return a console as wide as the window, or wide enough for whole file names where the output is no terminal."""
    found = Console(highlight=False, emoji=False)
    if not found.is_terminal:
        found.width = max(found.width, WIDE)
    return found


def plain(text: object) -> str:
    """Return a text from outside for a table, a tree or a line: nothing in it is markup or commands the terminal."""
    return escape(_harmless(str(text)))


def print_text(screen: Console, text: str) -> None:
    """Print a text from outside as it stands, line for line; what would command the terminal is escaped."""
    screen.file.write(_harmless(text) + ("" if text.endswith("\n") else "\n"))


def _harmless(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
