"""The user of this process, by the operating system and not by the environment, which anybody can set."""

from __future__ import annotations

import os
import platform
import sys


def name_user() -> str:
    """Return `user@host`."""
    return f"{_user()}@{platform.node().partition('.')[0] or 'localhost'}"


def _user() -> str:
    if sys.platform == "win32":
        return os.getlogin()  # GetUserNameW (https://docs.python.org/3/library/os.html#os.getlogin)
    else:  # noqa: RET505 - mypy knows by it which platform reads what
        import pwd  # noqa: PLC0415 - not on Windows

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a user of a container may have no name
            return f"uid{os.getuid()}"
