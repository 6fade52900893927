"""Fees are what Alpaca's account activities have booked; a list that is none or does not go on is no answer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from Departments.brokers.alpaca.broker import FEES_PAGE, AlpacaBroker
from Departments.core.errors import BrokerUnavailable
from Departments.core.moments import iso
from tests.fakes.loopback import Loopback
from tests.unit.brokers.alpaca.conftest import NOW

FEES = "GET /v2/account/activities/FEE"


def fee(number: int, amount: str = "-0.02", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"20251110000000000::{number:08d}",
        "activity_type": "FEE",
        "activity_sub_type": "TAF",
        "date": "2025-11-10",
        "created_at": iso(NOW),
        "net_amount": amount,
        "description": "TAF fee for proceed of 70 shares (1 trades) on 2025-11-10 by 904837e3",
        "status": "executed",
        **changes,
    }


def test_fees_are_summed_as_positive_dollars(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [fee(1), fee(2, "-0.35"), fee(3, "0.01")])
    assert broker.fees(NOW) == Decimal("0.36")


def test_only_what_was_booked_from_the_moment_on_is_asked_for(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    script.on(FEES, [fee(1, created_at=iso(NOW - timedelta(microseconds=1))), fee(2, "-0.35")])
    assert broker.fees(NOW) == Decimal("0.35")
    assert server.calls[0].query == {"after": "2025-11-10T15:09:59Z", "direction": "asc", "page_size": str(FEES_PAGE)}


def test_a_canceled_fee_was_not_charged(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [fee(1, status="canceled"), fee(2)])
    assert broker.fees(NOW) == Decimal("0.02")


def test_a_fee_that_does_not_say_when_it_was_booked_counts_as_asked_for(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [{k: v for k, v in fee(1).items() if k != "created_at"}])
    assert broker.fees(NOW) == Decimal("0.02")


def test_a_fee_of_an_earlier_day_that_does_not_say_when_it_was_booked_is_of_no_later_run(
    script: Any, broker: AlpacaBroker
) -> None:
    earlier = {k: v for k, v in fee(1, date="2025-11-08").items() if k != "created_at"}
    script.on(FEES, [earlier, fee(2, date="2025-11-08")])  # the second was booked now
    assert broker.fees(NOW) == Decimal("0.02")


def test_all_pages_are_read(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    rows = [fee(n) for n in range(2 * FEES_PAGE + 1)]
    script.on(FEES, rows[:FEES_PAGE], rows[FEES_PAGE : 2 * FEES_PAGE], rows[2 * FEES_PAGE :])
    assert broker.fees(NOW) == len(rows) * Decimal("0.02")
    tokens = [call.query.get("page_token") for call in server.calls]
    assert tokens == [None, rows[FEES_PAGE - 1]["id"], rows[2 * FEES_PAGE - 1]["id"]]


def test_a_last_page_that_is_full_is_followed_by_an_empty_one(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [fee(n) for n in range(FEES_PAGE)], [])
    assert broker.fees(NOW) == FEES_PAGE * Decimal("0.02")


def test_a_list_that_does_not_go_on_is_no_answer(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [fee(n) for n in range(FEES_PAGE)])
    with pytest.raises(BrokerUnavailable, match="does not go on"):
        broker.fees(NOW)


@pytest.mark.parametrize(
    "answer",
    [{}, {"activities": []}, "[]x", ""],
)
def test_fees_that_cannot_be_read_are_unknown_and_not_zero(script: Any, broker: AlpacaBroker, answer: Any) -> None:
    script.on(FEES, answer)
    with pytest.raises(BrokerUnavailable):
        broker.fees(NOW)


@pytest.mark.parametrize("odd", [fee(1, "a lot"), {"id": "x"}, "fee", None])
def test_a_fee_that_cannot_be_read_is_named_and_the_others_count(
    script: Any, broker: AlpacaBroker, caplog: pytest.LogCaptureFixture, odd: Any
) -> None:
    script.on(FEES, [fee(2), odd, fee(3)])
    assert [broker.fees(NOW), broker.fees(NOW)] == [Decimal("0.04")] * 2
    (warning,) = [r.getMessage() for r in caplog.records]
    assert warning.startswith("The fee ")
    assert "cannot be read" in warning


def test_a_fee_without_an_id_counts(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [fee(1), {**fee(2), "id": None}])
    assert broker.fees(NOW) == Decimal("0.04")


def test_odd_rows_do_not_end_the_list(script: Any, server: Loopback, broker: AlpacaBroker) -> None:
    rows = [fee(n, "a lot" if n % 2 else "-0.02") for n in range(FEES_PAGE)]
    script.on(FEES, rows, [fee(FEES_PAGE)])
    assert broker.fees(NOW) == (FEES_PAGE // 2 + 1) * Decimal("0.02")
    assert server.calls[1].query["page_token"] == rows[-1]["id"]


def test_a_page_that_ends_without_an_id_goes_on_from_the_last_one_known(
    script: Any, server: Loopback, broker: AlpacaBroker
) -> None:
    rows = [*(fee(n) for n in range(FEES_PAGE - 1)), {**fee(FEES_PAGE), "id": None}]
    script.on(FEES, rows, [rows[-1], fee(FEES_PAGE + 1)])
    assert broker.fees(NOW) == (FEES_PAGE + 1) * Decimal("0.02")
    assert server.calls[1].query["page_token"] == rows[-2]["id"]


def test_pages_without_any_id_do_not_go_on(script: Any, broker: AlpacaBroker) -> None:
    script.on(FEES, [{**fee(n), "id": None, "description": str(n)} for n in range(FEES_PAGE)])
    with pytest.raises(BrokerUnavailable, match="does not go on"):
        broker.fees(NOW)
