"""The plumbing of a workspace, without broker and departments: settings, limits, ledger and messages.

Each part is imported and made when it is first asked for, so a command that only reads messages needs neither limits
nor a broker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from Departments.brokers.registry import BROKERS, BrokerRow
from Departments.core.departments import OURS
from Departments.core.errors import BadInput, DiskError, LedgerError
from Departments.core.logs import make_logger
from Departments.core.platform.clock import Clock, SystemClock
from Departments.core.platform.disk_trouble import raise_if_read_only
from Departments.core.platform.places import (
    Mutexes,
    claim_state,
    find_mutexes,
    find_state,
    find_sync_client,
    may_warn,
)
from Departments.core.platform.rights import PRIVATE, SHARED, Rights, list_open_folders
from Departments.core.platform.steps import Step, no_step
from Departments.core.trading_calendar import trading_day

if TYPE_CHECKING:
    from Departments.constraints.limits import Limits
    from Departments.core.settings import Settings
    from Departments.ledger.ledger import Ledger
    from Departments.messaging.admission import Admission
    from Departments.messaging.bus import Bus
    from Departments.messaging.mailbox import Mailbox
    from Departments.messaging.message import Message
    from Departments.messaging.signing import SignatureRule
    from Departments.Operations.shelf import Shelf

log = make_logger(__name__)

MESSAGES = "Messages_Between_Departments"
LEDGER_FILE = "sentinel.db"
#: A ledger is a file and its log (-wal). A client that copies one without the other breaks it on the other machine.
SYNCHRONISED = (
    "The ledger is in %s, which %s copies: a copy of it without its log (-wal) lacks orders. Name a folder outside by "
    "state_dir in config/settings.yaml, and move sentinel.db and simulated_exchange.db there while nothing runs"
)
#: The same in a project whose own scripts open the ledger.
SYNCHRONISED_PROJECT = (
    "The ledger is in %s, which %s copies: a copy of it without its log (-wal) lacks orders. The project's scripts "
    "open it there, so it stays with them: move the whole project out of that folder"
)


@dataclass(frozen=True)
class Choices:
    """The choices of a command or script beyond the files of the workspace; None means the value of the settings.

    `rehearsal` is a folder to plan in instead of the workspace: messages, ledger and exchange are there, and Trading
    does not work. `brokers` are the rows that `broker` and the settings choose from. `ledger_patience` is the longest
    wait (seconds) for a ledger that another program keeps locked.
    """

    clock: Clock = field(default_factory=SystemClock)
    broker: str | None = None
    brokers: Sequence[BrokerRow] = BROKERS
    exchange_state: Path | None = None
    exchange_faults: Path | None = None
    exchange_prices: Path | None = None
    ledger_path: Path | None = None
    ledger_patience: float | None = None
    live: bool = False
    via_watchers: bool = False
    rehearsal: Path | None = None
    step: Step = no_step


class Plumbing:
    """The shared parts of one workspace's departments. Raises BadInput, on first use of a part, for a wrong file."""

    def __init__(self, workspace: Path, choices: Choices) -> None:
        self.workspace = workspace
        self.choices = choices
        self.state = choices.rehearsal or workspace
        self.clock = choices.clock

    @cached_property
    def state_dir(self) -> Path:
        """The folder of ledger, exchange and mutexes: the workspace, or the one that `state_dir` names."""
        if self.choices.rehearsal is not None:
            return self.choices.rehearsal
        found = self._found_state
        if found != self.workspace:
            claim_state(found, self.workspace, self.rights)
        client = find_sync_client(found)
        if client is not None and may_warn(self.workspace, trading_day(SystemClock().now())):
            has_scripts = (self.workspace / "Departments").is_dir()
            log.warning(SYNCHRONISED_PROJECT if has_scripts else SYNCHRONISED, found, client)
        return found

    @cached_property
    def mutexes(self) -> Mutexes:
        """The mutexes of the workspace; a rehearsal has its own."""
        rehearsal = self.choices.rehearsal
        if rehearsal is not None:
            return Mutexes(rehearsal / ".locks")
        return find_mutexes(self.workspace, self._found_state)

    @cached_property
    def _found_state(self) -> Path:
        """The folder that the settings or the environment name, not yet claimed; they are read for it once."""
        return find_state(self.workspace)

    @cached_property
    def settings(self) -> Settings:
        """`config/settings.yaml`, or the defaults."""
        from Departments.settings_file import read_settings

        return read_settings(self.workspace, self.choices.brokers)

    @cached_property
    def limits(self) -> Limits:
        """`config/hard_constraints.yaml`, with what `compliance_config.yaml` beside it makes stricter."""
        from Departments.constraints.compliance import tighten
        from Departments.constraints.limits import limits_file, load_limits

        path = limits_file(self.workspace)
        if not path.exists():
            mend = "make a workspace of it by `departments init`, or name another --workspace"
            raise BadInput(path, "", "there is no such file", mend)
        return tighten(load_limits(path), self.workspace)

    @property
    def rights(self) -> Rights:
        """The rights of new files and folders, by `files` in the settings."""
        return SHARED if self.settings.files == "shared" else PRIVATE

    @property
    def ledger_path(self) -> Path:
        """The ledger's file: `sentinel.db` unless a script names another."""
        return self.choices.ledger_path or self.state_dir / LEDGER_FILE

    @cached_property
    def ledger(self) -> Ledger:
        """The workspace's ledger."""
        from Departments.ledger.ledger import Ledger

        self._check_writable()
        patience, most = self.settings.ledger.patience, self.choices.ledger_patience
        patience = patience if most is None else min(patience, most)
        return Ledger(self.ledger_path, step=self.choices.step, patience=patience, rights=self.rights)

    @cached_property
    def mailbox(self) -> Mailbox:
        """The folder of messages."""
        from Departments.messaging.mailbox import Mailbox

        self._check_writable()
        messaging = self.settings.messaging
        return Mailbox(
            self.state / MESSAGES,
            durability=messaging.durability,
            step=self.choices.step,
            max_bytes=messaging.max_message_bytes,
            rights=self.rights,
            hard_links=messaging.hard_links == "auto",
            mutexes=self.mutexes,
        )

    # --- messages ---

    @cached_property
    def bus(self) -> Bus:
        """Publishing and consuming."""
        from Departments.messaging.bus import Bus

        self._warn_of_open_inboxes()
        bus = Bus(
            self.mailbox,
            self.ledger.journal,
            self.clock,
            self.settings.messaging,
            self.admission,
            signatures=self.signatures,
        )
        if self.choices.rehearsal is not None:
            bus.forget_letters()
        return bus

    @cached_property
    def signatures(self) -> SignatureRule:
        """The types with a required signature, and the keys of the environment."""
        from Departments.messaging.signing import SignatureRule

        return SignatureRule(frozenset(self.settings.messages.require_signature))

    @cached_property
    def admission(self) -> Admission:
        """The rule for senders and proofs of messages. Says at every start that nothing does, if that is chosen."""
        from Departments.messaging.admission import UNPROVEN_WARNING, Admission

        instructions = self.settings.trading.instructions
        if instructions == "unproven":
            log.warning(UNPROVEN_WARNING)
        return Admission(self.settings.messages.senders, instructions, self.signatures)

    def _warn_of_open_inboxes(self) -> None:
        """Warn of inboxes open to the writing of others: whoever writes there sends us messages."""
        inboxes = [self.state / MESSAGES / "Inbox" / name for name in OURS]
        found = list_open_folders([self.state / MESSAGES, self.state / MESSAGES / "Inbox", *inboxes], self.rights)
        if found:
            places = ", ".join(map(str, found))
            log.warning("Others may write into %s, and so send us messages; take their right to write away", places)

    def briefings(self, now: datetime) -> list[Message]:
        """Return the briefings for a plan: delivered ones, newest first, then what RESEARCH sent."""
        from Departments.core.trading_calendar import trading_day

        return self.shelf.list_briefings(trading_day(now))

    @cached_property
    def shelf(self) -> Shelf:
        """The sources of plans in the folder of messages."""
        from Departments.Operations.shelf import Shelf

        needs_proposal = self.settings.operations.proposal == "required"
        return Shelf(self.state / MESSAGES, self.bus, needs_proposal)

    # --- the files ---

    def close(self) -> None:
        """Close the files that were opened."""
        if "bus" in self.__dict__:
            with suppress(LedgerError, DiskError):
                self.bus.close()
        if "ledger" in self.__dict__:
            self.ledger.close()

    def _check_writable(self) -> None:
        """Raise BadInput or DiskError for a workspace without a folder or a right; the first write proves the rest."""
        if not self.state.is_dir():  # mistyped, more likely than not: it is not made
            raise BadInput(self.state, "", "there is no such folder", "create it or name another --workspace")
        if not os.access(self.state, os.W_OK):
            raise_if_read_only(self.state)
            problem = "the workspace cannot be written (a right is missing)"
            raise BadInput(self.state, "", problem, "choose another folder or correct its rights")
