"""The documented shape of the final document and the documents themselves are held together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from Departments.commands.run import HELP
from Departments.Executive.reporting.document import EXIT_CODES, unexecuted_document
from Departments.Executive.reporting.document_shape import DOCUMENT_SHAPE
from tests.builders.commands import fault_file, plan_file, run_of, say
from tests.builders.desk import plan, trade, two_and_two, workspace

NOT_STRINGS = {
    ("exit_code",),
    ("error", "exit_code"),
    ("cash_identity", "holds"),
    ("phases", "attempt"),
    ("attempts", "attempt"),
    ("review", "quality_rating"),
}
OPTIONAL = {("message",), ("error",)}


def differences(shape: Any, found: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Return where a document departs from the shape; `message` is there only where nothing was executed."""
    if path == ("review",) and found is None:
        return []
    if isinstance(shape, Mapping):
        return _different_keys(shape, found, path)
    if isinstance(shape, list):
        return [d for n, row in enumerate(found) for d in differences(shape[0], row, (*path, f"[{n}]"))]
    keys = tuple(key for key in path if not key.startswith("["))
    right = (bool, int) if keys in NOT_STRINGS else (str, type(None))
    return [] if isinstance(found, right) else [f"{path}: {found!r}"]


def _different_keys(shape: Mapping[str, Any], found: Any, path: tuple[str, ...]) -> list[str]:
    wrong = [f"{(*path, k)}: undocumented" for k in found if k not in shape]
    wrong += [f"{(*path, k)}: missing" for k in shape if k not in found and (*path, k) not in OPTIONAL]
    return wrong + [d for k in shape if k in found for d in differences(shape[k], found[k], (*path, k))]


def documents(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Return documents of every kind, all from the command itself."""
    refused = {"call": "submit", "symbol": "CTVA", "do": "refuse"}
    workspace(folder)
    dry = say(capsys, *run_of(folder, "--json", "--dry-run", "--plan", plan_file(folder)))
    wrong = say(capsys, *run_of(folder, "--json"))
    small = plan(*two_and_two()["trades"], trade("CVE", "BUY", 10, 17.58))
    options: list[str | Path] = ["--json", "--plan", plan_file(folder, small)]
    unapproved = say(capsys, *run_of(folder, *options, "--approve", "ask"))
    issues = say(capsys, *run_of(folder, *options, "--exchange-faults", fault_file(folder, refused)))
    again = say(capsys, *run_of(folder, *options))
    return {"dry": dry.document, "wrong": wrong.document, "unapproved": unapproved.document} | {
        "issues": issues.document,
        "again": again.document,
    }


def test_every_document_has_exactly_the_documented_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = documents(tmp_path, capsys)
    assert {name: differences(DOCUMENT_SHAPE, document) for name, document in found.items()} == {n: [] for n in found}


def test_the_walked_documents_hold_rows_of_every_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = documents(tmp_path, capsys)["issues"]
    assert found["status"] == "COMPLETED_WITH_ISSUES"
    assert [p["name"] for p in found["phases"] if p["name"] in {"SELL", "BUY"}] == ["SELL", "BUY"]
    assert all(p["orders"] for p in found["phases"] if p["name"] in {"SELL", "BUY"})


def test_the_shape_is_noticed_to_be_broken() -> None:
    document = unexecuted_document("FAILED", None, "why")
    assert differences(DOCUMENT_SHAPE, document) == []
    assert differences(DOCUMENT_SHAPE, document | {"surprise": 1}) == ["('surprise',): undocumented"]
    assert differences(DOCUMENT_SHAPE, document | {"plan_id": 3}) == ["('plan_id',): 3"]
    short = {k: v for k, v in document.items() if k != "denied"}
    assert differences(DOCUMENT_SHAPE, short) == ["('denied',): missing"]


def test_every_status_is_documented() -> None:
    assert [status for status in EXIT_CODES if status not in DOCUMENT_SHAPE["status"]] == []


def test_the_help_shows_the_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(HELP.split("```")[1]) == DOCUMENT_SHAPE
    for command in ("run", "demo"):
        shown = say(capsys, command, "--help").out
        assert [key for key in _keys(DOCUMENT_SHAPE) if key not in shown] == []


def _keys(shape: Any) -> list[str]:
    if isinstance(shape, list):
        return _keys(shape[0])
    return [k for key, value in shape.items() for k in (key, *_keys(value))] if isinstance(shape, Mapping) else []


def test_a_day_without_a_briefing_is_documented_as_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace(tmp_path)
    assert say(capsys, *run_of(tmp_path, "--json")).document["status"] == "FAILED"
