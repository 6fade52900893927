"""Delivers letters into folders, and delivers again what a power cut took.

A letter is delivered by: two temporary files, exclusive link of the first into the recipient's Inbox, rename of the
second into the sender's Outbox. So a copy in the Outbox proves the delivery and keeps its text whatever becomes of the
other, no file is ever visible half-written, and none is ever overwritten. The ledger makes letters durable, so nothing
is flushed here but on request.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Final

from Departments.core.errors import MessageConflict, PublishError
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.clock import Clock
from Departments.core.platform.rights import Rights
from Departments.messaging import disk
from Departments.messaging.disk import Copy
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX, OUTBOX, STALE, Folders, list_entries
from Departments.messaging.names import moment_in
from Departments.messaging.ports import Letter

A_DAY: Final = timedelta(days=1)

logger = make_logger(__name__)


class Delivery:
    """Puts letters into the folders of a mailbox. `clock` is the file system's clock."""

    def __init__(self, folders: Folders, links: disk.HardLinks, clock: Clock, rights: Rights) -> None:
        self._folders = folders
        self._links = links
        self._clock = clock
        self._rights = rights
        self._is_clean = False

    def publish(self, letters: Sequence[Letter], *, again: bool = False) -> None:
        """Put letters into their folders, unflushed. Leaves delivered letters alone.

        A sender's copy in the Outbox proves the delivery. `again` also mends copies torn by a power cut, in any box.
        Raises MessageConflict for a name with other content, PublishError if the system refuses; nothing of the
        refused letter is visible then.
        """
        try:
            for letter in letters:
                letter.check()
            undelivered = self._mend if again else self._is_fresh
            fresh = [letter for letter in letters if undelivered(letter)]
            if fresh:
                self._check_before(fresh)
                self._folders.retry_without_folder(lambda: self._deliver(fresh))
        except OSError as error:
            raise PublishError(_sentence(error, letters, self._folders.base)) from error

    def _deliver(self, letters: Sequence[Letter]) -> None:
        received: dict[str, Letter] = {}
        sent: dict[str, Letter] = {}
        try:
            self._write(letters, received, sent)
            for path, letter in received.items():
                with self._folders.announce("publish.deliver"):
                    self._link(path, self._inbox_path(letter), letter)
            self._keep(sent)
        finally:
            self._drop([*received, *sent])

    def _is_fresh(self, letter: Letter) -> bool:
        """Return True if the sender has no whole copy yet. Raises MessageConflict if it has another message."""
        path = self._outbox_path(letter)
        return not os.path.lexists(path) or not self._has_copy(path, letter)

    def _outbox_path(self, letter: Letter) -> str:
        return f"{self._folders.make(OUTBOX, letter.sender)}{os.sep}{letter.name}"

    def _inbox_path(self, letter: Letter) -> str:
        return f"{self._folders.make(INBOX, letter.recipient)}{os.sep}{letter.name}"

    def _check_before(self, letters: Sequence[Letter]) -> None:
        """Raise foreseeable errors before any letter is delivered."""
        if len(letters) > 1:
            self._check_together(letters)
        for folder in {self._folders.make(OUTBOX, letter.sender) for letter in letters}:
            if not os.access(folder, os.W_OK) and os.path.isdir(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    def _check_together(self, letters: Sequence[Letter]) -> None:
        taken: dict[str, bytes] = {}
        for letter in letters:
            waiting = self._folders.path(INBOX, letter.recipient, letter.name)
            self._has_copy(waiting, letter)
            for path in (waiting, self._folders.path(OUTBOX, letter.sender, letter.name)):
                if taken.setdefault(path, letter.data) != letter.data:
                    raise _conflict(letter)

    def _has_copy(self, path: str, letter: Letter) -> bool:
        """Return True if a whole copy is there. Raises MessageConflict for other content."""
        found = disk.compare(path, letter.data)
        if found is Copy.OTHER:
            raise _conflict(letter)
        return found is Copy.WHOLE

    def _write(self, letters: Sequence[Letter], *copies: dict[str, Letter]) -> None:
        """Write a temporary file of each letter for each of the `copies`, and enter it there first."""
        if not self._is_clean:
            self.clean()
        with self._folders.announce("publish.write"):
            for temporary in copies:
                for letter in letters:
                    path = self._folders.name_temporary()
                    temporary[path] = letter
                    disk.write_new(path, letter.data, flush=False, rights=self._rights)

    def _link(self, path: str, target: str, letter: Letter) -> None:
        """Give a letter its name in an inbox. Replaces a torn copy."""
        try:
            disk.link_new(path, target, self._links, self._rights)
        except FileExistsError:
            if not self._has_copy(target, letter):
                disk.link_new(path, f"{path}.again.tmp", self._links, self._rights)
                files.replace(f"{path}.again.tmp", target)

    def _keep(self, temporary: dict[str, Letter]) -> None:
        """Turn temporary files into the senders' copies."""
        for path, letter in list(temporary.items()):
            target = self._outbox_path(letter)
            with self._folders.announce("publish.keep"):
                try:
                    files.replace(path, target)  # over a torn copy at most, see _is_fresh
                except PermissionError:  # Windows, while a virus scanner has the file open
                    self._link(path, target, letter)
                else:
                    del temporary[path]

    def _drop(self, temporary: Sequence[str]) -> None:
        with self._folders.announce("publish.drop"):
            for path in temporary:
                with suppress(OSError):
                    files.unlink(path)

    # --- after a power cut ---

    def _mend(self, letter: Letter) -> bool:
        """Complete a letter after a kill or a power cut. Returns True if it is not delivered."""
        is_sent = self._has_copy(self._outbox_path(letter), letter)  # raises if it has another message
        if is_sent and disk.compare(self._inbox_path(letter), letter.data) is Copy.WHOLE:
            return False
        is_sent = is_sent or self.has_sent(letter)
        received = [path for path in self._recipient_paths(letter) if self._mend_copy(path, letter)]
        if received and not is_sent:
            self._folders.retry_without_folder(lambda: self._keep(self._write_one(letter)))
        return not is_sent and not received

    def _mend_copy(self, path: str, letter: Letter) -> bool:
        """Replace a torn copy. Returns True if a whole copy is there now."""
        found = disk.compare(path, letter.data)
        if found is Copy.TORN:
            logger.warning("%s was torn by a power cut and is restored", path)
            (temporary,) = self._write_one(letter)
            with self._folders.announce("publish.mend"):
                files.replace(temporary, path)
        return found in (Copy.WHOLE, Copy.TORN)

    def _write_one(self, letter: Letter) -> dict[str, Letter]:
        temporary: dict[str, Letter] = {}
        self._write([letter], temporary)
        return temporary

    def _sender_paths(self, letter: Letter) -> list[str]:
        """Return the possible paths of the sender's copy."""
        return self._paths(letter, letter.sender, OUTBOX)

    def _recipient_paths(self, letter: Letter) -> list[str]:
        """Return the possible paths of a received letter: waiting, set aside, or archived."""
        return self._paths(letter, letter.recipient, INBOX, DEAD_LETTER)

    def _paths(self, letter: Letter, department: str, *boxes: str) -> list[str]:
        first = _day_before(letter.name)
        days = [
            (ARCHIVE, day.name)
            for day in list_entries(self._folders.path(ARCHIVE))
            if day.name >= first and day.is_dir()
        ]
        return [self._folders.path(*folder, department, letter.name) for folder in (*((box,) for box in boxes), *days)]

    # --- making letters safe ---

    def has_sent(self, letter: Letter) -> bool:
        """Return True if the sender has a whole copy: it proves the delivery."""
        return any(disk.compare(path, letter.data) is Copy.WHOLE for path in self._sender_paths(letter))

    def flush(self, letters: Sequence[Letter]) -> list[str]:
        """Flush letters and their folders. Returns the names with a whole sender's copy."""
        safe, folders = [], set[str]()
        for letter in letters:
            sent, received = (
                [path for path in paths if disk.compare(path, letter.data) is Copy.WHOLE]
                for paths in (self._sender_paths(letter), self._recipient_paths(letter))
            )
            if sent:
                safe.append(letter.name)
                folders |= {os.path.dirname(path) for path in (*sent, *received)}
                for path in (*sent, *received) if self._folders.flushes else ():
                    disk.sync_file(path)
        for folder in sorted(folders):
            self._folders.flush_folder(folder)
        return safe

    def clean(self, *, stale: float = STALE) -> int:
        """Remove temporary files untouched for `stale` seconds. Returns their number."""
        self._is_clean = True
        return self._folders.clean(self._clock, stale=stale)


@lru_cache(maxsize=256)
def _day_before(name: str) -> str:
    """Return the day before a message's stamp, the first of its archive. Empty without a stamp."""
    moment = moment_in(name)
    return (moment - A_DAY).date().isoformat() if moment else ""


def _conflict(letter: Letter) -> MessageConflict:
    return MessageConflict(f"{letter.name} was published before with other content; it stays as it was.")


def _sentence(error: OSError, letters: Sequence[Letter], folder: str) -> str:
    place, problem = error.filename2 or error.filename or folder, files.describe(error)
    what = f"the message {letters[0].name[:80]}" if len(letters) == 1 else f"one of {len(letters)} messages"
    return (
        f"{place}: {what} cannot be written ({problem}); nothing of it is visible; "
        "make room there or correct the rights, and run the same command again."
    )
