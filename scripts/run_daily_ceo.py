"""The daily CEO script: plan, approve, execute in phases, report. For Task Scheduler and cron.

    python scripts/run_daily_ceo.py [the options of `departments run`]

It works in the current folder, or in `--workspace DIR`; in `scripts/` of a project, started elsewhere, in the project.
Without a terminal it writes `logs/departments_<date>.log` there.
It approves by itself and has the exit codes of `departments run`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from Departments.cli import run_script
except ModuleNotFoundError as error:
    mend = "start this script with the Python in .venv, which `python scripts/dev.py run` makes"
    if str(error.name).startswith("Departments"):
        mend = "put the package over this project's Departments folder: departments migrate"
    raise SystemExit(f"{sys.executable}: this Python lacks {error.name}; {mend}.") from error
except KeyboardInterrupt:  # during the imports
    raise SystemExit(130) from None

if __name__ == "__main__":
    run_script(__file__, "run", "--approve", "auto")
