"""Map Alpaca's failures to our errors: one table of answers, one of reasons for a refusal.

A 4xx with a numeric code or with words of Alpaca's own, other than 401, 408, 425 and 429, is a certain refusal.
Everything else leaves open what happened: a 404 of some proxy is not "no such order", and a 504 is not "not accepted".

One code can mean several things: 40310000 is buying power, held shares or a wash trade, 40010001 a client order id
used before or an inactive asset. The other fields of the answer and its message decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from Departments.brokers.alpaca.credentials import KEY_ID, SECRET_KEY
from Departments.core.errors import (
    BrokerError,
    BrokerUnavailable,
    NotAuthorized,
    NotFound,
    Refusal,
    Refused,
    Unanswerable,
)

INVALID = 42210000  # an order whose own terms are wrong
_LONGEST_QUOTE = 200  # characters of a foreign answer that a sentence for people may carry


class Passing(BrokerUnavailable):
    """A passing trouble: the same question may be answered a little later."""


class QuestionRefused(Unanswerable):
    """Alpaca refused a question (400, 422), for example about an unparsable symbol."""


class NoSuchList(Unanswerable):
    """The address has no such list."""


class Reply(Protocol):
    """The HTTP library's response, as far as we use it."""

    status_code: int

    @property
    def text(self) -> str:
        """Return the body as text."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers; their names ignore case."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The readable parts of a failure. `wait` in seconds."""

    method: str
    subject: str
    status: int
    message: str
    code: int | None = None
    body: Mapping[str, Any] | None = None
    wait: float | None = None
    is_plain: bool = False

    @property
    def is_refusal(self) -> bool:
        """True if the request is refused for certain: a 4xx with a code, or with words that are no page.

        A 404 with words refuses a new order: the broker knows no such symbol or account.
        """
        is_undecided = self.status in _UNDECIDED and not (self.status == 404 and self.method == "POST")
        has_words = bool(self.message) and (bool(self.body) or self.is_plain) and not is_undecided
        return 400 <= self.status < 500 and (self.code is not None or has_words)

    @property
    def is_bare_forbidden(self) -> bool:
        """True for Alpaca's own `{"message": "forbidden."}`, not for a 403 of a proxy."""
        return self.code is None and bool(self.body) and self.message.lower().startswith("forbidden")

    @property
    def sentence(self) -> str:
        """Return the answer in words."""
        words = f": {self.message}" if self.message else ""
        return f"the broker answered {self.status} to {self.method} {self.subject}{words}"


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """One row: the meaning, the answers it covers, their error."""

    meaning: str
    covers: Callable[[Answer], bool]
    error: Callable[[Answer], BrokerError]


#: Not found, too late, too early, closed by the client, or asked for by a proxy: the outcome is unknown.
_UNDECIDED = frozenset({404, 407, 408, 425, 499})

#: Where a refusal keeps its words.
_WORDS = ("message", "error", "errors", "detail", "reason")

#: Statuses that only a program that has read the request gives: bad request and unprocessable content.
_READ_IN_FULL = frozenset({400, 422})

#: The first row that covers an answer counts; without one it is BrokerUnavailable.
TABLE = (
    KnownAnswer(
        "bad key", lambda a: a.status == 401, lambda a: NotAuthorized(f"{a.sentence}; check {KEY_ID} and {SECRET_KEY}")
    ),
    KnownAnswer(
        "key without rights", lambda a: a.status == 403 and a.is_bare_forbidden, lambda a: NotAuthorized(a.sentence)
    ),
    KnownAnswer("rate limit", lambda a: a.status == 429, lambda a: Passing(a.sentence, a.wait)),
    KnownAnswer("server trouble", lambda a: a.status >= 500, lambda a: Passing(a.sentence, a.wait)),
    KnownAnswer(
        "no such thing",
        lambda a: a.status == 404 and a.code is not None and a.method != "POST",
        lambda a: NotFound(a.message or a.sentence),
    ),
    KnownAnswer(
        "refused",
        lambda a: a.is_refusal and a.method != "GET",
        lambda a: read_refusal(a.status, a.code, a.message, a.body or {}),
    ),
    KnownAnswer(
        "senseless question",
        lambda a: a.status in {400, 422} and a.method == "GET",
        lambda a: QuestionRefused(a.sentence),
    ),
    KnownAnswer(
        "forbidden question", lambda a: a.status == 403 and a.method == "GET", lambda a: Unanswerable(a.sentence)
    ),
    KnownAnswer(
        "no such list",
        lambda a: a.method == "GET" and a.status in {404, 405, 410} and bool(a.body) and a.code is None,
        lambda a: NoSuchList(a.sentence),
    ),
)


def map_answer(answer: Answer) -> BrokerError:
    """Return our error for an answer."""
    row = next((row for row in TABLE if row.covers(answer)), None)
    return row.error(answer) if row else BrokerUnavailable(answer.sentence)


def read_answer(method: str, subject: str, reply: Reply, now: datetime) -> Answer:
    """Read a failure; its body may be Alpaca's JSON, a proxy's HTML or nothing at all."""
    body = _read_object(reply.text)
    words = " ".join(reply.text.split())[:_LONGEST_QUOTE]
    message = _read_message(body) if body else words
    is_plain = reply.status_code in _READ_IN_FULL and bool(words) and not words.startswith(("<", "{", "["))
    wait = _read_wait(reply.status_code, reply.headers, now)
    return Answer(method, subject, reply.status_code, message, _read_code(body.get("code")), body, wait, is_plain)


def _read_message(body: Mapping[str, Any]) -> str:
    """Return the words of a refusal, whichever of the usual keys they stand under."""
    found = next((body[key] for key in _WORDS if body.get(key)), "")
    return found if isinstance(found, str) else json.dumps(found, default=str)


def _read_object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _read_code(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None


def _read_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait: Retry-After, or for 429 the reset of the rate limit (epoch)."""
    asked = headers.get("Retry-After", "")
    if asked:
        return _read_seconds(asked, now)
    reset = headers.get("X-RateLimit-Reset", "")
    return max(0.0, int(reset) - now.timestamp()) if status == 429 and reset.isascii() and reset.isdigit() else None


def _read_seconds(asked: str, now: datetime) -> float | None:
    """Read Retry-After: a number of seconds or a date (RFC 9110, 10.2.3)."""
    if asked.strip().isascii() and asked.strip().isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: a vendor's code, its signs in fields or message, our reason, and the numbers to keep.

    The numbers are `fields` of the answer's body and the named groups of `message`.
    """

    vendor_code: int
    reason: Refusal
    message: re.Pattern[str]
    fits: Callable[[Mapping[str, Any]], bool] = lambda _: False
    fields: tuple[str, ...] = ()


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_QUANTITIES = r"insufficient qty available(?:.*requested: (?P<requested>[\d.]+))?"
_ASSET = r"asset \"?(?P<symbol>[^\s\"]+)\"? (?:not found|is not tradable|cannot be sold short|is not active)"

#: The first row that fits counts; without one it is Refusal.OTHER.
MEANINGS = (
    Meaning(
        40310000,
        Refusal.SHARES_HELD,
        _pattern(_QUANTITIES),
        lambda body: "held_for_orders" in body,
        ("symbol", "available", "existing_qty", "held_for_orders", "related_orders"),
    ),
    Meaning(
        40310000,
        Refusal.WASH_TRADE,
        _pattern(r"wash trade"),
        lambda body: "existing_order_id" in body,
        ("existing_order_id",),
    ),
    Meaning(
        40310000,
        Refusal.BUYING_POWER,
        _pattern(r"insufficient (?:\w+ )*buying power"),
        lambda body: "buying_power" in body,
        ("buying_power", "cost_basis"),
    ),
    Meaning(40010001, Refusal.DUPLICATE_ID, _pattern(r"client_order_id must be unique")),
    Meaning(40010001, Refusal.ASSET, _pattern(_ASSET)),
    Meaning(40010001, Refusal.INVALID_ORDER, _pattern("")),
    Meaning(42210000, Refusal.ASSET, _pattern(_ASSET)),
    Meaning(
        42210000,
        Refusal.CANCEL_TOO_LATE,
        _pattern(r"order is already in \"?(?P<status>\w+)|not cancell?able"),
    ),
    Meaning(INVALID, Refusal.INVALID_ORDER, _pattern("")),
)


def read_refusal(status: int, code: int | None, message: str, body: Mapping[str, Any]) -> Refused:
    """Map a refusal of Alpaca's to ours, with its numbers and its words."""
    for row in MEANINGS:
        found = row.message.search(message)
        if row.vendor_code == code and (found or row.fits(body)):
            words = _words(message) if row.reason is Refusal.INVALID_ORDER else {}
            return Refused(row.reason, message, _numbers(row, found, body) | words)
    numbers = {"http": str(status)} | ({} if code is None else {"vendor_code": str(code)})
    return Refused(Refusal.OTHER, message, numbers | _words(message))


def _words(message: str) -> dict[str, str]:
    """Return the broker's own words, for a reason too vague without them."""
    return {"said": _one_word(message)} if message else {}


def _numbers(row: Meaning, found: re.Match[str] | None, body: Mapping[str, Any]) -> dict[str, str]:
    named = {k: v for k, v in found.groupdict().items() if v} if found else {}
    return named | {name: _one_word(body[name]) for name in row.fields if body.get(name) is not None}


def _one_word(value: Any) -> str:
    """Write a value as one word, for `key=value key=value`."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return "_".join(text.split())
