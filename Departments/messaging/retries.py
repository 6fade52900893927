"""When a failed message is tried again: after 1, 2, 4 … seconds, at most a minute."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from Departments.core.errors import LedgerError
from Departments.messaging.ports import Journal

LONGEST_PAUSE: Final = 60.0


def pause(attempts: int) -> timedelta:
    """Return the wait after the n-th failed attempt: 1, 2, 4 … seconds, at most a minute."""
    return timedelta(seconds=min(LONGEST_PAUSE, 2.0 ** min(attempts - 1, 10)))


class Retries:
    """The failed messages of one department, as the journal counted them when this was made."""

    def __init__(self, journal: Journal, department: str) -> None:
        self._journal = journal
        self._department = department
        self._failures = journal.failures(department)

    def find_due(self, message_id: str, now: datetime) -> datetime | None:
        """Return the moment of the next attempt, None if it may be made now."""
        if message_id not in self._failures:
            return None
        attempts, _, last = self._failures[message_id]
        due = last + pause(attempts)
        return due if last <= now < due else None  # a failure later than now: somebody set the clock back

    def count(self, message_id: str, now: datetime) -> int:
        """Count a failed attempt. Returns the attempts so far, 1 if the ledger cannot count now."""
        with suppress(LedgerError):
            return self._journal.count_failure(self._department, message_id, now)
        return 1

    def forget(self, message_id: str) -> None:
        """Reset the count of a handled message."""
        if message_id in self._failures:
            self._journal.forget_failures(self._department, message_id)
