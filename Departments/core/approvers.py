"""Who approves a plan, and from where. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self


class ApprovalPlace(StrEnum):
    """The origin of an approval."""

    TERMINAL = "terminal"  # a person answered the question of `departments run`
    COMMAND = "command"
    SCRIPT = "script"
    PAGE = "page"  # `departments serve`
    LINK = "link"  # the same, by a link for one plan


@dataclass(frozen=True, slots=True)
class Approver:
    """A person (`user@host`), the setting `automatic`, or a `script`."""

    name: str
    place: ApprovalPlace


#: Nobody looked: `--approve auto`, or `approve: auto` in the settings.
AUTOMATIC: Final = Approver("automatic", ApprovalPlace.COMMAND)
#: A script called `CEO.approve_plan`, or set `plan_approved`.
SCRIPT: Final = Approver("script", ApprovalPlace.SCRIPT)
_NOBODY: Final = frozenset({AUTOMATIC.name, SCRIPT.name})


def user_of(approved_by: str) -> str | None:
    """Return the user behind an approval, the same on every host. Returns None if it was no person."""
    return None if approved_by in _NOBODY else approved_by.rpartition("@")[0].casefold() or None


@dataclass(frozen=True, slots=True)
class Consent:
    """The approvals that a plan has and needs.

    `users` are the persons who approved it. Above `four_eyes_above` dollars two must; None needs no second one.
    `amount` is what the plan trades in dollars, None if a price is unknown.
    """

    users: frozenset[str] = frozenset()
    amount: Decimal | None = None
    four_eyes_above: Decimal | None = None

    @classmethod
    def of(cls, names: Iterable[str], amount: Decimal | None, four_eyes_above: Decimal | None) -> Self:
        """Count the persons among those who approved."""
        users = frozenset(user for name in names if (user := user_of(name)) is not None)
        return cls(users, amount, four_eyes_above)

    @property
    def needs_two(self) -> bool:
        """Return whether two persons must approve. An unknown amount counts as a large one."""
        return self.four_eyes_above is not None and (self.amount is None or self.amount > self.four_eyes_above)

    @property
    def is_lacking(self) -> bool:
        """Return whether a person is missing."""
        return self.needs_two and len(self.users) < 2
