"""Files that are written and not published yet: nobody sees them before they are whole, and durable when asked.

Where Linux can, such a file has no name at all until it is linked into an Inbox: that spares the disk one entry and
its removal (O_TMPFILE, https://man7.org/linux/man-pages/man2/open.2.html), and a kill leaves nothing behind.
Everywhere else it has a temporary name. A test holds both ways equal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol

from Departments.messaging import files


class Draft(Protocol):
    """A file that waits for its names."""

    def write(self, data: bytes, *, flush: bool) -> None:
        """Write all of it, flushed to the disk when asked."""
        ...

    def flush(self) -> None:
        """Flush what was written to the disk."""
        ...

    def link(self, target: str) -> None:
        """Give it a name that must not exist yet. Raises FileExistsError."""
        ...

    def move(self, target: str) -> None:
        """Give it its last name; nothing is left to be dropped. Raises FileExistsError where it does not overwrite."""
        ...

    def drop(self) -> None:
        """Give it up; the names it was given stay."""
        ...


class Named:
    """A file under a temporary name, on any system. `durable` is whether a copy, where links cannot be, is flushed."""

    def __init__(self, path: str, *, hard_links: bool, durable: bool) -> None:
        self._path = path
        self._hard_links = hard_links
        self._durable = durable

    def write(self, data: bytes, *, flush: bool) -> None:
        """Create the file."""
        files.write_new(self._path, data, flush=flush)

    def flush(self) -> None:
        """Flush the file."""
        files.sync_file(self._path)

    def link(self, target: str) -> None:
        """Link, or copy where there are no links."""
        files.link_new(self._path, target, hard_links=self._hard_links, flush=self._durable)

    def move(self, target: str) -> None:
        """Rename; over a file of this name, which is a copy of the same bytes at most."""
        try:
            os.replace(self._path, target)
        except PermissionError:  # Windows, while a reader has another name of the same file open
            self.link(target)
            with suppress(OSError):
                self.drop()

    def drop(self) -> None:
        """Remove the temporary name."""
        os.unlink(self._path)


class Unnamed:
    """A file without a name, in the volume of `folder`. Linux only; raises OSError where the file system refuses."""

    def __init__(self, folder: str) -> None:
        self._descriptor = os.open(folder, os.O_WRONLY | _without_a_name(), 0o644)

    def write(self, data: bytes, *, flush: bool) -> None:
        """Write, then keep the file open for reading only: a reader must not take us for somebody who still writes."""
        writer = self._descriptor
        files.write_all(writer, data)
        if flush:
            os.fsync(writer)
        self._descriptor = os.open(self._place, os.O_RDONLY)
        os.close(writer)

    def flush(self) -> None:
        """Flush the file."""
        os.fsync(self._descriptor)

    def link(self, target: str) -> None:
        """Link by the descriptor: given any folder, the system follows the place that stands for it to the file."""
        os.link(self._place, target, src_dir_fd=self._descriptor, follow_symlinks=True)

    def move(self, target: str) -> None:
        """Link once more; there is no other name to take away."""
        self.link(target)
        self.drop()

    def drop(self) -> None:
        """Close the file; without a name it is gone."""
        os.close(self._descriptor)

    @property
    def _place(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"


def can_be_unnamed(folder: str, trial: str) -> bool:
    """Tell whether files of a folder can be written first and named later, by doing so once under the name `trial`."""
    if not _without_a_name():
        return False
    draft = None
    try:
        draft = Unnamed(folder)
        draft.write(b"", flush=False)
        draft.link(trial)
        os.unlink(trial)
    except OSError:
        return False
    finally:
        if draft:
            draft.drop()
    return True


def _without_a_name() -> int:
    return int(getattr(os, "O_TMPFILE", 0))
