"""What holds for every command: its options, the folder that is no workspace, and what it writes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Departments.cli import COMMANDS, load_command, run_command
from Departments.commands.log_lines import list_files, read_lines
from tests.builders.commands import AT, BRIEFING, Said, contents, deliver_briefing, say
from tests.builders.desk import deliver, workspace, write_yaml

Capture = pytest.CaptureFixture[str]
JUNK = "MSG_JUNK_20251110T100000Z_00000001"


def list_leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield every command of the tree that can be given, by its words."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield name, command
    for word, each in below.items():
        yield from list_leaves(f"{name} {word}", each)


TREE = {
    leaf: command
    for name, entry in COMMANDS.items()
    for leaf, command in list_leaves(name, load_command(entry.module, name))
}
#: What each command needs beside its options, {0}: the workspace, {1}: the plan, {2}: a folder beside the workspace.
CHANGING: dict[str, str] = {
    "run": "--at {at} --approve auto",
    "plan": "--at {at}",
    "approve": "{1} --at {at}",
    "veto": "{1} ALKS --at {at}",
    "comment": "{1} good --at {at}",
    "reject": "{1} --at {at}",
    "order": "SELL CTVA 1 --approve auto --at {at}",
    "resume": "--at {at}",
    "reconcile": "--at {at}",
    "overdue": "--by 00:01 --at {at}",
    "halt": "--reason test --at {at}",
    "unhalt": "--at {at}",
    "exchange init": "{0}/state.yaml --reseed --at {at}",
    "exchange price": "CTVA 60 --at {at}",
    "exchange deposit": "100 --at {at}",
    "exchange withdraw": "1 --at {at}",
    "exchange dividend": "CTVA 0.1 --at {at}",
    "exchange interest": "1 --at {at}",
    "exchange fee": "1 --at {at}",
    "exchange split": "CTVA 2 --at {at}",
    "exchange rename": "CTVA CTVB --at {at}",
    "exchange halt": "CTVA --at {at}",
    "exchange reset": "--at {at}",
    "config set": "approve auto",
    "dead-letters accept": JUNK,
    "dead-letters retry": JUNK,
    "dead-letters drop": JUNK,
    "archive": "--older-than 0d",
}
LOOKING: dict[str, str] = {
    "explain": "CTVA --at {at}",
    "status": "--at {at}",
    "history": "--at {at}",
    "positions": "--at {at}",
    "logs": "",
    "exchange show": "--at {at}",
    "exchange faults check": "{2}/faults.yaml",
    "regime": "--at {at}",
    "config": "",
    "inbox": "",
    "show": BRIEFING.removesuffix(".md"),
    "trace": "{1}",
    "messages check": "",
    "messages schema": "",
    "messages audit": "",
    "messages verify": "{2}/message.md",
    "dead-letters list": "",
    "dead-letters show": JUNK,
    "backup": "{2}/copy.zip",
    "doctor": "--at {at}",
    "report": "--at {at} --format md",
}
#: Commands that go on until Ctrl-C, and those that make or change a folder of their own.
ELSEWHERE: dict[str, str] = {
    "serve": "",
    "watch": "",
    "demo": "--workspace {2}/demo",
    "replay": "{2}",
    "init": "{2}/new",
    "restore": "{2}/copy.zip",
    "migrate": "{2}",
    "messages sign": "{2}/message.md --as RESEARCH",
}
NO_JSON = {"serve": "it goes on until Ctrl-C, and names a link"}
NO_WORKSPACE = {
    "init": "its argument DIR is the workspace",
    "migrate": "its argument PROJECT is the workspace",
    "exchange faults check": "it reads one file",
    "messages schema": "it reads no file",
    "messages sign": "it signs one file",
    "messages verify": "it reads one file",
}
#: Commands whose folder may be none yet.
MAY_BE_NEW = {
    "demo": "it makes a workspace",
    "replay": "it makes a workspace for each day",
    "restore": "it puts a backup into an empty folder",
}
NEEDED = {name for name in TREE if name not in NO_WORKSPACE and name not in MAY_BE_NEW}


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an exchange, a briefing, a plan and a dead letter; beside it the folder of other files."""
    root = tmp_path_factory.mktemp("every")
    folder = workspace(root / "ws")
    deliver_briefing(folder)
    deliver(folder, "OPERATIONS", f"{JUNK}.md", "no message")
    assert run_command(["exchange", "init", str(folder / "state.yaml"), "--workspace", str(folder), "--at", AT]) == 0
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert run_command(["plan", "--workspace", str(folder), "--at", AT, "--json"]) == 0
    other = root / "other"
    other.mkdir()
    (other / "plan_id").write_text(json.loads(shown.getvalue())["plan"]["plan_id"], encoding="utf-8")
    write_yaml(other / "faults.yaml", {"faults": []})
    shutil.copy(next(folder.rglob("*.md")), other / "message.md")
    shutil.rmtree(folder / "logs")
    return root


@pytest.fixture
def place(morning: Path, tmp_path: Path) -> Path:
    """A copy of the morning."""
    return Path(shutil.copytree(morning, tmp_path / "every"))


def give(capsys: Capture, place: Path, name: str, words: str, folder: Path | None = None, *more: str) -> Said:
    """Give a command in a workspace, or in another folder."""
    here, plan = place / "ws", (place / "other" / "plan_id").read_text(encoding="utf-8")
    filled = words.format(here, plan, place / "other", at=AT).split()
    where = [] if name in NO_WORKSPACE or "--workspace" in filled else ["--workspace", str(folder or here)]
    return say(capsys, *name.split(), *filled, *where, *more)


def test_every_command_is_known_here() -> None:
    assert set(TREE) == {*CHANGING, *LOOKING, *ELSEWHERE}


@pytest.mark.parametrize("name", TREE)
def test_every_command_answers_with_json_and_takes_a_workspace(name: str) -> None:
    options = {option for parameter in TREE[name].params for option in parameter.opts}
    assert ("--json" in options) != (name in NO_JSON)
    assert ("--workspace" in options) != (name in NO_WORKSPACE)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_folder_that_is_no_workspace_is_one_sentence_and_stays_as_it_is(
    name: str, place: Path, capsys: Capture
) -> None:
    empty, missing, file = place / "empty", place / "missing", place / "file"
    empty.mkdir()
    file.write_text("a file", encoding="utf-8")
    words = {**CHANGING, **LOOKING, **ELSEWHERE}[name]
    for folder, problem in ((empty, "is not a workspace"), (missing, "there is no such folder"), (file, "is a file")):
        more = [] if name in NO_JSON else ["--json"]
        said = give(capsys, place, name, words, folder, *more)
        assert (said.code, said.err.startswith(f"{folder}: {problem}"), len(said.err.splitlines())) == (2, True, 1)
        if more:
            error = said.document["error"]
            assert (error["code"], error["exit_code"], error["source"]) == ("BAD_INPUT", 2, str(folder))
    assert (list(empty.iterdir()), missing.exists(), file.read_text(encoding="utf-8")) == ([], False, "a file")


OF_DAYS = [name for name, command in TREE.items() if any("--from" in parameter.opts for parameter in command.params)]


@pytest.mark.parametrize("name", OF_DAYS)
def test_a_first_day_after_the_last_is_refused(name: str, place: Path, capsys: Capture) -> None:
    words = {**CHANGING, **LOOKING, **ELSEWHERE}[name]
    for days, problem in (
        (("2025-11-11", "2025-11-10"), "--from: 2025-11-11 is after --to 2025-11-10; exchange the two."),
        (("soon", "2025-11-10"), "--from: 'soon' is not a day; write it like 2025-11-10."),
    ):
        said = give(capsys, place, name, words, None, "--from", days[0], "--to", days[1])
        assert (said.code, said.sentences) == (2, [problem])


def read_log(folder: Path) -> list[str]:
    return [line["text"] for path in list_files(folder) for line in read_lines(path)[0]]


@pytest.mark.parametrize("name", CHANGING)
def test_a_command_that_changes_something_says_so_in_the_log(name: str, place: Path, capsys: Capture) -> None:
    said = give(capsys, place, name, CHANGING[name])
    assert said.code in {0, 1}, said.err
    assert [line for line in read_log(place / "ws") if line.startswith(f"departments {name}, by ")] != []


@pytest.mark.parametrize("name", LOOKING)
def test_a_command_that_looks_changes_nothing(name: str, place: Path, capsys: Capture) -> None:
    before = contents(place / "ws")
    said = give(capsys, place, name, LOOKING[name])
    assert said.code in {0, 1} or "nothing was executed here yet" in said.err, said.err
    after = {name: text for name, text in contents(place / "ws").items() if not name.endswith(("-wal", "-shm"))}
    assert after == before  # but for SQLite's own files beside a ledger that is only read
