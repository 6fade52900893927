"""`departments config`: the limits in force, and the file that each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.table import Table

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json, use_desk
from Departments.commands.options import AsJson, Workspace
from Departments.constraints.limits import Limits, limits_file
from Departments.core.documents import as_json

HELP = """Show the limits in force and the source of each.

Beside `hard_constraints.yaml` a `compliance_config.yaml` counts where it is there; of two limits the stricter binds.
With `--json`: `{"limits": [{"key", "value", "from"}], "fingerprint"}`.
"""


def config(workspace: Workspace = Path(), *, as_json: AsJson = False) -> int:
    """Show the limits."""
    with use_desk(workspace) as desk:
        _ = desk.settings  # a fault there is named, too
        limits = desk.limits
        path = limits_file(desk.workspace)
        rows = list(list_limits(limits, f"{path.parent.name}/{path.name}"))
    if as_json:
        print_json({"limits": rows, "fingerprint": limits.fingerprint})
        return 0
    table = Table(box=box.SIMPLE)
    for name in ("Limit", "Value", "From"):
        table.add_column(name)
    for row in rows:
        table.add_row(row["key"], escape_text(write_value(row["value"])), escape_text(row["from"]))
    open_console().print(table)
    return 0


def list_limits(limits: Limits, own: str) -> Iterator[dict[str, Any]]:
    """Yield key, value and file of every limit. `own` is the name of the limits' own file."""
    values = as_json(limits.model_dump(), "limits")
    for group, keys in values.items():
        for name, value in keys.items() if isinstance(keys, Mapping) else ():
            key = f"{group}.{name}"
            yield {"key": key, "value": value, "from": limits.origins.get(key, own)}


def write_value(value: Any) -> str:
    """Write the value of a limit for people."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def register(app: typer.Typer) -> None:
    """Add `config`."""
    app.command("config", help=HELP)(config)
