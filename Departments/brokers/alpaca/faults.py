"""What an answer of Alpaca that is no success means: one table from (method, status, code, message) to our errors.

A 4xx with a numeric code, other than 401 and 429, is a certain refusal. Everything else leaves open what happened:
a 404 of some proxy without Alpaca's code is not "no such order", and a 504 is not "not accepted".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from Departments.brokers.credentials import KEY_ID, SECRET_KEY
from Departments.core.errors import BrokerError, BrokerUnavailable, NotAuthorized, NotFound, OrderRefused

_LONGEST_QUOTE = 200  # characters of a foreign answer that a sentence for people may carry


class Passing(BrokerUnavailable):
    """A trouble that may pass soon; `wait` is how many seconds the broker asked us to wait, if it said so."""

    def __init__(self, sentence: str, wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class QuestionRefused(BrokerUnavailable):
    """A question that was itself refused (400, 422), such as one about a symbol the vendor cannot parse."""


class Reply(Protocol):
    """What is needed of the HTTP library's response."""

    status_code: int

    @property
    def text(self) -> str:
        """Return the body as text."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, whose names ignore case."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no success, taken apart as far as it can be. `wait` in seconds."""

    method: str
    subject: str
    status: int
    message: str
    code: int | None = None
    body: Mapping[str, Any] | None = None
    wait: float | None = None

    @property
    def is_bare_forbidden(self) -> bool:
        """Tell Alpaca's own `{"message": "forbidden."}` from the 403 of something in between."""
        return self.code is None and bool(self.body) and self.message.lower().startswith("forbidden")

    @property
    def sentence(self) -> str:
        """Return the answer in words."""
        said = f": {self.message}" if self.message else ""
        return f"the broker answered {self.status} to {self.method} {self.subject}{said}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what is meant, which answers it covers, the error made of them."""

    meaning: str
    covers: Callable[[Answer], bool]
    error: Callable[[Answer], BrokerError]


#: The first row that covers an answer holds; an answer that none covers is BrokerUnavailable.
TABLE = (
    Row(
        "bad key", lambda a: a.status == 401, lambda a: NotAuthorized(f"{a.sentence}; check {KEY_ID} and {SECRET_KEY}")
    ),
    Row("key without rights", lambda a: a.status == 403 and a.is_bare_forbidden, lambda a: NotAuthorized(a.sentence)),
    Row("rate limit", lambda a: a.status == 429, lambda a: Passing(a.sentence, a.wait)),
    Row("server trouble", lambda a: a.status >= 500, lambda a: Passing(a.sentence, a.wait)),
    Row(
        "no such thing",
        lambda a: a.status == 404 and a.code is not None and a.method != "POST",
        lambda a: NotFound(a.message or a.sentence),
    ),
    Row(
        "refused",
        lambda a: 400 <= a.status < 500 and a.code is not None and a.method != "GET",
        lambda a: OrderRefused(a.message, http_status=a.status, code=a.code or 0, body=a.body),
    ),
    Row(
        "senseless question",
        lambda a: a.status in {400, 422} and a.method == "GET",
        lambda a: QuestionRefused(a.sentence),
    ),
)


def error_of(answer: Answer) -> BrokerError:
    """Return the error that an answer means."""
    row = next((row for row in TABLE if row.covers(answer)), None)
    return row.error(answer) if row else BrokerUnavailable(answer.sentence)


def answer_of(method: str, subject: str, reply: Reply, now: datetime) -> Answer:
    """Take an answer apart; its body may be Alpaca's JSON, a proxy's HTML or nothing at all."""
    body = _object(reply.text)
    message = str(body.get("message") or "") if body else " ".join(reply.text.split())[:_LONGEST_QUOTE]
    wait = _wait(reply.status_code, reply.headers, now)
    return Answer(method, subject, reply.status_code, message, _code(body.get("code")), body, wait)


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _code(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None


def _wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds the broker asks us to wait: Retry-After, else for 429 the reset of its rate limit (epoch)."""
    asked = headers.get("Retry-After", "")
    if asked:
        return _seconds(asked, now)
    reset = headers.get("X-RateLimit-Reset", "")
    return max(0.0, int(reset) - now.timestamp()) if status == 429 and reset.isascii() and reset.isdigit() else None


def _seconds(asked: str, now: datetime) -> float | None:
    """Read Retry-After, which is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if asked.strip().isascii() and asked.strip().isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (ValueError, TypeError):
        return None
