"""The programs that run on the machine, as far as the user may look at them: scripts of one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Folders of a Python itself: what runs from there is no script of a project.
_OWN_FOLDERS: Final = frozenset({"venv", ".venv", "env", "site-packages"})


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """A Python that runs a script, named by its path in the folder."""

    pid: int
    script: str


def find_programs(folder: Path) -> list[RunningProgram]:
    """Find the Pythons that run a script or module of a folder; this one and those that started it do not count.

    Programs of another user or machine are not seen, nor code without a file (`python -c`).
    """
    import psutil  # noqa: PLC0415 - only a migration looks

    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or is somebody else's
            words = process.cmdline()
            if process.pid not in ours and words and "python" in Path(words[0]).name.lower():
                script = next(_list_scripts(words[1:], Path(process.cwd()), folder.resolve()), None)
                found += [] if script is None else [RunningProgram(process.pid, script)]
    return found


def _list_scripts(words: Sequence[str], cwd: Path, folder: Path) -> Iterator[str]:
    """Yield what a command line runs of a folder: a file, or a module below the working folder."""
    for before, word in zip(("", *words), words, strict=False):
        path = cwd / (f"{word.replace('.', '/')}.py" if before == "-m" else word)
        package = path.with_suffix("") if before == "-m" else path
        if not (path.suffix.lower() in {".py", ".pyw"} and (path.is_file() or package.is_dir())):
            continue
        place = path.resolve()
        if place.is_relative_to(folder) and not _OWN_FOLDERS & set(place.relative_to(folder).parts):
            yield word
