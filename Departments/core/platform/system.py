"""The operating system's family. Code asks here, so that a test can put Windows' rules in its place."""

from __future__ import annotations

import sys

WINDOWS: bool = sys.platform == "win32"
