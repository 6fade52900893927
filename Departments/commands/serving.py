"""`departments serve`: the page on which a person looks at plans, approves, vetoes and halts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import open_console
from Departments.commands.frame import work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import At, BrokerOption, ExchangeState, Workspace
from Departments.core.errors import BadInput, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.platform import files
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.locks import ProcessLock
from Departments.core.platform.rights import PRIVATE
from Departments.core.platform.text_files import read_json
from Departments.core.platform.users import name_user
from Departments.core.safe_text import make_safe

HELP = """Serve a page: today's standing, plans to approve, veto, comment or reject, days, reports, messages, halt.

It listens on this machine alone, and needs the extra `web`: pip install "departments[web]". It names a link that opens
one session; nothing is shown without a session, and all of them end with the server. `--link PLAN_ID` names a link for
one plan: it works once, for a few minutes, and can approve, veto, comment and reject, but send nothing. Where a server
runs already, `--link` only names the link. For a phone, forward a tunnel of your own to the port, and name its address
by `--public-url`. What is done here is in the ledger with who and `page` or `link`.
"""
KEY_FILE: Final = "serve.key"
MISSING: Final = 'the page needs starlette and uvicorn; install them: pip install "departments[web]"'

log = make_logger(__name__)


def serve(  # noqa: PLR0913, PLR0917 - one parameter for each option
    workspace: Workspace = Path(),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65_535)] = 8765,
    public_url: Annotated[
        str | None, typer.Option("--public-url", metavar="URL", help="The address of your tunnel, for links.")
    ] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="PLAN_ID", help="Name a link for one plan.")] = None,
    minutes: Annotated[int, typer.Option(help="A link works for so long.", min=1, max=1_440)] = 15,
    broker: BrokerOption = None,
    exchange_state: ExchangeState = None,
    at: At = None,
    *,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, do nothing.")] = False,
    live: Annotated[bool, typer.Option("--live", help="One of the three switches for a live account.")] = False,
) -> int:
    """Serve the page until Ctrl-C."""
    address = _check_url(public_url)
    choices = look_at_own_time(
        workspace, Choices(clock=make_clock(at), broker=broker, exchange_state=exchange_state, live=live)
    )
    lasts = timedelta(minutes=minutes)
    with work_at_desk(workspace, "serve", choices) as desk:
        _ = desk.limits  # without them the folder is no workspace
        if link is not None and desk.day.approvals.find(link) is None:
            raise BadInput("--link", "", f"there is no plan {link}", "departments plan makes one")
        lock = ProcessLock(desk.mutexes.path("serve"), f"{workspace}: a page is served here already.", desk.rights)
        key_file = desk.state_dir / KEY_FILE
        try:
            lock.take()
        except WorkspaceBusy:
            if link is None:
                raise
            return _name_link(read_json(key_file), address, link, lasts)
        try:
            with _listen(host, port) as listening:
                place = address or _place_of(listening)
                return _serve(desk, choices, listening, key_file, place, link, lasts, read_only=read_only)
        finally:
            lock.release()


def _serve(  # noqa: PLR0913 - what was chosen
    desk: Desk,
    choices: Choices,
    listening: socket.socket,
    key_file: Path,
    place: str,
    link: str | None,
    lasts: timedelta,
    *,
    read_only: bool,
) -> int:
    try:
        import uvicorn  # noqa: PLC0415 - an extra

        from Departments.web.application import House, make_application  # noqa: PLC0415
        from Departments.web.sessions import Doorkeeper, make_key  # noqa: PLC0415
    except ImportError as error:
        raise BadInput("departments serve", "", *MISSING.split("; ", 1)) from error
    credentials = Doorkeeper(make_key(), SystemClock().now)
    hosts = frozenset({"127.0.0.1", "localhost", "::1", str(urlsplit(place).hostname)})
    application = make_application(House(desk.workspace, choices, credentials, hosts, read_only=read_only))
    known = {"key": credentials.key.hex(), "place": place}
    write_atomically(key_file, json.dumps(known), PRIVATE)
    try:
        for plan_id in dict.fromkeys((None, link)):
            _name_link(known, None, plan_id, lasts)
        config = uvicorn.Config(
            application, log_level="critical", access_log=False, server_header=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        files.discard(key_file)
    return 0


def _name_link(known: Any, address: str | None, plan_id: str | None, lasts: timedelta) -> int:
    """Print a link for a session with everything, or with one plan."""
    from Departments.web.sessions import make_link  # noqa: PLC0415 - only for this command

    token = make_link(bytes.fromhex(known["key"]), name_user(), SystemClock().now(), plan_id, lasts)
    what = "everything" if plan_id is None else make_safe(plan_id)
    text = (
        f"For {what}, once, within {lasts // timedelta(minutes=1)} minutes: {address or known['place']}/enter/{token}"
    )
    open_console().print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens. Raises BadInput for an address that cannot be used."""
    if not _is_loopback(host):
        log.warning("The page is reachable for others on %s, unencrypted; a tunnel to 127.0.0.1 is safer", host)
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        mend = "name another --port or --host"
        raise BadInput("--port", "", f"{host}:{port} cannot be listened on ({error.strerror})", mend) from error
    with listening:
        yield listening


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _place_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _check_url(text: str | None) -> str | None:
    """Return the address of a tunnel without its path. Raises BadInput."""
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput("--public-url", "", f"{text!r} is no address", "write it like https://desk.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def register(app: typer.Typer) -> None:
    """Add `serve`."""
    app.command("serve", help=HELP)(serve)
