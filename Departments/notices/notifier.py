"""Tells people what happened, once per cause and day. Whatever a channel does, the day goes on as it would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Protocol

from Departments.core.logs import make_logger
from Departments.core.platform.clock import Clock
from Departments.core.settings import NotifySettings
from Departments.core.trading_calendar import trading_day
from Departments.notices import notice_runner
from Departments.notices.channels import Channel, NotTold, run_notice
from Departments.notices.notice import Notice

log = make_logger(__name__)

LINE: Final = "Notice (%s): %s"
PREFIX: Final = "notice:"  # of a cause in the ledger, where the escalations of dead letters have theirs, too


class Causes(Protocol):
    """The memory of what was told."""

    def note_cause(self, cause: str, day: date) -> bool:
        """Note a cause. Returns True if it is new on `day`."""

    def forget_cause(self, cause: str, day: date) -> None:
        """Forget a cause of a day: nobody was told."""


@dataclass(slots=True)
class Notifier:
    """Tells notices by the channels, each event as the settings say. `open_causes` opens the ledger's memory."""

    settings: NotifySettings
    channels: Sequence[Channel]
    open_causes: Callable[[], Causes]
    clock: Clock
    heartbeat: str
    folder: Path
    _silent: set[str] = field(default_factory=set, repr=False)

    def tell(self, *notices: Notice) -> None:
        """Tell what was not told today. Nothing is raised, whatever goes wrong."""
        for notice in notices:
            try:
                self._tell(notice)
            except Exception as error:  # noqa: BLE001 - a notice is never worth a day
                log.warning("The notice of %s cannot be made (%s)", notice.event, type(error).__name__)

    def _tell(self, notice: Notice) -> None:
        policy, today = self.settings.policy_of(notice.event), trading_day(self.clock.now())
        if policy == "off":
            return
        if not self.channels:  # the log needs no memory, and no ledger is made for it
            log.info(LINE, notice.event, notice.title)
            return
        causes, cause = self.open_causes(), f"{PREFIX}{notice.event}:{notice.cause}"
        if not causes.note_cause(cause, today):
            return
        log.info(LINE, notice.event, notice.title)
        if policy == "on":
            sent = [self._send(channel, notice) for channel in self.channels]
            if not any(sent):
                causes.forget_cause(cause, today)  # the next command tells it

    def _send(self, channel: Channel, notice: Notice) -> bool:
        """Send by one channel. One that took too long is not waited for again."""
        if channel.name in self._silent:
            return False
        try:
            channel.send(notice)
        except Exception as error:  # noqa: BLE001 - as above, and the other channels are asked
            if isinstance(error, NotTold) and error.is_silent:
                self._silent.add(channel.name)
            log.warning("%s did not take the notice (%s): %s", channel.name, notice.event, _name(error))
            return False
        return True

    def ping(self) -> None:
        """Ping the heartbeat's address: a run has ended. Nothing is raised."""
        if not self.heartbeat:
            return
        try:
            ended = run_notice({"ping": self.heartbeat}, self.folder, self.settings.timeout)
            problem = "" if ended.code == notice_runner.SENT else "it was not reached, or refused"
        except Exception as error:  # noqa: BLE001 - as above
            problem = _name(error)
        if problem:
            log.warning("notify.heartbeat_url was not pinged: %s", problem)


def _name(error: Exception) -> str:
    """Return the text of an error of ours, and the name of another: its text may hold an address."""
    return str(error) if isinstance(error, NotTold) else type(error).__name__
