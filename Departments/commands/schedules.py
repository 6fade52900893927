"""Schedules of a workspace for systemd, cron and Windows' Task Scheduler, as texts that work as written.

Each starts the run at a time in New York on weekdays, in summer and winter; on a holiday it ends with code 5, quietly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

ZONE: Final = "America/New_York"
RUN: Final = "-m Departments run --wait-for-open --log-file auto"


def write_schedule(kind: str, python: Path, workspace: Path, run_at: time) -> Mapping[str, str]:
    """Return the files of a schedule (`systemd`, `cron` or `windows`) by name, and under "" how to install them."""
    writers = {"systemd": _write_systemd, "cron": _write_cron, "windows": _write_windows}
    return writers[kind](python, workspace, run_at)


def _write_systemd(python: Path, workspace: Path, run_at: time) -> Mapping[str, str]:
    service = f"""[Unit]
Description=Plan, approve, execute and report the trading day
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={_escape_unit(workspace)}
ExecStart="{_escape_unit(python)}" {RUN}
# 5: the market is closed, nobody needs to look
SuccessExitStatus=5
TimeoutStartSec=infinity
"""
    timer = f"""[Unit]
Description=The trading day, at {run_at:%H:%M} in New York

[Timer]
OnCalendar=Mon..Fri *-*-* {run_at:%H:%M}:00 {ZONE}
Persistent=false

[Install]
WantedBy=timers.target
"""
    install = (
        "cp config/schedule/departments.* ~/.config/systemd/user/ && systemctl --user daemon-reload && "
        "systemctl --user enable --now departments.timer && loginctl enable-linger"
    )
    return {"departments.service": service, "departments.timer": timer, "": install}


def _escape_unit(path: Path) -> str:
    return str(path).replace("%", "%%")


def _write_cron(python: Path, workspace: Path, run_at: time) -> Mapping[str, str]:
    minutes = ",".join(str((run_at.minute + more) % 60) for more in (0, 30))  # zones of half an hour have either
    now = f"$(TZ={ZONE} date +\\%u.\\%H:\\%M)"
    days = "|".join(f"{day}.{run_at:%H:%M}" for day in range(1, 6))
    run = f"cd {_quote(workspace)} && {_quote(python)} {RUN} >/dev/null 2>&1; test $? -eq 5 -o $? -eq 0"
    line = f'{minutes} * * * * case "{now}" in {days}) {run} ;; esac'
    text = f"# The trading day, at {run_at:%H:%M} in New York on weekdays, whatever zone this machine has.\n{line}\n"
    return {"crontab.txt": text, "": "(crontab -l 2>/dev/null; cat config/schedule/crontab.txt) | crontab -"}


def _quote(path: Path) -> str:
    text = str(path).replace("'", "'\\''").replace("%", "\\%")
    return f"'{text}'"


def _write_windows(python: Path, workspace: Path, run_at: time) -> Mapping[str, str]:
    windowless = python.with_name(python.name.replace("python.exe", "pythonw.exe"))
    triggers = "".join(_TRIGGER.format(hour=(run_at.hour + ahead) % 24, minute=run_at.minute) for ahead in (4, 5))
    text = _TASK.format(
        triggers=triggers, python=escape(str(windowless)), arguments=escape(RUN), folder=escape(str(workspace))
    )
    install = (
        'Register-ScheduledTask -TaskName "departments daily run" '
        "-Xml (Get-Content -Raw config\\schedule\\daily-run.xml)"
    )
    return {"daily-run.xml": text, "": install}


_TRIGGER: Final = """    <CalendarTrigger>
      <StartBoundary>2025-01-06T{hour:02d}:{minute:02d}:00Z</StartBoundary>
      <ScheduleByWeek>
        <WeeksInterval>1</WeeksInterval>
        <DaysOfWeek><Monday /><Tuesday /><Wednesday /><Thursday /><Friday /></DaysOfWeek>
      </ScheduleByWeek>
    </CalendarTrigger>
"""
_TASK: Final = """<?xml version="1.0"?>
<!-- Two triggers, in UTC: one is at the time in New York in summer, the other in winter. The run waits for the opening;
     the other trigger finds it running, or the day done. -->
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Plan, approve, execute and report the trading day.</Description>
  </RegistrationInfo>
  <Triggers>
{triggers}  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>false</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>true</RunOnlyIfNetworkAvailable>
    <WakeToRun>true</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT5M</Interval>
      <Count>3</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{python}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""
