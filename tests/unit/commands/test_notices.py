"""People are told once per cause and day, by mail, webhook and a program, and no channel changes how a day ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from Departments.core.platform.clock import SimulatedClock
from Departments.core.settings import NotifySettings
from Departments.ledger.ledger import Ledger
from Departments.notices.channels import ADDRESSES, HEARTBEAT, AppriseChannel, CommandChannel, NotTold, list_channels
from Departments.notices.notice import Notice, NoticeEvent, keep_ten
from Departments.notices.notifier import Notifier
from tests.builders.commands import AT, Said, deliver_briefing, plan_file, run_of, say
from tests.builders.desk import MORNING, desk, workspace, write_yaml
from tests.fakes.mail import Inbox, receiving_mail
from tests.fakes.webhooks import Posts, receiving_posts

Capture = pytest.CaptureFixture[str]
SECRET = "swordfish"  # noqa: S105 - of nobody
LOCKED = Notice(NoticeEvent.LOCK, "MSFT", "MSFT is locked", ("somebody sold 5 MSFT", "look at it"))


@pytest.fixture
def posts() -> Iterator[Posts]:
    with receiving_posts() as found:
        yield found


@pytest.fixture
def mail() -> Iterator[Inbox]:
    with receiving_mail() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ADDRESSES, HEARTBEAT):
        monkeypatch.delenv(name, raising=False)


def teller(folder: Path, *, write: bool = True, code: int = 0, sleep: float = 0) -> list[str]:
    """A program of the user that appends each notice to a file, and then ends with a code, or hangs."""
    script = folder / "tell.py"
    keep = f"open({str(folder / 'told.jsonl')!r}, 'a').write(json.dumps(json.load(sys.stdin)) + '\\n')" if write else ""
    script.write_text(f"import json, sys, time\n{keep}\ntime.sleep({sleep})\nsys.exit({code})\n", encoding="utf-8")
    return [sys.executable, str(script)]


def told(folder: Path) -> list[dict[str, Any]]:
    path = folder / "told.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def settings_with(folder: Path, **notify: Any) -> Path:
    write_yaml(folder / "config" / "settings.yaml", {"messaging": {"durability": "fast"}, "notify": notify})
    return folder


def run(capsys: Capture, folder: Path, *more: str | Path) -> Said:
    return say(capsys, *run_of(folder, "--plan", plan_file(folder), "--json", *more))


# --- the channels, over real sockets ---


def test_a_mail_has_title_lines_and_the_report(tmp_path: Path, mail: Inbox) -> None:
    pytest.importorskip("apprise")
    report = tmp_path / "PLAN_1.md"
    report.write_text("# Execution Report", encoding="utf-8")
    notice = Notice(NoticeEvent.DONE, "PLAN_1", "PLAN_1: COMPLETED", ("4 of 4 orders filled", "Cash $1"), str(report))
    AppriseChannel(mail.address, None, tmp_path, 20).send(notice)
    (message,) = mail.messages
    text = message.as_string()
    assert message["Subject"] == "PLAN_1: COMPLETED"
    assert "4 of 4 orders filled" in text
    assert "PLAN_1.md" in text


def test_a_webhook_gets_the_notice(tmp_path: Path, posts: Posts) -> None:
    pytest.importorskip("apprise")
    AppriseChannel(posts.address("json", SECRET), None, tmp_path, 20).send(LOCKED)
    ((_, body),) = posts.received
    assert (body["title"], body["message"]) == ("MSFT is locked", "somebody sold 5 MSFT\nlook at it")


def test_addresses_come_from_a_file_outside_the_workspace(tmp_path: Path, posts: Posts) -> None:
    pytest.importorskip("apprise")
    folder, outside = tmp_path / "ws", tmp_path / "addresses.yml"
    folder.mkdir()
    outside.write_text(f"urls:\n  - {posts.address('json', SECRET)}\n", encoding="utf-8")
    AppriseChannel("", outside, folder, 20).send(LOCKED)
    assert len(posts.received) == 1
    inside = folder / "addresses.yml"
    inside.write_text(outside.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(NotTold, match="inside the workspace, where backups copy its passwords"):
        AppriseChannel("", inside, folder, 20).send(LOCKED)
    with pytest.raises(NotTold, match=r"there is no file .*nowhere.yml"):
        AppriseChannel("", tmp_path / "nowhere.yml", folder, 20).send(LOCKED)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_to_the_workspace_hides_no_addresses_inside(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ws")
    (tmp_path / "ws" / "addresses.yml").write_text("urls: []\n", encoding="utf-8")
    with pytest.raises(NotTold, match="inside the workspace"):
        AppriseChannel("", Path("addresses.yml"), tmp_path / "link", 20).send(LOCKED)


def test_of_several_addresses_the_kind_that_failed_is_named_and_no_password(tmp_path: Path, posts: Posts) -> None:
    pytest.importorskip("apprise")
    addresses = f"{posts.address('json', SECRET)} xml://user:{SECRET}@127.0.0.1:1/x"
    with pytest.raises(NotTold, match="it was not sent to xml") as caught:
        AppriseChannel(addresses, None, tmp_path, 20).send(LOCKED)
    assert SECRET not in str(caught.value)
    assert len(posts.received) == 1


def test_an_address_that_nobody_can_read_is_a_sentence_without_it(tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    with pytest.raises(NotTold, match="no address that apprise can read") as caught:
        AppriseChannel(f"nonsense:{SECRET}", None, tmp_path, 20).send(LOCKED)
    assert SECRET not in str(caught.value)


def test_a_program_gets_the_notice_as_json_and_no_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESSES, f"json://user:{SECRET}@127.0.0.1:1")
    script = tmp_path / "tell.py"
    script.write_text(
        f"import json, os, pathlib, sys\npathlib.Path('told.jsonl').write_text(json.dumps("
        f"json.load(sys.stdin) | {{'environ': os.environ.get({ADDRESSES!r}, '')}}))\n",
        encoding="utf-8",
    )
    CommandChannel([sys.executable, str(script)], tmp_path, 20).send(LOCKED)
    assert told(tmp_path) == [dict(LOCKED.document()) | {"environ": ""}]


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"code": 3}, "it failed with exit code 3"), ({"sleep": 30}, "it took longer than 0.5 seconds and was ended")],
)
def test_a_program_that_fails_or_hangs_is_named(tmp_path: Path, options: Any, problem: str) -> None:
    with pytest.raises(NotTold, match=problem):
        CommandChannel(teller(tmp_path, **options), tmp_path, 0.5 if "sleep" in options else 20).send(LOCKED)
    with pytest.raises(NotTold, match="it cannot be started"):
        CommandChannel("no-such-program-anywhere", tmp_path, 20).send(LOCKED)


# --- the notifier ---


class Recorder:
    """A channel that keeps what it is sent, or fails."""

    def __init__(self, error: Exception | None = None, name: str = "recorder") -> None:
        self.error, self.sent, self.name = error, list[Notice](), name

    def send(self, notice: Notice) -> None:
        self.sent.append(notice)
        if self.error is not None:
            raise self.error


def notifier(ledger: Ledger, *channels: Recorder, at: datetime = MORNING, **events: Any) -> Notifier:
    settings = NotifySettings.model_validate({"events": events})
    return Notifier(settings, channels, lambda: ledger.journal, SimulatedClock(at), "", ledger.path.parent)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "sentinel.db")) as opened:
        yield opened


def test_a_cause_is_told_once_a_day_also_after_a_restart(ledger: Ledger) -> None:
    first, second = Recorder(), Recorder()
    notifier(ledger, first).tell(LOCKED, LOCKED)
    with closing(Ledger(ledger.path)) as again:
        notifier(again, second).tell(LOCKED)
        notifier(again, second, at=MORNING + timedelta(days=1)).tell(LOCKED)
    assert (len(first.sent), len(second.sent)) == (1, 1)


def test_other_causes_and_other_events_are_told(ledger: Ledger) -> None:
    recorder = Recorder()
    other = Notice(NoticeEvent.DEAD_LETTER, "MSFT", "x")
    notifier(ledger, recorder).tell(LOCKED, Notice(NoticeEvent.LOCK, "AAPL", "x"), other)
    assert len(recorder.sent) == 3


@pytest.mark.parametrize(
    ("policy", "sent", "logged"), [("on", 1, 1), (True, 1, 1), ("silent", 0, 1), ("off", 0, 0), (False, 0, 0)]
)
def test_an_event_is_on_silent_or_off(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, policy: Any, sent: int, logged: int
) -> None:
    caplog.set_level("INFO")
    recorder = Recorder()
    notifier(ledger, recorder, lock=policy).tell(LOCKED)
    assert (len(recorder.sent), caplog.text.count("Notice (lock): MSFT is locked")) == (sent, logged)


@pytest.mark.parametrize("error", [NotTold("it failed"), ValueError("x"), OSError("x")])
def test_what_no_channel_took_is_told_by_the_next_command(ledger: Ledger, error: Exception) -> None:
    notifier(ledger, Recorder(error)).tell(LOCKED)
    recorder = Recorder()
    notifier(ledger, recorder).tell(LOCKED)
    assert recorder.sent == [LOCKED]


def test_a_channel_that_hung_is_not_waited_for_again(ledger: Ledger) -> None:
    hanging, other = Recorder(NotTold("it hung", is_silent=True)), Recorder(name="other")
    told_by = notifier(ledger, hanging, other)
    told_by.tell(LOCKED, Notice(NoticeEvent.LOCK, "AAPL", "x"))
    assert (len(hanging.sent), len(other.sent)) == (1, 2)


@pytest.mark.parametrize("error", [NotTold("x"), ValueError("x"), OSError("x")])
def test_the_other_channels_are_asked_whatever_one_does(ledger: Ledger, error: Exception) -> None:
    other = Recorder(name="other")
    notifier(ledger, Recorder(error), other).tell(LOCKED)
    assert other.sent == [LOCKED]


def test_the_log_names_no_text_of_an_error_that_is_not_ours(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    notifier(ledger, Recorder(ValueError(f"json://user:{SECRET}@host"))).tell(LOCKED)
    assert "recorder did not take the notice (lock): ValueError" in caplog.messages


def test_ten_lines_are_the_most() -> None:
    assert keep_ten(str(n) for n in range(10)) == tuple("0123456789")
    assert keep_ten(str(n) for n in range(14))[-2:] == ("8", "… and 5 more")


# --- the day ---


def test_a_day_that_is_done_is_told_with_its_report_and_pings_the_heartbeat(
    tmp_path: Path, capsys: Capture, posts: Posts
) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path), heartbeat_url=posts.url("/beat"))
    assert run(capsys, folder).code == 0
    (done,) = told(folder)
    assert (done["event"], done["title"]) == ("done", "PLAN_20251110_150000: COMPLETED, 4 of 4 orders filled")
    assert Path(done["attachment"]).name == "PLAN_20251110_150000.md"
    assert len(done["lines"]) <= 10
    assert posts.paths == ["/beat"]


def test_every_event_of_a_day_with_issues_is_told_once(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    say(capsys, "halt", "--workspace", folder, "--at", AT, "--reason", "the feed is wrong", "--buys")
    with closing(Ledger(folder / "sentinel.db")) as ledger:
        ledger.releases.lock("MSFT", "somebody sold 5 MSFT", MORNING)
        ledger.journal.note_dead_letter(("TRADING", "MSG_1.md", "d", "MSG_1", "UNREADABLE", "odd", MORNING, None))
    assert run(capsys, folder).code == 1
    events = [each["event"] for each in told(folder)]
    assert sorted(events) == ["dead_letter", "done", "halt", "issue", "lock"]
    run(capsys, folder)
    assert [each["event"] for each in told(folder)] == events


def test_a_further_attempt_counts_each_order_once(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    say(capsys, "halt", "--workspace", folder, "--at", AT, "--reason", "the feed is wrong", "--buys")
    run(capsys, folder)
    say(capsys, "unhalt", "--workspace", folder, "--at", AT)
    assert run(capsys, folder, "--at", "2025-11-10T15:30:00Z").code == 0
    assert told(folder)[-1]["title"] == "PLAN_20251110_150000: COMPLETED, 4 of 4 orders filled"


def test_a_plan_that_waits_for_a_person_is_told_with_its_orders(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    words = [word for word in run_of(folder, "--plan", plan_file(folder)) if word not in {"auto", "--approve"}]
    said = say(capsys, *words)
    assert said.code == 1
    (wanted,) = told(folder)
    assert wanted["event"] == "approval"
    assert wanted["lines"][0].startswith("departments approve PLAN_")
    assert wanted["lines"][1].startswith("SELL 190 CTVA at $64.64")


def test_the_second_person_is_asked_by_the_approval_of_the_first(tmp_path: Path, capsys: Capture) -> None:
    folder = workspace(tmp_path)
    notify = {"command": teller(tmp_path)}
    write_yaml(folder / "config" / "settings.yaml", {"approval": {"four_eyes_above": 0}, "notify": notify})
    deliver_briefing(folder)
    state = ["--exchange-state", str(folder / "state.yaml")]
    made = say(capsys, "plan", "--workspace", folder, "--at", AT, *state, "--json").document["plan"]["plan_id"]
    assert told(folder) == []
    say(capsys, "approve", made, "--workspace", folder, "--at", AT)
    (asked,) = told(folder)
    assert "a second person must approve" in asked["lines"][0]


def test_a_closed_market_and_a_failed_run_are_told_as_the_settings_say(tmp_path: Path, capsys: Capture) -> None:
    events = {"market_closed": "on"}
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path), events=events)
    saturday = ["--at", "2025-11-15T15:00:00Z"]
    words = [word for word in run_of(folder) if word not in {"--at", AT}]
    assert say(capsys, *words, *saturday).code == 5
    assert say(capsys, "run", "--workspace", folder, "--at", AT, "--plan", folder / "none.json").code == 2
    assert [each["event"] for each in told(folder)] == ["market_closed", "issue"]
    assert "none.json" in told(folder)[1]["lines"][0]


@pytest.mark.parametrize("options", [{"code": 9}, {"sleep": 60}], ids=["fails", "hangs"])
def test_a_channel_that_fails_or_hangs_does_not_change_the_days_exit_code(
    tmp_path: Path, capsys: Capture, options: Any
) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path, **options), timeout=0.3)
    said = run(capsys, folder)
    assert (said.code, said.document["status"]) == (0, "COMPLETED")
    assert "notify.command did not take the notice (done)" in said.err


def test_passwords_are_nowhere_in_the_workspace_and_in_no_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESSES, f"json://user:{SECRET}@127.0.0.1:1/x")
    monkeypatch.setenv(HEARTBEAT, f"http://127.0.0.1:1/{SECRET}")
    folder = workspace(tmp_path)
    said = run(capsys, folder, "--log-file", str(folder / "run.log"))
    assert said.code == 0
    assert "notify.heartbeat_url was not pinged" in said.err
    assert SECRET not in said.out + said.err
    assert not [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_dry_run_and_a_demo_tell_nobody(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    assert run(capsys, folder, "--dry-run").code == 0
    assert told(folder) == []


def test_a_script_that_executes_tells_as_the_command_does(tmp_path: Path) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    with closing(desk(folder)) as opened:
        opened.ceo.current_plan, opened.ceo.plan_approved = json.loads(plan_file(folder).read_text()), True
        assert opened.ceo.execute_plan()["status"] == "EXECUTION_INITIATED"
    assert [each["event"] for each in told(folder)] == ["done"]


# --- the day that did not run ---


def overdue(capsys: Capture, folder: Path, *more: str, at: str = AT) -> Said:
    return say(capsys, "overdue", "--workspace", folder, "--at", at, *more)


LATE = " run has ended today; one was due by 2025-11-10 10:00 EST; start departments run, and look at the schedule."


def test_a_day_without_a_run_is_told_once(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    assert overdue(capsys, folder, "--by", "10:30").code == 0  # it is 10:05 in New York
    said = overdue(capsys, folder, "--by", "10:00")
    assert (said.code, said.out) == (1, f"No{LATE}\n")
    assert overdue(capsys, folder, "--by", "10:00", "--json").document["overdue"] is True
    (late,) = told(folder)
    assert late["event"] == "overdue"
    assert late["lines"][0] == f"No{LATE}"


def test_a_day_with_a_run_and_one_without_trading_are_not_overdue(tmp_path: Path, capsys: Capture) -> None:
    folder = settings_with(workspace(tmp_path), command=teller(tmp_path))
    assert overdue(capsys, folder, "--by", "10:00", at="2025-11-27T18:00:00Z").code == 0  # Thanksgiving
    run(capsys, folder)
    said = overdue(capsys, folder, "--by", "10:00")
    assert (said.code, said.out) == (0, "A run of today has ended.\n")


@pytest.mark.parametrize(("more", "words"), [((), "departments overdue --by 10:30"), (("--by", "noon"), "--by")])
def test_without_a_time_there_is_nothing_to_be_late_for(
    tmp_path: Path, capsys: Capture, more: tuple[str, ...], words: str
) -> None:
    said = overdue(capsys, workspace(tmp_path), *more)
    assert (said.code, words in said.err) == (2, True)


def test_the_channels_are_those_of_settings_and_environment(tmp_path: Path) -> None:
    settings = NotifySettings.model_validate({"command": "python tell.py"})
    assert [channel.name for channel in list_channels(settings, tmp_path, "")] == ["notify.command"]
    assert [channel.name for channel in list_channels(settings, tmp_path, "json://x")] == ["apprise", "notify.command"]
    assert list(list_channels(NotifySettings(), tmp_path, "")) == []
