"""`departments messages sign` and `verify`: signatures of those outside the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from Departments.commands.consoles import escape_text, open_console
from Departments.commands.frame import print_json
from Departments.commands.options import AsJson
from Departments.core.errors import BadInput, UnreadableMessage
from Departments.core.platform import files
from Departments.messaging import codec, signatures
from Departments.messaging.message import Message
from Departments.messaging.names import department_of
from Departments.messaging.signing import SignatureRule

FileToRead = Annotated[Path, typer.Argument(metavar="FILE", help="A message file.")]
Signer = Annotated[str, typer.Option("--as", metavar="DEPARTMENT", help="The sender, as after `from:`.")]


def sign(file: FileToRead, signer: Signer, *, as_json: AsJson = False) -> int:
    """Sign a message file in its place with the key in DEPARTMENTS_KEY_<DEPARTMENT>. With `--json`: `{file, from}`."""
    from Departments.core.platform.atomic_files import write_atomically  # noqa: PLC0415 - `verify` writes nothing

    data = _read(file)
    sender, department = department_of(_decode(file, data).sender), department_of(signer)
    if sender != department:
        raise BadInput(file, "from", f"the message is from {sender}, not from {department}", "name its sender by --as")
    variable = signatures.key_variable(department)
    keys = signatures.keys_of(department)
    if not keys:
        mend = f"set it to {signatures.SHORTEST} characters or more in the environment"
        raise BadInput(variable, "", f"there is no key of {department}", mend)
    try:
        text = signatures.sign(data.decode("utf-8-sig"), keys[0])
    except UnicodeDecodeError as error:
        raise BadInput(file, "", "is not UTF-8", "save it as UTF-8") from error
    except signatures.SignatureError as error:
        raise BadInput(file, "", str(error), "write each key of the front matter in one line") from error
    write_atomically(file, text)
    if as_json:
        print_json({"file": str(file), "from": department})
    else:
        open_console().print(f"{escape_text(file)} is signed as {escape_text(department)}.", soft_wrap=True)
    return 0


def verify(file: FileToRead, *, as_json: AsJson = False) -> int:
    """Verify the signature of a message file with its sender's keys. The exit code is 1 unless it is valid.

    With `--json`: `{file, from, signed, reason}`.
    """
    data = _read(file)
    try:
        message = codec.decode(data, name=file.name)
        sender, problem = department_of(message.sender), SignatureRule().find_problem(message)
    except UnreadableMessage as error:
        sender, problem = None, f"is not signed: it is not a message ({error}); ask its sender for the original"
    if as_json:
        print_json({"file": str(file), "from": sender, "signed": not problem, "reason": problem or None})
    else:
        words = problem or f"is signed by {sender}"
        open_console().print(escape_text(f"{file} {words}."), soft_wrap=True)
    return int(bool(problem))


def _read(file: Path) -> bytes:
    try:
        return files.read_bytes(file)
    except OSError as error:
        raise BadInput(file, "", f"cannot be read ({files.describe(error)})", "name a message file") from error


def _decode(file: Path, data: bytes) -> Message:
    try:
        return codec.decode(data, name=file.name)
    except UnreadableMessage as error:
        raise BadInput(file, "", f"is not a message ({error})", "name a message file") from error
