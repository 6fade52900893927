"""A request ends after its total time, however slowly its answer drips."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.credentials import Credentials
from Departments.core.errors import BrokerUnavailable
from Departments.core.platform.clock import SimulatedClock

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(params=["head", "body"])
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve one byte every tenth of a second, of the head or after it."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(HEAD[:20] if request.param == "head" else HEAD)
            while not stop.wait(0.1):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        thread.join(5)


def test_an_answer_that_drips_ends_after_the_total_time(dripping: str, clock: SimulatedClock) -> None:
    broker = AlpacaBroker(Credentials("key", "secret", dripping), clock, read_timeout=1, total_timeout=0.4)
    began = monotonic()
    with pytest.raises(BrokerUnavailable, match="did not answer"):
        broker.account()
    assert monotonic() - began < 3
    broker.close()
