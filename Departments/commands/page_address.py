"""Where the page of `departments serve` is found: the address in its links, and the hosts that it answers for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from Departments.core.errors import BadInput
from Departments.core.logs import make_logger
from Departments.core.platform import network

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
log = make_logger(__name__)


@dataclass(frozen=True, slots=True)
class PageAddress:
    """The address in links (`place`), and the hosts that requests may name, in lower case."""

    place: str
    hosts: frozenset[str]

    @property
    def site(self) -> str:
        """Return host and port of the links, as an Origin names them."""
        return urlsplit(self.place).netloc


def find_address(host: str, bound: tuple[str, int], public: str | None) -> PageAddress:
    """Return the address of a page at `bound` for `--host`, behind the tunnel `public` if there is one.

    Warns of what others can read. Raises BadInput for an address that no browser opens.
    """
    address, port = bound
    listening = network.read_address(address)
    on_all = listening is not None and listening.is_unspecified
    reachable = network.list_addresses() if on_all else [address]
    places = [_write_place(each, port) for each in reachable] or [_write_place("127.0.0.1", port)]
    if public is None and "%" in address:
        mend = "name another --host, or the address of your tunnel by --public-url"
        raise BadInput("--host", "", f"browsers open no links to {address}", mend)
    if on_all or not network.is_loopback(address):
        _warn_of_readers(host, places if reachable else [])
    place = public or places[0]
    names = {*reachable, network.find_name() if on_all else host.strip("[]").lower(), str(urlsplit(place).hostname)}
    return PageAddress(place, LOOPBACK | names)


def _warn_of_readers(host: str, places: list[str]) -> None:
    where = " and ".join(places) or f"{host}, by no address that this machine knows of"
    log.warning(
        "Others reach the page at %s, and who is in that network can read it: it is not encrypted; "
        "a tunnel to 127.0.0.1 is safer, named by --public-url",
        where,
    )


def read_public_url(text: str | None) -> str | None:
    """Return the address of a tunnel without its path. Warns of one that is not encrypted. Raises BadInput."""
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # a port beyond 65535, a bracket that does not close, a name that is none
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in {"http", "https"} or not host or " " in host or parts.username is not None:
        raise BadInput("--public-url", "", f"{text!r} is no address", "write it like https://desk.example.org")
    if parts.scheme == "http" and not network.is_loopback(host):
        log.warning(
            "--public-url %s is not encrypted: links and sessions can be read on their way; use https://", parts.netloc
        )
    return _write_place(host, port, parts.scheme)


def _write_place(host: str, port: int | None, scheme: str = "http") -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"
