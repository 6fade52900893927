"""The application of the page: paths, sessions, and who answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any, Final

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from Departments.bootstrap import Choices, Desk, open_desk
from Departments.core.errors import BrokerError, DepartmentsError, LedgerBusy, WorkspaceBusy
from Departments.core.logs import make_logger
from Departments.core.platform.disk_trouble import AGAIN
from Departments.Executive.approvals import load_plan
from Departments.Executive.opinions import LONGEST_COMMENT, PlanChanged
from Departments.Executive.reporting.html_page import TEMPLATES, make_environment, report_values
from Departments.web import deeds, views
from Departments.web.forms import MEDIA_TYPE, DoorForm, FormFault, PlanForm, parse_fields, read_form
from Departments.web.guard import LARGEST, Guard
from Departments.web.sessions import Doorkeeper, LinkRefused, Session, is_form_key

log = make_logger(__name__)

HERE: Final = Path(__file__).parent
#: What the framework says, in the page's words.
_SAID: Final = {
    "Not Found": "there is no page at this address",
    "Method Not Allowed": "this address takes no such request; go back to the page",
}


@dataclass(frozen=True)
class House:
    """What the page is about: a workspace, who may come in, and what may be done."""

    workspace: Path
    choices: Choices
    credentials: Doorkeeper
    hosts: frozenset[str]
    site: str = ""  # host and port of the links
    read_only: bool = False
    seconds: float = 5.0  # between two looks of the live standing
    patience: float = 5.0  # seconds for a ledger that another program keeps locked: the others wait, too
    turn: RLock = field(default_factory=RLock)

    @contextmanager
    def use_desk(self) -> Iterator[Desk]:
        """Yield the desk for one request; requests take turns."""
        with self.turn:
            desk = open_desk(self.workspace, replace(self.choices, ledger_patience=self.patience))
            try:
                yield desk
            finally:
                desk.close()


def make_application(house: House) -> Starlette:
    """Return the application."""
    site = Site(house)
    plan = "/plans/{plan_id:str}"
    return Starlette(
        routes=[
            Route("/", site.show_today),
            Route("/events", site.send_events),
            Route("/days", site.show_days),
            Route("/reports/{plan_id:str}", site.show_report),
            Route("/messages/{message_id:str}", site.show_message),
            Route(plan, site.show_plan),
            Route(f"{plan}/execute", site.confirm_execution),
            Route(f"{plan}/{{deed:str}}", site.do, methods=["POST"]),
            Route("/desk/{deed:str}", site.do, methods=["POST"]),
            Route("/enter/{token:str}", site.show_door),
            Route("/enter", site.enter, methods=["POST"]),
            Route("/leave", site.leave, methods=["POST"]),
            Route("/static/style.css", _send_style),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        lifespan=site.live,
        middleware=[Middleware(Guard, hosts=house.hosts, site=house.site)],
        exception_handlers={HTTPException: site.show_refusal, Exception: site.show_trouble},
    )


class Site:
    """Answers the requests. Every page but the door needs a session."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.executions = deeds.Executions(house.workspace, house.choices)
        self.cookie = f"departments_{sha256(house.credentials.key).hexdigest()[:12]}"  # two desks may share a host
        self.templates: Environment = make_environment(HERE / "templates")
        self.templates.globals["longest"] = LONGEST_COMMENT

    @asynccontextmanager
    async def live(self, _: Starlette) -> AsyncIterator[None]:
        """Serve, and at the end wait for an execution that goes on here."""
        yield
        if self.executions.is_running:
            log.info("%s; the page ends when it has ended", self.executions.said)
            await run_in_threadpool(self.executions.wait)

    # --- the door ---

    async def show_door(self, request: Request) -> Response:
        """Show the button that uses a link: what only looks at a link, such as a messenger's preview, uses none up."""
        token = request.path_params["token"]
        try:
            claim = self.house.credentials.read_link(token)
        except LinkRefused as error:
            raise HTTPException(403, error.sentence) from error
        return self._page("enter.html", None, token=token, plan_id=claim["plan_id"])

    async def enter(self, request: Request) -> Response:
        """Use a link and begin a session."""
        fields = await _read_fields(request)
        try:
            session = self.house.credentials.open_session(read_form(DoorForm, fields).token)
        except FormFault as error:
            raise HTTPException(400, error.sentence) from error
        except LinkRefused as error:
            raise HTTPException(403, error.sentence) from error
        to = RedirectResponse("/" if session.plan_id is None else f"/plans/{session.plan_id}", 303)
        is_safe = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        to.set_cookie(self.cookie, session.name, httponly=True, samesite="strict", secure=is_safe)
        return to

    async def leave(self, request: Request) -> Response:
        """End the session."""
        session = self._find_session(request)
        await self._check_form(request, session)
        self.house.credentials.end_session(session)
        raise HTTPException(403, "your session has ended")

    def _find_session(self, request: Request, plan_id: str | None = None) -> Session:
        """Return the visitor's session. Raises HTTPException without one, and for a plan that is not the link's."""
        session = self.house.credentials.find_session(request.cookies.get(self.cookie))
        if session is None:
            raise HTTPException(403, "nothing is shown without a session; departments serve --link makes a link")
        if session.plan_id is not None and (plan_id is None or not session.may_see(plan_id)):
            raise HTTPException(403, f"your link is for {session.plan_id} alone")
        return session

    async def _check_form(self, request: Request, session: Session) -> dict[str, str]:
        """Return the fields of a form of this session. Raises HTTPException for any other."""
        fields = await _read_fields(request)
        if not is_form_key(session, fields.get("form_key", "")):
            raise HTTPException(403, "this form is not of your session; open the page anew")
        return fields

    # --- pages ---

    async def show_today(self, request: Request) -> Response:
        """Show the standing, live where scripts may run."""
        session = self._find_session(request)
        standing = await run_in_threadpool(self._read_standing)
        return self._page("today.html", session, **standing)

    async def send_events(self, request: Request) -> Response:
        """Send the standing whenever it has changed, as server-sent events."""
        self._find_session(request)

        async def send() -> AsyncIterator[str]:
            last = ""
            while not await request.is_disconnected():
                self._find_session(request)
                found = await run_in_threadpool(self._read_standing)
                html = self.templates.get_template("standing.html").render(found)
                lines = "".join(f"data: {line}\n" for line in html.splitlines())
                yield f"event: standing\n{lines}\n" if html != last else ": still here\n\n"
                last = html
                await asyncio.sleep(self.house.seconds)

        return StreamingResponse(send(), media_type="text/event-stream")

    def _read_standing(self) -> dict[str, Any]:
        with self.house.use_desk() as desk:
            try:
                return {"standing": views.show_standing(desk), "trouble": "", "execution": self.executions.said}
            except DepartmentsError as error:
                return {"standing": None, "trouble": _say_here(error), "execution": self.executions.said}

    async def show_plan(self, request: Request) -> Response:
        """Show a plan with the forms for it."""
        plan_id = request.path_params["plan_id"]
        session = self._find_session(request, plan_id)
        return self._page("plan.html", session, plan=await run_in_threadpool(self._read_plan, plan_id))

    async def confirm_execution(self, request: Request) -> Response:
        """Ask once more before anything is sent."""
        plan_id = request.path_params["plan_id"]
        session = self._find_session(request)
        return self._page("confirm.html", session, plan=await run_in_threadpool(self._read_plan, plan_id))

    def _read_plan(self, plan_id: str) -> dict[str, Any]:
        with self._answer() as desk:
            filed = desk.day.approvals.find(plan_id)
            if filed is None:
                raise HTTPException(404, f"there is no plan {plan_id}")
            return views.show_plan(desk, views.read_plan(desk, filed))

    async def show_days(self, request: Request) -> Response:
        """Show every execution, newest first."""
        session = self._find_session(request)

        def read() -> list[dict[str, Any]]:
            with self._answer() as desk:
                return views.show_days(desk)

        return self._page("days.html", session, days=await run_in_threadpool(read))

    async def show_report(self, request: Request) -> Response:
        """Show the report of an executed plan."""
        plan_id = request.path_params["plan_id"]
        session = self._find_session(request, plan_id)

        def read() -> dict[str, Any]:
            with self._answer() as desk:
                if desk.ledger.plans.execution(plan_id) is None:
                    raise HTTPException(404, f"{plan_id} was not executed")
                return desk.pages.document(load_plan(desk.ledger.plans, plan_id))

        document = await run_in_threadpool(read)
        trail = [str(each["message_id"]) for each in document["page"]["trail"]]
        links = {} if session.plan_id else {each: f"/messages/{each}" for each in trail}
        return self._page("day_report.html", session, **report_values(document, links))

    async def show_message(self, request: Request) -> Response:
        """Show a message wherever it is."""
        session, message_id = self._find_session(request), request.path_params["message_id"]

        def read() -> dict[str, Any]:
            with self._answer() as desk:
                found = views.show_message(desk, message_id)
            if found is None:
                raise HTTPException(404, f"there is no message {message_id}")
            return found

        return self._page("message.html", session, message=await run_in_threadpool(read))

    # --- deeds ---

    async def do(self, request: Request) -> Response:
        """Do what a form asks for: of a plan, or of the desk."""
        plan_id, name = request.path_params.get("plan_id"), request.path_params["deed"]
        session = self._find_session(request, plan_id)
        fields = await self._check_form(request, session)
        if self.house.read_only:
            raise HTTPException(403, "this page is read-only; nothing was done")
        deed = self._find_deed(session, plan_id, name)
        done = await run_in_threadpool(self._do, deed, session, plan_id or "", fields)
        return self._page("done.html", session, done=done)

    def _find_deed(self, session: Session, plan_id: str | None, name: str) -> deeds.Deed[Any]:
        if plan_id is None:
            found = deeds.OF_THE_DESK.get(name)
        elif name == "execute" and session.plan_id is None:  # a link for a phone approves; it does not send
            found = deeds.Deed(PlanForm, self.executions.begin)
        else:
            found = deeds.OF_A_PLAN.get(name)
        if found is None:
            raise HTTPException(404, f"there is no {name} here")
        return found

    def _do(self, deed: deeds.Deed[Any], session: Session, plan_id: str, fields: dict[str, str]) -> deeds.Done:
        with self._answer() as desk:
            return deed.carry_out(desk, session, plan_id, fields)

    @contextmanager
    def _answer(self) -> Iterator[Desk]:
        """Yield the desk; an error of ours becomes a page with its sentence."""
        try:
            with self.house.use_desk() as desk:
                yield desk
        except FormFault as error:
            raise HTTPException(400, error.sentence) from error
        except PlanChanged as error:
            raise HTTPException(409, error.sentence) from error
        except (BrokerError, LedgerBusy, WorkspaceBusy) as error:
            raise HTTPException(503, _say_here(error)) from error
        except DepartmentsError as error:
            raise HTTPException(422, _say_here(error)) from error

    # --- answers ---

    async def show_refusal(self, request: Request, error: Exception) -> Response:
        """Show why something was not shown or not done."""
        code = error.status_code if isinstance(error, HTTPException) else 500
        said = _SAID.get(str(getattr(error, "detail", "")), str(getattr(error, "detail", "an unexpected error")))
        session = self.house.credentials.find_session(request.cookies.get(self.cookie))
        plan_id = request.path_params.get("plan_id") or (session.plan_id if session else None)
        back = f"/plans/{plan_id}" if plan_id else "/"
        return self._page("refused.html", session, code=code, said=said, back=back)

    async def show_trouble(self, request: Request, error: Exception) -> Response:
        """Say that something unexpected happened; the log has it."""
        log.error("The page %s failed", request.url.path, exc_info=error)
        said = f"an unexpected error ({type(error).__name__}); the log of departments serve has it"
        return await self.show_refusal(request, HTTPException(500, said))

    def _page(self, template: str, session: Session | None, code: int = 200, **values: Any) -> HTMLResponse:
        shared = {"session": session, "read_only": self.house.read_only}
        html = self.templates.get_template(template).render(shared | values | {"code": code})
        return HTMLResponse(html, code)


def _say_here(error: DepartmentsError) -> str:
    """Return the sentence of an error to a reader who gives no commands."""
    return error.sentence.replace(AGAIN, "try again")


async def _read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises HTTPException for a large one, and for what is no form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise HTTPException(415, f"the page sends its forms as {MEDIA_TYPE}, and this is another; open the page anew")
    body = b""
    async for part in request.stream():  # a form in parts has no length beforehand
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, "the form is too large; write less")
    try:
        return parse_fields(body)
    except FormFault as error:
        raise HTTPException(400, error.sentence) from error


async def _send_style(_: Request) -> Response:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    own = (HERE / "static" / "page.css").read_text(encoding="utf-8")
    return Response(style + own, media_type="text/css")
