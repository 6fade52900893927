"""Operations, Executive and Trading judge by the very same functions."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

from Departments import Executive, Operations, Trading
from Departments.constraints import amounts, engine, table
from Departments.constraints.case import STAGES, Case, Finding, Stage
from Departments.constraints.checks import account, stocks
from Departments.Operations import basis, planning, sizing
from tests.builders import desk as build
from tests.builders.commands import deliver_briefing


def held_by(department: ModuleType) -> set[int]:
    """Return the identities of every function of the engine that a department's modules hold."""
    names = [f"{department.__name__}.{found.name}" for found in pkgutil.iter_modules(department.__path__)]
    modules = [importlib.import_module(name) for name in names]
    held = [value for module in modules for value in (module, getattr(module, "engine", None)) if value is not None]
    functions = (getattr(m, name, None) for m in held for name in ("check_order", "check_plan"))
    return {id(function) for function in functions if function is not None}


@pytest.mark.parametrize("department", [Operations, Executive, Trading])
def test_all_three_judge_by_the_same_functions(department: ModuleType) -> None:
    held = held_by(department)
    assert held
    assert held <= {id(engine.check_order), id(engine.check_plan)}


def test_a_plan_is_judged_order_by_order_with_the_function_that_trading_uses() -> None:
    assert "check_order" in engine.check_plan.__code__.co_names
    assert vars(engine)["CONSTRAINTS"] is table.CONSTRAINTS


def test_operations_sizes_by_the_amounts_that_the_checks_compare_with() -> None:
    modules = (sizing, basis, account, stocks)
    assert {id(vars(module)["amounts"]) for module in modules} == {id(amounts)}
    assert vars(planning)["known_sector"] is amounts.known_sector


@pytest.mark.parametrize("stage", STAGES)
def test_every_department_asks_every_constraint_of_its_side_on_a_real_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    asked: dict[str, set[str]] = {}
    judge = table.Constraint.judge

    def listening(self: table.Constraint, case: Case) -> Finding:
        asked.setdefault(case.stage, set()).add(f"{case.order.side} {self.code}")
        return judge(self, case)

    monkeypatch.setattr(table.Constraint, "judge", listening)
    folder = build.workspace(tmp_path)
    deliver_briefing(folder)
    ceo = build.desk(folder).ceo
    ceo.set_mandatory_sells([{"ticker": "DVN", "action": "SELL", "shares": 225}])
    ceo.approve_plan(ceo.handle_user_request("generate_plan")["plan"]["plan_id"])
    ceo.handle_user_request("execute_plan")
    everything = {f"{side} {row.code}" for row in table.CONSTRAINTS if stage in row.judged_at for side in row.sides}
    assert asked[stage] == everything
