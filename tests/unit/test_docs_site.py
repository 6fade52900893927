"""The pages for people: they build, their links lead somewhere, and what they tell a person to type works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from Departments import cli
from Departments.core.errors import EXIT_CODES
from Departments.core.reasons import ReasonCode
from scripts.reference_pages import DEEDS, EXITS
from tests.builders.commands import say
from tests.builders.desk import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TYPED = re.compile(r"`(?:python -m )?departments ([a-z][a-z-]*)|^departments ([a-z][a-z-]*)", re.MULTILINE)
#: Codes that the desk settles by itself, of the families that otherwise need a person.
BY_ITSELF = {ReasonCode.BROKER_CANCEL_TOO_LATE}


def test_the_site_builds_strictly_with_every_page_in_its_menu(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is in the extra [docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "operations" / "index.html").is_file()


def test_the_menu_has_every_page_once() -> None:
    menu = yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    listed = re.findall(r"[\w/-]+\.md", menu)
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", [page.relative_to(DOCS).as_posix() for page in PAGES])
def test_every_link_and_every_command_of_a_page_exists(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [to for to in linked if not (DOCS / page).parent.joinpath(to).exists()] == []
    assert {first or second for first, second in TYPED.findall(text)} - {
        *cli.COMMANDS,
        "message",
    } == set()  # the first line of a signed text


def test_the_operations_guide_has_every_exit_code_and_every_code_that_needs_a_person() -> None:
    assert set(EXITS) == set(EXIT_CODES)
    names = list(ReasonCode)
    letters = names[names.index(ReasonCode.UNREADABLE) :]
    refusals = [code for code in names if code.startswith("BROKER_")]
    assert {*letters, *refusals} - set(DEEDS) - BY_ITSELF == set()
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert all(f"| `{code}` |" in page for code in DEEDS)


def test_the_first_week_works_as_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if " demo" not in line]
    assert len(lines) >= 9
    monkeypatch.chdir(tmp_path)
    for line in lines:
        if line.startswith("cd "):
            monkeypatch.chdir(line.removeprefix("cd "))
            continue
        said = say(capsys, *line.replace("--approve ask", "--approve auto").split()[1:])
        assert said.code == 0, (line, said.err[-500:])
