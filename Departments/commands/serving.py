"""`departments serve`: the page on which a person looks at plans, approves, vetoes and halts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypedDict, cast
from urllib.parse import urlsplit

import typer

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import open_console
from Departments.commands.frame import work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import At, BrokerOption, ExchangeState, Workspace
from Departments.commands.page_address import PageAddress, find_address, read_public_url
from Departments.core.errors import BadInput, WorkspaceBusy
from Departments.core.platform import files, network
from Departments.core.platform.atomic_files import write_atomically
from Departments.core.platform.clock import SystemClock
from Departments.core.platform.locks import ProcessLock
from Departments.core.platform.rights import PRIVATE
from Departments.core.platform.signals import stop_on_signals
from Departments.core.platform.text_files import read_json
from Departments.core.platform.users import name_user
from Departments.core.safe_text import make_safe

if TYPE_CHECKING:
    from socket import socket

HELP = """Serve a page: today's standing, plans to approve, veto, comment or reject, days, reports, messages, halt.

It listens on this machine alone, and needs the extra `web`: pip install "departments[web]". It names a link that opens
one session; nothing is shown without a session, and all of them end with the server. `--link PLAN_ID` names a link for
one plan: it works once, for a few minutes, and can approve, veto, comment and reject, but send nothing. Where a server
runs already, `--link` only names the link. For a phone, forward a tunnel of your own to the port, and name its address
by `--public-url`; `--host 0.0.0.0` listens for the whole network, unencrypted. What is done here is in the ledger with
who and `page` or `link`.
"""
KEY_FILE: Final = "serve.key"
MISSING: Final = 'the page needs starlette and uvicorn; install them: pip install "departments[web]"'


class Known(TypedDict):
    """What the server tells `serve --link` in its key file."""

    key: str
    place: str
    hosts: list[str]


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
    public = read_public_url(public_url)
    choices = look_at_own_time(
        workspace, Choices(clock=make_clock(at), broker=broker, exchange_state=exchange_state, live=live)
    )
    lasts = timedelta(minutes=minutes)
    with work_at_desk(workspace, "serve", choices) as desk:
        _ = desk.limits  # without them the folder is no workspace
        if link is not None:
            desk.approvals.find_known(link)
        busy, mend = f"{workspace}: a page is served here already", "use its link, or stop it first"
        lock = ProcessLock(desk.mutexes.path("serve"), busy, desk.rights, mend)
        key_file = desk.state_dir / KEY_FILE
        try:
            lock.take()
        except WorkspaceBusy:
            if link is None:
                raise
            return _name_link(_read_known(key_file, public), public, link, lasts)
        try:
            files.discard(key_file)  # a server that was killed left it; nobody's links are made by it any more
            with _listen(host, port) as listening:
                address = find_address(host, listening.getsockname()[:2], public)
                return _serve(desk, choices, listening, key_file, address, link, lasts, read_only=read_only)
        finally:
            lock.release()


def _serve(  # noqa: PLR0913 - what was chosen
    desk: Desk,
    choices: Choices,
    listening: socket,
    key_file: Path,
    address: PageAddress,
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
    house = House(desk.workspace, choices, credentials, address.hosts, site=address.site, read_only=read_only)
    known: Known = {"key": credentials.key.hex(), "place": address.place, "hosts": sorted(address.hosts)}
    config = uvicorn.Config(
        make_application(house),
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    # The library has handlers of its own. Once stopped it raises the signal again, and ours lets us clean up.
    with _keep_key(key_file, known), stop_on_signals(stop):
        for plan_id in dict.fromkeys((None, link)):
            _name_link(known, None, plan_id, lasts)
        server.run(sockets=[listening])
    return 0


def _read_known(key_file: Path, public: str | None) -> Known:
    """Read what the server that runs here made known. Raises BadInput for one that does not answer for `public`."""
    try:
        known = cast("Known", read_json(key_file))
    except BadInput as error:
        mend = "give it a moment, then run the same command again"
        raise BadInput(key_file, "", "the server here is starting or ending", mend) from error
    host = None if public is None else urlsplit(public).hostname
    if host is not None and host not in known["hosts"]:
        mend = f"end it, and start it with --public-url {public}"
        raise BadInput("--public-url", "", f"the server that runs here does not answer for {host}", mend)
    return known


def _name_link(known: Known, public: str | None, plan_id: str | None, lasts: timedelta) -> int:
    """Print a link for a session with everything, or with one plan."""
    from Departments.web.sessions import make_link  # noqa: PLC0415 - only for this command

    token = make_link(bytes.fromhex(known["key"]), name_user(), SystemClock().now(), plan_id, lasts)
    what = "everything" if plan_id is None else make_safe(plan_id)
    text = f"For {what}, once, within {lasts // timedelta(minutes=1)} minutes: {public or known['place']}/enter/{token}"
    open_console().print(text, markup=False, highlight=False, soft_wrap=True)
    return 0


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket]:
    """Yield a socket that listens. Raises BadInput for an address that cannot be used."""
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(network.listen(host, port))
        except OSError as error:
            mend = "name another --port or --host"
            raise BadInput(
                "--port", "", f"{host}:{port} cannot be listened on ({files.describe(error)})", mend
            ) from error
        yield listening


@contextmanager
def _keep_key(file: Path, known: Known) -> Iterator[None]:
    """Keep the key in a file for this user, for as long as the server runs."""
    write_atomically(file, json.dumps(known), PRIVATE)
    try:
        yield
    finally:
        files.discard(file)


def register(app: typer.Typer) -> None:
    """Add `serve`."""
    app.command("serve", help=HELP)(serve)
