"""Sends one notice by apprise, or pings an address: a program of its own, which may hang or fail by itself.

Standard input is JSON: `{urls, file, title, body, attachment}`, or `{ping}`. Standard output is JSON: `{sent, failed}`,
with the kinds of the addresses that failed, such as mailtos. Addresses hold passwords, so none is written anywhere.
The exit code is 0 if all was sent, 1 if not, 2 without an address, 3 without apprise. It imports nothing of ours.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

SENT, FAILED, NO_ADDRESS, NO_APPRISE = range(4)
SECONDS = 10  # for one answer of a pinged address


def send(given: dict[str, Any]) -> int:
    """Send a notice to every address, each by itself, and name the kinds that failed."""
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        return NO_APPRISE
    logging.disable()
    book = apprise.Apprise()
    if given.get("urls"):
        book.add(given["urls"])
    if given.get("file"):
        book.add(apprise.AppriseConfig(paths=given["file"]))
    servers = [server for entry in book for server in (entry if isinstance(entry, list) else [entry])]
    if not servers:
        return NO_ADDRESS
    failed = [kind for server in servers for kind in _send_to(server, given)]
    print(json.dumps({"sent": len(servers) - len(failed), "failed": sorted(failed)}))  # noqa: T201 - the answer
    return FAILED if failed else SENT


def _send_to(server: Any, given: dict[str, Any]) -> list[str]:
    """Send to one address. Returns its kind if that failed."""
    attached = {"attach": given["attachment"]} if given.get("attachment") else {}
    try:
        if server.notify(body=given["body"], title=given["title"], **attached):
            return []
    except Exception:  # noqa: BLE001, S110 - the text of a library may hold the address
        pass
    return [server.url(privacy=True).partition("://")[0]]


def ping(address: str) -> int:
    """Ask an address over HTTP, for a service that misses it when it does not come."""
    if not address.startswith(("https://", "http://")):
        return NO_ADDRESS
    from urllib.request import Request, urlopen  # noqa: PLC0415 - the desk imports this module for its codes alone

    try:
        request = Request(address, headers={"User-Agent": "departments"})  # noqa: S310 - checked above
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return SENT if answer.status < 400 else FAILED
    except Exception:  # noqa: BLE001 - as above
        return FAILED


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    sys.exit(ping(asked["ping"]) if "ping" in asked else send(asked))
