"""The shelf: briefings and proposals in hand, waiting, archived today, or sent by RESEARCH.

A message that was handled before a restart is in the archive of its day. RESEARCH addresses its briefings to PORTFOLIO,
so its Outbox is read too; nothing is taken from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

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
from Departments.messaging.neighbours import DailyBriefing, MarketBriefing, PlanProposal
from Departments.messaging.signatures import digest_of_content
from Departments.messaging.waiting import describe
from Departments.Operations.briefing import Briefing, Proposal, briefing_from, proposal_from, refuse_other_days

log = make_logger(__name__)

NO_OTHER = "No older briefing takes its place"
READ_AT_MOST = 200  # of an outbox full of old messages, only the newest are read
FOLDER: Final = "Messages_Between_Departments"


class UnusableBriefing(BadInput):
    """The day's newest briefing cannot be used for a plan. Nothing is bought, and no older one takes its place."""

    exit_code = 1


#: Dead letters that decide as briefings all the same, until a person has looked at them.
REFUSED: Final = frozenset({ReasonCode.INVALID_PAYLOAD, ReasonCode.UNREADABLE, ReasonCode.CONTRADICTION})


@dataclass(frozen=True, slots=True)
class FoundBriefing:
    """A briefing as it was found; `trouble` is why nobody may read it, empty for none."""

    message: Message
    trouble: str = ""


@dataclass(slots=True)
class Shelf:
    """Finds the messages to plan from. `root` is the folder `Messages_Between_Departments`."""

    root: Path
    bus: Bus
    in_hand: dict[str, Message] = field(default_factory=dict)

    def keep(self, message: Message) -> None:
        """Keep a message in hand."""
        self.in_hand[message.message_id] = message

    def find(self, message_id: str) -> Message | None:
        """Return a message by its id. Returns None if there is none."""
        return self.in_hand.get(message_id) or self.bus.find(message_id)

    def list_briefings(self, today: date) -> list[Message]:
        """Return all readable briefings, delivered or sent by RESEARCH, the newest first."""
        return [found.message for found in self._list_found(today) if not found.trouble]

    def read_briefing(self, now: datetime, message_id: str | None = None) -> Briefing:
        """Read the named briefing, else the newest of today, else the newest.

        Raises UnusableBriefing if the newest of today cannot be used, BadInput without any.
        """
        if message_id is None:
            return self.read_todays_briefing(now) or read_briefing(self._list_some(now)[0])
        message = self.find(message_id)
        if message is None:
            raise BadInput(message_id, "", "there is no such briefing", "name one that was delivered")
        return read_briefing(message)

    def read_todays_briefing(self, now: datetime) -> Briefing | None:
        """Read today's newest briefing: it decides. Returns None if there is none. Raises UnusableBriefing."""
        today = trading_day(now)
        found = next((each for each in self._list_found(today) if _is_of_day(each.message, today)), None)
        if found is None:
            return None
        try:
            briefing = read_briefing(found.message)
            refuse_other_days(briefing, today)
        except BadInput as error:
            raise UnusableBriefing(error.source, error.key, error.problem, f"{error.mend}. {NO_OTHER}") from error
        except UnreadableMessage as error:
            mend = f"mend the JSON there. {NO_OTHER}"
            raise UnusableBriefing(found.message.message_id, "payload", str(error), mend) from error
        if found.trouble:
            raise UnusableBriefing(found.message.message_id, "", found.trouble, f"deliver a newer one. {NO_OTHER}")
        return briefing

    def describe_source(self, message_id: str) -> str:
        """Return the sentence about a plan's source and its proof; empty for no message."""
        message = self.find(message_id)
        if message is None:
            return ""
        is_signed = self.bus.signatures.is_signed(message)
        proof = "signed" if is_signed else "handed over by hand" if self.bus.is_proven(message) else "unsigned"
        return f"Made from {message.message_type} {message_id} of {make_safe(message.sender)}, {proof}"

    def read_others(self, briefing: Briefing, now: datetime, young: timedelta) -> list[Briefing]:
        """Read today's other usable briefings that are at most as `young`: their views of the market count, too."""
        near = [m for m in self.list_briefings(trading_day(now)) if abs(now - m.timestamp) <= young]
        found = (_read_if_usable(m) for m in near if m.message_id != briefing.source)
        return [other for other in found if other and _is_of_today(other, now)]

    def read_proposal(self, now: datetime) -> Proposal | None:
        """Read today's newest proposal. Returns None if there is none."""
        today = trading_day(now)
        found = self._list_delivered("PlanProposal", today)
        newest = next((m for m in found if trading_day(m.timestamp) == today and m.timestamp <= now), None)
        return None if newest is None else proposal_from(PlanProposal.of(newest), newest.message_id)

    def _list_found(self, today: date) -> list[FoundBriefing]:
        """List the briefings of allowed senders with the faults of their files, newest first."""
        sent = [(m, data) for m, data in _read(self.root / "Outbox" / RESEARCH) if self.bus.is_signed(m)]
        waiting = self._list_waiting(today)
        acted_on = {m.message_id for m in waiting if self.bus.signatures.is_signed(m)}
        refused = (r for r in self._list_refused(today) if r.message.message_id not in acted_on)
        found = [*refused, *self._mark_contradictions(sent)]
        troubles = {each.message.message_id: each.trouble for each in found}
        listed = (*waiting, *(each.message for each in found))
        return [FoundBriefing(m, troubles.get(m.message_id, "")) for m in self._newest_first(listed, "DailyBriefing")]

    def _list_refused(self, today: date) -> Iterator[FoundBriefing]:
        """Yield today's refused messages that no person has seen, and the contradictions in the inbox."""
        for row in self.bus.journal.dead_letters():
            department, name, digest, _, code, sentence, set_aside_at, accepted_at = row
            is_open = department == OPERATIONS and code in REFUSED and accepted_at is None
            is_todays = is_open and trading_day(set_aside_at) == today
            message = self._read_dead_letter(name, digest) if is_todays else None
            if message is not None and self.bus.is_signed(message):  # what needs a signature decides only with one
                yield FoundBriefing(message, sentence)
        for message_id, names in self.bus.list_contradictions(OPERATIONS).items():
            if (message := self.bus.find(message_id)) is not None:
                yield FoundBriefing(message, describe(message_id, names))

    def _read_dead_letter(self, name: str, digest: str) -> Message | None:
        names = (n for n in self.bus.mailbox.dead_names(OPERATIONS) if n.startswith(stem(name)))
        found = _read_files(self.root / "Dead_Letter" / OPERATIONS, names)
        return next((message for message, data in found if sha256(data).hexdigest() == digest), None)

    def _mark_contradictions(self, found: Iterable[tuple[Message, bytes]]) -> Iterator[FoundBriefing]:
        """Yield a message for each id, with trouble if its files have several contents; a signed one beats others."""
        contents: dict[str, dict[str, Message]] = {}
        for message, data in found:
            contents.setdefault(message.message_id, {})[digest_of_content(data)] = message
        for message_id, copies in contents.items():
            signed = [copy for copy in copies.values() if self.bus.signatures.is_signed(copy)]
            fit = signed or list(copies.values())
            where, trouble = f"Outbox/{RESEARCH}", ""
            if len(fit) > 1:
                trouble = f"{where} has {len(fit)} files of different contents for {message_id}; none is read"
                log.warning("%s", trouble)
            yield FoundBriefing(fit[0], trouble)

    def _list_delivered(self, message_type: str, today: date) -> list[Message]:
        """List messages delivered to Operations, newest first."""
        return self._newest_first(self._list_waiting(today), message_type)

    def _list_waiting(self, today: date) -> list[Message]:
        """List the messages in hand, waiting or archived today."""
        return [*self.in_hand.values(), *self.bus.waiting(OPERATIONS), *self._list_handled(today)]

    def _newest_first(self, messages: Iterable[Message], message_type: str) -> list[Message]:
        """List messages of a type from its senders. Those of anybody else become dead letters when they are handled."""
        row, admission = CATALOGUE.find(message_type), self.bus.admission
        of_type = (m for m in messages if m.message_type == message_type)
        found = {m.message_id: m for m in of_type if row is None or admission.may_send(row, m.sender)}
        return sorted(found.values(), key=lambda m: (m.timestamp, m.message_id), reverse=True)

    def _list_handled(self, today: date) -> list[Message]:
        """List the messages that Operations handled today. Its archive has others: dropped ones, and strangers'."""
        found = list(_read(self.root / "Archive" / today.isoformat() / OPERATIONS))
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


def is_usable(message: Message) -> bool:
    """Return whether somebody can plan from a briefing."""
    return _read_if_usable(message) is not None


def _read_if_usable(message: Message) -> Briefing | None:
    with suppress(DepartmentsError):
        return read_briefing(message)
    return None


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
