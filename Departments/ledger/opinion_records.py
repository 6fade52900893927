"""What persons say about a plan besides approving it, in the ledger: vetoes, comments, rejections."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from Departments.core.approvers import ApprovalPlace
from Departments.core.moments import show_moment
from Departments.ledger.database import Database
from Departments.ledger.tables import Table


class OpinionKind(StrEnum):
    """The kind of an opinion."""

    VETO = "veto"
    COMMENT = "comment"
    REJECTION = "rejection"


_DEEDS: Final = {
    OpinionKind.VETO: "took {symbol} out",
    OpinionKind.COMMENT: "commented",
    OpinionKind.REJECTION: "rejected the plan",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One opinion: by whom (`user@host`), when, from where. `digest` is that of the plan it was said about.

    A veto is about a `symbol`; elsewhere it is empty. A comment may be empty, but not that of a comment.
    """

    kind: OpinionKind
    said_by: str
    said_at: datetime
    place: ApprovalPlace
    digest: str
    symbol: str = ""
    comment: str = ""

    @property
    def is_decision(self) -> bool:
        """Return True for a veto and a rejection: a run does not pass over them."""
        return self.kind is not OpinionKind.COMMENT

    @property
    def sentence(self) -> str:
        """Return the sentence for people, without its full stop."""
        deed = _DEEDS[self.kind].format(symbol=self.symbol)
        said = f": {self.comment}" if self.comment else ""
        return f"{self.said_by} {deed} ({self.place}) on {show_moment(self.said_at)}{said}"


OPINIONS: Final = Table(
    "desk_opinions",
    Opinion,
    identity="id",
    owner={"plan_id": str},
    rules=("FOREIGN KEY (plan_id) REFERENCES desk_plans (plan_id)",),
    indexes=("CREATE INDEX desk_opinions_by_plan ON desk_opinions (plan_id)",),
)


class OpinionRecords:
    """Opinions in the ledger. Every method joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, plan_id: str, opinion: Opinion) -> None:
        """Record an opinion about a plan."""
        OPINIONS.insert(self._db, opinion, plan_id=plan_id)

    def find(self, plan_id: str) -> list[Opinion]:
        """Return the opinions about a plan, oldest first."""
        return OPINIONS.find(self._db, "plan_id = ?", plan_id, order="id")

    def find_objection(self, plan_id: str, symbols: Collection[str]) -> Opinion | None:
        """Return what forbids a plan with orders of these symbols: its rejection, or the veto of one; else None."""
        found = self.find(plan_id)
        rejections = (each for each in found if each.kind is OpinionKind.REJECTION)
        vetoes = (each for each in found if each.kind is OpinionKind.VETO and each.symbol in symbols)
        return next(rejections, None) or next(vetoes, None)

    def find_rejection(self, plan_id: str) -> Opinion | None:
        """Return the rejection of a plan, or None."""
        return next((each for each in self.find(plan_id) if each.kind is OpinionKind.REJECTION), None)
