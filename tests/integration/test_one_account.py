"""Two workspaces that share an account never execute on it at once, whichever broker it is at."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from Departments.bootstrap import Choices, Desk
from Departments.brokers.registry import EXCHANGE_FILE
from Departments.core.errors import WorkspaceBusy
from Departments.core.platform.clock import SimulatedClock, SystemClock
from Departments.core.platform.locks import execution_lock
from Departments.core.platform.places import LOCKS
from Departments.exchange.faults import FaultScript
from Departments.exchange.state import ExchangeState
from tests.builders.desk import MORNING, STATE, SharedDesk, desk, plan, trade, two_and_two, workspace
from tests.contract.alpaca_gateway import KEYS, Gateway
from tests.fakes.loopback import serving

OTHER = plan(trade("SN", "BUY", 40, 96.19), plan_id="PLAN_20251110_150300")


def execute(opened: Desk, document: Mapping[str, Any]) -> dict[str, Any]:
    """Execute a plan."""
    opened.ceo.current_plan, opened.ceo.plan_approved = dict(document), True
    return dict(opened.ceo.execute_plan())


def execute_beside(first: SharedDesk, second: Desk) -> dict[str, Any]:
    """Execute in one workspace, and try it in another once the first order is at the broker."""
    refused: list[WorkspaceBusy] = []

    def try_it_too() -> None:
        if not refused and first.broker.orders("all"):
            with pytest.raises(WorkspaceBusy, match="another workspace is executing on the same account") as caught:
                execute(second, OTHER)
            refused.append(caught.value)

    first.beside = try_it_too  # type: ignore[method-assign]
    document = dict(execute(first, two_and_two())["document"])
    assert len(refused) == 1
    return document


def execute_after(second: Desk) -> dict[str, Any]:
    """Execute where another workspace has traded today: nothing is sent until a person has accepted its orders."""
    before = {order.client_order_id for order in second.broker.orders("all")}
    refused = execute(second, OTHER)
    assert refused["status"] == "ERROR"
    assert "another desk trades this account" in refused["message"]
    assert refused["message"].endswith("departments reconcile --accept-all")
    assert {order.client_order_id for order in second.broker.orders("all")} == before
    second.trader.accept(None)
    return dict(execute(second, OTHER)["document"])


def executed_both(first: SharedDesk, second: Desk) -> list[str]:
    """Execute in one workspace, and in another once the first order is at the broker; return how both ended."""
    done: list[str] = []

    def do_it_too() -> None:
        if not done and first.broker.orders("all"):
            done.append(execute(second, OTHER)["document"]["status"])

    first.beside = do_it_too  # type: ignore[method-assign]
    return [execute(first, two_and_two())["document"]["status"], *done]


def test_two_workspaces_on_one_exchange_file_execute_one_after_the_other(tmp_path: Path) -> None:
    one, two = workspace(tmp_path / "one"), workspace(tmp_path / "two")
    with closing(desk(one)) as first:
        assert first.broker.account().cash == 40_000
        try:
            (two / EXCHANGE_FILE).symlink_to(one / EXCHANGE_FILE)
        except OSError:
            pytest.skip("this user may not make symbolic links")
        with closing(desk(two)) as second:
            assert execute_beside(first, second)["status"] == "COMPLETED"
            assert "SN" not in {o.symbol for o in first.broker.orders("all")}
        with closing(desk(two, at=first.clock.now())) as second:
            assert execute_after(second)["status"] == "COMPLETED"


def test_a_workspace_that_is_being_executed_in_is_left_alone(tmp_path: Path) -> None:
    with closing(desk(workspace(tmp_path))) as opened, execution_lock(tmp_path):
        with pytest.raises(WorkspaceBusy, match="another execution is running here"):
            execute(opened, two_and_two())
        assert not opened.broker.orders("all")


def test_two_workspaces_on_exchanges_of_their_own_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two = workspace(tmp_path / "one"), workspace(tmp_path / "two")
    with closing(desk(one)) as first, closing(desk(two)) as second:
        assert executed_both(first, second) == ["COMPLETED", "COMPLETED"]


Opening = Callable[[str, str], SharedDesk]


@pytest.fixture
def at_alpaca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Open the desk of a workspace on one of several accounts at Alpaca."""
    clock = SimulatedClock(MORNING)
    monkeypatch.setattr(SystemClock, "now", lambda _: clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: clock.sleep(seconds))
    monkeypatch.setenv(LOCKS, str(tmp_path / "locks"))
    with ExitStack() as stack:
        urls: dict[str, str] = {}

        def opened(name: str, account: str) -> SharedDesk:
            if account not in urls:
                gateway = Gateway(tmp_path / account, clock, ExchangeState.model_validate(STATE), FaultScript())
                stack.callback(gateway.close)
                urls[account] = stack.enter_context(serving(gateway)).url
            folder = workspace(tmp_path / name)
            names = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_BASE_URL")
            keys = [f"{n} = {v!r}\n" for n, v in zip(names, (*KEYS, urls[account]), strict=True)]
            (folder / "config.py").write_text("".join(keys), encoding="utf-8")
            return stack.enter_context(closing(SharedDesk(folder, Choices(broker="alpaca"))))

        yield opened


def test_two_workspaces_on_one_account_at_alpaca_execute_one_after_the_other(
    tmp_path: Path, at_alpaca: Opening
) -> None:
    first, second = at_alpaca("one", "account"), at_alpaca("two", "account")
    assert execute_beside(first, second)["status"] == "COMPLETED"
    assert "SN" not in {o.symbol for o in first.broker.orders("all")}
    assert execute_after(second)["status"] == "COMPLETED"
    names = [path.name for path in (tmp_path / "locks").iterdir()]
    assert len([name for name in names if name.startswith(".departments-") and name.endswith(".lock")]) == 1


def test_two_accounts_at_alpaca_do_not_disturb_each_other(at_alpaca: Opening) -> None:
    first, second = at_alpaca("one", "account"), at_alpaca("two", "another")
    assert executed_both(first, second) == ["COMPLETED", "COMPLETED"]


def test_no_mutex_lies_in_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path / "locks"))
    folder = workspace(tmp_path / "one")
    with closing(desk(folder)) as opened:
        execute(opened, two_and_two())
    assert list(folder.rglob("*.lock")) == []
    assert len(list((tmp_path / "locks").glob("*.lock"))) > 2


def test_the_mutexes_of_a_workspace_with_a_state_folder_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCKS, str(tmp_path / "locks"))
    folder = workspace(tmp_path / "one", settings={"state_dir": "../state"})
    with closing(desk(folder)) as opened:
        execute(opened, two_and_two())
    assert not (tmp_path / "locks").exists()
    kept = {path.name for path in (tmp_path / "state").rglob("*")}
    assert {"sentinel.db", "simulated_exchange.db", "workspace.txt", "execution.lock", "TRADING.lock"} <= kept
    assert list(folder.glob("*.db*")) == []
