"""Waiting files: one file of an inbox as read, and other files that claim the same message id."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from Departments.core.errors import Contradiction, UnreadableMessage
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import make_safe
from Departments.messaging import codec
from Departments.messaging.disk import Found, State
from Departments.messaging.message import Message
from Departments.messaging.names import stem
from Departments.messaging.ports import Journal, Storage

NAMED: Final = 5  # files named in one sentence


@dataclass(frozen=True)
class WaitingFile:
    """One waiting file: its name, its bytes, and its message or the reason it has none."""

    name: str
    found: Found
    message: Message | UnreadableMessage

    @property
    def key(self) -> str:
        """Return the id for its failures and its effect."""
        return encodable(self.message.message_id if isinstance(self.message, Message) else self.name)

    @property
    def letter_name(self) -> str:
        """Return the name of the letter with its id."""
        return f"{self.key}.md"

    @cached_property
    def digest(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.found.data).hexdigest()


def read_waiting(mailbox: Storage, department: str, name: str) -> WaitingFile | None:
    """Read a waiting file. Returns None for a vanished one."""
    found = mailbox.look(department, name)
    return None if found is None else WaitingFile(name, found, _decode(name, found))


def _decode(name: str, found: Found) -> Message | UnreadableMessage:
    if found.problem:
        return UnreadableMessage(f"{name} {found.problem}")
    try:
        return codec.decode(found.data, name=name)
    except UnreadableMessage as error:
        return error


def encodable(name: str) -> str:
    """Replace invalid text in a name for the ledger: a file's name may be any bytes."""
    return name.encode("utf-8", "replace").decode()


class Rival(NamedTuple):
    """A file with the same message id and other bytes. `is_growing`: somebody may still write it."""

    name: str
    digest: str
    is_growing: bool = False


class Contradictions:
    """Finds the rivals of messages that nothing proves.

    Sync clients leave "conflict copies" of many names, so the ids in the files count, not the names. The inbox is read
    for them once in a pass, and only if there is such a message. What was set aside as a contradiction counts until a
    person removes it.
    """

    def __init__(self, mailbox: Storage, journal: Journal, department: str) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._department = department

    @cached_property
    def _waiting(self) -> dict[str, list[Rival]]:
        found: dict[str, list[Rival]] = {}
        for name in sorted(self._mailbox.waiting(self._department)):
            file = read_waiting(self._mailbox, self._department, name)
            if file is not None and isinstance(file.message, Message):
                rival = Rival(name, file.digest, file.found.state is State.GROWING)
                found.setdefault(file.key, []).append(rival)
        return found

    @cached_property
    def _set_aside(self) -> dict[str, list[Rival]]:
        found = list_contradictions(self._mailbox, self._journal, self._department)
        return {message_id: [Rival(*each) for each in files] for message_id, files in found.items()}

    def find(self, file: WaitingFile) -> list[Rival]:
        """Return the rivals of a file, waiting or set aside."""
        others = (*self._set_aside.get(file.key, ()), *self._waiting.get(file.key, ()))
        return [rival for rival in dict.fromkeys(others) if rival.digest != file.digest]

    def list_all(self) -> dict[str, list[str]]:
        """Return the contradictory ids, each with the names of its files, waiting or set aside."""
        ids = {*self._set_aside, *(each for each, files in self._waiting.items() if len({f.digest for f in files}) > 1)}
        both = (self._set_aside, self._waiting)
        return {each: [rival.name for some in both for rival in some.get(each, ())] for each in sorted(ids)}

    def note(self, file: WaitingFile) -> None:
        """Note a file that is set aside as a contradiction: it is no longer waiting, and counts all the same."""
        self._set_aside.setdefault(file.key, []).append(Rival(encodable(file.name), file.digest))


def list_contradictions(mailbox: Storage, journal: Journal, department: str) -> dict[str, list[tuple[str, str]]]:
    """Return (name, digest) of what was set aside as a contradiction and is still there, by message id."""
    rows = [row for row in journal.dead_letters() if (row[0], row[4]) == (department, ReasonCode.CONTRADICTION)]
    there = sorted(mailbox.dead_names(department)) if rows else []
    found: dict[str, list[tuple[str, str]]] = {}
    for _, name, digest, message_id, *_ in rows:
        at = bisect_left(there, stem(name))  # where its name is, or a numbered form of it
        if at < len(there) and there[at].startswith(stem(name)):
            found.setdefault(message_id, []).append((name, digest))
    return found


def refuse(file: WaitingFile, rivals: Sequence[Rival]) -> None:
    """Raise Contradiction if a file has rivals."""
    if rivals:
        raise Contradiction(describe(file.key, [file.name, *(rival.name for rival in rivals)]))


def describe(message_id: str, names: Sequence[str]) -> str:
    """Return the sentence about files of one id, with the mend."""
    files = " and ".join(f'"{make_safe(name)}"' for name in sorted(dict.fromkeys(names))[:NAMED])
    return (
        f"{files} have the id {make_safe(message_id)} and different contents, and nothing proves which is right; none "
        "was acted on. Drop the wrong one (departments dead-letters drop NAME), "
        "then retry the right one (departments dead-letters retry NAME)"
    )
