"""The department and the moment in a file name. Names are data, never paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Final

from Departments.core import departments

SUFFIX: Final = ".md"
LONGEST: Final = 255  # bytes of a file's name on the usual file systems
_NUMBER: Final = re.compile(r"\.([1-9]\d{0,5})(?:\.[^.]*)?\Z")
_STAMP: Final = re.compile(r"_(\d{8}T\d{6}Z)(?:_|\.|\Z)")
_OTHER_STAMP: Final = re.compile(r"(?<!\d)(\d{8})[T_-]?(\d{6})(?:\d{3}|\d{6})?Z?(?![0-9A-Za-z])")


def is_message_name(name: str) -> bool:
    """Return True if a file of this name is a message: it ends in `.md` and is not hidden."""
    return name.lower().endswith(SUFFIX) and not name.startswith(".")


def stem(name: str) -> str:
    """Return the name without its `.md`."""
    return name[:-3] if is_message_name(name) else name


def stamp_in(name: str) -> str | None:
    """Return the stamp in a name, `20251110T150912Z`, or None."""
    found = _STAMP.search(name)
    return found.group(1) if found else None


def moment_in(name: str) -> datetime | None:
    """Return the moment of any stamp in the name (UTC), or None."""
    found = _OTHER_STAMP.search(stamp_in(name) or name)
    if found is None:
        return None
    day, time = found.groups()
    hour, minute, second = int(time[:2]), int(time[2:4]), int(time[4:])
    try:  # strptime takes ten times as long
        return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def department_of(text: str) -> str:
    """Read a department as people write it: 'TRADING Department' is TRADING."""
    words = text.strip().upper().split()
    return "_".join(word for word in words if word not in {"DEPARTMENT", "DEPT", "DEPT."})


def department_beginning(letters: str) -> str | None:
    """Return the only department beginning with `letters`, or None.

    Names of regime files end in the first four letters of the recipient.
    """
    found = [name for name in departments.ALL if letters and name.startswith(letters.upper())]
    return found[0] if len(found) == 1 else None


def shorten(name: str, most: int) -> str:
    """Return a name of at most `most` bytes of UTF-8, cut before the last dot."""
    head, dot, tail = name.rpartition(".")
    head, tail = (head, dot + tail) if head else (name, "")
    while len((head + tail).encode("utf-8", "surrogatepass")) > most and head:
        head = head[:-1]
    return head + tail


def add_number(name: str, number: int) -> str:
    """Return the numbered form of a name: `x.md` becomes `x.2.md`."""
    fitting = shorten(name, LONGEST - len(f".{number}"))
    head, dot, tail = fitting.rpartition(".")
    return f"{head}.{number}{dot}{tail}" if head else f"{fitting}.{number}"


def is_form_of(name: str, base: str) -> bool:
    """Return True for a name, and for a numbered form of it."""
    found = _NUMBER.search(name)
    return name == base or (found is not None and add_number(base, int(found.group(1))) == name)


def number_names(name: str) -> Iterator[str]:
    """Yield the name, then its numbered forms without end."""
    yield name
    yield from (add_number(name, number) for number in count(2))
