"""The Executive's look at a plan: it reads the facts of this moment and asks the rules about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from Departments.brokers.snapshot import FactsReader
from Departments.constraints.amounts import cash_reserve
from Departments.constraints.engine import check_desk
from Departments.constraints.limits import Limits
from Departments.core.errors import BadInput
from Departments.core.facts import DeskFacts, Facts, PlanFacts
from Departments.core.halts import UNHALT
from Departments.core.moments import show_moment
from Departments.core.money import ZERO, count_noun, whole_shares
from Departments.core.orders import Side
from Departments.core.plans import TradingPlan
from Departments.core.quotes import MarketClock
from Departments.core.reasons import Reason, ReasonCode
from Departments.core.settings import Settings
from Departments.core.statuses import PhaseName
from Departments.core.trading_calendar import trading_day
from Departments.Executive.agenda import rehearse
from Departments.Executive.day_order import DayFailed
from Departments.Executive.manual_orders import ManualOrder
from Departments.Executive.remainder import Leftover, list_left, plan_for
from Departments.Executive.reporting.document import Document, dry_run_document
from Departments.Executive.review import Outlook, find_staleness, foresee
from Departments.Executive.review_facts import Past
from Departments.ledger.account_book import BookRecords
from Departments.ledger.executive_records import PlanRecords
from Departments.messaging.plan_documents import plan_from

FEES_OF: Final = timedelta(days=90)  # the time over which fees are measured


@dataclass(frozen=True, slots=True)
class NotToday:
    """A plan in order is not executed today: its status word, the plan meant, and a sentence for people."""

    status: str
    plan_id: str | None
    message: str

    @property
    def is_done(self) -> bool:
        """Return True if the day has its execution."""
        return self.status == "ALREADY_EXECUTED"


@dataclass(frozen=True, slots=True)
class Rest:
    """The rest of an execution. `obstacle` is why no further attempt sends it now, empty if one does."""

    left: tuple[Leftover, ...]
    obstacle: str

    @property
    def may_go_on(self) -> bool:
        """Return True if a further attempt may send something now."""
        return bool(self.left) and not self.obstacle

    @property
    def sentence(self) -> str:
        """Return the words for people: what is left, and why."""
        if not self.left:
            return "no trade of it is left"
        why = f"; {self.obstacle}" if self.obstacle else ""
        return f"left: {', '.join(each.sentence for each in self.left)}{why}"


@dataclass(frozen=True, slots=True)
class PlanJudge:
    """Judges plans by account, ledger, market and limits. Every method raises BrokerUnavailable."""

    reader: FactsReader
    plans: PlanRecords
    book: BookRecords
    limits: Limits
    settings: Settings

    def foresee(self, plan: TradingPlan) -> Outlook:
        """Judge every order of a plan on projected facts."""
        return foresee(plan, self._read(plan), self.limits, self.settings.exits, self._read_past(plan))

    def _read_past(self, plan: TradingPlan) -> Past:
        """Read what the ledger knows of the days before a plan."""
        runs = [run.trading_day for run in self.plans.executions() if run.plan_id != plan.plan_id and not run.by_hand]
        fees = self.book.measure_fees(plan.generated_at - FEES_OF)
        return Past(max(runs, default=None), self._find_earlier(trading_day(plan.generated_at)), fees)

    def _find_earlier(self, day: date) -> TradingPlan | None:
        """Return the trades of the last plan before a day, None if there is none to compare with."""
        plan_id = self.plans.find_before(day)
        document = self.plans.document(plan_id) if plan_id else None
        try:
            return None if document is None else plan_from({**document, "skipped": []}, str(plan_id))
        except BadInput:
            return None  # an older program wrote what nobody reads any more

    def find_staleness(self, plan: TradingPlan) -> str | None:
        """Return why a plan may not be approved any more, or None."""
        return find_staleness(plan, self._read(plan), self.limits)

    def find_obstacles(
        self, known: PlanFacts, *, account: bool = True, force: bool = False
    ) -> tuple[NotToday | None, list[Reason]]:
        """Return the obstacles to sending anything now, and the day's answer if there is one.

        With `account` the account's gates count too, and the broker is asked for them. `force` allows a second
        execution on one day, of another plan.
        """
        facts: DeskFacts = replace(self.reader.glance(account=account), plan=self._with_execution(known))
        found = check_desk(facts, self.limits, "dispatch").violations
        reasons = [r for r in found if not (force and r.code is ReasonCode.ONE_EXECUTION_PER_DAY)]
        return _not_today(reasons, facts.hours, known.plan_id or None), reasons

    def find_rest(self, plan: TradingPlan) -> Rest:
        """Return the rest of a plan's execution, and whether a further attempt may send some of it now."""
        execution, records = self.plans.execution(plan.plan_id), self.plans.trades(plan.plan_id)
        left = tuple(list_left(plan, records))
        passing = [each for each in left if each.is_passing]
        if execution is None or not passing:
            return Rest(left, "none of these reasons passes by itself today" if left else "")
        rest = plan_for(plan, records, execution.attempt + 1)
        facts = replace(self.reader.read(t.symbol for t in rest.trades), plan=PlanFacts.of(plan))
        stops = check_desk(facts, self.limits, "dispatch").violations
        if stops:
            return Rest(left, f"no further attempt now: {stops[0].sentence or stops[0]}")
        shortfall, collar = self.settings.phases.buy.shortfall, self.settings.prices.collar_pct
        decisions = rehearse(rest, facts, self.limits, shortfall, collar).decisions
        trades = [d for name in (PhaseName.SELL, PhaseName.BUY) for d in decisions[name]]
        if any(d.sent for d in trades):
            return Rest(left, "")
        return Rest(left, f"no further attempt now: {'; '.join(f'{d.planned.symbol} {d.reason}' for d in trades)}")

    def measure(self, plan: TradingPlan) -> Decimal | None:
        """Return the dollars a plan trades, SELLs and BUYs together. Returns None if a price is unknown.

        Of the plan's price and today's the higher counts.
        """
        facts, amount = self._read(plan), ZERO
        for trade in plan.trades:
            prices = [price for price in (trade.price, facts.of(trade.symbol).price) if price is not None]
            if not prices:
                return None
            amount += trade.qty * max(prices)
        return amount

    def refuse_order(self, order: ManualOrder) -> None:
        """Raise BadInput for an unknown symbol and for a SELL of more than is held, DayFailed for a halted side."""
        trade = order.trade
        facts = self.reader.read([trade.symbol])
        halt = facts.history.halt
        if halt is not None and halt.stops(trade.side):
            raise DayFailed(f"{order} is not ordered: {halt.sentence}; {UNHALT}")
        held, stock = facts.positions.get(trade.symbol), facts.of(trade.symbol)
        if held is None and stock.price is None and not stock.tradable:
            raise BadInput(f"order {order}", "", f"the broker knows no {trade.symbol}", "check the symbol")
        qty = ZERO if held is None else max(ZERO, held.qty)
        if trade.side is Side.SELL and trade.qty > qty:
            mend = f"order at most {whole_shares(qty)}" if qty >= 1 else "name a symbol of the account"
            raise BadInput(f"order {order}", "", f"{count_noun(qty, 'share', 'are')} held", mend)

    def rehearse(self, plan: TradingPlan, *, force: bool = False) -> Document:
        """Return the decisions of an execution now, phase by phase. Nothing is sent."""
        facts = self._read(plan)
        if force:
            facts = replace(facts, history=replace(facts.history, executed_plan_today=plan.plan_id))
        shortfall, collar = self.settings.phases.buy.shortfall, self.settings.prices.collar_pct
        foreseen = rehearse(plan, facts, self.limits, shortfall, collar)
        return dry_run_document(plan, facts, cash_reserve(self.limits, facts.equity), foreseen)

    def _read(self, plan: TradingPlan) -> Facts:
        facts = self.reader.read(t.symbol for t in plan.trades)
        return replace(facts, plan=self._with_execution(PlanFacts.of(plan)))

    def _with_execution(self, known: PlanFacts) -> PlanFacts:
        """Add the day of the plan's execution. One without trades is no execution: the day stays free."""
        execution = self.plans.execution(known.plan_id or "")
        traded = execution is not None and (execution.ended_at is None or self.plans.has_trades(execution.plan_id))
        return replace(known, executed_on=execution.trading_day if execution is not None and traded else None)


def _not_today(reasons: Iterable[Reason], hours: MarketClock, plan_id: str | None) -> NotToday | None:
    found = {reason.code: reason for reason in reasons}
    done = found.get(ReasonCode.ALREADY_EXECUTED) or found.get(ReasonCode.ONE_EXECUTION_PER_DAY)
    if done is not None:
        return NotToday("ALREADY_EXECUTED", done.values["executed"], done.sentence)
    if ReasonCode.MARKET_CLOSED not in found:
        return None
    message = f"the market is closed, it opens on {show_moment(hours.next_open)}; nothing was sent"
    return NotToday("MARKET_CLOSED", plan_id, message)
