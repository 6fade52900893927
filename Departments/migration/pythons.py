"""The Python that runs a project: which one it is, and which of our requirements it lacks."""

from __future__ import annotations

import json
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from Departments.core.platform import files
from Departments.core.platform.processes import run_program

#: Where projects keep their Python.
PLACES: Final = ("venv", ".venv", "env")
NAMES: Final = ("Scripts/python.exe", "bin/python")
OLDEST: Final = (3, 11)
PACKAGE_NAME: Final = "departments"
SOURCE: Final = Path(__file__).resolve().parents[2]  # of a clone
TIMEOUT: Final = 60  # seconds; a Python on a slow disk starts slowly
_ASK: Final = """
import json, sys
from importlib import metadata
names = [(d.metadata["Name"], d.version) for d in metadata.distributions()]
found = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in names if name}
print(json.dumps({"version": list(sys.version_info[:3]), "packages": found}))
"""


@dataclass(frozen=True, slots=True)
class ProjectPython:
    """The Python of a project. `missing` are requirements; `moved` what is installed in another version, and its need.

    `problem` says why it could not be asked. `has_ours` is True where our package is installed: of modules of the same
    name ours win then, whatever a project's folder holds.
    """

    path: Path
    version: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    has_ours: bool = False

    @property
    def removal(self) -> str:
        """Return the command that takes our installed package away; empty where there is none."""
        return f'"{self.path}" -m pip uninstall {PACKAGE_NAME}' if self.has_ours else ""

    @property
    def is_too_old(self) -> bool:
        """Return True if our code does not run on it."""
        return bool(self.version) and self.version < OLDEST

    @property
    def pip_line(self) -> str:
        """Return the command that installs what is missing; empty if nothing is."""
        wanted = " ".join(f'"{each}"' for each in (*self.missing, *(needed for _, needed in self.moved)))
        return f'"{self.path}" -m pip install {wanted}' if wanted else ""


def find_python(project: Path) -> ProjectPython:
    """Find a project's Python, else this one, and ask it for its packages."""
    places = (project / place / name for place in PLACES for name in NAMES)
    path = next((place for place in places if place.exists()), Path(sys.executable))
    try:
        done = run_program([str(path), "-I", "-c", _ASK], project, TIMEOUT)
        answer = json.loads(done.output)
    except (OSError, ValueError) as error:
        problem = files.describe(error) if isinstance(error, OSError) else "its answer is no JSON"
        return ProjectPython(path, problem=f"cannot be asked for its packages ({problem})")
    missing, moved = _compare(answer["packages"], list_requirements())
    has_ours = PACKAGE_NAME in answer["packages"]
    return ProjectPython(path, tuple(answer["version"]), missing, moved, has_ours=has_ours)


def _compare(installed: dict[str, str], wanted: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    missing, moved = [], []
    for text in wanted:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        plain = f"{requirement.name}{requirement.specifier}"
        version = installed.get(spell_package(requirement.name))
        if version is None:
            missing.append(plain)
        elif not _fits(requirement, version):
            moved.append((f"{requirement.name} {version}", plain))
    return tuple(missing), tuple(moved)


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def list_requirements(folder: Path = SOURCE) -> list[str]:
    """Return what our code needs, by its source in a folder or the installed package; empty where neither is known."""
    with suppress(
        OSError, ValueError, AttributeError
    ):  # beside a copy of our code in a project is that project's own file, if any
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8-sig")).get("project", {})
        if project.get("name") == PACKAGE_NAME:
            return list(project["dependencies"])
    try:
        found = metadata.requires(PACKAGE_NAME) or []
    except metadata.PackageNotFoundError:
        return []
    return [text for text in found if "extra ==" not in text]


def spell_package(name: str) -> str:
    """Return the one spelling of a package's name: dots and underscores are dashes (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")


def find_lacking() -> list[str]:
    """Return the requirements that the running Python lacks, or has in another version."""
    installed = {
        spell_package(name): found.version for found in metadata.distributions() if (name := found.metadata["Name"])
    }
    missing, moved = _compare(installed, list_requirements())
    return [*missing, *(needed for _, needed in moved)]
