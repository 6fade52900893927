"""A halt: a person's word that the desk sends no SELLs and BUYs, or no BUYs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from Departments.core.moments import show_moment
from Departments.core.orders import Side

UNHALT: Final = "end it by: departments unhalt"


LONGEST_REASON: Final = 300  # characters; it stands in tables and reports


class HaltScope(StrEnum):
    """The sides that a halt stops. Exits are given, restored and renewed under both."""

    ALL = "all"
    BUYS = "buys"


@dataclass(frozen=True, slots=True)
class Halt:
    """One halt: its scope and reason, by whom (`user@host`) and since when."""

    scope: HaltScope
    reason: str
    halted_by: str
    halted_at: datetime

    def stops(self, side: Side) -> bool:
        """Return whether orders of a side are stopped."""
        return side is Side.BUY or self.scope is HaltScope.ALL

    @property
    def sides(self) -> str:
        """Return the stopped sides for people."""
        return "BUYs" if self.scope is HaltScope.BUYS else "BUYs and SELLs"

    @property
    def sentence(self) -> str:
        """Return the sentence for people, without the mend."""
        return f"{self.sides} are halted by {self.halted_by} since {show_moment(self.halted_at)}: {self.reason}"


def read_reason(text: str | None) -> str:
    """Return the reason of a halt on one line. Raises ValueError (problem; mend) for none, and for a long one."""
    words = " ".join((text or "").split())
    if not words:
        raise ValueError('a halt needs a reason; write departments halt --reason "the feed is wrong"')
    if len(words) > LONGEST_REASON:
        raise ValueError(f"it has {len(words)} characters; write at most {LONGEST_REASON}")
    return words
