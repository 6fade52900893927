from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[3] / "Departments" / "exchange" / "README.md"


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_runs_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("account.yaml").write_text(block("yaml"), encoding="utf-8")
    names: dict[str, object] = {}
    exec(compile(block("python"), str(README), "exec"), names)  # noqa: S102 - the project's own page
    names["exchange"].close()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out.strip()
    assert block("python").rstrip().endswith(f"# {printed}")
