"""The command line: exit codes, one sentence for every error, every command documented."""

import pytest
import typer

from Departments import cli
from Departments.core.errors import BadInput, BrokerUnavailable, LedgerBusy, WorkspaceBusy
from tests.builders.commands import say

COMMANDS = {c.name: c for c in cli.application().registered_commands}


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
        (OSError(28, "No space left on device", "plans/x"), 3, "plans/x: No space left on device"),
        (KeyboardInterrupt(), 130, "run the same command again"),
        (typer.Abort(), 130, "run the same command again"),
        (ZeroDivisionError("by [/nothing]"), 1, "ZeroDivisionError: by [/nothing]"),
    ],
)
def test_every_error_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    monkeypatch.setattr(cli, "application", lambda: raising(error))
    said = say(capsys, "fail")
    assert (said.code, said.out) == (code, "")
    (sentence,) = said.sentences
    assert words in sentence


def test_an_unforeseen_error_shows_where_it_came_from_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cli.TRACEBACK, "1")
    monkeypatch.setattr(cli, "application", lambda: raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.exit_code_of(["fail"])


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["run", "--broker", "x"], ["run", "--at"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, *arguments)
    assert (said.code, said.out, len(said.sentences)) == (2, "", 1)
    assert "see --help" in said.err


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys)
    assert "demo" in said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, name, "--help")
    assert said.code == 0
    assert COMMANDS[name].help or (COMMANDS[name].callback and COMMANDS[name].callback.__doc__)
