"""Which broker a workspace uses where nobody names one. It follows the keys, and never leaves an account by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from Departments.brokers.registry import BROKERS, EXCHANGE_FILE, find_access, name_of_paper
from Departments.core.errors import NotAuthorized
from Departments.core.logs import make_logger

log = make_logger(__name__)

SIMULATED: Final = BROKERS[0].name
REMOTE: Final = name_of_paper()
FRESH: Final = "with $100,000 and no positions"
KEYS: Final = "APCA_API_KEY_ID and APCA_API_SECRET_KEY"


@dataclass(frozen=True, slots=True)
class ChosenBroker:
    """A broker's name. With `fresh` its simulated exchange begins like a new paper account."""

    name: str
    fresh: bool = False


def choose_broker(
    workspace: Path, folder: Path, traded_at: str | None, *, is_asked_for: bool, has_settings: bool
) -> ChosenBroker:
    """Choose the broker of a workspace whose settings name none.

    `folder` holds the desk's files; `traded_at` is the broker at which it has traded, if any. `is_asked_for`: options
    give the simulated exchange its state. Settings that name no broker mean it, too. Raises NotAuthorized if the keys
    of its account are missing, BadInput for odd ones.
    """
    if traded_at is not None:
        if traded_at == REMOTE and find_access(workspace).kind == "none":
            raise NotAuthorized(
                f"{workspace}: this desk has traded at Alpaca, and its keys are gone; set {KEYS} in the environment "
                "or in config.py"
            )
        return ChosenBroker(traded_at)
    if is_asked_for or (folder / EXCHANGE_FILE).exists():
        return ChosenBroker(SIMULATED)
    if has_settings:
        log.info("The settings name no broker: the simulated exchange begins %s", FRESH)
        return ChosenBroker(SIMULATED, fresh=True)
    access = find_access(workspace)
    if access.kind == "none":
        log.info("No keys and no settings: the simulated exchange begins %s", FRESH)
        return ChosenBroker(SIMULATED, fresh=True)
    log.info("No settings: the keys in %s are used, of a %s account at Alpaca", access.source, access.kind)
    return ChosenBroker(REMOTE)
