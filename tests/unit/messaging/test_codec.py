"""Messages as bytes."""

from __future__ import annotations

import os
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import frontmatter
import pytest
from frontmatter.default_handlers import BaseHandler

from Departments.core.errors import PublishError, UnreadableMessage
from Departments.messaging import codec, front_matter
from Departments.messaging.message import Message, body_with

APPROVAL = """---
message_id: MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d
from: EXECUTIVE
to: TRADING
timestamp: '2025-11-10T15:09:12.760093Z'
message_type: ExecutiveApproval
priority: urgent
requires_response: false
---
# Executive Approval - BUY ACME

```json
{
  "ticker": "ACME",
  "action": "BUY",
  "shares": 92,
  "price": 30.93000030517578
}
```
"""
NAME = "MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d.md"
REGIME = """# Market Regime Assessment

**From:** CEO / Market Regime Analyzer
**To:** TRADING Department
**Date:** 2025-11-10 06:50:04
**Assessment ID:** REGIME_20251110_063530_0a1b2c3d

## Market Regime: BULLISH

**Confidence:** HIGH
**Recommendation:** GOOD DAY TO TRADE

## Current Indicators:
- **SPY:** $678.22 (+1.08%)
- **VIX:** 18.34 (-3.88%)

## Analysis:
Market trending up (+1.08% today) • Normal volatility (VIX = 18.3)

---
*This is an informational message.*
"""
REGIME_NAME = "MSG_REGIME_20251110T065004Z_trad.md"


def decode(text: str, name: str = NAME) -> Message:
    return codec.decode(text.encode(), name=name)


def test_an_approval_is_read_with_its_envelope_and_payload() -> None:
    message = decode(APPROVAL)
    assert (message.sender, message.recipient, message.message_type) == ("EXECUTIVE", "TRADING", "ExecutiveApproval")
    assert message.timestamp == datetime(2025, 11, 10, 15, 9, 12, 760093, UTC)
    assert message.requires_response is False
    assert message.payload is not None
    assert message.payload["price"] == Decimal("30.93000030517578")


def test_writing_gives_back_the_existing_bytes() -> None:
    assert codec.encode(decode(APPROVAL)) == APPROVAL.encode()


def test_a_parent_is_written_last() -> None:
    message = Message(
        message_id="MSG_A",
        sender="TRADING",
        recipient="PORTFOLIO",
        timestamp=datetime(2025, 11, 10, tzinfo=UTC),
        message_type="execution",
        body="# Done\n",
        parent_message_id="MSG_B",
    )
    assert codec.encode(message).decode() == (
        "---\nmessage_id: MSG_A\nfrom: TRADING\nto: PORTFOLIO\ntimestamp: '2025-11-10T00:00:00.000000Z'\n"
        "message_type: execution\npriority: routine\nrequires_response: false\nparent_message_id: MSG_B\n---\n# Done\n"
    )


@pytest.mark.parametrize(
    "variant",
    [
        APPROVAL.replace("\n", "\r\n"),
        "\ufeff" + APPROVAL,
        "\ufeff" + APPROVAL.replace("\n", "\r\n"),
        APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", "2025-11-10T15:09:12.760093Z"),
        APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", "2025-11-10T15:09:12.760093+00:00"),
        APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", "'2025-11-10T15:09:12.760093+00:00Z'"),
        APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", "2025-11-10 10:09:12.760093 -5"),
        APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", '"2025-11-10T15:09:12.760093Z"'),
        APPROVAL.replace("requires_response: false\n", ""),
        APPROVAL.replace("false", "no"),
        APPROVAL.replace("---\n# Exec", "---  \n# Exec"),
    ],
)
def test_form_does_not_matter(variant: str) -> None:
    assert decode(variant) == decode(APPROVAL)


def test_the_order_of_the_keys_does_not_matter() -> None:
    head, body = APPROVAL.removeprefix("---\n").split("\n---\n", 1)
    ordered = "\n".join(sorted(head.split("\n")))
    assert decode(f"---\n{ordered}\n---\n{body}") == decode(APPROVAL)


def test_a_rule_in_the_body_stays_in_the_body() -> None:
    text = APPROVAL + "\n---\nmore\n---\n"
    assert decode(text).body.endswith("```\n\n---\nmore\n---\n")


def test_windows_1252_is_read() -> None:
    message = codec.decode(APPROVAL.replace("BUY ACME", "BUY ACME • “now” – 5 €").encode("cp1252"), name=NAME)
    assert "• “now” – 5 €" in message.body


def test_utf_16_with_a_mark_is_read() -> None:
    assert codec.decode(APPROVAL.encode("utf-16"), name=NAME) == decode(APPROVAL)


def test_ids_that_look_like_other_yaml_stay_text() -> None:
    message = decode(APPROVAL.replace("MSG_EXECUTIVE_20251110T150912Z_0a1b2c3d", "0012").replace("EXECUTIVE", "NO"))
    assert (message.message_id, message.sender) == ("0012", "NO")
    assert codec.decode(codec.encode(message), name=NAME) == message


def test_other_keys_are_kept_as_yaml_understands_them() -> None:
    message = decode(APPROVAL.replace("priority: urgent", "priority: urgent\nrisk: 4.5\ntags: [a, 'b c']"))
    assert message.extra == {"risk": 4.5, "tags": ["a", "b c"]}
    assert codec.decode(codec.encode(message), name=NAME) == message


def test_a_missing_id_and_time_come_from_the_file_name() -> None:
    text = "---\nfrom: EXECUTIVE\nto: TRADING\nmessage_type: ExecutiveApproval\n---\n# x\n"
    message = decode(text)
    assert message.message_id == NAME.removesuffix(".md")
    assert message.timestamp == datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-8-sig"])
def test_a_regime_text_is_a_regime_update(encoding: str) -> None:
    message = codec.decode(REGIME.encode(encoding), name=REGIME_NAME)
    assert (message.message_type, message.sender, message.recipient) == ("RegimeUpdate", "REGIME_DETECTION", "TRADING")
    assert message.message_id == "MSG_REGIME_20251110T065004Z_trad"
    assert message.timestamp == datetime(2025, 11, 10, 6, 50, 4, tzinfo=UTC)
    assert message.extra == {"author": "CEO / Market Regime Analyzer"}
    assert message.payload == {
        "regime": "BULLISH",
        "confidence": "HIGH",
        "recommendation": "GOOD DAY TO TRADE",
        "assessment_id": "REGIME_20251110_063530_0a1b2c3d",
        "indicators": {
            "spy": Decimal("678.22"),
            "spy_change_pct": Decimal("1.08"),
            "vix": Decimal("18.34"),
            "vix_change_pct": Decimal("-3.88"),
        },
    }
    assert message.body.startswith(REGIME.rstrip("\n"))


def test_an_automated_regime_text_may_lack_the_change_of_the_vix() -> None:
    text = REGIME.replace("Assessment\n", "Assessment (Automated)\n", 1).replace(" (-3.88%)", "").replace("\n", "\r\n")
    payload = decode(text, REGIME_NAME).payload
    assert payload is not None
    assert payload["indicators"] == {
        "spy": Decimal("678.22"),
        "spy_change_pct": Decimal("1.08"),
        "vix": Decimal("18.34"),
    }


def test_the_recipient_of_a_regime_text_may_stand_in_its_name_only() -> None:
    text = REGIME.replace("**To:** TRADING Department\n", "")
    assert decode(text, "MSG_REGIME_20251110T065004Z_port.md").recipient == "PORTFOLIO"


@pytest.mark.parametrize("timestamp", ["", "''", "null"])
def test_an_empty_time_comes_from_the_file_name(timestamp: str) -> None:
    message = decode(APPROVAL.replace("'2025-11-10T15:09:12.760093Z'", timestamp))
    assert message.timestamp == datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


def test_the_time_of_a_regime_text_may_stand_in_its_name_only() -> None:
    message = decode(REGIME.replace("**Date:** 2025-11-10 06:50:04", "**Date:** soon"), REGIME_NAME)
    assert message.timestamp == datetime(2025, 11, 10, 6, 50, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is empty"),
        ("\0" * 500, "is empty"),
        ("# Hello\n", "neither front matter nor a regime title"),
        ("---\nfrom: A\n", "not closed"),
        ("---\n---\nbody", "lacks the key|not a mapping"),
        ("---\n- a\n- b\n---\n", "not a mapping"),
        ("---\nfrom: [\n---\n", "not valid YAML"),
        (APPROVAL.replace("from: EXECUTIVE\n", ""), "lacks the key 'from'"),
        (APPROVAL.replace("to: TRADING\n", "to: TRADING\nto: RISK\n"), "'to' appears twice"),
        (APPROVAL.replace("to: TRADING\n", "to: [TRADING]\n"), "'to' does not hold a single value"),
        (APPROVAL.replace("to: TRADING\n", "to: &a TRADING\n"), "anchors or aliases"),
        (APPROVAL.replace("to: TRADING\n", "to: TRADING\nx: {a: 1, a: 2}\n"), "twice"),
        (APPROVAL.replace("2025-11-10T15", "yesterday"), "is not a time"),
        (APPROVAL.replace("to: TRADING\n", "to: TRADING\nx: " + "[" * 50 + "]" * 50 + "\n"), "nested more than"),
        ("---\n" + "x: y\n" * 50_000 + "---\n", "not closed"),
        (REGIME.replace("## Market Regime: BULLISH", ""), "Market Regime"),
    ],
)
def test_what_is_not_a_message_is_unreadable_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(UnreadableMessage, match=cause) as caught:
        decode(text, "x.md" if "yesterday" in text else NAME)
    assert str(caught.value).startswith(("x.md", NAME))


@pytest.mark.parametrize("fence", ['{"a": 1, "a": 2}', '{"a": NaN}', "[1]", '{"a": ', "[" * 100_000])
def test_a_payload_that_is_not_one_plain_object_is_unreadable(fence: str) -> None:
    message = decode(APPROVAL[: APPROVAL.index("```json")] + f"```json\n{fence}\n```\n")
    with pytest.raises(UnreadableMessage):
        _ = message.payload


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("```json  ", "```"),
        ("``` json", "```"),
        ("```JSON", "```"),
        ("  ```json", "  ```"),
        ("````json", "````"),
        ("~~~json", "~~~"),
        ("``` json", ""),
    ],
)
def test_a_fence_is_the_payload_however_it_is_spelt(opening: str, closing: str) -> None:
    head, text = APPROVAL.split("```json")
    message = decode(head + opening + text.replace("```", closing))
    assert message.payload == decode(APPROVAL).payload


def test_other_fences_are_not_the_payload() -> None:
    assert decode(APPROVAL.replace("```json", "```python")).payload is None


@pytest.mark.parametrize("key", ["trades", r"tr\u0061des"])
def test_a_payload_is_read_without_its_long_lists(key: str) -> None:
    long = decode(APPROVAL.replace('"shares": 92', f'"{key}": [{{"ticker": "ACME"}}]'))
    assert (long.payload or {})["trades"] == [{"ticker": "ACME"}]
    assert long.payload_without("trades", "skipped") == (long.payload or {}) | {"trades": []}
    assert decode(APPROVAL).payload_without("trades", "skipped") == decode(APPROVAL).payload


def test_a_message_without_a_fence_has_no_payload() -> None:
    assert decode(APPROVAL[: APPROVAL.index("```json")]).payload is None


def test_two_fences_are_refused_unless_they_are_equal() -> None:
    fence = APPROVAL[APPROVAL.index("```json") :]
    assert decode(f"{APPROVAL}\n{fence}").payload == decode(APPROVAL).payload
    with pytest.raises(UnreadableMessage, match="two different JSON payloads"):
        _ = decode(APPROVAL + '\n```json\n{"ticker": "EVIL"}\n```\n').payload


@pytest.mark.parametrize(
    "extra", [{"from": "x"}, {"k" * 300: 1}, {1: 2}, {"a": object()}, {"a": "x" * 70_000}, {"a": "\ud800"}]
)
def test_what_cannot_be_written_is_refused(extra: dict[str, object]) -> None:
    message = decode(APPROVAL)
    odd = Message(message.message_id, "A", "B", message.timestamp, "log", "", extra=extra)
    with pytest.raises(PublishError):
        codec.encode(odd)


def test_a_reason_is_written_so_that_a_person_can_read_its_lines() -> None:
    text = codec.dump_mapping({"code": "UNREADABLE", "traceback": "one\ntwo\n"})
    assert text == "code: UNREADABLE\ntraceback: |\n  one\n  two\n"
    assert codec.load_mapping(text) == {"code": "UNREADABLE", "traceback": "one\ntwo\n"}


def test_a_reason_that_is_no_mapping_is_empty() -> None:
    assert codec.load_mapping("[1, 2") == {}
    assert codec.load_mapping("- 1") == {}


def test_every_real_file_is_readable() -> None:
    corpus = os.environ.get("DEPARTMENTS_CORPUS")
    if not corpus:
        pytest.skip("DEPARTMENTS_CORPUS names no folder with real files")
    kinds: Counter[str] = Counter()
    for path in Path(corpus).rglob("*.md"):
        message = codec.decode(path.read_bytes(), name=path.name)
        _ = message.payload
        assert codec.decode(codec.encode(message), name=message.name) == message
        kinds[message.message_type] += 1
    assert kinds


def test_a_body_is_joined_with_its_payload_as_existing_writers_do() -> None:
    body = body_with("# Title\n", {"ticker": "ACME", "shares": Decimal("190.0"), "price": Decimal("64.64")})
    assert body == '# Title\n\n```json\n{\n  "ticker": "ACME",\n  "shares": 190,\n  "price": 64.64\n}\n```\n'


@pytest.mark.parametrize(
    "timestamp",
    ["[" * 30_000, "{a: " * 15_000, "!!timestamp 2025", "!!bool x", "- &a [*a]", "0001-01-01T00:00:00+14:00"],
    ids=["deep list", "deep mapping", "tag of a time", "tag of a truth", "alias of itself", "before all time"],
)
def test_a_timestamp_is_text_and_never_read_as_yaml(timestamp: str) -> None:
    text = APPROVAL.replace("2025-11-10T15:09:12.760093Z", timestamp)
    with pytest.raises(UnreadableMessage, match="is not a time"):
        codec.decode(text.encode(), name=NAME)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-11-10 15:09:12.760093 +00:00",
        "2025-11-10T15:09:12.760093+00:00Z",
        "2025-11-10T10:09:12.760093 -5",
        "2025-11-10 15:09:12.760093 UTC",
    ],
)
def test_other_ways_to_write_the_same_moment_are_read(timestamp: str) -> None:
    message = codec.decode(APPROVAL.replace("2025-11-10T15:09:12.760093Z", timestamp).encode(), name=NAME)
    assert message.timestamp == datetime(2025, 11, 10, 15, 9, 12, 760093, tzinfo=UTC)


@pytest.mark.parametrize("text", ["a: &a [x, x]\nsentence: *a\n", "sentence: " + "[" * 30_000])
def test_a_reason_with_aliases_or_endless_nesting_is_empty(text: str) -> None:
    assert codec.load_mapping(text) == {}


HANDLER = front_matter.FrontMatter()


def test_the_header_is_read_by_a_handler_of_python_frontmatter() -> None:
    assert isinstance(HANDLER, BaseHandler)
    assert HANDLER.detect(APPROVAL)
    assert not HANDLER.detect(REGIME)
    metadata, content = frontmatter.parse(APPROVAL, handler=HANDLER)
    assert metadata["message_type"] == "ExecutiveApproval"
    assert content == APPROVAL.partition("\n---\n")[2].strip()


def test_the_handler_keeps_every_byte_of_the_body() -> None:
    for body in ("", "\n", "  text  \n\n", "---\nx\n---\n", "no final newline"):
        assert HANDLER.split(f"---\nfrom: A\n---\n{body}") == ("from: A", body)


@pytest.mark.parametrize(
    ("characters", "is_read"), [(front_matter.MAX_HEADER, True), (front_matter.MAX_HEADER + 3, False)]
)
def test_a_header_ends_within_its_bound(characters: int, *, is_read: bool) -> None:
    text = f"---\na: {'x' * (characters - 3)}\n---\n"
    if is_read:
        assert len(HANDLER.split(text)[0]) == characters
    else:
        with pytest.raises(UnreadableMessage, match="not closed"):
            HANDLER.split(text)


@pytest.mark.parametrize("text", ["---\nfrom: A\n", "from: A\n---\n", ""])
def test_a_header_without_its_two_lines_is_not_split(text: str) -> None:
    with pytest.raises(UnreadableMessage, match="not closed"):
        HANDLER.split(text)


@pytest.mark.parametrize(
    ("header", "cause"),
    [("to: A\nto: B", "'to' appears twice"), ("a: &x [1]\nb: *x", "anchors or aliases"), ("- a", "not a mapping")],
)
def test_the_handler_is_strict_whoever_calls_it(header: str, cause: str) -> None:
    with pytest.raises(UnreadableMessage, match=cause):
        HANDLER.load(header)
    with pytest.raises(UnreadableMessage, match=cause):
        frontmatter.parse(f"---\n{header}\n---\n", handler=HANDLER)


def test_nobody_calls_what_strips_and_swallows() -> None:
    for path in (Path(codec.__file__).parents[1]).rglob("*.py"):
        assert not re.search(r"frontmatter\.(load|dump)s?\(", path.read_text(encoding="utf-8")), path
