"""Messages of the existing system: read without a timestamp, archived with sums, joined without a parent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from Departments import cli
from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec, lookup
from Departments.messaging.joining import join_results
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message
from tests.builders.desk import ROOT, desk, workspace

OLD = datetime(2025, 10, 31, 16, 0, tzinfo=UTC)
NO_TIME = "---\nfrom: RISK\nto: PORTFOLIO\nmessage_type: RiskAssessment\nmessage_id: {name}\n---\n# Risk\n"


def put(folder: Path, place: str, text: str, at: datetime = OLD) -> Path:
    path = folder / "Messages_Between_Departments" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def command(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.run_command([*words, "--workspace", str(folder)])
    return code, capsys.readouterr().out


# --- without a timestamp ---


@pytest.mark.parametrize(
    ("name", "day"),
    [("MSG_RISK_TEST_A_cd95cfdf", "2025-10-31"), ("MSG_RISK_20251102T053500Z_89360d69", "2025-11-02")],
)
def test_a_message_without_a_time_has_that_of_its_name_else_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, day: str
) -> None:
    folder = workspace(tmp_path)
    put(folder, f"Inbox/PORTFOLIO/{name}.md", NO_TIME.format(name=name))
    code, out = command(folder, capsys, "messages", "check", "--json")
    assert (code, json.loads(out)["readable"]) == (0, 1)
    code, out = command(folder, capsys, "show", name, "--json")
    assert json.loads(out)["timestamp"].startswith(day)
    command(folder, capsys, "archive")
    assert [path.parent.parent.name for path in folder.rglob(f"{name}.md")] == [day]


def test_without_a_file_there_is_no_time_to_take() -> None:
    with pytest.raises(UnreadableMessage, match="lacks the key 'timestamp'"):
        codec.decode(NO_TIME.format(name="MSG_RISK_TEST_A").encode(), name="MSG_RISK_TEST_A.md")


def test_a_message_without_a_time_is_handled_in_our_inboxes(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    put(folder, "Inbox/OPERATIONS/odd.md", NO_TIME.format(name="odd").replace("PORTFOLIO", "OPERATIONS"))
    opened = desk(folder)
    (found,) = opened.bus.waiting("OPERATIONS")
    opened.close()
    assert found.timestamp == OLD


# --- the archive ---


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = workspace(tmp_path)
    for number in range(3):
        name = f"MSG_RISK_20251031T16000{number}Z_89360d6{number}"
        put(folder, f"Outbox/RISK/{name}.md", NO_TIME.format(name=name))
    name = "MSG_RESEARCH_20251103T160000Z_0badcafe"
    put(folder, f"Inbox/PORTFOLIO/{name}.md", NO_TIME.format(name=name))
    return folder


@pytest.mark.parametrize("options", [("--dry-run",), ()])
def test_the_archive_sums_up_by_day_and_box(
    old: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    code, out = command(old, capsys, "archive", *options)
    rows = [line.replace("│", "|").split("|") for line in out.splitlines()]
    cells = {tuple(cell.strip() for cell in row[1:5]) for row in rows if len(row) >= 5}
    assert {("2025-10-31", "Outbox", "RISK", "3"), ("2025-11-03", "Inbox", "PORTFOLIO", "1")} <= cells
    assert (code, "MSG_RISK" in out) == (0, False)


def test_the_archive_lists_every_file_on_request(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = command(old, capsys, "archive", "--dry-run", "--verbose", "--box", "Inbox")
    assert "0badcafe" in out.replace("\n", "")
    assert "1 would move" in out


def test_what_cannot_be_archived_is_named(
    old: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError

    monkeypatch.setattr(Mailbox, "relocate", refuse)
    code, out = command(old, capsys, "archive", "--box", "Inbox")
    said = "not moved: Inbox/PORTFOLIO/MSG_RESEARCH_20251103T160000Z_0badcafe.md (refused by the system)"
    assert (code, said in out) == (3, True)


@pytest.mark.parametrize("script", ["archive_old_messages", "watch_inbox", "run_daily_ceo"])
def test_a_script_works_from_the_projects_own_folder(
    old: Path, tmp_path_factory: pytest.TempPathFactory, script: str
) -> None:
    (old / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / f"{script}.py", old / "scripts")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    options = {"archive_old_messages": ["--dry-run"], "watch_inbox": ["--help"], "run_daily_ceo": ["--help"]}[script]
    done = subprocess.run(
        [sys.executable, str(old / "scripts" / f"{script}.py"), *options],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if script == "archive_old_messages":
        assert "4 would move" in done.stdout


def test_a_script_says_what_a_project_without_our_package_lacks(old: Path) -> None:
    (old / "scripts").mkdir()
    (old / "Departments").mkdir()
    (old / "Departments" / "__init__.py").write_text("", encoding="utf-8")
    shutil.copy(ROOT / "scripts" / "watch_inbox.py", old / "scripts")
    words = [sys.executable, str(old / "scripts" / "watch_inbox.py")]
    done = subprocess.run(words, cwd=old, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "this Python lacks Departments.cli; put the package over this project's Departments folder" in done.stderr


# --- approvals and results without a parent ---


def approval(number: int, at: datetime, ticker: str = "ALKS", shares: float = 10, plan: str = "PLAN_1") -> Message:
    body = f'# A\n\n```json\n{{"ticker": "{ticker}", "action": "BUY", "shares": {shares}, "plan_id": "{plan}"}}\n```\n'
    name = f"MSG_EXECUTIVE_{at:%Y%m%dT%H%M%SZ}_{number:08x}"
    return Message(name, "EXECUTIVE", "TRADING", at, "ExecutiveApproval", body)


def result(
    kind: str, number: int, at: datetime, ticker: str = "ALKS", shares: str = "10.0", order: str = "o1"
) -> Message:
    name = f"MSG_TRADING_{at:%Y%m%dT%H%M%SZ}_{number:08x}"
    if kind == "escalation":
        body = f"# ORDER REJECTED: {ticker}\n\n- **Ticker:** {ticker}\n- **Action:** BUY\n- **Quantity:** {shares}\n"
    else:
        row = f'{{"order_id": "{order}", "ticker": "{ticker}", "action": "BUY", "shares": {shares}}}'
        body = f"# Done\n\n```json\n{row}\n```\n"
    return Message(name, "TRADING", "EXECUTIVE", at, kind, body)


def after(seconds: float) -> datetime:
    return OLD + timedelta(seconds=seconds)


def test_an_execution_and_its_log_belong_to_one_approval() -> None:
    asked, done, logged = approval(1, OLD), result("execution", 2, after(2)), result("log", 3, after(3))
    assert join_results([asked, done, logged]) == {m.message_id: asked.message_id for m in (done, logged)}


def test_an_approval_has_one_result_and_the_nearest_one_before_counts() -> None:
    first, second = approval(1, OLD), approval(2, after(60))
    one, two = result("escalation", 3, after(61)), result("escalation", 4, after(70))
    assert join_results([first, second, one, two]) == {
        one.message_id: second.message_id,
        two.message_id: first.message_id,
    }


@pytest.mark.parametrize(
    "other",
    [
        result("execution", 9, after(5), shares="11"),
        result("execution", 9, after(5), ticker="SN"),
        result("execution", 9, after(5 * 86_400)),
    ],
)
def test_another_trade_and_another_week_are_not_joined(other: Message) -> None:
    assert join_results([approval(1, OLD), other]) == {}


def test_a_result_that_names_its_approval_belongs_to_it() -> None:
    asked = approval(1, OLD)
    body = f"# TRADING DEPARTMENT ERROR\n\n**Message ID:** {asked.message_id}\n"
    failed = Message("MSG_TRADING_20251031T160009Z_0000000a", "TRADING", "EXECUTIVE", after(9), "escalation", body)
    assert join_results([asked, failed]) == {failed.message_id: asked.message_id}


def test_what_has_a_parent_is_left_alone() -> None:
    asked, ours = approval(1, OLD), result("execution", 2, after(2))
    answered = Message(
        ours.message_id,
        "TRADING",
        "EXECUTIVE",
        ours.timestamp,
        "execution",
        ours.body,
        parent_message_id=asked.message_id,
    )
    assert join_results([asked, answered, result("log", 3, after(4), order="o2")]) == {}


def test_trace_shows_old_results_below_their_approval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace(tmp_path)
    asked, done = approval(1, OLD), result("execution", 2, after(2))
    stranger = approval(7, after(1), ticker="SN", plan="PLAN_2")
    for box, message in (("Archive/2025-10-31/TRADING", asked), ("Outbox/TRADING", done), ("Inbox/TRADING", stranger)):
        put(folder, f"{box}/{message.message_id}.md", codec.encode(message).decode())
    for wanted in ("PLAN_1", asked.message_id, done.message_id):
        _, out = command(folder, capsys, "trace", wanted, "--json")
        (tree,) = json.loads(out)["trees"]
        assert tree["message_id"] == asked.message_id
        (child,) = tree["children"]
        assert (child["message_id"], child["joined_by"]) == (done.message_id, "symbol, side, shares and time")


@pytest.mark.parametrize("seed", range(20))
def test_an_index_changes_nothing_that_is_found(tmp_path: Path, seed: int) -> None:
    choice = Random(seed)
    asked = [approval(n, after(choice.randrange(600)), choice.choice(("ALKS", "SN"))) for n in range(6)]
    messages = [*asked, *(_some_result(choice, 10 + n, asked) for n in range(8))]
    for message in messages:
        box = f"{choice.choice(('Inbox', 'Outbox', 'Archive/2025-10-31'))}/{message.recipient}"
        put(tmp_path, f"{box}/{message.name}", codec.encode(message).decode())
    root, rows = tmp_path / "Messages_Between_Departments", [lookup.index_row(m, m.name) for m in messages]
    known = choice.sample(rows, choice.randrange(len(rows) + 1))
    for message in messages:
        found = [
            {(m.message_id, m.parent_message_id) for m in lookup.find_related(root, message.message_id, index)}
            for index in ((), known, rows)
        ]
        assert found[0] == found[1] == found[2]


def _some_result(choice: Random, number: int, asked: list[Message]) -> Message:
    kind, ticker = choice.choice(("execution", "log", "escalation")), choice.choice(("ALKS", "SN"))
    found = result(kind, number, after(choice.randrange(600)), ticker, order=f"o{choice.randrange(6)}")
    return replace(found, parent_message_id=choice.choice((None, choice.choice(asked).message_id)))


def names_read_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wanted: Message, *others: Message
) -> tuple[set[tuple[str, str | None]], set[str]]:
    """Return (id, parent) of what belongs to a message, and the names of the files read; the index has them all."""
    read: set[str] = set()

    def examine(data: bytes, *, name: str, **options: Any) -> codec.Decoded:
        read.add(name)
        return codec.examine(data, name=name, **options)

    for message in (wanted, *others):
        put(folder, f"Outbox/X/{message.name}", codec.encode(message).decode())
    monkeypatch.setattr(lookup, "codec", SimpleNamespace(examine=examine))
    rows = [lookup.index_row(m, m.name) for m in (wanted, *others)]
    found = lookup.find_related(folder / "Messages_Between_Departments", wanted.message_id, rows)
    return {(m.message_id, m.parent_message_id) for m in found}, read


def test_what_the_index_knows_to_have_a_parent_or_an_answer_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, alone = approval(1, OLD, "SN"), approval(2, after(1), "SN")
    answer = replace(result("execution", 3, after(2), "SN"), parent_message_id=asked.message_id)
    lost = result("execution", 4, after(3), "SN", order="o2")
    found, read = names_read_for(tmp_path, monkeypatch, alone, asked, answer, lost)
    assert found == {(alone.message_id, None), (lost.message_id, alone.message_id)}
    assert read == {alone.name, lost.name}


def test_without_an_old_result_no_other_approval_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, other = approval(1, OLD), approval(2, after(1))
    assert names_read_for(tmp_path, monkeypatch, alone, other) == ({(alone.message_id, None)}, {alone.name})


# --- real files ---


@pytest.mark.skipif("DEPARTMENTS_CORPUS" not in os.environ, reason="DEPARTMENTS_CORPUS names no folder of real files")
def test_every_real_file_is_readable_and_archivable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, corpus = workspace(tmp_path), Path(os.environ["DEPARTMENTS_CORPUS"])
    messages = folder / "Messages_Between_Departments"
    for box in ("Inbox", "Outbox"):
        if (corpus / box).is_dir():
            shutil.copytree(corpus / box, messages / box, copy_function=shutil.copyfile)
    total = len(list(messages.rglob("*.md")))
    code, out = command(folder, capsys, "messages", "check", "--json")
    assert json.loads(out)["unreadable"] == []
    code, _ = command(folder, capsys, "archive", "--older-than", "1m")
    assert (code, len(list((messages / "Archive").rglob("*.md")))) == (0, total)
