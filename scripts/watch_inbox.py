"""The inbox watcher: handle messages as they arrive, until Ctrl-C. For a terminal, a service or Task Scheduler.

    python scripts/watch_inbox.py [TRADING …] [the options of `departments watch`]

It works in the current folder (Task Scheduler: *Start in*), or in `--workspace DIR`. Without a terminal it writes
`logs/departments_<date>.log` there.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from Departments.cli import main
except ModuleNotFoundError as error:
    mend = "start this script with the Python in .venv, which `python scripts/dev.py run` makes"
    raise SystemExit(f"{sys.executable}: this Python lacks {error.name}; {mend}.") from error
except KeyboardInterrupt:  # during the imports
    raise SystemExit(130) from None

if __name__ == "__main__":
    main("watch", keeps_log=True)
