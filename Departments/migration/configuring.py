"""What a migration writes into a project's configuration: settings with its hooks, limits with a ramp.

A file that is there is a person's: settings stay as they are, and limits get the ramp alone, at their end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from Departments.constraints.limits import limits_file
from Departments.core.errors import BadInput
from Departments.core.platform.places import find_state
from Departments.core.platform.text_files import parse_yaml, read_yaml
from Departments.migration.project_hooks import HookKeys, find_hooks, find_optimiser
from Departments.migration.survey import PACKAGE, Survey

#: The trading days over which a migrated project goes to its target.
RAMP_DAYS: Final = 5
LIMITS, SETTINGS = "hard_constraints.yaml", "settings.yaml"
_HEAD: Final = """# Written by `departments migrate` on {day}. What is not here has its default;
# docs/migration.md says what is different from the system before.
"""
_STATE: Final = """
state_dir: "."              # the project's scripts open sentinel.db here
"""
_BROKER: Final = """
broker:
  name: alpaca              # the keys in {source} are those of a paper account
"""
_WHAT: Final = {
    "briefing": "the project's Research makes the day's briefing",
    "enrich": "its News adds scores to the briefing",
    "propose": "its optimiser proposes; take the # away to switch it on",
}
_RAMP: Final = """
# Written by `departments migrate`: the way to the target takes {count} trading days from the first execution on.
deployment:
  ramp_days: {count}
  ramp_from: {day}
"""


def config_folder(root: Path) -> str:
    """Return the folder of the configuration as the project spells it: that of its limits, else the one there is."""
    if limits_file(root).exists():
        return limits_file(root).parent.name
    names = {path.name for path in root.iterdir() if path.is_dir() and path.name.lower() == "config"}
    return names.pop() if names and "config" not in names else "config"


def settings_name(root: Path) -> str:
    """Return the path of the settings in a project."""
    return f"{config_folder(root)}/{SETTINGS}"


def limits_name(root: Path) -> str:
    """Return the path of the limits in a project."""
    return f"{config_folder(root)}/{LIMITS}"


def write_settings(survey: Survey, day: date) -> bytes:
    """Return the settings of a project: its broker by the keys, its departments as hooks."""
    access = survey.access
    text = _HEAD.format(day=day)
    is_elsewhere = survey.ledger_path.parent == survey.root != find_state(survey.root)
    text += _STATE if is_elsewhere else ""
    text += _BROKER.format(source=Path(access.source).name) if access.kind == "paper" else ""
    hooks, optimiser = find_hooks(survey.root), find_optimiser(survey.root)
    lines = [line for name, keys in hooks.items() for line in _write_hook(name, keys)]
    if optimiser is not None:
        lines += [f"  #{line[2:]}" for line in _write_hook("propose", optimiser)]
    head = "operations:" if hooks else "#operations:"  # a section of comments alone would be none
    return (text + "\n".join(["", head, *lines, ""] if lines else [])).encode()


def _write_hook(name: str, keys: HookKeys) -> Iterator[str]:
    yield f"  {name + ':':<24}# {_WHAT[name]}"
    for key, value in keys.items():
        yield f"    {key}: {json.dumps(value, ensure_ascii=False)}"


def write_limits(root: Path, day: date | None) -> bytes | None:
    """Return the limits as they should be: the default ones where there are none, with a ramp from `day` on.

    None means that the file stays as it is. One with goals of its own, or that cannot be read, gets no ramp.
    """
    path = limits_file(root)
    if not path.exists():
        text = find_default(LIMITS).read_text(encoding="utf-8")
        for key, value in {"ramp_days: 0": f"ramp_days: {RAMP_DAYS}", "ramp_from: null": f"ramp_from: {day}"}.items():
            text = text.replace(key, value) if day is not None else text
        return text.encode()
    return None if day is None else _add_ramp(path, day)


def may_ramp(root: Path) -> bool:
    """Return True for a project whose limits say nothing of the way to the target."""
    return not limits_file(root).exists() or _add_ramp(limits_file(root), date.min) is not None


def _add_ramp(path: Path, day: date) -> bytes | None:
    """Return a limits file with the ramp at its end, or None if it cannot be read so: a key twice is an error."""
    before = path.read_bytes()
    line_end = b"\r\n" if b"\r\n" in before else b"\n"
    added = _RAMP.format(count=RAMP_DAYS, day=day.isoformat()).encode().replace(b"\n", line_end)
    after = before + (b"" if before.endswith(b"\n") else line_end) + added
    try:
        was, became = read_yaml(path), parse_yaml(after.decode("utf-8-sig"), path)
    except (BadInput, UnicodeDecodeError):
        return None
    ramp = {"deployment": {"ramp_days": RAMP_DAYS, "ramp_from": day}}
    return after if became == {**was, **ramp} else None


def find_default(name: str) -> Path:
    """Return the path of a configuration file as it is shipped."""
    inside = PACKAGE / "default_config"
    return (inside if inside.is_dir() else PACKAGE.parent / "config") / name
