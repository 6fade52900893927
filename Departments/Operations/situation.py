"""Everything a plan is made from, beside the wishes: the state of the account, the market and the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from Departments.constraints import checks, engine
from Departments.constraints.limits import Limits
from Departments.core.history import TradingHistory
from Departments.core.market import MarketFacts
from Departments.core.money import ONE, on_tick
from Departments.core.orders import Side
from Departments.core.plans import Trade
from Departments.core.portfolio import Book, ProposedOrder


@dataclass(frozen=True, slots=True)
class Situation:
    """The account, the market, the rules and the desk's recent past at one moment (`market.now`).

    `stop_loss_pct` is how far below its price a BUY's stop will stand, as a share of one; None where it gets none.
    """

    book: Book
    market: MarketFacts
    limits: Limits
    history: TradingHistory = field(default_factory=TradingHistory)
    stop_loss_pct: Decimal | None = None

    @property
    def buffer(self) -> Decimal:
        """Return how much worse prices may become while the plan still holds, as a share of one."""
        return self.limits.deployment.price_buffer_pct

    @property
    def minimum(self) -> Decimal:
        """Return the least a position may be worth, in dollars."""
        return checks.minimum_position(self.limits, self.book.equity)

    @property
    def factor(self) -> Decimal:
        """Return the share of its usual size a BUY may have today."""
        return checks.size_factor(self.limits, self.market)

    def price(self, symbol: str) -> Decimal | None:
        """Return the price to plan with, in dollars a share."""
        facts, held = self.market.of(symbol), self.book.positions.get(symbol)
        return facts.price if facts.price is not None or held is None else held.current_price

    def bucket(self, symbol: str, told: str | None = None) -> str:
        """Return the sector bucket of a symbol."""
        held = self.book.positions.get(symbol)
        return checks.sector_of(self.limits, symbol, self.market, held.sector if held else None, told)

    def order(self, trade: Trade, worse: Decimal = Decimal(0)) -> ProposedOrder:
        """Return the order a trade will become, at a price that is worse by a share of one."""
        drift = ONE + worse if trade.side is Side.BUY else ONE - worse
        price = None if trade.price is None else trade.price * drift
        stops = trade.side is Side.BUY and price is not None and self.stop_loss_pct is not None
        stop = on_tick(price * (ONE - self.stop_loss_pct)) if stops and price and self.stop_loss_pct else None
        return ProposedOrder(trade.ticker, trade.side, trade.qty, price, trade.sector, stop)

    def judge(self, trade: Trade, book: Book | None = None, worse: Decimal = Decimal(0)) -> engine.Verdict:
        """Let the constraint engine judge one trade."""
        order = self.order(trade, worse)
        return engine.check_order(order, book or self.book, self.market, self.limits, self.history, stage="plan")

    def judge_plan(self, trades: tuple[Trade, ...], worse: Decimal = Decimal(0)) -> engine.PlanVerdict:
        """Let the constraint engine judge all trades, one after the other."""
        orders = [self.order(t, worse) for t in trades]
        return engine.check_plan(orders, self.book, self.market, self.limits, self.history, stage="plan")
