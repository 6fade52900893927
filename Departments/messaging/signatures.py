"""Signatures of messages: HMAC-SHA-256 with a key that sender and desk share.

Only the standard library is needed, and no settings of the desk: a research script may import `sign`. What is signed
(the canonical form) is one JSON text of:

- the front matter, every key but `signature`, sorted by key. A value is its text as written: `0.8` and `0.80` differ,
  and so do `2025-11-10` and `2025-11-10T00:00:00Z`. Quotes count only where they change what YAML reads: `5` and `'5'`
  differ, `RESEARCH` and `"RESEARCH"` do not. Lists and mappings below a key count line by line. A key that appears
  twice, a comment, an anchor, a tag and a text of several lines cannot be signed.
- the body, from the line after the front matter, without line ends at its end.

Line ends (LF, CRLF, CR) and a byte order mark at the start do not count. So a message that an editor saves again still
verifies, and any other change of a value, of the body or of the id does not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO, TextIOWrapper
from typing import Final, TextIO

PREFIX: Final = "hmac-sha256-"
VARIABLE: Final = "DEPARTMENTS_KEY_"
SHORTEST: Final = 32  # characters of a key
PIECE: Final = 65_536  # characters of a body that are encoded at once
PURPOSE: Final = b"departments message 1\n"
_ENTRY: Final = re.compile(r"([A-Za-z_][\w.\-]*)[ \t]*:(?:[ \t]+(.*?))?[ \t]*\Z")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./\-]*\Z")
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'\Z|\"[^\"\\]*\"\Z")
_ODD: Final = re.compile(r"[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class SignatureError(ValueError):
    """A message without a signable form. The text says why; it never holds a key."""


def sign(text: str, key: str) -> str:
    """Return the message with its signature in the front matter. Replaces an earlier one. Raises SignatureError."""
    try:
        opened = _open(text.encode())
    except UnicodeEncodeError as error:
        raise SignatureError(f"the text cannot be written as UTF-8 ({error.reason})") from error
    lines = [line for line in _read_header(opened) if not line.startswith("signature:")]
    body = opened.read()
    unsigned = "\n".join(["---", *lines, "---", body])
    return "\n".join(["---", *lines, f"signature: {_compute(unsigned.encode(), key)}", "---", body])


def is_signed_with(data: bytes, keys: Iterable[str]) -> bool:
    """Return True if a message carries a valid signature of one of the keys."""
    try:
        found = [value for name, value in _entries(_read_header(_open(data))) if name == "signature"]
        return len(found) == 1 and any(
            hmac.compare_digest(json.loads(found[0])[1].encode(), _compute(data, key).encode()) for key in keys
        )
    except ValueError:  # of a message that cannot be signed, or is not UTF-8
        return False


def _canonical_pieces(data: bytes) -> Iterator[bytes]:
    """Yield the bytes to sign piece by piece: a body may be long, and is never copied. Raises ValueError."""
    text = _open(data)
    entries = sorted(entry for entry in _entries(_read_header(text)) if entry[0] != "signature")
    names = [name for name, _ in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SignatureError(f"the key {twice!r} appears twice in the front matter")
    yield PURPOSE + json.dumps([entries, ""]).encode()[:-2]  # up to the body's first quote
    ends = ""  # line ends that count if anything follows them
    while piece := text.read(PIECE):
        begun = piece.rstrip("\n")
        if begun:
            yield json.dumps(ends + begun)[1:-1].encode()
            ends = ""
        ends += piece[len(begun) :]
    yield b'"]'


def digest_of_content(data: bytes) -> str:
    """Return the digest of the signed bytes, or of all bytes of an unsignable message. One for one content."""
    digest = hashlib.sha256()
    try:
        for piece in _canonical_pieces(data):
            digest.update(piece)
    except ValueError:
        return hashlib.sha256(data).hexdigest()
    return digest.hexdigest()


def keys_of(department: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the valid keys of a sender: `DEPARTMENTS_KEY_RESEARCH`, and while it changes `…_RESEARCH_OLD`, too."""
    name = key_variable(department)
    found = (environment.get(each, "").strip() for each in (name, f"{name}_OLD"))
    return [key for key in found if len(key) >= SHORTEST]


def key_variable(department: str) -> str:
    """Return the name of the environment variable with a sender's key."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", department.upper())


def _compute(data: bytes, key: str) -> str:
    if len(key.strip()) < SHORTEST:
        raise SignatureError(f"the key is shorter than {SHORTEST} characters")
    mac = hmac.new(key.strip().encode(), digestmod=hashlib.sha256)
    for piece in _canonical_pieces(data):
        mac.update(piece)
    return PREFIX + mac.hexdigest()


def _open(data: bytes) -> TextIO:
    """Open a message as text with line feeds alone. Reading raises UnicodeDecodeError for anything but UTF-8."""
    return TextIOWrapper(BytesIO(data), encoding="utf-8-sig", newline=None)


def _read_header(text: TextIO) -> list[str]:
    """Read the lines of the front matter: what is left of the text is the body."""
    lines: list[str] = []
    is_begun = _is_fence(text.readline())
    while is_begun and (line := text.readline()):
        if _is_fence(line):
            return lines
        lines.append(line.removesuffix("\n"))
    raise SignatureError("the message does not begin with front matter between two lines '---'")


def _is_fence(line: str) -> bool:
    return line.removesuffix("\n").rstrip(" \t") == "---"


def _entries(header: Iterable[str]) -> list[tuple[str, str]]:
    """Return the keys of a front matter with the canonical text of each value."""
    found: list[tuple[str, list[str]]] = []
    for line in header:
        if _ODD.search(line):
            raise SignatureError("the front matter holds a control character")
        entry = _ENTRY.match(line)
        if entry is not None:
            found.append((entry.group(1), [entry.group(2) or ""]))
        elif found and not found[-1][1][0] and re.match(r" +[^\s#|>]|- ", line):
            found[-1][1].append(line.rstrip())
        else:
            raise SignatureError(f"the front matter's line {line[:40]!r} is not of the form 'key: value'")
    return [(name, _canonical_value(lines)) for name, lines in found]


def _canonical_value(lines: list[str]) -> str:
    first = lines[0]
    if len(lines) > 1:
        if any(re.search(r"(?:^|[\s:\-])[&*!|>%@`]|[\s]#", line) for line in lines[1:]):
            raise SignatureError("a list or mapping of the front matter is too complex to sign")
        return json.dumps(["lines", *lines[1:]])
    if _QUOTED.match(first):
        inner = first[1:-1]
        return json.dumps(["text", inner.replace("''", "'") if first[0] == "'" else inner])
    if first[:1] in tuple("'\"&*!|>%@`?#") or " #" in first or "\t#" in first:
        raise SignatureError(f"the value {first[:40]!r} of the front matter is too complex to sign")
    is_text = _WORD.match(first) and first.lower() not in _RESERVED
    return json.dumps(["text" if is_text else "plain", first])
