"""What a stranger meets who has just installed the package: version, help, completion, types, the small API."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import Departments.api
from Departments import cli
from Departments.api import open_desk
from Departments.core.errors import BadInput
from tests.builders.commands import AT, deliver_briefing, say
from tests.builders.desk import ROOT, workspace

Capture = pytest.CaptureFixture[str]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_shown(capsys: Capture) -> None:
    said = say(capsys, "--version")
    assert (said.code, said.out.strip()) == (0, f"departments {Departments.__version__}")


@pytest.mark.parametrize("words", [[], ["run"], ["exchange"], ["exchange", "price"], ["config", "set"]])
def test_h_is_help(words: list[str], capsys: Capture) -> None:
    short, long = say(capsys, *words, "-h"), say(capsys, *words, "--help")
    assert (short.code, short.out) == (0, long.out)
    assert "Usage: " in short.out


def test_no_flag_has_a_type_in_any_help(capsys: Capture) -> None:
    helps = {name: say(capsys, name, "--help").out for name in cli.COMMANDS}
    assert [name for name, text in helps.items() if "<bool>" in text] == []
    assert all("--help" in text for text in helps.values())


def test_a_shell_completes_commands_and_their_options() -> None:
    for words, wanted in (("departments dead", "dead-letters"), ("departments run --dry", "--dry-run")):
        environ = {"_DEPARTMENTS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        program = "import sys; sys.argv[0] = 'departments'; from Departments.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True,
                              env={"PATH": "", **environ}, cwd=ROOT)  # fmt: skip
        assert done.stdout.split() == [wanted], done.stderr


def test_types_scripts_and_metadata_are_in_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert (ROOT / "Departments" / "py.typed").is_file()
    assert "Typing :: Typed" in project["project"]["classifiers"]
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all((ROOT / source).exists() for source in included)
    assert "no investment advice" in README[:1500]


def test_a_program_opens_a_desk_plans_approves_runs_and_looks(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    say_seed(folder)
    with open_desk(folder, at=AT) as desk:
        made = desk.plan()
        assert made["plan"]["trades"]
        approved = desk.approve(made["plan"]["plan_id"])
        assert approved["status"] == "PLAN_APPROVED"
        ran = desk.run()
        assert (ran["status"], ran["plan_id"]) == ("COMPLETED", made["plan"]["plan_id"])
        assert desk.status()["last_run"]["plan_id"] == ran["plan_id"]


def test_the_example_for_programs_works_as_written(tmp_path: Path, capsys: Capture) -> None:
    (example,) = re.findall(r"```python\n(from Departments\.api .*?)```", README, re.DOTALL)
    assert example in str(Departments.api.__doc__)
    folder = workspace(tmp_path)
    deliver_briefing(folder)
    say_seed(folder)
    exec(example.replace('"C:/Trading"', f"{str(folder)!r}, at={AT!r}"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.splitlines()[-1] == "COMPLETED"


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["approve"], "approve [OPTIONS] PLAN_ID"),
        (["init"], "init [OPTIONS] [DIR]"),
        (["watch"], "watch [OPTIONS] [DEPT...]"),
        (["messages", "verify"], "messages verify [OPTIONS] FILE"),
    ],
)
def test_the_usage_names_arguments_as_the_pages_do(words: list[str], usage: str, capsys: Capture) -> None:
    lines = [line.strip() for line in say(capsys, *words, "-h").out.splitlines()]
    assert any(line.startswith("Usage: ") and line.endswith(f" {usage}") for line in lines)


def test_a_program_that_opens_no_workspace_gets_an_error_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught, open_desk(tmp_path):
        pass
    assert (caught.value.code, caught.value.exit_code) == ("BAD_INPUT", 2)
    assert list(tmp_path.iterdir()) == []


def say_seed(folder: Path) -> None:
    assert (
        cli.run_command(["exchange", "init", str(folder / "state.yaml"), "--workspace", str(folder), "--at", AT]) == 0
    )
