"""What holds for every message and every header."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from Departments.core.errors import UnreadableMessage
from Departments.messaging import codec, front_matter
from Departments.messaging.message import Message

HANDLER = front_matter.FrontMatter()
HOSTILE = (
    "---",
    "\n---\n",
    "```json\n{}\n```\n",
    "a: b",
    "#",
    "'",
    '"',
    "\\",
    "\0",
    "\r\n",
    "\r",
    "\t",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "📈",
    "é",
    "null",
    "~",
    "yes",
    "0x1F",
    "1e3",
    "2025-11-10",
    "&a",
    "*a",
    "!!python/object",
    "%YAML 1.1",
    "- ",
    "? ",
    "{",
    "]",
    "x" * 5_000,
)
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=6).map("".join)
words = texts.filter(lambda text: len(text) < 6_000)
moments = st.datetimes(timezones=st.just(UTC))
naive_or_aware = st.datetimes() | moments
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | naive_or_aware | st.dates()
keys = st.text(min_size=1, max_size=30).filter(lambda key: key not in front_matter.ENVELOPE)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
messages = st.builds(
    Message,
    message_id=words.filter(bool),
    sender=words,
    recipient=words,
    timestamp=moments,
    message_type=words,
    body=texts,
    priority=words,
    requires_response=st.booleans(),
    parent_message_id=st.none() | words,
    extra=st.dictionaries(keys, values, max_size=3),
)


@given(messages)
def test_what_was_written_is_read_back_equal(message: Message) -> None:
    if len(codec.encode(message).split(b"\n---\n")[0]) < front_matter.MAX_HEADER:
        assert codec.decode(codec.encode(message), name="x.md") == message


@given(messages)
def test_writing_is_stable(message: Message) -> None:
    data = codec.encode(message)
    assert codec.encode(codec.decode(data, name="x.md")) == data
    assert b"\r" not in data


odd_words = st.sampled_from(["null", "Null", "NULL", "nullify", "yes", "a:", "a.", "A-", "x_1", "1a", "é", "a b", "~"])
some_word = odd_words | st.from_regex(r"[A-Za-z0-9_.\-:#]{1,8}", fullmatch=True)
some_time = moments.map(codec._moment_text) | st.sampled_from(["2025-02-30T00:00:00.000000Z", "2025-11-10T15:09:12Z"])
ours = st.builds(
    "---\nmessage_id: {}\nfrom: {}\nto: {}\ntimestamp: '{}'\nmessage_type: {}\npriority: {}\n"
    "requires_response: {}\n{}---\n{}".format,
    some_word,
    some_word,
    some_word,
    some_time,
    some_word,
    some_word,
    st.sampled_from(["true", "false", "no"]),
    st.just("") | some_word.map("parent_message_id: {}\n".format),
    texts.map(lambda text: text.replace("\r", "")),
)
FORM = "---\nmessage_id: A\nfrom: {}\nto: B\ntimestamp: '2025-11-10T15:09:12.000000Z'\n"
FORM += "message_type: log\npriority: x\nrequires_response: false\n{}---\n"


@given(ours)
@example(FORM.format("A", ""))
@example(FORM.format("A", "parent_message_id: Null\n"))
@example(FORM.format("NULL", ""))
@example(FORM.format("a:", ""))
def test_the_fast_path_for_our_own_form_equals_the_strict_reader(text: str) -> None:
    fast = codec.read_own(text.encode("utf-8", "surrogatepass"))
    if fast is not None:
        header, body = HANDLER.split(text)
        assert fast == codec._message(HANDLER.load(header), body, "x.md")


def test_the_fast_path_reads_what_we_write() -> None:
    message = Message("MSG_A", "A", "B", datetime(2025, 11, 10, tzinfo=UTC), "log", "body", parent_message_id="MSG_B")
    assert codec.read_own(codec.encode(message)) == message


plain_words = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,30}", fullmatch=True).filter(lambda word: word.lower() != "null")
plain_messages = st.builds(
    Message,
    message_id=plain_words,
    sender=plain_words,
    recipient=plain_words,
    timestamp=moments,
    message_type=plain_words,
    body=texts,
    priority=plain_words,
    requires_response=st.booleans(),
    parent_message_id=st.none() | plain_words,
)


@given(plain_messages)
def test_the_fast_path_is_the_inverse_of_the_writer(message: Message) -> None:
    text = codec.encode(message).decode()
    if not any(word.lower() in front_matter._RESERVED for word in text.partition("\n---\n")[0].split()):
        assert codec.read_own(text.encode("utf-8", "surrogatepass")) == message


@given(messages)
def test_the_handler_reads_the_header_that_it_wrote(message: Message) -> None:
    metadata = codec._metadata(message)
    header, body = HANDLER.split(f"---\n{HANDLER.export(metadata)}\n---\n{message.body}")
    read = HANDLER.load(header)
    assert body == message.body
    assert codec._message(read, body, "x.md") == message


@given(st.binary(max_size=2_000) | st.lists(st.sampled_from(HOSTILE), max_size=30).map(lambda x: "".join(x).encode()))
@example(b"---\nfrom: A\nto: B\nmessage_type: log\ntimestamp: 2025-02-30\n---\n")
@example(b"---\nfrom: A\nto: B\nmessage_type: log\ntimestamp: 99999999999999999999\n---\n")
@example(b"---\nfrom: A\nto: B\nmessage_type: log\ntimestamp: 9999-12-31T23:59:59-23:00\n---\n")
@example(b"---\nfrom: A\nto: B\nmessage_type: log\ntimestamp: 0001-01-01 00:00:00 +23\n---\n")
@example(b"---\nx: !!bool maybe\ny: !!int ''\n---\n")
@example(b"---\n? [a]\n: b\n---\n")
@example(b"---\nx: !!binary ___\n---\n")
@example(b"---\nx: !!timestamp nonsense\n---\n")
@example(b"---\n{a: {[1]: 2}: 3}\n---\n")
@example(b"---\nx: 9999-12-31 23:59:59 -23:00\n---\n")
def test_any_bytes_are_a_message_or_unreadable(data: bytes) -> None:
    try:
        message = codec.decode(data, name="MSG_X_20251110T150912Z_1.md")
        _ = message.payload
    except UnreadableMessage:
        return
    assert message.timestamp.tzinfo is UTC


def test_values_of_every_kind_survive_in_the_front_matter() -> None:
    extra: dict[str, Any] = {
        "none": None,
        "yes": True,
        "int": -12,
        "float": 1e20,
        "small": 1.5e-9,
        "infinite": float("-inf"),
        "day": date(2025, 11, 10),
        "list": [1, [2, {"a": "b: c"}]],
    }
    message = Message("MSG_A", "A", "B", datetime(2025, 11, 10, tzinfo=UTC), "log", "", extra=extra)
    assert codec.decode(codec.encode(message), name="x.md").extra == extra
