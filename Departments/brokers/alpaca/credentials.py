"""The keys to an account, and the servers for them.

The environment comes first, then a `config.py` in the workspace or beside the scripts, as the existing scripts have
it. That file is parsed for literal assignments and never executed. Keys stay out of every log and every repr.

Nothing trades live by default: an address that is neither paper nor local counts as live. Live needs all three:
`broker.live: true` in the settings, DEPARTMENTS_ALLOW_LIVE=yes in the environment, and `--live` to the command.
"""

from __future__ import annotations

import ast
import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from Departments.core.errors import BadInput
from Departments.core.platform.text_files import read_text
from Departments.core.settings import BrokerSettings

KEY_ID, SECRET_KEY = "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"
BASE_URL, DATA_URL = "APCA_API_BASE_URL", "APCA_API_DATA_URL"
PAPER_URL = "https://paper-api.alpaca.markets"
ALLOW_LIVE = "DEPARTMENTS_ALLOW_LIVE"
_NAMES = frozenset({KEY_ID, SECRET_KEY, BASE_URL, DATA_URL})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of an account and its addresses; no address for data means the vendor's own."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    base_url: str = PAPER_URL
    data_url: str | None = None


def load_credentials(folders: Iterable[Path] = (), environ: Mapping[str, str] | None = None) -> Credentials:
    """Read the credentials from the environment, or else from a `config.py`.

    Of `folders`, the first whose file has them counts. Key and secret always come from the same source. Raises
    BadInput with the missing name.
    """
    environment = _read_environment(environ)
    source, keys = _choose_source(environment, folders)
    addresses = environment if not source else keys | {n: v for n, v in environment.items() if v}
    return Credentials(
        key_id=_read_key(keys, KEY_ID, source),
        secret_key=_read_key(keys, SECRET_KEY, source),
        base_url=_trim_address(addresses.get(BASE_URL) or PAPER_URL),
        data_url=_trim_address(addresses.get(DATA_URL) or "") or None,
    )


def find_source(folders: Iterable[Path] = (), environ: Mapping[str, str] | None = None) -> str:
    """Return the name of the source that has a key or a secret, empty without one. Raises BadInput."""
    return _choose_source(_read_environment(environ), folders)[0]


def _read_environment(environ: Mapping[str, str] | None) -> dict[str, str]:
    return {n: v.strip() for n, v in (os.environ if environ is None else environ).items() if n in _NAMES}


def _choose_source(environment: dict[str, str], folders: Iterable[Path]) -> tuple[str, dict[str, str]]:
    sources = chain([("the environment", environment)], _read_config_files(folders))
    return next((s for s in sources if s[1].get(KEY_ID) or s[1].get(SECRET_KEY)), ("", {}))


def _read_config_files(folders: Iterable[Path]) -> Iterator[tuple[str, dict[str, str]]]:
    for path in dict.fromkeys(folder / "config.py" for folder in folders):
        if path.is_file():
            yield str(path), _read_literals(path)


def _read_literals(path: Path) -> dict[str, str]:
    """Return our names with their literal texts in a Python file. Raises BadInput."""
    try:
        tree = ast.parse(read_text(path))
    except (SyntaxError, ValueError) as error:
        place = f"line {getattr(error, 'lineno', None) or 1}"
        raise BadInput(path, place, "is not Python", "mend the file or set the names in the environment") from error
    return {name: _read_literal(path, name, value) for name, value in _assignments(tree) if name in _NAMES}


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        elif isinstance(statement, ast.Assign):
            targets, value = [t for t in statement.targets if isinstance(t, ast.Name)], statement.value
        else:
            continue
        yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))


def _read_literal(path: Path, name: str, value: ast.expr) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value.strip()
    mend = f'write {name} = "…" or set it in the environment'
    raise BadInput(path, name, "is not literal text; the file is read, never run", mend)


def _read_key(keys: Mapping[str, str], name: str, source: str) -> str:
    value = keys.get(name, "")
    mend = f"set {KEY_ID} and {SECRET_KEY} in the environment or in config.py, or use the simulated broker"
    if not value:
        problem = f"is missing in {source}" if source else "is set neither in the environment nor in a config.py"
        raise BadInput("credentials", name if source else f"{KEY_ID}, {SECRET_KEY}", problem, mend)
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise BadInput("credentials", name, f"holds blanks or odd characters in {source}", "copy the key again")
    return value


def _trim_address(url: str) -> str:
    """Trim an address for the vendor's client: no final slash, no version."""
    return url.rstrip("/").removesuffix("/v2").rstrip("/")


def check_access(
    credentials: Credentials, settings: BrokerSettings, *, live: bool, environ: Mapping[str, str] | None = None
) -> None:
    """Accept paper and local addresses, live ones only with all three switches. Raises BadInput."""
    _check_scheme(BASE_URL, credentials.base_url)
    if credentials.data_url:
        _check_scheme(DATA_URL, credentials.data_url)
    if not is_live(credentials):
        if live:
            problem = f"the address is {_host(credentials.base_url)!r}, whose money is not real"
            raise BadInput("--live", "", problem, f"leave it out, or set {BASE_URL} of a live account")
        return
    missing = _list_missing_switches(settings, os.environ if environ is None else environ, live=live)
    if missing:
        problem = f"{_host(credentials.base_url)!r} may trade real money, and nothing trades live by default"
        raise BadInput(BASE_URL, "", problem, f"use {PAPER_URL}, or add {', '.join(missing)}")


def is_live(credentials: Credentials) -> bool:
    """Return whether orders at this address may move real money: it is neither paper nor local."""
    return not (is_loopback(credentials.base_url) or _host(credentials.base_url) == _host(PAPER_URL))


def is_loopback(url: str) -> bool:
    """Return whether an address is on this very machine."""
    host = _host(url)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _list_missing_switches(settings: BrokerSettings, environ: Mapping[str, str], *, live: bool) -> list[str]:
    switches = {
        "broker.live: true in the settings": settings.live,
        f"{ALLOW_LIVE}=yes in the environment": environ.get(ALLOW_LIVE) == "yes",
        "--live to the command": live,
    }
    return [name for name, is_on in switches.items() if not is_on]


def _check_scheme(name: str, url: str) -> None:
    scheme = url.partition("://")[0].lower()
    if not _host(url) or scheme not in {"http", "https"}:
        raise BadInput(name, "", f"{url!r} is not an address", f"write it like {PAPER_URL}")
    if scheme == "http" and not is_loopback(url):
        raise BadInput(name, "", "the keys would travel unencrypted over http", "write https://")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
