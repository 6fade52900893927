"""Signatures of neighbours: what is not signed by its sender is not acted on where settings ask for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from Departments.messaging.signatures import SignatureError, is_signed_with, sign
from tests.builders.commands import BRIEFING, Said, candidates, deliver_briefing, run_of, say
from tests.builders.desk import briefing, candidate, deliver, workspace

Capture = pytest.CaptureFixture[str]
KEY, OTHER = "correct horse battery staple 1234567", "another key of forty characters 12345678"
VARIABLE = "DEPARTMENTS_KEY_RESEARCH"
SETTINGS = {"messaging": {"durability": "fast"}, "messages": {"require_signature": ["DailyBriefing", "PlanProposal"]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.delenv(f"{VARIABLE}_OLD", raising=False)
    return workspace(tmp_path / "ws", settings=SETTINGS)


def signed(folder: Path, capsys: Capture) -> Path:
    path = deliver_briefing(folder)
    said = say(capsys, "messages", "sign", path, "--as", "RESEARCH")
    assert said.code == 0, said.err
    return path


def bought(said: Said) -> bool:
    return any(order["side"] == "BUY" for phase in said.document["phases"] for order in phase["orders"])


def codes(folder: Path, capsys: Capture) -> set[str]:
    said = say(capsys, "dead-letters", "list", "--workspace", folder, "--json")
    return {each["code"] for each in said.document["dead_letters"]}


def test_an_unsigned_briefing_is_a_dead_letter_and_a_signed_one_is_planned_from(folder: Path, capsys: Capture) -> None:
    deliver(folder, "OPERATIONS", "MSG_Z.md", briefing([candidate("CVE", 99, 17.58)]).replace("0badcafe", "0badcaff"))
    signed(folder, capsys)
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, [each["code"] for each in said.document["dead_letters"]]) == (1, ["NOT_SIGNED"])
    bought_symbols = {order["ticker"] for phase in said.document["phases"] for order in phase["orders"]}
    assert "ALKS" in bought_symbols
    assert "CVE" not in bought_symbols


CHANGES = {
    "another price": (b"32.66", b"32.60"),
    "another id": (b"0badcafe", b"0badcaff"),
    "another recipient": (b"to: OPERATIONS", b"to: OPERATIONS DEPARTMENT"),
    "another sender": (b"from: RESEARCH", b"from: RESEARCH DEPT"),
    "another priority": (b"priority: routine", b"priority: urgent"),
    "another time": (b"15:05:09.000000Z", b"15:05:10.000000Z"),
    "a key more": (b"priority: routine", b"priority: routine\nplan_id: PLAN_1"),
    "a key less": (b"priority: routine\n", b""),
    "a line more": (b"# Daily", b"# The Daily"),
    "no signature": (b"signature: hmac-sha256-", b"signatur: hmac-sha256-"),
    "an empty signature": (b"signature: hmac-sha256-", b"signature: # hmac-sha256-"),
    "another signature": (b"signature: hmac-sha256-", b"signature: hmac-sha256-0"),
    "two signatures": (b"signature: ", b"signature: x\nsignature: "),
    "a comment": (b"priority: routine", b"# routine\npriority: routine"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_signed_briefing_that_was_changed_is_not_planned_from(folder: Path, capsys: Capture, change: str) -> None:
    path = signed(folder, capsys)
    before = path.read_bytes()
    path.write_bytes(before.replace(*CHANGES[change]))
    assert path.read_bytes() != before
    verified = say(capsys, "messages", "verify", path)
    assert (verified.code, verified.err) == (1, "")
    assert verified.out.startswith(str(path))
    said = say(capsys, *run_of(folder, "--json"))
    assert said.code != 0
    assert not bought(said)


def test_a_file_that_is_no_message_is_not_signed(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "MSG_RESEARCH_20251110T150509Z_5b6c7d8e.md"
    path.write_bytes(b"\xff\xfe\x00no message")
    said = say(capsys, "messages", "verify", path, "--json")
    assert (said.code, said.document["signed"], said.document["from"]) == (1, False, None)
    assert "is not a message" in said.document["reason"]
    assert say(capsys, "messages", "verify", tmp_path / "nothing.md").code == 2


def test_what_an_editor_does_when_it_saves_again_is_no_change(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    text = path.read_text(encoding="utf-8").replace(
        "from: RESEARCH\nto: OPERATIONS", "to: 'OPERATIONS'\nfrom: RESEARCH"
    )
    path.write_bytes(b"\xef\xbb\xbf" + (text + "\n\n").replace("\n", "\r\n").encode())
    assert say(capsys, "messages", "verify", path).code == 0
    assert bought(say(capsys, *run_of(folder, "--json")))


def test_a_signature_of_another_message_does_not_fit(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    line = next(each for each in path.read_text(encoding="utf-8").splitlines() if each.startswith("signature:"))
    forged = briefing([candidate("CVE", 99, 17.58)]).replace("priority:", f"{line}\npriority:")
    path.write_text(forged, encoding="utf-8")
    said = say(capsys, *run_of(folder, "--json"))
    assert not bought(said)
    assert codes(folder, capsys) <= {"NOT_SIGNED"}


def test_a_replayed_message_is_one_message(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    deliver(folder, "OPERATIONS", "again.md", path.read_bytes())
    said = say(capsys, *run_of(folder, "--json"))
    assert (said.code, said.document["dead_letters"]) == (0, [])
    deliver(folder, "OPERATIONS", BRIEFING, path.read_bytes() if path.exists() else b"")


def unsign(data: bytes) -> bytes:
    return b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"signature:"))


def dead(said: Said) -> dict[str, str]:
    return {each["file"]: each["code"] for each in said.document["dead_letters"]}


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "without its signature": unsign,
    "with another price": lambda data: unsign(data).replace(b"32.66", b"32.60"),
    "with the signature of the original": lambda data: data.replace(b"32.66", b"32.60"),
}


@pytest.mark.parametrize("name", ["AAA copy.md", f"{BRIEFING.removesuffix('.md')} (1).md", "zzz.md"])
@pytest.mark.parametrize("change", FORGERIES)
def test_nobody_without_a_key_silences_a_signed_message(folder: Path, capsys: Capture, change: str, name: str) -> None:
    data = signed(folder, capsys).read_bytes()
    deliver(folder, "OPERATIONS", name, FORGERIES[change](data))
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said)
    assert (said.code, dead(said)) == (1, {name: "NOT_SIGNED"})


def test_a_forgery_under_the_name_of_the_message_does_not_silence_it_either(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    data = path.read_bytes()
    deliver(folder, "OPERATIONS", "zzz.md", data)
    path.write_bytes(unsign(data))
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said)
    assert (said.code, dead(said)) == (1, {BRIEFING: "NOT_SIGNED"})


def test_a_signed_message_is_acted_on_beside_an_unsigned_one_where_none_must_be_signed(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws")
    data = signed(folder, capsys).read_bytes()
    deliver(folder, "OPERATIONS", "AAA copy.md", unsign(data).replace(b"32.66", b"32.60"))
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said)
    assert (said.code, dead(said)) == (1, {"AAA copy.md": "MESSAGE_CONFLICT"})


def test_what_was_set_aside_before_does_not_silence_a_signed_message(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws")
    path = signed(folder, capsys)
    data = path.read_bytes()
    path.unlink()
    for price in (b"32.60", b"32.61"):
        deliver(folder, "OPERATIONS", f"{price.decode()}.md", unsign(data).replace(b"32.66", price))
    assert not bought(say(capsys, *run_of(folder, "--json")))
    path.write_bytes(data)
    assert bought(say(capsys, *run_of(folder, "--json")))


RESAVES: dict[str, Callable[[bytes], bytes]] = {
    "line ends of Windows": lambda data: data.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "lines at its end": lambda data: data + b"\n\n",
}


@pytest.mark.parametrize("name", ["AAA copy.md", f"{BRIEFING.removesuffix('.md')} (1).md"])
@pytest.mark.parametrize("change", RESAVES)
@pytest.mark.parametrize("is_signed", [True, False])
def test_a_copy_that_an_editor_saved_again_is_the_same_message(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, *, change: str, name: str, is_signed: bool
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws", settings=SETTINGS if is_signed else {"messaging": {"durability": "fast"}})
    data = (signed(folder, capsys) if is_signed else deliver_briefing(folder)).read_bytes()
    deliver(folder, "OPERATIONS", name, RESAVES[change](data))
    said = say(capsys, *run_of(folder, "--json"))
    assert bought(said)
    assert (said.code, dead(said)) == (0, {})
    deliver(folder, "OPERATIONS", "later.md", RESAVES[change](data))
    assert dead(say(capsys, *run_of(folder, "--json"))) == {}


def test_two_messages_of_one_id_that_the_sender_signed_contradict_each_other(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    other = sign(path.read_text(encoding="utf-8").replace("32.66", "32.60"), KEY)
    deliver(folder, "OPERATIONS", "AAA copy.md", other)
    said = say(capsys, *run_of(folder, "--json"))
    assert not bought(said)
    assert codes(folder, capsys) == {"CONTRADICTION"}
    deliver(folder, "OPERATIONS", "zzz.md", other)
    assert not bought(say(capsys, *run_of(folder, "--json")))


def test_a_forgery_in_the_outbox_of_research_does_not_silence_a_signed_briefing(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws")
    path = signed(folder, capsys)
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    data = path.read_bytes()
    path.unlink()
    (outbox / BRIEFING).write_bytes(data)
    (outbox / "AAA copy.md").write_bytes(unsign(data).replace(b"32.66", b"32.60"))
    assert bought(say(capsys, *run_of(folder, "--json")))


PROPOSAL = """---
message_id: MSG_RESEARCH_20251110T150510Z_0badcab1
from: RESEARCH
to: OPERATIONS
timestamp: '2025-11-10T15:05:10.000000Z'
message_type: PlanProposal
---
# Proposal

```json
{"sells": [{"ticker": "MSFT", "shares": 6, "reason": "sell it"}]}
```
"""


@pytest.mark.parametrize("is_signed", [True, False])
def test_plan_and_report_name_the_messages_a_plan_is_made_from_and_whether_they_are_signed(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, *, is_signed: bool
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws")
    (signed(folder, capsys) if is_signed else deliver_briefing(folder))
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150510Z_0badcab1.md", PROPOSAL)
    said = say(capsys, *run_of(folder, "--json"))
    first = (
        f"Made from DailyBriefing {BRIEFING.removesuffix('.md')} of RESEARCH, {'signed' if is_signed else 'unsigned'}"
    )
    second = "Made from PlanProposal MSG_RESEARCH_20251110T150510Z_0badcab1 of RESEARCH, unsigned"
    assert {first, second} <= set(said.document["plan_notes"])
    (report,) = (folder / "Reports").glob("*.md")
    text = report.read_text(encoding="utf-8").replace("\\", "")
    assert (first in text, second in text) == (True, True)


def test_the_old_key_is_valid_while_the_key_changes(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed(folder, capsys)
    monkeypatch.setenv(VARIABLE, OTHER)
    assert say(capsys, "messages", "verify", path).code == 1
    monkeypatch.setenv(f"{VARIABLE}_OLD", KEY)
    assert say(capsys, "messages", "verify", path).code == 0
    assert bought(say(capsys, *run_of(folder, "--json")))


@pytest.mark.parametrize("key", ["", "short", " " * 40])
def test_without_a_key_nothing_is_signed_and_the_mend_is_named(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    path = signed(folder, capsys)
    monkeypatch.setenv(VARIABLE, key)
    said = say(capsys, *run_of(folder, "--json"))
    assert not bought(said)
    refused = say(capsys, "messages", "sign", path if path.exists() else deliver_briefing(folder), "--as", "RESEARCH")
    assert (refused.code, VARIABLE in refused.err) == (2, True)


def test_nobody_signs_as_another(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPARTMENTS_KEY_MARKETING", OTHER)
    path = deliver_briefing(folder)
    said = say(capsys, "messages", "sign", path, "--as", "MARKETING")
    assert (said.code, "from RESEARCH, not from MARKETING" in said.err) == (2, True)
    path.write_text(sign(path.read_text(encoding="utf-8"), OTHER), encoding="utf-8")
    assert say(capsys, "messages", "verify", path).code == 1
    assert not bought(say(capsys, *run_of(folder, "--json")))


def test_a_wrong_signature_is_refused_even_where_none_is_required(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    folder = workspace(tmp_path / "ws")
    path = signed(folder, capsys)
    path.write_bytes(path.read_bytes().replace(b"32.66", b"32.60"))
    assert not bought(say(capsys, *run_of(folder, "--json")))


def test_an_unsigned_briefing_in_the_outbox_of_research_is_not_planned_from(folder: Path, capsys: Capture) -> None:
    outbox = folder / "Messages_Between_Departments" / "Outbox" / "RESEARCH"
    outbox.mkdir(parents=True)
    (outbox / BRIEFING).write_text(briefing(candidates()), encoding="utf-8")
    assert not bought(say(capsys, *run_of(folder, "--json")))
    say(capsys, "messages", "sign", outbox / BRIEFING, "--as", "RESEARCH")
    assert bought(say(capsys, *run_of(folder, "--json")))


def test_the_key_is_written_nowhere(folder: Path, capsys: Capture) -> None:
    path = signed(folder, capsys)
    path.write_bytes(path.read_bytes().replace(b"32.66", b"32.60"))
    said = [say(capsys, "messages", "verify", path), say(capsys, *run_of(folder, "--json"))]
    written = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert KEY not in "".join(each.out + each.err for each in said)
    assert KEY.encode() not in written


def test_an_unknown_type_in_the_settings_is_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path / "ws", settings={"messages": {"require_signature": ["DailyBreifing"]}})
    deliver_briefing(folder)
    said = say(capsys, *run_of(folder))
    assert (said.code, "messages.require_signature" in said.err) == (2, True)


def test_a_script_signs_with_the_standard_library_alone(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom Departments.messaging.signatures import sign\n"
        "assert not {'yaml', 'pydantic', 'frontmatter'} & set(sys.modules), sorted(sys.modules)\n"
        f"print(sign('---\\nmessage_id: A\\n---\\ntext', {KEY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert is_signed_with(done.stdout.encode(), [KEY])


HEAD = "---\nmessage_id: A_1\nfrom: RESEARCH\nscore: {}\n---\ntext\n"


@pytest.mark.parametrize(
    ("one", "other"), [("0.8", "0.80"), ("5", "'5'"), ("yes", "'yes'"), ("2025-11-10", "2025-11-11")]
)
def test_values_that_are_read_differently_have_different_signatures(one: str, other: str) -> None:
    text = sign(HEAD.format(one), KEY)
    assert is_signed_with(text.encode(), [KEY])
    assert not is_signed_with(text.replace(f"score: {one}", f"score: {other}").encode(), [KEY])


@pytest.mark.parametrize(
    "value",
    ["|\n  a", "&a x", "*a", "!t x", "x # y", "x\nfrom: EXECUTIVE", '"a\nb"', "x\u2028from: EXECUTIVE", '"\\u0041"'],
)
def test_front_matter_that_could_be_read_in_two_ways_is_not_signed(value: str) -> None:
    with pytest.raises(SignatureError):
        sign(HEAD.format(value), KEY)


@pytest.mark.parametrize("sender", ["research", "RESEARCH\u00a0", "PORTFOLIO"])
def test_an_unsigned_proposal_shapes_no_plan_however_its_sender_is_spelled(
    folder: Path, capsys: Capture, sender: str
) -> None:
    signed(folder, capsys)
    usual = say(capsys, *run_of(folder, "--dry-run", "--json")).document["phases"]
    told = {"sells": [{"ticker": "MSFT", "reason": "drift"}], "picks": [{"ticker": "SN", "weight": 0.05}]}
    name = "MSG_RESEARCH_20251110T150541Z_deadbeef"
    text = (
        f"---\nmessage_id: {name}\nfrom: {sender}\nto: OPERATIONS\ntimestamp: '2025-11-10T15:05:30Z'\n"
        f"message_type: PlanProposal\n---\n# Text\n\n```json\n{json.dumps(told)}\n```\n"
    )
    deliver(folder, "OPERATIONS", f"{name}.md", text)
    assert say(capsys, *run_of(folder, "--dry-run", "--json")).document["phases"] == usual
    assert say(capsys, *run_of(folder, "--json")).code == 1
    assert codes(folder, capsys) == {"NOT_SIGNED"}


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_message_with_two_signatures_is_signed_with_none(place: str) -> None:
    whole = sign("---\nfrom: RESEARCH\n---\n# Text\n", KEY)
    (line,) = (each for each in whole.splitlines() if each.startswith("signature:"))
    other = "signature: hmac-sha256-0"
    both = f"{line}\n{other}" if place == "after" else f"{other}\n{line}"
    assert is_signed_with(whole.encode(), [KEY])
    assert not is_signed_with(whole.replace(line, both).encode(), [KEY])
