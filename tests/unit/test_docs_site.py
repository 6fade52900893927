"""The pages for people: they build, their links lead somewhere, and what they tell a person to type works."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from Departments import cli
from Departments.core.errors import EXIT_CODES
from Departments.core.reasons import ReasonCode
from scripts.reference_pages import DEEDS, EXITS
from tests.builders.commands import say
from tests.builders.desk import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
#: Pages that say what to type, and what of them is typed.
TOLD = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *PAGES]
TYPED = re.compile(r"(?:^|[\s(&|])(?:python -m Departments|departments) ([a-z][^\n`#;&|<>]*)")
NO_COMMANDS = {"message 1"}  # the first line of a signed text
#: What is wrong with a mention, too; one without its arguments is none.
WRONG = re.compile("No such|unexpected")
#: Help was asked for, or shown where a command was missing.
ENDS = {"Exit", "NoArgsIsHelpError"}
#: Codes that the desk settles by itself, of the families that otherwise need a person.
BY_ITSELF = {ReasonCode.BROKER_CANCEL_TOO_LATE}


def test_the_site_builds_strictly_with_every_page_in_its_menu(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is in the extra [docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "operations" / "index.html").is_file()


def test_the_menu_has_every_page_once() -> None:
    menu = yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    listed = re.findall(r"[\w/-]+\.md", menu)
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", [page.relative_to(DOCS).as_posix() for page in PAGES])
def test_every_link_of_a_page_exists(page: str) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", (DOCS / page).read_text(encoding="utf-8"))
    assert [to for to in linked if not (DOCS / page).parent.joinpath(to).exists()] == []


# --- commands that people are told to type ---


def refuse(words: Sequence[str], *, is_whole: bool = True) -> str:
    """Return why the command line refuses these words, empty if it does not. Nothing is run.

    What is no `whole` command, but mentioned in a sentence, may lack arguments.
    """
    name, *rest = words
    if name not in cli.COMMANDS:
        return f"No such command: {name}"
    command, context = cli.load_command(cli.COMMANDS[name].module, name), None
    try:
        while command is not None:
            context = command.make_context(name, [*rest], context)
            asked = [*context._protected_args, *context.args] if hasattr(command, "resolve_command") else []
            name, command, rest = command.resolve_command(context, asked) if asked else ("", None, [])
    except Exception as error:  # noqa: BLE001 - the library exports few of its errors
        return "" if type(error).__name__ in ENDS or not (is_whole or WRONG.search(str(error))) else str(error)
    return ""


def read_blocks(page: str) -> list[str]:
    """Return the blocks of code in a page."""
    return re.findall(r"```\w*\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def find_typed(text: str, *, in_blocks: bool) -> set[str]:
    """Return the commands in a page: in its blocks of code without their comments, or in the code of its sentences."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    codes = lines if in_blocks else re.findall(r"`([^`\n]+)`", text)
    return {words.strip() for code in codes for words in TYPED.findall(code)} - NO_COMMANDS


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in TOLD])
def test_the_command_line_takes_every_command_of_a_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for in_blocks in (True, False):
        typed = find_typed(text, in_blocks=in_blocks)
        wrong = {line: why for line in typed if (why := refuse(shlex.split(line), is_whole=in_blocks))}
        assert wrong == {}


def test_the_command_line_takes_every_command_of_a_sentence() -> None:
    known = "|".join(sorted(cli.COMMANDS, key=len, reverse=True))
    told = re.compile(rf"\bdepartments ((?:{known})(?: --[a-z][a-z-]*)*)")
    sentences = {
        words
        for path in (ROOT / "Departments").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for words in told.findall(node.value)
    }
    assert len(sentences) > 40
    wrong = {line: why for line in sentences if "No such" in (why := refuse(line.split(), is_whole=False))}
    assert wrong == {}


@pytest.mark.parametrize("words", [["run", "--nonsense"], ["exchange", "sell"], ["config", "set", "x"], ["sell", "T"]])
def test_a_wrong_command_is_found(words: list[str]) -> None:
    assert refuse(words)


def test_the_operations_guide_has_every_exit_code_and_every_code_that_needs_a_person() -> None:
    assert set(EXITS) == set(EXIT_CODES)
    names = list(ReasonCode)
    letters = names[names.index(ReasonCode.UNREADABLE) :]
    refusals = [code for code in names if code.startswith("BROKER_")]
    assert {*letters, *refusals} - set(DEEDS) - BY_ITSELF == set()
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert all(f"| `{code}` |" in page for code in DEEDS)


def test_the_first_week_works_as_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for block in read_blocks("tutorial.md") for line in block.splitlines() if " demo" not in line]
    assert len(lines) >= 9
    monkeypatch.chdir(tmp_path)
    for line in lines:
        if line.startswith("cd "):
            monkeypatch.chdir(line.removeprefix("cd "))
            continue
        said = say(capsys, *line.replace("--approve ask", "--approve auto").split()[1:])
        assert said.code == 0, (line, said.err[-500:])


def test_the_commands_of_the_exchange_and_its_files_work_as_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, account, faults = read_blocks("exchange.md")
    monkeypatch.chdir(tmp_path)
    assert say(capsys, "init").code == 0
    for name, text in (("account.yaml", account), ("faults.yaml", faults)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    lines = [line.partition("#")[0].split()[1:] for line in commands.splitlines()]
    assert {words[1] for words in lines if words[0] == "exchange"} >= {
        "init",
        "show",
        "price",
        "split",
        "halt",
        "reset",
    }
    for words in lines:
        if words[0] == "exchange":
            said = say(capsys, *words)
            assert said.code == 0, (words, said.err[-500:])


def test_a_briefing_of_today_is_made_as_the_first_week_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "init", tmp_path).code == 0
    example = (tmp_path / "examples" / "briefing.md").read_text(encoding="utf-8")
    message = "MSG_RESEARCH_20251112T140000Z_00000001"
    text = re.sub(r"MSG_RESEARCH_\w+", message, example).replace("2025-11-10", "2025-11-12")
    inbox = tmp_path / "Messages_Between_Departments" / "Inbox" / "OPERATIONS"
    (inbox / f"{message}.md").write_text(text, encoding="utf-8")
    state = tmp_path / "examples" / "account.yaml"
    said = say(capsys, "plan", "--workspace", tmp_path, "--at", "2025-11-12T15:05:42Z", "--exchange-state", state)
    assert (said.code, f"Made from DailyBriefing {message}" in said.out) == (0, True), said.err
