"""The three tests of the incident report, by name, on real files and the simulated exchange."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path

import pytest
from freezegun import freeze_time

from Departments.bootstrap import Desk
from Departments.constraints.amounts import minimum_position
from tests.builders.desk import briefing, candidate, deliver, desk, two_and_two, workspace


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Desk]:
    opened = desk(workspace(tmp_path))
    yield opened
    opened.close()


def execute(opened: Desk) -> dict[str, object]:
    opened.ceo.current_plan = two_and_two()
    opened.ceo.plan_approved = True
    return opened.ceo.handle_user_request("execute_plan")


def test_order_sequencing(open_desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="Departments"):
        answer = execute(open_desk)
    lines = [r.getMessage() for r in caplog.records]
    expected = [
        "Waiting for 2 orders to fill: CTVA, DVN",
        "All SELL orders filled",
        "Waiting for 2 orders to fill: ALKS, COMM",
        "All BUY orders filled",
    ]
    positions = [lines.index(line) for line in expected]
    assert positions == sorted(positions)
    assert [line.split()[1] for line in lines if line.startswith("Sent ")] == ["SELL", "SELL", "BUY", "BUY"]
    assert (answer["sells_submitted"], answer["buys_submitted"]) == (2, 2)


def test_no_buy_reaches_the_exchange_before_every_sell_is_terminal(open_desk: Desk) -> None:
    execute(open_desk)
    orders = {o.symbol: o for o in open_desk.broker.orders("all")}
    sold = [orders[s].filled_at for s in ("CTVA", "DVN")]
    bought = [orders[s].submitted_at for s in ("ALKS", "COMM")]
    assert all(s is not None and b is not None and b >= s for s in sold for b in bought)


def test_position_size_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = workspace(tmp_path)
    candidates = [
        candidate("ALKS", 79.6, 32.66, "Healthcare", shares=120),
        candidate("COMM", 77.8, 17.02, "Technology", shares=250),
        candidate("AXTA", 73.4, 28.64, "Basic Materials", shares=150),
        candidate("SN", 73.0, 96.19, "Consumer Cyclical", shares=37),
        candidate("CVE", 72.2, 17.58, "Energy", shares=60),
    ]
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(candidates))
    opened = desk(folder)
    with caplog.at_level(logging.INFO, logger="Departments"):
        answer = opened.ceo.handle_user_request("generate_plan")
    floor = minimum_position(opened.limits, opened.broker.account().equity)
    buys = [t for t in answer["plan"]["trades"] if t["action"] == "BUY"]
    assert floor >= D(1000)
    assert buys
    assert all(D(str(t["shares"])) * D(str(t["entry_price"])) >= floor for t in buys)
    whole = f"${int(floor):,}"
    assert f"Raised CVE from 60 to 171 shares - position would be $1,054 (< {whole} minimum)" in caplog.messages
    opened.close()


def test_position_size_validation_where_too_small_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = workspace(tmp_path, limits={"deployment": {"too_small": "skip"}})
    rows = [candidate("SN", 73.0, 96.19, "Consumer Cyclical", shares=37), candidate("CVE", 72.2, 17.58, shares=60)]
    deliver(folder, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(rows))
    opened = desk(folder)
    with caplog.at_level(logging.INFO, logger="Departments"):
        answer = opened.ceo.handle_user_request("generate_plan")
    whole = f"${int(minimum_position(opened.limits, opened.broker.account().equity)):,}"
    assert f"Skipped CVE - position would be $1,054 (< {whole} minimum)" in caplog.messages
    assert "CVE" not in {t["ticker"] for t in answer["plan"]["trades"]}
    opened.close()


def test_a_plan_that_is_approved_already_is_never_raised(open_desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    plan = two_and_two()
    small = {**next(t for t in plan["trades"] if t["ticker"] == "COMM"), "shares": 60}
    plan["trades"] = [t for t in plan["trades"] if t["ticker"] != "COMM"] + [small]
    open_desk.ceo.current_plan, open_desk.ceo.plan_approved = plan, True
    with caplog.at_level(logging.INFO, logger="Departments"):
        answer = open_desk.ceo.handle_user_request("execute_plan")
    floor = minimum_position(open_desk.limits, open_desk.broker.account().equity)
    assert f"Skipped COMM - position would be $1,021 (< ${int(floor):,} minimum)" in caplog.messages
    assert (answer["sells_submitted"], answer["buys_submitted"]) == (2, 1)


@freeze_time("2025-11-10T15:05:42Z")
def test_message_cleanup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = workspace(tmp_path)
    old = (
        "# Market Regime Assessment\n\n**From:** Market Regime Analyzer\n**To:** TRADING Department\n"
        "**Date:** 2025-11-07 08:43:08\n\n## Market Regime: BEARISH\n\n**Confidence:** HIGH\n\n"
        "- **SPY:** $662.48 (-1.89%)\n- **VIX:** 21.98 (+15.68%)\n\nFear rising \u2022 \u201crisk off\u201d\n"
    )
    names = ["MSG_REGIME_20251107T084308Z_trad.md", "MSG_REGIME_20251110T063559Z_trad.md"]
    deliver(folder, "TRADING", names[0], old.encode("cp1252"))
    deliver(folder, "TRADING", names[1], old)
    opened = desk(folder, at=datetime(2025, 11, 10, 15, 5, 42, tzinfo=UTC))
    with caplog.at_level(logging.DEBUG, logger="Departments"):
        execute(opened)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "Invalid message format" not in caplog.text
    archive = folder / "Messages_Between_Departments" / "Archive" / "2025-11-10" / "TRADING"
    assert {n for n in names if (archive / n).exists()} == set(names)
    assert not (folder / "Messages_Between_Departments" / "Dead_Letter" / "TRADING").exists()
    opened.close()
