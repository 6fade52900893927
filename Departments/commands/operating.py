"""`departments exchange …`: operate the simulated exchange of a workspace. Each command says one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_FLOOR
from pathlib import Path
from typing import Annotated, Any

import typer

from Departments.brokers.registry import EXCHANGE_FILE
from Departments.commands.clocks import choose_clock
from Departments.commands.consoles import print_text
from Departments.commands.exchange_document import (
    exchange_document,
)
from Departments.commands.frame import print_json, show_logs
from Departments.commands.inputs import make_clock
from Departments.commands.log_lines import note_change
from Departments.commands.options import AsJson, At, ExchangePrices, Reseed, Workspace
from Departments.core.errors import BadInput
from Departments.core.moments import show_moment
from Departments.core.money import CENT, ZERO, count_noun, plain, usd_cents
from Departments.core.platform.clock import Clock
from Departments.core.platform.places import find_state, locate
from Departments.core.validation import validate
from Departments.exchange.damage import naming_damage
from Departments.exchange.exchange import SimulatedExchange
from Departments.exchange.faults import load_faults
from Departments.exchange.market_events import MarketEvent
from Departments.exchange.price_files import read_prices
from Departments.exchange.records import ExchangeRefusal
from Departments.exchange.state import load_exchange_state
from Departments.exchange.storage import retire_file

COMMANDS = {"set_price": "price", "resume": "halt"}  # of the events that are named otherwise
SYMBOL = Annotated[str, typer.Argument(help="The symbol.", metavar="SYMBOL")]
AMOUNT = Annotated[str, typer.Argument(help="Dollars.", metavar="DOLLARS")]


def init(
    state: Annotated[Path, typer.Argument(help="The seed: cash, positions, prices; see docs/exchange.md.")],
    workspace: Workspace = Path(),
    prices: ExchangePrices = None,
    at: At = None,
    *,
    reseed: Reseed = False,
    as_json: AsJson = False,
) -> int:
    """Seed the exchange from a file. With --reseed a new one replaces it; the old file is kept."""
    path, clock, seed = _find_file(workspace), make_clock(at), load_exchange_state(state)
    if path.exists() and not reseed:
        raise BadInput(path, "", "the exchange exists already", "add --reseed to replace it; the old file is kept")
    given = None if prices is None else read_prices(prices)
    kept = f"; the old one is kept as {retire_file(path, clock.now()).name}" if path.exists() else ""
    exchange = SimulatedExchange(path, clock, state=seed)
    try:
        if given is not None:
            exchange.floor.set_prices(given.prices)
            exchange.floor.record_bars(given.bars)
        sentence = f"Seeded {path.name} from {state.name}: {_describe(exchange)}{kept}"
        _say_change(workspace, "init", sentence, clock, as_json=as_json)
    finally:
        exchange.close()
    return 0


def show(workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Show the exchange in one line. With --json also positions, orders and bookings."""
    with _open(workspace, at) as (exchange, clock):
        if as_json:
            print_json(exchange_document(exchange, clock))
        else:
            _say(f"{show_moment(clock.now())}: {_describe(exchange)}", as_json=as_json)
    return 0


def price(
    symbol: Annotated[str | None, typer.Argument(help="The symbol.")] = None,
    dollars: Annotated[str | None, typer.Argument(help="Dollars per share.")] = None,
    workspace: Workspace = Path(),
    prices: ExchangePrices = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Set the price of a symbol, or of all symbols in a file. Resting orders see it at once."""
    if prices is None:
        if symbol is None or dollars is None:
            raise BadInput("SYMBOL DOLLARS", "", "is missing", "write: departments exchange price NVDA 187.20")
        return _occur(workspace, at, as_json=as_json, do="set_price", of=symbol, price=dollars)
    given = read_prices(prices)
    with _open(workspace, at) as (exchange, clock):
        exchange.floor.set_prices(given.prices)
        exchange.floor.record_bars(given.bars)
        bars = f", recorded days of {count_noun(len(given.bars), 'symbol')}" if given.bars else ""
        sentence = f"Took the prices of {count_noun(len(given.prices), 'symbol')}{bars} from {prices.name}"
        _say_change(workspace, "price", sentence, clock, as_json=as_json)
    return 0


def deposit(amount: AMOUNT, workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Pay money in (activity CSD)."""
    return _occur(workspace, at, as_json=as_json, do="deposit", amount=amount)


def withdraw(amount: AMOUNT, workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Pay money out (activity CSW); no more than the cash."""
    return _occur(workspace, at, _check_cash, as_json=as_json, do="withdraw", amount=amount)


def dividend(
    symbol: SYMBOL,
    amount: Annotated[str, typer.Argument(help="Dollars per share.", metavar="DOLLARS")],
    workspace: Workspace = Path(),
    pay_on: Annotated[str | None, typer.Option(help="The payment day, like 2025-12-04 (default: now).")] = None,
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Pay a dividend on the shares held now (activity DIV)."""
    return _occur(workspace, at, as_json=as_json, do="dividend", of=symbol, amount=amount, pay_on=pay_on)


def interest(amount: AMOUNT, workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Book interest (activity INT); a negative amount is paid."""
    return _occur(workspace, at, _check_cash, as_json=as_json, do="interest", amount=amount)


def fee(amount: AMOUNT, workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Charge a fee (activity FEE); no more than the cash."""
    return _occur(workspace, at, _check_cash, as_json=as_json, do="fee", amount=amount)


def split(
    symbol: SYMBOL,
    ratio: Annotated[str, typer.Argument(help="New shares for each old one: 10 or 10:1; 1:10 is a reverse split.")],
    workspace: Workspace = Path(),
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Split a symbol (activity SPLIT). `orders_at_split` of the seed says what becomes of its open orders."""
    return _occur(workspace, at, as_json=as_json, do="split", of=symbol, ratio=ratio)


def rename(
    symbol: SYMBOL,
    new: Annotated[str, typer.Argument(help="The new symbol.", metavar="NEW")],
    workspace: Workspace = Path(),
    at: At = None,
    *,
    as_json: AsJson = False,
) -> int:
    """Give a symbol a new name (activity NC). Shares and asset id stay; its open orders are cancelled."""
    return _occur(workspace, at, as_json=as_json, do="rename", of=symbol, to=new)


def halt(
    symbol: SYMBOL,
    workspace: Workspace = Path(),
    seconds: Annotated[str | None, typer.Option(help="How long, like 30m (default: until --end).")] = None,
    at: At = None,
    *,
    end: Annotated[bool, typer.Option("--end", help="Let it trade again.")] = False,
    as_json: AsJson = False,
) -> int:
    """Halt a symbol, or end its halt."""
    return _occur(
        workspace, at, as_json=as_json, do="resume" if end else "halt", of=symbol, seconds=None if end else seconds
    )


def reset(workspace: Workspace = Path(), at: At = None, *, as_json: AsJson = False) -> int:
    """Put the exchange away under a dated name; the next seed makes a new one."""
    path = _find_file(workspace)
    _check_exists(path)
    clock = make_clock(at)
    kept = retire_file(path, clock.now())
    sentence = f"{path.name} is kept as {kept.name}; seed a new one: departments exchange init FILE"
    _say_change(workspace, "reset", sentence, clock, as_json=as_json)
    return 0


def check_faults(
    file: Annotated[Path, typer.Argument(help="The fault script.", metavar="FILE")], *, as_json: AsJson = False
) -> int:
    """Check a fault script: every entry is read, nothing strikes."""
    script = load_faults(file)
    deeds = ", ".join(sorted({fault.do for fault in script.faults})) or "none"
    _say(f"{file.name}: {count_noun(len(script.faults), 'fault')} can be read ({deeds})", as_json=as_json)
    return 0


# --- inside ---


def _occur(
    workspace: Path,
    at: str | None,
    check: Callable[[SimulatedExchange, MarketEvent], None] | None = None,
    *,
    as_json: bool,
    **terms: Any,
) -> int:
    """Let one event happen, and print its effect. Raises BadInput."""
    event = validate(
        MarketEvent, {name: value for name, value in terms.items() if value is not None}, f"exchange {terms['do']}"
    )
    with _open(workspace, at) as (exchange, clock):
        if event.of is not None and event.do != "set_price" and not exchange.assets([event.of]):
            mend = "name one from `departments exchange show --json`"
            raise BadInput("SYMBOL", "", f"{event.of} is not listed at the exchange", mend)
        if check is not None:
            check(exchange, event)
        try:
            sentence = exchange.floor.occur(event)
        except ExchangeRefusal as refusal:
            raise BadInput(event.do, "", str(refusal), "correct it") from refusal
        _say_change(workspace, COMMANDS.get(event.do, event.do), sentence, clock, as_json=as_json)
    return 0


def _check_cash(exchange: SimulatedExchange, event: MarketEvent) -> None:
    """Check that the account can pay. Raises BadInput."""
    cash, amount = exchange.account().cash, event.amount or ZERO
    outgoing = -amount if event.do == "interest" else amount
    if outgoing > max(cash, ZERO):
        verb = {"withdraw": "withdraw", "fee": "charge"}.get(event.do, "pay")
        most = plain(cash.quantize(CENT, ROUND_FLOOR))
        mend = f"{verb} {most} at most" if cash >= CENT else "deposit money first"
        raise BadInput("DOLLARS", "", f"{usd_cents(outgoing)} is more than the cash", mend)


@contextmanager
def _open(workspace: Path, at: str | None) -> Iterator[tuple[SimulatedExchange, Clock]]:
    path = _find_file(workspace)
    _check_exists(path)
    clock = choose_clock(path, at)
    show_logs(clock)
    exchange = SimulatedExchange(path, clock)
    try:
        with naming_damage(path):
            yield exchange, clock
    finally:
        exchange.close()


def _find_file(workspace: Path) -> Path:
    return find_state(locate(workspace)) / EXCHANGE_FILE


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise BadInput(path, "", "there is no exchange yet", "seed it: departments exchange init FILE")


def _describe(exchange: SimulatedExchange) -> str:
    account, state = exchange.account(), exchange.starting_state()
    foreign = len(exchange.foreign_orders()) + len(exchange.foreign_positions())
    parts = [
        f"cash {usd_cents(account.cash)}",
        f"equity {usd_cents(account.equity)}",
        count_noun(len(exchange.positions()), "position"),
        count_noun(len(exchange.orders()), "open order"),
        *([count_noun(foreign, "foreign row")] if foreign else []),
        f"prices {state.price_mode}",
    ]
    return ", ".join(parts)


def _say_change(workspace: Path, what: str, sentence: str, clock: Clock, *, as_json: bool) -> None:
    """Print what was changed, and write it into the log."""
    note_change(workspace, f"exchange {what}", sentence, clock)
    _say(sentence, as_json=as_json)


def _say(sentence: str, *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - only to write one line

    if as_json:
        print_json({"sentence": sentence})
    else:
        print_text(Console(highlight=False, markup=False), sentence)


def register(app: typer.Typer) -> None:
    """Add the group `exchange`."""
    group = typer.Typer(no_args_is_help=True, help="Operate the simulated exchange of a workspace.")
    commands = (init, show, price, deposit, withdraw, dividend, interest, fee, split, rename, halt, reset)
    for command in commands:
        group.command(command.__name__, context_settings={"ignore_unknown_options": True})(command)  # -3.20 is a number
    faults = typer.Typer(no_args_is_help=True, help="Fault scripts of the simulated exchange.")
    faults.command("check")(check_faults)
    group.add_typer(faults, name="faults")
    app.add_typer(group, name="exchange")
