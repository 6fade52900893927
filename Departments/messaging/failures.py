"""Dead letters: their code, the reason beside the file, the escalation, and a person's ways out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from Departments.core import identifiers
from Departments.core.departments import EXECUTIVE
from Departments.core.errors import (
    BadInput,
    BrokerUnavailable,
    ContradictedReport,
    Contradiction,
    LedgerError,
    MessageConflict,
    NotAuthorized,
    NotDecidedHere,
    NotSigned,
    PublishError,
    SenderNotAllowed,
    UnreadableMessage,
    UnroutableMessage,
    WorkspaceBusy,
)
from Departments.core.moments import iso
from Departments.core.platform import files
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import Form, make_safe
from Departments.core.trading_calendar import trading_day
from Departments.messaging import codec, lookup
from Departments.messaging.folders import ARCHIVE, DEAD_LETTER, INBOX
from Departments.messaging.mailbox import REASON, Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.names import stem
from Departments.messaging.outbound import Outbound
from Departments.messaging.ports import Journal, Storage
from Departments.messaging.waiting import WaitingFile, encodable

LONGEST_SHOWN: Final = 500  # characters of a text from outside in an escalation
SHOWN: Final = 100_000  # bytes of a dead letter, or of the reason beside it

#: What may pass by itself: the ledger, the broker, the disk. Everything else is the message's fault, or ours.
TRANSIENT: Final = (LedgerError, BrokerUnavailable, NotAuthorized, PublishError, WorkspaceBusy, OSError)

_CODES: Final = (
    (UnreadableMessage, ReasonCode.UNREADABLE),
    (BadInput, ReasonCode.INVALID_PAYLOAD),
    (MessageConflict, ReasonCode.MESSAGE_CONFLICT),
    (SenderNotAllowed, ReasonCode.SENDER_NOT_ALLOWED),
    (NotDecidedHere, ReasonCode.NOT_DECIDED_HERE),
    (ContradictedReport, ReasonCode.REPORT_CONTRADICTED),
    (NotSigned, ReasonCode.NOT_SIGNED),
    (Contradiction, ReasonCode.CONTRADICTION),
    (TRANSIENT, ReasonCode.HANDLER_FAILED),
)


def code_of(error: Exception, *, ours: bool) -> ReasonCode:
    """Return the code of a failure. `ours`: the message is addressed to the department."""
    if isinstance(error, UnroutableMessage):
        return ReasonCode.UNKNOWN_TYPE if ours else ReasonCode.MISADDRESSED
    return next((code for kind, code in _CODES if isinstance(error, kind)), ReasonCode.HANDLER_ERROR)


def reason_text(
    department: str,
    name: str,
    message_id: str,
    code: ReasonCode,
    error: Exception,
    *,
    tried: tuple[int, datetime, datetime],
    digest: str = "",
) -> str:
    """Write the reason file of a dead letter. `tried` is (attempts, first, last)."""
    attempts, first, last = tried
    return codec.dump_mapping(
        {
            "code": str(code),
            "sentence": make_safe(_sentence(error)),
            "department": department,
            "message_id": make_safe(message_id),
            "file": make_safe(name),
            "digest": digest,
            "attempts": attempts,
            "first_time": iso(first),
            "last_time": iso(last),
            "traceback": make_safe("".join(traceback.format_exception(error)), Form.LINES),
        }
    )


def escalation(department: str, name: str, code: ReasonCode, error: Exception, *, now: datetime, day: date) -> Message:
    """Write the escalation for a day's first dead letter with this code."""
    lines = (
        f"# DEAD LETTER: {department} ({code})",
        f"{department} could not handle {_in_markdown(name)}: {_in_markdown(_sentence(error))}",
        f"The file is in `Dead_Letter/{department}/`, its reason beside it.",
        f"More dead letters with this code on {day.isoformat()} cause no further escalation.",
        f"- **{code}:** {code.meaning}",
    )
    return Message(
        message_id=identifiers.message_id(department, now, "dead-letter", code, day),
        sender=department,
        recipient=EXECUTIVE,
        timestamp=now,
        message_type="escalation",
        priority="high",
        body=body_with("\n\n".join(lines)),
    )


def _sentence(error: Exception) -> str:
    return str(error) or type(error).__name__


def _in_markdown(text: str) -> str:
    return make_safe(text[:LONGEST_SHOWN], Form.MARKDOWN)


@dataclass(frozen=True, slots=True)
class DeadLetterBox:
    """The dead letters of one department. `index` enters a file's message into the index of all messages."""

    mailbox: Storage
    journal: Journal
    outbound: Outbound
    department: str
    index: Callable[[WaitingFile], None]

    def add(self, item: WaitingFile, error: Exception, attempts: int, *, ours: bool, now: datetime) -> ReasonCode:
        """Escalate once per cause and day, write the reason, move the file. In this order a kill loses nothing.

        `ours` as in `code_of`, whose code is returned. Raises what is `TRANSIENT`; the file stays then.
        """
        code = code_of(error, ours=ours)
        self._escalate(error, code, item, now)
        self.outbound.deliver_pending()
        tried = self.journal.failures(self.department).get(item.key, (attempts, now, now))
        reason = reason_text(self.department, item.name, item.key, code, error, tried=tried, digest=item.digest)
        self.mailbox.bury(self.department, item.name, reason)
        return code

    def _escalate(self, error: Exception, code: ReasonCode, item: WaitingFile, now: datetime) -> None:
        name, sentence, day = encodable(item.name), encodable(_sentence(error)), trading_day(now)
        with self.journal.transaction():
            self.index(item)
            self.journal.note_dead_letter(
                (self.department, name, item.digest, item.key, str(code), sentence, now, None)
            )
            if self.journal.note_cause(f"{self.department}:{code}", day):
                self.outbound.enqueue(escalation(self.department, item.name, code, error, now=now, day=day))


# --- for a person ---


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter and its reason, empty without a reason file."""

    department: str
    name: str
    path: Path
    reason: Mapping[str, Any]

    @property
    def message_id(self) -> str:
        """Return its id in the counts of failures."""
        return str(self.reason.get("message_id") or stem(self.name))

    @property
    def is_gone(self) -> bool:
        """Return True if only the reason is left: somebody moved or renamed the file."""
        return not self.path.exists() and not self.path.is_symlink()

    @property
    def text(self) -> str:
        """Return its text, at most `SHOWN` bytes. Folders, links and pipes have none."""
        return _read_beginning(self.path)


def list_dead_letters(root: Path) -> list[DeadLetter]:
    """Return every dead letter, by department and name, and every reason whose file was taken away."""
    there = [path for folder in lookup.folders(root / DEAD_LETTER) for path in lookup.entries(folder)]
    names = {path for path in there if not path.name.endswith(REASON)}
    names |= {path.with_name(path.name.removesuffix(REASON)) for path in there if path.name.endswith(REASON)}
    found = sorted(names, key=lambda path: (path.parent.name, path.name))
    return [DeadLetter(path.parent.name, path.name, path, _read_reason(path)) for path in found]


def _read_reason(path: Path) -> dict[str, Any]:
    try:
        return codec.load_mapping(_read_beginning(path.parent / f"{path.name}{REASON}"))
    except OSError:  # closed to us: the letter is listed all the same
        return {}


def _read_beginning(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with files.open_file(path) as file:
        beginning: bytes = file.read(SHOWN)
    return beginning.decode("utf-8", "replace")


def revive(mailbox: Mailbox, journal: Journal, letter: DeadLetter, day: str, at: datetime) -> str:
    """Put a dead letter back into its inbox with no attempts. Returns its new name.

    Raises BadInput for one that contradicts another: a person drops one of them first.
    """
    if letter.is_gone:
        mend = "put the file back beside its reason, or drop the reason"
        raise BadInput(letter.name, "", "the file was moved or renamed, only its reason is left", mend)
    others = [
        row[1]
        for row in journal.dead_letters()
        if letter.reason.get("code") == row[4] == ReasonCode.CONTRADICTION
        and (row[0], row[3]) == (letter.department, letter.message_id)
        and row[2] != _digest_of(letter)
        and any(name.startswith(stem(row[1])) for name in mailbox.dead_names(letter.department))
    ]
    if others:
        names = " and ".join(f'"{name}"' for name in others)
        raise BadInput(letter.name, "", f"{names} has the same id and other contents", "drop the wrong one first")
    with journal.transaction():
        journal.forget_failures(letter.department, letter.message_id)
        _note_removal(journal, letter, at)
    return _take_out(mailbox, letter, (INBOX, letter.department), day)


def drop(mailbox: Mailbox, journal: Journal, letter: DeadLetter, day: str, at: datetime) -> str:
    """Archive a dead letter and its reason unhandled, and return its new name."""
    name = _take_out(mailbox, letter, (ARCHIVE, day, letter.department), day)
    with journal.transaction():
        _note_removal(journal, letter, at)
    return name


def _note_removal(journal: Journal, letter: DeadLetter, at: datetime) -> None:
    name = str(letter.reason.get("file") or letter.name)
    rows = [row for row in journal.dead_letters() if row[0] == letter.department and row[1] in {name, letter.name}]
    same = [row for row in rows if row[2] == _digest_of(letter)]
    for row in same or rows:
        journal.remove_dead_letter(*row[:3], at)


def _digest_of(letter: DeadLetter) -> str:
    """Return the digest of a dead letter as it was set aside, else as it is now."""
    noted = letter.reason.get("digest")
    is_file = letter.path.is_file() and not letter.path.is_symlink()
    return str(noted) if noted else sha256(files.read_bytes(letter.path) if is_file else b"").hexdigest()


def _take_out(mailbox: Mailbox, letter: DeadLetter, folder: Sequence[str], day: str) -> str:
    """Archive the reason, then move the file. After a kill in between, the letter is still here."""
    box = (DEAD_LETTER, letter.department)
    reason = letter.name + REASON
    is_gone = letter.is_gone
    with suppress(FileNotFoundError):
        mailbox.relocate((*box, reason), (ARCHIVE, day, letter.department), reason, label="dead_letter.tidy")
    if is_gone:
        return reason
    return mailbox.relocate((*box, letter.name), folder, letter.name, label="dead_letter.take_out")
