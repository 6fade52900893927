"""The errors of the desk, one tree.

DepartmentsError                 everything we raise on purpose; `exit_code` is what the command ends with
├── BadInput                2    a file or option is wrong: names the file, the key and the mend
├── MessageError            1
│   ├── UnreadableMessage        the bytes are not a message
│   ├── UnroutableMessage        unknown type, or addressed to somebody else
│   └── MessageConflict          the same id exists with other content
├── PublishError            3    the message could not be written (disk full, read-only, name too long)
├── LedgerError             3    the ledger cannot be used
│   └── LedgerBusy          3    locked by another process for longer than we wait (transient)
├── WorkspaceBusy           3    another run works in this workspace or on this account
└── BrokerError             4
    ├── Refused                  the broker refused this order, for certain
    ├── NotFound                 no such order, position or asset
    ├── NotAuthorized       4    the credentials are missing or refused
    └── BrokerUnavailable   4    no answer, or one that does not say what happened: *unknown*, not refused
        └── UnreadableAnswer 4   an answer whose words make no sense to us
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

#: What every command ends with.
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done, or done before; a dry run",
    1: "something needs a person: an order denied, rejected or unfilled; not approved; market closed; a locked symbol; "
    "money that nothing accounts for; an error nobody foresaw",
    2: "bad input: the sentence names file, key and mend",
    3: "ledger, lock or disk; run again when that is mended",
    4: "the broker cannot be reached or refuses the credentials; run again to go on",
    130: "interrupted; run again to go on",
}
RUN_AGAIN: Final = "run the same command again to go on where it stood"


class DepartmentsError(Exception):
    """Everything the desk raises on purpose, told in one clear sentence.

    `advice` is what a person does about every error of a kind, where the error itself does not say it.
    """

    exit_code = 1
    advice = ""

    @property
    def sentence(self) -> str:
        """Return what a person is told: what happened, and what to do about it."""
        return f"{str(self).rstrip('.')}; {self.advice}." if self.advice else str(self)


class BadInput(DepartmentsError):  # noqa: N818 - the user's word for it
    """A file or option that a person has to mend.

    `source` is the file or option, `key` the place in it, `mend` what to do; the text of the error
    is the one sentence made of them.
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
    """The bytes of a file are not a message in any known format."""


class UnroutableMessage(MessageError):  # noqa: N818
    """A readable message that this department has no handler for, or that is not addressed to it."""


class MessageConflict(MessageError):  # noqa: N818
    """A message with this id exists already and says something else."""


class PublishError(DepartmentsError):
    """A message could not be written; nothing of it is visible."""

    exit_code = 3


class LedgerError(DepartmentsError):
    """The ledger cannot be opened, read or written."""

    exit_code = 3


class LedgerBusy(LedgerError):  # noqa: N818
    """The ledger stayed locked by another process; trying again later may help."""


class WorkspaceBusy(DepartmentsError):  # noqa: N818
    """Another process executes in this workspace or on its account, or holds this inbox."""

    exit_code = 3


class BrokerError(DepartmentsError):
    """The broker said no, or said nothing."""

    exit_code = 4


class Refusal(StrEnum):
    """Why a broker refuses an order; each value is the reason code of it (`core.reasons`)."""

    BUYING_POWER = "BROKER_BUYING_POWER"
    SHARES_HELD = "BROKER_QTY_HELD"
    WASH_TRADE = "BROKER_WASH_TRADE"
    ASSET = "BROKER_ASSET"
    DUPLICATE_ID = "BROKER_DUPLICATE_ID"
    INVALID_ORDER = "BROKER_INVALID_ORDER"
    CANCEL_TOO_LATE = "BROKER_CANCEL_TOO_LATE"
    OTHER = "BROKER_REJECTED"


class Refused(BrokerError):  # noqa: N818
    """The broker refused this very request; no order came of it.

    The text of the error is the broker's own sentence. `numbers` are the facts behind it, by name, without blanks.
    """

    def __init__(self, reason: Refusal, sentence: str, numbers: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.numbers: Mapping[str, str] = numbers or {}
        super().__init__(sentence)


class NotFound(BrokerError):  # noqa: N818
    """The broker knows no such order, position or asset."""


class NotAuthorized(BrokerError):  # noqa: N818
    """The credentials are missing, or the broker does not accept them."""

    advice = RUN_AGAIN


class BrokerUnavailable(BrokerError):  # noqa: N818
    """No answer, or an answer that does not tell what happened. What was asked may or may not be done."""

    advice = RUN_AGAIN


class UnreadableAnswer(BrokerUnavailable):
    """The broker answered, and the answer cannot be read. Asking for a long time does not help."""

    advice = "look at the account at the broker, then run the same command again"
