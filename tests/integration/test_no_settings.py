"""Without a settings file a desk follows the keys that are there, and never leaves an account by itself."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.core.errors import BadInput, NotAuthorized
from Departments.core.platform.clock import SimulatedClock
from Departments.Executive.ceo import CEO
from Departments.ledger.ledger import Ledger
from Departments.Trading.trading_department import TradingDepartment
from tests.builders.commands import say
from tests.builders.desk import MORNING, ROOT
from tests.builders.existing_messages import FOLDER, regime_text
from tests.integration.test_old_programs import buy

NAMES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_BASE_URL")
PAPER = "https://paper-api.alpaca.markets"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with limits and nothing else."""
    (tmp_path / "Config").mkdir()
    shutil.copy(ROOT / "config" / "hard_constraints.yaml", tmp_path / "Config")
    return tmp_path


def give_keys(folder: Path, url: str = PAPER) -> None:
    values = dict(zip(NAMES, ("PKNOBODY", "nobody-s-secret", url), strict=True))
    text = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    (folder / "config.py").write_text(text, encoding="utf-8")


def title(folder: Path, **choices: object) -> str:
    with closing(open_desk(folder, Choices(**choices))) as desk:  # type: ignore[arg-type]
        return desk.broker_row.title


def test_keys_of_a_paper_account_are_used_and_one_line_says_so(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    give_keys(bare)
    with caplog.at_level(logging.INFO):
        assert title(bare) == "Alpaca"
    assert "No settings: the keys in " in caplog.text
    assert "nobody-s-secret" not in caplog.text


def test_keys_in_the_environment_are_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMES[0], "PKNOBODY")
    monkeypatch.setenv(NAMES[1], "nobody-s-secret")
    assert title(bare) == "Alpaca"


def test_keys_for_real_money_are_refused_as_ever(bare: Path) -> None:
    give_keys(bare, "https://api.alpaca.markets")
    with closing(open_desk(bare)) as desk, pytest.raises(BadInput, match="nothing trades live by default"):
        _ = desk.broker


def test_without_keys_the_exchange_begins_like_a_new_paper_account(
    bare: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), closing(open_desk(bare)) as desk:
        account = desk.broker.account()
        assert {account.cash, account.equity} == {Decimal(100_000)}
        assert list(desk.broker.positions()) == []
    assert "the simulated exchange begins with $100,000 and no positions" in caplog.text
    give_keys(bare)
    assert title(bare) == "the simulated exchange"  # its account goes on


def test_settings_that_name_no_broker_mean_the_simulated_exchange(bare: Path) -> None:
    give_keys(bare)
    (bare / "Config" / "settings.yaml").write_text("approve: auto\n", encoding="utf-8")
    with closing(open_desk(bare)) as desk:
        assert desk.broker.account().cash == Decimal(100_000)
    (bare / "Config" / "settings.yaml").write_text("broker: {name: alpaca}\n", encoding="utf-8")
    assert title(bare) == "Alpaca"


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("settings", ["", "approve: auto\n"])
def test_a_desk_that_has_traded_at_alpaca_does_not_fall_back(bare: Path, noted: bool, settings: str) -> None:  # noqa: FBT001
    with closing(Ledger(bare / "sentinel.db")) as ledger, ledger.transaction():
        ledger.orders.intend(buy("MSG_B", "SN", 30, 96))
        if noted:
            ledger.brokers.note("alpaca", MORNING)
            (bare / "simulated_exchange.db").touch()
    if settings:
        (bare / "Config" / "settings.yaml").write_text(settings, encoding="utf-8")
    for choices in ({}, {"clock": SimulatedClock(MORNING)}, {"exchange_state": bare / "state.yaml"}):
        with pytest.raises(NotAuthorized, match="set APCA_API_KEY_ID and APCA_API_SECRET_KEY") as refused:
            title(bare, **choices)
        assert refused.value.exit_code == 4
    give_keys(bare)
    assert title(bare) == "Alpaca"


def test_a_run_notes_its_broker(bare: Path) -> None:
    with closing(Ledger(bare / "sentinel.db")) as ledger:
        assert ledger.brokers.find_last() is None
        ledger.brokers.note("simulated", MORNING)
        ledger.brokers.note("alpaca", datetime(2026, 3, 9, tzinfo=UTC))
        assert ledger.brokers.find_last() == "alpaca"


def test_the_demo_reads_no_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_keys(tmp_path, "https://api.alpaca.markets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(NAMES[0], "of real money")
    assert say(capsys, "demo", "--workspace", tmp_path / "demo", "--json").code == 0


def test_in_a_bare_folder_old_regime_messages_are_archived_without_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / FOLDER / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    names = [f"MSG_REGIME_2026030{day}T080100Z_trad.md" for day in (2, 3)]
    for day, name in enumerate(names):
        local = datetime(2026, 3, 2 + day, 8, 1, tzinfo=UTC)
        (inbox / name).write_bytes(regime_text("TRADING", local, by_hand=bool(day)))
    monkeypatch.chdir(tmp_path)
    report = TradingDepartment(db_path="sentinel.db").process_inbox()
    assert not isinstance(report, dict)
    assert list(inbox.glob("*.md")) == []
    assert sorted(path.name for path in (tmp_path / FOLDER / "Archive").rglob("*.md")) == names
    assert not (tmp_path / "simulated_exchange.db").exists()


def test_an_approval_waits_for_limits_and_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = tmp_path / FOLDER / "Inbox" / "TRADING"
    inbox.mkdir(parents=True)
    text = (
        "---\nmessage_id: MSG_EXECUTIVE_20260309T140000Z_0badcafe\nfrom: EXECUTIVE\nto: TRADING\n"
        "timestamp: '2026-03-09T14:00:00Z'\nmessage_type: ExecutiveApproval\npriority: urgent\n---\n# BUY\n\n"
        '```json\n{"ticker": "SN", "action": "BUY", "shares": 5, "price": 96.0, "order_type": "MARKET"}\n```\n'
    )
    (inbox / "MSG_EXECUTIVE_20260309T140000Z_0badcafe.md").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    answer = TradingDepartment(db_path="sentinel.db").process_inbox()
    assert isinstance(answer, dict)
    assert "hard_constraints.yaml" in answer["message"]
    assert len(list(inbox.glob("*.md"))) == 1


def test_a_ceo_without_settings_answers(bare: Path) -> None:
    answer = CEO(bare).handle_user_request("get_portfolio_summary")
    assert answer["status"] != "ERROR"
    assert CEO(bare / "nowhere").handle_user_request("view_dashboard")["status"] == "ERROR"


def test_settings_that_name_the_simulated_exchange_ask_for_its_state(bare: Path) -> None:
    (bare / "Config" / "settings.yaml").write_text("broker: {name: simulated}\n", encoding="utf-8")
    with closing(open_desk(bare)) as desk, pytest.raises(BadInput, match="seed it with departments exchange init FILE"):
        _ = desk.broker
