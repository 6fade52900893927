"""`departments explain`: why a symbol is bought, sold or skipped, and what became of it over the days."""

from __future__ import annotations

from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from Departments.bootstrap import Choices, Desk
from Departments.commands.clocks import look_at_own_time
from Departments.commands.consoles import escape_text, open_console
from Departments.commands.explanations import Explanation, History, Sighting, find_standing, list_history
from Departments.commands.frame import print_json, use_desk
from Departments.commands.inputs import make_clock
from Departments.commands.options import AsJson, At, Workspace, read_day
from Departments.core.errors import BadInput, DepartmentsError
from Departments.core.money import plain
from Departments.core.plans import TradingPlan
from Departments.core.platform.text_files import read_json
from Departments.core.readers import read_symbol, spell_symbol
from Departments.core.trading_calendar import trading_day
from Departments.messaging.plan_documents import plan_from
from Departments.messaging.plan_stages import RESEARCH
from Departments.Operations.briefing import Briefing

HELP = """Say why a symbol is bought, sold or skipped on a day, and what became of it over the days. Change nothing.

The day's plan is the executed one, else the newest; without `--day` it is today's, else the newest that names the
symbol. What it would take is what the plan recorded: the first limit that stopped the symbol and, where the plan missed
its target, each change of one limit with which it buys the symbol when it plans again. With `--json`:
`{symbol, day, plan_id, decision, score, rank, of, ranked_in, code, sentence, takes, openings, gap, limits, history}`.
"""
SHOWN = 15  # known symbols in the sentence about an unknown one


def explain(
    symbol: Annotated[str, typer.Argument(help="The symbol, such as UPS or BRK.B.")],
    workspace: Workspace = Path(),
    day: Annotated[str | None, typer.Option(help="The trading day, for example 2025-11-10.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Explain by this plan file, not by the ledger's.")] = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Explain a symbol."""
    name, wanted = _read_name(symbol), read_day("--day", day)
    if plan is not None and wanted is not None:
        raise BadInput("--day", "", "a plan file has its own day", "give --day or --plan, not both")
    given = None if plan is None else plan_from(read_json(plan), str(plan))
    with use_desk(workspace, look_at_own_time(workspace, Choices(clock=make_clock(at)))) as desk:
        limits = desk.limits
        history = _find_history(desk, name)
        chosen = given or _choose_plan(desk, name, wanted, history)
        briefing = _find_briefing(desk, chosen, wanted)
        place = find_standing(name, chosen, briefing)
        if not (history.sightings or place.is_named):
            _refuse_unknown(desk, name, chosen, briefing)
        on = trading_day(chosen.generated_at) if chosen else wanted or trading_day(desk.clock.now())
    explanation = Explanation(name, on, chosen, place, limits)
    if as_json:
        print_json(explanation.document() | {"history": [row.document() for row in history.sightings]})
    else:
        _show(explanation, history)
    return 0


def _read_name(text: str) -> str:
    try:
        return read_symbol(text)
    except ValueError as error:
        raise BadInput("SYMBOL", "", *str(error).split("; ", 1)) from error


def _find_history(desk: Desk, name: str) -> History:
    if desk.ledger_path.exists():
        return list_history(desk.ledger, name)
    return History(())


def _choose_plan(desk: Desk, name: str, wanted: date | None, history: History) -> TradingPlan | None:
    """Return the plan of the wanted day; else today's, else the newest that names the symbol. None without any."""
    if not desk.ledger_path.exists():
        return None
    plans = desk.ledger.plans
    of_day = plans.find_of_day(wanted or trading_day(desk.clock.now()))
    named = [row.plan_id for row in history.sightings if not row.kind.startswith("order") and not row.by_hand]
    chosen = ([of_day] if of_day else [] if wanted else named)[-1:]
    if wanted is not None and not chosen:
        known = ", ".join(sorted({row.day.isoformat() for row in history.sightings})[-5:]) or "none"
        raise BadInput("--day", "", f"the ledger has no plan of {wanted}", f"days that know {name}: {known}")
    return next((plan_from(plans.document(plan_id), plan_id) for plan_id in chosen), None)


def _find_briefing(desk: Desk, plan: TradingPlan | None, wanted: date | None) -> Briefing | None:
    """Return the briefing that a plan was made from; without a plan today's newest. None if it is not kept."""
    if not desk.ledger_path.exists() or (plan is None and wanted is not None):
        return None
    try:
        if plan is None:
            return desk.shelf.read_todays_briefing(desk.clock.now())
        seen = plan.extra.get(RESEARCH)
        source = str(seen.get("briefing") or "") if isinstance(seen, dict) else ""
        message = desk.shelf.find(source) if source.startswith("MSG_") else None
        return None if message is None else desk.shelf.read_message(message)
    except DepartmentsError:
        return None


def _refuse_unknown(desk: Desk, name: str, plan: TradingPlan | None, briefing: Briefing | None) -> None:
    """Raise BadInput with the symbols that are known, if this is none of them."""
    known = set(desk.ledger.symbols.list_symbols()) if desk.ledger_path.exists() else set()
    if plan is not None:
        known |= {t.symbol for t in plan.trades} | {spell_symbol(s.symbol) for s in plan.skipped}
    if briefing is not None:
        known |= {c.symbol for c in briefing.candidates}
    if name in known:
        return
    near = get_close_matches(name, sorted(known))
    shown = [*near, *sorted(known - set(near))]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    listed = (
        f"known are {', '.join(shown[:SHOWN])}{more}" if shown else "nothing is known yet: run departments plan first"
    )
    raise BadInput("SYMBOL", "", f"no plan, order, holding or briefing names {name}", listed)


def _show(explanation: Explanation, history: History) -> None:
    screen = open_console()
    for line in explanation.sentences():
        screen.print(escape_text(line), soft_wrap=True)
    table = Table(title="Limits of a BUY", title_justify="left", box=box.SIMPLE)
    for name in ("Limit", "Value", "Of equity", "Code", ""):
        table.add_column(name, overflow="fold")
    for row in explanation.limits():
        cells = (row["key"], row["written"], row["dollars"] or "", row["code"], row["state"])
        table.add_row(*map(escape_text, cells))
    screen.print(table)
    table = Table(title=f"History of {explanation.symbol}", title_justify="left", box=box.SIMPLE)
    for name in ("Day", "What", "Side", "Shares", "Price", "Status", "Why", "Plan"):
        table.add_column(name, overflow="fold")
    for sighting in history.sightings:
        table.add_row(*map(escape_text, _cells(sighting)))
    screen.print(table)


def _cells(row: Sighting) -> tuple[str, ...]:
    numbers = ("" if number is None else plain(number) for number in (row.qty, row.price))
    return (row.day.isoformat(), row.kind, row.side, *numbers, row.status, row.reason, row.plan_id)


def register(app: typer.Typer) -> None:
    """Add `explain`."""
    app.command("explain", help=HELP)(explain)
