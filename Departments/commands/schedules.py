"""Schedules of a workspace for systemd, cron and Windows' Task Scheduler, as texts that work as written.

Each starts the run at a time in New York on weekdays, in summer and winter; on a holiday it ends with code 5, quietly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import PurePath
from typing import Final
from xml.sax.saxutils import escape

ZONE: Final = "America/New_York"
RUN: Final = "-m Departments run --wait-for-open --not-before {:%H:%M} --log-file auto"


def write_schedule(kind: str, python: PurePath, workspace: PurePath, run_at: time) -> Mapping[str, str]:
    """Return the files of a schedule (`systemd`, `cron` or `windows`) by name, and under "" how to install them."""
    writers = {"systemd": _write_systemd, "cron": _write_cron, "windows": _write_windows}
    return writers[kind](python, workspace, run_at)


def _write_systemd(python: PurePath, workspace: PurePath, run_at: time) -> Mapping[str, str]:
    service = f"""[Unit]
Description=Plan, approve, execute and report the trading day

[Service]
Type=oneshot
WorkingDirectory={_escape_unit(workspace)}
# sh, because systemd takes no program with a quote or a backslash in its path
ExecStart=/bin/sh -c 'exec "$$@"' run {_quote_unit(python)} {RUN.format(run_at)}
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


def _escape_unit(path: PurePath) -> str:
    return str(path).replace("%", "%%")


def _quote_unit(path: PurePath) -> str:
    text = _escape_unit(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'


def _write_cron(python: PurePath, workspace: PurePath, run_at: time) -> Mapping[str, str]:
    minutes = ",".join(str((run_at.minute + more) % 60) for more in (0, 15, 30, 45))  # as the zones of the world differ
    now = f"$(TZ={ZONE} date +\\%u.\\%H:\\%M)"
    days = "|".join(f"{day}.{run_at:%H:%M}" for day in range(1, 6))
    run = f"cd {_quote(workspace)} && {_quote(python)} {RUN.format(run_at)} >/dev/null 2>&1"
    mail = "test $? -eq 5 -o $? -eq 0 || echo 'The run needs a person: departments status'"
    line = f'{minutes} * * * * case "{now}" in {days}) {run}; {mail} ;; esac'
    text = f"# The trading day, at {run_at:%H:%M} in New York on weekdays, whatever zone this machine has.\n{line}\n"
    return {"crontab.txt": text, "": "(crontab -l 2>/dev/null; cat config/schedule/crontab.txt) | crontab -"}


def _quote(path: PurePath) -> str:
    text = str(path).replace("'", "'\\''").replace("%", "\\%")
    return f"'{text}'"


def _write_windows(python: PurePath, workspace: PurePath, run_at: time) -> Mapping[str, str]:
    windowless = python.with_name(python.name.replace("python.exe", "pythonw.exe"))
    in_summer = datetime.combine(_A_SUNDAY, run_at, tzinfo=timezone(timedelta(hours=-4)))
    text = _TASK.format(
        begin=f"{in_summer.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        python=escape(str(windowless)),
        arguments=escape(RUN.format(run_at)),
        folder=escape(str(workspace)),
    )
    install = (
        'Register-ScheduledTask -TaskName "departments daily run" '
        "-Xml (Get-Content -Raw -Encoding UTF8 config\\schedule\\daily-run.xml)"
    )
    return {"daily-run.xml": text, "": install}


_A_SUNDAY: Final = date(2025, 1, 5)
_TASK: Final = """<?xml version="1.0"?>
<!-- Task Scheduler does not know New York's clock. The trigger is daily, in UTC, at the time in New York in summer; in
     winter that is an hour early, and the run waits. On a day without trading it ends at once, with code 5. -->
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Plan, approve, execute and report the trading day.</Description>
  </RegistrationInfo>
  <Triggers>
    <CalendarTrigger>
      <StartBoundary>{begin}</StartBoundary>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
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
