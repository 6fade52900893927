from pathlib import Path

import pytest

from Departments.core.departments import EXECUTIVE, OPERATIONS
from Departments.core.errors import BadInput
from Departments.core.settings import RegimeSettings, load_settings


def refused(folder: Path, text: str) -> BadInput:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_settings(path)
    return caught.value


def test_the_executive_and_operations_are_informed_where_nothing_else_is_said() -> None:
    assert RegimeSettings().recipients == (EXECUTIVE, OPERATIONS)


def test_trading_as_a_recipient_is_refused_in_one_sentence(tmp_path: Path) -> None:
    error = refused(tmp_path, "regime: {recipients: [EXECUTIVE, TRADING]}\n")
    assert error.key == "regime.recipients"
    assert "names TRADING, which does not use the regime" in error.problem
    assert error.mend == "take TRADING out of the list"
    assert "\n" not in str(error)


def test_a_department_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, "regime: {recipients: [EXECUTIV]}\n")
    assert "'EXECUTIV' is not a department" in error.problem
    assert "EXECUTIVE" in error.mend


def test_a_negative_time_of_reuse_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "regime: {reuse_hours: -1}\n").key == "regime.reuse_hours"
