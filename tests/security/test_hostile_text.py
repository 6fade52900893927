"""What strangers write in any field of any message is read by people, and commands nothing."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from Departments.bootstrap import MESSAGES
from Departments.core.departments import OURS
from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.payloads import Payload
from tests.builders.commands import AT, Said, deliver_briefing, run_of, say
from tests.builders.desk import deliver, desk, plan, trade, workspace

Capture = pytest.CaptureFixture[str]

FORGED: Final = "10:05:42 FORGED all is well"
HOSTILE: Final = (
    f"A\x1b[31mB\x9b2J\x07C\u202eD\u200bE\ufeff\u2066\n{FORGED}\r{FORGED}\u2028{FORGED}\x85\x00"
    "<script>alert(1)</script>|cell|`code`[red]markup[/red] [link](http://evil.example) ![i](x)\n"
    '```json\n{"a": 1}\n```\n'
)
ODD: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
HEADER: Final = ("message_id", "from", "to", "timestamp", "message_type", "priority", "parent_message_id")


def odd_in(text: str) -> list[str]:
    """Return the characters that command a terminal, hide or reorder text."""
    return sorted({hex(ord(c)) for c in text if c not in "\n\t" and unicodedata.category(c) in ODD})


def example_of(model: type[Payload]) -> dict[str, Any]:
    """Return a payload with the example of every field, by the keys of the files."""
    fields = model.model_json_schema()["properties"]
    return {key: facts.get("examples", [None])[0] for key, facts in fields.items()}


def spoiled(value: Any) -> Iterator[Any]:
    """Yield copies of a value in which one text, or the whole, is hostile."""
    yield HOSTILE
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: each} for each in spoiled(inner))
        yield {**value, HOSTILE: HOSTILE}
    if isinstance(value, list):
        yield [HOSTILE]
        for place, inner in enumerate(value):
            yield from ([*value[:place], each, *value[place + 1 :]] for each in spoiled(inner))


def message(
    number: int, sender: str, recipient: str, kind: str, payload: dict[str, Any], header: dict[str, str] | None = None
) -> str:
    """Return a message of a stranger, its header and payload as they would be written."""
    head = {
        "message_id": f"MSG_{sender}_20251110T1501{number % 60:02d}Z_{number:08x}",
        "from": sender,
        "to": recipient,
        "timestamp": "2025-11-10T15:01:00.000000Z",
        "message_type": kind,
        "priority": "routine",
        **(header or {}),
    }
    lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    return f"---\n{lines}\n---\n# {HOSTILE}\n\n```json\n{json.dumps(payload, indent=2)}\n```\n"


def hostile_messages() -> Iterator[tuple[str, str]]:
    """Yield (inbox, text): every field of every type, for each of our departments it may reach."""
    number = 0
    for row in CATALOGUE:
        for recipient in (name for name in row.recipients if name in OURS):
            sender = (row.senders or ("RESEARCH",))[0]
            example = example_of(row.payload_for(recipient))
            for key, value in example.items():
                for each in spoiled(value):
                    number += 1
                    yield recipient, message(number, sender, recipient, row.name, {**example, key: each})
            for key in HEADER:
                number += 1
                yield recipient, message(number, sender, recipient, row.name, example, {key: HOSTILE})
    for recipient in OURS:
        number += 1
        yield recipient, message(number, HOSTILE, recipient, HOSTILE, {HOSTILE: HOSTILE})


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose inboxes are full of hostile messages."""
    folder = workspace(tmp_path_factory.mktemp("hostile") / "ws")
    for number, (recipient, text) in enumerate(hostile_messages()):
        deliver(folder, recipient, f"MSG_STRANGER_{number:05d}.md", text)
    deliver(folder, "TRADING", "MSG_\x1b[31m\u202e`x`|.md", "---\nno: end\n")
    deliver_briefing(folder)
    return folder


def nothing_commands(said: Said, *, shows_a_file: bool = False) -> None:
    assert odd_in(said.out + said.err) == []
    for stream in (said.err, "" if shows_a_file else said.out):  # the lines of a file are its own
        assert [line for line in stream.splitlines() if line.startswith("10:05:42 FORGED")] == []


def markdown_of(text: str) -> str:
    """Return the part of our own message that Markdown reads: without header and payload."""
    body = text.split("\n---\n", 1)[1] if text.startswith("---\n") else text
    return re.sub(r"\n```json\n.*?\n```\n", "", body, flags=re.DOTALL)


def nothing_commands_in(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert odd_in(text) == [], path
    shown = markdown_of(text) if path.suffix == ".md" else ""
    assert "<script" not in shown, path
    assert not re.search(r"(?<!\\)\]\(http", shown), path
    assert not re.search(r"(?<!\\)`code", shown), path
    assert not re.search(r"(?<!\\)\|cell", shown), path
    assert not any(line.startswith(FORGED) for line in shown.splitlines()), path


def ours(folder: Path) -> list[Path]:
    """Return the files that the desk wrote: letters, reasons, reports, plans."""
    boxes = [folder / MESSAGES / "Outbox" / name for name in OURS]
    letters = [path for box in boxes for path in box.rglob("*.md")]
    reasons = list((folder / MESSAGES).rglob("*.reason.yaml"))
    return [*letters, *reasons, *(folder / "Reports").glob("*"), *folder.glob("proposed_trades_*.json")]


def test_a_day_among_hostile_messages_writes_nothing_that_commands(full: Path, capsys: Capture) -> None:
    inbox = full / MESSAGES / "Inbox"
    assert len(list(inbox.rglob("*.md"))) > 200
    for command in (
        ["inbox"],
        ["inbox", "--json"],
        ["messages", "check", inbox],
        ["messages", "check", inbox, "--json"],
    ):
        where: list[str | Path] = [] if command[0] == "messages" else ["--workspace", full]
        nothing_commands(say(capsys, *command, *where))
    run: list[str | Path] = [
        "run",
        "--workspace",
        full,
        "--at",
        AT,
        "--approve",
        "auto",
        "--exchange-state",
        full / "state.yaml",
    ]
    said = say(capsys, *run)
    nothing_commands(said)
    assert "is set aside" in said.err
    assert "FORGED" in said.err
    found = ours(full)
    assert {path.suffix for path in found} >= {".md", ".yaml"}
    for path in found:
        nothing_commands_in(path)


def test_looking_at_hostile_messages_shows_them_and_is_commanded_by_nothing(full: Path, capsys: Capture) -> None:
    folder = full / MESSAGES
    if not (folder / "Dead_Letter").exists():
        say(capsys, *run_of(full))
    names = [path.name for path in sorted((folder / "Dead_Letter").rglob("*.md"))][::40]
    assert names
    commands: list[list[str | Path]] = [
        ["dead-letters", "list"],
        ["dead-letters", "list", "--json"],
        ["regime"],
        ["reconcile"],
    ]
    commands += [["show", name] for name in names]
    commands += [["dead-letters", "show", name] for name in names]
    commands += [["trace", "PLAN_20251110_150542"], ["trace", HOSTILE], ["show", HOSTILE], ["approve", HOSTILE]]
    for command in commands:
        nothing_commands(say(capsys, *command, "--workspace", full), shows_a_file="show" in command)


def test_markup_of_a_terminal_in_a_plan_is_shown_as_it_is(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    mine = plan(
        trade("ALKS", "BUY", 150, 32.66, reason=HOSTILE, sector=HOSTILE),
        trade("CTVA", "SELL", 190, 64.64, reason=HOSTILE),
    )
    mine["notes"] = [HOSTILE]
    path = folder / "plan.json"
    path.write_text(json.dumps(mine), encoding="utf-8")
    run: list[str | Path] = ["run", "--workspace", folder, "--at", AT, "--approve", "auto", "--plan", path]
    said = say(capsys, *run, "--exchange-state", folder / "state.yaml")
    nothing_commands(said)
    assert "\\x1b[31mB" in said.out
    for each in ours(folder):
        nothing_commands_in(each)


def test_the_log_file_of_a_script_has_no_forged_line(full: Path, tmp_path: Path) -> None:
    folder = workspace(tmp_path / "ws")
    for number, (recipient, text) in enumerate(hostile_messages()):
        if number % 7 == 0:
            deliver(folder, recipient, f"MSG_STRANGER_{number:05d}.md", text)
    file = tmp_path / "desk.log"
    logger = logging.getLogger("Departments")
    handler = logging.FileHandler(file, encoding="utf-8", errors="surrogateescape")
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with closing(desk(folder)) as opened:
            opened.work()
    finally:
        logger.removeHandler(handler)
        handler.close()
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    assert "FORGED" in text
    assert odd_in(text) == []
    assert [line for line in text.splitlines() if line.startswith(FORGED)] == []
