"""What the documents say is generated or checked, so that it stays true."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from Departments.cli import application
from Departments.constraints.codes import codes_table
from Departments.core.settings import Section, Settings

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_table_of_reason_codes_is_the_generated_one() -> None:
    between = re.search(r"<!-- codes: .*? -->\n(.*)<!-- end of codes -->", read("ARCHITECTURE.md"), re.DOTALL)
    assert between is not None
    assert between.group(1).strip() == codes_table().strip()


def commands() -> list[str]:
    return sorted(get_command(application()).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", commands())
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert re.search(rf"`(departments )?{command}\b", read("README.md"))


def keys(section: type[Section], prefix: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            found += keys(inner, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


@pytest.mark.parametrize("key", keys(Settings))
def test_every_setting_is_explained_in_the_shipped_file(key: str) -> None:
    assert re.search(rf"^\s*#?\s*{key.rpartition('.')[2]}:", read("config/settings.yaml"), re.MULTILINE)


def test_the_two_commands_of_the_readme_are_the_ones_make_knows() -> None:
    targets = read("Makefile")
    for name in ("run", "test", "check", "bench", "soak"):
        assert re.search(rf"^\.PHONY:.*\b{name}\b", targets, re.MULTILINE)
    assert "`make run`" in read("README.md")
    assert "`make test`" in read("README.md")
