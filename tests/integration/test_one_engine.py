"""Operations, Executive and Trading judge by the very same functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from Departments.constraints import checks, engine, table
from Departments.Executive import judgement
from Departments.Operations import outcome, situation, sizing
from Departments.Trading import trading_department
from tests.builders import desk as build
from tests.builders.commands import deliver_briefing


def test_all_three_hold_the_same_engine() -> None:
    assert situation.engine is engine
    assert judgement.check_plan is engine.check_plan
    assert trading_department.check_order is engine.check_order
    assert engine.CONSTRAINTS is table.CONSTRAINTS


def test_operations_sizes_by_the_amounts_that_the_checks_compare_with() -> None:
    assert sizing.checks is outcome.checks is situation.checks is checks
    assert checks.minimum_position is checks.amounts.minimum_position
    assert checks.size_factor is checks.amounts.size_factor


@pytest.mark.parametrize("stage", ["plan", "review", "trade"])
def test_every_department_asks_every_constraint_of_its_side_on_a_real_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    asked: dict[str, set[str]] = {}
    find = table.Constraint.find

    def listening(self: table.Constraint, case: engine.Case) -> engine.Finding:
        asked.setdefault(case.stage, set()).add(f"{case.order.side} {self.code}")
        return find(self, case)

    monkeypatch.setattr(table.Constraint, "find", listening)
    folder = build.workspace(tmp_path)
    deliver_briefing(folder)
    ceo = build.desk(folder).ceo
    ceo.set_mandatory_sells([{"ticker": "DVN", "action": "SELL", "shares": 225}])
    ceo.approve_plan(ceo.handle_user_request("generate_plan")["plan"]["plan_id"])
    ceo.handle_user_request("execute_plan")
    everything = {f"{side} {row.code}" for row in table.CONSTRAINTS for side in row.sides}
    assert asked[stage] == everything
