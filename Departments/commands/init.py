"""`departments init`: make a folder a workspace, with settings, limits, examples and a schedule."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import time
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from Departments.bootstrap import MESSAGES
from Departments.brokers.registry import name_of_paper
from Departments.commands.config import check_text, write_value
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.demo import find_config
from Departments.commands.frame import print_json
from Departments.commands.log_lines import note_change
from Departments.commands.options import AsJson
from Departments.commands.schedules import overdue_job, run_job, write_schedule
from Departments.core.departments import ALL, OURS
from Departments.core.errors import BadInput
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.edited_yaml import set_in_yaml
from Departments.core.platform.places import locate
from Departments.core.platform.rights import PRIVATE, make_folder
from Departments.core.platform.text_files import config_file, read_text
from Departments.core.readers import read_time_of_day
from Departments.core.settings import Settings
from Departments.settings_file import read_settings

HELP: Final = """Make a folder a workspace: config/, message folders, an example account and briefing, .gitignore.

On a terminal it asks what no option says. Nothing that is there is overwritten: settings and schedules
that say something else are named, with the mend. `--schedule` also writes
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
DEFAULTS: Final = {"broker.name": "simulated", "approve": "auto", "schedule.run_at": f'"{TIME}"'}
QUOTES: Final = "\"'"
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
    approve: Annotated[
        Literal["ask", "auto"] | None, typer.Option(help="A person approves, or the desk, as by default.")
    ] = None,
    schedule: Annotated[Kind | None, typer.Option(help="Write a schedule, too.")] = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Make a workspace."""
    made = Scaffold(locate(folder))
    if made.is_new and sys.stdin.isatty() and not as_json:
        broker, briefing, run_at = _ask(broker, briefing, run_at)
    times = _read_time("--run-at", run_at), _read_time("--overdue-by", overdue_by)
    given = {
        "broker.name": broker and (name_of_paper() if broker == "paper" else "simulated"),
        "approve": approve,
        "schedule.run_at": run_at and f'"{run_at}"',
        "schedule.overdue_by": overdue_by and f'"{overdue_by}"',
        "operations.briefing.command": briefing and f"'{_double(briefing)}'",
    }
    made.prepare({key: value for key, value in given.items() if value})
    install = made.prepare_schedule(schedule, *times) if schedule else ""
    made.write()
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
    """A workspace that is being made: texts by their names, then what was written, and what was there already."""

    def __init__(self, root: Path) -> None:
        if root.exists() and not root.is_dir():
            raise BadInput(root, "", "is a file", "name a folder")
        self.root = root
        self.written: list[str] = []
        self.kept: list[str] = []
        self._texts: dict[str, str] = {}
        self._settings = config_file(root, "settings.yaml")
        self.is_new = not self._settings.exists()

    def prepare(self, given: Mapping[str, str]) -> None:
        """Prepare configuration and examples. `given` are settings, as YAML. Raises BadInput for a wrong one.

        Settings that are there are not changed, so they have to be what is given.
        """
        source = find_config()
        demo = next((source / "demo" / MESSAGES / "Inbox" / "OPERATIONS").glob("*.md"))
        settings = read_text(source / "settings.yaml" if self.is_new else self._settings)
        changed = settings
        for key, value in ({**DEFAULTS, **given} if self.is_new else given).items():
            changed = set_in_yaml(changed, key, value)
        checked = check_text(Settings, changed, self._settings, self.root)
        if not self.is_new:
            self._refuse_others(given, checked)
        limits = read_text(source / "hard_constraints.yaml")
        account = read_text(source / "demo" / "exchange_state.yaml")
        self._texts |= {LIMITS: limits, SETTINGS: changed, ACCOUNT: account, BRIEFING: read_text(demo)}
        self._texts[".gitignore"] = IGNORED
        self._schedule = checked.schedule

    def _refuse_others(self, given: Mapping[str, str], wanted: Settings) -> None:
        there = read_settings(self.root)
        for key, value in given.items():
            find = attrgetter(key)
            if find(there) != find(wanted):
                problem = f"is {write_value(find(there))} there, not {write_value(find(wanted))}"
                mend = f"change it: departments config set {key} {value.strip(QUOTES)}"
                raise BadInput(self._settings, key, problem, mend)

    def prepare_schedule(self, kind: str, run_at: time | None, overdue_by: time | None) -> str:
        """Prepare the files of a schedule, and return the command that installs them.

        A time that is None is the settings' own; without an overdue time there is no job for it. Raises BadInput for
        another schedule that is there.
        """
        overdue_by = overdue_by or self._schedule.overdue_by
        jobs = [run_job(run_at or self._schedule.run_at or time.fromisoformat(TIME))]
        jobs += [overdue_job(overdue_by)] if overdue_by else []
        files = dict(write_schedule(kind, Path(sys.executable), self.root, jobs))
        install = files.pop("")
        folder = self.root / "config" / "schedule"
        others = [name for name, text in files.items() if (folder / name).exists() and read_text(folder / name) != text]
        if others:
            problem = f"holds another schedule ({', '.join(others)})"
            raise BadInput(folder, "", problem, "delete these files, then give the same command again")
        self._texts |= {f"config/schedule/{name}": text for name, text in files.items()}
        return install

    def write(self) -> None:
        """Write what was prepared and is not there, and make the folders of messages."""
        for name, text in self._texts.items():
            self._write(name, text)
        for box, departments in (("Inbox", OURS), ("Outbox", ALL), ("Archive", ()), ("Dead_Letter", ())):
            for department in departments or ("",):
                make_folder(self.root / MESSAGES / box / department, PRIVATE)
        if self.written:
            note_change(self.root, "init", f"wrote {', '.join(self.written)}")

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        if path.exists() or (name.startswith("config/") and config_file(self.root, path.name).exists()):
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
