"""What is odd in a text is shown, and what is not stays as it is."""

import html
import json
import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Departments.core.safe_text import Form, escape_in_json, make_safe

CONTROLS: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")


def is_odd(character: str) -> bool:
    return unicodedata.category(character) in CONTROLS


@pytest.mark.parametrize("form", list(Form))
@given(text=st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L", "N", "P", "S"])))
def test_no_control_of_any_kind_is_left(form: Form, text: str) -> None:
    kept = "\n\t" if form in {Form.LINES, Form.HTML} else ""
    assert [c for c in make_safe(text, form) if is_odd(c) and c not in kept and ord(c) not in VISIBLE] == []


def test_every_control_that_unicode_knows_is_shown() -> None:
    odd = [chr(code) for code in range(0x110000) if is_odd(chr(code))]
    assert [hex(ord(c)) for c in odd if make_safe(c) == c and ord(c) not in VISIBLE] == []


#: Signs of scripts that count as format characters and are drawn.
VISIBLE = {
    *range(0x600, 0x606),
    0x6DD,
    0x70F,
    0x890,
    0x891,
    0x8E2,
    0x110BD,
    0x110CD,
    *range(0x13430, 0x13440),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
}


@pytest.mark.parametrize("character", ["\u3164", "\u115f", "\u1160", "\uffa0", "\u034f", "\ufe0f"])
def test_a_letter_without_width_is_shown(character: str) -> None:
    assert make_safe(f"A{character}B") == f"A\\u{ord(character):04x}B"


@pytest.mark.parametrize(
    "text", ["MIN_POSITION_VALUE: value=2040.22", "8 % of équité − 5 · “so”", "a_b*c#d", "T: 45 > 6 & 7", "日本 €"]
)
@pytest.mark.parametrize("form", [Form.LINE, Form.LINES, Form.MARKDOWN])
def test_a_text_without_anything_odd_stays_as_it_is(text: str, form: Form) -> None:
    assert make_safe(text, form) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("`rm`", "\\`rm\\`"),
        ("<script>", "&lt;script>"),
        ("[l](http://x)", "\\[l\\](http:\\//x)"),
        ("![i](x)", "!\\[i\\](x)"),
        ("www.x.y", "www\\.x.y"),
        ("a\\|b", "a\\\\\\|b"),
        ("a\n# b", "a\\\\n# b"),
    ],
)
def test_markdown_has_no_cells_code_tags_or_links_from_a_text(text: str, shown: str) -> None:
    assert make_safe(text, Form.MARKDOWN) == shown


def test_html_is_text() -> None:
    assert make_safe("<b onclick='x'>&\x1b</b>", Form.HTML) == html.escape("<b onclick='x'>&\\x1b</b>")


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_means_the_same_and_has_no_control(value: object) -> None:
    written = escape_in_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(written) == value
    assert [c for c in written if is_odd(c) and c != "\n" and ord(c) not in VISIBLE] == []
