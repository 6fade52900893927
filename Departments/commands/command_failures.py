"""The failure of a command: one sentence for people, one document for programs.

`{"error": {code, source, key, sentence, mend, exit_code}}`, with `dead_letters` and `locks` beside it where the desk's
ledger has any. `code` is stable; what is unknown is null.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console

from Departments.core.errors import RUN_AGAIN, BadInput, DepartmentsError, DiskError
from Departments.core.platform import files
from Departments.core.platform.disk_trouble import AGAIN, find_mend
from Departments.core.safe_text import escape_in_json, make_safe

UNEXPECTED = 1
INTERRUPTED = 130
TRACEBACK = "DEPARTMENTS_TRACEBACK"  # any value shows the traceback of an unexpected error
#: The convention of sentences: `source: problem; mend.`
_SOURCE: Final = re.compile(r"([^;]*?[\\/][^;]*?): ")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed. `more` are keys beside the error."""

    code: str
    sentence: str
    exit_code: int
    source: str = ""
    key: str = ""
    mend: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the failure for programs."""
        error: dict[str, Any] = {
            "code": self.code,
            "source": self.source or None,
            "key": self.key or None,
            "sentence": self.sentence,
            "mend": self.mend or None,
            "exit_code": self.exit_code,
        }
        return {"error": error, **self.more}


def describe_failure(error: BaseException) -> Failure:
    """Return the failure behind an error of a command. Errors without a sentence of ours get one."""
    return replace(_describe(error), more=getattr(error, "issues", {}))


def _describe(error: BaseException) -> Failure:
    if isinstance(error, DepartmentsError):
        return _describe_ours(error)
    if isinstance(error, typer.TyperException):
        return _describe_usage(error)
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        return Failure("INTERRUPTED", f"Interrupted; {RUN_AGAIN}.", INTERRUPTED, mend=RUN_AGAIN)
    if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
        return _describe_ours(BadInput(str(error.filename), "", *_find_wrong_kind(error)))
    if isinstance(error, OSError):
        place, mend = str(error.filename or "the system"), find_mend(error, Path()) or "check the path and the disk"
        mend = f"{mend} and {AGAIN}"
        sentence = f"{place}: {files.describe(error)}; {mend}."
        return Failure("DISK_ERROR", sentence, DiskError.exit_code, place, mend=mend)
    mend = f"set {TRACEBACK}=1 to see its traceback"
    return Failure("UNEXPECTED", f"Unexpected error ({_name(error)}); {mend}.", UNEXPECTED, mend=mend)


def _find_wrong_kind(error: OSError) -> tuple[str, str]:
    """Return problem and mend of a file in the place of a folder, or the other way round."""
    if isinstance(error, IsADirectoryError):
        return "is a folder, and a file has to be there", "move that folder away, or name another file"
    what = "is a file" if isinstance(error, FileExistsError) else "has a file in its path"
    return f"{what}, and a folder has to be there", "move that file away, or name another folder"


def _name(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _describe_ours(error: DepartmentsError) -> Failure:
    sentence = error.sentence
    failure = Failure(error.code, sentence, error.exit_code, error.source, error.key, error.mend)
    if not failure.source and (found := _SOURCE.match(sentence)):
        failure = replace(failure, source=found[1])
    return failure if failure.mend else replace(failure, mend=sentence.rpartition("; ")[2].rstrip("."))


def _describe_usage(error: typer.TyperException) -> Failure:
    """Return the failure of a wrong command line, with the probable command or option."""
    problem = error.format_message().replace("Value error, ", "").rstrip(".") or "Missing command"
    option, likely = getattr(error, "option_name", None), list(getattr(error, "possibilities", None) or ())
    problem, _, guessed = problem.partition(". Did you mean ")
    if likely:
        problem = f"No such option: {option}"
    likely += re.findall(r"'([^']+)'", guessed)
    mend = f"did you mean {' or '.join(likely)}? See --help" if likely else "see --help"
    context = getattr(error, "ctx", None)
    if problem == "Missing command" and context is not None and context.parent is None:
        problem, mend = "This folder is no workspace", "make one by departments init, or see --help"
    key = option or next(iter(getattr(getattr(error, "param", None), "opts", ())), "")
    return Failure("USAGE", f"{problem}; {mend}.", error.exit_code, "command line", key, mend)


def show_failure(failure: Failure, *, as_json: bool) -> int:
    """Print a failure to standard error, to standard output too `as_json`, and return its exit code."""
    if as_json:
        line = json.dumps(failure.document(), ensure_ascii=False, default=str)
        with suppress(OSError):  # what standard output goes to may be the very trouble
            sys.stdout.write(escape_in_json(line) + "\n")
            sys.stdout.flush()
    screen = Console(stderr=True, soft_wrap=True, highlight=False)
    screen.print(make_safe(failure.sentence), style="red", markup=False, emoji=False)
    return failure.exit_code


def wants_traceback(error: BaseException) -> bool:
    """Return True for an unexpected error whose traceback the environment asks for."""
    return describe_failure(error).code == "UNEXPECTED" and bool(os.environ.get(TRACEBACK))
