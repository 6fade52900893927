"""The console that tables and trees are printed on."""

from __future__ import annotations

from rich.console import Console

WIDE = 200  # columns, where nobody's window sets them


def console() -> Console:
    """Return a console as wide as the window, or wide enough for whole file names where the output is no terminal."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = max(found.width, WIDE)
    return found
