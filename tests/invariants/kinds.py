"""Which kinds of steps a day has, and few moments at which kills cover them all.

A kind is where the execution stands, before or after, the step and what it does: `SELL open: before archive TRADING`.
A kill leaves the same disk behind wherever it strikes between two changes, so one moment covers the kind of the step
that is done and the kind of the step that comes next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.invariants.promises import Promises
from tests.invariants.reading import Books, Boxes, Exchange, Row

STARTING = 100  # what starting again costs, in steps
NOT_DURABLE = frozenset({"lock"})


def is_durable(label: str) -> bool:
    """Return True if a kill can separate what a label announces."""
    return label.partition(":")[2] not in NOT_DURABLE


class Moment(NamedTuple):
    """One announcement of a durable step: its number from 1, its label, and the number of the disk as it lies then."""

    number: int
    label: str
    disk: int


@dataclass
class Recorder:
    """Listens to a day, has its promises checked and sorts its moments by kind."""

    promises: Promises
    moments: list[Moment] = field(default_factory=list)
    kinds: dict[str, set[int]] = field(default_factory=dict)
    _begun: dict[str, tuple[str, int]] = field(default_factory=dict)
    _tables: dict[str, list[Row]] = field(default_factory=dict)
    _disk: int = 0

    def step(self, label: str) -> None:
        seen = self.promises.disk
        before = seen.exchange, seen.books, seen.boxes
        self.promises.step(label)
        if not is_durable(label):
            return
        when, _, name = label.partition(":")
        if when == "after" or before != (seen.exchange, seen.books, seen.boxes):
            self._disk += 1
        self.moments.append(Moment(len(self.moments) + 1, label, self._disk))
        if when == "before":
            self._give_up(name)
            self._begun[name] = where(seen.books), self._disk
        else:
            self._note(name, self._deed(name, before[0], before[2]), after=self._disk)

    def _give_up(self, name: str) -> None:
        if name in self._begun:
            self._note(name, "in vain")

    def _note(self, name: str, deed: str, after: int | None = None) -> None:
        phase, before = self._begun.pop(name)
        what = f"{name} {deed}".rstrip()
        self.kinds.setdefault(f"{phase}: before {what}", set()).add(before)
        if after is not None:
            self.kinds.setdefault(f"{phase}: after {what}", set()).add(after)

    def end(self) -> None:
        """Note what was begun last and came to nothing."""
        for name in list(self._begun):
            self._give_up(name)

    def _deed(self, name: str, exchange: Exchange, boxes: Boxes) -> str:
        now = self.promises.disk
        if name == "ledger.commit":
            return " ".join(sorted(self._written()))
        if name.startswith("exchange"):
            known = {o["id"]: o["status"] for o in exchange.orders}
            changed = (o for o in now.exchange.orders if known.get(o["id"]) != o["status"])
            return " ".join(sorted({f"{o['side']} {o['order_class']} {o['role']}" for o in changed}))
        new = (at for box, files in now.boxes.files.items() for at in files.keys() - boxes[box].keys())
        return " ".join(sorted({department for department, _ in new}))

    def _written(self) -> Iterable[str]:
        """Tell the tables that a commit has changed."""
        ledger = self.promises.disk.ledger.connection
        if ledger is None:
            raise AssertionError("nobody has opened the ledger")
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        names = [row["name"] for row in ledger.execute(tables)]
        before, self._tables = self._tables, {n: ledger.execute(f"SELECT * FROM {n}").fetchall() for n in names}
        return (name for name, rows in self._tables.items() if rows != before.get(name, []))


def where(books: Books) -> str:
    """Say where the last execution stands."""
    if not books.executions:
        return "nothing executed"
    last = books.executions[-1]
    if last["ended_at"]:
        return f"{len(books.executions)} ended"
    phases = [p for p in books.phases if p["plan_id"] == last["plan_id"]]
    return f"{phases[-1]['name']} {phases[-1]['state']}" if phases else "begun"


def few(days: Mapping[str, Recorder], besides: Mapping[str, Recorder]) -> dict[str, list[Moment]]:
    """Choose moments: every kind is covered in some day, and in each of `days` every kind but for the deeds.

    Greedily: first the moment that covers most for what is left of its day, and so on.
    """
    everyone = {**days, **besides}
    covers: dict[tuple[str, Moment], set[tuple[str, str]]] = defaultdict(set)
    for name, day in everyone.items():
        moments = {moment.disk: moment for moment in day.moments}  # the last of each disk
        for kind, disks in day.kinds.items():
            wanted = {("some day", kind)} | ({(name, without_deed(kind))} if name in days else set())
            for disk in disks:
                covers[name, moments[disk]] |= wanted
    costs = {(name, at): len(everyone[name].moments) - at.number + STARTING for name, at in covers}
    left, chosen = set().union(*covers.values()), defaultdict[str, list[Moment]](list)
    while left:
        name, at = max(covers, key=lambda choice: len(covers[choice] & left) / costs[choice])
        left -= covers[name, at]
        chosen[name].append(at)
    return {name: sorted(moments) for name, moments in chosen.items()}


def without_deed(kind: str) -> str:
    """Return a kind without what the step did: `SELL open: before archive`."""
    where_it_stands, _, what = kind.partition(": ")
    return f"{where_it_stands}: {' '.join(what.split()[:2])}"
