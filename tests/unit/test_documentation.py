"""What the documents say is generated or checked, so that it stays true."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from Departments import cli
from Departments.commands import command_failures
from Departments.commands.run import HELP
from Departments.constraints.limits import Limits, load_limits
from Departments.core.errors import EXIT_CODES, DepartmentsError
from Departments.core.reasons import ReasonCode
from Departments.core.settings import Section, Settings, load_settings
from Departments.Executive.reporting import document
from scripts import dev
from scripts.write_docs import PAGES

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_the_one_that_the_script_writes(name: str) -> None:
    assert read(f"docs/{name}") == PAGES[name]()


def test_the_page_of_codes_names_every_code_once_and_constraints_with_their_keys() -> None:
    lines = [line for line in PAGES["codes.md"]().splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in lines) == sorted(code.value for code in ReasonCode)
    floor = next(line for line in lines if "`MIN_POSITION_VALUE`" in line)
    assert "| BUY | plan, review, trade | plan | position_limits |" in floor
    keys = ("position_limits.min_position_value", "position_limits.min_position_pct", "deployment.price_buffer_pct")
    assert floor.endswith(f"| {', '.join(f'`{key}`' for key in keys)} |")


WRITTEN = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in WRITTEN))
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", read(page))
    assert [to for to in linked if not (ROOT / page).parent.joinpath(to).exists()] == []


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_readme_lists_every_command(command: str) -> None:
    assert re.search(rf"`(departments )?{command}\b", read("README.md"))


def keys(section: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            found |= keys(inner, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def documented(path: Path) -> set[str]:
    """Return the full paths of all keys in a shipped file, those that a comment only proposes included."""
    text = re.sub(r"^( +)# (\w+: \S+ +#)", r"\1\2", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(paths(yaml.safe_load(text)))


def paths(value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from paths(inner, f"{prefix}{key}.")
        else:
            yield prefix + key


@pytest.mark.parametrize(("name", "model"), [("settings.yaml", Settings), ("hard_constraints.yaml", Limits)])
def test_the_shipped_file_documents_every_key_and_no_other(name: str, model: type[Section]) -> None:
    assert documented(CONFIG / name) == keys(model)


def test_the_shipped_files_show_the_defaults() -> None:
    assert load_settings(CONFIG / "settings.yaml") == Settings()
    assert load_limits(CONFIG / "hard_constraints.yaml") == Limits()


def test_make_and_the_pages_know_what_the_development_script_does() -> None:
    names = {*dev.COMMANDS, "bench"}
    assert set(re.findall(r"\w+", read("Makefile").partition(".PHONY:")[2].partition("\n")[0])) == names
    assert set(re.findall(r"^python scripts/dev.py (\w+) ", dev.__doc__ or "", re.MULTILINE)) == names
    assert set(re.findall(r"^make (\w+) ", read("CONTRIBUTING.md"), re.MULTILINE)) | {"run"} == names
    assert {"run", "test"} == set(re.findall(r"\| `make (\w+)` \|", read("README.md")))


# --- exit codes ---


def errors(kind: type[DepartmentsError] = DepartmentsError) -> Iterator[type[DepartmentsError]]:
    yield kind
    for more in kind.__subclasses__():
        yield from errors(more)


def test_the_table_of_exit_codes_in_the_readme_is_the_one_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", read("README.md"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES
    assert len(rows) == len(EXIT_CODES)


def test_the_help_of_run_tells_every_exit_code() -> None:
    assert [code for code, meaning in EXIT_CODES.items() if f"{code} {meaning}" not in HELP] == []


def test_the_table_lists_exactly_the_exit_codes_of_the_code() -> None:
    of_errors = {kind.exit_code for kind in errors() if kind.__module__.startswith("Departments.")}
    of_commands = {command_failures.UNEXPECTED, command_failures.INTERRUPTED}
    assert of_errors | of_commands | set(document.EXIT_CODES.values()) == set(EXIT_CODES)


def test_the_tree_of_errors_tells_the_exit_code_of_each() -> None:
    drawn = dict(re.findall(r"^[│├└─ ]*(\w+) +(\d+) ", errors_page(), re.MULTILINE))
    told = {kind.__name__: str(kind.exit_code) for kind in errors() if kind.__name__ in drawn}
    assert told == drawn


def errors_page() -> str:
    return (ROOT / "Departments" / "core" / "errors.py").read_text(encoding="utf-8")
