"""Every call of existing scripts answers every key of the table, with its type, in every case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from Departments.bootstrap import Desk
from scripts import compatibility_table as table
from scripts.compatibility_table import TABLE, Answered
from tests.builders.desk import briefing, candidate, deliver, desk, two_and_two
from tests.builders.trading import APPROVAL_ID, order, request_text, unproven_workspace

CANDIDATES = [
    candidate("ALKS", 79.6, 32.66, "Healthcare", sentiment={"score": 61.5, "summary": "a good quarter"}),
    candidate("COMM", 77.8, 17.02, "Technology"),
    candidate("AXTA", 73.4, 28.64, "Basic Materials"),
    candidate("CVE", 72.0, 0.5, "Energy"),
]
HOLDINGS = [{"ticker": "CTVA", "quantity": 190.0, "research_composite_score": 47.0, "sector": "Basic Materials"}]
Answer = dict[str, Any]


def opened(
    folder: Path, *, candidates: Sequence[Any] | None = CANDIDATES, holdings: Sequence[Any] = HOLDINGS, **more: Any
) -> Desk:
    there = unproven_workspace(folder)
    if candidates is None:
        return desk(there, **more)
    text = briefing(candidates, holdings)
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", text)
    return desk(there, **more)


def planned(there: Desk) -> Answer:
    return there.ceo.handle_user_request("generate_plan", ai_model="gpt-4o-mini")


def approved(there: Desk) -> Answer:
    return there.ceo.approve_plan(planned(there)["plan"]["plan_id"])


def executed(there: Desk) -> Answer:
    approved(there)
    return there.ceo.execute_approved_plan()


def executed_twice(there: Desk) -> Answer:
    executed(there)
    return there.ceo.execute_approved_plan()


def executed_short_of_cash(there: Desk) -> Answer:
    there.ceo.current_plan, there.ceo.plan_approved = two_and_two(), True
    for row in there.ceo.current_plan["trades"]:
        row["shares"] *= 40 if row["action"] == "BUY" else 1
    return there.ceo.execute_approved_plan()


def executed_by_hand(there: Desk) -> Answer:
    there.ceo.current_plan, there.ceo.plan_approved = two_and_two(), True
    return there.ceo.execute_approved_plan()


def executed_nothing(there: Desk) -> Answer:
    there.ceo.current_plan, there.ceo.plan_approved = {**two_and_two(), "trades": []}, True
    return there.ceo.execute_approved_plan()


def listed(there: Desk) -> Answer:
    return {"status": "SUCCESS", "": there.ceo.data_source.get_open_positions()}


def reconciled_while_waiting(there: Desk) -> Answer:
    deliver(there.workspace, "TRADING", f"{APPROVAL_ID}.md", request_text(order("COMM", "BUY", 250, 17.02)))
    there.trading.process_inbox()
    there.clock.sleep(10)
    return there.trading.reconcile_positions()


def ask(name: str) -> Callable[[Desk], Answer]:
    return lambda there: there.ceo.handle_user_request(name)


AWAY: Mapping[str, Any] = {"faults": {"faults": [{"call": "account", "do": "timeout_before", "times": 0}]}}
GONE: Mapping[str, Any] = {"faults": {"faults": [{"call": "positions", "do": "timeout_before", "times": 0}]}}
#: Call, case, how it is asked, what is other than usual.
CASES: Mapping[tuple[str, str], tuple[Callable[[Desk], Answer], Mapping[str, Any]]] = {
    (table.GENERATE, "success"): (planned, {}),
    (table.GENERATE, "no briefing"): (planned, {"candidates": None}),
    (table.GENERATE, "nothing to do"): (planned, {"candidates": [candidate("ALKS", 20, 32.66)]}),
    (table.GENERATE, "already traded"): (lambda there: (executed(there), planned(there))[1], {}),
    (table.GENERATE, "broker away"): (planned, AWAY),
    (table.APPROVE, "success"): (approved, {}),
    (table.APPROVE, "unknown plan"): (lambda there: there.ceo.approve_plan("PLAN_NOBODY_KNOWS"), {}),
    (table.EXECUTE, "success"): (executed, {}),
    (table.EXECUTE, "no plan"): (lambda there: there.ceo.execute_approved_plan(), {}),
    (table.EXECUTE, "already traded"): (executed_twice, {}),
    (table.EXECUTE, "short of cash"): (executed_short_of_cash, {}),
    (table.EXECUTE, "market closed"): (executed_by_hand, {"at": datetime(2025, 11, 9, 15, 5, tzinfo=UTC)}),
    (table.EXECUTE, "nothing to do"): (executed_nothing, {}),
    (table.DASHBOARD, "success"): (ask("view_dashboard"), {}),
    (table.DASHBOARD, "broker away"): (ask("view_dashboard"), AWAY),
    (table.SUMMARY, "success"): (ask("get_portfolio_summary"), {}),
    (table.SUMMARY, "broker away"): (ask("get_portfolio_summary"), AWAY),
    (table.POSITIONS, "success"): (listed, {}),
    (table.OPERATIONS, "success"): (lambda there: there.operations.generate_trading_plan(ai_model="gpt-4o-mini"), {}),
    (table.OPERATIONS, "nothing to do"): (
        lambda there: there.operations.generate_trading_plan(),
        {"candidates": [candidate("ALKS", 20, 32.66)], "holdings": []},
    ),
    (table.OPERATIONS, "no briefing"): (lambda there: there.operations.generate_trading_plan(), {"candidates": None}),
    (table.RECONCILE, "success"): (reconciled_while_waiting, {}),
    (table.RECONCILE, "broker away"): (lambda there: there.trading.reconcile_positions(), GONE),
}
KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "whole": (int,),
    "number": (int, float),
    "truth": (bool,),
    "list": (list,),
    "mapping": (dict,),
    "text?": (str, type(None)),
    "whole?": (int, type(None)),
}


@cache
def answer_of(call: str, case: str) -> Answer:
    """Ask once for all tests: the answer is only read."""
    request, given = CASES[call, case]
    with TemporaryDirectory() as folder, closing(opened(Path(folder), **given)) as there:
        answer = request(there)
    return dict(json.loads(json.dumps(answer)))


def values(answer: Any, key: str) -> Iterator[Any]:
    """Yield the values at a key; each entry of a list has its own. Raises KeyError."""
    first, _, rest = key.partition(".")
    name = first.removesuffix("[]")
    found = answer[name]
    for each in found if first.endswith("[]") else [found]:
        yield from values(each, rest) if rest else [each]


def is_of(value: Any, kind: str) -> bool:
    return isinstance(value, KINDS[kind]) and (kind == "truth") == isinstance(value, bool)


@pytest.mark.parametrize(("call", "case"), CASES, ids=lambda part: part)
def test_an_answer_has_every_key_with_its_type(call: str, case: str) -> None:
    answer = answer_of(call, case)
    rows = [row for row in TABLE if row.call == call and (not row.only or answer["status"] in row.only)]
    assert rows
    wrong = [(row.key, value) for row in rows for value in values(answer, row.key) if not is_of(value, row.kind)]
    assert wrong == []


@pytest.mark.parametrize("row", [row for row in TABLE if row.kind in {"text", "list", "mapping"}], ids=str)
def test_no_key_is_always_empty(row: Answered) -> None:
    answers = [answer_of(call, case) for call, case in CASES if call == row.call]
    shown = [a for a in answers if not row.only or a["status"] in row.only]
    assert any(value for answer in shown for value in values(answer, row.key))


@pytest.mark.parametrize("side", table.TRADES)
def test_a_trade_of_each_side_has_the_keys_of_its_side(side: str) -> None:
    trades = [t for t in answer_of(table.GENERATE, "success")["plan"]["trades"] if t["action"] == side]
    assert trades
    wrong = [(r.key, t.get(r.key)) for r in table.TRADES[side] for t in trades if not is_of(t.get(r.key), r.kind)]
    assert wrong == []


def test_what_the_cases_mean_is_what_they_answer() -> None:
    statuses = {f"{call} {case}": answer_of(call, case)["status"] for call, case in CASES}
    words = {
        "success": {"READY_FOR_USER_APPROVAL", "PLAN_APPROVED", "EXECUTION_INITIATED", "SUCCESS"},
        "no briefing": {"REJECTED", "FAILED"},
        "nothing to do": {"READY_FOR_USER_APPROVAL", "EXECUTION_INITIATED", "ESCALATED"},
        "broker away": {"REJECTED", "ERROR"},
        "market closed": {"ERROR"},
    }
    strange = {
        n: s for n, s in statuses.items() for case, known in words.items() if n.endswith(case) and s not in known
    }
    assert strange == {}


def test_the_sentence_of_a_day_without_a_plan_is_the_message_of_a_rejection() -> None:
    answer = answer_of(table.GENERATE, "no briefing")
    assert (answer["status"], answer["validation_errors"]) == ("REJECTED", [answer["message"]])
    assert "there is no DailyBriefing" in answer["message"]


def test_what_was_not_sent_is_skipped_and_counted_among_the_trades() -> None:
    answer = answer_of(table.EXECUTE, "short of cash")
    skipped = [row for row in answer["execution_results"] if row["status"] == "SKIPPED"]
    assert skipped
    assert all(row["reason"] and "message_id" not in row for row in skipped)
    assert answer["trades_submitted"] == answer["sells_submitted"] + answer["buys_submitted"] + len(skipped) == 4


def test_a_buy_waiting_in_the_ledger_is_counted_where_it_has_come_to() -> None:
    answer = answer_of(table.RECONCILE, "success")
    assert answer["pending_count"] == answer["updated_to_open"] + answer["marked_stale"] == 1


def test_numbers_are_of_the_account(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as there:
        seen = there.ceo.get_dashboard_data()["dashboard"]
        summed = there.ceo.get_portfolio_summary()["summary"]
    performance = seen["performance"]
    assert (performance["cash"], performance["positions_count"]) == (40_000.0, 3)
    first = next(row for row in seen["open_positions"] if row["ticker"] == "CTVA")
    assert (first["shares"], first["entry_price"], first["current_price"]) == (190.0, 65.0, 64.64)
    assert first["unrealized_pl"] == pytest.approx(190 * (64.64 - 65))
    assert first["unrealized_plpc"] == pytest.approx(100 * (64.64 - 65) / 65)
    (again,) = [row for row in summed["positions"] if row["ticker"] == "CTVA"]
    assert 100 * again["unrealized_plpc"] == pytest.approx(first["unrealized_plpc"])
