"""Messages of one pass that cannot be handled now: they wait, are tried again, or become dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.clock import Clock
from Departments.core.platform.disk_trouble import raise_for_disk
from Departments.messaging.failures import TRANSIENT, DeadLetterBox, code_of
from Departments.messaging.looker import State
from Departments.messaging.message import Message
from Departments.messaging.retries import Retries, pause
from Departments.messaging.waiting import WaitingFile

logger = make_logger(__name__)


@dataclass
class Setbacks:
    """The setbacks of one pass. `is_for_us` tells whether a message is addressed to its department.

    `left` messages wait, the first until `retry_at`. `young` files are unfinished, or too young to be condemned.
    """

    clock: Clock
    retries: Retries
    dead_letters: DeadLetterBox
    max_attempts: int
    is_for_us: Callable[[Message], bool]
    left: int = 0
    dead_lettered: int = 0
    retry_at: datetime | None = None
    young: list[WaitingFile] = field(default_factory=list)

    def leave(self, wait: timedelta) -> None:
        """Leave a message for a later pass."""
        self.left += 1
        self.come_again(wait)

    def come_again(self, wait: timedelta) -> None:
        """Ask for another pass."""
        self._come_at(self.clock.now() + wait)

    def _come_at(self, due: datetime) -> None:
        self.retry_at = due if self.retry_at is None else min(self.retry_at, due)

    def postpone(self, key: str) -> bool:
        """Leave a failed message until its next attempt is due. Returns True if it waits."""
        due = self.retries.find_due(key, self.clock.now())
        if due is not None:
            self.left += 1
            self._come_at(due)
        return due is not None

    def forget(self, message_id: str) -> None:
        """Forget the failed attempts at a handled message."""
        self.retries.forget(message_id)

    def retry(self, item: WaitingFile, error: Exception) -> None:
        """Leave a message for another attempt; after the last one make it a dead letter. Raises DiskError."""
        raise_for_disk(error)
        attempts = self.retries.count(item.key, self.clock.now())
        logger.warning("%s: %s failed (attempt %d): %s", self._department, item.key, attempts, error)
        if attempts >= self.max_attempts and not files.is_in_use(error):
            self._give_up(item, error, attempts)
        else:
            self.leave(pause(attempts))

    def retry_reading(self, item: WaitingFile) -> None:
        """Leave a file that the system does not let us read now. A right that stays away condemns it."""
        if not self.postpone(item.key):
            error = UnreadableMessage(str(item.message))
            error.__cause__ = item.found.error
            self.retry(item, error)

    def condemn(self, item: WaitingFile, error: Exception) -> None:
        """Make a file a dead letter, unless it is unreadable and its writer may come back. Raises DiskError."""
        raise_for_disk(error)
        if item.found.state is State.WHOLE or not isinstance(error, UnreadableMessage | BadInput):
            self._give_up(item, error, 1)
        else:
            self.young.append(item)

    def _give_up(self, item: WaitingFile, error: Exception, attempts: int) -> None:
        """Make a file a dead letter. After a failure the next pass does."""
        ours = isinstance(item.message, Message) and self.is_for_us(item.message)
        try:
            code = self.dead_letters.add(item, error, attempts, ours=ours, now=self.clock.now())
        except TRANSIENT as trouble:
            raise_for_disk(trouble)
            code = code_of(error, ours=ours)
            logger.warning("%s: %s (%s) stays for now: %s", self._department, item.name, code, trouble)
            self.leave(pause(1))
            return
        logger.error("%s: %s is set aside: %s: %s", self._department, item.name, code, error)
        self.dead_lettered += 1

    @property
    def _department(self) -> str:
        return self.dead_letters.department
