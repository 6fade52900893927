"""The types of settings that are used later, and are checked when they are read: commands, addresses, paths, ages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from Departments.core.readers import read_age, read_web_address


def _check_command(command: str | tuple[str, ...]) -> str | tuple[str, ...]:
    from Departments.core.platform.processes import split_command  # noqa: PLC0415 - few settings name a command

    try:
        words = split_command(command)
    except ValueError as error:
        raise ValueError(f"{command!r} has a quotation mark that does not close; close it") from error
    if not words or not words[0].strip():
        raise ValueError("is empty; name a program, or write null")
    if any("\0" in word for word in words):
        raise ValueError(f"{command!r} has a character that no command has; correct it")
    return command


def _check_path(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        os.fsencode(Path(value).expanduser())
    except RuntimeError as error:
        raise ValueError(f"{value!r} is in the folder of a user who is not here; write the whole path") from error
    except ValueError:
        is_path = False
    else:
        is_path = bool(value.strip()) and "\0" not in value
    if not is_path:
        raise ValueError(f"{value!r} is no path; write the path of a file or folder, or null")
    return value


def _check_age(age: str) -> str:
    read_age(age)
    return age


Command = Annotated[str | tuple[str, ...], AfterValidator(_check_command)]
WebAddress = Annotated[str, AfterValidator(read_web_address)]
SettingPath = Annotated[Path, BeforeValidator(_check_path)]
Age = Annotated[str, AfterValidator(_check_age)]
