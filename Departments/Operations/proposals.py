"""The wishes of others as values: proposals of an optimiser, and sells that a caller demands.

A hint comes first and Operations goes on by itself. An exact proposal is the whole plan: limits cut it, nothing is
added. What is wrong with a size, a key or an exact pick refuses the proposal as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from Departments.core.errors import BadInput
from Departments.core.money import ONE, ZERO, plain
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade
from Departments.messaging.entries import UNKNOWN_KEY, EntryReader, UnusableEntry
from Departments.messaging.neighbours import Candidate, prepare_candidate
from Departments.messaging.plan_documents import classify
from Departments.messaging.proposal_payloads import MandatorySell, PlanProposal, read_sells
from Departments.Operations.briefing import keep_usable

LONGEST: Final = timedelta(days=31)  # a proposal may hold
ROUNDING: Final = Decimal("0.001")  # weights that were rounded may exceed the whole by so much
SIZES: Final = {"shares": "shares", "allocated_capital": "value", "weight": "weight"}


@dataclass(frozen=True, slots=True)
class SellWish:
    """Somebody wants a holding sold. `qty` in shares, None for all of it."""

    symbol: str
    qty: Decimal | None
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an external optimiser would like: SELLs, and BUYs with or without a size.

    An exact one is all that is bought and sold. It holds until `valid_until`, by default on its day. Nothing of
    `refused` is bought, whoever else wants it.
    """

    source: str
    sells: tuple[SellWish, ...] = ()
    picks: tuple[Candidate, ...] = ()
    refused: tuple[SkippedTrade, ...] = ()
    is_exact: bool = False
    valid_until: datetime | None = None


def proposal_from(proposal: PlanProposal, source: str, *, at: datetime | None = None) -> Proposal:
    """Read a PlanProposal, written `at`. Raises BadInput for one that proposes nothing or cannot be meant."""
    picks: dict[str, Candidate | UnusableEntry] = {f"picks[{index}]": pick for index, pick in enumerate(proposal.picks)}
    sells: list[MandatorySell] = list(proposal.sells)
    for index, trade in enumerate(proposal.trades):
        place = f"trades[{index}]"
        if classify(trade, source, place) is Side.BUY:
            picks[place] = EntryReader(Candidate, prepare=prepare_candidate).read(trade, place)
        else:
            sells.extend(read_sells([{**trade, "action": "SELL"}], f"{source}: {place}"))
    if not picks and not sells:
        raise BadInput(source, "picks", "nothing is proposed", "list picks, sells or trades")
    for key, problem, mend in _find_faults(picks, sells, proposal, at):
        raise BadInput(source, key, problem, mend)
    candidates, refused = keep_usable(picks.values())
    wishes, is_exact = sell_wishes(sells, why="proposed"), proposal.mode == "exact"
    return Proposal(source, wishes, candidates, refused, is_exact, proposal.valid_until)


def sell_wishes(sells: Iterable[MandatorySell], *, why: str = "mandatory sell") -> tuple[SellWish, ...]:
    """Return a caller's sell wishes; `why` replaces a missing reason."""
    return tuple(SellWish(sell.symbol, sell.qty, _reason(sell, why)) for sell in sells)


def _reason(sell: MandatorySell, why: str) -> str:
    reason = sell.reason or why
    return f"{reason} ({sell.source})" if sell.source else reason


# --- what refuses a proposal as a whole ---

Fault = tuple[str, str, str]


def _find_faults(
    picks: Mapping[str, Candidate | UnusableEntry],
    sells: Sequence[MandatorySell],
    proposal: PlanProposal,
    at: datetime | None,
) -> Iterator[Fault]:
    """Yield (key, problem, mend) for what cannot be meant."""
    yield from _find_wrong_end(proposal.valid_until, at)
    is_exact = proposal.mode == "exact"
    for place, pick in picks.items():
        if isinstance(pick, UnusableEntry):
            if is_exact or pick.key in SIZES or pick.problem == UNKNOWN_KEY:
                yield f"{place}.{pick.key}", f"{pick.name}: {pick.problem}", "correct it, or leave it out"
        elif is_exact:
            yield from _find_unclear_size(pick, place)
    usable = [pick for pick in picks.values() if isinstance(pick, Candidate)]
    whole = sum((pick.weight or ZERO for pick in usable), ZERO)
    if whole > ONE + ROUNDING:
        mend = "give shares of equity that add up to 1 at most"
        yield "picks", f"the weights add up to {plain(whole)}, more than the whole of equity", mend
    if is_exact:
        yield from _find_contradictions([pick.symbol for pick in usable], [sell.symbol for sell in sells])


def _find_wrong_end(valid_until: datetime | None, at: datetime | None) -> Iterator[Fault]:
    if valid_until is None or at is None:
        return
    if valid_until < at:
        yield "valid_until", f"{valid_until:%Y-%m-%d} is before it was written", "give a later time, or leave it out"
    elif valid_until > at + LONGEST + timedelta(days=1):
        yield "valid_until", f"is more than {LONGEST.days} days after it was written", "propose again in time"


def _find_unclear_size(pick: Candidate, place: str) -> Iterator[Fault]:
    """Yield the fault of a pick without exactly one size. Trades of plan documents carry shares and dollars."""
    sizes = [key for key, name in SIZES.items() if getattr(pick, name) is not None]
    if not sizes:
        mend = "give its shares, allocated_capital or weight, or propose a hint"
        yield place, f"{pick.symbol} has no size, and the proposal is exact", mend
    if "weight" in sizes and len(sizes) > 1:
        yield place, f"{pick.symbol} has {' and '.join(sizes)}", "give one size"


def _find_contradictions(bought: Sequence[str], sold: Sequence[str]) -> Iterator[Fault]:
    for symbol in sorted(set(bought)):
        if bought.count(symbol) > 1:
            yield "picks", f"{symbol} is proposed {bought.count(symbol)} times", "propose it once"
        if symbol in sold:
            yield "picks", f"{symbol} is in BUYs and SELLs", "propose one of them"
