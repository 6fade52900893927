"""Every command, run into failures of each kind: one sentence for people, one document for programs."""

import errno
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from Departments import cli
from Departments.commands.command_failures import describe_failure
from Departments.core.errors import BadInput, DepartmentsError
from Departments.Executive.reporting.document_shape import DOCUMENT_SHAPE
from tests.builders.commands import AT, Said, say
from tests.builders.desk import workspace
from tests.unit.test_documentation import errors

Capture = pytest.CaptureFixture[str]
#: Words of pydantic, libyaml, json, SQLite, the command-line library and the system.
FOREIGN = re.compile(
    r"[Ii]nput should|validation error|Value error|Field required|[Ee]xtra inputs|literal\[|tuple\[|function-|"
    r"mapping values|while (scanning|parsing)|could not find|did not find|found (character|unexpected|undefined)|"
    r"block (end|mapping)|Expecting|Extra data|Unterminated|isoformat|Traceback|"
    r"file is not a database|malformed|unable to open|Errno|WinError|No such file|Permission denied|Is a directory|"
    r"Not a directory|File exists|No space left"
)
#: What each command needs besides a workspace.
WORDS: dict[str, list[str]] = {
    "approve": ["PLAN_20251110_071530"],
    "backup": ["out.zip"],
    "config set": ["approve", "auto"],
    "dead-letters accept": ["MSG_X"],
    "dead-letters drop": ["MSG_X"],
    "dead-letters retry": ["MSG_X"],
    "dead-letters show": ["MSG_X"],
    "exchange deposit": ["5"],
    "exchange dividend": ["MSFT", "1"],
    "exchange fee": ["5"],
    "exchange faults check": ["faults.yaml"],
    "exchange halt": ["MSFT"],
    "exchange init": ["state.yaml"],
    "exchange interest": ["5"],
    "exchange price": ["MSFT", "5"],
    "exchange rename": ["MSFT", "MSFU"],
    "exchange split": ["MSFT", "2:1"],
    "exchange withdraw": ["5"],
    "explain": ["MSFT"],
    "halt": ["--reason", "a test"],
    "messages schema": ["NoSuchType"],
    "messages sign": ["gone.md"],
    "messages verify": ["gone.md"],
    "migrate": ["gone"],
    "order": ["SELL", "MSFT", "10"],
    "replay": ["gone"],
    "restore": ["gone.zip"],
    "show": ["MSG_X"],
    "trace": ["MSG_X"],
}
SPOILS: dict[str, Callable[[Path], object]] = {
    "an unknown setting": lambda folder: settings(folder, "brocker: {name: alpaca}"),
    "limits out of bounds": lambda folder: limits(folder, "position_limits: {min_position_pct: -1}"),
    "a ledger that is no database": lambda folder: (folder / "sentinel.db").write_bytes(b"no database at all " * 99),
    "no workspace": lambda folder: folder.rename(folder.with_name("elsewhere")),
}
#: Settings, and what the sentence says of them.
WRONG_SETTINGS = {
    "broker: {read_timeout: soon}": "broker.read_timeout: must be a number (found 'soon'); write it without quotes.",
    "broker: {live: perhaps}": "broker.live: must be true or false (found 'perhaps'); write one of them.",
    "broker: 5": "broker: must hold keys and values (found 5); write its keys below it.",
    "accounts: {foreign: maybe}": "accounts.foreign: must be 'tell', 'lock' or 'adopt' (found 'maybe'); write one of",
    "operations: {briefing: {command: 5}}": "operations.briefing.command: must be a text (found 5); write it",
    "phases: {sell: {timeout: -1}}": "phases.sell.timeout: must be more than 0",
    "messaging: {max_attempts: 1.5}": "messaging.max_attempts: must be a whole number (found 1.5)",
    "messages: {require_signature: 5}": "messages.require_signature: must be a list (found 5); write it as [A, B].",
    "exits: {stop_loss_pct: [1]}": "exits.stop_loss_pct: must be a number (found [1])",
    "brocker: {name: x}": "brocker: is not a known key; did you mean `broker`? Correct its name or remove it.",
    "broker: name: x": "line 1, column 13: has a colon where none may be; put the text in quotes or",
    "broker: {name: x": "has a mapping whose brace is not closed; close it with }.",
    "retention: {types: [a, b}": "has a list whose bracket is not closed; close it with ].",
    "broker:\n\tname: x": "line 2, column 1: begins with a tab or a reserved character; use blanks for the indent",
    'state_dir: "C:\\Users\\q"': "has a backslash in double quotes; use single quotes, or / in paths.",
    "state_dir: 'C:": "has a quote that is not closed; close the quote.",
    "broker: *x": "has an asterisk before an unknown name; put the text in quotes.",
    "broker: !x 5": "has an exclamation mark before a name; put the text in quotes.",
    "a: 1\nbroker": "line 3, column 1: has a key without a colon; write `key: value`.",
    "broker: {}\nbroker: {}": "line 1, column 1: the key 'broker' appears twice; correct it there.",
    "a: 1\n  b: 2": "line 2, column 4: has a colon where none may be",
    "- a": "must hold keys and values; write `key: value` on each line.",
    "a: 2025-02-30": "'2025-02-30' is not a valid timestamp; correct it there.",
}


def settings(folder: Path, text: str) -> None:
    (folder / "config" / "settings.yaml").write_text(text, encoding="utf-8")


def limits(folder: Path, text: str) -> None:
    (folder / "config" / "hard_constraints.yaml").write_text(text, encoding="utf-8")


def leaves(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, *names, name)
    if not hasattr(command, "commands"):
        yield " ".join(names), command


COMMANDS = {
    name: command
    for top, entry in cli.COMMANDS.items()
    for name, command in leaves(cli.load_command(entry.module, top), top)
}


def has_option(name: str, option: str) -> bool:
    return any(option in getattr(each, "opts", ()) for each in COMMANDS[name].params)


def fault_of(said: Said) -> dict[str, Any]:
    """Return the error of a failed command, whose form is checked."""
    (line,) = said.out.splitlines()
    document = json.loads(line)
    assert next(iter(document)) == "error"
    assert set(document) <= {
        "error",
        "dead_letters",
        "locks",
        "dry_run",
        "moves",
        "unread_of_neighbours",
        *DOCUMENT_SHAPE,
    }
    error = document["error"]
    assert list(error) == ["code", "source", "key", "sentence", "mend", "exit_code"]
    assert error["exit_code"] == said.code > 0
    assert error["sentence"] in said.err
    assert error["mend"] in error["sentence"]
    assert re.fullmatch(r"[A-Z_]+", error["code"])
    assert FOREIGN.search(error["sentence"]) is None, error["sentence"]
    return dict(error)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_of_every_command_is_a_document(name: str, capsys: Capture) -> None:
    error = fault_of(say(capsys, *name.split(), "--jsn", "--json"))
    assert error["exit_code"] == 2
    if name.partition(" ")[0] not in {"order", "exchange", "config"}:  # their numbers may begin with a dash
        assert (error["code"], error["source"], error["key"]) == ("USAGE", "command line", "--jsn")
        assert ("--json" in error["mend"]) == has_option(name, "--json")


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_broken_workspace_is_a_document_of_every_command(
    spoil: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace(tmp_path / "ws")
    SPOILS[spoil](folder)
    monkeypatch.chdir(tmp_path)
    failed = {}
    for name in COMMANDS:
        if has_option(name, "--workspace") and has_option(name, "--json") and name not in {"demo", "replay"}:
            at = ["--at", AT] if has_option(name, "--at") else []
            said = say(capsys, *name.split(), *WORDS.get(name, ()), "--workspace", folder, *at, "--json")
            if said.code and '"error"' in said.out:
                failed[name] = fault_of(said)
            assert "Traceback" not in said.err
    assert set(failed) >= {"run", "plan", "explain", "approve", "order", "resume", "reconcile", "watch"}


@pytest.mark.parametrize("text", WRONG_SETTINGS)
def test_a_wrong_setting_is_named_in_our_words(text: str, tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    settings(folder, text)
    error = fault_of(say(capsys, "config", "--workspace", folder, "--json"))
    assert error["source"] == str(folder / "config" / "settings.yaml")
    assert WRONG_SETTINGS[text] in error["sentence"]


def test_errors_of_other_inputs_are_documents_too(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    (folder / "plan.json").write_text('{"trades": [1,]}', encoding="utf-8")
    error = fault_of(say(capsys, "run", "--workspace", folder, "--plan", folder / "plan.json", "--at", AT, "--json"))
    assert (error["code"], error["source"]) == ("BAD_INPUT", str(folder / "plan.json"))
    for name in ("messages verify", "migrate", "replay", "restore"):
        error = fault_of(say(capsys, *name.split(), *WORDS[name], "--json"))
        assert (error["code"], error["exit_code"]) == ("BAD_INPUT", 2)
        assert error["source"]


def test_every_error_of_the_tree_has_a_code_and_a_mend() -> None:
    kinds = {kind.__name__: kind for kind in errors() if kind.__module__.startswith("Departments.core")}
    for kind in kinds.values():
        given: tuple[Any, ...] = ("it is wrong; mend it.",)
        if kind is BadInput:
            given = ("file.yaml", "key", "is wrong", "mend it")
        elif kind.__name__ == "Refused":
            given = (None, "it is wrong; mend it.")
        failure = describe_failure(kind(*given))
        assert failure.mend
        assert failure.code == re.sub(r"(?<!^)([A-Z])", r"_\1", kind.__name__).upper()


def test_the_place_of_a_sentence_is_its_source() -> None:
    failure = describe_failure(DepartmentsError("C:\\desk\\sentinel.db: it is locked; wait."))
    assert (failure.source, failure.mend) == ("C:\\desk\\sentinel.db", "wait")
    assert describe_failure(DepartmentsError("the day: it is over; wait.")).source == ""
    assert describe_failure(OSError(errno.EACCES, "x", "a/b")).sentence.startswith("a/b: its rights do not allow it; ")
