"""Regime messages from before front matter: `# Market Regime Assessment`, bold labels, no payload.

They are read as RegimeUpdate messages. The file name gives the id; date, recipient, regime, confidence and indicators
come out of the text. The date carries no zone and agrees with the `Z` stamp of the name, so it is taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from Departments.core.clock import parse_iso
from Departments.core.departments import REGIME_DETECTION
from Departments.core.errors import UnreadableMessage
from Departments.messaging.message import Message, body_with, payload_of
from Departments.messaging.names import department_beginning, department_of, moment_in, stem

TITLE: Final = "# Market Regime Assessment"
_LABEL: Final = re.compile(r"^\*\*([A-Za-z ]{1,40}):\*\*[ \t]*(\S[^\n]*)$", re.MULTILINE)
_REGIME: Final = re.compile(r"^## Market Regime:[ \t]*([A-Za-z]+)", re.MULTILINE)
_INDICATOR: Final = re.compile(
    r"^- \*\*(SPY|VIX):\*\*[ \t]*\$?(\d[\d,]{0,15}(?:\.\d{1,15})?)(?:[ \t]*\(([+-]?\d{1,15}(?:\.\d{1,15})?)%\))?",
    re.MULTILINE,
)


def is_regime_text(text: str) -> bool:
    """Tell whether a text without front matter is a regime message."""
    return text.startswith(TITLE)


def regime_message(text: str, name: str) -> Message:
    """Read a regime text as a RegimeUpdate message. Raises UnreadableMessage naming what is missing."""
    labels = {key.strip().lower(): value.strip() for key, value in _LABEL.findall(text)}
    regime = _REGIME.search(text)
    if regime is None:
        raise UnreadableMessage(f"{name}: the line '## Market Regime: …' is missing")
    payload = _payload(regime.group(1).upper(), labels, text)
    return Message(
        message_id=stem(name),
        sender=REGIME_DETECTION,
        recipient=_recipient(labels, name),
        timestamp=_moment(labels, name),
        message_type="RegimeUpdate",
        body=text if payload_of(text) else body_with(text, payload),
        extra={"author": labels["from"]} if "from" in labels else {},
    )


def _payload(regime: str, labels: Mapping[str, str], text: str) -> dict[str, Any]:
    known = {
        "regime": regime,
        "confidence": labels.get("confidence", "").upper() or None,
        "recommendation": labels.get("recommendation"),
        "assessment_id": labels.get("assessment id"),
        "indicators": _indicators(text),
    }
    return {key: value for key, value in known.items() if value is not None}


def _indicators(text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for which, level, change in _INDICATOR.findall(text):
        found[which.lower()] = Decimal(level.replace(",", ""))
        if change:
            found[f"{which.lower()}_change_pct"] = Decimal(change)
    return found


def _recipient(labels: Mapping[str, str], name: str) -> str:
    recipient = department_of(labels.get("to", "")) or department_beginning(stem(name).rpartition("_")[2])
    if not recipient:
        raise UnreadableMessage(f"{name}: the line '**To:** …' is missing")
    return recipient


def _moment(labels: Mapping[str, str], name: str) -> datetime:
    try:
        return parse_iso(labels["date"])
    except (KeyError, ValueError, OverflowError) as error:
        moment = moment_in(name)
        if moment is None:
            raise UnreadableMessage(f"{name}: neither '**Date:** …' nor the file name tells a time") from error
        return moment
