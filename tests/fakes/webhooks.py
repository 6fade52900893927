"""A web server on loopback that keeps what is posted to it, and which paths were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Posts:
    """The posts (path, JSON), and the paths of plain requests."""

    port: int = 0
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def address(self, kind: str, password: str) -> str:
        """Return the address for apprise."""
        return f"{kind}://user:{password}@127.0.0.1:{self.port}/hook"

    def url(self, path: str) -> str:
        """Return an address for a browser."""
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def receiving_posts() -> Iterator[Posts]:
    """Yield what a web server gets."""
    posts = Posts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            posts.received.append((self.path, json.loads(self.rfile.read(length))))
            self._answer()

        def do_GET(self) -> None:
            posts.paths.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        posts.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield posts
        finally:
            server.shutdown()
            thread.join()
