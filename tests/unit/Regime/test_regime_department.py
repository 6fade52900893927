from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.core.departments import ALL
from Departments.core.errors import BrokerUnavailable, PublishError
from Departments.core.platform.clock import SimulatedClock
from Departments.core.quotes import Bar
from Departments.core.regimes import (
    Confidence,
    Observation,
    Regime,
    RegimeAssessment,
    RegimeOutcome,
)
from Departments.core.settings import MessagingSettings, RegimeSettings
from Departments.ledger import journal
from Departments.ledger.journal import LedgerJournal
from Departments.ledger.regime_records import ASSESSMENTS, OBSERVATIONS, SqliteRegimeLedger
from Departments.ledger.sqlite import SqliteDatabase
from Departments.messaging.bus import Bus
from Departments.messaging.mailbox import Mailbox
from Departments.messaging.message import Message, body_with
from Departments.messaging.regime_payloads import RegimeUpdate
from Departments.Regime.market_data import MarketData, ObservationSource
from Departments.Regime.regime_department import RegimeDepartment
from Departments.Regime.update import regime_update

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
MONDAY = date(2025, 11, 10)
SOURCE = "DailyBriefing MSG_RESEARCH_20251110T150501Z_5b6c7d8e"
CALM = {"spy_change_pct": 1.15, "vix": 18.04, "date": "2025-11-10"}


@dataclass(frozen=True)
class Limits:
    vix_panic_threshold: Decimal = Decimal(40)


@dataclass
class Desk:
    """One Regime department with its mailbox and ledger in a folder."""

    root: Path
    database: SqliteDatabase
    bus: Bus
    ledger: SqliteRegimeLedger
    clock: SimulatedClock
    settings: RegimeSettings = field(default_factory=RegimeSettings)
    briefings: tuple[Message, ...] = ()
    sources: tuple[ObservationSource, ...] = ()
    closing_bars: Callable[[], Sequence[Bar]] = tuple
    is_usable: Callable[[Message], bool] = lambda _: True

    @property
    def department(self) -> RegimeDepartment:
        market = MarketData(lambda _: self.briefings, self.sources, self.closing_bars, self.is_usable)
        return RegimeDepartment(self.bus, self.ledger, Limits(), self.clock, self.settings, market)

    def briefed(self, **conditions: object) -> None:
        self.bus.publish(briefing(**conditions))
        assert self.department.process_inbox().handled == 1

    def told(self, recipient: str) -> list[Message]:
        return self.bus.waiting(recipient)

    def names(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in (self.root / "Inbox").rglob("*.md"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = SqliteDatabase(tmp_path / "desk.db", [*journal.TABLES, OBSERVATIONS, ASSESSMENTS])
    clock = SimulatedClock(NOW)
    mailbox = Mailbox(tmp_path / "mail", durability="fast", quiet=0)
    bus = Bus(mailbox, LedgerJournal(database), clock, MessagingSettings())
    yield Desk(tmp_path / "mail", database, bus, SqliteRegimeLedger(database), clock)
    database.close()


def briefing(number: int = 1, /, **conditions: object) -> Message:
    return Message(
        f"MSG_RESEARCH_20251110T15050{number}Z_5b6c7d8e",
        "RESEARCH",
        "REGIME_DETECTION",
        NOW - timedelta(minutes=5),
        "DailyBriefing",
        body_with("# Daily Market Briefing", {"market_conditions": {**CALM, **conditions}}),
    )


def bar(day: date, close: str) -> Bar:
    price = Decimal(close)
    return Bar("SPY", day, price, price, price, price, Decimal(0))


def test_a_briefing_from_the_inbox_becomes_the_assessment(desk: Desk) -> None:
    desk.bus.publish(briefing())
    assert desk.department.process_inbox().handled == 1
    found = desk.department.assess(NOW)
    assert (found.regime, found.vix, found.score) == (Regime.BULLISH, Decimal("18.04"), 3)
    assert found.source == SOURCE


def test_a_briefing_outlives_the_process_that_read_it(desk: Desk) -> None:
    desk.bus.publish(briefing(vix=45))
    desk.department.process_inbox()
    reborn = replace(desk, ledger=SqliteRegimeLedger(desk.database))
    assert reborn.department.assess(NOW).regime is Regime.PANIC


def request(**payload: object) -> Message:
    body = body_with("# RegimeRequest", payload)
    return Message("MSG_EXECUTIVE_20251110T151000Z_1", "EXECUTIVE", "REGIME_DETECTION", NOW, "RegimeRequest", body)


def test_a_request_is_answered_from_the_briefing_it_names(desk: Desk) -> None:
    for number, vix in ((1, 18), (2, 45)):
        desk.bus.publish(replace(briefing(number, vix=vix), recipient="PORTFOLIO"))
    desk.bus.publish(request(briefing_message_id=briefing(2).message_id))
    assert desk.department.process_inbox().handled == 1
    (message,) = desk.told("EXECUTIVE")
    assert message.payload is not None
    assert message.payload["regime"] == "PANIC"


def test_a_request_that_names_no_briefing_is_answered_from_the_newest_of_today(desk: Desk) -> None:
    found = (briefing(3, vix=12, date="2025-11-07"), briefing(2, vix=45), briefing(1, vix=18))
    desk.bus.publish(request(briefing_message_id=None))
    replace(desk, briefings=found).department.process_inbox()
    assert desk.ledger.assessments()[0].assessment.regime is Regime.PANIC


def test_the_named_briefing_comes_before_others_of_the_day(desk: Desk) -> None:
    desk.bus.publish(replace(briefing(1, vix=45), recipient="PORTFOLIO"))
    desk.bus.publish(request(briefing_message_id=briefing(1).message_id))
    replace(desk, briefings=(briefing(2, vix=12),)).department.process_inbox()
    assert desk.ledger.assessments()[0].assessment.regime is Regime.PANIC


def test_a_request_without_any_briefing_is_answered_with_unknown(desk: Desk) -> None:
    desk.bus.publish(request())
    assert desk.department.process_inbox().handled == 1
    assert [m.payload["regime"] for m in desk.told("EXECUTIVE") if m.payload] == ["UNKNOWN"]


def test_a_request_for_a_briefing_that_is_not_there_leaves_no_assessment(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.bus.publish(request(briefing_message_id="MSG_GONE"))
    assert desk.department.process_inbox().handled == 1
    assert (desk.ledger.assessments(), desk.told("EXECUTIVE")) == ([], [])
    assert "no assessment is made: DailyBriefing MSG_GONE cannot be found" in caplog.text


@pytest.mark.parametrize("day", ["2025-11-07", "2025-11-09", "2025-11-11"])
def test_a_request_for_a_briefing_of_another_day_leaves_no_assessment(desk: Desk, day: str) -> None:
    desk.bus.publish(replace(briefing(vix=45, date=day), recipient="PORTFOLIO"))
    desk.bus.publish(request(briefing_message_id=briefing().message_id))
    assert desk.department.process_inbox().handled == 1
    assert (desk.ledger.assessments(), desk.told("EXECUTIVE")) == ([], [])


@pytest.mark.parametrize("named", [True, False])
def test_a_request_for_a_briefing_nobody_can_plan_from_leaves_no_assessment(desk: Desk, *, named: bool) -> None:
    desk.bus.publish(replace(briefing(vix=45), recipient="PORTFOLIO"))
    desk.bus.publish(request(briefing_message_id=briefing().message_id if named else None))
    refusing = replace(desk, briefings=(briefing(vix=45),), is_usable=lambda _: False)
    assert refusing.department.process_inbox().handled == 1
    assert (desk.ledger.assessments(), desk.told("EXECUTIVE")) == ([], [])


def test_a_refused_briefing_gives_way_to_a_usable_one(desk: Desk) -> None:
    both = replace(desk, briefings=(briefing(2, vix=45), briefing(1)), is_usable=lambda m: m == briefing(1))
    assert both.department.assess(NOW).regime is Regime.BULLISH


def test_a_newer_briefing_ends_an_assessment(desk: Desk) -> None:
    morning = replace(desk, briefings=(briefing(1),))
    assert morning.department.assess(NOW).regime is Regime.BULLISH
    later = replace(briefing(2, vix=45), timestamp=NOW + timedelta(minutes=1))
    assert replace(desk, briefings=(later, briefing(1))).department.assess(NOW + timedelta(minutes=2)).vix == 45


def test_a_briefing_whose_payload_cannot_be_read_is_a_dead_letter(desk: Desk) -> None:
    desk.bus.publish(replace(briefing(), body="```json\n{broken\n```\n"))
    assert desk.department.process_inbox().dead_lettered == 1


def test_a_request_while_an_assessment_holds_tells_nothing_again(desk: Desk) -> None:
    desk.briefed()
    desk.department.assess(NOW)
    desk.bus.publish(request())
    assert desk.department.process_inbox().handled == 1
    assert len(desk.told("EXECUTIVE")) == len(desk.ledger.assessments()) == 1


def test_the_briefing_of_a_request_is_kept_for_the_assessments_after_it(desk: Desk) -> None:
    desk.bus.publish(replace(briefing(), recipient="PORTFOLIO"))
    desk.bus.publish(request(briefing_message_id=briefing().message_id))
    desk.department.process_inbox()
    assert desk.department.assess(NOW + timedelta(hours=4)).source == SOURCE


def test_the_executive_and_operations_are_informed_and_trading_is_not(desk: Desk) -> None:
    desk.briefed()
    desk.department.assess(NOW)
    assert desk.names() == [
        "Inbox/EXECUTIVE/MSG_REGIME_20251110T151000Z_exec.md",
        "Inbox/OPERATIONS/MSG_REGIME_20251110T151000Z_oper.md",
    ]


def test_the_recipients_are_those_of_the_settings(desk: Desk) -> None:
    replace(desk, settings=RegimeSettings(recipients=("RISK",))).department.assess(NOW)
    assert desk.names() == ["Inbox/RISK/MSG_REGIME_20251110T151000Z_risk.md"]


def test_what_is_reported_is_what_is_kept(desk: Desk) -> None:
    desk.briefed()
    desk.department.assess(NOW)
    (message,) = desk.told("OPERATIONS")
    assert RegimeUpdate.of(message).assessment(message.timestamp, "") == desk.ledger.latest_assessment(NOW)


@pytest.mark.parametrize(("minutes", "made"), [(179, 1), (180, 2)])
def test_an_assessment_is_reused_until_it_is_three_hours_old(desk: Desk, minutes: int, made: int) -> None:
    desk.briefed()
    first = desk.department.assess(NOW)
    second = desk.department.assess(NOW + timedelta(minutes=minutes))
    assert (first == second) is (made == 1)
    assert len(desk.told("EXECUTIVE")) == len(desk.ledger.assessments()) == made


def test_how_long_an_assessment_holds_is_a_setting(desk: Desk) -> None:
    hasty = replace(desk, settings=RegimeSettings(reuse_hours=0.5))
    hasty.briefed()
    hasty.department.assess(NOW)
    hasty.department.assess(NOW + timedelta(minutes=30))
    assert len(desk.ledger.assessments()) == 2


def test_an_assessment_of_a_later_day_is_not_used_for_an_earlier_one(desk: Desk) -> None:
    desk.briefed()
    desk.department.assess(NOW)
    assert desk.department.assess(NOW - timedelta(days=4)).regime is Regime.UNKNOWN


def test_without_data_the_regime_is_unknown_and_told_as_such(desk: Desk) -> None:
    assert desk.department.assess(NOW).regime is Regime.UNKNOWN
    (message,) = desk.told("EXECUTIVE")
    assert "- the VIX is not known" in message.body


def test_an_unknown_regime_is_asked_again_as_soon_as_there_is_data(desk: Desk) -> None:
    desk.department.assess(NOW)
    desk.briefed()
    assert desk.department.assess(NOW + timedelta(minutes=1)).regime is Regime.BULLISH


@pytest.mark.parametrize("recipient", ALL)
def test_the_id_of_a_second_version_comes_after_the_first_for_every_recipient(recipient: str) -> None:
    assessment = RegimeAssessment(Regime.UNKNOWN, Confidence.LOW, "", NOW, "")
    first, second = (regime_update(assessment, recipient, version=n).message_id for n in (1, 2))
    assert first < second


def test_two_assessments_of_one_second_are_both_told_in_order(desk: Desk) -> None:
    desk.department.assess(NOW)
    desk.briefed()
    assert desk.department.assess(NOW).regime is Regime.BULLISH
    assert [m.payload["regime"] for m in desk.told("EXECUTIVE") if m.payload] == ["UNKNOWN", "BULLISH"]
    assert desk.department.assess(NOW).regime is Regime.BULLISH
    assert desk.names()[:2] == [
        "Inbox/EXECUTIVE/MSG_REGIME_20251110T151000Z_exec.md",
        "Inbox/EXECUTIVE/MSG_REGIME_20251110T151000Z_v2_exec.md",
    ]


def test_asking_twice_in_one_moment_without_data_tells_once(desk: Desk) -> None:
    assert desk.department.assess(NOW) == desk.department.assess(NOW)
    assert len(desk.told("EXECUTIVE")) == len(desk.ledger.assessments()) == 1


@pytest.mark.parametrize("day", ["2025-11-06", "2025-11-07"])
def test_a_briefing_of_another_day_counts_for_nothing(desk: Desk, day: str) -> None:
    desk.briefed(date=day)
    monday = desk.department.assess(NOW)
    assert monday.regime is Regime.UNKNOWN
    assert any(f"is of {day}" in note for note in monday.notes)


def test_bars_count_until_the_next_close(desk: Desk) -> None:
    friday = Observation(NOW, "bars", date(2025, 11, 7), vix=Decimal(45))
    assert replace(desk, sources=(lambda _: friday,)).department.assess(NOW).regime is Regime.PANIC


def test_the_brokers_bars_complete_a_briefing(desk: Desk) -> None:
    bars = Observation(NOW, "bars", MONDAY, spy=Decimal(678), spy_trend_pct=Decimal(2), spy_change_pct=Decimal(-3))
    both = replace(desk, sources=(lambda _: bars,))
    both.briefed()
    found = both.department.assess(NOW)
    assert (found.spy_change_pct, found.spy_trend_pct) == (Decimal("1.15"), Decimal(2))
    assert found.source == f"{SOURCE}; bars"


class FullAfterOne(LedgerJournal):
    """A journal on a disk that fills up with the second letter."""

    def enqueue(self, name: str, sender: str, recipient: str, data: bytes, at: datetime, **index: str | None) -> bool:
        if recipient != "EXECUTIVE":
            raise PublishError("no space left")
        return super().enqueue(name, sender, recipient, data, at, **index)


def test_nothing_is_kept_or_told_when_one_letter_cannot_be_committed(desk: Desk) -> None:
    full = Bus(desk.bus.mailbox, FullAfterOne(desk.database), desk.clock, MessagingSettings())
    with pytest.raises(PublishError):
        replace(desk, bus=full).department.assess(NOW)
    desk.bus.deliver_pending()
    assert desk.ledger.assessments() == []
    assert desk.names() == []


@pytest.mark.parametrize("kind", ["CancelRequest", "ExecutiveApproval", "PlanRequest", "TradeOrder", "escalation"])
def test_what_asks_for_a_deed_becomes_a_dead_letter(desk: Desk, kind: str) -> None:
    desk.bus.publish(replace(briefing(), message_type=kind))
    assert desk.department.process_inbox().dead_lettered == 1


def test_a_briefing_without_market_conditions_is_handled_and_changes_nothing(desk: Desk) -> None:
    desk.briefed()
    desk.bus.publish(replace(briefing(2), body="# Nothing today\n"))
    assert desk.department.process_inbox().handled == 1
    assert desk.department.assess(NOW).source == SOURCE


def test_the_outcome_of_a_run_is_kept_with_its_assessment(desk: Desk) -> None:
    found = desk.department.assess(NOW)
    desk.department.record_outcome(found, trades_executed=12, portfolio_change=Decimal("-31.5"))
    assert desk.ledger.assessments()[0].outcome == RegimeOutcome(12, Decimal("-31.5"))


def closing(desk: Desk, *bars: Bar) -> RegimeDepartment:
    return replace(desk, closing_bars=lambda: bars).department


def test_the_spy_change_is_recorded_once_the_session_has_closed(desk: Desk) -> None:
    desk.department.assess(NOW)
    department = closing(desk, bar(date(2025, 11, 7), "670"), bar(MONDAY, "676.7"))
    assert department.record_closes(datetime(2025, 11, 10, 20, 59, tzinfo=UTC)) == 0
    assert department.record_closes(datetime(2025, 11, 10, 21, 0, tzinfo=UTC)) == 1
    assert desk.ledger.assessments()[0].outcome.spy_close_change_pct == 1
    assert department.record_closes(datetime(2025, 11, 10, 22, 0, tzinfo=UTC)) == 0


def test_an_assessment_of_a_weekend_is_measured_by_the_next_close(desk: Desk) -> None:
    desk.department.assess(datetime(2025, 11, 8, 15, tzinfo=UTC))
    department = closing(desk, bar(date(2025, 11, 7), "670"), bar(MONDAY, "676.7"))
    assert department.record_closes(datetime(2025, 11, 11, tzinfo=UTC)) == 1


def test_a_close_whose_bar_is_missing_stays_unknown(desk: Desk) -> None:
    desk.department.assess(NOW)
    assert closing(desk, bar(date(2025, 11, 7), "670")).record_closes(NOW + timedelta(days=1)) == 0


def test_a_broker_that_is_away_leaves_the_close_for_another_day(desk: Desk) -> None:
    desk.department.assess(NOW)

    def away() -> Sequence[Bar]:
        raise BrokerUnavailable("no answer")

    assert replace(desk, closing_bars=away).department.record_closes(NOW + timedelta(days=1)) == 0


def test_a_new_assessment_looks_for_the_closes_of_earlier_ones(desk: Desk) -> None:
    desk.department.assess(NOW)
    closing(desk, bar(date(2025, 11, 7), "670"), bar(MONDAY, "676.7")).assess(NOW + timedelta(days=1))
    assert desk.ledger.assessments()[1].outcome.spy_close_change_pct == 1
