"""Moments as text: ISO 8601 for programs, New York time for people, stamps for file names. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from Departments.core.trading_calendar import EASTERN

#: How far clocks may differ. A later time than that proves nothing about the age of anything.
CLOCKS_DIFFER: Final = timedelta(minutes=2)

_OFFSETS: Final = {"UTC": "+00:00", "EST": "-05:00", "EDT": "-04:00"}


@lru_cache(maxsize=1024)
def iso(moment: datetime) -> str:
    """Format a moment for messages: `2025-11-10T15:09:12.760093Z`. These texts sort by time.

    One moment is written into many rows and messages, so it is remembered.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def show_moment(moment: datetime, *, seconds: bool = False) -> str:
    """Format a moment for people, in New York time with its zone: `2025-11-10 10:09 EST`."""
    return f"{moment.astimezone(EASTERN):%Y-%m-%d %H:%M{':%S' if seconds else ''} %Z}"


def show_time(moment: datetime) -> str:
    """Format the time of a day for people, in New York time with its zone: `10:09:12 EST`."""
    return f"{moment.astimezone(EASTERN):%H:%M:%S %Z}"


def show_day(moment: datetime) -> str:
    """Format the day of a moment for people, by the date in New York: `10 Nov 2025`."""
    return f"{moment.astimezone(EASTERN):%d %b %Y}"


def show_shortly(moment: datetime) -> str:
    """Format a moment for people without its year, in New York time with its zone: `10 Nov 10:09 EST`."""
    return f"{moment.astimezone(EASTERN):%d %b %H:%M %Z}"


def show_span(since: datetime, until: datetime) -> str:
    """Format a stretch of time for people, with days only if there are two: `10:05:42 to 10:06:09 EST`."""
    begin, end = since.astimezone(EASTERN), until.astimezone(EASTERN)
    form = "%H:%M:%S" if begin.date() == end.date() else "%d %b %H:%M:%S"
    zone = "" if begin.tzname() == end.tzname() else " %Z"
    return f"{begin:{form}{zone}} to {end:{form} %Z}"


def show_text(text: str | None, *, seconds: bool = False) -> str:
    """Format the ISO text of a moment for people; what is none stays as it is, and nothing is "unknown"."""
    if not text:
        return "unknown"
    try:
        return show_moment(parse_iso(text), seconds=seconds)
    except ValueError:
        return text


@lru_cache(maxsize=1024)
def parse_iso(text: str) -> datetime:
    """Parse an ISO 8601 moment, or one as people read it. Without an offset it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(write_offset(text))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def write_offset(text: str) -> str:
    """Replace the zone at the end of a text, UTC, EST or EDT, by its offset: `2025-11-10 10:09-05:00`."""
    moment, _, zone = text.strip().rpartition(" ")
    return moment + _OFFSETS[zone] if zone in _OFFSETS else text.strip()


def stamp(moment: datetime) -> str:
    """Format a moment for file names: `20251110T150912Z`."""
    return moment.astimezone(UTC).isoformat()[:19].replace("-", "").replace(":", "") + "Z"


def is_in_future(moment: datetime, *clocks: datetime) -> bool:
    """Return whether a moment is more than two minutes after every one of these clocks."""
    return moment > max(clocks) + CLOCKS_DIFFER
