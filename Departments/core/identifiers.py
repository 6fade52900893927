"""Derived ids: repeating a thing gives the same id. Pure.

The forms are those of the existing files: `MSG_EXECUTIVE_20251110T150912Z_1f2e3d4c`, `PLAN_20251110_071530`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from Departments.core.moments import stamp

MAX_CLIENT_ORDER_ID = 128  # what every broker takes
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*\Z")
#: Names of devices on Windows, with any ending
#: (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)


def short_hash(*parts: object) -> str:
    """Hash the parts to eight hexadecimal digits."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:8]


def message_id(sender: str, moment: datetime, *identity: object) -> str:
    """Return `MSG_<sender>_<stamp>_<hash>`. The same identity and moment give the same id."""
    return f"MSG_{sender}_{stamp(moment)}_{short_hash(sender, *identity)}"


def answer_id(sender: str, message_type: str, question_id: str, asked_at: datetime) -> str:
    """Return the id of an answer. The asker derives the same id and looks for it."""
    return message_id(sender, asked_at, message_type, question_id)


def plan_id(moment: datetime) -> str:
    """Return `PLAN_<date>_<time>` in UTC."""
    return f"PLAN_{moment:%Y%m%d_%H%M%S}"


def manual_plan_id(moment: datetime, attempt: int = 1) -> str:
    """Return `ORDER_<date>_<time>` in UTC for an order by hand; the second of one moment ends with `_2`."""
    return f"ORDER_{moment:%Y%m%d_%H%M%S}" + (f"_{attempt}" if attempt > 1 else "")


def client_order_id(approval_message_id: str) -> str:
    """Return the client order id for an approval: the message id itself.

    So an order at the broker names its approval. A hash replaces ids with other characters or of more than 128.
    """
    if len(approval_message_id) <= MAX_CLIENT_ORDER_ID and _SAFE_ID.match(approval_message_id):
        return approval_message_id
    return f"MSG_{hashlib.sha256(approval_message_id.encode()).hexdigest()[:40]}"


def is_safe_name(text: str) -> bool:
    """Return whether an id from outside is a valid file name on every platform."""
    is_plain = _SAFE_ID.match(text) is not None and len(text) <= 150 and not text.endswith(".")
    return is_plain and _DEVICE.match(text) is None
