"""Selection: SELLs and candidates, never both of one symbol.

SELLs come first: those a caller demands, those the briefing flags, then holdings scored under the threshold. Their
shares are the account's, whatever a briefing or proposal names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from Departments.constraints.limits import Limits
from Departments.core.money import count_noun, plain
from Departments.core.orders import Side
from Departments.core.plans import SkippedTrade, Trade
from Departments.core.portfolio import Position
from Departments.core.reasons import Reason, ReasonCode
from Departments.messaging.neighbours import Candidate
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing
from Departments.Operations.proposals import SellWish


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen SELLs, the candidates best first, and the skips.

    `untradable` are the holdings whose trouble is reported here for the first time; `weaker` are the candidates under
    the threshold, best first. If it `is_exact`, sizes are cut and never added to.
    """

    sells: tuple[Trade, ...]
    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedTrade, ...]
    untradable: tuple[str, ...] = ()
    weaker: tuple[Candidate, ...] = ()
    is_exact: bool = False


def select(
    briefing: Briefing,
    basis: Basis,
    *,
    wishes: Sequence[SellWish] = (),
    reported: AbstractSet[str] = frozenset(),
    weak: bool = True,
    tops_up: bool = True,
) -> Selection:
    """Choose SELLs and candidates.

    `wishes` are sold whatever their score; `reported` are untradable holdings reported on an earlier day;
    `weak` also sells holdings scored under the threshold; `tops_up` makes candidates of those at or above the other.
    """
    own = _find_weak(basis) if weak else []
    wanted = {w.symbol: w for w in _first_of_each((*_net(wishes), *_find_flagged(briefing), *own))}
    outcomes = _deny([_sell(wish, basis) for wish in wanted.values()], basis)
    sells = tuple(o for o in outcomes if isinstance(o, Trade))
    skips = [o for o in outcomes if isinstance(o, SkippedTrade)]
    untradable = {s.symbol for s in skips if s.reason.code is ReasonCode.NOT_TRADABLE}
    strong = _find_strong(briefing, basis, wanted) if tops_up else []
    judged = [(c, _find_objection(c, basis, wanted)) for c in sorted((*briefing.candidates, *strong), key=best_first)]
    return Selection(
        sells,
        tuple(c for c, skip in judged if skip is None),
        (
            *briefing.refused,
            *(s for s in skips if s.symbol not in untradable & reported),
            *(skip for _, skip in judged if skip is not None),
        ),
        tuple(sorted(untradable - reported)),
        tuple(c for c, skip in judged if skip is not None and skip.reason.code is ReasonCode.SCORE_BELOW_THRESHOLD),
    )


def best_first(candidate: Candidate) -> tuple[Decimal, str]:
    """Return the sort key: highest score first, ties by symbol, unscored candidates last."""
    return (Decimal(1) if candidate.score is None else -candidate.score, candidate.symbol)


def _first_of_each(wishes: Iterable[SellWish]) -> Iterator[SellWish]:
    """Yield the first wish for each symbol."""
    seen: set[str] = set()
    for wish in wishes:
        if wish.symbol not in seen:
            seen.add(wish.symbol)
            yield wish


def _find_flagged(briefing: Briefing) -> list[SellWish]:
    return [SellWish(h.symbol, None, h.sell_reason) for h in briefing.holdings if h.must_sell]


def _net(wishes: Sequence[SellWish]) -> list[SellWish]:
    netted: dict[str, SellWish] = {}
    for wish in sorted(wishes, key=lambda w: (w.symbol, w.qty is None, w.qty or 0, w.reason)):
        first = netted.get(wish.symbol)
        qty = wish.qty if first is None else None if None in {first.qty, wish.qty} else _sum(first.qty, wish.qty)
        netted[wish.symbol] = SellWish(wish.symbol, qty, wish.reason if first is None else first.reason)
    return list(netted.values())


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _find_weak(basis: Basis) -> list[SellWish]:
    threshold = basis.limits.deployment.sell_below_score
    held = basis.facts.positions.values()
    scored = sorted((p.score, p.symbol) for p in held if p.score is not None and p.qty > 0)
    return [
        SellWish(symbol, None, f"score {plain(score)} is under {plain(threshold)}")
        for score, symbol in scored
        if score < threshold
    ]


def _find_strong(briefing: Briefing, basis: Basis, sold: Mapping[str, SellWish]) -> list[Candidate]:
    """Return the holdings to top up, as candidates. A locked one waits for a person."""
    known = {c.symbol for c in briefing.candidates} | {s.symbol for s in briefing.refused}
    return [
        Candidate(p.symbol, p.score, sector=p.sector)
        for p in basis.facts.positions.values()
        if may_top_up(p, basis.limits) and p.symbol not in {*known, *sold, *basis.facts.locks}
    ]


def may_top_up(position: Position, limits: Limits) -> bool:
    """Return whether a holding's score is that of a candidate."""
    return position.qty > 0 and position.score is not None and position.score >= limits.deployment.min_score


def describe_holdings(briefing: Briefing, basis: Basis) -> tuple[str, ...]:
    """Return the sentences about holdings in which briefing and account differ."""
    listed, held = {h.symbol for h in briefing.holdings}, {p.symbol for p in basis.facts.positions.values() if p.qty}
    known = listed | {c.symbol for c in briefing.candidates} | {s.symbol for s in briefing.refused}
    gone, new = ", ".join(sorted(listed - held)), ", ".join(sorted(held - known))
    return (
        *([f"Held by the briefing, but not by the account: {gone}."] if gone else []),
        *([f"Held by the account, but not in the briefing: {new}."] if new else []),
    )


def _sell(wish: SellWish, basis: Basis) -> Trade | SkippedTrade:
    held = basis.facts.positions.get(wish.symbol)
    if held is None or held.qty == 0:
        return skip(wish.symbol, ReasonCode.NOT_HELD, "the account does not hold it")
    if held.qty < 0:
        return _skip_short(held)
    qty = held.qty if wish.qty is None else min(wish.qty, held.qty)
    reason = wish.reason
    if wish.qty is not None and qty < wish.qty:
        reason = f"{reason} (only {plain(qty)} of {count_noun(wish.qty, 'share')} held)".strip()
    return Trade(wish.symbol, Side.SELL, qty, basis.price(wish.symbol, Side.SELL), held.score, held.sector, reason)


def _deny(outcomes: Sequence[Trade | SkippedTrade], basis: Basis) -> list[Trade | SkippedTrade]:
    """Judge all SELLs in order and replace denied ones by skips."""
    denied: dict[str, SkippedTrade] = {}
    for order, reason in basis.judge_plan(tuple(o for o in outcomes if isinstance(o, Trade))).violations:
        denied.setdefault(order.symbol, skip_for(order.symbol, reason))
    return [denied.get(outcome.symbol, outcome) for outcome in outcomes]


def _find_objection(candidate: Candidate, basis: Basis, sold: Mapping[str, SellWish]) -> SkippedTrade | None:
    minimum = basis.limits.deployment.min_score
    if candidate.symbol in sold:
        return skip(candidate.symbol, ReasonCode.SOLD_IN_THIS_PLAN, "the plan sells it, so it does not buy it")
    if not candidate.has_size and candidate.score is not None and candidate.score < minimum:
        sentence = f"score {plain(candidate.score)} is under {plain(minimum)}"
        code = ReasonCode.SCORE_BELOW_THRESHOLD
        return skip(candidate.symbol, code, sentence, score=candidate.score, minimum=minimum)
    return None


def _skip_short(held: Position) -> SkippedTrade:
    sentence = "the account is short; this desk trades long positions only"
    return skip(held.symbol, ReasonCode.SHORT_POSITION, sentence, held=held.qty)


def skip(symbol: str, code: ReasonCode, sentence: str, **values: object) -> SkippedTrade:
    """Return a skip with its line for the log."""
    return skip_for(symbol, Reason.of(code, sentence, **values))


def skip_for(symbol: str, reason: Reason) -> SkippedTrade:
    """Return the skip for a reason, with its sentence or its code's meaning."""
    return SkippedTrade(symbol, reason, f"Skipped {symbol} - {reason.sentence or f'{reason.code.meaning} ({reason})'}")
