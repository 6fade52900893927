"""The pages as a person meets them in a browser: seen, heard, typed at and clicked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from Departments.core.approvers import AUTOMATIC
from tests.browser.conftest import Browser, Served
from tests.builders.commands import plan_file, run_of, say
from tests.builders.desk import desk, workspace
from tests.web.conftest import link

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"
PLAN = f"/plans/{NAME}"


@pytest.fixture
def report(tmp_path: Path, capsys: Capture) -> str:
    folder = workspace(tmp_path / "ws")
    assert say(capsys, *run_of(folder, "--plan", plan_file(folder))).code == 0
    return (folder / "Reports" / f"{NAME}.html").as_uri()


def enter(browser: Browser, served: Served, plan_id: str | None = None) -> None:
    browser.look(served.address + link(served.house, served.hands, plan_id))
    browser.driver.find_element(By.CSS_SELECTOR, "main button").send_keys(Keys.ENTER)
    wait_for_source(browser, "You are anna@desk")


def wait_for_source(browser: Browser, words: str) -> None:
    """Wait for words in the source: without scripts nobody can ask the page for its text."""
    for _ in range(200):
        if words in browser.driver.page_source:
            return
        time.sleep(0.02)
    raise AssertionError(f"{words!r} is not in {browser.driver.page_source}")


def press(browser: Browser, form: str) -> None:
    """Press the button of the first form for an action, by keyboard."""
    button = browser.driver.find_element(By.CSS_SELECTOR, f'form[action="{form}"] button')
    button.send_keys(Keys.ENTER)


# --- the report ---


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (1000, True), (390, False), (390, True)])
def test_a_report_is_drawn_without_complaints_faults_or_requests(
    browser: Browser, report: str, width: int, *, dark: bool
) -> None:
    browser.look(report, width=width, dark=dark)
    assert browser.complaints() == []
    assert browser.faults() == []
    assert browser.count_shades() > 60
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 24, 27)" if dark else "rgb(251, 251, 250)")
    line = browser.run("getComputedStyle(document.querySelector('.cash svg .serie-0 path')).stroke")
    assert line == ("rgb(103, 187, 216)" if dark else "rgb(31, 111, 139)")


def test_a_blank_page_has_few_shades(browser: Browser) -> None:
    browser.look("about:blank")
    assert browser.count_shades() < 10


def test_a_phone_shows_whole_pictures_and_every_number_of_an_order(browser: Browser, report: str) -> None:
    browser.look(report, width=390)
    figures = "[...document.querySelectorAll('figure')]"
    assert browser.run(f"{figures}.length") == 4
    assert browser.run(f"{figures}.every(each => each.scrollWidth <= each.clientWidth)")
    cells = "[...document.querySelectorAll('.lines tr:nth-child(1) td')]"
    assert browser.run(f"{cells}.every(each => each.getBoundingClientRect().right <= window.innerWidth)")
    named = browser.run(f"{cells}.map(each => getComputedStyle(each, '::before').content)")
    assert '"planned "' in named
    assert '"bps "' in named


def test_a_report_prints_on_a4_with_every_detail(browser: Browser, report: str) -> None:
    browser.look(report)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("getComputedStyle(document.querySelector('.lines thead')).position") == "static"
    closed = "[...document.querySelectorAll('details:not([open]) .table')]"
    assert browser.run(f"{closed}.length") > 0
    assert browser.run(f"{closed}.every(each => each.getBoundingClientRect().height > 20)")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# --- the served page ---


def test_every_page_is_without_complaints_and_faults_also_on_a_phone(browser: Browser, served: Served) -> None:
    enter(browser, served)
    for path in ("/", PLAN, "/days"):
        for width, dark in ((1000, False), (390, True)):
            browser.look(served.address + path, width=width, dark=dark)
            assert browser.faults() == [], path
            assert browser.count_shades() > 40, path
            assert browser.run("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert browser.complaints() == []


def test_on_a_phone_no_table_hides_a_number_beyond_its_edge(browser: Browser, served: Served) -> None:
    opened = desk(served.house.workspace)
    opened.day.approve(NAME, AUTOMATIC)
    opened.day.execute(opened.day.approvals.find_approved_today())
    opened.close()
    enter(browser, served)
    cut = "[...document.querySelectorAll('.table')].filter(t => t.scrollWidth > t.clientWidth + 1).length"
    for path in ("/", PLAN, "/days", f"/reports/{NAME}"):
        browser.look(served.address + path, width=390)
        assert browser.run(cut) == 0, path
    browser.look(served.address + "/days", width=390)
    assert browser.run("document.querySelector('tbody td:last-child').getBoundingClientRect().right <= 390")


def test_a_plan_is_vetoed_approved_and_executed_by_keyboard(browser: Browser, served: Served) -> None:
    enter(browser, served)
    browser.look(served.address + PLAN)
    summary = browser.driver.find_element(By.XPATH, "//summary[text()='Take COMM out']")
    summary.send_keys(Keys.ENTER)
    form = browser.driver.find_element(By.XPATH, "//form[.//button[text()='Take COMM out']]")
    form.find_element(By.NAME, "comment").send_keys("enough of those", Keys.ENTER)
    browser.wait_for("COMM is out of the plan")
    browser.driver.find_element(By.LINK_TEXT, "Go on").send_keys(Keys.ENTER)
    browser.wait_for("1 BUY for $4,899")
    press(browser, f"{PLAN}/approve")
    browser.wait_for("is approved")
    browser.look(served.address + PLAN)
    browser.driver.find_element(By.PARTIAL_LINK_TEXT, "Execute now").send_keys(Keys.ENTER)
    browser.wait_for("Execute 3 orders?")
    press(browser, f"{PLAN}/execute")
    browser.wait_for("is being executed")
    browser.driver.find_element(By.LINK_TEXT, "Go on").send_keys(Keys.ENTER)
    browser.wait_for(f"{NAME} has ended: COMPLETED")  # it comes by itself: nobody loads the page again
    opened = desk(served.house.workspace)
    assert sorted(t.symbol for t in opened.ledger.plans.trades(NAME)) == ["ALKS", "CTVA", "DVN"]
    opened.close()


def test_of_two_tabs_the_later_one_is_told_that_the_plan_has_changed(browser: Browser, served: Served) -> None:
    enter(browser, served, NAME)
    driver = browser.driver
    browser.wait_for("Not approved")
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.get(served.address + PLAN)
    driver.find_element(By.XPATH, "//summary[text()='Take COMM out']").click()
    driver.find_element(By.XPATH, "//button[text()='Take COMM out']").click()
    browser.wait_for("COMM is out of the plan")
    driver.switch_to.window(first)
    press(browser, f"{PLAN}/approve")
    browser.wait_for("has changed since you saw it; nothing was done")
    driver.find_element(By.LINK_TEXT, "Back").click()
    browser.wait_for("Not approved")


def test_a_link_that_has_expired_opens_nothing(browser: Browser, served: Served) -> None:
    url = served.address + link(served.house, served.hands, NAME)
    served.hands.move(minutes=16)
    browser.look(url)
    assert "This link has expired; ask for a new one." in browser.text
    browser.look(served.address + PLAN)
    assert "Nothing is shown without a session" in browser.text


def test_without_scripts_every_form_still_works(browser: Browser, served: Served) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    enter(browser, served)
    browser.driver.get(served.address + "/")
    browser.driver.find_element(By.ID, "why").send_keys("the feed is wrong", Keys.ENTER)
    wait_for_source(browser, "are halted by anna@desk")
    browser.driver.get(served.address + PLAN)
    press(browser, f"{PLAN}/reject")
    wait_for_source(browser, "is rejected; nobody can approve it")
