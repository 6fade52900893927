"""The daily CEO script: plan, approve, execute in phases, report. For Task Scheduler and cron.

    python scripts/run_daily_ceo.py [the options of `departments run`]

It works in the folder it is started in (Task Scheduler: *Start in*), or in `--workspace DIR`,
approves by itself, and ends with the exit codes of `departments run`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Departments.cli import main

if __name__ == "__main__":
    main("run", "--approve", "auto")
