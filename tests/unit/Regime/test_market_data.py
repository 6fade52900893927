from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from Departments.brokers.base import Broker
from Departments.core.errors import BadInput, BrokerUnavailable
from Departments.core.quotes import Bar
from Departments.core.regimes import INDICATORS, Observation
from Departments.core.settings import RegimeSettings
from Departments.messaging.neighbours import MarketBriefing
from Departments.Regime.market_data import (
    broker_source,
    drop_stale,
    file_sources,
    merge,
    observe_conditions,
    observe_spy,
    observe_vix,
    read_year_of_spy,
)

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
MONDAY, FRIDAY, THURSDAY = date(2025, 11, 10), date(2025, 11, 7), date(2025, 11, 6)
SATURDAY_NIGHT = datetime(2025, 11, 9, 2, tzinfo=UTC)


def bar(day: date, close: str, symbol: str = "SPY") -> Bar:
    price = Decimal(close)
    return Bar(symbol, day, price, price, price, price, Decimal(0))


def briefing(**conditions: Any) -> dict[str, Any]:
    return {"market_conditions": {"spy_change_pct": 1.15, "vix": 18.04, "date": "2025-11-10", **conditions}}


def read(payload: dict[str, Any] | None, received_at: datetime, source: str) -> Observation:
    return observe_conditions(MarketBriefing.read(payload, source), received_at, source)


def nothing_known(observation: Observation) -> bool:
    return all(getattr(observation, name) is None for name in INDICATORS)


def test_a_briefing_gives_the_spy_change_the_vix_and_their_day() -> None:
    seen = read(briefing(vix_status="NORMAL"), NOW, "briefing")
    assert (seen.spy_change_pct, seen.vix, seen.day) == (Decimal("1.15"), Decimal("18.04"), MONDAY)
    assert (seen.vix_change_pct, seen.notes) == (None, ())


@pytest.mark.parametrize("payload", [None, {}, {"market_conditions": None}, {"market_conditions": [1]}])
def test_a_briefing_without_market_conditions_is_unknown_with_a_note(payload: dict[str, Any] | None) -> None:
    seen = read(payload, NOW, "briefing")
    assert nothing_known(seen)
    assert seen.notes == ("briefing has no market_conditions",)


@pytest.mark.parametrize("value", ["n/a", float("nan"), True, [], 0, -3])
def test_a_vix_that_is_no_reading_is_unknown_with_a_note(value: object) -> None:
    seen = read(briefing(vix=value), NOW, "briefing")
    assert seen.vix is None
    assert "vix" in seen.notes[0]


def test_a_briefing_without_a_date_is_of_the_exchanges_day_it_came_in() -> None:
    late = datetime(2025, 11, 11, 2, tzinfo=UTC)  # still the 10th in New York
    assert read(briefing(date=None), late, "briefing").day == MONDAY


def test_a_briefing_with_an_unreadable_date_is_stale() -> None:
    seen = drop_stale(read(briefing(date="Monday"), NOW, "briefing"), NOW)
    assert nothing_known(seen)
    assert "no readable date" in seen.notes[0]


@pytest.mark.parametrize(
    ("day", "now", "known"),
    [
        (MONDAY, NOW, True),
        (FRIDAY, NOW, True),
        (date(2025, 11, 8), NOW, True),  # written over the weekend
        (THURSDAY, NOW, False),
        (date(2025, 11, 11), NOW, False),
        (FRIDAY, SATURDAY_NIGHT, True),
        (THURSDAY, SATURDAY_NIGHT, False),
        (date(2025, 11, 26), datetime(2025, 11, 28, 15, tzinfo=UTC), True),  # over Thanksgiving
    ],
)
def test_data_is_fresh_when_of_the_current_or_previous_trading_day(day: date, now: datetime, *, known: bool) -> None:
    seen = drop_stale(read(briefing(date=day.isoformat()), now, "briefing"), now)
    assert nothing_known(seen) is not known
    assert any("counts as unknown" in note for note in seen.notes) is not known


def test_spy_bars_give_level_change_and_day() -> None:
    seen = observe_spy([bar(FRIDAY, "670"), bar(MONDAY, "676.7")], NOW, "bars")
    assert (seen.spy, seen.spy_change_pct, seen.day, seen.notes) == (Decimal("676.7"), Decimal(1), MONDAY, ())


def test_a_gap_before_the_last_spy_bar_leaves_the_change_unknown_with_a_note() -> None:
    seen = observe_spy([bar(THURSDAY, "670"), bar(MONDAY, "676.7")], NOW, "bars")
    assert seen.spy_change_pct is None
    assert "missing" in seen.notes[0]


def test_bars_of_later_days_are_not_looked_at() -> None:
    bars = [bar(FRIDAY, "670"), bar(MONDAY, "676.7"), bar(date(2025, 11, 11), "900")]
    assert observe_spy(bars, NOW, "bars").spy == Decimal("676.7")


def test_vix_bars_give_level_and_change() -> None:
    seen = observe_vix([bar(FRIDAY, "20", "VIX"), bar(MONDAY, "18", "VIX")], NOW, "bars")
    assert (seen.vix, seen.vix_change_pct) == (Decimal(18), Decimal(-10))


@pytest.mark.parametrize("fund", ["VIXY", "VXX", "SPY"])
def test_bars_of_a_fund_are_never_taken_for_the_vix(fund: str) -> None:
    seen = observe_vix([bar(FRIDAY, "45", fund), bar(MONDAY, "45", fund)], NOW, "bars")
    assert nothing_known(seen)
    assert fund in seen.notes[0]


@dataclass
class SpyOnly:
    """A broker that knows SPY's bars, asks to be told what it was asked for, and may be away."""

    answer: Sequence[Bar]
    away: bool = False
    name: str = "fake"
    asked: str = ""

    def bars(self, symbols: Iterable[str], *, days: int) -> Mapping[str, Sequence[Bar]]:
        self.asked += ",".join(symbols)
        if self.away:
            raise BrokerUnavailable("no answer in 15 s")
        return {"SPY": self.answer[-days:]} if self.answer else {}


def asked(broker: SpyOnly) -> Observation:
    return broker_source(lambda: read_year_of_spy(cast(Broker, broker)))(NOW)


def test_the_broker_is_asked_for_spy_alone() -> None:
    broker = SpyOnly([bar(FRIDAY, "670"), bar(MONDAY, "676.7")])
    assert asked(broker).spy_change_pct == 1
    assert broker.asked == "SPY"


def test_a_broker_that_does_not_answer_leaves_the_market_unknown_with_a_note() -> None:
    seen = asked(SpyOnly([], away=True))
    assert nothing_known(seen)
    assert "no answer in 15 s" in seen.notes[0]


def test_a_broker_without_spy_bars_leaves_the_market_unknown_with_a_note() -> None:
    assert "there are no bars" in asked(SpyOnly([])).notes[0]


def written(path: Path, *rows: str) -> None:
    lines = ["date,open,high,low,close", *(f"{row.split()[0]},{','.join([row.split()[1]] * 4)}" for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")


def test_the_files_named_in_the_settings_are_read_below_the_workspace(tmp_path: Path) -> None:
    written(tmp_path / "spy.csv", "2025-11-06 660", "2025-11-07 663.3")
    written(tmp_path / "vix.csv", "2025-11-06 20", "2025-11-07 18")
    settings = RegimeSettings(spy_bars=Path("spy.csv"), vix_bars=Path("vix.csv"))
    seen = merge((source(NOW) for source in file_sources(settings, tmp_path)), NOW)
    assert (seen.spy_change_pct, seen.vix, seen.vix_change_pct, seen.day) == (
        Decimal("0.5"),
        Decimal(18),
        Decimal(-10),
        FRIDAY,
    )
    assert seen.source == "SPY bars of spy.csv; VIX bars of vix.csv"


def test_a_bar_of_today_in_a_file_is_not_known_before_the_close(tmp_path: Path) -> None:
    written(tmp_path / "spy.csv", "2025-11-06 660", "2025-11-07 663.3", "2025-11-10 700")
    (source,) = file_sources(RegimeSettings(spy_bars=Path("spy.csv")), tmp_path)
    assert source(NOW).day == FRIDAY
    assert source(NOW.replace(hour=21)).day == MONDAY


def test_a_wrong_file_is_an_error_and_not_merely_unknown(tmp_path: Path) -> None:
    (source,) = file_sources(RegimeSettings(vix_bars=Path("gone.csv")), tmp_path)
    with pytest.raises(BadInput, match=r"gone\.csv"):
        source(NOW)


def seen(day: date, source: str, **readings: str) -> Observation:
    numbers: dict[str, Any] = {name: Decimal(text) for name, text in readings.items()}
    return Observation(NOW, source, day, **numbers)


def test_merging_takes_each_reading_from_the_first_source_of_the_newest_day() -> None:
    both = merge(
        [
            seen(FRIDAY, "old", spy_change_pct="-3", vix="30", spy_drawdown_pct="4"),
            seen(MONDAY, "first", vix="18"),
            seen(MONDAY, "second", vix="19", spy_change_pct="1"),
        ],
        NOW,
    )
    assert (both.vix, both.spy_change_pct, both.spy_drawdown_pct) == (Decimal(18), Decimal(1), Decimal(4))
    assert (both.source, both.day, both.observed_at) == ("old; first; second", MONDAY, NOW)


def test_the_vix_change_is_never_of_another_day_than_the_vix() -> None:
    both = merge([seen(MONDAY, "a", vix="18"), seen(FRIDAY, "b", vix="21", vix_change_pct="15")], NOW)
    assert (both.vix, both.vix_change_pct) == (Decimal(18), None)


def test_the_vix_change_may_come_from_another_source_of_the_same_day() -> None:
    both = merge([seen(MONDAY, "a", vix="18"), seen(MONDAY, "b", vix="18", vix_change_pct="-6")], NOW)
    assert both.vix_change_pct == -6


def test_merging_nothing_says_what_is_not_known() -> None:
    empty = merge([], NOW)
    assert nothing_known(empty)
    assert (empty.source, empty.day) == ("no data", None)
    assert empty.notes == ("SPY's change of the day is not known", "the VIX is not known")


def test_merging_drops_stale_readings_and_keeps_the_note_about_them() -> None:
    both = merge([seen(THURSDAY, "old", spy_change_pct="1", vix="14")], NOW)
    assert nothing_known(both)
    assert "old is of 2025-11-06" in both.notes[0]


def test_the_trouble_of_sources_that_were_not_needed_is_not_told() -> None:
    both = merge([seen(MONDAY, "new", spy_change_pct="1", vix="18"), seen(THURSDAY, "old", vix="14")], NOW)
    assert both.notes == ()
