"""What is told to people: an event with its cause, a title, a few lines and perhaps a file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MOST_LINES: Final = 10


class NoticeEvent(StrEnum):
    """The events, by their keys in the settings."""

    APPROVAL = "approval"
    DONE = "done"
    ISSUE = "issue"
    EXIT_FILLED = "exit_filled"
    DEAD_LETTER = "dead_letter"
    LOCK = "lock"
    HALT = "halt"
    MARKET_CLOSED = "market_closed"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell, once per `cause` and day. `attachment` is the path of a file, empty for none."""

    event: NoticeEvent
    cause: str
    title: str
    lines: tuple[str, ...] = ()
    attachment: str = ""

    @property
    def body(self) -> str:
        """Return the lines as text; without lines the title."""
        return "\n".join(self.lines) or self.title

    def document(self) -> Mapping[str, Any]:
        """Return it for a program of the user."""
        return {
            "event": str(self.event),
            "cause": self.cause,
            "title": self.title,
            "lines": list(self.lines),
            "attachment": self.attachment or None,
        }


def keep_ten(lines: Iterable[str]) -> tuple[str, ...]:
    """Return at most ten lines; the last one counts those left out."""
    found = tuple(lines)
    if len(found) <= MOST_LINES:
        return found
    return (*found[: MOST_LINES - 1], f"… and {len(found) - MOST_LINES + 1} more")
