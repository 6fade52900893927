"""`departments serve` as a process: its links, its key, its end."""

from __future__ import annotations

import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from Departments.commands.serving import KEY_FILE
from Departments.core.platform import system
from tests.builders.commands import AT, say
from tests.builders.pages import Page

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"
LINK = re.compile(r"(http\S+)/enter/(\S+)")


@pytest.fixture
def folder(planned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned, tmp_path / "ws"))


@contextmanager
def serve(folder: Path, *more: str) -> Iterator[list[tuple[str, str]]]:
    """Run the command on a free port; yield (address, token) of each link that it names."""
    command = [
        sys.executable,
        "-m",
        "Departments",
        "serve",
        "--workspace",
        str(folder),
        "--at",
        AT,
        "--port",
        "0",
        *more,
    ]
    links = 1 + ("--link" in more)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        try:
            lines = [server.stdout.readline() for _ in range(links)]
            found = [LINK.search(line) for line in lines]
            assert all(found), server.stderr.read() if server.stderr else ""
            yield [(match[1], match[2]) for match in found if match]
        finally:
            server.terminate()
            server.communicate(timeout=20)


def test_a_server_names_links_that_open_it_and_others_are_made_beside_it(folder: Path, capsys: Capture) -> None:
    with serve(folder, "--link", NAME) as links:
        (address, everything), (_, one_plan) = links
        key = folder / KEY_FILE
        assert system.WINDOWS or stat.S_IMODE(key.stat().st_mode) == 0o600
        for token, path in ((everything, "/"), (one_plan, f"/plans/{NAME}")):
            answer = httpx2.post(f"{address}/enter", data={"token": token}, follow_redirects=True)
            assert answer.status_code == 200
            assert str(answer.url) == f"{address}{path}"
            assert "ALKS" in answer.text or "Today" in Page(answer.text).text
        said = say(
            capsys, "serve", "--workspace", folder, "--at", AT, "--link", NAME, "--public-url", "https://d.example/x"
        )
        assert said.code == 0
        match = LINK.search(said.out)
        assert match is not None
        assert match[1] == "https://d.example"
        assert httpx2.get(f"{address}/enter/{match[2]}").status_code == 200
        again = say(capsys, "serve", "--workspace", folder, "--at", AT)
        assert (again.code, "is served here already" in again.err) == (3, True)


def test_a_port_in_use_and_odd_input_are_one_sentence(folder: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (("--port", port), "cannot be listened on"),
            (("--link", "PLAN_X"), "there is no plan PLAN_X"),
            (("--public-url", "desk.example"), "is no address"),
        ):
            said = say(capsys, "serve", "--workspace", folder, "--at", AT, *arguments)
            assert said.code == 2
            assert words in said.sentences[-1]
    assert not (folder / KEY_FILE).exists()


def test_without_the_extra_the_sentence_says_what_to_install(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    said = say(capsys, "serve", "--workspace", folder, "--at", AT, "--port", "0")
    assert said.code == 2
    assert 'pip install "departments[web]"' in said.sentences[-1]
