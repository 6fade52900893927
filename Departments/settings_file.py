"""The file of settings, with what only other rooms can check: brokers, message types, folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from Departments.brokers.registry import BROKERS, BrokerRow, find_row, list_names
from Departments.core.errors import BadInput
from Departments.core.platform.places import place_state
from Departments.core.platform.text_files import config_file
from Departments.core.settings import Settings, load_settings


def read_settings(workspace: Path, brokers: Sequence[BrokerRow] = BROKERS) -> Settings:
    """Read the settings of a workspace. Raises BadInput."""
    path = config_file(workspace, "settings.yaml")
    settings = load_settings(path)
    check_settings(settings, path, workspace, brokers)
    return settings


def check_settings(settings: Settings, path: Path, workspace: Path, brokers: Sequence[BrokerRow] = BROKERS) -> None:
    """Raise BadInput, naming the file `path`, for a value that nothing here goes with."""
    if find_row(settings.broker.name, brokers) is None:
        problem = f"{settings.broker.name!r} is no broker"
        raise BadInput(path, "broker.name", problem, f"name {list_names(brokers)}")
    if settings.files == "shared" and place_state(workspace, settings.state_dir) == workspace:
        problem = "several users need a state folder that all of them can write, for ledger and mutexes"
        raise BadInput(path, "files", problem, "name it by state_dir")
    state = place_state(workspace, settings.state_dir)
    if state.exists() and not state.is_dir():
        raise BadInput(path, "state_dir", f"{state} is a file", "name a folder")
    addresses = settings.notify.file
    if addresses is not None and (workspace / addresses.expanduser()).resolve().is_relative_to(workspace.resolve()):
        problem = "is inside the workspace, where backups copy its passwords"
        raise BadInput(path, "notify.file", problem, "move it out, and name the new place")
    if settings.messages.senders or settings.messages.require_signature:
        from Departments.messaging.admission import check_types  # noqa: PLC0415 - few settings name types

        check_types(settings.messages, path)
