"""The page over HTTP, without a browser: every form, every refusal."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from threading import Event, Timer

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from Departments.bootstrap import Choices
from Departments.core.approvers import AUTOMATIC
from Departments.core.platform.clock import SimulatedClock
from Departments.exchange import storage
from Departments.Executive.day_order import DayOrder
from Departments.web.application import House, make_application
from Departments.web.deeds import OF_A_PLAN
from Departments.web.forms import MEDIA_TYPE
from Departments.web.guard import LARGEST
from tests.builders.desk import MORNING, desk, two_and_two, write_yaml
from tests.builders.pages import Page
from tests.web.conftest import Hands, link

NAME = "PLAN_20251110_150000"
PLAN = f"/plans/{NAME}"


class Visitor:
    """A visitor with a browser's cookies and no scripts."""

    def __init__(self, house: House, client: TestClient) -> None:
        self.house = house
        self.client = client

    def open(self, path: str) -> Page:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        page = Page(answer.text)
        assert page.unclosed == []
        return page

    def fields(self, path: str, action: str, symbol: str | None = None) -> dict[str, str]:
        """Return the hidden fields of a form of a page."""
        forms = re.findall(rf'<form method="post" action="{action}".*?</form>', self.client.get(path).text, re.DOTALL)
        wanted = [form for form in forms if symbol is None or f'value="{symbol}"' in form]
        assert wanted, f"no form {action} on {path}"
        return {row["name"]: row.get("value", "") for row in Page(wanted[0]).all("input") if row["name"] != "scope"}

    def send(self, action: str, fields: dict[str, str]) -> Response:
        return self.client.post(action, data=fields)

    def do_by_name(self, action: str, **fields: str) -> Response:
        """Send a form that the page does not show."""
        return self.send(action, self.fields("/days", "/leave") | fields)

    def do(self, path: str, action: str, symbol: str | None = None, /, **more: str) -> Response:
        return self.send(action, self.fields(path, action, symbol) | more)


@pytest.fixture
def enter(house: House, hands: Hands) -> Callable[..., Visitor]:
    """Return a function that lets somebody in by a link."""
    return open_door(house, hands)


def open_door(house: House, hands: Hands) -> Callable[..., Visitor]:
    application = make_application(house)

    def come_in(plan_id: str | None = None, who: str = "anna@desk") -> Visitor:
        client = TestClient(application, base_url="http://testserver")
        door = client.get(link(house, hands, plan_id, who))
        token = Page(door.text).all("input")[0]["value"]
        assert client.post("/enter", data={"token": token}).status_code == 200
        return Visitor(house, client)

    return come_in


@pytest.fixture
def anna(enter: Callable[..., Visitor]) -> Visitor:
    return enter()


def say(answer: Response) -> str:
    return Page(answer.text).text


# --- who comes in ---


@pytest.mark.parametrize(
    "path", ["/", "/days", PLAN, f"{PLAN}/execute", f"/reports/{NAME}", "/messages/MSG_X", "/events"]
)
def test_without_a_session_nothing_is_shown(house: House, path: str) -> None:
    answer = TestClient(make_application(house)).get(path)
    assert answer.status_code == 403
    assert "ALKS" not in answer.text
    assert NAME not in answer.text


def test_a_link_works_once_and_not_by_being_looked_at(house: House, hands: Hands) -> None:
    client, path = TestClient(make_application(house)), link(house, hands)
    for _ in range(2):  # a messenger looks at what it shows
        assert client.get(path).status_code == 200
    token = path.rpartition("/")[2]
    assert client.post("/enter", data={"token": token}).status_code == 200
    stranger = TestClient(make_application(house))
    for again in (stranger.post("/enter", data={"token": token}), stranger.get(path)):
        assert again.status_code == 403
        assert "used before" in again.text


def test_a_link_expires_and_so_does_a_session(house: House, hands: Hands, enter: Callable[..., Visitor]) -> None:
    path, anna = link(house, hands), enter(NAME)
    hands.move(minutes=16)
    assert "has expired" in TestClient(make_application(house)).get(path).text
    assert anna.client.get(PLAN).status_code == 200
    hands.move(minutes=16)
    assert anna.client.get(PLAN).status_code == 403


@pytest.mark.parametrize("spoil", [lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), lambda t: "x" + t, lambda t: "x"])
def test_a_forged_link_is_refused(house: House, hands: Hands, spoil: Callable[[str], str]) -> None:
    token = spoil(link(house, hands).rpartition("/")[2])
    client = TestClient(make_application(house))
    assert client.get(f"/enter/{token}").status_code == 403
    assert client.post("/enter", data={"token": token}).status_code == 403


def test_a_link_for_one_plan_shows_this_plan_alone_and_sends_nothing(enter: Callable[..., Visitor]) -> None:
    bob = enter(NAME, "bob@phone")
    page = bob.open(PLAN)
    assert "You are bob@phone, by a link for one plan" in page.text
    assert page.all("nav") == []
    for path in ("/", "/days", "/plans/PLAN_OTHER", "/messages/MSG_X", f"{PLAN}/execute", "/events"):
        assert bob.client.get(path).status_code == 403, path
    fields = bob.fields(PLAN, f"{PLAN}/approve")
    assert bob.send("/desk/halt", fields | {"comment": "x"}).status_code == 403
    assert bob.send(f"{PLAN}/execute", fields).status_code == 404


def test_the_session_is_a_cookie_that_scripts_and_strangers_do_not_get(house: House, hands: Hands) -> None:
    client = TestClient(make_application(house))
    token = link(house, hands).rpartition("/")[2]
    cookie = client.post("/enter", data={"token": token}, follow_redirects=False).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    token = link(house, hands).rpartition("/")[2]
    tunnelled = client.post(
        "/enter", data={"token": token}, follow_redirects=False, headers={"x-forwarded-proto": "https"}
    )
    assert "Secure" in tunnelled.headers["set-cookie"]


def test_a_session_ends_when_it_is_ended(anna: Visitor) -> None:
    assert anna.do("/", "/leave").status_code == 403
    assert anna.client.get("/").status_code == 403


# --- what holds for every request ---


def test_every_answer_has_a_strict_policy(anna: Visitor) -> None:
    for path in ("/", PLAN, "/nowhere", "/static/style.css"):
        headers = anna.client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", PLAN, "/days"])
def test_pages_have_no_inline_script_or_style_and_lead_nowhere_else(anna: Visitor, path: str) -> None:
    page = anna.open(path)
    assert [script for script in page.all("script") if not script.get("src", "").startswith("/static/")] == []
    assert page.all("style") == []
    assert [tag for tag, attributes in page.tags if "style" in attributes or "onclick" in attributes] == []
    assert [to for to in page.leads_to if not to.startswith(("/", "#", "data:,"))] == []


def test_another_host_and_a_large_form_are_refused(house: House, anna: Visitor) -> None:
    stranger = TestClient(make_application(house), base_url="http://evil.example")
    assert stranger.get("/").status_code == 421
    large, form = b"x" * (LARGEST + 1), {"content-type": MEDIA_TYPE}
    assert anna.client.post("/desk/halt", content=large, headers=form).status_code == 413
    in_parts = anna.client.post("/desk/halt", content=iter([large]), headers=form)  # of no known length
    assert in_parts.status_code == 413


@pytest.mark.parametrize("change", [{"form_key": "x"}, {"form_key": ""}])
def test_a_form_of_another_session_does_nothing(anna: Visitor, change: dict[str, str]) -> None:
    answer = anna.do(PLAN, f"{PLAN}/approve", **change)
    assert answer.status_code == 403
    assert "not of your session" in answer.text
    assert "Not approved" in anna.open(PLAN).text


STRANGERS = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://testserver:8080"},
    {"origin": "http://testserver.evil.example"},
    {"referer": "http://evil.example/testserver"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://testserver"},
]


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_a_form_from_another_site_does_nothing(anna: Visitor, headers: dict[str, str]) -> None:
    fields = anna.fields(PLAN, "/leave")
    for action in ("/enter", "/leave", f"{PLAN}/approve", "/desk/halt", "/nowhere", "/"):
        answer = anna.client.post(action, data=fields, headers=headers)
        assert answer.status_code == 403
        assert "not of this page, and nothing was done" in answer.text
    assert anna.client.get("/").status_code == 200


def test_a_link_is_not_used_up_by_another_site(house: House, hands: Hands) -> None:
    client, token = TestClient(make_application(house)), link(house, hands).rpartition("/")[2]
    assert client.post("/enter", data={"token": token}, headers=STRANGERS[0]).status_code == 403
    assert client.post("/enter", data={"token": token}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://testserver"},
        {"origin": "https://desk.example.org", "sec-fetch-site": "same-origin"},
        {"referer": f"http://testserver{PLAN}"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
def test_a_form_of_the_page_itself_is_taken_behind_a_tunnel_too(
    house: House, hands: Hands, headers: dict[str, str]
) -> None:
    client = TestClient(make_application(replace(house, site="desk.example.org")))
    token = link(house, hands).rpartition("/")[2]
    assert client.post("/enter", data={"token": token}, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["", "evil.example", "0.0.0.0:80", "[::1", "testserver.x.example:80", "127.0.0.1.x.y"])
def test_only_the_hosts_of_the_page_are_answered(anna: Visitor, host: str) -> None:
    assert anna.client.get("/", headers={"host": host}).status_code == 421


# --- what a form may hold ---


@pytest.mark.parametrize(
    ("path", "action", "change", "words"),
    [
        ("/", "/desk/halt", {"comment": " "}, "Reason is empty; write a word"),
        ("/", "/desk/halt", {"comment": "x" * 301}, "Reason has 301 characters; write at most 300"),
        ("/", "/desk/halt", {"comment": "x", "scope": "sells"}, "What is none of its choices"),
        ("/", "/desk/halt", {"comment": "x", "scope": ""}, "What is none of its choices"),
        ("/", "/desk/halt", {"comment": "x", "until": "noon"}, "has no field 'until'"),
        (PLAN, f"{PLAN}/comment", {"comment": "\n"}, "Comment is empty"),
        (PLAN, f"{PLAN}/comment", {"comment": "x" * 5000}, "Comment has 5000 characters"),
        (PLAN, f"{PLAN}/reject", {"comment": "x" * 301}, "Reason has 301 characters"),
        (PLAN, f"{PLAN}/approve", {"digest": ""}, "'digest' is not what the page sent; open the page anew"),
        (PLAN, f"{PLAN}/veto", {"symbol": ""}, "'symbol' is not what the page sent"),
        (PLAN, f"{PLAN}/veto", {"symbol": "ZZZ"}, "has no order of ZZZ"),
        (PLAN, f"{PLAN}/veto", {"comment": "x" * 301}, "Why has 301 characters"),
    ],
)
def test_a_wrong_field_is_named_as_the_page_names_it(
    anna: Visitor, path: str, action: str, change: dict[str, str], words: str
) -> None:
    answer = anna.do(path, action, **change)
    assert answer.status_code in {400, 422}
    assert words in say(answer)
    assert "departments " not in say(answer)
    opened = desk(anna.house.workspace)
    assert opened.ledger.opinions.find(NAME) == []
    assert opened.ledger.halts.find() is None
    opened.close()


@pytest.mark.parametrize("action", ["/desk/halt", "/desk/unhalt", *(f"{PLAN}/{deed}" for deed in OF_A_PLAN), "/enter"])
def test_every_form_refuses_what_no_form_of_the_page_holds(anna: Visitor, action: str) -> None:
    key, urlencoded = anna.fields(PLAN, "/leave")["form_key"], {"content-type": MEDIA_TYPE}
    bodies = {
        f"form_key={key}&form_key={key}": (400, "is there twice"),
        f"form_key={key}&comment=%ff%fe": (400, "is not text in UTF-8"),
        f"form_key={key}&comment=\xff": (400, "is not text in UTF-8"),
        f"form_key={key}" + "&x=" * 50: (400, "more than 20 fields"),
        f"form_key={key}&later=now": (400, "; open the page anew"),
    }
    for body, (code, words) in bodies.items():
        answer = anna.client.post(action, content=body.encode("latin-1"), headers=urlencoded)
        assert (answer.status_code, words in say(answer)) == (code, True), (body, say(answer))
    for media_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = anna.client.post(action, content=f"form_key={key}".encode(), headers={"content-type": media_type})
        assert answer.status_code == 415
    for method in ("GET", "PUT", "DELETE"):
        answer = anna.client.request(method, action)
        assert answer.status_code == 405
        assert "go back to the page" in say(answer)


# --- a plan ---


def test_a_plan_shows_every_order_with_its_reason_and_the_price_of_now(anna: Visitor) -> None:
    text = anna.open(PLAN).text
    for words in ("2 SELLs for $19,843, 2 BUYs for $9,154", "ALKS BUY 150", "CTVA SELL 190", "Price now $64.64"):
        assert words in text
    assert "position uses 4.9 % of" in text
    assert "Limits after the plan" in text


def test_approving_is_the_approval_of_the_command_line(anna: Visitor) -> None:
    answer = anna.do(PLAN, f"{PLAN}/approve")
    assert "is approved; departments run executes it" in say(answer)
    opened = desk(anna.house.workspace)
    plan = opened.day.approvals.find_approved_today()
    assert plan is not None
    (approval,) = opened.day.approvals.documents(plan.plan)
    assert (approval["approved_by"], approval["approved_from"]) == ("anna@desk", "page")
    opened.close()
    assert (anna.house.workspace / "proposed_trades_2025-11-10.json").exists()


def test_a_double_click_changes_nothing_and_says_so(anna: Visitor) -> None:
    fields = anna.fields(PLAN, f"{PLAN}/approve")
    anna.send(f"{PLAN}/approve", fields)
    assert "was approved by you before; nothing has changed" in say(anna.send(f"{PLAN}/approve", fields))


def test_a_veto_takes_the_order_out_and_the_rest_is_shown_again(anna: Visitor) -> None:
    answer = anna.do(PLAN, f"{PLAN}/veto", "COMM", comment="enough of those")
    assert "COMM is out of the plan. The rest was checked again: 3 orders, and the review says " in say(answer)
    text = anna.open(PLAN).text
    assert "COMM BUY" not in text
    assert "anna@desk took COMM out (page)" in text
    assert ": enough of those" in text
    assert "VETOED_BY" in text


def test_a_stale_tab_is_harmless_and_said(anna: Visitor, enter: Callable[..., Visitor]) -> None:
    bob = enter(NAME, "bob@phone")
    fields = bob.fields(PLAN, f"{PLAN}/approve")
    anna.do(PLAN, f"{PLAN}/veto", "COMM")
    answer = bob.send(f"{PLAN}/approve", fields)
    assert answer.status_code == 409
    assert "has changed since you saw it; nothing was done" in say(answer)
    assert "Not approved" in bob.open(PLAN).text


def test_a_changed_limit_is_harmless_and_said(anna: Visitor) -> None:
    fields = anna.fields(PLAN, f"{PLAN}/approve")
    limits = anna.house.workspace / "config" / "hard_constraints.yaml"
    write_yaml(limits, {"position_limits": {"max_single_position_pct": 0.2}})
    answer = anna.send(f"{PLAN}/approve", fields)
    assert answer.status_code == 422
    assert "cannot be approved" in say(answer)
    assert "It cannot be approved" in anna.open(PLAN).text


def test_a_comment_and_a_rejection_are_in_the_ledger(anna: Visitor) -> None:
    anna.do(PLAN, f"{PLAN}/comment", comment="<script>why?</script>")
    page = anna.open(PLAN)
    assert "anna@desk commented (page)" in page.text
    assert "<script>why?</script>" in page.text
    assert page.all("script") == []
    assert "is rejected" in say(anna.do(PLAN, f"{PLAN}/reject", comment="not today"))
    assert "This plan is rejected." in anna.open(PLAN).text
    opened = desk(anna.house.workspace)
    kinds = [(each.kind, each.said_by, each.place) for each in opened.ledger.opinions.find(NAME)]
    assert kinds == [("comment", "anna@desk", "page"), ("rejection", "anna@desk", "page")]
    opened.close()


def test_two_different_users_must_approve_a_large_plan(anna: Visitor, enter: Callable[..., Visitor]) -> None:
    settings = {"approval": {"four_eyes_above": 1000}, "messaging": {"durability": "fast"}}
    write_yaml(anna.house.workspace / "config" / "settings.yaml", settings)
    assert "a second person must approve" in say(anna.do(PLAN, f"{PLAN}/approve"))
    again = enter(NAME, "anna@phone")
    assert "another user must approve it" in say(again.do(PLAN, f"{PLAN}/approve"))
    assert "is approved" in say(enter(NAME, "bob@phone").do(PLAN, f"{PLAN}/approve"))


def test_an_approved_plan_is_executed_after_one_more_question(anna: Visitor) -> None:
    anna.do(PLAN, f"{PLAN}/approve")
    assert "Execute 4 orders?" in anna.open(f"{PLAN}/execute").text
    site = anna.client.app.router.routes[0].endpoint.__self__  # type: ignore[attr-defined]
    assert "is being executed" in say(anna.do(f"{PLAN}/execute", f"{PLAN}/execute"))
    site.executions.wait()
    assert f"{NAME} has ended: COMPLETED" in anna.open("/").text
    assert "2 sold, 2 bought" in anna.open(f"/reports/{NAME}").text
    assert NAME in anna.open("/days").text
    assert (anna.house.workspace / "Reports" / f"{NAME}.html").exists()


class HeldClock(SimulatedClock):
    """A clock whose first wait lasts until somebody lets it go on."""

    def __init__(self) -> None:
        super().__init__(MORNING)
        self.goes_on = Event()

    def sleep(self, seconds: float) -> None:
        assert self.goes_on.wait(20)
        super().sleep(seconds)


def test_the_end_of_the_page_waits_for_an_execution_that_it_began(house: House, hands: Hands) -> None:
    clock = HeldClock()
    held = replace(house, choices=Choices(clock=clock))
    application = make_application(held)
    with TestClient(application) as client:
        assert client.post("/enter", data={"token": link(held, hands).rpartition("/")[2]}).status_code == 200
        anna = Visitor(held, client)
        anna.do(PLAN, f"{PLAN}/approve")
        assert "is being executed" in say(anna.do(f"{PLAN}/execute", f"{PLAN}/execute"))
        Timer(0.1, clock.goes_on.set).start()
    opened = desk(house.workspace)
    run = opened.ledger.plans.execution(NAME)
    assert run is not None
    assert run.ended_at is not None
    opened.close()


def test_a_second_click_on_execute_sends_nothing_and_does_not_deny_the_first(anna: Visitor) -> None:
    anna.do(PLAN, f"{PLAN}/approve")
    site = anna.client.app.router.routes[0].endpoint.__self__  # type: ignore[attr-defined]
    fields = anna.fields(f"{PLAN}/execute", f"{PLAN}/execute")
    anna.send(f"{PLAN}/execute", fields)
    site.executions.wait()
    answer = anna.send(f"{PLAN}/execute", fields)
    assert f"{NAME} was executed, and ended as COMPLETED; a second click sends nothing" in say(answer)
    opened = desk(anna.house.workspace)
    assert len(opened.ledger.plans.executions()) == 1
    opened.close()


def test_what_is_not_approved_is_not_executed(anna: Visitor) -> None:
    assert "cannot be executed from here" in anna.open(f"{PLAN}/execute").text
    fields = anna.fields(PLAN, f"{PLAN}/reject")
    del fields["comment"]
    answer = anna.send(f"{PLAN}/execute", fields)
    assert answer.status_code == 422
    assert "not today's approved plan; nothing was sent" in say(answer)


def test_another_approved_plan_is_not_executed_in_its_place(anna: Visitor) -> None:
    fields = anna.fields(PLAN, f"{PLAN}/reject")
    del fields["comment"]
    opened = desk(anna.house.workspace)
    other = opened.day.plan(DayOrder(plan=two_and_two() | {"plan_id": "PLAN_20251110_150100"}))
    opened.day.approve(other.filed.plan.plan_id, AUTOMATIC, other.filed)
    opened.close()
    assert "not today's approved plan; nothing was sent" in say(anna.send(f"{PLAN}/execute", fields))


def make_another(house: House) -> str:
    opened = desk(house.workspace)
    other = opened.day.plan(DayOrder(plan=two_and_two() | {"plan_id": "PLAN_20251110_150100"}))
    opened.close()
    return other.filed.plan.plan_id


def test_a_tab_from_before_a_newer_plan_approves_nothing(anna: Visitor) -> None:
    fields = anna.fields(PLAN, f"{PLAN}/approve")
    newer = make_another(anna.house)
    answer = anna.send(f"{PLAN}/approve", fields)
    assert answer.status_code == 409
    assert f"{newer} was made since you saw {NAME}; nothing was done" in say(answer)
    assert f"A newer plan of this day is there: {newer}" in anna.open(PLAN).text
    assert f"{NAME} is approved" in say(anna.do(PLAN, f"{PLAN}/approve"))


def test_of_two_approved_plans_the_page_says_which_one_is_executed(anna: Visitor) -> None:
    anna.do(PLAN, f"{PLAN}/approve")
    newer = make_another(anna.house)
    anna.do(f"/plans/{newer}", f"/plans/{newer}/approve")
    assert f"Approved, but {newer} was approved later" in anna.open(PLAN).text
    assert f"cannot be executed from here: {newer} was approved later" in anna.open(f"{PLAN}/execute").text
    assert f"/plans/{newer}/execute" in anna.open(f"/plans/{newer}").leads_to


def test_a_report_links_its_messages(anna: Visitor) -> None:
    anna.do(PLAN, f"{PLAN}/approve")
    site = anna.client.app.router.routes[0].endpoint.__self__  # type: ignore[attr-defined]
    anna.do(f"{PLAN}/execute", f"{PLAN}/execute")
    site.executions.wait()
    paths = [to for to in anna.open(f"/reports/{NAME}").leads_to if to.startswith("/messages/")]
    assert len(paths) >= 8
    for path in paths[:3]:
        assert f"message_id: {path.rpartition('/')[2]}" in anna.open(path).text


# --- the desk ---


def test_a_halt_begins_and_ends_by_a_form(anna: Visitor) -> None:
    assert "are halted by anna@desk" in say(anna.do("/", "/desk/halt", comment="the feed is wrong"))
    text = anna.open("/").text
    assert "the feed is wrong" in text
    assert "End the halt" in text
    assert "Ended: " in say(anna.do("/", "/desk/unhalt"))


def test_a_halt_by_the_page_is_the_one_of_the_command_line(anna: Visitor) -> None:
    assert "BUYs are halted by" in say(anna.do("/", "/desk/halt", comment="the feed is wrong", scope="buys"))
    again = say(anna.do_by_name("/desk/halt", comment="all of it", scope="all"))
    assert "BUYs and SELLs are halted by anna@desk" in again
    without = anna.do_by_name("/desk/halt")
    assert (without.status_code, "Reason is empty; write a word" in say(without)) == (400, True)
    assert "It takes the place of: BUYs are halted by anna@desk" in again


def test_a_read_only_page_has_no_forms_and_does_nothing(house: House, hands: Hands) -> None:
    client = TestClient(make_application(replace(house, read_only=True)))
    client.post("/enter", data={"token": link(house, hands).rpartition("/")[2]})
    visitor = Visitor(house, client)
    page = visitor.open(PLAN)
    assert [form["action"] for form in page.all("form")] == ["/leave"]
    key = visitor.fields(PLAN, "/leave")
    assert visitor.send(f"{PLAN}/approve", key).status_code == 403
    assert visitor.send("/desk/halt", key | {"comment": "x"}).status_code == 403


def test_the_standing_comes_as_events(anna: Visitor) -> None:
    with anna.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "event: standing"
        assert next(lines).startswith("data: ")


def test_what_is_nowhere_is_said(anna: Visitor) -> None:
    for path in ("/plans/PLAN_X", "/reports/PLAN_X", "/messages/MSG_X", "/nowhere"):
        answer = anna.client.get(path)
        assert answer.status_code == 404, path
        assert Page(answer.text).unclosed == []


def test_a_locked_ledger_is_said_in_words_of_the_page_and_looking_goes_on(house: House, hands: Hands) -> None:
    anna = open_door(replace(house, patience=0.05), hands)()
    with closing(sqlite3.connect(house.workspace / "sentinel.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = anna.do(PLAN, f"{PLAN}/comment", comment="too late")
        assert anna.client.get("/").status_code == 200
    assert answer.status_code == 503
    assert "the ledger is locked by another process; close what uses it and try again." in say(answer)
    assert "too late" not in anna.open(PLAN).text


def test_an_exchange_that_does_not_answer_is_said_and_no_unexpected_error(
    house: House, anna: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(house.workspace / "simulated_exchange.db", isolation_level=None)) as exchange:
        exchange.execute("BEGIN IMMEDIATE")
        answer = anna.client.get(PLAN)
        assert answer.status_code == 503
        assert "the simulated exchange does not answer" in say(answer)
        assert "the simulated exchange does not answer" in anna.open("/").text


def test_a_damaged_exchange_is_said_with_its_mend(house: House, anna: Visitor) -> None:
    with closing(sqlite3.connect(house.workspace / "simulated_exchange.db", isolation_level=None)) as exchange:
        exchange.execute("ALTER TABLE meta RENAME TO gone")
    answer = anna.client.get(PLAN)
    assert answer.status_code == 422
    assert "(no such table: meta); put a copy of it in its place, or move it away" in say(answer)
    assert "(no such table: meta)" in anna.open("/").text


def test_a_form_that_is_no_text_is_refused(anna: Visitor) -> None:
    form = {"content-type": MEDIA_TYPE}
    assert anna.client.post(f"{PLAN}/approve", content=b"\xff\xfe=1", headers=form).status_code == 400
