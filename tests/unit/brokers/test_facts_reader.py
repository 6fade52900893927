"""What the facts of an account are made of: rows of others, orders of unknown cost, the peak, and locks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any, cast

from Departments.brokers.base import (
    Broker,
    BrokerList,
    ForeignOrder,
    ForeignPosition,
    Orders,
    Positions,
    UnreadableRow,
)
from Departments.brokers.snapshot import ExchangeHours, FactsReader, Memory
from Departments.core.facts import Facts, Knowledge
from Departments.core.platform.clock import SimulatedClock
from Departments.core.portfolio import Account
from Departments.core.quotes import MarketClock

NOW = datetime(2025, 11, 10, 15, 9, tzinfo=UTC)


@dataclass
class Rows:
    """An account at a broker, row by row."""

    held: Positions = field(default_factory=lambda: BrokerList(()))
    opened: Orders = field(default_factory=lambda: BrokerList(()))

    def account(self) -> Account:
        return Account(cash=D(40_000), equity=D(100_000), buying_power=D(80_000), multiplier=D(2))

    def positions(self) -> Positions:
        return self.held

    def orders(self, _: str) -> Orders:
        return self.opened

    def market_clock(self) -> MarketClock:
        return MarketClock.by_calendar(NOW)


class Remembered:
    """A ledger that knows one thing."""

    def __init__(self, learnt: Knowledge) -> None:
        self.learnt = learnt

    def knowledge(self, *_: Any) -> Knowledge:
        return self.learnt


def facts_of(rows: Rows, **learnt: Any) -> Facts:
    broker, clock = cast(Broker, cast(Any, rows)), SimulatedClock(NOW)
    memory = cast(Memory, cast(Any, Remembered(Knowledge(**learnt))))
    day = timedelta(days=1)
    return FactsReader(broker, memory, ExchangeHours(broker, clock), clock, 1, day, day).read()


def test_what_is_held_in_options_counts_and_what_is_owed_is_no_credit() -> None:
    rows = [ForeignPosition("us_option", name, value) for name, value in (("A", D(900)), ("B", D(-400)), ("C", None))]
    assert facts_of(Rows(held=BrokerList((), rows))).foreign_value == 900


def test_an_order_of_unknown_cost_may_take_all_that_there_is() -> None:
    orders = [ForeignOrder("o1", "us_option", "A", D(1_200)), ForeignOrder("o2", "mleg", "", None)]
    found = facts_of(Rows(opened=BrokerList((), orders)))
    assert (found.open_buys, found.unpriced_buys) == (D(201_200), ("mleg (o2)",))


def test_the_peak_is_at_least_the_equity_of_now() -> None:
    assert facts_of(Rows(), peak_equity=D(90_000)).peak_equity == 100_000
    assert facts_of(Rows(), peak_equity=D(130_000)).peak_equity == 130_000
    assert facts_of(Rows()).peak_equity is None


def test_a_position_that_cannot_be_read_locks_its_symbol_beside_the_locks_of_the_ledger() -> None:
    odd = [UnreadableRow("", "", "ODD", "qty is missing"), UnreadableRow("", "", "", "no object")]
    found = facts_of(Rows(held=BrokerList((), (), odd)), locks={"T": "look at it"})
    assert found.locks == {
        "T": "look at it",
        "ODD": "the position of ODD at the broker cannot be read (qty is missing)",
    }
