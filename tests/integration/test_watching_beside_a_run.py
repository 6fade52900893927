"""A watching Trading and `departments run --via-watchers` work side by side in one workspace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from Departments.bootstrap import Choices, open_desk
from Departments.messaging.mailbox import Mailbox
from tests.builders.commands import deliver_briefing
from tests.builders.desk import briefing, deliver, desk, workspace

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "config" / "demo"
START = "2025-11-10T15:05:42Z"


def command(workspace: Path, *arguments: str) -> list[str]:
    common = (
        "--workspace",
        os.fspath(workspace),
        "--at",
        START,
        "--exchange-state",
        os.fspath(DEMO / "exchange_state.yaml"),
    )
    return [sys.executable, "-m", "Departments", *arguments, *common]


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to a child there")
def test_a_run_dispatches_and_waits_for_the_answers_of_the_watching_trading(tmp_path: Path) -> None:
    shutil.copytree(DEMO / "Messages_Between_Departments", tmp_path / "Messages_Between_Departments")
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("demo"))
    with subprocess.Popen(
        command(tmp_path, "watch", "TRADING", "--json"), cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
    ) as watch:
        assert watch.stdout is not None
        backlog = json.loads(watch.stdout.readline())
        run = subprocess.run(
            command(tmp_path, "run", "--via-watchers", "--approve", "auto", "--json"),
            cwd=ROOT,
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        watch.send_signal(signal.SIGTERM)
        passes = [json.loads(line) for line in watch.stdout]
    assert backlog["skipped"] == 4
    assert (run.returncode, watch.returncode) == (0, 0)
    orders = [order for phase in json.loads(run.stdout)["phases"] for order in phase["orders"]]
    assert {order["status"] for order in orders} == {"filled"}
    assert sum(each["handled"] for each in passes) == len(orders)
    assert not (tmp_path / "Messages_Between_Departments" / "Dead_Letter").exists()


def test_waiting_messages_without_a_watcher_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(DEMO / "Messages_Between_Departments", tmp_path / "Messages_Between_Departments")
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("demo"))
    choices = Choices(exchange_state=DEMO / "exchange_state.yaml", via_watchers=True)
    with closing(open_desk(tmp_path, choices)) as desk:
        with Mailbox(desk.mailbox.root, mutexes=desk.mutexes).holding("TRADING", wait=0):
            desk.work()
        assert "Nobody watches" not in caplog.text
        desk.work()
        desk.work()
    assert caplog.text.count("Nobody watches the inbox of TRADING; start `departments watch TRADING`") == 1


@pytest.mark.parametrize(("candidates", "status"), [(None, "READY_FOR_USER_APPROVAL"), ("none", "REJECTED")])
def test_an_answer_that_another_process_has_read_in_the_executives_inbox_is_an_answer(
    tmp_path: Path, candidates: str | None, status: str
) -> None:
    """As a watcher of that inbox does, and a run beside `departments plan`."""
    workspace(tmp_path)
    if candidates is None:
        deliver_briefing(tmp_path)
    else:
        deliver(tmp_path, "OPERATIONS", "MSG_RESEARCH_OLD.md", briefing([], day="2025-11-07"))
    with closing(desk(tmp_path)) as asking, closing(desk(tmp_path)) as watching:
        asking.beside = watching.day.inbox.read  # type: ignore[method-assign]
        with watching.mailbox.holding("EXECUTIVE", wait=0):
            answer = asking.ceo.handle_user_request("generate_plan")
    assert answer["status"] == status
    assert "no department answered" not in answer.get("message", "")


def test_a_run_leaves_the_executives_inbox_to_whoever_watches_it(tmp_path: Path) -> None:
    deliver_briefing(workspace(tmp_path))
    with closing(desk(tmp_path)) as running, closing(desk(tmp_path)) as watching:
        running.beside = watching.day.inbox.read  # type: ignore[method-assign]
        with watching.mailbox.holding("EXECUTIVE", wait=0):
            made = running.ceo.handle_user_request("generate_plan")
            running.ceo.approve_plan(made["plan"]["plan_id"])
            done = running.ceo.handle_user_request("execute_plan")
    assert {each["status"] for each in done["execution_results"]} == {"filled"}
