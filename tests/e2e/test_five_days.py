"""Five days on one simulated exchange, by the command line: the world goes on between the runs, to the cent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Said, say
from tests.builders.desk import briefing, candidate, deliver, workspace, write_yaml

D = Decimal
DAYS = ("2025-11-10", "2025-11-11", "2025-11-12", "2025-11-13", "2025-11-14")
STATE: dict[str, Any] = {
    "cash": 60_000,
    "prices": {"ALKS": "32.66", "COMM": "17.02"},
    "price_mode": "walk",
    "walk": {"volatility": "0.00001", "interval": 3600},
    "fees": {"sell_rate": "0.0000278"},
    "orders_at_split": "cancel",
}


class Desk:
    """A workspace and the commands given in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def run(self, day: str, *rows: dict[str, Any], **options: Any) -> Said:
        name = f"MSG_RESEARCH_{day.replace('-', '')}T150509Z_0badcafe.md"
        deliver(self.folder, "OPERATIONS", name, briefing(list(rows), day=day))
        more = [part for option, value in options.items() for part in (f"--{option.replace('_', '-')}", value)]
        arguments = [
            "run",
            "--workspace",
            self.folder,
            "--at",
            f"{day}T15:05:42Z",
            "--approve",
            "auto",
            "--json",
            *more,
        ]
        return say(self.capsys, *arguments)

    def exchange(self, *words: str, at: str = "") -> Said:
        said = say(self.capsys, "exchange", *words, "--workspace", self.folder, *(("--at", at) if at else ()))
        assert said.code == 0, said.err
        return said

    def show(self, at: str) -> dict[str, Any]:
        return self.exchange("show", "--json", at=at).document

    def held(self, at: str) -> dict[str, Decimal]:
        return {row["ticker"]: D(row["qty"]) for row in self.show(at)["positions"]}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    workspace(tmp_path, state=STATE)
    return Desk(tmp_path, capsys)


def row(symbol: str, price: float) -> dict[str, Any]:
    return candidate(symbol, 80, price, f"Sector {symbol}")


def test_five_days_of_one_account(desk: Desk) -> None:
    first = desk.run(DAYS[0], row("ALKS", 32.66), row("COMM", 17.02), exchange_state=desk.folder / "state.yaml")
    assert first.document["status"] == "COMPLETED", first.err
    assert desk.held(f"{DAYS[0]}T22:00:00Z").keys() == {"ALKS", "COMM"}

    # over night the price falls and a stop sells; money is paid in
    desk.exchange("price", "ALKS", "29.50", at=f"{DAYS[0]}T22:30:00Z")
    assert "Deposited $20,000.00" in desk.exchange("deposit", "20000", at=f"{DAYS[0]}T23:00:00Z").out
    assert desk.held(f"{DAYS[1]}T14:35:00Z").keys() == {"COMM"}

    # the second day buys a symbol that the exchange did not know
    second = desk.run(DAYS[1], row("NVDA", 187.2), row("COMM", 17.02))
    assert second.order("NVDA")["status"] == "filled", second.err
    cash = D(desk.show(f"{DAYS[1]}T22:00:00Z")["cash"])
    nvda = desk.held(f"{DAYS[1]}T22:00:00Z")["NVDA"]

    # a dividend, then a split and a new name
    desk.exchange("dividend", "NVDA", "0.25", "--pay-on", DAYS[2], at=f"{DAYS[1]}T22:10:00Z")
    assert D(desk.show(f"{DAYS[2]}T14:00:00Z")["cash"]) == cash + nvda * D("0.25")
    said = desk.exchange("split", "NVDA", "10", at=f"{DAYS[2]}T14:05:00Z").out
    assert said.startswith(f"NVDA split 10 for 1: {nvda} → {nvda * 10} shares at $18.7")
    desk.exchange("rename", "COMM", "CMM", at=f"{DAYS[3]}T14:00:00Z")
    assert desk.held(f"{DAYS[3]}T14:10:00Z").keys() == {"NVDA", "CMM"}

    # the fifth day has prices of its own
    prices = write_yaml(desk.folder / "prices.yaml", {"SN": 96.19, "NVDA": 19.5})
    fifth = desk.run(DAYS[4], row("SN", 96.19), prices=prices)
    assert fifth.order("SN")["status"] == "filled", fifth.err

    end = desk.show(f"{DAYS[4]}T22:00:00Z")
    assert {row["ticker"]: row["current_price"] for row in end["positions"]}["NVDA"].startswith("19.")
    booked = end["activities"]
    assert D(end["cash"]) == 60_000 + sum((D(a["cash"]) for a in booked), D(0))
    kinds = {a["kind"] for a in booked}
    assert kinds == {"fill", "fee", "deposit", "dividend", "split", "rename"}
    assert [a["cash"] for a in booked if a["kind"] == "deposit"] == ["20000"]
