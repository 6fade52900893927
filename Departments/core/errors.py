"""The desk's error tree, with the exit code of each.

DepartmentsError                 everything we raise on purpose
├── BadInput                2    a wrong file or option: names the file, the key and the mend
├── MessageError            1
│   ├── UnreadableMessage        the bytes are not a message
│   ├── UnroutableMessage        unknown type, or another department's message
│   ├── MessageConflict          the same id exists with other content
│   ├── SenderNotAllowed         its sender may not send this type
│   ├── NotDecidedHere           an instruction that the ledger does not hold as decided
│   ├── NotSigned                it lacks the signature that it needs
│   ├── Contradiction            files of one id say different things, and nothing proves one
│   └── ContradictedReport       it says what the ledger does not
├── Unanswered              1    no department answered a question in time
├── FileInUse               3    another program keeps a file open (transient)
├── DiskError               3    a disk is full, out of inodes, over its quota or read-only
├── PublishError            3    the message could not be written (disk full, read-only, name too long)
├── LedgerError             3    the ledger cannot be used
│   └── LedgerBusy          3    another process locks it for too long (transient)
├── WorkspaceBusy           3    another process uses this workspace, this account or this inbox
└── BrokerError             4
    ├── Refused                  the broker refused this order, for certain
    ├── NotFound                 no such order, position or asset
    ├── NotAuthorized       4    the credentials are missing or refused
    └── BrokerUnavailable   4    no answer, or an unclear one: the result is *unknown*, not refused
        └── UnreadableAnswer 4   an answer we cannot parse
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

#: The exit codes of every command.
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done, or done before; nothing to do; a dry run",
    1: "something needs a person: an order denied, rejected or unfilled; not approved; a locked symbol; "
    "an unexplained cash difference; an unexpected error",
    2: "bad input: the sentence names file, key and mend",
    3: "ledger, lock or disk; mend it and run again",
    4: "the broker cannot be reached or refuses the credentials; run again to continue",
    5: "the market is closed; nothing was sent, and nobody needs to look",
    130: "interrupted; run again to continue",
}
RUN_AGAIN: Final = "run the same command again to continue"


class DepartmentsError(Exception):
    """The base of all errors we raise on purpose. Its text is one clear sentence.

    Its text is `source: key: problem; mend.` `advice` is the mend common to all errors of a class, for texts without
    one. `source` and `key` name the place, as far as it is known. `issues` are keys beside it in the document of the
    command: dead letters and locks that a person has to look at.
    """

    exit_code = 1
    advice = ""
    source = ""
    key = ""
    mend = ""
    issues: Mapping[str, Any] = MappingProxyType({})

    @property
    def code(self) -> str:
        """Return the class in capitals, BAD_INPUT. Programs compare it, so it is stable."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).upper()

    @property
    def sentence(self) -> str:
        """Return the sentence for a person: the problem and its mend."""
        return f"{str(self).rstrip('.')}; {self.advice}." if self.advice else str(self)


class BadInput(DepartmentsError):  # noqa: N818 - the user's word for it
    """A wrong file or option; a person has to mend it.

    `source` is the file or option, `key` the place in it, `mend` the instruction. The error's text joins them
    into one sentence.
    """

    exit_code = 2

    def __init__(self, source: str | Path, key: str, problem: str, mend: str) -> None:
        self.source = str(source)
        self.key = key
        self.problem = problem
        self.mend = mend
        place = f"{self.source}: {key}" if key else self.source
        super().__init__(f"{place}: {problem}; {mend}" + ("" if mend.endswith("?") else "."))


class MessageError(DepartmentsError):
    """Something is wrong with one message."""


class UnreadableMessage(MessageError):  # noqa: N818 - the field's word
    """The bytes of a file are not a message in a known format."""


class UnroutableMessage(MessageError):  # noqa: N818
    """A readable message without a handler here, or for another department."""


class MessageConflict(MessageError):  # noqa: N818
    """Another message with this id exists."""


class SenderNotAllowed(MessageError):  # noqa: N818
    """The sender of this message may not send its type."""


class NotDecidedHere(MessageError):  # noqa: N818
    """The ledger does not hold this message as a decision of ours. It is not acted on."""


class ContradictedReport(MessageError):  # noqa: N818
    """A report names an unsent instruction, or contradicts the ledger."""


class NotSigned(MessageError):  # noqa: N818
    """A message lacks its required signature, or has a wrong one."""


class Contradiction(MessageError):  # noqa: N818
    """Several files have one message id and different contents, and nothing proves one of them."""


class FileInUse(DepartmentsError):  # noqa: N818
    """Another program keeps a file open. `path` is the file."""

    exit_code = 3

    def __init__(self, path: str | Path) -> None:
        self.source = str(path)
        super().__init__(f"{path}: another program keeps it open; close that program, or wait, and {RUN_AGAIN}.")


class Unanswered(DepartmentsError):  # noqa: N818
    """No department answered a question in time."""


class PublishError(DepartmentsError):
    """A message could not be written. No part of it is visible."""

    exit_code = 3


class DiskError(DepartmentsError):
    """A disk is full, out of inodes, over its quota or read-only. The same command goes on once that is mended."""

    exit_code = 3


class LedgerError(DepartmentsError):
    """The ledger cannot be opened, read or written."""

    exit_code = 3


class LedgerBusy(LedgerError):  # noqa: N818
    """Another process keeps the ledger locked; a later attempt may succeed."""


class WorkspaceBusy(DepartmentsError):  # noqa: N818
    """Another process uses this workspace, its account or this inbox.

    `process` and `since` are known where that process has noted them. `executes_here`: it executes in this workspace.
    """

    exit_code = 3
    executes_here = False

    def __init__(self, sentence: str, since: datetime | None = None, process: str = "") -> None:
        super().__init__(sentence)
        self.since = since
        self.process = process


class BrokerError(DepartmentsError):
    """The broker refused a request, or did not answer."""

    exit_code = 4
    source = "broker"


class Refusal(StrEnum):
    """The reasons of a broker's refusal. Each value is a reason code (`core.reasons`)."""

    BUYING_POWER = "BROKER_BUYING_POWER"
    SHARES_HELD = "BROKER_QTY_HELD"
    WASH_TRADE = "BROKER_WASH_TRADE"
    ASSET = "BROKER_ASSET"
    DUPLICATE_ID = "BROKER_DUPLICATE_ID"
    INVALID_ORDER = "BROKER_INVALID_ORDER"
    CANCEL_TOO_LATE = "BROKER_CANCEL_TOO_LATE"
    OTHER = "BROKER_REJECTED"


class Refused(BrokerError):  # noqa: N818
    """The broker refused this request; no order exists.

    The error's text is the broker's own sentence. `numbers` are the facts behind it by name, without blanks.
    """

    def __init__(self, reason: Refusal, sentence: str, numbers: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.numbers: Mapping[str, str] = numbers or {}
        super().__init__(sentence)


class NotFound(BrokerError):  # noqa: N818
    """The broker has no such order, position or asset."""


class NotAuthorized(BrokerError):  # noqa: N818
    """The credentials are missing, or the broker does not accept them."""

    advice = RUN_AGAIN


class BrokerUnavailable(BrokerError):  # noqa: N818
    """No answer, or an unclear one. The request may or may not have taken effect.

    `wait` is the seconds to wait before the next request, where the broker names them.
    """

    advice = RUN_AGAIN

    def __init__(self, sentence: str = "", wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class Unanswerable(BrokerUnavailable):
    """The broker refuses to answer this question. Asking again does not help."""


class UnreadableAnswer(BrokerUnavailable):
    """The broker answered, and the answer cannot be parsed. Retrying does not help."""

    advice = "look at the account at the broker, then run the same command again"
