"""Whatever lies in Trading's inbox: the day trades what was decided, and each odd file is a dead letter."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.attacks import MESSAGES, PLAN, dead_letters, interrupt_after_dispatch, target, traded
from tests.builders.commands import say
from tests.builders.desk import deliver
from tests.builders.trading import asked, order, request_text

Capture = pytest.CaptureFixture[str]
AT = "2025-11-10T15:06:42Z"
DECIDED = {"CTVA": ("SELL", "190"), "DVN": ("SELL", "225"), "ALKS": ("BUY", "150"), "COMM": ("BUY", "250")}
Change = Callable[[str], str]


def sell(name: str, change: Change = str) -> str:
    return change(request_text(order("MSFT", "SELL", 10, 502.45, plan_id=PLAN), message_id=name))


def at(time: str) -> Change:
    return lambda text: re.sub(r"timestamp: .*\n", f"timestamp: {time}\n", text)


def by(sender: str) -> Change:
    return lambda text: text.replace("from: EXECUTIVE", f"from: {sender}")


def of_type(kind: str) -> Change:
    return lambda text: re.sub(r"message_type: .*\n", kind, text)


CHANGES: dict[str, Change] = {
    "two ids": lambda text: text.replace("message_id:", "message_id: MSG_X\nmessage_id:", 1),
    "a merge key": lambda text: text.replace("---\n", "---\nbase: &b {from: EXECUTIVE}\n<<: *b\n", 1),
    "an object": lambda text: text.replace("---\n", '---\nx: !!python/object/apply:os.system ["true"]\n', 1),
    "nested aliases": lambda text: text.replace("---\n", "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", 1),
    "deep lists": lambda text: text.replace("---\n", f"---\nx: {'[' * 3000}{']' * 3000}\n", 1),
    "deep JSON": lambda text: text.replace('"shares": 10', f'"shares": {"[" * 50_000}{"]" * 50_000}'),
    "shares twice": lambda text: text.replace('"shares": 10', '"shares": 190, "shares": 10'),
    "NaN shares": lambda text: text.replace('"shares": 10', '"shares": NaN'),
    "fewer than none": lambda text: text.replace('"shares": 10', '"shares": -10'),
    "small letters": by("executive"),
    "wide letters": by("\uff25\uff38\uff25\uff23\uff35\uff34\uff29\uff36\uff25"),
    "a blank that none sees": by("EXECUTIVE\u00a0"),
    "a width of zero": by("EXECUTIVE\u200b"),
    "another alphabet": by("\u0415XECUTIVE"),
    "a list of senders": by("[EXECUTIVE]"),
    "a small type": of_type("message_type: executiveapproval\n"),
    "the old type": of_type("message_type: execution_request\n"),
    "no type": of_type(""),
    "the future": at("2035-01-01T00:00:00Z"),
    "the past": at("1970-01-01T00:00:00Z"),
    "the end of time": at("9999-12-31T23:59:59-23:59"),
    "before all time": at("0001-01-01T00:00:00+23:59"),
    "no day": at("2025-02-30T00:00:00Z"),
    "a large number": at("123456789012345678901234567890"),
}


def fill_inbox(inbox: Path, genuine: Path) -> set[str]:
    """Write every odd file into an inbox; return their names."""
    text = genuine.read_text(encoding="utf-8")
    names = {f"MSG_EXECUTIVE_20251110T150541Z_{n:08x}": change for n, change in enumerate(CHANGES.values())}
    written = {f"{name}.md": sell(name, change) for name, change in names.items()}
    mine = "MSG_EXECUTIVE_20251110T150541Z_deadbee{}".format
    written |= {
        f"{mine(0)}.md": text.replace(genuine.stem, mine(0)),  # the decision under an id of ours
        f"{mine(1)}.md": text.replace(genuine.stem, mine(1)).replace('"shares": 190', '"shares": 191'),
        f"{mine(2)}.md": request_text(order("ALKS", "BUY", 150, 32.66, plan_id=PLAN), message_id=mine(2)),
        "wide.md": sell(mine(3)),
    }
    for number, kind in enumerate(("ReleaseRequest", "ProtectRequest", "CancelRequest"), 4):
        told = asked("CTVA", "SELL", 190, plan_id=PLAN)
        told |= {"approval_message_id": genuine.stem} if kind == "CancelRequest" else {}
        written[f"{mine(number)}.md"] = request_text(told, message_id=mine(number), message_type=kind)
    for name, words in written.items():
        encoding = "utf-16" if name == "wide.md" else "utf-8"
        (inbox / name).write_bytes(words.encode(encoding))
    (inbox / "nothing.md").write_bytes(bytes(5000))
    (inbox / "folder.md").mkdir()
    (inbox / "folder.md" / "inside.md").write_text(sell(mine(8)), encoding="utf-8")
    return {*written, "nothing.md", "folder.md"} | _link(inbox, genuine)


def _link(inbox: Path, genuine: Path) -> set[str]:
    """Write links and files that are none, where the system has such."""
    if os.name == "nt":
        return set()
    (inbox / "link.md").symlink_to(genuine)
    (inbox / "loop.md").symlink_to(inbox / "loop.md")
    (inbox / "gone.md").symlink_to(inbox / "missing")
    (inbox / "zero.md").symlink_to("/dev/zero")
    os.mkfifo(inbox / "pipe.md")
    with (inbox / "huge.md").open("wb") as huge:
        huge.truncate(60_000_000)
    return {"link.md", "loop.md", "gone.md", "zero.md", "pipe.md", "huge.md"}


def test_odd_and_forged_files_are_dead_letters_and_the_day_trades_what_was_decided(
    capsys: Capture, tmp_path: Path
) -> None:
    genuine = next(
        path for path in interrupt_after_dispatch(target(tmp_path)) if '"CTVA"' in path.read_text(encoding="utf-8")
    )
    names = fill_inbox(genuine.parent, genuine)
    said = say(capsys, "resume", "--workspace", tmp_path, "--at", AT, "--json")
    assert traded(tmp_path) == DECIDED
    assert dead_letters(tmp_path, "TRADING").keys() == names
    assert (said.code, said.document["status"]) == (1, "COMPLETED_WITH_ISSUES")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "forged",
    [
        order("MSFT", "SELL", 10, 502.45, plan_id=PLAN),
        order("ALKS", "BUY", 151, 32.66, plan_id=PLAN),
        None,
    ],
    ids=["another trade", "one share more", "a folder"],
)
def test_a_file_under_the_name_of_a_letter_to_come_does_not_hold_it_up(
    capsys: Capture, tmp_path: Path, forged: dict[str, object] | None
) -> None:
    interrupt_after_dispatch(target(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    say(capsys, "resume", "--workspace", tmp_path / "one", "--at", AT)
    sent = (tmp_path / "one" / MESSAGES).glob("Archive/*/TRADING/*.md")
    name = next(path.name for path in sent if '"ALKS"' in path.read_text(encoding="utf-8"))
    if forged is None:
        (tmp_path / "two" / MESSAGES / "Inbox" / "TRADING" / name).mkdir()
    else:
        deliver(tmp_path / "two", "TRADING", name, request_text(forged, message_id=name.removesuffix(".md")))
    said = say(capsys, "resume", "--workspace", tmp_path / "two", "--at", AT, "--json")
    assert traded(tmp_path / "two") == DECIDED
    assert dead_letters(tmp_path / "two", "TRADING").keys() == {name}
    assert said.code == 1
