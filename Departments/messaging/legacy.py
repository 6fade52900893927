"""Regime messages from before front matter: `# Market Regime Assessment`, bold labels, no payload.

They are read as RegimeUpdate messages. The file name gives the id; date, recipient, regime, confidence and indicators
come out of the text, however its Markdown is spaced and decorated. The date carries no zone and agrees with the `Z`
stamp of the name, so it is taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core import departments
from Departments.core.errors import UnreadableMessage
from Departments.core.moments import parse_iso
from Departments.messaging.message import Message, body_with, payload_of
from Departments.messaging.names import department_beginning, department_of, moment_in, stem

TITLE: Final = "market regime"
_TITLE_LINE: Final = re.compile(r"[^A-Za-z\n]{0,20}([^\n]*)")
#: How a line may be decorated; the minus sign and the space are those that a keyboard has not.
_PLAIN: Final = str.maketrans({"*": "", "`": "", "\u00a0": " ", "\u2212": "-"})
_LABEL: Final = re.compile(
    r"^[ \t>#+•-]{0,20}([A-Za-z][A-Za-z0-9 &()]{0,39}?)[ \t]{0,20}:[ \t]*(\S[^\n]*)$", re.MULTILINE
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_]*")
_NUMBER: Final = r"(\d[\d,]{0,15}(?:\.\d{1,15})?)"
_LEVEL: Final = re.compile(rf"\$?[ \t]*{_NUMBER}")
_CHANGE: Final = re.compile(rf"(?:\([ \t]*([+-]?)|[ \t]([+-]))[ \t]*{_NUMBER}[ \t]*%")


def is_regime_text(text: str) -> bool:
    """Return True if a text without front matter is a regime message."""
    title = _TITLE_LINE.match(text)
    return title is not None and title.group(1).lower().startswith(TITLE)


def regime_message(text: str, name: str) -> Message:
    """Read a regime text as a RegimeUpdate message. Raises UnreadableMessage naming what is missing."""
    labels = _labels(text)
    regime = _WORD.search(labels.get("market regime", labels.get("regime", "")))
    if regime is None:
        raise UnreadableMessage(f"{name}: the line '## Market Regime: …' is missing")
    payload = _payload(regime.group().upper(), labels)
    return Message(
        message_id=stem(name),
        sender=departments.REGIME_DETECTION,
        recipient=_recipient(labels, name),
        timestamp=_moment(labels, name),
        message_type="RegimeUpdate",
        body=text if _has_payload(text) else body_with(text, payload),
        extra={"author": labels["from"]} if "from" in labels else {},
    )


def _labels(text: str) -> dict[str, str]:
    """Return the text behind each label. The first line of a repeated label counts."""
    found = reversed(_LABEL.findall(text.translate(_PLAIN)))
    return {key.lower(): value.strip() for key, value in found}


def _has_payload(text: str) -> bool:
    try:
        return payload_of(text) is not None
    except UnreadableMessage:  # its reader refuses it, as in any other message
        return True


def _payload(regime: str, labels: Mapping[str, str]) -> dict[str, Any]:
    confidence = labels.get("confidence", "")
    word = _WORD.match(confidence)
    known = {
        "regime": regime,
        "confidence": (word.group() if word else confidence).upper() or None,
        "recommendation": labels.get("recommendation"),
        "assessment_id": labels.get("assessment id"),
        "indicators": _indicators(labels),
    }
    return {key: value for key, value in known.items() if value is not None}


def _indicators(labels: Mapping[str, str]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for which in ("spy", "vix"):
        level = _LEVEL.match(labels.get(which, ""))
        if level is None:
            continue
        found[which] = _decimal(level.group(1))
        if change := _CHANGE.search(labels[which], level.end()):
            in_brackets, outside, number = change.groups()
            found[f"{which}_change_pct"] = _decimal((in_brackets or outside or "") + number)
    return found


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _recipient(labels: Mapping[str, str], name: str) -> str:
    """Return the recipient in the text, or else the one at the end of the file name."""
    given = department_of(labels.get("to", ""))
    recipient = given if given in departments.ALL else department_beginning(stem(name).rpartition("_")[2]) or given
    if not recipient:
        raise UnreadableMessage(f"{name}: the line '**To:** …' is missing")
    return recipient


def _moment(labels: Mapping[str, str], name: str) -> datetime:
    stamped, given = moment_in(name), labels.get("date", "")
    try:
        moment = parse_iso(given)
    except (ValueError, OverflowError) as error:
        if stamped is None:
            raise UnreadableMessage(f"{name}: neither '**Date:** …' nor the file name gives a time") from error
        return stamped
    is_day_only = ":" not in given
    return stamped if is_day_only and stamped and stamped.date() == moment.date() else moment
