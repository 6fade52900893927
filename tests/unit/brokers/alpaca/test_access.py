from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from Departments.brokers.alpaca.broker import connect
from Departments.brokers.alpaca.credentials import ALLOW_LIVE, Credentials, check_access, is_loopback
from Departments.core.errors import BadInput
from Departments.core.platform.clock import SimulatedClock
from Departments.core.settings import BrokerSettings

LIVE = "https://api.alpaca.markets"
YES = {ALLOW_LIVE: "yes"}


def _at(url: str, data_url: str | None = None) -> Credentials:
    return Credentials("PK", "secret", url, data_url)


@pytest.mark.parametrize(
    "url", ["https://paper-api.alpaca.markets", "https://PAPER-api.alpaca.markets", "http://127.0.0.1:8000"]
)
def test_paper_and_local_addresses_need_no_switch(url: str) -> None:
    check_access(_at(url), BrokerSettings(), live=False, environ={})


@pytest.mark.parametrize("in_settings", [True, False])
@pytest.mark.parametrize("environ", [YES, {}, {ALLOW_LIVE: "true"}])
@pytest.mark.parametrize("in_command", [True, False])
def test_live_needs_settings_and_environment_and_command(
    *, in_settings: bool, environ: dict[str, str], in_command: bool
) -> None:
    def check() -> None:
        check_access(_at(LIVE), BrokerSettings(live=in_settings), live=in_command, environ=environ)

    if in_settings and environ == YES and in_command:
        check()
    else:
        with pytest.raises(BadInput, match="real money"):
            check()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "https://API.alpaca.markets.",
        "https://broker.example",
        "https://paper-api.alpaca.markets@api.alpaca.markets",
        "https://paper-api.alpaca.markets.example",
        "https://localhost.example",
        "https://127.0.0.1.example",
    ],
)
def test_whatever_is_neither_paper_nor_local_counts_as_live(url: str) -> None:
    with pytest.raises(BadInput) as error:
        check_access(_at(url), BrokerSettings(live=True), live=True, environ={})
    assert ALLOW_LIVE in str(error.value)
    assert "--live" not in str(error.value)


@pytest.mark.parametrize("url", ["", "paper-api.alpaca.markets", "ftp://127.0.0.1", "http://[", "https://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="APCA_API_BASE_URL"):
        check_access(_at(url), BrokerSettings(), live=False, environ={})


def test_keys_never_travel_unencrypted() -> None:
    with pytest.raises(BadInput, match="unencrypted"):
        check_access(_at("http://paper-api.alpaca.markets"), BrokerSettings(), live=False, environ={})
    with pytest.raises(BadInput, match="APCA_API_DATA_URL"):
        check_access(_at("http://127.0.0.1:1", "http://data.alpaca.markets"), BrokerSettings(), live=False, environ={})


@pytest.mark.parametrize(("url", "is_local"), [("http://localhost:1", True), ("http://[::1]:1", True), (LIVE, False)])
def test_loopback_is_this_machine(url: str, *, is_local: bool) -> None:
    assert is_loopback(url) is is_local


def test_connect_refuses_the_live_host_and_gives_a_broker_for_a_local_one() -> None:
    clock = SimulatedClock(datetime(2025, 11, 10, tzinfo=UTC))
    with pytest.raises(BadInput):
        connect(_at(LIVE), BrokerSettings(), clock, live=True, environ=YES)
    broker = connect(_at("http://127.0.0.1:1"), BrokerSettings(), clock, live=False, environ={})
    assert broker.name == "alpaca"
    broker.close()


def test_importing_the_adapter_does_not_import_the_vendors_package() -> None:
    code = "import sys, Departments.brokers.alpaca; print([m for m in sys.modules if m in ('alpaca', 'requests')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"
