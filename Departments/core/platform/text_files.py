"""The one way to read YAML and JSON files of people. An error names file, place and mend."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from Departments.core.documents import parse_json
from Departments.core.errors import BadInput, FileInUse
from Departments.core.platform import files
from Departments.core.syntax import describe_yaml

TOO_DEEP = "is nested too deeply"


class _OurError(yaml.MarkedYAMLError):
    """A fault that the strict loader found, in our words."""


class _StrictLoader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML without duplicate keys or impossible values such as 2025-02-30."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - the library's signature
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # the library passes these on
            problem = f"{str(node.value)[:40]!r} is not a valid {node.tag.rpartition(':')[2]}"
            raise _OurError(None, None, problem, node.start_mark) from error


def _mapping_without_duplicates(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    known = [key for key in keys if isinstance(key, Hashable)]  # the library refuses the others
    if len(set(known)) < len(known):
        twice = next(k for i, k in enumerate(known) if k in known[:i])
        raise _OurError(None, None, f"the key {twice!r} appears twice", node.start_mark)
    return dict(loader.construct_mapping(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_text(path: Path) -> str:
    """Read a text file of a person (UTF-8, with or without BOM). Raises BadInput, FileInUse."""
    try:
        return files.read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError as error:
        raise BadInput(path, "", "there is no such file", "create it or name another") from error
    except UnicodeDecodeError as error:
        raise BadInput(path, f"byte {error.start}", "is not UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        if files.is_in_use(error):
            raise FileInUse(path) from error
        problem = f"cannot be read ({files.describe(error)})"
        raise BadInput(path, "", problem, "check the path and its rights") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of one mapping. An empty file is an empty mapping. Raises BadInput."""
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """Read the text of a YAML file of one mapping; errors name the file `path`. Raises BadInput."""
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        raise BadInput(path, place, *_problem_and_mend(error)) from error
    except RecursionError as error:
        raise BadInput(path, "", TOO_DEEP, "write it flatter") from error
    return _mapping(data, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of one object, its numbers as Decimal. Raises BadInput."""
    try:
        data = parse_json(read_text(path))
    except ValueError as error:
        raise BadInput(path, "", f"is not JSON ({error})", "correct it there") from error
    except RecursionError as error:
        raise BadInput(path, "", TOO_DEEP, "write it flatter") from error
    return _mapping(data, path)


def read_document(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file, by its ending. Raises BadInput."""
    return read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)


def _problem_and_mend(error: yaml.YAMLError) -> tuple[str, str]:
    words = str(getattr(error, "problem", None) or error)
    return (words, "correct it there") if isinstance(error, _OurError) else describe_yaml(words)


def _mapping(data: Any, path: Path) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BadInput(path, "", "must hold keys and values", "write `key: value` on each line")
    return data


def config_file(workspace: Path, name: str) -> Path:
    """Return the path of a workspace's configuration file: in `config/`, else in the older `Config/`."""
    ours, theirs = (workspace / folder / name for folder in ("config", "Config"))
    return theirs if theirs.exists() and not ours.exists() else ours
