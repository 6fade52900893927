from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.refusals import TABLE, NoSuchList, Passing, QuestionRefused, map_answer, read_answer
from Departments.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotAuthorized,
    NotFound,
    Refusal,
    Refused,
    Unanswerable,
)
from Departments.core.platform.clock import SimulatedClock
from tests.fakes import alpaca_answers as alpaca
from tests.fakes.loopback import Loopback, Reply

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)

#: Every answer that Alpaca's page of errors and its recorded answers know, and what each means to us.
CASES: list[tuple[str, str, int, Any, type[BrokerError]]] = [
    ("not enough buying power", "POST", 403, {"code": 40310000, "buying_power": "0"}, Refused),
    ("shares held", "POST", 403, {"code": 40310000, "held_for_orders": "70"}, Refused),
    ("wash trade", "POST", 403, {"code": 40310000, "existing_order_id": "x"}, Refused),
    ("id used", "POST", 422, {"code": 40010001, "message": "client_order_id must be unique"}, Refused),
    ("inactive asset", "POST", 422, {"code": 40010001, "message": "asset IPG is not active"}, Refused),
    ("unknown symbol", "POST", 422, {"code": 42210000, "message": 'asset "COMM" not found'}, Refused),
    ("code as text", "POST", 422, {"code": "42210000", "message": "sub-penny"}, Refused),
    ("cancel too late", "DELETE", 422, {"code": 42210000, "message": "order is already in"}, Refused),
    ("a 404 to a new order", "POST", 404, {"code": 40410000, "message": "no account"}, Refused),
    ("no such order", "GET", 404, {"code": 40410000, "message": "order not found"}, NotFound),
    ("nothing to cancel", "DELETE", 404, {"code": 40410000, "message": "order not found"}, NotFound),
    ("a 404 of a proxy", "GET", 404, "<html>", BrokerUnavailable),
    ("bad key", "GET", 401, {"message": "unauthorized."}, NotAuthorized),
    ("bad key with a code", "POST", 401, {"code": 40110000, "message": "not authorized"}, NotAuthorized),
    ("bad key without a body", "POST", 401, "", NotAuthorized),
    ("key without rights", "GET", 403, {"message": "forbidden."}, NotAuthorized),
    ("a 403 of a proxy", "POST", 403, "forbidden by policy", BrokerUnavailable),
    ("rate limit", "POST", 429, "", Passing),
    ("rate limit with a code", "POST", 429, {"code": 42910000, "message": "rate limit exceeded"}, Passing),
    ("bad gateway", "GET", 502, "<html>", Passing),
    ("server error with a code", "POST", 500, {"code": 50010000, "message": "internal"}, Passing),
    ("gateway timeout", "POST", 504, "", Passing),
    ("a symbol beyond parsing", "GET", 400, {"message": "invalid symbol: A B"}, QuestionRefused),
    ("a list that this address does not have", "GET", 404, {"message": "endpoint not found"}, NoSuchList),
    ("a senseless filter", "GET", 422, {"code": 42210000, "message": "invalid"}, QuestionRefused),
    ("recent SIP data", "GET", 403, {"message": "subscription does not permit querying"}, Unanswerable),
    ("refusal without a code", "POST", 422, {"message": "qty is odd"}, Refused),
    ("refused cancel without a code", "DELETE", 403, {"message": "not now"}, Refused),
    ("refusal without code and words", "POST", 422, {"message": ""}, BrokerUnavailable),
    ("request time-out in words", "POST", 408, {"message": "too slow"}, BrokerUnavailable),
    ("a 404 without a code", "DELETE", 404, {"message": "no route"}, BrokerUnavailable),
    ("a 404 in words to a new order", "POST", 404, {"message": "no such symbol"}, Refused),
    ("words under another key", "POST", 422, {"error": "qty is odd"}, Refused),
    ("words in a list", "POST", 400, {"errors": [{"field": "qty"}]}, Refused),
    ("words without JSON", "POST", 422, "qty must be above zero", Refused),
    ("a page for an answer", "POST", 422, "<html>", BrokerUnavailable),
    ("words with a rate limit", "POST", 429, {"message": "slow down"}, Passing),
    ("words of a broken server", "POST", 503, {"message": "down"}, Passing),
    ("code that is no number", "POST", 422, {"code": True, "message": "?"}, Refused),
    ("half an answer", "POST", 422, '{"code": 4221', BrokerUnavailable),
    ("a list for an answer", "POST", 422, [1, 2], BrokerUnavailable),
    ("teapot", "DELETE", 418, "", BrokerUnavailable),
]


class _Response:
    def __init__(self, reply: Reply) -> None:
        self.status_code = reply.status
        self.text = reply.content().decode()
        self.headers = reply.headers


def _error(method: str, reply: Reply) -> BrokerError:
    return map_answer(read_answer(method, "/orders", _Response(reply), NOW))


@pytest.mark.parametrize(("method", "status", "body", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_answer_means_one_error(method: str, status: int, body: Any, expected: type[BrokerError]) -> None:
    assert type(_error(method, Reply(status, body))) is expected


def test_every_row_of_the_table_is_reached_by_a_known_answer() -> None:
    answers = [read_answer(m, "/orders", _Response(Reply(status, body)), NOW) for _, m, status, body, _ in CASES]
    reached = {next((row.meaning for row in TABLE if row.covers(a)), None) for a in answers}
    assert reached - {None} == {row.meaning for row in TABLE}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_status_is_without_a_meaning_and_only_a_4xx_with_code_or_words_refuses(method: str) -> None:
    for status in range(300, 600):
        for body in ("", "<html>", {"code": 40310000, "message": "m"}, {"message": "m"}):
            error = _error(method, Reply(status, body))
            may_refuse = 400 <= status < 500 and isinstance(body, dict) and method != "GET"
            assert isinstance(error, BrokerError)
            assert may_refuse or not isinstance(error, Refused)


def test_a_refusal_keeps_the_brokers_numbers_and_words() -> None:
    body = {"code": 40310000, "message": "insufficient buying power", "buying_power": "1.5"}
    error = _error("POST", Reply(403, body))
    assert isinstance(error, Refused)
    assert (error.reason, str(error)) == (Refusal.BUYING_POWER, "insufficient buying power")
    assert error.numbers == {"buying_power": "1.5"}


def test_a_foreign_page_is_quoted_briefly() -> None:
    assert len(str(_error("GET", Reply(502, "<p>\n" * 10_000)))) < 300


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "Mon, 10 Nov 2025 15:10:09 GMT"}, 9.0),
        (429, {"Retry-After": "Mon, 10 Nov 2025 15:00:00 GMT"}, 0.0),
        (429, {"X-RateLimit-Reset": str(int(NOW.timestamp()) + 12)}, 12.0),
        (503, {"X-RateLimit-Reset": str(int(NOW.timestamp()) + 12)}, None),
        (429, {"Retry-After": "soon"}, None),
        (429, {}, None),
    ],
)
def test_the_broker_names_the_seconds_to_wait(status: int, headers: dict[str, str], wait: float | None) -> None:
    error = _error("GET", Reply(status, None, headers))
    assert isinstance(error, Passing)
    assert error.wait == wait


@pytest.mark.parametrize("trouble", [Reply(429), Reply(504, "<html>"), Reply(500), Reply(drop=True)])
def test_a_question_is_asked_again_after_a_pause_on_our_clock(
    script: Any, server: Loopback, broker: AlpacaBroker, clock: SimulatedClock, trouble: Reply
) -> None:
    script.on("GET /v2/account", trouble, trouble, alpaca.account())
    before = clock.now()
    assert broker.account().may_trade
    assert (len(server.calls), (clock.now() - before).total_seconds()) == (3, 3.0)


def test_a_question_is_asked_three_times_at_most(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", Reply(503))
    with pytest.raises(BrokerUnavailable, match="503"):
        broker.account()
    assert len(server.calls) == 3


def test_the_wait_that_the_broker_asks_for_is_kept(
    script: Any, server: Loopback, broker: AlpacaBroker, clock: SimulatedClock
) -> None:
    script.on("GET /v2/account", Reply(429, None, {"Retry-After": "17"}), alpaca.account())
    before = clock.now()
    broker.account()
    assert (clock.now() - before).total_seconds() == 17


@pytest.mark.parametrize("asked", ["3600", "99999999999999999", "9" * 400])
def test_a_broker_that_asks_for_too_long_a_wait_is_not_waited_for(
    script: Any, server: Loopback, broker: AlpacaBroker, clock: SimulatedClock, asked: str
) -> None:
    script.on("GET /v2/account", Reply(429, None, {"Retry-After": asked}))
    before = clock.now()
    with pytest.raises(BrokerUnavailable):
        broker.account()
    assert (len(server.calls), clock.now()) == (1, before)


def test_a_silent_broker_times_out_and_is_asked_once(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", Reply(hang=True))
    with pytest.raises(BrokerUnavailable, match="in time"):
        broker.account()
    assert len(server.calls) == 1


@pytest.mark.parametrize("body", ["<html>", '{"cash": ', [], {}, "null", {"cash": "much"}, 17, None], ids=str)
def test_an_account_that_cannot_be_read_is_unknown(script: Any, broker: AlpacaBroker, body: Any) -> None:
    script.on("GET /v2/account", Reply(200, body))
    with pytest.raises(BrokerUnavailable):
        broker.account()


def test_refused_keys_differ_from_an_unreachable_broker(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", Reply(401, {"message": "unauthorized."}))
    with pytest.raises(NotAuthorized):
        broker.account()


def test_no_error_ever_names_a_key(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/account", Reply(401, {"message": "unauthorized."}))
    with pytest.raises(NotAuthorized) as error:
        broker.account()
    chain: list[BaseException | None] = [error.value, error.value.__cause__, error.value.__context__]
    assert "not-a-secret" not in repr(chain) + str(chain)
    assert "not-a-secret" not in repr(vars(broker))
