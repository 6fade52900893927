"""The command line: exit codes, one sentence for every error, the list of commands, and what each imports."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.main import get_group

from Departments import cli
from Departments.commands.command_failures import TRACEBACK
from Departments.core.errors import BadInput, BrokerUnavailable, LedgerBusy, WorkspaceBusy
from tests.builders.commands import say

MODULES = sorted(path.stem for path in Path(cli.__file__).parent.joinpath("commands").glob("*.py"))


def raising(error: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    def fail() -> int:
        raise error

    app.command("fail")(fail)
    app.command("other")(lambda: 0)
    return app


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BadInput("file.yaml", "key", "is wrong", "mend it"), 2, "file.yaml: key: is wrong; mend it."),
        (LedgerBusy("the ledger is locked"), 3, "the ledger is locked"),
        (WorkspaceBusy("another execution is running"), 3, "another execution is running"),
        (BrokerUnavailable("no answer"), 4, "no answer"),
        (OSError(28, "No space left on device", "plans/x"), 3, "plans/x: its disk is full; make room on its disk"),
        (KeyboardInterrupt(), 130, "run the same command again"),
        (typer.Abort(), 130, "run the same command again"),
        (ZeroDivisionError("by [/nothing]"), 1, "ZeroDivisionError: by [/nothing]"),
    ],
)
def test_every_error_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(TRACEBACK, raising=False)
    monkeypatch.setattr(cli, "application", lambda: raising(error))
    said = say(capsys, "fail")
    assert (said.code, said.out) == (code, "")
    (sentence,) = said.sentences
    assert words in sentence


def test_an_unforeseen_error_shows_where_it_came_from_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    monkeypatch.setattr(cli, "application", lambda: raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.run_command(["fail"])


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["run", "--broker", "x"], ["run", "--at"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, *arguments)
    assert (said.code, said.out, len(said.sentences)) == (2, "", 1)
    assert "see --help" in said.err


def test_without_arguments_the_help_is_shown_and_how_a_workspace_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = say(capsys)
    assert "demo" in said.out + said.err
    assert said.sentences[-1] == "This folder is no workspace; make one by departments init, or see --help."
    assert "Missing command; see --help." in say(capsys, "messages").err


# --- the list of commands ---


def registered_by(module: str) -> set[str]:
    app = typer.Typer()
    import_module(f"Departments.commands.{module}").register(app)
    return set(get_group(app).commands)


def test_the_list_holds_what_the_modules_of_the_commands_register() -> None:
    listed: dict[str, set[str]] = {}
    for name, entry in cli.COMMANDS.items():
        listed.setdefault(entry.module, set()).add(name)
    registering = [m for m in MODULES if hasattr(import_module(f"Departments.commands.{m}"), "register")]
    assert listed == {module: registered_by(module) for module in registering}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, name, "--help")
    assert said.code == 0
    assert cli.load_command(cli.COMMANDS[name].module, name).help


def test_every_summary_is_a_sentence_that_fits_one_line_of_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    shown = say(capsys, "--help").out
    assert [entry.summary for entry in cli.COMMANDS.values() if f"{entry.summary} " not in shown] == []
    assert {entry.summary[-1] for entry in cli.COMMANDS.values()} == {"."}


# --- what is imported ---

DEPARTMENTS = {f"Departments.{name}" for name in ("Executive", "Operations", "Regime", "Trading")}
BROKERS = {
    "Departments.brokers.base",
    "Departments.brokers.alpaca",
    "Departments.brokers.simulated",
    "Departments.exchange",
}
ROOMS = {f"Departments.{name}" for name in ("constraints", "ledger", "messaging.payloads", "core.settings")} | BROKERS
LIBRARIES = {"alpaca", "filelock", "holidays", "markdown_it", "platformdirs", "watchdog"}
PROGRAM = (
    "import sys; from Departments.cli import run_command; run_command(sys.argv[1:]); print(*sys.modules, sep=chr(10))"
)


def imported_by(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def test_the_list_of_commands_imports_no_command() -> None:
    imported = imported_by("--help")
    ours = {name for name in imported if name.startswith("Departments")}
    assert ours == {"Departments", "Departments.cli"}
    assert imported & {*LIBRARIES - {"markdown_it"}, "pydantic", "sqlite3", "yaml"} == set()


@pytest.mark.parametrize("command", ["inbox", "dead-letters list"])
def test_a_list_of_messages_imports_no_department_and_no_ledger(command: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    imported = imported_by(*command.split(), "--workspace", str(tmp_path))
    assert "Departments.messaging.codec" in imported
    assert imported & {*DEPARTMENTS, *ROOMS, *LIBRARIES, "sqlite3"} == set()


def test_showing_a_message_imports_no_department(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    imported = imported_by("show", "MSG_NONE", "--workspace", str(tmp_path))
    assert "Departments.messaging.codec" in imported
    assert imported & {*DEPARTMENTS, *LIBRARIES - {"filelock"}, *BROKERS} == set()
