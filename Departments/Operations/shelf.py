"""Where the newest DailyBriefing and PlanProposal are found: in hand, waiting, archived today, or sent by RESEARCH.

A message that was handled before a restart lies in the archive of its day; RESEARCH addresses its briefings to
PORTFOLIO, so its Outbox is read too, without taking anything from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from Departments.core.departments import OPERATIONS, RESEARCH
from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec
from Departments.messaging.bus import Bus
from Departments.messaging.message import Message

LOOKED_AT = 200  # of an outbox full of old messages, only the newest are read


@dataclass(slots=True)
class Shelf:
    """Finds messages for Operations. `root` is the folder `Messages_Between_Departments`."""

    root: Path
    bus: Bus
    in_hand: dict[str, Message] = field(default_factory=dict)

    def keep(self, message: Message) -> None:
        """Keep a message at hand."""
        self.in_hand[message.message_id] = message

    def find(self, message_id: str) -> Message | None:
        """Return a message by its id, None when there is none."""
        return self.in_hand.get(message_id) or self.bus.find(message_id)

    def delivered(self, message_type: str, today: date) -> list[Message]:
        """Return what was addressed to Operations and is at hand, waiting or archived today, the newest first."""
        archived = _read(self.root / "Archive" / today.isoformat() / OPERATIONS)
        return _newest_first((*self.in_hand.values(), *self.bus.waiting(OPERATIONS), *archived), message_type)

    def researched(self, message_type: str) -> list[Message]:
        """Return what RESEARCH has sent to anybody, the newest first."""
        return _newest_first(_read(self.root / "Outbox" / RESEARCH), message_type)


def _newest_first(messages: Iterable[Message], message_type: str) -> list[Message]:
    found = {m.message_id: m for m in messages if m.message_type == message_type}
    return sorted(found.values(), key=lambda m: (m.timestamp, m.message_id), reverse=True)


def _read(folder: Path) -> Iterator[Message]:
    names = sorted((p.name for p in folder.glob("*.md")), reverse=True) if folder.is_dir() else []
    for name in names[:LOOKED_AT]:
        try:
            yield codec.decode((folder / name).read_bytes(), name=name)
        except (UnreadableMessage, OSError):
            continue
