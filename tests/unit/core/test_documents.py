"""One way to write JSON and one to read it, for documents and messages alike."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal as D
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.core.documents import json_pieces, json_text, parse_json, parse_rows
from Departments.core.errors import BadInput
from Departments.core.orders import Side
from Departments.core.platform.text_files import read_document, read_json
from Departments.core.safe_text import escape_in_json
from Departments.messaging.message import body_with, payload_of

NAMES = st.text(max_size=3) | st.integers() | st.floats() | st.booleans() | st.none() | st.sampled_from(Side)
FLAT = st.dictionaries(NAMES, NAMES)
NESTED = st.dictionaries(NAMES, NAMES | FLAT | st.lists(NAMES | FLAT) | st.tuples(NAMES))
MOMENT = datetime(2025, 11, 10, 15, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (D("190.0"), "190"),
        (D("64.64"), "64.64"),
        (MOMENT, '"2025-11-10T15:09:12.000000Z"'),
        (MOMENT.astimezone(timezone(timedelta(hours=-5))), '"2025-11-10T15:09:12.000000Z"'),
        (date(2025, 11, 10), '"2025-11-10"'),
        ("−", '"−"'),
        (None, "null"),
    ],
)
def test_a_document_is_written_with_plain_numbers_and_moments_in_utc(value: object, written: str) -> None:
    assert json_text(value) == written


@given(NAMES | FLAT | NESTED | st.lists(FLAT), st.booleans())
def test_a_document_is_laid_out_as_the_standard_library_does(document: object, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    laid_out = json.dumps(document, indent=2, ensure_ascii=ascii_only)
    assert json_text(document, ascii_only=ascii_only) == escape_in_json(laid_out)
    read = json.loads(json_text(document, ascii_only=ascii_only))
    assert repr(read) == repr(json.loads(laid_out))  # NaN is not equal to itself


def test_what_is_no_json_is_laid_out_within_others() -> None:
    nested = {"a": {"b": [D("1.5"), MOMENT.date()]}, "c": D(2)}
    assert json_text(nested) == json.dumps({"a": {"b": [1.5, "2025-11-10"]}, "c": 2}, indent=2)


def test_a_message_holds_what_a_document_holds_in_ascii() -> None:
    facts = {"shares": D(190), "at": MOMENT, "day": MOMENT.date(), "sign": "−"}
    body = body_with("# Title", facts)
    assert f"```json\n{json_text(facts, ascii_only=True)}\n```" in body
    assert body.isascii()
    assert payload_of(body) == parse_json(json_text(facts))


def test_numbers_with_a_point_are_read_as_they_stand_there() -> None:
    assert parse_json('{"price": 30.93000030517578, "shares": 190.0}') == {
        "price": D("30.93000030517578"),
        "shares": D("190.0"),
    }


@pytest.mark.parametrize("words", ["NaN is not", "Infinity is not", "'cash' appears twice"])
def test_what_json_does_not_know_is_refused(words: str, tmp_path: Path) -> None:
    value = words.split(" ", maxsplit=1)[0]
    text = '{"cash": 1, "cash": 2}' if value == "'cash'" else f'{{"cash": {value}}}'
    with pytest.raises(ValueError, match=words):
        parse_json(text)
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        read_json(path)


def test_half_a_character_is_read_as_one_that_can_be_written() -> None:
    read = parse_json('{"a\\uD800": ["\\udc00 cut off", "\\ud83d\\ude00"], "b": 1}')
    assert read == {"a\ufffd": ["\ufffd cut off", "\U0001f600"], "b": 1}
    json_text(read).encode()


@pytest.mark.parametrize(("name", "deep"), [("a.json", 100_000), ("a.yaml", 300)])
def test_a_file_that_is_nested_without_end_is_refused(tmp_path: Path, name: str, deep: int) -> None:
    path = tmp_path / name
    path.write_text('{"a": ' + "[" * deep + "]" * deep + "}", encoding="utf-8")
    with pytest.raises(BadInput, match="too deep"):
        read_document(path)


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(TypeError, match="Path"):
        json_text({"where": Path()})


ROWS = {"rows": lambda row, place: (place, row)}


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "rows": [{"x": 1.50}, [], "s", null], "b": {"rows": [2]}}', '{"rows": []}', ' {"rows" : [ 1 , NaN ] } '],
)
def test_rows_of_a_list_are_read_one_by_one_and_the_rest_as_ever(text: str) -> None:
    whole = parse_json(text, keep_nan=True)
    expected = {**whole, "rows": list(enumerate(whole["rows"]))}
    assert str(parse_rows(text, ROWS)) == str(expected)
    assert str(parse_rows(text, {})) == str(whole)


NO_OBJECTS = ("", "[]", "{}", "{", '{"a": 1} 2', "{a: 1}", '{"a" 1}', '{"a": ' + "[" * 100_000)
NO_ROWS = ('{"rows": [1', '{"rows": [1,]}', '{"rows": [1 2]}', '{"rows": "\\ud800"}')
TWICE = ('{"a": 1, "a": 2}', '{"rows": [{"a": 1, "a": 2}]}')


@pytest.mark.parametrize("text", [*NO_OBJECTS, *NO_ROWS, *TWICE])
def test_any_other_text_is_left_to_the_reader_that_says_what_is_wrong(text: str) -> None:
    assert parse_rows(text, ROWS) is None


def test_the_pieces_of_a_text_are_the_text() -> None:
    document = {"a": [{"b": D("1.50"), "c": []}, {}, [[1]]], "d": "\u200b", "e": {"f": None, "g": [1, "x"]}}
    text = json_text(document)
    assert "".join(json_pieces(document)) == text
    plain = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    assert text == plain.replace("\u200b", "\\u200b")
