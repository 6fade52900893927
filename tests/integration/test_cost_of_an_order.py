"""What an order costs must not depend on how many came before it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from Departments.bootstrap import Desk
from Departments.messaging.router import Router
from tests.builders.desk import STATE, desk, two_and_two, workspace


@contextmanager
def asked(opened: Desk) -> Iterator[list[str]]:
    """Listen to every question to the ledger."""
    said: list[str] = []
    connection = opened.ledger._db._connection
    connection.set_trace_callback(said.append)
    yield said
    connection.set_trace_callback(None)


def test_no_question_of_an_execution_reads_through_old_orders_fills_or_trades(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with asked(opened) as said:
            assert opened.ceo.execute_plan()["document"]["status"] == "COMPLETED"
        plans = {
            row[3]: sql
            for sql in said
            if sql.startswith("SELECT") and sql != "SELECT id FROM desk_orders LIMIT 1"
            for row in opened.ledger._db.rows(f"EXPLAIN QUERY PLAN {sql}")
        }
    slow = ("SCAN desk_", "SCAN o", "SCAN f", "SCAN x", "SCAN y")
    small = tuple(
        f"SCAN desk_{name}"
        for name in (
            "accepted",
            "assets",
            "brokers",
            "differences",
            "executions",
            "halts",
            "locks",
            "releases",
            "symbols",
        )
    )
    small += ("SCAN desk_orders USING INDEX desk_orders_open",)  # which holds no others
    small += ("SCAN desk_unprotected USING INDEX sqlite_autoindex_desk_unprotected_1",)  # symbols that have some
    assert any("desk_orders_open" in plan for plan in plans)
    assert {plan: sql for plan, sql in plans.items() if plan.startswith(slow) and not plan.startswith(small)} == {}


def test_approvals_that_wait_together_share_one_look_at_the_account(tmp_path: Path) -> None:
    filling_at_once = {**STATE, "latency": {"fill": [0, 0]}}
    with closing(desk(workspace(tmp_path, state=filling_at_once))) as opened:
        calls = Calls(opened)
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.ceo.execute_plan()
    assert list(calls.of.values()) == [FIRST, NEXT, FIRST, NEXT]  # two SELLs, then two BUYs


NEXT = Counter(quotes=1, assets=1, submit=1)
FIRST = NEXT + Counter(positions=1, orders=1)  # the account was read before, to see whether the broker is there


class Calls:
    """Counts what the handling of each approval asks of the broker."""

    def __init__(self, opened: Desk) -> None:
        self.of: dict[str, Counter[str]] = {}
        self._now: Counter[str] = Counter()
        self._broker = opened.broker
        opened.__dict__["broker"] = self
        trader = opened.trader
        handle = trader.router.handlers["send_order"]

        def counted(message: Any, approval: Any) -> Any:
            self._now = self.of[approval.symbol] = Counter()
            try:
                return handle(message, approval)
            finally:
                self._now = Counter()

        trader.router = Router("TRADING", trader.router.handlers | {"send_order": counted})

    def __getattr__(self, call: str) -> Any:
        answer = getattr(self._broker, call)
        if call == "name":
            return answer

        def count(*arguments: Any, **options: Any) -> Any:
            self._now[call] += 1
            return answer(*arguments, **options)

        return count


def test_a_phase_ends_and_the_next_one_begins_with_one_commit(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with asked(opened) as said:
            opened.ceo.execute_plan()
    phases = re.compile(r"INSERT INTO desk_phases .*?VALUES \('[^']*', '(\w+)', '(\w+)'", re.DOTALL)
    commits = [found for sql in "\n".join(said).split("COMMIT") if (found := phases.findall(sql))]
    assert commits == [
        [("RELEASE", "ended"), ("SELL", "open")],
        [("SELL", "ended"), ("BUY", "open")],
        [("BUY", "ended"), ("PROTECT", "ended")],
    ]


def test_what_a_script_approves_is_flushed_with_the_first_phase_and_before_any_message(tmp_path: Path) -> None:
    labels: list[str] = []
    with closing(desk(workspace(tmp_path), step=labels.append)) as opened:
        opened.work()
        opened.ledger.brokers.note(opened.broker.name, opened.clock.now())  # the first execution of a desk notes it
        labels.clear()
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.ceo.execute_plan()
        assert opened.ledger.plans.approved_at(two_and_two()["plan_id"]) is not None
    assert labels[: labels.index("before:publish.keep")].count("after:ledger.commit") == 1


def test_an_order_that_fills_at_once_is_read_from_the_ledger_a_few_times(tmp_path: Path) -> None:
    filling_at_once = {**STATE, "latency": {"fill": [0, 0]}}
    with closing(desk(workspace(tmp_path, state=filling_at_once))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        opened.work()
        with asked(opened) as said:
            opened.ceo.execute_plan()
    reads = [sql for sql in said if sql.startswith("SELECT") and " FROM desk_orders WHERE " in sql]
    assert len(reads) <= 4 * 13  # the comparisons of account, limits and protection after the day included


def test_what_came_of_orders_sent_in_a_row_is_one_commit_and_each_intent_one_before(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with asked(opened) as said:
            opened.ceo.execute_plan()
    intents = [sql.count("INSERT INTO trading_orders") for sql in "\n".join(said).split("COMMIT")]
    settled = [sql.count("INSERT INTO bus_handled") for sql in "\n".join(said).split("COMMIT") if "'TRADING'" in sql]
    assert [count for count in intents if count] == [1, 1, 1, 1]
    assert [count for count in settled if count] == [2, 2]


def test_no_letter_of_an_execution_is_looked_up_twice(tmp_path: Path) -> None:
    """The approvals of a phase are microseconds apart: no cancel request can wait behind the last of them."""
    with closing(desk(workspace(tmp_path))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with asked(opened) as said:
            opened.ceo.execute_plan()
    looks = [sql for sql in said if sql.startswith("SELECT name, digest FROM bus_letters WHERE name IN")]
    assert len(looks) > 2
    assert len(set(looks)) == len(looks)


def test_the_totals_of_a_day_are_summed_once_for_all_fills_of_a_look(tmp_path: Path) -> None:
    filling_at_once = {**STATE, "latency": {"fill": [0, 0]}}
    with closing(desk(workspace(tmp_path, state=filling_at_once))) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = two_and_two(), True
        with asked(opened) as said:
            opened.ceo.execute_plan()
        totals = opened.ledger._db.row("SELECT total_fills FROM trading_daily_logs")
    assert sum("FROM trading_fills WHERE fill_timestamp" in sql for sql in said) == 2
    assert totals is not None
    assert totals[0] == 4


def test_a_comparison_that_finds_nothing_new_writes_nothing(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened:
        opened.recover()
        opened.trader.reconcile()
        number = opened.ledger._db.row("PRAGMA user_version")
        with asked(opened) as said:
            opened.trader.reconcile()
        assert not [sql for sql in said if sql.startswith(("INSERT", "UPDATE", "DELETE", "PRAGMA user_version ="))]
        again = opened.ledger._db.row("PRAGMA user_version")
        assert number is not None
        assert again is not None
        assert again[0] == number[0]
