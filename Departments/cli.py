"""The command `departments`: every command is registered here, every error becomes one sentence and an exit code."""

from __future__ import annotations

import sys

import typer
from click.exceptions import Abort, ClickException
from rich.console import Console

from Departments.commands import demo, messages, regime, run
from Departments.core.errors import DepartmentsError

INTERRUPTED = 130


def application() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        help="A trading desk of departments that talk through Markdown messages.",
    )
    for commands in (run, demo, messages, regime):
        commands.register(app)
    return app


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(exit_code_of(sys.argv[1:]))


def exit_code_of(arguments: list[str]) -> int:
    """Run the command line and return its exit code; what went wrong is one sentence on standard error."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        result = application()(arguments, standalone_mode=False)
    except DepartmentsError as error:
        errors.print(str(error), style="red", markup=False)
        return error.exit_code
    except ClickException as error:
        error.show()
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        errors.print("Interrupted; run the same command again to go on where it stood.")
        return INTERRUPTED
    return result if isinstance(result, int) else 0
