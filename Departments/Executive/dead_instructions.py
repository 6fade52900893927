"""Instructions that never reached Trading: somebody changed the file, so it became a dead letter.

Such a trade ends at once, with the dead letter's code and nothing sent. The instruction counts as handled from then on,
so a copy of it that turns up later has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from Departments.core.departments import TRADING
from Departments.core.errors import WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import TradeRecord
from Departments.messaging.bus import Bus
from Departments.messaging.ports import DeadLetterRow

REFUSED = "refused"

log = make_logger(__name__)


def end_refused(ledger: Ledger, bus: Bus, waiting: Sequence[TradeRecord], now: datetime) -> bool:
    """End the trades whose instructions are dead letters. Returns True if there were any.

    An instruction that still waits in the inbox, or that Trading has taken up, is left to it.
    """
    found = _find_dead(bus, waiting)
    if not found:
        return False
    ended = []
    with suppress(WorkspaceBusy), bus.mailbox.holding(TRADING, wait=0):  # nobody takes one up meanwhile
        there = frozenset(bus.mailbox.waiting(TRADING))
        for message_id, row in found.items():
            if f"{message_id}.md" not in there and _refuse(ledger, message_id, row, now):
                ended.append(row)
    for row in ended:
        log.warning("%s never reached %s: %s (%s)", row[1], TRADING, row[4], row[5])
    return bool(ended)


def _find_dead(bus: Bus, waiting: Sequence[TradeRecord]) -> Mapping[str, DeadLetterRow]:
    sent = {trade.message_id for trade in waiting if trade.message_id}
    rows = [row for row in bus.journal.dead_letters() if row[0] == TRADING] if sent else []
    found = ((message_id, row) for row in rows for message_id in (row[3], row[1].removesuffix(".md")))
    return {message_id: row for message_id, row in found if message_id in sent}


def _refuse(ledger: Ledger, message_id: str, row: DeadLetterRow, now: datetime) -> bool:
    _, _, digest, _, code, sentence, *_ = row
    with ledger.transaction():
        if ledger.orders.find_by_message(message_id) is not None:
            return False
        if not ledger.journal.remember(TRADING, message_id, REFUSED, digest, now):
            return False
        return ledger.plans.refuse_trade(message_id, code, f"{code}: {sentence}", now)
