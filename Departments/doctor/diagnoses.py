"""Whether a workspace can work: each diagnosis is one sentence with its mend. Nothing is changed or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import DepartmentsError
from Departments.core.platform import files


class Health(StrEnum):
    """How a diagnosis is."""

    OK = "ok"
    WARNING = "warning"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at."""

    health: Health
    topic: str
    sentence: str


def ok(topic: str, sentence: str) -> Diagnosis:
    """Return a diagnosis without a mend."""
    return Diagnosis(Health.OK, topic, sentence)


def warning(topic: str, sentence: str) -> Diagnosis:
    """Return what a person should know; the desk works all the same."""
    return Diagnosis(Health.WARNING, topic, sentence)


def trouble(topic: str, sentence: str) -> Diagnosis:
    """Return what keeps the desk from working."""
    return Diagnosis(Health.TROUBLE, topic, sentence)


Look = Callable[[Desk], Iterator[Diagnosis]]


def examine(workspace: Path, choices: Choices, *, ask_broker: bool) -> list[Diagnosis]:
    """Look at a workspace: machine, folders, configuration, ledger, messages, account. A failed look is trouble."""
    from Departments.doctor import broker_looks, desk_files, machine  # noqa: PLC0415 - they make diagnoses

    desk = open_desk(workspace, choices)
    try:
        found = [d for look in (*machine.LOOKS, *desk_files.LOOKS) for d in take_look(look, desk)]
        if not any(f.health is Health.TROUBLE and f.topic in {"settings", "limits"} for f in found):
            looks = broker_looks.LOOKS if ask_broker else (broker_looks.describe_broker,)
            found += [diagnosis for look in looks for diagnosis in take_look(look, desk)]
    finally:
        desk.close()
    return found


def take_look(look: Look, desk: Desk) -> list[Diagnosis]:
    """Return the diagnoses of one look. A look that fails is a diagnosis, too."""
    found: list[Diagnosis] = []
    try:
        found.extend(look(desk))
    except DepartmentsError as error:
        found.append(trouble(_name_topic(look), error.sentence))
    except OSError as error:
        place = error.filename or desk.workspace
        sentence = (
            f"{place} cannot be looked at ({files.describe(error)}); mend that and run `departments doctor` again."
        )
        found.append(trouble(_name_topic(look), sentence))
    return found


def _name_topic(look: Look) -> str:
    return look.__name__.removeprefix("look_at_").replace("account", "broker")
