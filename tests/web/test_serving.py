"""`departments serve` as a process: its links, its key, its end."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from Departments.commands.frame import show_logs
from Departments.commands.page_address import PageAddress, find_address, read_public_url
from Departments.commands.serving import KEY_FILE
from Departments.core.errors import BadInput
from Departments.core.platform import network, system
from Departments.core.platform.clock import SimulatedClock, SystemClock
from Departments.core.platform.locks import ProcessLock
from Departments.web.sessions import make_link
from tests.builders.commands import AT, say
from tests.builders.desk import MORNING, desk
from tests.builders.pages import Page

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"
PUBLIC = "https://d.example"
ODD_URLS = (
    "desk.example",
    "https://",
    "ftp://d.example",
    "https://d:99999",
    "https://[::1",
    "https://a b",
    "https://u@d.x",
)
LINK = re.compile(r"(http\S+)/enter/(\S+)")


@pytest.fixture
def folder(planned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned, tmp_path / "ws"))


@contextmanager
def serve(folder: Path, *more: str, end: str = "SIGTERM") -> Iterator[list[tuple[str, str]]]:
    """Run the command on a free port and end it by a signal; yield (address, token) of each link that it names."""
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
            server.send_signal(getattr(signal, end, signal.SIGTERM))
            _, said = server.communicate(timeout=20)
    assert "Traceback" not in said
    if not system.WINDOWS:  # there a child cannot be sent these signals
        assert server.returncode == 0, said
        assert not (folder / KEY_FILE).exists()


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
        said = say(capsys, "serve", "--workspace", folder, "--at", AT, "--link", NAME)
        assert said.code == 0
        match = LINK.search(said.out)
        assert match is not None
        assert match[1] == address
        assert httpx2.get(f"{address}/enter/{match[2]}").status_code == 200
        elsewhere = say(capsys, "serve", "--workspace", folder, "--at", AT, "--link", NAME, "--public-url", PUBLIC)
        assert elsewhere.code == 2
        assert f"does not answer for d.example; end it, and start it with --public-url {PUBLIC}" in elsewhere.err
        again = say(capsys, "serve", "--workspace", folder, "--at", AT)
        assert (again.code, "is served here already" in again.err) == (3, True)


def test_a_key_that_a_killed_server_left_makes_no_links_and_goes(folder: Path, capsys: Capture) -> None:
    stale = folder / KEY_FILE
    stale.write_text(f'{{"key": "{"ab" * 32}", "place": "http://127.0.0.1:1", "hosts": []}}', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert say(capsys, "serve", "--workspace", folder, "--at", AT, "--port", port, "--link", NAME).code == 2
    assert not stale.exists()
    stale.write_text(f'{{"key": "{"ab" * 32}"}}', encoding="utf-8")
    with serve(folder, end="SIGINT") as [(address, _)]:
        assert "ab" * 32 not in stale.read_text(encoding="utf-8")
        forged = make_link(bytes.fromhex("ab" * 32), "x@y", SystemClock().now())
        assert httpx2.post(f"{address}/enter", data={"token": forged}).status_code == 403


def test_beside_a_server_that_begins_no_link_is_named(folder: Path, capsys: Capture) -> None:
    with closing(desk(folder)) as opened:
        lock = ProcessLock(opened.mutexes.path("serve"), "busy")
        lock.take()
    said = say(capsys, "serve", "--workspace", folder, "--at", AT, "--link", NAME)
    lock.release()
    assert said.code == 2
    assert "the server here is starting or ending; give it a moment" in said.sentences[-1]


def test_a_port_in_use_and_odd_input_are_one_sentence(folder: Path, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (("--port", port), "cannot be listened on"),
            (("--link", "PLAN_X"), "PLAN_X: there is no such plan"),
            *((("--public-url", odd), "is no address") for odd in ODD_URLS),
        ):
            said = say(capsys, "serve", "--workspace", folder, "--at", AT, *arguments)
            assert said.code == 2
            assert words in said.sentences[-1]
    assert not (folder / KEY_FILE).exists()


def say_address(capsys: Capture, host: str, bound: str, public: str | None = None) -> tuple[PageAddress, str]:
    """Return the address of a page, and what was warned of."""
    show_logs(SimulatedClock(MORNING))
    found = find_address(host, (bound, 8765), read_public_url(public))
    return found, capsys.readouterr().err


def test_on_all_addresses_the_link_is_one_that_a_phone_can_open(capsys: Capture) -> None:
    ours = network.list_addresses()
    for host in ("0.0.0.0", "::"):  # noqa: S104
        found, said = say_address(capsys, host, host)
        outside = urlsplit(found.place).hostname
        assert outside == (ours[0] if ours else "127.0.0.1")
        assert {*ours, "127.0.0.1", network.find_name()} <= found.hosts
        assert host not in found.hosts
        assert "can read it: it is not encrypted" in said
        assert "--public-url" in said
        assert all(each in said for each in ours)


def test_a_name_and_an_address_of_the_machine_are_answered_for(capsys: Capture) -> None:
    found, said = say_address(capsys, "Desk.local", "192.168.7.5")
    assert found.place == "http://192.168.7.5:8765"
    assert {"desk.local", "192.168.7.5"} <= found.hosts
    assert "Others reach the page at http://192.168.7.5:8765" in said
    assert say_address(capsys, "fd00::5", "fd00::5")[0].place == "http://[fd00::5]:8765"
    with pytest.raises(BadInput, match="browsers open no links to fe80::1%eth0; name another --host"):
        say_address(capsys, "fe80::1%eth0", "fe80::1%eth0")


def test_on_loopback_nothing_is_warned_of(capsys: Capture) -> None:
    for host, bound, place in (
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8765"),
        ("localhost", "127.0.0.1", "http://127.0.0.1:8765"),
        ("::1", "::1", "http://[::1]:8765"),
    ):
        found, said = say_address(capsys, host, bound)
        assert (found.place, said) == (place, "")


def test_a_public_url_is_answered_for_and_one_without_encryption_warned_of(capsys: Capture) -> None:
    found, said = say_address(capsys, "127.0.0.1", "127.0.0.1", "https://Bücher.example/x")
    assert (found.place, found.site, said) == ("https://xn--bcher-kva.example", "xn--bcher-kva.example", "")
    assert "xn--bcher-kva.example" in found.hosts
    _, said = say_address(capsys, "127.0.0.1", "127.0.0.1", "http://desk.example:8080")
    assert "desk.example:8080 is not encrypted: links and sessions can be read on their way; use https://" in said
    assert say_address(capsys, "127.0.0.1", "127.0.0.1", "http://localhost:9000")[1] == ""


def test_a_page_answers_for_its_own_hosts_and_ends_with_its_terminal(folder: Path) -> None:
    with serve(folder, "--host", "localhost", end="SIGHUP") as [(address, token)]:
        assert httpx2.get(f"{address}/enter/{token}").status_code == 200
        assert httpx2.get(f"{address}/", headers={"host": "evil.example"}).status_code == 421


def test_without_the_extra_the_sentence_says_what_to_install(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    said = say(capsys, "serve", "--workspace", folder, "--at", AT, "--port", "0")
    assert said.code == 2
    assert 'pip install "departments[web]"' in said.sentences[-1]
