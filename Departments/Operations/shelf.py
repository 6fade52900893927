"""The shelf: briefings and proposals waiting, archived today, or sent by RESEARCH.

A message that was handled before a restart is in the archive of its day. RESEARCH addresses its briefings to PORTFOLIO,
so its Outbox is read too; nothing is taken from it. A text is in memory while it is read; what was read from it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from Departments.core.departments import OPERATIONS, RESEARCH
from Departments.core.errors import BadInput, DepartmentsError, UnreadableMessage
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.readers import read_day
from Departments.core.reasons import ReasonCode
from Departments.core.safe_text import make_safe
from Departments.core.trading_calendar import is_same_session, trading_day
from Departments.messaging import codec
from Departments.messaging.bus import Bus
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.message import Message
from Departments.messaging.names import stem
from Departments.messaging.neighbours import DailyBriefing, MarketBriefing
from Departments.messaging.proposal_payloads import PlanProposal
from Departments.messaging.signatures import digest_of_content
from Departments.messaging.waiting import describe
from Departments.Operations.briefing import Briefing, briefing_from, refuse_other_days
from Departments.Operations.proposals import LONGEST, Proposal, proposal_from

log = make_logger(__name__)

KEPT = 8  # messages, and briefings that were read
READ_AT_MOST = 200  # of an outbox full of old messages, only the newest are read
FOLDER: Final = "Messages_Between_Departments"


class UnusableMessage(BadInput):
    """The day's newest briefing or proposal cannot be used. No older one takes its place."""

    exit_code = 1


#: Dead letters that decide all the same, until a person has looked at them.
REFUSED: Final = frozenset({ReasonCode.INVALID_PAYLOAD, ReasonCode.UNREADABLE, ReasonCode.CONTRADICTION})


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message as it was found; `trouble` is why nobody may use it, empty for none."""

    message: Message
    trouble: str = ""

    def refuse(self) -> None:
        """Raise BadInput if nobody may use it."""
        if self.trouble:
            raise BadInput(self.message.message_id, "", self.trouble, "deliver a newer one")


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of a message without its text: the sentence about source and proof, and the briefing it holds."""

    origin: str
    briefing: Briefing | None


@dataclass(slots=True)
class Shelf:
    """Finds the messages to plan from. `root` is the folder `Messages_Between_Departments`.

    If it `needs_proposal`, there is no plan without a proposal.
    """

    root: Path
    bus: Bus
    needs_proposal: bool = False
    _kept: dict[str, Kept] = field(default_factory=dict, repr=False)
    _briefings: dict[tuple[str, str], Briefing] = field(default_factory=dict, repr=False)

    def keep(self, message: Message, briefing: Briefing | None = None) -> None:
        """Keep a message under its id, whatever other files claim it, with the briefing if it was read from it."""
        _make_room(self._kept)
        self._kept[message.message_id] = Kept(self._describe(message), briefing)
        if briefing is not None:
            self._briefings[_content_of(message)] = briefing

    def read_message(self, message: Message) -> Briefing:
        """Read a DailyBriefing, each content once. Raises BadInput or UnreadableMessage if it cannot be used."""
        key = _content_of(message)
        if key not in self._briefings:
            _make_room(self._briefings)
            self._briefings[key] = read_briefing(message)
        return self._briefings[key]

    def is_usable(self, message: Message) -> bool:
        """Return whether somebody can plan from a briefing."""
        with suppress(DepartmentsError):
            skim_briefing(message)
            return True
        return False

    def find(self, message_id: str) -> Message | None:
        """Return a message by its id. Returns None if there is none."""
        return self.bus.find(message_id)

    def list_briefings(self, today: date) -> list[Message]:
        """Return all readable briefings, delivered or sent by RESEARCH, the newest first."""
        return [found.message for found in self._list_found(today) if not found.trouble]

    def read_briefing(self, now: datetime, message_id: str | None = None) -> Briefing:
        """Read the named briefing, else the newest of today, else the newest.

        Raises UnusableMessage if the newest of today cannot be used, BadInput without any.
        """
        if message_id is None:
            return self.read_todays_briefing(now) or self.read_message(self._list_some(now)[0])
        kept = self._kept.get(message_id)
        if kept is not None and kept.briefing is not None:
            return kept.briefing
        message = self.find(message_id)
        if message is None:
            raise BadInput(message_id, "", "there is no such briefing", "name one that was delivered")
        return self.read_message(message)

    def check_briefing(self, now: datetime, *, may_come: bool) -> None:
        """Raise BadInput if there is nothing to plan from, unless a briefing of today `may_come` yet. Keep nothing."""
        if self._read_todays(now, skim_briefing) is None and not may_come:
            refuse_other_days(skim_briefing(self._list_some(now)[0]), trading_day(now))

    def read_todays_briefing(self, now: datetime) -> Briefing | None:
        """Read today's newest briefing: it decides. Returns None if there is none. Raises UnusableMessage."""
        return self._read_todays(now, self.read_message)

    def _read_todays(self, now: datetime, read: Callable[[Message], Briefing]) -> Briefing | None:
        today = trading_day(now)
        found = next((each for each in self._list_found(today) if _is_of_day(each.message, today)), None)
        if found is None:
            return None
        try:
            briefing = read(found.message)
            refuse_other_days(briefing, today)
            found.refuse()
        except (BadInput, UnreadableMessage) as error:
            raise _refuse(error, found.message, "briefing") from error
        return briefing

    def describe_source(self, message_id: str) -> str:
        """Return the sentence about a plan's source and its proof; empty for no message."""
        kept = self._kept.get(message_id)
        if kept is not None:
            return kept.origin
        message = self.find(message_id)
        return "" if message is None else self._describe(message)

    def _describe(self, message: Message) -> str:
        is_signed = self.bus.signatures.is_signed(message)
        proof = "signed" if is_signed else "handed over by hand" if self.bus.is_proven(message) else "unsigned"
        return f"Made from {message.message_type} {message.message_id} of {make_safe(message.sender)}, {proof}"

    def read_others(self, briefing: Briefing, now: datetime, young: timedelta) -> list[Briefing]:
        """Read today's other usable briefings that are at most as `young`: their views of the market count, too."""
        near = [m for m in self.list_briefings(trading_day(now)) if abs(now - m.timestamp) <= young]
        found = [self.read_message(m) for m in near if m.message_id != briefing.source and self.is_usable(m)]
        return [other for other in found if _is_of_today(other, now)]

    def find_proposal(self, now: datetime) -> tuple[Proposal | None, str]:
        """Return the day's proposal, and the sentence about a refused one. Raises UnusableMessage if it is needed."""
        try:
            proposal = self.read_proposal(now)
        except UnusableMessage as error:
            if self.needs_proposal:
                raise
            return None, f"The day's proposal is refused, and Operations plans without it: {error}"
        if proposal is None and self.needs_proposal:
            problem = "there is no PlanProposal of today, and config/settings.yaml has operations.proposal: required"
            raise UnusableMessage("Inbox/OPERATIONS", "", problem, "deliver one, or write optional there")
        return proposal, ""

    def read_proposal(self, now: datetime) -> Proposal | None:
        """Read the newest proposal: it decides, on its day or until its `valid_until`.

        Returns None if there is none that holds. Raises UnusableMessage for one of today that was refused.
        """
        today = trading_day(now)
        days = (today - timedelta(days=age) for age in range(LONGEST.days + 2))
        delivered = self._list_waiting(*days)
        found = next(
            (each for each in self._judge("PlanProposal", delivered, today) if each.message.timestamp <= now), None
        )
        if found is None:
            return None
        is_todays = trading_day(found.message.timestamp) == today
        try:
            proposal = read_proposal(found.message)
            found.refuse()
        except (BadInput, UnreadableMessage) as error:
            if not is_todays:
                return None
            raise _refuse(error, found.message, "proposal") from error
        return proposal if (is_todays if proposal.valid_until is None else now <= proposal.valid_until) else None

    def _list_found(self, today: date) -> list[FoundMessage]:
        """List the briefings of allowed senders, the newest first, with what is wrong with their files."""
        sent = [(m, data) for m, data in _read(self.root / "Outbox" / RESEARCH) if self.bus.is_signed(m)]
        return self._judge("DailyBriefing", self._list_waiting(today), today, self._mark_contradictions(sent))

    def _judge(
        self, message_type: str, delivered: Iterable[Message], today: date, others: Iterable[FoundMessage] = ()
    ) -> list[FoundMessage]:
        """List the messages of a type from its senders, the newest first, with their files' problems.

        Those of anybody else become dead letters when they are handled.
        """
        row, admission = CATALOGUE.find(message_type), self.bus.admission
        found = {m.message_id: FoundMessage(m) for m in delivered}
        signed = {message_id for message_id, each in found.items() if self.bus.signatures.is_signed(each.message)}
        refused = (each for each in self._list_refused(today) if each.message.message_id not in signed)
        found |= {each.message.message_id: each for each in (*others, *refused)}
        of_type = (each for each in found.values() if each.message.message_type == message_type)
        allowed = (each for each in of_type if row is None or admission.may_send(row, each.message.sender))
        return sorted(allowed, key=lambda each: (each.message.timestamp, each.message.message_id), reverse=True)

    def _list_refused(self, today: date) -> Iterator[FoundMessage]:
        """Yield today's refused messages without a person's look, and contradictions in the inbox."""
        for row in self.bus.journal.dead_letters():
            department, name, digest, _, code, sentence, set_aside_at, accepted_at = row
            is_open = department == OPERATIONS and code in REFUSED and accepted_at is None
            is_todays = is_open and trading_day(set_aside_at) == today
            if is_todays and (message := self._read_dead_letter(name, digest)):
                yield FoundMessage(message, sentence)
        for message_id, names in self.bus.list_contradictions(OPERATIONS).items():
            if (message := self.bus.find(message_id)) is not None:
                yield FoundMessage(message, describe(message_id, names))

    def _read_dead_letter(self, name: str, digest: str) -> Message | None:
        names = (n for n in self.bus.mailbox.dead_names(OPERATIONS) if n.startswith(stem(name)))
        found = _read_files(self.root / "Dead_Letter" / OPERATIONS, names)
        return next((message for message, data in found if sha256(data).hexdigest() == digest), None)

    def _mark_contradictions(self, found: Iterable[tuple[Message, bytes]]) -> Iterator[FoundMessage]:
        """Yield a message for each id, with trouble if its files have several contents; a signed one beats others."""
        contents: dict[str, dict[str, Message]] = {}
        for message, data in found:
            contents.setdefault(message.message_id, {})[digest_of_content(data)] = message
        for message_id, copies in contents.items():
            signed = [copy for copy in copies.values() if self.bus.signatures.is_signed(copy)]
            fit = signed or list(copies.values())
            where, trouble = f"Outbox/{RESEARCH}", ""
            if len(fit) > 1:
                trouble = f"{where} has {len(fit)} files with the id {message_id} and different contents; none is read"
                log.warning("%s", trouble)
            yield FoundMessage(fit[0], trouble)

    def _list_waiting(self, *days: date) -> list[Message]:
        """List what is waiting, or archived on these days."""
        archived = (message for day in days for message in self._list_handled(day))
        return [*self.bus.waiting(OPERATIONS), *archived]

    def _list_handled(self, day: date) -> list[Message]:
        """List what Operations handled on a day. Other files in its archive were dropped, or put there by strangers."""
        found = list(_read(self.root / "Archive" / day.isoformat() / OPERATIONS))
        done = self.bus.journal.dispositions(OPERATIONS, [message.message_id for message, _ in found])
        digests = {message_id: digest for message_id, (_, digest) in done.items()}
        return [m for m, data in found if digests.get(m.message_id) == sha256(data).hexdigest()]

    def _list_some(self, now: datetime) -> list[Message]:
        found = self.list_briefings(trading_day(now))
        if not found:
            where = f"{FOLDER}/Inbox/OPERATIONS and {FOLDER}/Outbox/RESEARCH"
            raise BadInput(where, "", "there is no DailyBriefing", "deliver one or name it with --briefing FILE")
        return found


def read_briefing(message: Message) -> Briefing:
    """Read a DailyBriefing message. Raises BadInput for one that nobody can plan from."""
    return briefing_from(DailyBriefing.of(message), message.message_id, at=message.timestamp)


def skim_briefing(message: Message) -> Briefing:
    """Read a DailyBriefing message without its rows. Raises as `read_briefing` does."""
    return briefing_from(DailyBriefing.skim(message), message.message_id, at=message.timestamp)


def read_proposal(message: Message) -> Proposal:
    """Read a PlanProposal message. Raises BadInput for one that is refused as a whole."""
    return proposal_from(PlanProposal.of(message), message.message_id, at=message.timestamp)


def _refuse(error: BadInput | UnreadableMessage, message: Message, kind: str) -> UnusableMessage:
    other = f"No older {kind} is used instead"
    if isinstance(error, BadInput):
        return UnusableMessage(error.source, error.key, error.problem, f"{error.mend}. {other}")
    return UnusableMessage(message.message_id, "payload", str(error), f"correct the JSON there. {other}")


def _make_room(kept: dict[Any, Any]) -> None:
    while len(kept) >= KEPT:
        del kept[next(iter(kept))]


def _content_of(message: Message) -> tuple[str, str]:
    digest = sha256(f"{message.timestamp} ".encode())
    digest.update(message.body.encode())
    return message.message_id, digest.hexdigest()


def _is_of_today(briefing: Briefing, now: datetime) -> bool:
    try:
        refuse_other_days(briefing, trading_day(now))
    except BadInput:
        return False
    return True


def _is_of_day(message: Message, today: date) -> bool:
    """Return whether a briefing is for today, or was written today and not for a later day. Any text is read."""
    written = trading_day(message.timestamp)
    try:
        seen = MarketBriefing.of(message).market_conditions
        day = read_day(seen.day if seen else None) or written
    except (DepartmentsError, ValueError):
        day = written
    return is_same_session(day, today) or (written == today and day < today)


def _read(folder: Path) -> Iterator[tuple[Message, bytes]]:
    """Yield the readable messages of a folder with their bytes, newest name first."""
    names = sorted((p.name for p in folder.glob("*.md")), reverse=True) if folder.is_dir() else []
    yield from _read_files(folder, names[:READ_AT_MOST])


def _read_files(folder: Path, names: Iterable[str]) -> Iterator[tuple[Message, bytes]]:
    for name in names:
        try:
            data = files.read_bytes(folder / name)
            yield codec.decode(data, name=name), data
        except (UnreadableMessage, OSError):
            continue
