"""Calls a function or method of a user's module, in a process of its own: `operations.<hook>.module` in the settings.

    python hook_runner.py {"call": "package.module:Class.method", "arguments": {…}, "input": FILE, "output": FILE}

It is run as a program, in the user's folder, and imports nothing of ours: the folder's own packages come first. What
the user's code prints goes to standard output, and what it returns into the file, as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def call(spec: dict[str, Any]) -> Any:
    """Import, construct and call what a specification names. Its input, if there is any, is the only argument."""
    module_name, _, path = spec["call"].partition(":")
    target: Any = importlib.import_module(module_name)
    *owners, name = path.split(".")
    for owner in owners:
        target = getattr(target, owner)
    if isinstance(target, type):
        target = target(**spec["arguments"])
        return getattr(target, name)(*_read_input(spec))
    return getattr(target, name)(*_read_input(spec), **spec["arguments"])


def _read_input(spec: dict[str, Any]) -> list[Any]:
    file = spec.get("input")
    return [json.loads(Path(file).read_text(encoding="utf-8"))] if file else []


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    given = json.loads(sys.argv[1])
    result = call(given)
    if given.get("output"):
        Path(given["output"]).write_text(json.dumps(result, default=str), encoding="utf-8")
