"""What a person has to look at beside the orders: dead letters since the last report, locked symbols, a halt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from Departments.core.halts import UNHALT, Halt
from Departments.core.moments import iso
from Departments.core.reasons import ReasonCode
from Departments.ledger.journal import SetAside
from Departments.ledger.ledger import Ledger
from Departments.ledger.releases import WHOLE_DESK

MENDS: Final = {
    ReasonCode.CONTRADICTION: "departments dead-letters drop the wrong file, then retry the right one",
    ReasonCode.NOT_DECIDED_HERE: "departments dead-letters drop {file}",
    ReasonCode.HANDLER_FAILED: "departments dead-letters retry {file}",
}
MEND: Final = "departments dead-letters show {file}, then retry, drop or accept it"
UNLOCK: Final = "check the symbol at the broker, then departments reconcile --accept {symbol}"

UNLOCK_ALL: Final = "stop the other desk, check the orders, then departments reconcile --accept-all"


@dataclass(frozen=True, slots=True)
class Issues:
    """Dead letters, locks and the halt in force, as documents."""

    dead_letters: tuple[Mapping[str, str], ...] = ()
    locks: tuple[Mapping[str, str], ...] = ()
    halts: tuple[Mapping[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dead_letters or self.locks or self.halts)

    def add_to(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document with these issues. One that has any ends with 1 at least."""
        code = max(int(document["exit_code"]), int(bool(self)))
        return {**document, **self.lists, "exit_code": code}

    @property
    def lists(self) -> dict[str, list[Mapping[str, str]]]:
        """Return them by their keys in a document."""
        return {"dead_letters": list(self.dead_letters), "locks": list(self.locks), "halts": list(self.halts)}


def find_issues(ledger: Ledger, plan_id: str | None = None) -> Issues:
    """Read the issues of an execution's report; without a plan, those that no report has named yet.

    Locks and a halt are named in every report until a person ends them, dead letters in one.
    """
    return _list_issues(ledger, ledger.journal.dead_letters_in(plan_id))


def find_open_issues(ledger: Ledger) -> Issues:
    """Read every issue that no person has settled, named in a report or not."""
    return _list_issues(ledger, ledger.journal.list_unseen_dead_letters())


def _list_issues(ledger: Ledger, found: Iterable[SetAside]) -> Issues:
    locks = (describe_lock(lock.symbol, lock.reason) for lock in ledger.releases.locks())
    halt = ledger.halts.find()
    return Issues(tuple(map(_dead_letter, found)), tuple(locks), () if halt is None else (_halt(halt),))


def _dead_letter(letter: SetAside) -> dict[str, str]:
    mend = next((text for code, text in MENDS.items() if code == letter.code), MEND)
    return {
        "department": letter.department,
        "file": letter.name,
        "message_id": letter.message_id,
        "code": letter.code,
        "reason": letter.sentence,
        "since": iso(letter.set_aside_at),
        "mend": mend.format(file=f'"{letter.name}"'),
    }


def _halt(halt: Halt) -> dict[str, str]:
    return {
        "scope": str(halt.scope),
        "reason": halt.reason,
        "halted_by": halt.halted_by,
        "since": iso(halt.halted_at),
        "sentence": halt.sentence,
        "mend": UNHALT,
    }


def describe_lock(symbol: str, reason: str) -> dict[str, str]:
    """Return a lock as a document: its symbol, its reason, and what a person does about it."""
    mend = UNLOCK_ALL if symbol == WHOLE_DESK else UNLOCK.format(symbol=symbol)
    return {"ticker": symbol, "reason": drop_mend(reason).removeprefix(f"{symbol}: "), "mend": mend}


def drop_mend(sentence: str) -> str:
    """Return a sentence without its end that names a command and without its full stop: the mend stands beside it."""
    told, command, _ = sentence.partition("departments reconcile --accept")
    return (told[: told.rfind(". ")] if command else told).rstrip(".")
