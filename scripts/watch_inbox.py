"""The inbox watcher: handle messages as they arrive, until Ctrl-C. For a terminal, a service or Task Scheduler.

    python scripts/watch_inbox.py [TRADING …] [the options of `departments watch`]

It works in the folder it is started in (Task Scheduler: *Start in*), or in `--workspace DIR`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Departments.cli import main

if __name__ == "__main__":
    main("watch")
