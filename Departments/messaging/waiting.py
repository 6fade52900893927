"""Waiting files: the files of an inbox as read, in their order, and other files that claim the same message id."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, NamedTuple

from Departments.core.errors import Contradiction, NotSigned, UnreadableMessage
from Departments.core.moments import stamp
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import make_safe
from Departments.messaging import codec
from Departments.messaging.looker import Found, State
from Departments.messaging.message import Message
from Departments.messaging.names import stamp_in, stem
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.signatures import digest_of_content
from Departments.messaging.signing import SignatureRule

GROUP: Final = 1_000  # messages of one second that are sorted by their exact time
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
NAMED: Final = 5  # files named in one sentence


@dataclass(frozen=True)
class WaitingFile:
    """One waiting file: its name, its bytes, and its message or the reason it has none."""

    name: str
    found: Found
    message: Message | UnreadableMessage

    @cached_property
    def key(self) -> str:
        """The id for its failures and its effect: of a file that cannot be read now, the id in its name."""
        if isinstance(self.message, Message):
            return encodable(self.message.message_id)
        return encodable(stem(self.name) if self.found.state is State.REFUSED else self.name)

    @cached_property
    def letter_name(self) -> str:
        """The name of the letter with its id."""
        return f"{self.key}.md"

    @cached_property
    def digest(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.found.data).hexdigest()

    @cached_property
    def content(self) -> str:
        """The digest of its content: a copy with other line ends, or without a signature, says the same."""
        return digest_of_content(self.found.data)


def read_waiting(mailbox: Storage, department: str, name: str) -> WaitingFile | None:
    """Read a waiting file. Returns None for a vanished one."""
    found = mailbox.look(department, name)
    return None if found is None else WaitingFile(name, found, _decode(name, found))


def read_in_order(
    mailbox: Storage, department: str, names: Iterable[str], prepare: Callable[[list[WaitingFile]], None]
) -> Iterator[WaitingFile]:
    """Yield waiting files by time, then id. Reads second by second, never all at once.

    `prepare` gets the messages that come next, before the first of them is yielded.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(stamp_in(name) or _stamp_of(read_waiting(mailbox, department, name)), []).append(name)
    for second in sorted(groups):
        group = sorted(groups[second])
        for start in range(0, len(group), GROUP):
            found = (read_waiting(mailbox, department, name) for name in group[start : start + GROUP])
            items = [item for item in found if item is not None]
            prepare([item for item in items if isinstance(item.message, Message)])
            yield from sorted(items, key=_order_of) if len(items) > 1 else items


def _stamp_of(item: WaitingFile | None) -> str:
    return stamp(item.message.timestamp) if item and isinstance(item.message, Message) else ""


def _order_of(item: WaitingFile) -> tuple[datetime, str, bool, str]:
    """Order by time, then id; the file that is named by its id comes first."""
    if isinstance(item.message, Message):
        return item.message.timestamp, item.message.message_id, item.name != item.message.name, item.name
    return LONG_AGO, item.name, False, item.name


def _decode(name: str, found: Found) -> Message | UnreadableMessage:
    if found.problem:
        return UnreadableMessage(f"{name} {found.problem}")
    try:
        return codec.decode(found.data, name=name, written_at=found.written_at)
    except UnreadableMessage as error:
        return error


def encodable(name: str) -> str:
    """Replace invalid text in a name for the ledger: a file's name may be any bytes."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()


class Rival(NamedTuple):
    """A file with the same message id and other content.

    `is_growing`: somebody may still write it. `is_signed`: its sender's signature proves it.
    """

    name: str
    content: str
    is_growing: bool = False
    is_signed: bool = False


class Contradictions:
    """Finds the rivals of messages: for a signed one only other signed ones, as its signature proves it.

    Sync clients leave "conflict copies" of many names, so the ids in the files count, not the names. The inbox is read
    for them once in a pass, and only if there is such a message. What was set aside as a contradiction counts until a
    person removes it.
    """

    def __init__(self, mailbox: Storage, journal: Journal, department: str, signatures: SignatureRule) -> None:
        self._mailbox = mailbox
        self._journal = journal
        self._department = department
        self._signatures = signatures
        self._noted: dict[str, list[Rival]] = {}

    @cached_property
    def _waiting(self) -> dict[str, list[Rival]]:
        found: dict[str, list[Rival]] = {}
        for name in sorted(self._mailbox.waiting(self._department)):
            file = read_waiting(self._mailbox, self._department, name)
            if file is not None and isinstance(file.message, Message):
                found.setdefault(file.key, []).append(self._rival_of(file))
        return found

    @cached_property
    def _buried(self) -> dict[str, list[tuple[str, str]]]:
        return list_contradictions(self._mailbox, self._journal, self._department)

    def _list_buried(self, message_id: str) -> list[Rival]:
        files = self._buried.get(message_id, [])
        copies = self._mailbox.find_copies(message_id, self._journal.index()) if files else []
        read = {hashlib.sha256(copy.source).hexdigest(): copy for copy in copies}
        found = [
            Rival(name, digest_of_content(read[digest].source), is_signed=self._signatures.is_signed(read[digest]))
            if digest in read
            else Rival(name, digest)
            for name, digest in files
        ]
        return [*found, *self._noted.get(message_id, ())]

    def _rival_of(self, file: WaitingFile) -> Rival:
        is_growing = file.found.state is State.GROWING
        return Rival(encodable(file.name), file.content, is_growing, self.is_signed(file))

    def is_signed(self, file: WaitingFile) -> bool:
        """Return True if the sender's signature proves a file."""
        return isinstance(file.message, Message) and self._signatures.is_signed(file.message)

    def find(self, file: WaitingFile) -> list[Rival]:
        """Return the rivals of a file, waiting or set aside."""
        others = (*self._list_buried(file.key), *self._waiting.get(file.key, ()))
        found = [rival for rival in dict.fromkeys(others) if rival.content != file.content]
        return [rival for rival in found if rival.is_signed] if found and self.is_signed(file) else found

    def list_all(self) -> dict[str, list[str]]:
        """Return the contradictory ids, each with the names of its files, waiting or set aside."""
        waiting = {each for each, files in self._waiting.items() if len({f.content for f in files}) > 1}
        ids = sorted({*self._buried, *self._noted, *waiting})
        return {
            each: [rival.name for rival in (*self._list_buried(each), *self._waiting.get(each, ()))] for each in ids
        }

    def note(self, file: WaitingFile) -> None:
        """Note a file that is set aside as a contradiction: it is no longer waiting, and counts all the same."""
        self._noted.setdefault(file.key, []).append(self._rival_of(file))


def list_contradictions(mailbox: Storage, journal: Journal, department: str) -> dict[str, list[tuple[str, str]]]:
    """Return (name, digest) of the contradictions among the dead letters, by message id."""
    rows = [row for row in journal.dead_letters() if (row[0], row[4]) == (department, ReasonCode.CONTRADICTION)]
    there = sorted(mailbox.dead_names(department)) if rows else []
    found: dict[str, list[tuple[str, str]]] = {}
    for _, name, digest, message_id, *_ in rows:
        at = bisect_left(there, stem(name))  # where its name is, or a numbered form of it
        if at < len(there) and there[at].startswith(stem(name)):
            found.setdefault(message_id, []).append((name, digest))
    return found


def refuse(file: WaitingFile, rivals: Sequence[Rival], *, is_signed: bool) -> None:
    """Raise Contradiction if a file has rivals, NotSigned if it is not signed and a rival is (see `find`)."""
    signed = next((rival.name for rival in rivals if rival.is_signed), None)
    if signed is not None and not is_signed:
        raise NotSigned(
            f"{make_safe(file.name)} is not signed, and {make_safe(signed)} of the same id and other content is; "
            "the former had no effect"
        )
    if rivals:
        raise Contradiction(describe(file.key, [file.name, *(rival.name for rival in rivals)]))


def describe(message_id: str, names: Sequence[str]) -> str:
    """Return the sentence about files of one id, with the mend."""
    files = " and ".join(f'"{make_safe(name)}"' for name in sorted(dict.fromkeys(names))[:NAMED])
    return (
        f"{files} have the id {make_safe(message_id)} and different contents, and nothing proves one of them; "
        "none had an effect. Drop the wrong one (departments dead-letters drop NAME), "
        "then retry the right one (departments dead-letters retry NAME)"
    )
