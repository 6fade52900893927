"""Trading as existing scripts call it.

    TradingDepartment(db_path="sentinel.db").process_inbox()

An exception would end the thread of a watcher's script, so every failure is logged and answered.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from Departments.core.answers import Answer, answer_request
from Departments.core.logs import make_logger
from Departments.messaging.bus import ConsumeReport
from Departments.Trading.trader import Trader
from Departments.Trading.trading_answers import NOTHING_FOLLOWED, TradingClient, answer_positions

if TYPE_CHECKING:
    from Departments.bootstrap import Desk

log = make_logger(__name__)


class TradingDepartment:
    """The face of the `Trader` for scripts.

    Made alone it works in the current directory with `db_path` as its ledger, and opens a desk with the first request.
    """

    def __init__(self, db_path: str | Path = "sentinel.db", *, trader: Trader | None = None) -> None:
        self._called_in, self.db_path = Path.cwd(), db_path
        self.trading_client = TradingClient(lambda: self._trader)
        if trader is not None:
            self._trader = trader
        self._turn = RLock()  # a watcher's script calls from more than one thread

    @cached_property
    def _desk(self) -> Desk:
        from Departments.bootstrap import open_desk  # noqa: PLC0415 - the written-down exception: made alone

        return open_desk(self._called_in, ledger_path=self._called_in / self.db_path)

    @cached_property
    def _trader(self) -> Trader:
        return self._desk.trader

    def process_inbox(self) -> ConsumeReport | Answer:
        """Handle all messages in Inbox/TRADING, then track every open order."""
        with self._turn:
            report = answer_request(self._work)
        if isinstance(report, dict):
            log.error("TRADING: the inbox waits: %s", report["message"])
        return report

    def _work(self) -> ConsumeReport:
        if "_trader" not in self.__dict__:  # limits and broker are opened for what needs them
            cleared = self._desk.clear_inbox()
            if cleared is not None:
                return cleared
        return self._trader.work()

    def reconcile_positions(self, max_age_hours: float = 24) -> Answer:
        """Compare the ledger's fills of the last hours with the broker's positions. Sends nothing.

        Answers SUCCESS or ERROR; `trading_answers.answer_positions` has the keys.
        """
        with self._turn:
            answer = answer_request(lambda: answer_positions(self._trader, max_age_hours))
        return {**NOTHING_FOLLOWED, **answer}
