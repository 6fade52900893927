"""Schedules of a workspace for systemd, cron and Windows' Task Scheduler, as texts that work as written.

Each starts the run at a time in New York, in summer and winter; on a day without trading it ends with code 5, quietly.
A second job tells people that no run has ended by a later time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import PurePath
from typing import Final
from xml.sax.saxutils import escape

ZONE: Final = "America/New_York"
#: New York's clock in summer and in winter.
SUMMER, WINTER = (timezone(timedelta(hours=-hours)) for hours in (4, 5))
_A_SUNDAY: Final = date(2025, 1, 5)


@dataclass(frozen=True, slots=True)
class Job:
    """A command for every weekday at a time in New York.

    `mail` is what cron says if it needs a person. A job that `waits` may be started early.
    """

    name: str  # of its units of systemd
    task: str  # of Windows
    about: str
    command: str
    at: time
    mail: str
    waits: bool = False

    @property
    def words(self) -> str:
        """Return the arguments of Python."""
        return f"-m Departments {self.command}"


def run_job(at: time) -> Job:
    """Return the day's run."""
    command = f"run --wait-for-open --not-before {at:%H:%M} --log-file auto"
    mail = "The run needs a person: departments status"
    return Job(
        "departments", "daily-run", "Plan, approve, execute and report the trading day", command, at, mail, waits=True
    )


def overdue_job(at: time) -> Job:
    """Return the look whether a run has ended."""
    about = "Tell people that no run of the trading day has ended"
    command, mail = f"overdue --by {at:%H:%M}", "The run is overdue: departments status"
    return Job("departments-overdue", "overdue", about, command, at, mail)


def write_schedule(kind: str, python: PurePath, workspace: PurePath, jobs: Sequence[Job]) -> Mapping[str, str]:
    """Return the files of a schedule (`systemd`, `cron` or `windows`) by name, and under "" how to install them."""
    return _WRITERS[kind](python, workspace, jobs)


def _write_systemd(python: PurePath, workspace: PurePath, jobs: Sequence[Job]) -> Mapping[str, str]:
    files = {}
    for job in jobs:
        files[f"{job.name}.service"] = _SERVICE.format(
            about=job.about, folder=_escape_unit(workspace), python=_quote_unit(python), words=job.words
        )
        files[f"{job.name}.timer"] = _TIMER.format(about=job.about, at=f"{job.at:%H:%M}", zone=ZONE)
    timers = " ".join(f"{job.name}.timer" for job in jobs)
    files[""] = (
        "mkdir -p ~/.config/systemd/user && cp config/schedule/departments*.* ~/.config/systemd/user/ && "
        f"systemctl --user daemon-reload && systemctl --user enable --now {timers} && loginctl enable-linger"
    )
    return files


def _escape_unit(path: PurePath) -> str:
    return str(path).replace("%", "%%")


def _quote_unit(path: PurePath) -> str:
    text = _escape_unit(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'


_SERVICE: Final = """[Unit]
Description={about}

[Service]
Type=oneshot
WorkingDirectory={folder}
# sh, because systemd takes no program with a quote or a backslash in its path
ExecStart=/bin/sh -c 'exec "$$@"' departments {python} {words}
# 5: the market is closed, nobody needs to look
SuccessExitStatus=5
TimeoutStartSec=infinity
"""
_TIMER: Final = """[Unit]
Description={about}, at {at} in New York

[Timer]
OnCalendar=Mon..Fri *-*-* {at}:00 {zone}
Persistent=false

[Install]
WantedBy=timers.target
"""


def _write_cron(python: PurePath, workspace: PurePath, jobs: Sequence[Job]) -> Mapping[str, str]:
    lines = [line for job in jobs for line in _cron_lines(python, workspace, job)]
    install = "(crontab -l 2>/dev/null; cat config/schedule/crontab.txt) | crontab -"
    return {"crontab.txt": "".join(f"{line}\n" for line in lines), "": install}


def _cron_lines(python: PurePath, workspace: PurePath, job: Job) -> Sequence[str]:
    minutes = ",".join(str((job.at.minute + more) % 60) for more in (0, 15, 30, 45))  # as the zones of the world differ
    now = f"$(TZ={ZONE} date +\\%u.\\%H:\\%M)"
    days = "|".join(f"{day}.{job.at:%H:%M}" for day in range(1, 6))
    run = f"cd {_quote(workspace)} && {_quote(python)} {job.words} >/dev/null 2>&1"
    mail = f"test $? -eq 5 -o $? -eq 0 || echo '{job.mail}'"
    about = f"# {job.about}, at {job.at:%H:%M} in New York on weekdays, whatever zone this machine has."
    return about, f'{minutes} * * * * case "{now}" in {days}) {run}; {mail} ;; esac'


def _quote(path: PurePath) -> str:
    text = str(path).replace("'", "'\\''").replace("%", "\\%")
    return f"'{text}'"


def _write_windows(python: PurePath, workspace: PurePath, jobs: Sequence[Job]) -> Mapping[str, str]:
    windowless = python.with_name(python.name.replace("python.exe", "pythonw.exe"))
    files = {}
    for job in jobs:
        zones = (SUMMER,) if job.waits else (SUMMER, WINTER)
        files[f"{job.task}.xml"] = _TASK.format(
            about=escape(job.about),
            winter="the run waits" if job.waits else "the second trigger counts",
            triggers="".join(_TRIGGER.format(begin=_begin(job.at, zone)) for zone in zones),
            python=escape(str(windowless)),
            arguments=escape(job.words),
            folder=escape(str(workspace)),
        )
    files[""] = "; ".join(
        f'Register-ScheduledTask -TaskName "departments {job.task}" '
        f"-Xml (Get-Content -Raw -Encoding UTF8 config\\schedule\\{job.task}.xml)"
        for job in jobs
    )
    return files


def _begin(at: time, zone: timezone) -> str:
    return f"{datetime.combine(_A_SUNDAY, at, zone).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_TRIGGER: Final = """    <CalendarTrigger>
      <StartBoundary>{begin}</StartBoundary>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
"""
_TASK: Final = """<?xml version="1.0"?>
<!-- Task Scheduler does not know New York's clock. The trigger is daily, in UTC, at the time in New York in summer; in
     winter that is an hour early, and {winter}. On a day without trading nothing is done. -->
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{about}</Description>
  </RegistrationInfo>
  <Triggers>
{triggers}  </Triggers>
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
_Writer = Callable[[PurePath, PurePath, Sequence[Job]], Mapping[str, str]]
_WRITERS: Final[Mapping[str, _Writer]] = {"systemd": _write_systemd, "cron": _write_cron, "windows": _write_windows}
