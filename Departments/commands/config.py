"""`departments config`: every setting and limit in force, where it comes from, and a way to change one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import BaseModel
from rich import box
from rich.table import Table

from Departments.bootstrap import LEDGER_FILE
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, use_desk
from Departments.commands.log_lines import note_change
from Departments.commands.options import AnyFolder, AsJson, Workspace, check_workspace
from Departments.constraints.limits import Limits, limits_file, raise_for_contradictions
from Departments.constraints.table import CONSTRAINTS, READ_ELSEWHERE
from Departments.core.documents import as_json as to_json
from Departments.core.errors import BadInput
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.edited_yaml import set_in_yaml
from Departments.core.platform.places import find_state, locate, place_state
from Departments.core.platform.text_files import config_file, parse_yaml, read_text, read_yaml
from Departments.core.settings import Settings
from Departments.core.validation import validate
from Departments.settings_file import check_settings

HELP: Final = """Show the limits in force and the source of each; with `--origin` every setting too, and what reads it.

Beside `hard_constraints.yaml` a `compliance_config.yaml` counts where it is there; of two limits the stricter binds.
`departments config set KEY VALUE` changes one value. With `--json`: `{"limits": [{"key", "value", "from", "read_by"}],
"settings": [{"key", "value", "from", "read_by"}], "fingerprint"}`.
"""
SET_HELP: Final = """Change one setting or limit, such as `config set deployment.target_pct 0.85`.

The whole file is checked with the new value before anything is written; comments and order stay. VALUE is YAML: a
number, a word, null, or [A, B]. With `--json`: `{"file", "key", "before", "value"}`.
"""
AnyFile = TypeVar("AnyFile", bound=Settings | Limits)
#: What reads each section of the settings.
READERS: Final[Mapping[str, str]] = {
    "approve": "the Executive, before an execution",
    "wait_for_open": "departments run",
    "approval": "the Executive's rule of approvers",
    "files": "every writer of files",
    "state_dir": "ledger, simulated exchange and mutexes",
    "accounts": "reconciliation with the account",
    "broker": "the broker that is opened",
    "phases": "the Executive's phases",
    "exits": "Trading: exits of BUYs, PROTECT",
    "prices": "Trading and the BUY phase: quotes",
    "ledger": "the ledger's locks",
    "messaging": "the message bus",
    "messages": "the admission of messages",
    "operations": "Operations' morning: hooks and proposals",
    "trading": "Trading: the proof of instructions",
    "retention": "departments archive",
    "report": "the report's page",
    "regime": "Regime detection",
    "schedule": "status, doctor and overdue",
    "notify": "notices to people",
}


def config(
    context: typer.Context,
    workspace: AnyFolder = Path(),
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Every setting and limit, and what reads each.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show settings and limits."""
    if context.invoked_subcommand is not None:
        return 0
    check_workspace(workspace)
    with use_desk(workspace) as desk:
        settings, limits = desk.settings, desk.limits
        folder = desk.workspace
    path = limits_file(folder)
    limit_rows = list(list_limits(limits, f"{path.parent.name}/{path.name}"))
    setting_rows = list(list_settings(settings, config_file(folder, "settings.yaml")))
    if as_json:
        print_json({"limits": limit_rows, "settings": setting_rows, "fingerprint": limits.fingerprint})
    elif origin:
        _show("Setting", setting_rows, with_readers=True)
        _show("Limit", limit_rows, with_readers=True)
    else:
        _show("Limit", limit_rows, with_readers=False)
    return 0


def _show(title: str, rows: list[dict[str, Any]], *, with_readers: bool) -> None:
    table = Table(box=box.SIMPLE)
    for name in (title, "Value", "From", *(("Read by",) if with_readers else ())):
        table.add_column(name, overflow="fold")
    for row in rows:
        readers = (row["read_by"],) if with_readers else ()
        table.add_row(*map(escape_text, (row["key"], write_value(row["value"]), row["from"], *readers)))
    open_console().print(table)


def list_limits(limits: Limits, own: str) -> Iterator[dict[str, Any]]:
    """Yield key, value, file and readers of every limit. `own` is the name of the limits' own file."""
    values = to_json(limits.model_dump(), "limits")
    for group, keys in values.items():
        for name, value in keys.items() if isinstance(keys, Mapping) else ():
            key = f"{group}.{name}"
            yield {"key": key, "value": value, "from": limits.origins.get(key, own), "read_by": _find_readers(key)}


def _find_readers(key: str) -> str:
    codes = ", ".join(row.code for row in CONSTRAINTS if key in row.keys)
    return codes or READ_ELSEWHERE.get(key, "") or READ_ELSEWHERE.get(key.partition(".")[0], "the constraints' amounts")


def list_settings(settings: Settings, path: Path) -> Iterator[dict[str, Any]]:
    """Yield key, value, source and reader of every setting; the source is the file, or `default`."""
    written = read_yaml(path) if path.exists() else {}
    for key, value in _flatten(settings.model_dump(mode="json"), settings):
        source = f"{path.parent.name}/{path.name}" if _is_written(written, key) else "default"
        yield {"key": key, "value": value, "from": source, "read_by": READERS[key.partition(".")[0]]}


def _flatten(values: Mapping[str, Any], model: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of every field; a mapping of a user's own keys is one value."""
    for name, value in values.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            yield from _flatten(value, inner, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _is_written(written: Any, key: str) -> bool:
    for name in key.split("."):
        if not isinstance(written, Mapping) or name not in written:
            return False
        written = written[name]
    return True


def write_value(value: Any) -> str:
    """Write the value of a setting or a limit for people."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


# --- config set ---


def set_(
    key: Annotated[str, typer.Argument(help="The key, such as broker.name or deployment.target_pct.")],
    value: Annotated[str, typer.Argument(help="The new value, in YAML.")],
    workspace: Workspace = Path(),
    *,
    as_json: AsJson = False,
) -> int:
    """Change a value."""
    path, before = set_value(locate(workspace), key, value)
    note_change(workspace, "config set", key)  # not the value: it may be an address with a password
    if as_json:
        print_json({"file": str(path), "key": key, "before": before, "value": value})
    else:
        open_console().print(
            escape_text(f"{path}: {key} is {value} now (it was {write_value(before)})."), soft_wrap=True
        )
    return 0


def set_value(workspace: Path, key: str, value: str) -> tuple[Path, Any]:
    """Write a value into the file of its key, after checking the whole file. Returns the file and the value before.

    Raises BadInput for an unknown key and for a value that the file may not have; nothing is written then.
    """
    model = _find_model(key)
    path = config_file(workspace, "settings.yaml" if model is Settings else "hard_constraints.yaml")
    text = read_text(path) if path.exists() else ""
    before = _look_up(parse_yaml(text, path), key)
    changed = set_in_yaml(text, key, value)
    checked = check_text(model, changed, path, workspace)
    if isinstance(checked, Settings):
        _refuse_leaving_the_ledger(workspace, checked, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, changed)
    return path, before


def check_text(model: type[AnyFile], text: str, path: Path, workspace: Path) -> AnyFile:
    """Read the text of a file of settings or limits as a command would. Raises BadInput."""
    checked = validate(model, parse_yaml(text, path), path)
    if isinstance(checked, Limits):
        raise_for_contradictions(checked, path)
    elif isinstance(checked, Settings):
        check_settings(checked, path, workspace)
    return checked


def _refuse_leaving_the_ledger(workspace: Path, checked: Settings, path: Path) -> None:
    """Raise BadInput for a new state folder while the ledger is in the old one: a new ledger would know nothing."""
    old, new = find_state(workspace), place_state(workspace, checked.state_dir)
    left = [name for name in (LEDGER_FILE, EXCHANGE_FILE) if (old / name).exists() and not (new / name).exists()]
    if old != new and left:
        files = ", ".join(sorted(each.name for name in left for each in old.glob(f"{name}*")))
        problem = f"{left[0]} is in {old}, and {new} has none"
        raise BadInput(path, "state_dir", problem, f"move {files} there first, while nothing runs")


def _find_model(key: str) -> type[Settings | Limits]:
    known = {name: model for model in (Settings, Limits) for name in _list_keys(model)}
    found = next((known[name] for name in known if key == name or key.startswith(f"{name}.")), None)
    if found is not None and key not in {name.partition(".")[0] for name in known if "." in name}:
        return found
    similar = get_close_matches(key, known, n=1) or [name for name in known if name.endswith(f".{key}")][:1]
    mend = f"did you mean {similar[0]}?" if similar else "see departments config --origin"
    raise BadInput("config set", key, "is not a key of settings or limits", mend)


def _list_keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _list_keys(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _look_up(document: Any, key: str) -> Any:
    for name in key.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def register(app: typer.Typer) -> None:
    """Add the group `config`."""
    group = typer.Typer(invoke_without_command=True, help=HELP)
    group.callback(help=HELP)(config)
    group.command("set", help=SET_HELP, context_settings={"ignore_unknown_options": True})(set_)  # -1 is a value
    app.add_typer(group, name="config")
