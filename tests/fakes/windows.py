r"""Windows' file semantics on any platform, for everything below one folder.

- A rename overwrites nothing. A folder cannot be opened, so it cannot be flushed.
- Hard links are allowed, or refused as EINVAL (a file system without them) or EACCES (a sync client's filter).
- A file that somebody holds can be read and neither renamed, replaced nor removed; a locked one cannot be opened.
- At random, an operation meets another program (ERROR_SHARING_VIOLATION 32, ERROR_LOCK_VIOLATION 33).
- A file that only the cloud has can be opened and not read (ERROR_CLOUD_FILE_PROVIDER_NOT_RUNNING 362).
- Names that Windows refuses are refused.
- With `long_paths` a path beyond 259 characters is not found without its long form (`\\?\`), which a link in the
  current folder gives a meaning.

SQLite opens its files below Python; nothing of this concerns it.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from Departments.core.platform import files, system

Links = Literal["allowed", "EINVAL", "EACCES"]

SHARING, LOCKING, DENIED, EXISTS, BAD_NAME, PROVIDER = 32, 33, 5, 183, 123, 362
ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]\Z')
LONG_FORM, LONGEST = "\\\\?\\", 259
MEASURED = ("stat", "lstat", "mkdir", "scandir", "listdir", "utime")
RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])(\.|\Z)", re.IGNORECASE)


def refusal(winerror: int, path: object, number: int = errno.EACCES) -> OSError:
    """Return the error of Windows, as Python raises it there."""
    error = OSError(number, f"[WinError {winerror}]", str(path))
    setattr(error, "winerror", winerror)  # noqa: B010 - only Windows' errors have it by themselves
    return error


class Windows:
    """The rules in force: `rate` of operations that meet another program, and the files that others have open."""

    def __init__(
        self, root: Path, *, rate: float = 0.0, links: Links = "allowed", seed: int = 0, long_paths: bool = False
    ) -> None:
        self.root = os.path.realpath(root)
        self.rate = rate
        self.links = links
        self.long_paths = long_paths
        self.held: set[str] = set()
        self.locked: set[str] = set()
        self.denied: set[str] = set()
        self.in_cloud: set[str] = set()
        self.is_busy: Callable[[str, str], bool] = lambda _operation, _path: False
        self.met: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._random = Random(seed)
        self._cloud_descriptors: set[int] = set()
        self._real = {name: getattr(os, name) for name in ("open", "read", "close", "rename", "replace", "link")}
        self._unlink, self._open = os.unlink, builtins.open

    # --- the rules ---

    def is_below(self, path: Any) -> bool:
        """Return True if a path is in the folder where the rules hold."""
        return isinstance(path, str | os.PathLike) and os.path.realpath(Path(path).parent).startswith(self.root)

    def meet(self, operation: str, *paths: Any) -> None:
        """Raise the error of another program that has a file open, at random or because it holds it."""
        self.calls[operation] += 1
        for path in paths:
            text = os.fspath(path)
            if text in self.denied and operation == "open":
                raise refusal(DENIED, path)
            if self.is_busy(operation, text) or text in self.locked or (text in self.held and operation != "open"):
                raise refusal(SHARING, path)
        if self._random.random() < self.rate:
            self.met[operation] += 1
            raise refusal(self._random.choice((SHARING, LOCKING)), paths[0])

    def check_length(self, path: Any) -> None:
        """Raise the error of a path that is too long for its form."""
        text = str(Path(path).absolute()) if isinstance(path, str | os.PathLike) else ""
        if len(text) > LONGEST and text.startswith(self.root) and LONG_FORM not in text:
            raise FileNotFoundError(errno.ENOENT, "[WinError 206] The filename or extension is too long", text)

    def check_first(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        """Return an operation that measures its paths first."""

        def measured(path: Any = ".", *rest: Any, **more: Any) -> Any:
            self.check_length(path)
            if name in {"rename", "replace", "link"} and rest:
                self.check_length(rest[0])
            return operation(path, *rest, **more)

        return measured

    @staticmethod
    def check_name(path: Any) -> None:
        """Raise the error of a name that Windows refuses."""
        name = Path(path).name
        if ILLEGAL.search(name) or RESERVED.match(name):
            raise refusal(BAD_NAME, path, errno.EINVAL)

    # --- the operations ---

    def open_descriptor(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if not self.is_below(path):
            return int(self._real["open"](path, flags, mode, **more))
        if Path(path).is_dir():
            raise refusal(DENIED, path)
        if flags & os.O_CREAT:
            self.check_name(path)
        self.meet("open", path)
        descriptor = int(self._real["open"](path, flags, mode, **more))
        if os.fspath(path) in self.in_cloud:
            self._cloud_descriptors.add(descriptor)
        return descriptor

    def read(self, descriptor: int, size: int) -> bytes:
        if descriptor in self._cloud_descriptors:
            raise refusal(PROVIDER, descriptor, errno.EINVAL)
        return bytes(self._real["read"](descriptor, size))

    def close(self, descriptor: int) -> None:
        self._cloud_descriptors.discard(descriptor)
        self._real["close"](descriptor)

    def open_file(self, path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if self.is_below(path):
            if "w" in mode or "x" in mode:
                self.check_name(path)
            self.meet("open", path)
            if os.fspath(path) in self.in_cloud:
                raise refusal(PROVIDER, path, errno.EINVAL)
        return self._open(path, mode, *rest, **more)

    def rename(self, source: Any, target: Any) -> None:
        if not self.is_below(source):
            self._real["rename"](source, target)
            return
        self.check_name(target)
        self.meet("rename", source)
        if os.path.lexists(target) and os.fspath(target) != os.fspath(source):
            raise FileExistsError(errno.EEXIST, "[WinError 183]", os.fspath(target))
        self._real["rename"](source, target)

    def replace(self, source: Any, target: Any) -> None:
        if self.is_below(source):
            self.check_name(target)
            self.meet("replace", source, target)
        self._real["replace"](source, target)

    def unlink(self, path: Any, **more: Any) -> None:
        if self.is_below(path):
            self.meet("unlink", path)
        self._unlink(path, **more)

    def link(self, source: Any, target: Any, **more: Any) -> None:
        if self.is_below(source) and self.links == "EINVAL":
            raise refusal(1, target, errno.EINVAL)
        if self.is_below(source) and self.links == "EACCES":
            raise PermissionError(errno.EACCES, "Access is denied", os.fspath(target))
        if self.is_below(source):
            self.check_name(target)
            self.meet("link", source, target)
        self._real["link"](source, target, **more)

    # --- on and off ---

    @contextmanager
    def in_force(self) -> Iterator[Windows]:
        """Put the rules in the place of this platform's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(system, "WINDOWS", True)
            patch.setattr(files, "PAUSES", tuple(pause / 50 for pause in files.PAUSES))
            replacements: dict[str, Callable[..., Any]] = {
                "open": self.open_descriptor,
                "read": self.read,
                "close": self.close,
                "rename": self.rename,
                "replace": self.replace,
                "unlink": self.unlink,
                "remove": self.unlink,
                "link": self.link,
            }
            for name, replacement in replacements.items():
                patch.setattr(os, name, replacement)
            patch.setattr(builtins, "open", self.open_file)
            patch.setattr(io, "open", self.open_file)
            if self.long_paths:
                self._measure(patch)
            yield self

    def _measure(self, patch: pytest.MonkeyPatch) -> None:
        """Let every operation on a path measure it, and give the long form a meaning in the current folder."""
        here = Path(self.root)
        patch.chdir(here)
        if not os.path.lexists(here / LONG_FORM):
            (here / LONG_FORM).symlink_to("/")
        for name in (*MEASURED, "open", "rename", "replace", "unlink", "link"):
            patch.setattr(os, name, self.check_first(name, getattr(os, name)))
        for module in (builtins, io):
            patch.setattr(module, "open", self.check_first("open", self.open_file))
