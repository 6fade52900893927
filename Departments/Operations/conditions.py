"""What a briefing says of the market as a whole: its `market_conditions`, and correlations where it gives some.

    {"market_conditions": {"spy_change_pct": 1.15, "vix": 18.04, "vix_change_pct": -3.9, "spy_drawdown_pct": 1.2,
                           "date": "2025-11-10"},
     "correlations": {"ALKS|SN": 0.81}}

Every key may be left out: what is not said is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from Departments.core.errors import BadInput
from Departments.core.facts import READINGS, Readings
from Departments.core.money import BEYOND_REASON, ONE, decimal_of
from Departments.messaging.neighbours import DailyBriefing


def readings_from(briefing: DailyBriefing, source: str) -> Readings:
    """Read conditions and correlations. Raises BadInput naming source, key and mend."""
    conditions = section(briefing.market_conditions, "market_conditions", source, "write {spy_change_pct, vix, date}")
    readings = {name: _reading(conditions, name, source) for name in READINGS}
    if readings["vix"] is not None and readings["vix"] <= 0:
        raise BadInput(source, "market_conditions.vix", "is not positive", "give the level or leave it out")
    pairs = section(briefing.correlations, "correlations", source, 'write {"ALKS|SN": 0.81}')
    return Readings(**readings, correlations={_pair(name, source): _coefficient(pairs, name, source) for name in pairs})


def section(given: Any, key: str, source: str, mend: str) -> Mapping[str, Any]:
    """Return a section of a payload, empty where there is none. Raises BadInput for anything else."""
    found = given or {}
    if not isinstance(found, Mapping):
        raise BadInput(source, key, "is not a mapping", mend)
    return found


def _reading(conditions: Mapping[str, Any], name: str, source: str) -> Decimal | None:
    if conditions.get(name) is None:
        return None
    place, mend = f"market_conditions.{name}", "give a number or leave it out"
    number = _number(conditions[name], source, place, mend)
    if abs(number) > BEYOND_REASON:
        raise BadInput(source, place, "is beyond reason", mend)
    return number


def _pair(name: str, source: str) -> frozenset[str]:
    pair = frozenset(part.strip().upper() for part in str(name).split("|"))
    if len(pair) != 2 or "" in pair:
        raise BadInput(source, f"correlations.{name}", "does not name two symbols", "write them like ALKS|SN")
    return pair


def _coefficient(pairs: Mapping[str, Any], name: str, source: str) -> Decimal:
    place, mend = f"correlations.{name}", "give a coefficient from -1 to 1"
    number = _number(pairs[name], source, place, mend)
    if abs(number) > ONE:
        raise BadInput(source, place, f"{number} is not between -1 and 1", mend)
    return number


def _number(value: Any, source: str, place: str, mend: str) -> Decimal:
    try:
        return decimal_of(value)
    except ValueError as error:
        raise BadInput(source, place, "is not a number", mend) from error
