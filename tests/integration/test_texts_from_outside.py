"""What strangers wrote is shown as it stands and commands nobody's terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from Departments.cli import run_command
from tests.fakes.posix import closed, pipe_at

HOSTILE = "# \x1b[31mred\x1b[0m\x07 :100: [bold]b[/bold] \x9b2J"
SHOWN = "# \\x1b[31mred\\x1b[0m\\x07 :100: [bold]b[/bold] \\x9b2J"
HEADER = (
    "---\nmessage_id: MSG_A\nfrom: RISK\nto: TRADING\ntimestamp: 2025-11-10T15:00:00Z\nmessage_type: escalation\n---\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "Messages_Between_Departments"
    (folder / "Inbox" / "TRADING").mkdir(parents=True)
    (folder / "Dead_Letter" / "TRADING").mkdir(parents=True)
    return folder


def command(root: Path, *arguments: str) -> int:
    return run_command([*arguments, "--workspace", str(root.parent)])


def test_a_message_is_shown_line_for_line_and_commands_no_terminal(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_line = "x" * 500 + "\t:x: end"
    (root / "Inbox" / "TRADING" / "MSG_A.md").write_text(f"{HEADER}{HOSTILE}\n{long_line}\n", encoding="utf-8")
    assert command(root, "show", "MSG_A") == 0
    assert f"\n{SHOWN}\n{long_line}\n" in capsys.readouterr().out


def test_tables_and_trees_command_no_terminal(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEADER.replace("from: RISK", 'from: "R\\e[31mISK :100:"') + HOSTILE
    (root / "Inbox" / "TRADING" / "MSG_A.md").write_text(text, encoding="utf-8")
    for arguments in (("inbox",), ("trace", "MSG_A"), ("archive", "--dry-run"), ("messages", "check")):
        assert command(root, *arguments) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\N{HUNDRED POINTS SYMBOL}" not in out


def test_the_inbox_says_what_cannot_be_read(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Inbox" / "TRADING" / "odd.md").write_bytes(b"odd")
    command(root, "inbox")
    assert "(unreadable)" in capsys.readouterr().out


def test_the_inbox_of_a_department_that_nobody_knows_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Inbox" / "NEWS").mkdir()
    assert command(root, "inbox", "risk") == command(root, "inbox", "news") == 0
    assert command(root, "inbox", "TRADNIG") == 2
    assert capsys.readouterr().err.startswith("inbox: TRADNIG: there is no such department; name one of EXECUTIVE,")


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_dead_letter_that_is_a_link_is_not_followed_when_it_is_shown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root.parent / "secret").write_text("the secret", encoding="utf-8")
    (root / "Dead_Letter" / "TRADING" / "link.md").symlink_to(root.parent / "secret")
    assert command(root, "dead-letters", "show", "link.md") == 0
    assert command(root, "dead-letters", "show", "link.md", "--json") == 0
    assert "the secret" not in capsys.readouterr().out


def test_a_reason_that_is_a_pipe_or_no_text_is_an_empty_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "Dead_Letter" / "TRADING"
    for name in ("a.md", "b.md", "c.md"):
        (folder / name).write_bytes(b"junk")
    (folder / "a.md.reason.yaml").write_bytes(b"\xff\xfe: [")
    (folder / "b.md.reason.yaml").mkdir()
    pipe_at(folder / "c.md.reason.yaml")
    assert command(root, "dead-letters", "list", "--json") == 0
    assert [each["code"] for each in json.loads(capsys.readouterr().out)["dead_letters"]] == [None, None, None]


def test_a_folder_that_is_closed_to_us_hides_only_what_it_holds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Inbox" / "TRADING" / "MSG_A.md").write_text(HEADER, encoding="utf-8")
    (root / "Inbox" / "RISK").mkdir()
    (root / "Inbox" / "RISK" / "MSG_B.md").write_text(HEADER, encoding="utf-8")
    with closed(root / "Inbox" / "RISK"):
        assert command(root, "show", "MSG_A") == command(root, "inbox") == command(root, "archive", "--dry-run") == 0
        capsys.readouterr()
        assert command(root, "messages", "check", "--json") == 1
        document = json.loads(capsys.readouterr().out)
    assert (document["files"], document["readable"]) == (2, 1)
    assert document["unreadable"] == [{"file": str(root / "Inbox" / "RISK"), "reason": "its rights do not allow it"}]


def test_a_reason_that_is_closed_to_us_hides_no_dead_letter(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "Dead_Letter" / "TRADING"
    for name in ("a.md", "a.md.reason.yaml", "b.md"):
        (folder / name).write_bytes(b"junk")
    with closed(folder / "a.md.reason.yaml"):
        assert command(root, "dead-letters", "list", "--json") == 0
    assert [each["file"] for each in json.loads(capsys.readouterr().out)["dead_letters"]] == ["a.md", "b.md"]


def test_dead_letters_in_a_folder_that_is_closed_to_us_are_said_to_be_left_out(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closed(root / "Dead_Letter" / "TRADING"):
        assert command(root, "dead-letters", "list") == 0
    assert "TRADING cannot be read (its rights do not allow it); its files are left out" in caplog.text


def test_a_file_that_is_closed_to_us_is_archived_by_its_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = root / "Inbox" / "TRADING" / "MSG_RISK_20251110T150000Z_0a1b2c3d.md"
    secret.write_text(HEADER, encoding="utf-8")
    kept = root / "Archive" / "2025-11-10" / "TRADING" / secret.name
    with closed(secret):
        assert command(root, "archive", "--json") == 0
        assert json.loads(capsys.readouterr().out)["moves"][0]["message_type"] == "(unreadable)"
        kept.rename(secret)
