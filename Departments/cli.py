"""The command `departments`: every command is registered here, every error becomes one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console

from Departments.commands import demo, messages, planning, recovery, regime, replay, run
from Departments.core.errors import DepartmentsError

UNFORESEEN = 1
DISK = 3
INTERRUPTED = 130
TRACEBACK = "DEPARTMENTS_TRACEBACK"  # set it to anything to see where an unforeseen error came from


def application() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        help="A trading desk of departments that talk through Markdown messages.",
    )
    for commands in (run, demo, planning, replay, recovery, messages, regime):
        commands.register(app)
    return app


def main(*before: str) -> None:
    """Run the command line, `before` put in front of its arguments, and exit with its code."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        _accept_every_character(stream)
    sys.exit(exit_code_of([*before, *sys.argv[1:]]))


def _open_missing_streams() -> None:
    """Read and write nothing where there is no console at all: pythonw, which Task Scheduler may start, has none."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the whole process


def _accept_every_character(stream: TextIO) -> None:
    """Write UTF-8 into files and pipes, also where Windows would take its old code page, which lacks a minus sign."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def exit_code_of(arguments: list[str]) -> int:
    """Run the command line and return its exit code; what went wrong is one sentence on standard error."""
    try:
        result = application()(arguments, standalone_mode=False)
    except DepartmentsError as error:
        return _told(error.sentence, error.exit_code)
    except typer.TyperException as error:
        problem = error.format_message().rstrip(".")
        return _told(f"{problem}; see --help." if problem else "", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        result = INTERRUPTED
    except OSError as error:
        return _told(f"{error.filename or 'the system'}: {error.strerror or error}; check the path and the disk.", DISK)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sentence = f"An error nobody foresaw ({type(error).__name__}: {error}); set {TRACEBACK}=1 to see where."
        return _told(sentence, UNFORESEEN)
    if result == INTERRUPTED:  # what the library makes of Ctrl-C, too
        return _told("Interrupted; run the same command again to go on where it stood.", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _told(sentence: str, code: int) -> int:
    if sentence:
        Console(stderr=True, soft_wrap=True, highlight=False).print(sentence, style="red", markup=False)
    return code
