"""Trading at work: inbox, open orders, comparison of ledger and broker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from Departments.brokers.base import Broker, Orders
from Departments.brokers.patience import name_trouble
from Departments.core.departments import TRADING
from Departments.core.errors import BadInput, BrokerUnavailable, NotFound, UnreadableMessage, UnroutableMessage
from Departments.core.logs import make_logger
from Departments.core.quotes import Asset
from Departments.messaging.bus import Bus, ConsumeReport
from Departments.messaging.message import Message
from Departments.messaging.payloads import CancelRequest, ExecutiveApproval, SharesRequest
from Departments.messaging.router import Handler, Router
from Departments.Trading.comparison import ComparedOrder
from Departments.Trading.handlers import ApprovalHandlers, ExitHandlers
from Departments.Trading.reconciliation import ComparedPositions, FollowedBuys, Reconciler
from Departments.Trading.renewal import ExitRenewer
from Departments.Trading.repricing import ExitRepricer

log = make_logger(__name__)

#: Instructions whose effects share a commit, each about a symbol of its own. The intent of each order is committed
#: before it is sent.
BATCH: Final = 50


class Trader:
    """Turns approvals into orders, each once, and follows every order to its end.

    While the broker is away the inbox waits and is due again after `retry_after`.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each part
        self,
        broker: Broker,
        bus: Bus,
        approvals: ApprovalHandlers,
        exits: ExitHandlers,
        tracker: ExitRepricer,
        reconciler: Reconciler,
        renewer: ExitRenewer,
        *,
        retry_after: timedelta,
    ) -> None:
        self._broker = broker
        self._bus = bus
        self._approvals = approvals
        self._exits = exits
        self._tracker = tracker
        self._reconciler = reconciler
        self._renewer = renewer
        self._retry_after = retry_after
        handlers: dict[str, Handler] = {
            "send_order": approvals.send_order,
            "cancel_order": approvals.cancel_order,
            "release_exits": exits.release_exits,
            "protect_shares": exits.protect_shares,
        }
        self._symbols: dict[str, str] = {}  # of waiting messages, by their ids
        self.router = Router(TRADING, handlers, prepare=self._prepare, subject=self._find_symbol)

    def work(self, *, wait: float = 10.0) -> ConsumeReport:
        """Handle all waiting messages, then track every open order.

        Raises WorkspaceBusy when another consumer holds the inbox for longer than `wait` seconds, DepartmentsError.
        """
        self._approvals.forget()
        may_consume = self._may_consume()
        report = self._bus.consume(TRADING, self.router, wait=wait, batch=BATCH) if may_consume else self._postpone()
        self.track()
        return report

    def _may_consume(self) -> bool:
        """Return False while messages wait and the broker is away. None has failed."""
        if not self._bus.mailbox.waiting(TRADING):
            return True
        try:
            self._approvals.take(self._broker.account())
        except BrokerUnavailable as error:
            log.warning("%s, the inbox waits (%s)", name_trouble(error), error)
            return False
        return True

    def _postpone(self) -> ConsumeReport:
        left = len(self._bus.mailbox.waiting(TRADING))
        return ConsumeReport(TRADING, left=left, retry_at=self._bus.clock.now() + self._retry_after)

    def track(self, *, exits: bool = False, asking: bool = True, listed: Orders | None = None) -> None:
        """Bring open orders, with `exits` resting exits too, up to date and report outcomes.

        Without `asking` no due cancel is asked of the broker. `listed` are the broker's orders if read just now.
        """
        self._approvals.forget()
        self._tracker.track(exits=exits, asking=asking, listed=listed)
        self._exits.end_releases()
        self._bus.deliver_pending()

    def reconcile(self) -> list[ComparedOrder]:
        """Compare ledger and account: orders, shares and cash. Adopt matches, book named changes, lock the disputed.

        Sends nothing. Raises BrokerUnavailable.
        """
        return self._reconciler.reconcile(self._find_in_hand(), self._follow)

    def attend(self) -> None:
        """Do what a watching Trading does between messages: renew exits that a split left wrong, and track."""
        self.renew_exits()
        self.track()

    def await_renewal(self) -> None:
        """Wait a little until a watching Trading has made the exits of split and renamed symbols anew."""
        for symbol in self._renewer.await_watcher():
            log.warning("%s: its exits are not renewed after its split or rename", symbol)

    def renew_exits(self) -> None:
        """Make the exits of split and renamed symbols anew, before anything else is sent."""
        self._renewer.renew()
        self._bus.deliver_pending()

    def accept(self, symbol: str | None) -> list[str]:
        """Accept a symbol's disputes on a person's word and free it; `CASH` is unexplained cash, None everything.

        The ledger takes over what the account has. Returns a sentence about each change, none without a dispute.
        Raises BrokerUnavailable.
        """
        return self._reconciler.accept(symbol, self._find_in_hand(), self._follow)

    def _find_in_hand(self) -> set[str]:
        return {message.message_id for message in self._bus.waiting(TRADING)}

    def _follow(self, listed: Orders | None = None) -> None:
        self.track(exits=True, asking=False, listed=listed)

    def compare_positions(self, age: timedelta) -> ComparedPositions:
        """Compare the ledger's fills of the last `age` with the broker's positions. Raises BrokerUnavailable."""
        return self._reconciler.compare_positions(age)

    def find_asset(self, symbol: str) -> Asset:
        """Return the broker's data on a symbol. Raises NotFound, BrokerUnavailable."""
        found = self._broker.assets([symbol]).get(symbol)
        if found is None:
            raise NotFound(f"the broker knows no {symbol}")
        return found

    def follow_buys(self) -> FollowedBuys:
        """Follow the BUYs that are open in the ledger; sends nothing. Raises BrokerUnavailable."""
        return self._reconciler.follow_buys(self._follow)

    def _prepare(self, messages: Iterable[Message]) -> None:
        """Read the symbols of messages, and expect those of the approvals."""
        waiting = list(messages)
        self._symbols = {message.message_id: self._read_symbol(message) for message in waiting}
        approvals = (m for m in waiting if self.router.type_of(m) == "ExecutiveApproval")
        self._approvals.expect(filter(None, map(self._find_symbol, approvals)))

    def _find_symbol(self, message: Message) -> str:
        """Return the symbol of a message that was prepared, empty without one."""
        return self._symbols.get(message.message_id, "")

    def _read_symbol(self, message: Message) -> str:
        with suppress(BadInput, UnreadableMessage, UnroutableMessage):
            asked = self.router.read(message)
            return asked.symbol if isinstance(asked, ExecutiveApproval | CancelRequest | SharesRequest) else ""
        return ""
