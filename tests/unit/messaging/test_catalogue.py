"""The one table of messages: what it promises of itself, and that the departments keep to it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_type_hints

import pytest

from Departments.bootstrap import Desk
from Departments.core.departments import ALL, EXECUTIVE, OPERATIONS, OURS, TRADING
from Departments.core.errors import BadInput, UnroutableMessage
from Departments.core.readers import Symbol
from Departments.messaging import catalogue, codec
from Departments.messaging.catalogue import ANYBODY, CATALOGUE, Catalogue, MessageType, Skip
from Departments.messaging.message import Message
from Departments.messaging.payloads import ExecutiveApproval, Payload
from Departments.messaging.router import Route, Router
from tests.builders.desk import desk, workspace
from tests.builders.trading import order, request_text, send, unproven_workspace


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Desk]:
    opened = desk(workspace(tmp_path))
    yield opened
    opened.close()


def test_every_type_has_a_sender_and_a_recipient_that_there_is() -> None:
    for row in CATALOGUE:
        assert set(row.senders) <= set(ALL), row.name
        assert row.recipients, row.name
        assert {*row.recipients, *row.variants} <= set(ALL), row.name


def test_every_skip_gives_the_reason() -> None:
    skips = [entry for row in CATALOGUE for entry in row.recipients.values() if isinstance(entry, Skip)]
    assert skips
    assert all(skip.reason for skip in skips)


@pytest.mark.parametrize("department", OURS)
def test_every_department_has_the_handlers_that_the_catalogue_names(opened: Desk, department: str) -> None:
    rows = {row.name for row in CATALOGUE if department in row.recipients}
    assert set(opened.routers[department].rows) == rows


def test_every_handler_takes_the_payload_of_its_row(opened: Desk) -> None:
    for router in opened.routers.values():
        for name, route in router.rows.items():
            if isinstance(route, Route):
                _, wanted = list(inspect.signature(route.handler).parameters)
                assert issubclass(route.payload, get_type_hints(route.handler)[wanted]), (router.department, name)


def test_a_handler_that_no_row_names_and_a_row_without_its_handler_are_refused() -> None:
    one = Catalogue([MessageType("Gossip", Payload, ANYBODY, {TRADING: "listen"})])
    for handlers in ({}, {"listen": hear, "talk": hear}):
        with pytest.raises(ValueError, match="TRADING: the catalogue names"):
            Router(TRADING, handlers, catalogue=one)
    assert set(Router(TRADING, {"listen": hear}, catalogue=one).rows) == {"Gossip"}


def hear(_message: Message, _payload: Payload) -> None:
    """Do nothing."""


def test_a_type_has_one_row() -> None:
    row = MessageType("Gossip", Payload, ANYBODY, {TRADING: "listen"})
    with pytest.raises(ValueError, match="two rows"):
        Catalogue([row, row])


def test_regime_updates_are_skipped_by_trading_and_by_nobody_else(opened: Desk) -> None:
    rows = {name: router.rows.get("RegimeUpdate") for name, router in opened.routers.items()}
    assert isinstance(rows[TRADING], Skip)
    assert not isinstance(rows[EXECUTIVE], Skip)
    assert not isinstance(rows[OPERATIONS], Skip)


def test_an_alias_is_the_type_it_stands_for(opened: Desk) -> None:
    text = request_text(order("DBX", "BUY", 92), message_type="execution_request")
    router = opened.routers[TRADING]
    message = codec.decode(text.encode(), name="a.md")
    assert router.type_of(message) == "ExecutiveApproval"
    assert router.row_for(message) is router.rows["ExecutiveApproval"]


ROOMS = ("Executive", "Operations", "Regime", "Trading", "commands")
LOOKING = {"checking.py", "messages.py"}  # they show what a file holds, whatever it is
PASSING_ON = {"morning.py"}  # gives hooks a neighbour's words and delivers theirs, once the models have read them


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_builds_or_reads_a_payload_beside_its_model(room: str) -> None:
    package = Path(catalogue.__file__).parents[1]
    for path in sorted(each for each in (package / room).rglob("*.py") if each.name not in PASSING_ON):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            reads = isinstance(node, ast.Attribute) and node.attr == "payload" and path.name not in LOOKING
            builds = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "body_with" and len(node.args) > 1
            by_key = ast.unparse(node) if reads or builds else None
            assert by_key is None, f"{path} handles a payload as a dict"


def test_a_misspelt_key_is_a_dead_letter_with_its_mend(tmp_path: Path) -> None:
    folder = unproven_workspace(tmp_path)
    name = send(folder, order("DVN", "SELL", 10) | {"pric": 33.61})
    with closing(desk(folder)) as opened:
        opened.trading.process_inbox()
        assert len(opened.broker.orders("all")) == 0
    aside = folder / "Messages_Between_Departments" / "Dead_Letter" / TRADING / f"{name}.md.reason.yaml"
    reason = codec.load_mapping(aside.read_text(encoding="utf-8"))
    assert reason["code"] == "INVALID_PAYLOAD"
    assert (
        reason["sentence"] == f"{name}: pric: is not a known key; did you mean `price`? Correct its name or remove it."
    )


# --- a new message type: one row, one model, one handler, one test ---


class DividendNotice(Payload):
    """A dividend is paid."""

    symbol: Symbol


DIVIDEND = MessageType("DividendNotice", DividendNotice, ("RESEARCH",), {OPERATIONS: "note_dividend"})


class Accountant:
    """A department that does something with one type of message."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        handlers = {"note_dividend": self.note_dividend}
        self.router = Router(OPERATIONS, handlers, catalogue=Catalogue([DIVIDEND]))

    def note_dividend(self, _: Message, notice: DividendNotice) -> None:
        self.noted.append(notice.symbol)


def dividend(payload: dict[str, object]) -> Message:
    text = request_text(payload, message_type="DividendNotice", message_id="MSG_D")
    return codec.decode(text.replace("to: TRADING", "to: OPERATIONS").encode(), name="MSG_D.md")


def test_a_new_type_is_one_row_one_model_and_one_handler() -> None:
    accountant, message = Accountant(), dividend({"ticker": "ups"})
    route = accountant.router.row_for(message)
    assert isinstance(route, Route)
    route.handler(message, route.payload.of(message))
    assert accountant.noted == ["UPS"]


def test_the_payload_of_a_new_type_is_checked_before_its_handler_is_called() -> None:
    accountant, message = Accountant(), dividend({"tickr": "UPS"})
    route = accountant.router.row_for(message)
    assert isinstance(route, Route)
    with pytest.raises(BadInput, match=r"MSG_D: tickr: is not a known key; did you mean `ticker`\?"):
        route.handler(message, route.payload.of(message))
    assert accountant.noted == []


def test_a_recipient_without_an_entry_has_no_handler_for_the_type() -> None:
    message = codec.decode(
        request_text(order("DBX", "BUY", 1)).replace("to: TRADING", "to: OPERATIONS").encode(), name="a"
    )
    with pytest.raises(UnroutableMessage, match="which OPERATIONS has no handler for"):
        Accountant().router.row_for(message)


def test_the_payload_of_an_approval_is_its_model() -> None:
    row = CATALOGUE.find("execution_request")
    assert row is not None
    assert row.payload_for(TRADING) is ExecutiveApproval
