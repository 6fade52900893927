"""The command `departments`: the table of commands, and one exit code for every end.

The list of commands imports none of them. A command's module is imported with its first use.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TextIO

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from Departments import __version__

INTERRUPTED = 130
DEFAULT = "status"  # the command of a bare `departments` in a workspace


class Entry(NamedTuple):
    """One row of the list of commands: its module in `commands/` and its summary."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "run": Entry("run", "Plan, approve and execute the day: SELLs, wait, BUYs, report."),
    "demo": Entry("demo", "Watch the day of 2025-11-10, without account or network."),
    "plan": Entry("plan", "Make a plan and show it; send nothing."),
    "explain": Entry("explain", "Say why a symbol is bought, sold or skipped; change nothing."),
    "approve": Entry("plan", "Approve a plan for today's run."),
    "veto": Entry("objections", "Take one order out of a plan before its approval."),
    "comment": Entry("objections", "Say something about a plan."),
    "reject": Entry("objections", "Reject a plan: nobody can approve it any more."),
    "report": Entry("reporting", "Show the report of a day as a page, Markdown or JSON."),
    "serve": Entry("serving", "Serve a page to look, approve, veto and halt."),
    "order": Entry("order", "Trade one symbol by hand, beside the day's plan."),
    "resume": Entry("recovery", "Finish an interrupted execution."),
    "reconcile": Entry("recovery", "Compare the ledger with the broker."),
    "status": Entry("status", "Show what runs, what is held, and what needs a person."),
    "history": Entry("history", "Show the days: orders, slippage, fees, profit, equity."),
    "positions": Entry("history", "Show what is held, since when, by which plan, and its exits."),
    "overdue": Entry("overdue", "Tell people that no run of today has ended."),
    "logs": Entry("log_search", "Show the log, by plan, symbol or message."),
    "halt": Entry("halting", "Stop BUYs and SELLs, or BUYs alone, until unhalt."),
    "unhalt": Entry("halting", "End a halt."),
    "replay": Entry("replay", "Replay a series of past days."),
    "exchange": Entry("operating", "Operate the simulated exchange: prices, money, splits, halts."),
    "regime": Entry("regime", "Show today's market regime and its history."),
    "init": Entry("init", "Make a folder a workspace, with a schedule if wanted."),
    "config": Entry("config", "Show settings and limits and their sources; change one."),
    "watch": Entry("watching", "Handle messages as they arrive, until Ctrl-C."),
    "inbox": Entry("messages", "Show the waiting messages of an inbox."),
    "show": Entry("messages", "Show one message, wherever it is."),
    "trace": Entry("messages", "Show a message's chain as a tree with times."),
    "messages": Entry("checking", "Check message files, print the schemas of payloads."),
    "dead-letters": Entry("dead_letters", "List, show, accept, retry or drop unhandled messages."),
    "archive": Entry("archiving", "Move old messages out of Inbox and Outbox."),
    "backup": Entry("safekeeping", "Copy a workspace into a zip, at any moment."),
    "restore": Entry("safekeeping", "Put a backup back and compare it with the broker."),
    "migrate": Entry("migrating", "Put the desk into the project of an older system."),
    "doctor": Entry("migrating", "Check whether a workspace can work, with a mend each."),
}


class LazyCommand(TyperCommand):
    """A command in the list. Only its use imports its module."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.summary)
        self._real = entry.module, name

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments with the real command. Its context runs it."""
        return load_command(*self._real).make_context(info_name, args, parent, **extra)


def load_command(module: str, name: str) -> Any:
    """Import a module of `commands/` and return one of its commands."""
    app = typer.Typer(rich_markup_mode="markdown")
    import_module(f"Departments.commands.{module}").register(app)
    return _write_usage(get_group(app).commands[name])


def _write_usage(command: Any) -> Any:
    """Show flags without a type, and arguments as `PLAN_ID` or `[DIR]`, in the help of a command and those below it."""
    for option in command.params:
        if getattr(option, "is_flag", False):
            option.metavar = ""
        elif option.param_type_name == "argument":
            option.metavar = option.metavar or option.name.upper()
            option.get_usage_pieces = partial(_show_argument, option)
    make_help = command.get_help_option

    def get_help_option(context: Any) -> Any:
        option = make_help(context)
        if option is not None:
            option.metavar = ""
        return option

    command.get_help_option = get_help_option
    for each in getattr(command, "commands", {}).values():
        _write_usage(each)
    return command


def _show_argument(argument: Any, _: Any) -> list[str]:
    name = argument.metavar + ("..." if argument.nargs < 0 else "")
    return [name if argument.required else f"[{name}]"]


def _answer_version(value: bool) -> None:  # noqa: FBT001 - the library passes it so
    if value:
        typer.echo(f"departments {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_answer_version, is_eager=True, help="Show the version and exit.")
]


def application() -> Any:
    """Return the group of all commands, with version and completion."""
    app = typer.Typer(
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="A trading desk of departments that talk through Markdown messages.",
    )

    @app.callback()
    def _root(*, version: Version = False) -> None:
        """A trading desk of departments that talk through Markdown messages."""  # noqa: D401

    group = _write_usage(get_command(app))
    group.commands = {name: LazyCommand(name, entry) for name, entry in COMMANDS.items()}
    return group


def main(*before: str, keeps_log: bool = False) -> None:
    """Run the command line and exit with its code. `before` precedes its arguments.

    A script that `keeps_log` writes a log file if nobody sees its output.
    """
    if keeps_log and (sys.stderr is None or not sys.stderr.isatty()):
        before = (*before, "--log-file", "auto")
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        _accept_every_character(stream)
    sys.exit(run_command([*before, *sys.argv[1:]]))


def run_script(script: str, *before: str) -> None:
    """Run a script of `scripts/` and exit with its code; `before` precedes its arguments.

    It works in the current folder. Where that is no workspace, and the folder above the script's is a project's, it
    works there: Task Scheduler starts scripts anywhere.
    """
    project = Path(script).resolve().parents[1]
    is_named = any(word.startswith("--workspace") for word in sys.argv[1:])
    if not is_named and not _is_workspace(Path()) and _is_workspace(project):
        os.chdir(project)
    main(*before, keeps_log=True)


def _is_workspace(folder: Path) -> bool:
    """Return True for a folder with messages. Our own, with the sources, is none."""
    return (folder / "Messages_Between_Departments").is_dir() and not (folder / "pyproject.toml").exists()


def _open_missing_streams() -> None:
    """Read and write nothing without a console: pythonw, which Task Scheduler may start, has none."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the whole process


def _accept_every_character(stream: TextIO) -> None:
    """Write UTF-8 into files and pipes. The old code pages of Windows lack a minus sign."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def run_command(arguments: list[str]) -> int:
    """Run the command line and return its exit code.

    A failure is one sentence on standard error; with `--json` it is a document on standard output, too.
    """
    with _restore_streams():
        try:
            result = application()(arguments or _choose_default(), standalone_mode=False)
            if result == INTERRUPTED:  # the library's code for Ctrl-C
                raise KeyboardInterrupt  # noqa: TRY301 - it has the same end as one during the command
        except (Exception, KeyboardInterrupt) as error:
            from Departments.commands import command_failures  # noqa: PLC0415 - only failures need it

            if command_failures.wants_traceback(error):
                raise
            return command_failures.show_failure(
                command_failures.describe_failure(error), as_json="--json" in arguments
            )
        return result if isinstance(result, int) else 0


def _choose_default() -> list[str]:
    """Return the command of a bare `departments`: none, and so the help, outside a workspace."""
    return [DEFAULT] if _is_workspace(Path()) else []


@contextmanager
def _restore_streams() -> Iterator[None]:
    """End the log file that a command began, after its last sentence."""
    streams = sys.stdout, sys.stderr
    try:
        yield
    finally:
        if (sys.stdout, sys.stderr) != streams:
            from Departments.commands.log_files import end_log  # noqa: PLC0415 - few runs keep a log file

            end_log()
