"""Programs of a user, run in a process of their own with a time limit. When it has passed the whole tree is killed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

#: Words for a Python at the beginning of a command: the interpreter that runs us takes their place.
PYTHONS: Final = frozenset({"python", "python3", "py", "python.exe", "python3.exe", "py.exe"})
LONGEST_OUTPUT: Final = 20_000_000  # bytes that are read of what a program writes
KILL_WITHIN: Final = 10  # seconds


@dataclass(frozen=True, slots=True)
class EndedProgram:
    """A program that has ended. `code` is its exit code, None if it was killed at the limit; texts may be cut."""

    code: int | None
    output: str
    errors: str


def split_command(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command; a Python in front becomes the interpreter that runs us.

    Raises ValueError for quotation marks that do not close.
    """
    is_windows = os.name == "nt"
    words = shlex.split(command, posix=not is_windows) if isinstance(command, str) else list(command)
    if is_windows and isinstance(command, str):
        words = [word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word for word in words]
    if words and words[0].lower() in PYTHONS:
        words[0] = sys.executable
    return words


def run_program(
    words: Sequence[str], folder: Path, seconds: float, given: bytes = b"", environ: Mapping[str, str] | None = None
) -> EndedProgram:
    """Run a program in `folder` with `given` on its standard input, for at most `seconds`.

    Files take what it writes: a pipe that a grandchild holds open would keep us waiting. Raises OSError for a program
    that cannot be started.
    """
    with TemporaryFile() as read, TemporaryFile() as output, TemporaryFile() as errors:
        read.write(given)
        read.seek(0)
        process = subprocess.Popen(  # noqa: S603 - the user's own program, named in the user's own settings
            list(words),
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdin=read,
            stdout=output,
            stderr=errors,
            start_new_session=os.name != "nt",
        )
        try:
            code: int | None = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill_tree(process)
            code = None
        except BaseException:  # Ctrl-C reaches us alone: the program has a session of its own
            _kill_tree(process)
            raise
        return EndedProgram(code, _read(output), _read(errors))


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and everything that it has started."""
    if sys.platform == "win32":
        killer = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(killer, check=False, capture_output=True, timeout=KILL_WITHIN)  # noqa: S603
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, 9)
    with suppress(OSError):
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=KILL_WITHIN)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(LONGEST_OUTPUT).decode("utf-8", "replace")
