"""The page of a report: whole, small, without requests, and of no effect on the day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.portfolio import Account
from Departments.Executive.approvals import load_plan
from Departments.Executive.reporting.html_page import make_environment, render_report
from Departments.Executive.reporting.pages import Pages
from Departments.Executive.reporting.pictures import Span, draw_timeline, draw_weights
from tests.builders.commands import AT, contents, fault_file, plan_file, run_of, say
from tests.builders.desk import desk, plan, two_and_two, workspace, write_yaml
from tests.builders.pages import Page

Capture = pytest.CaptureFixture[str]
NAME = "PLAN_20251110_150000"
SECTIONS = ["needs", "since", "numbers", "cash", "timeline", "weights", "orders", "positions", "left", "limits"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workspace(tmp_path / "ws")


def page_of(folder: Path) -> Page:
    return Page((folder / "Reports" / f"{NAME}.html").read_text(encoding="utf-8"))


def run(folder: Path, capsys: Capture, *more: str | Path) -> Page:
    said = say(capsys, *run_of(folder, "--plan", plan_file(folder), *more))
    assert "was not written" not in said.err, said.err
    assert said.code in {0, 1}, said
    return page_of(folder)


def test_a_day_has_a_page_with_every_section_in_its_order(folder: Path, capsys: Capture) -> None:
    page = run(folder, capsys)
    ids = [attributes["id"] for attributes in page.all("h2")]
    assert ids == [*SECTIONS, "regime", "approvals", "trail"]
    assert "Monday, 10 November 2025 — 2 sold, 2 bought" in page.text
    assert "10:05:42 to 10:05" in page.text  # New York's time
    assert page.unclosed == []
    for words in (
        "Cash adds up yes start + sells − buys − fees = end",
        "automatic , from command",
        "Max single position",
    ):
        assert words in page.text


def test_a_page_asks_nobody_for_anything(folder: Path, capsys: Capture) -> None:
    page = run(folder, capsys)
    outside = [to for to in page.leads_to if not to.startswith(("#", "data:,", "../Messages_Between_Departments/"))]
    assert outside == []
    assert page.all("script") == []
    assert "@import" not in page.html
    assert "url(" not in page.html


def test_the_links_of_a_page_lead_to_the_files_of_messages(folder: Path, capsys: Capture) -> None:
    page = run(folder, capsys)
    linked = [to for to in page.leads_to if to.startswith("../")]
    assert len(linked) >= 8  # four instructions, four reports
    assert [to for to in linked if not (folder / "Reports" / to).is_file()] == []


def test_pictures_have_a_table_beside_them_and_hide_from_readers(folder: Path, capsys: Capture) -> None:
    page = run(folder, capsys)
    assert [svg.get("aria-hidden") for svg in page.all("svg")] == ["true"] * 4
    assert len(page.all("figure")) == 4
    assert all(
        table["tabindex"] == "0" and table["aria-label"] for table in page.all("div") if table.get("role") == "region"
    )


def test_what_needs_a_person_comes_first_with_its_mend(folder: Path, capsys: Capture) -> None:
    faults = fault_file(folder, {"call": "submit", "symbol": "CTVA", "do": "reject", "code": 42210000})
    page = run(folder, capsys, "--exchange-faults", faults)
    needs = page.text.partition("What needs a person")[2].partition("Since the last report")[0]
    assert "SELL 190 CTVA was rejected" in needs
    assert "Mend: " in needs


def test_a_sector_weighs_after_the_run_what_its_symbols_weigh(folder: Path, capsys: Capture) -> None:
    faults = fault_file(folder, {"call": "submit", "symbol": "CTVA", "do": "reject", "code": 42210000})
    run(folder, capsys, "--exchange-faults", faults)
    opened = desk(folder)
    page = opened.pages.document(load_plan(opened.ledger.plans, NAME))["page"]
    opened.close()
    for key in ("before", "after"):
        total = sum(Decimal(row[key]) for row in page["weights"])
        assert sum(Decimal(row[key]) for row in page["sectors"]) == pytest.approx(total, abs=Decimal("0.001"))
    (kept,) = [row for row in page["weights"] if row["ticker"] == "CTVA"]
    assert kept["after"] == kept["before"] > "0"
    sold = {row["name"] for row in page["sectors"] if row["after"] != row["planned"]}
    assert sold


def test_codes_are_small_print_beside_sentences(folder: Path, capsys: Capture) -> None:
    faults = fault_file(folder, {"call": "submit", "symbol": "CTVA", "do": "reject", "code": 42210000})
    html = run(folder, capsys, "--exchange-faults", faults).html
    body = html.partition("<main")[2]
    loose = re.sub(r"<code.*?</code>", "", body, flags=re.DOTALL)
    assert re.findall(r">[^<]*\b[A-Z]{3,}_[A-Z_]{3,}\b[^<]*<", loose) == []


def test_a_key_inside_a_sentence_is_small_print_and_a_path_stays_whole() -> None:
    write = make_environment().from_string("{{ text|prose }}").render
    assert write(text="The plan has max_positions_total positions") == (
        'The plan has <code class="id">max_positions_total</code> positions'
    )
    path = "/srv/my_desk/sentinel_a.db: damaged; see old_files/x, compliance_config.yaml or a-b_c"
    assert write(text=path) == path


def test_a_day_without_orders_has_a_page(folder: Path, capsys: Capture) -> None:
    say(capsys, *run_of(folder, "--plan", plan_file(folder, plan())))
    page = page_of(folder)
    assert "nothing traded" in page.text
    assert "No order was sent." in page.text


def test_without_the_setting_there_is_no_page(folder: Path, capsys: Capture) -> None:
    write_yaml(folder / "config" / "settings.yaml", {"report": {"html": False}, "messaging": {"durability": "fast"}})
    said = say(capsys, *run_of(folder, "--plan", plan_file(folder)))
    assert said.code == 0
    assert "Page: " not in said.out
    assert [path.name for path in (folder / "Reports").iterdir()] == [f"{NAME}.md"]


def test_a_page_that_cannot_be_written_changes_neither_day_nor_exit_code(folder: Path, capsys: Capture) -> None:
    (folder / "Reports" / f"{NAME}.html").mkdir(parents=True)
    said = say(capsys, *run_of(folder, "--plan", plan_file(folder)))
    assert said.code == 0
    assert "COMPLETED" in said.out
    assert f"The page of {NAME} was not written" in said.err
    assert f"departments report {NAME} makes it again" in said.err


def test_scripts_get_a_page_too(folder: Path) -> None:
    with_desk = desk(folder)
    with_desk.ceo.current_plan, with_desk.ceo.plan_approved = two_and_two(), True
    assert with_desk.ceo.execute_approved_plan()["status"] == "EXECUTION_INITIATED"
    with_desk.close()
    assert "2 sold, 2 bought" in page_of(folder).text


def test_a_dry_run_writes_no_page(folder: Path, capsys: Capture) -> None:
    before = contents(folder)
    say(capsys, *run_of(folder, "--dry-run", "--plan", plan_file(folder)))
    assert [name for name in contents(folder) if name not in before and name.endswith(".html")] == []


# --- hostile and large ---

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e{{ 7 * 7 }}"


def spoil(value: object) -> object:
    """Put a hostile text into every text that people wrote."""
    if isinstance(value, dict):
        return {key: inner if key in KEPT else spoil(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoil(inner) for inner in value]
    return HOSTILE if isinstance(value, str) and not re.fullmatch(r"[\d.-]*|20\d\d-.*Z?", value) else value


#: Keys with words of the desk itself, by which a page decides what it draws.
KEPT = {"phase", "phases", "cash", "cash_buys_first", "limit", "unit"}


def test_no_text_of_a_stranger_is_markup(folder: Path, capsys: Capture) -> None:
    run(folder, capsys)
    opened = desk(folder)
    pages: Pages = opened.pages
    document = pages.document(load_plan(opened.ledger.plans, NAME))
    opened.close()
    clean = Page(render_report(document))
    spoiled = spoil({key: value for key, value in document.items() if key != "phases"})
    assert isinstance(spoiled, dict)
    page = Page(render_report({**spoiled, "phases": document["phases"]}))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in clean.tags} | {"ul", "li", "b", "h3"}
    assert page.all("script") == page.all("img") == []
    assert "\x1b" not in page.html
    assert "\u202e" not in page.html
    assert "{{ 7 * 7 }}" in page.text
    assert page.html.count("&lt;script&gt;") > 20


def test_a_symbol_named_like_markup_is_drawn_as_text() -> None:
    start = datetime(2025, 11, 10, 15, tzinfo=UTC)
    timeline = draw_timeline([Span("<script>\x1b", "sell", start, start + timedelta(seconds=1))])
    weights = draw_weights([("<script>", Decimal("0.1"), Decimal(0))], None)
    for svg in (timeline, weights):
        assert "&lt;script&gt;" in svg
        assert Page(svg).all("script") == []
        assert Page(svg).unclosed == []


@pytest.mark.parametrize(("orders", "times"), [(2, 4), (150, 8)])
def test_phases_are_bands_behind_their_orders_and_a_long_timeline_has_its_times_above_too(
    orders: int, times: int
) -> None:
    start = datetime(2025, 11, 10, 15, tzinfo=UTC)
    middle, end = start + timedelta(seconds=60), start + timedelta(seconds=90)
    spans = [Span("SELL phase", "phase", start, middle), *[Span("CTVA", "sell", start, middle)] * orders]
    spans += [Span("BUY phase", "phase", middle, end), *[Span("ALKS", "buy", middle, end)] * (2 * orders)]
    svg = draw_timeline(spans)
    assert svg.count(" EST</text>") == times
    late, early = _read_bars(svg, 1)  # pygal draws from below
    for (x, y, width, height), bars in ((early, _read_bars(svg, 2)), (late, _read_bars(svg, 3))):
        first, last = min(bar[1] for bar in bars), max(bar[1] + bar[3] for bar in bars)
        assert (x, width) == (bars[0][0], bars[0][2])
        assert y < first
        assert y + height == pytest.approx(last, abs=0.5)
    top = float(svg.partition('viewBox="0 ')[2].split()[0])
    assert early[1] + 6 - top < 2 * 14  # no more than a row of times above all bars


def _read_bars(svg: str, series: int) -> list[tuple[float, ...]]:
    """Return x, y, width and height of the bars of a series."""
    drawn = svg.partition(f'class="series serie-{series}')[2].partition('class="series')[0]
    found = re.findall(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    return [tuple(map(float, each)) for each in found]


def test_a_page_of_very_much_of_everything_is_small_and_says_where_the_rest_is(folder: Path, capsys: Capture) -> None:
    run(folder, capsys)
    opened = desk(folder)
    document = opened.pages.document(load_plan(opened.ledger.plans, NAME))
    opened.close()
    page, essay = document["page"], "why " * 400
    for key in ("trades", "weights", "sectors", "positions", "trail", "cash", "cash_buys_first", "limits"):
        page[key] = [row for row in page[key] for _ in range(1_000 // len(page[key]) + 1)]
    skip = {"ticker": "SKIP", "sentence": essay, "code": "MAX_POSITIONS_TOTAL"}
    need = {
        "ticker": "ALKS",
        "reason": f"CASH_RESERVE: cash=1; {essay}",
        "mend": essay,
        "sentence": essay,
        "code": essay,
    }
    page["skipped"] = [skip] * 1_000
    page["not_evaluated"] = [{"sentence": essay, "code": "NOT_EVALUATED"}] * 1_000
    page["opinions"] = page["regime"]["concerns"] = [essay] * 1_000
    page["trades"] = [trade | {"why": essay} for trade in page["trades"]]
    for key in ("denied", "deferred", "locks", "halts", "bookings", "earlier_orders"):
        document[key] = [need] * 1_000
    document["plan_notes"] = document["broken_limits"] = [essay] * 1_000
    document["left"] = [{"side": "BUY", "qty": "1", "ticker": "ALKS"}] * 1_000
    rendered = Page(render_report(document))
    assert len(rendered.html.encode()) <= 300_000
    assert rendered.unclosed == []
    assert rendered.text.count(f"more: departments report {NAME} --format json") >= 15
    assert "SKIP" in rendered.text


def test_the_owner_of_the_account_finds_it_masked_and_its_number_nowhere(folder: Path, capsys: Capture) -> None:
    page = run(folder, capsys)
    opened = desk(folder)
    account = opened.broker.account()
    opened.close()
    assert re.fullmatch(r"SIM…[0-9A-F]{3}", account.masked)
    assert f"Execution report · account simulated {account.masked}" in page.text
    assert f"**Account**: simulated {account.masked}" in (folder / "Reports" / f"{NAME}.md").read_text(encoding="utf-8")
    said = say(capsys, "report", NAME, "--format", "json", "--workspace", folder, "--at", AT)
    assert said.document["account_number"] == f"simulated {account.masked}"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if account.number.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("number", "masked"),
    [("PA3SIMULATE7QX", "PA3…7QX"), ("123456789", "12…789"), ("12345678", "…"), ("7", "…"), ("", "")],
)
def test_a_number_is_masked_so_that_nobody_can_tell_it(number: str, masked: str) -> None:
    account = Account(Decimal(1), Decimal(1), Decimal(1), number=number)
    assert account.masked == masked
    assert not number or number not in repr(account)


def test_a_page_of_three_hundred_orders_is_small(folder: Path, capsys: Capture) -> None:
    run(folder, capsys)
    opened = desk(folder)
    document = opened.pages.document(load_plan(opened.ledger.plans, NAME))
    opened.close()
    page = document["page"]
    for key, most in (("trades", 300), ("weights", 300), ("positions", 300), ("trail", 1_000), ("cash", 300)):
        rows = page[key]
        page[key] = [rows[number * len(rows) // most] for number in range(most)]  # in their order
    page["skipped"] = [{"ticker": "SKIP", "sentence": "Every place is taken", "code": "MAX_POSITIONS_TOTAL"}] * 1_000
    refused = {"sentence": "The cash left would be less than the reserve", "code": "CASH_RESERVE", "numbers": "cash $1"}
    page["trades"][:100] = [{**trade, "notes": [refused]} for trade in page["trades"][:100]]
    html = render_report(document)
    assert len(html.encode()) <= 300_000
    assert html.count('<th scope="row">ALKS') >= 75  # of the orders every one
    orders = html.partition('<h2 id="orders">')[2].partition('<h2 id="positions">')[0]
    assert orders.count('<th scope="row">') == 300
    assert "And 940 more: " in html  # of skips and messages
