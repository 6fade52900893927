"""Which servers may be traded at. Nothing trades live by default: whatever is neither paper nor local counts as live.

Live needs all three: `broker.live: true` in the settings, DEPARTMENTS_ALLOW_LIVE=yes in the environment, and the
command's own word for it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from Departments.brokers.credentials import BASE_URL, DATA_URL, PAPER_URL, Credentials
from Departments.core.errors import BadInput
from Departments.core.settings import BrokerSettings

ALLOW_LIVE = "DEPARTMENTS_ALLOW_LIVE"


def check_access(
    credentials: Credentials, settings: BrokerSettings, *, live: bool, environ: Mapping[str, str] | None = None
) -> None:
    """Let paper and local addresses pass, live ones only with all three switches. Raises BadInput."""
    _check_scheme(BASE_URL, credentials.base_url)
    if credentials.data_url:
        _check_scheme(DATA_URL, credentials.data_url)
    if is_loopback(credentials.base_url) or _host(credentials.base_url) == _host(PAPER_URL):
        return
    missing = _missing_switches(settings, os.environ if environ is None else environ, live=live)
    if missing:
        problem = f"{_host(credentials.base_url)!r} may trade real money, and nothing trades live by default"
        raise BadInput(BASE_URL, "", problem, f"use {PAPER_URL}, or add {', '.join(missing)}")


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this very machine."""
    host = _host(url)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _missing_switches(settings: BrokerSettings, environ: Mapping[str, str], *, live: bool) -> list[str]:
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
