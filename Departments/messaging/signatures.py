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
from typing import Final

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
    header, body = _split(text)
    lines = [line for line in header if not line.startswith("signature:")]
    unsigned = "\n".join(["---", *lines, "---", body])
    return "\n".join(["---", *lines, f"signature: {_compute(unsigned, key)}", "---", body])


def is_signed_with(data: bytes, keys: Iterable[str]) -> bool:
    """Return True if a message carries a valid signature of one of the keys."""
    try:
        text = data.decode("utf-8-sig")
        found = [value for name, value in _entries(_split(text)[0]) if name == "signature"]
        unsigned = _without_signature(text)
        return len(found) == 1 and any(
            hmac.compare_digest(json.loads(found[0])[1].encode(), _compute(unsigned, key).encode()) for key in keys
        )
    except ValueError:  # of a message that cannot be signed, or is not UTF-8
        return False


def canonical(text: str) -> bytes:
    """Return the bytes to sign. Raises SignatureError."""
    return b"".join(_canonical_pieces(text))


def _canonical_pieces(text: str) -> Iterator[bytes]:
    """Yield the bytes to sign piece by piece: a body may be long. Raises SignatureError."""
    header, body = _split(text)
    entries = sorted(entry for entry in _entries(header) if entry[0] != "signature")
    names = [name for name, _ in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SignatureError(f"the key {twice!r} appears twice in the front matter")
    yield PURPOSE + json.dumps([entries, ""]).encode()[:-2]  # up to the body's first quote
    body = body.rstrip("\n")
    for start in range(0, len(body), PIECE):
        yield json.dumps(body[start : start + PIECE])[1:-1].encode()
    yield b'"]'


def digest_of_content(data: bytes) -> str:
    """Return the digest of the signed bytes, or of all bytes of an unsignable message. One for one content."""
    digest = hashlib.sha256()
    try:
        for piece in _canonical_pieces(data.decode("utf-8-sig")):
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


def _compute(text: str, key: str) -> str:
    if len(key.strip()) < SHORTEST:
        raise SignatureError(f"the key is shorter than {SHORTEST} characters")
    return PREFIX + hmac.new(key.strip().encode(), canonical(text), hashlib.sha256).hexdigest()


def _without_signature(text: str) -> str:
    header, body = _split(text)
    return "\n".join(["---", *(line for line in header if not line.startswith("signature:")), "---", body])


def _split(text: str) -> tuple[list[str], str]:
    """Return the lines of the front matter, and the body."""
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines: list[str] = []
    start, end = 0, text.find("\n")
    while end >= 0 or start < len(text):  # the body is long, and no line of it is looked at
        lines.append(text[start : end if end >= 0 else len(text)])
        start = end + 1 if end >= 0 else len(text)
        is_end = lines[-1].rstrip(" \t") == "---"
        if len(lines) == 1 and not is_end:
            break
        if len(lines) > 1 and is_end:
            return lines[1:-1], text[start:]
        end = text.find("\n", start)
    raise SignatureError("the message does not begin with front matter between two lines '---'")


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
