"""The machine in its network: the addresses by which others reach it, and sockets that listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

#: An address that no machine has (RFC 5737): a datagram socket towards it shows the way out and sends nothing.
_NOBODY: Final = ("192.0.2.1", 9)


def list_addresses() -> list[str]:
    """Return this machine's IP addresses for others, that of its way out first, IPv6 last."""
    import psutil  # noqa: PLC0415 - only a page for others asks

    up = {name for name, found in psutil.net_if_stats().items() if found.isup}
    found = {row.address for name, rows in psutil.net_if_addrs().items() if name in up for row in rows}
    usable = [address for text in found if (address := read_address(text)) is not None]
    reachable = [each for each in usable if not (each.is_loopback or each.is_link_local)]
    outward = _find_outward()
    return [str(each) for each in sorted(reachable, key=lambda each: (str(each) != outward, each.version, int(each)))]


def _find_outward() -> str:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect(_NOBODY)
        return str(towards.getsockname()[0])
    return ""


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, or None for any other text."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return True for a name or address that only this machine reaches."""
    address = read_address(host.strip("[]"))
    return host.lower() == "localhost" if address is None else address.is_loopback


def find_name() -> str:
    """Return this machine's own name in lower case."""
    return socket.gethostname().lower()


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens; on `::` it takes IPv4, too. Raises OSError."""
    version_6 = ":" in host
    both = host == "::" and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if version_6 else socket.AF_INET
    with socket.create_server((host, port), family=family, dualstack_ipv6=both) as listening:
        yield listening
