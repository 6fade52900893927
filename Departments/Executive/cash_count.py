"""The count of the account's cash beside what the execution's own fills and fees explain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from Departments.brokers.base import Broker
from Departments.constraints.amounts import cash_reserve
from Departments.constraints.limits import Limits
from Departments.core.errors import BrokerError
from Departments.core.logs import make_logger
from Departments.core.money import ZERO, cents
from Departments.core.platform.clock import Clock
from Departments.core.portfolio import Account
from Departments.core.settings import BuyPhaseSettings
from Departments.core.statuses import ExecutionStatus
from Departments.core.trading_calendar import trading_day
from Departments.Executive.reporting.run_cash import adds_up, cash_path
from Departments.ledger.ledger import Ledger
from Departments.ledger.plan_records import ExecutionRecord

log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class CashCount:
    """The account, its expected cash by fills and fees, and those fees, in dollars."""

    account: Account
    expected_cash: Decimal
    fees: Decimal

    @property
    def difference(self) -> Decimal:
        """Return the unexplained cash, to the cent: negative when cash is missing."""
        return cents(self.account.cash - self.expected_cash)


@dataclass(frozen=True, slots=True)
class CashCounter:
    """Counts the cash of an execution. `work` has every department of this process read its inbox once.

    `unread` says why its fees are unknown, once they are.

    All raise BrokerUnavailable when the account cannot be read.
    """

    ledger: Ledger
    broker: Broker
    limits: Limits
    clock: Clock
    settings: BuyPhaseSettings
    work: Callable[[], None]
    unread: list[str] = field(default_factory=list)

    def record_start(self, plan_id: str) -> ExecutionRecord:
        """Return the record of an execution that begins now, with the account's cash, equity and reserve."""
        account, now = self.broker.account(), self.clock.now()
        return ExecutionRecord(
            plan_id,
            trading_day(now),
            started_at=now,
            ended_at=None,
            status=ExecutionStatus.RUNNING,
            equity=account.equity,
            cash_before=account.cash,
            reserve=cash_reserve(self.limits, account.equity),
            cash_after=None,
            broker=self.broker.name,
            account=account.masked or None,
        )

    def wait(self, execution: ExecutionRecord) -> CashCount:
        """Count the cash. While account and fills disagree, wait and count again, but not for ever."""
        clock, settings = self.clock, self.settings
        give_up = clock.now() + timedelta(seconds=settings.cash_wait)
        counted = self._count(execution)
        while not adds_up(counted.difference) and clock.now() < give_up:
            clock.sleep(settings.poll)
            give_up = min(give_up, clock.now() + timedelta(seconds=settings.cash_wait))  # it may have been set back
            self.work()
            counted = self._count(execution)
        return counted

    def _count(self, execution: ExecutionRecord) -> CashCount:
        """Read the account and count start cash + SELL fills − BUY fills − fees beside it."""
        account, fees = self.broker.account(), self._read_fees(execution.started_at)
        fills = self.ledger.execution_fills(execution)
        other = self.ledger.book.sum_in_run(execution)
        return CashCount(account, cash_path(execution.cash_before, fills)[-1] - fees + other, fees)

    def _read_fees(self, since: datetime) -> Decimal:
        """Return the trading fees booked since a moment. Without a list of them they count as none: nobody knows more.

        Fees that the account has paid all the same are a difference, which the report names.
        """
        if self.unread:
            return ZERO
        try:
            return self.broker.fees(since)
        except BrokerError as error:
            self.unread.append(str(error))
            log.warning("The fees of the run cannot be read; they count as 0 (%s)", error)
            return ZERO
