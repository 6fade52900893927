from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import AlpacaBroker
from Departments.brokers.alpaca.parsing import find_oldest_credible, read_quote
from Departments.core.errors import BrokerUnavailable
from Departments.core.moments import iso
from Departments.core.platform.clock import SimulatedClock
from tests.fakes.loopback import Loopback, Reply

NOW = datetime(2025, 11, 10, 15, 10, tzinfo=UTC)
OLDEST = NOW - timedelta(minutes=15)
FRESH, STALE = iso(NOW - timedelta(seconds=5)), iso(NOW - timedelta(hours=1))
TRADE = {"t": FRESH, "p": 93.580001831, "s": 100, "x": "V"}
SPREAD = {"t": FRESH, "bp": 93.55, "ap": 93.61, "bs": 1, "as": 2}


def snapshot(trade: Any, spread: Any) -> dict[str, Any]:
    return {"latestTrade": trade, "latestQuote": spread, "minuteBar": None}


def test_the_last_trade_is_the_price_beside_bid_and_ask() -> None:
    quote = read_quote("UPS", snapshot(TRADE, SPREAD), OLDEST)
    assert quote is not None
    assert (quote.price, quote.bid, quote.ask) == (Decimal("93.58"), Decimal("93.55"), Decimal("93.61"))
    assert quote.at == NOW - timedelta(seconds=5)


def test_without_a_believable_trade_the_middle_of_the_spread_is_the_price() -> None:
    quote = read_quote("UPS", snapshot(TRADE | {"t": STALE}, SPREAD), OLDEST)
    assert quote is not None
    assert quote.price == Decimal("93.58")


@pytest.mark.parametrize(
    "spread",
    [
        SPREAD | {"t": STALE},
        SPREAD | {"bp": 93.62},
        SPREAD | {"bp": 0},
        SPREAD | {"ap": 0},
        SPREAD | {"ap": None},
        {"t": FRESH},
        None,
        [],
    ],
    ids=["stale", "crossed", "no bid", "no ask", "null", "empty", "absent", "list"],
)
def test_a_bad_spread_is_left_out_and_never_makes_a_price(spread: Any) -> None:
    quote = read_quote("UPS", snapshot(TRADE, spread), OLDEST)
    assert quote is not None
    assert (quote.bid, quote.ask) == (None, None)
    assert read_quote("UPS", snapshot(None, spread), OLDEST) is None


@pytest.mark.parametrize("trade", [TRADE | {"p": 0}, TRADE | {"t": STALE}, TRADE | {"t": "noon"}, {"p": 1}, None])
def test_a_bad_trade_never_makes_a_price(trade: Any) -> None:
    assert read_quote("UPS", snapshot(trade, None), OLDEST) is None


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        (datetime(2025, 11, 10, 15, 10, tzinfo=UTC), datetime(2025, 11, 10, 14, 55, tzinfo=UTC)),
        (datetime(2025, 11, 9, 12, 0, tzinfo=UTC), datetime(2025, 11, 7, 20, 45, tzinfo=UTC)),
        (datetime(2025, 11, 10, 13, 0, tzinfo=UTC), datetime(2025, 11, 7, 20, 45, tzinfo=UTC)),
        (datetime(2025, 11, 11, 2, 0, tzinfo=UTC), datetime(2025, 11, 10, 20, 45, tzinfo=UTC)),
        (datetime(2025, 11, 28, 20, 0, tzinfo=UTC), datetime(2025, 11, 28, 17, 45, tzinfo=UTC)),
    ],
    ids=["in hours", "Sunday", "before the open", "at night", "after a half day"],
)
def test_the_age_of_a_price_counts_from_the_last_close_when_the_market_is_closed(
    now: datetime, oldest: datetime
) -> None:
    assert find_oldest_credible(now, timedelta(minutes=15)) == oldest


def test_quotes_come_from_the_free_feed_in_one_question(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    seen: dict[str, Any] = {"UPS": snapshot(TRADE, SPREAD), "DVN": snapshot(None, SPREAD), "OLD": None, "ODD": []}
    script.on("GET /v2/stocks/snapshots", seen)
    quotes = broker.quotes(["UPS", "DVN", "UPS", "GONE", "OLD", "ODD"])
    assert sorted(quotes) == ["DVN", "UPS"]
    assert [(c.path, c.query) for c in server.calls] == [
        ("/v2/stocks/snapshots", {"symbols": "DVN,GONE,ODD,OLD,UPS", "feed": "iex"})
    ]


def test_data_that_is_forbidden_is_an_error_and_not_an_empty_market(script: Any, broker: AlpacaBroker) -> None:
    script.on("GET /v2/stocks/snapshots", Reply(403, {"message": "subscription does not permit"}))
    with pytest.raises(BrokerUnavailable, match="subscription"):
        broker.quotes(["UPS", "DVN"])


def _bar(day: date, close: float = 670.0) -> dict[str, Any]:
    return {"t": f"{day}T05:00:00Z", "o": close, "h": close, "l": close, "c": close, "v": 1000, "n": 1, "vw": close}


DAYS = [date(2025, 11, d) for d in (3, 4, 5, 6, 7, 10)]


def test_bars_are_complete_days_of_the_consolidated_feed_older_than_16_minutes(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on("GET /v2/stocks/bars", {"bars": {"SPY": [_bar(d) for d in DAYS]}, "next_page_token": None})
    assert [bar.day for bar in broker.bars(["SPY"], days=3)["SPY"]] == DAYS[2:5]
    query = dict(server.calls[0].query)
    assert datetime.fromisoformat(query.pop("end")) == datetime(2025, 11, 7, 21, tzinfo=UTC)  # the last close
    assert datetime.fromisoformat(query.pop("start")) < datetime(2025, 11, 1, tzinfo=UTC)
    assert query == {"symbols": "SPY", "timeframe": "1Day", "feed": "sip", "adjustment": "split", "limit": "10000"}


def test_the_bar_of_today_is_complete_16_minutes_after_the_close(
    script: Any, server: Loopback, broker: AlpacaBroker, clock: SimulatedClock
) -> None:
    script.on("GET /v2/stocks/bars", {"bars": {"SPY": [_bar(d) for d in DAYS]}, "next_page_token": None})
    clock.sleep((datetime(2025, 11, 10, 21, 15, tzinfo=UTC) - clock.now()).total_seconds())
    assert broker.bars(["SPY"], days=1)["SPY"][0].day == date(2025, 11, 7)
    clock.sleep(60)
    assert broker.bars(["SPY"], days=1)["SPY"][0].day == date(2025, 11, 10)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body={"bars": {}, "next_page_token": None}),
        Reply(body={"bars": {"SPY": []}, "next_page_token": None}),
        Reply(400, {"message": "invalid symbol: S P Y"}),
    ],
    ids=["absent", "empty", "beyond parsing"],
)
def test_a_symbol_without_bars_has_none(script: Any, broker: AlpacaBroker, reply: Reply) -> None:
    script.on("GET /v2/stocks/bars", reply)
    assert broker.bars(["SPY"], days=5) == {}


def test_bars_that_cannot_be_read_are_absent_and_spoil_no_others(
    script: Any, broker: AlpacaBroker, caplog: pytest.LogCaptureFixture
) -> None:
    day = {"t": "2025-11-07T05:00:00Z", "o": 1, "h": 2, "l": 1, "c": 2, "v": 100}
    script.on("GET /v2/stocks/bars", {"bars": {"SPY": [day], "UPS": [{"t": FRESH}]}, "next_page_token": None})
    assert broker.bars(["SPY", "UPS"], days=5).keys() == {"SPY"}
    (warning,) = [r.getMessage() for r in caplog.records]
    assert warning.startswith("The bars of UPS at the broker cannot be read")


def test_the_market_clock_is_alpacas(script: Any, broker: AlpacaBroker) -> None:
    script.on(
        "GET /v2/clock",
        {
            "timestamp": "2025-11-10T10:10:00-05:00",
            "is_open": True,
            "next_open": "2025-11-11T09:30:00-05:00",
            "next_close": "2025-11-10T16:00:00-05:00",
        },
    )
    assert broker.market_clock().now == NOW


@pytest.mark.parametrize("odd", [_bar(DAYS[0], close=0), _bar(DAYS[0]) | {"t": "0001-01-01T00:00:00Z"}])
def test_a_bar_without_a_price_or_a_day_counts_as_unreadable(script: Any, broker: AlpacaBroker, odd: Any) -> None:
    script.on("GET /v2/stocks/bars", {"bars": {"SPY": [odd, _bar(DAYS[1])]}, "next_page_token": None})
    assert broker.bars(["SPY"], days=5) == {}


def test_a_trade_before_all_calendars_makes_no_price() -> None:
    assert read_quote("UPS", snapshot(TRADE | {"t": "0001-01-01T00:00:00+14:00"}, None), OLDEST) is None
