"""`departments regime`: today's market regime, earlier assessments and their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import escape_text
from Departments.commands.frame import print_json, use_desk, work_at_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, Workspace
from Departments.core.moments import show_moment
from Departments.core.money import cents
from Departments.core.regimes import Regime, RegimeAssessment, RegimeRecord
from Departments.core.trading_calendar import trading_day
from Departments.messaging.regime_payloads import RegimeUpdate

HELP = """Show today's market regime and the history with outcomes.

Without `--assess` this reads the ledger only. With `--assess` it makes and sends an assessment if none is current, from
the newest briefing, the files in the settings and the broker's SPY bars.
"""
STYLES = {Regime.BULLISH: "green", Regime.BEARISH: "red", Regime.PANIC: "bold red", Regime.UNKNOWN: "yellow"}


def regime(
    workspace: Workspace = Path(),
    limit: Annotated[int, typer.Option(min=1, help="How many assessments of the history to show.")] = 20,
    at: Annotated[str | None, typer.Option(help="Use this ISO time instead of now.")] = None,
    *,
    assess: Annotated[bool, typer.Option("--assess", help="Make and send an assessment if none is current.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the regime."""
    choices = look_at_own_time(workspace, Choices(clock=make_clock(at)))
    with work_at_desk(workspace, "regime", choices) if assess else use_desk(workspace, choices) as desk:
        now = desk.clock.now()
        if assess:
            desk.regime.assess(now)
        history = _history(desk, limit)
        today = _find_today(desk, now) if history else None
    if as_json:
        print_json(document(today, history))
    else:
        show(Console(soft_wrap=False), today, history)
    return 0


def _history(desk: Desk, limit: int) -> Sequence[RegimeRecord]:
    return desk.ledger.regimes.assessments(limit) if desk.ledger_path.exists() else []


def _find_today(desk: Desk, now: datetime) -> RegimeAssessment | None:
    latest = desk.ledger.regimes.latest_assessment(now)
    return latest if latest and trading_day(latest.assessed_at) == trading_day(now) else None


def document(today: RegimeAssessment | None, history: Sequence[RegimeRecord]) -> dict[str, Any]:
    """Return the document of `--json`: `{today, history: [{…, outcome}]}`; numbers as text, None is unknown."""
    return {
        "today": None if today is None else _assessment_document(today),
        "history": [
            {
                **_assessment_document(record.assessment),
                "outcome": {
                    "trades_executed": record.outcome.trades_executed,
                    "portfolio_change": _text(record.outcome.portfolio_change),
                    "spy_close_change_pct": _text(record.outcome.spy_close_change_pct),
                },
            }
            for record in history
        ],
    }


def _assessment_document(assessment: RegimeAssessment) -> dict[str, Any]:
    indicators = {name: _text(value) for name, value in assessment.indicators.items()}
    update = RegimeUpdate.from_assessment(assessment).document()
    return {"assessed_at": assessment.assessed_at, **update, "indicators": indicators}


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def show(console: Console, today: RegimeAssessment | None, history: Sequence[RegimeRecord]) -> None:
    """Print today's assessment and the table of the history."""
    if today is None:
        console.print("There is no assessment for today.", highlight=False)
    else:
        console.print(
            f"Today: {_style(today.regime)}, confidence {today.confidence}: {escape_text(today.recommendation)}",
            highlight=False,
        )
        console.print(f"Source: {escape_text(today.source)}", highlight=False, soft_wrap=True)
        for note in today.notes:
            console.print(f"  not known: {escape_text(note)}", highlight=False, style="yellow", soft_wrap=True)
    if history:
        console.print(_table(history))


def _table(history: Sequence[RegimeRecord]) -> Table:
    title = "Assessments and outcomes"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for name in ("At", "Regime", "Conf."):
        table.add_column(name, no_wrap=True)
    for name in ("Score", "SPY", "VIX", "Trades", "Portfolio", "SPY close"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in history:
        table.add_row(*_cells(record))
    return table


def _cells(record: RegimeRecord) -> tuple[str, ...]:
    seen, became = record.assessment, record.outcome
    return (
        show_moment(seen.assessed_at),
        _style(seen.regime),
        str(seen.confidence),
        "?" if seen.score is None else f"{seen.score:+d}",
        _percent(seen.spy_change_pct),
        "?" if seen.vix is None else f"{seen.vix:.2f}",
        "?" if became.trades_executed is None else str(became.trades_executed),
        "?" if became.portfolio_change is None else f"{cents(became.portfolio_change):+,.2f}",
        _percent(became.spy_close_change_pct),
    )


def _percent(change: Decimal | None) -> str:
    return "?" if change is None else f"{change:+.2f}%"


def _style(found: Regime) -> str:
    style = STYLES.get(found)
    return f"[{style}]{found}[/{style}]" if style else str(found)


def register(app: typer.Typer) -> None:
    """Add `regime`."""
    app.command("regime", help=HELP)(regime)
