"""`departments init`: make a folder a workspace, with settings, limits, examples and a schedule."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from Departments.bootstrap import MESSAGES
from Departments.brokers.registry import name_of_paper
from Departments.commands.config import set_value
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.demo import find_config
from Departments.commands.frame import print_json
from Departments.commands.options import AsJson
from Departments.commands.schedules import overdue_job, run_job, write_schedule
from Departments.core.departments import ALL, OURS
from Departments.core.errors import BadInput
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.places import locate
from Departments.core.platform.rights import PRIVATE, make_folder
from Departments.core.platform.text_files import read_text
from Departments.core.readers import read_time_of_day
from Departments.core.settings import load_settings

HELP: Final = """Make a folder a workspace: config/, message folders, an example account and briefing, .gitignore.

On a terminal it asks what no option says. Nothing that is there is overwritten. `--schedule` also writes
config/schedule/ for systemd, cron or Windows' Task Scheduler, with your Python and folder in it, and says how to
install it. With `--json`: `{"workspace", "written", "kept", "install"}`.
"""
IGNORED: Final = """# What a desk keeps and nobody should publish
sentinel.db*
simulated_exchange.db*
Messages_Between_Departments/
Reports/
logs/
config.py
.env
"""
LIMITS, SETTINGS, ACCOUNT, BRIEFING = (
    "config/hard_constraints.yaml",
    "config/settings.yaml",
    "examples/account.yaml",
    "examples/briefing.md",
)
TIME: Final = "09:20"
Broker = Literal["simulated", "paper"]
Kind = Literal["systemd", "cron", "windows"]


def init(  # noqa: PLR0913 - one parameter for each option
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; it is made.")] = Path(),
    broker: Annotated[Broker | None, typer.Option(help="Simulated, or a paper account at a broker.")] = None,
    briefing: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A program that makes the day's briefing."),
    ] = None,
    run_at: Annotated[str | None, typer.Option(help="When the day's run begins, in New York.", metavar="HH:MM")] = None,
    overdue_by: Annotated[
        str | None, typer.Option(help="By when it has to have ended; else you are told.", metavar="HH:MM")
    ] = None,
    approve: Annotated[Literal["ask", "auto"], typer.Option(help="A person approves, or the desk.")] = "auto",
    schedule: Annotated[Kind | None, typer.Option(help="Write a schedule, too.")] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Make a workspace."""
    if sys.stdin.isatty() and not as_json:
        broker, briefing, run_at = _ask(broker, briefing, run_at)
    chosen = {
        "broker.name": name_of_paper() if broker == "paper" else "simulated",
        "approve": approve,
        "schedule.run_at": f'"{run_at or TIME}"',
        **({"schedule.overdue_by": f'"{overdue_by}"'} if overdue_by else {}),
        **({"operations.briefing.command": f"'{_double(briefing)}'"} if briefing else {}),
    }
    made = Scaffold(locate(folder))
    times = _read_time("--run-at", run_at), _read_time("--overdue-by", overdue_by)
    made.write_workspace(chosen)
    install = made.write_schedule(schedule, *times) if schedule else ""
    if as_json:
        document = {"workspace": str(made.root), "written": made.written, "kept": made.kept, "install": install or None}
        print_json(document)
    else:
        for line in _describe(made, broker or "simulated", briefing, install):
            open_console().print(escape_text(line), soft_wrap=True)
    return 0


def _ask(broker: Broker | None, briefing: str | None, run_at: str | None) -> tuple[Broker, str, str]:
    if broker is None:
        kind = typer.prompt("Trade on the simulated exchange or a paper account (simulated, paper)", "simulated")
        broker = "paper" if kind.strip().lower().startswith("p") else "simulated"
    if briefing is None:
        briefing = typer.prompt("Command that makes the day's briefing (empty: delivered)", "", show_default=False)
    if run_at is None:
        run_at = typer.prompt("When the day's run begins, in New York", TIME)
    return broker, briefing, run_at


def _double(text: str) -> str:
    return text.replace("'", "''")


def _read_time(option: str, text: str | None) -> time | None:
    try:
        return None if text is None else read_time_of_day(text)
    except ValueError as error:
        raise BadInput(option, "", *str(error).split("; ", 1)) from error


class Scaffold:
    """A workspace that is being made: what was written, and what was there already."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[str] = []
        self.kept: list[str] = []

    def write_workspace(self, chosen: Mapping[str, str]) -> None:
        """Write configuration, folders and examples."""
        source = find_config()
        demo = next((source / "demo" / MESSAGES / "Inbox" / "OPERATIONS").glob("*.md"))
        is_new = not (self.root / SETTINGS).exists()
        texts = {
            LIMITS: read_text(source / "hard_constraints.yaml"),
            SETTINGS: read_text(source / "settings.yaml"),
            ACCOUNT: read_text(source / "demo" / "exchange_state.yaml"),
            BRIEFING: read_text(demo),
            ".gitignore": IGNORED,
        }
        for name, text in texts.items():
            self._write(name, text)
        for key, value in chosen.items() if is_new else ():
            set_value(self.root, key, value)
        for box, departments in (("Inbox", OURS), ("Outbox", ALL), ("Archive", ()), ("Dead_Letter", ())):
            for department in departments or ("",):
                make_folder(self.root / MESSAGES / box / department, PRIVATE)

    def write_schedule(self, kind: str, run_at: time | None, overdue_by: time | None) -> str:
        """Write the files of a schedule, and return the command that installs them.

        A time that is None is the settings' own; without an overdue time there is no job for it.
        """
        settings = load_settings(self.root / SETTINGS).schedule
        overdue_by = overdue_by or settings.overdue_by
        jobs = [run_job(run_at or settings.run_at or time.fromisoformat(TIME))]
        jobs += [overdue_job(overdue_by)] if overdue_by else []
        files = dict(write_schedule(kind, Path(sys.executable), self.root, jobs))
        install = files.pop("")
        for name, text in files.items():
            self._write(f"config/schedule/{name}", text)
        return install

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        if path.exists():
            self.kept.append(name)
            return
        make_folder(path.parent, PRIVATE)
        write_atomically(path, text)
        self.written.append(name)


def _describe(made: Scaffold, broker: str, briefing: str | None, install: str) -> Iterator[str]:
    yield f"{made.root} is a workspace now."
    yield from (f"  wrote {name}" for name in made.written)
    yield from (f"  kept  {name}, which was there" for name in made.kept)
    if broker == "paper":
        yield "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY of the paper account in the environment."
    else:
        yield f"Edit {ACCOUNT}, then seed the exchange: departments exchange init {ACCOUNT}"
    if not briefing:
        yield f"Deliver the day's briefing to {MESSAGES}/Inbox/OPERATIONS; {BRIEFING} is an example."
    if install:
        yield f"Install the schedule: {install}"
    yield "Then: departments doctor, departments plan, departments run"


def register(app: typer.Typer) -> None:
    """Add `init`."""
    app.command("init", help=HELP)(init)
