"""What holds for every request and every answer: the host, the size, the headers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST: Final = 64_000  # bytes of a form
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer a browser names no origin of a form, either
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


#: Requests that change nothing.
LOOKS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser says of a form of this page, and of one that a person sends again from the address bar.
FROM_HERE: Final = frozenset({"same-origin", "none"})
STRANGE_FORM: Final = "This form is not of this page, and nothing was done; open the page anew."


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses other hosts (a page of a stranger may name 127.0.0.1), forms of other pages, and large ones.

    It also sets the headers. `site` is host and port of the links: behind a tunnel the Host header may differ from it.
    """

    app: ASGIApp
    hosts: Collection[str]
    site: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refuse(scope["method"], Headers(scope=scope))

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (refusal or self.app)(scope, receive, send_guarded)

    def _refuse(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if _read_host(headers.get("host", "")) not in self.hosts:
            return PlainTextResponse("This server does not answer for that host; name it by --public-url.", 421)
        if method not in LOOKS and not self._is_from_here(headers):
            return PlainTextResponse(STRANGE_FORM, 403)
        if not headers.get("content-length", "0").isdecimal() or int(headers.get("content-length", "0")) > LARGEST:
            return PlainTextResponse("The form is too large.", 413)
        return None

    def _is_from_here(self, headers: Headers) -> bool:
        """Return False if a browser says that another page sent the form. What is no browser says nothing."""
        if headers.get("sec-fetch-site", "none") not in FROM_HERE:
            return False
        said = headers.get("origin") or headers.get("referer")
        return said is None or urlsplit(said).netloc.lower() in {headers["host"].lower(), self.site} - {""}


def _read_host(text: str) -> str:
    """Return the host of a Host header without its port, empty for none."""
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""
