"""Ids and chance derived from names: a replay gives the same ones. Pure."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

_NAMESPACE: Final = uuid.UUID("5f0b6d1e-51a0-5a8a-9d55-3c1e0d6a7c11")


def derive_id(*parts: object) -> str:
    """Return a UUID from the parts alone."""
    name = "\x1f".join(map(str, parts)).encode(errors="backslashreplace")  # a folder's name may be no valid text
    return str(uuid.uuid5(_NAMESPACE, name.decode()))


def draw_chance(seed: int, *parts: object) -> float:
    """Return a number in (0, 1), the same for equal seed and parts."""
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *parts))).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
