"""One-time links and sessions of the page. A session is a random name in a cookie; it ends with the server."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from Departments.core.approvers import ApprovalPlace, Approver
from Departments.core.errors import DepartmentsError
from Departments.core.moments import iso, parse_iso

LINK_LASTS: Final = timedelta(minutes=15)
SESSION_LASTS: Final = timedelta(hours=12)
#: A session by a link for one plan lasts so long.
VISIT_LASTS: Final = timedelta(minutes=30)


class LinkRefused(DepartmentsError):  # noqa: N818 - the visitor's word
    """A link is not ours, was used, or is too old."""


@dataclass(frozen=True, slots=True)
class Session:
    """One visitor. With a `plan_id` only this plan is shown. `form_key` is the hidden field of every form."""

    name: str
    who: Approver
    plan_id: str | None
    form_key: str
    until: datetime

    def may_see(self, plan_id: str) -> bool:
        """Return whether the visitor may see a plan."""
        return self.plan_id in {None, plan_id}


@dataclass(slots=True)
class Doorkeeper:
    """Makes links and sessions with one key. `now` is the machine's time, also beside a simulated desk."""

    key: bytes
    now: Callable[[], datetime]
    _used: dict[str, datetime] = field(default_factory=dict)
    _sessions: dict[str, Session] = field(default_factory=dict)

    def open_session(self, token: str) -> Session:
        """Use a link, once. Raises LinkRefused."""
        claim = self.read_link(token)
        until = parse_iso(claim["until"])
        self._forget_old()
        self._used[claim["nonce"]] = until
        plan_id = claim["plan_id"]
        place = ApprovalPlace.PAGE if plan_id is None else ApprovalPlace.LINK
        lasts = SESSION_LASTS if plan_id is None else VISIT_LASTS
        session = Session(
            secrets.token_urlsafe(32),
            Approver(claim["who"], place),
            plan_id,
            secrets.token_urlsafe(32),
            self.now() + lasts,
        )
        self._sessions[session.name] = session
        return session

    def read_link(self, token: str) -> dict[str, Any]:
        """Return what a link says, without using it. Raises LinkRefused."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(_sign(self.key, body).encode(), signature.encode()):
            raise LinkRefused("this link is not of this server; it ends with the server that made it")
        claim: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
        if parse_iso(claim["until"]) <= self.now():
            raise LinkRefused("this link has expired; ask for a new one")
        if claim["nonce"] in self._used:
            raise LinkRefused("this link was used before; ask for a new one")
        return claim

    def find_session(self, name: str | None) -> Session | None:
        """Return the session of a cookie, or None if there is none or it has ended."""
        session = self._sessions.get(name or "")
        return session if session is not None and session.until > self.now() else None

    def end_session(self, session: Session) -> None:
        """End a session."""
        self._sessions.pop(session.name, None)

    def _forget_old(self) -> None:
        now = self.now()
        self._used = {nonce: until for nonce, until in self._used.items() if until > now}
        self._sessions = {name: session for name, session in self._sessions.items() if session.until > now}


def make_key() -> bytes:
    """Return a new key for links."""
    return secrets.token_bytes(32)


def make_link(key: bytes, who: str, now: datetime, plan_id: str | None = None, lasts: timedelta = LINK_LASTS) -> str:
    """Return a signed token for one session as `who`, for one plan or (None) for everything."""
    claim = {"who": who, "plan_id": plan_id, "until": iso(now + lasts), "nonce": secrets.token_urlsafe(12)}
    body = base64.urlsafe_b64encode(json.dumps(claim).encode()).decode()
    return f"{body}.{_sign(key, body)}"


def is_form_key(session: Session, given: str) -> bool:
    """Return whether a form was made for this session."""
    return hmac.compare_digest(session.form_key.encode(), given.encode())


def _sign(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), sha256).hexdigest()
