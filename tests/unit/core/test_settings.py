from __future__ import annotations

from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.settings import load_settings


@pytest.mark.parametrize(
    "key", ["regime.reuse_hours", "broker.connect_timeout", "broker.read_timeout", "messaging.rescan_seconds"]
)
@pytest.mark.parametrize("value", [".inf", "1.0e+300"])
def test_a_time_that_no_clock_can_count_is_refused(tmp_path: Path, key: str, value: str) -> None:
    group, _, name = key.partition(".")
    path = tmp_path / "settings.yaml"
    path.write_text(f"{group}: {{{name}: {value}}}\n", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_settings(path)
    assert refused.value.key == key


@pytest.mark.parametrize("key", ["operations.briefing.command", "notify.command"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"tell \'everybody"', "has a quotation mark that does not close; close it"),
        ('" "', "is empty; name a program, or write null"),
        ("[]", "is empty; name a program, or write null"),
    ],
)
def test_a_command_that_is_none_is_refused(tmp_path: Path, key: str, value: str, problem: str) -> None:
    path, names = tmp_path / "settings.yaml", key.split(".")
    path.write_text(": {".join(names) + f": {value}{'}' * (len(names) - 1)}\n", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_settings(path)
    assert (refused.value.key, problem in str(refused.value)) == (key, True)


def test_a_command_is_one_text_or_a_list_of_words(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("notify: {command: 'py \"my tell.py\"'}\noperations: {briefing: {command: [py, a b]}}\n", "utf-8")
    settings = load_settings(path)
    assert (settings.notify.command, settings.operations.briefing.command) == ('py "my tell.py"', ("py", "a b"))
