"""Any day Operations might plan on, for property tests."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from Departments.constraints.limits import Limits, find_contradictions
from Departments.core.portfolio import Position
from Departments.messaging.neighbours import Candidate
from Departments.Operations.basis import Basis
from tests.builders.operations import SECTORS, basis, candidate, held

shares_of_one = st.integers(1, 100).map(lambda n: Decimal(n) / 100)
cheap = st.integers(500, 9_000).map(lambda n: Decimal(n) / 100)
prices = st.one_of(cheap, cheap, st.integers(100, 90_000).map(lambda n: Decimal(n) / 100))
sectors = st.sampled_from((*SECTORS[:4], None))
scores = st.one_of(st.integers(55, 100), st.integers(55, 100), st.integers(0, 100)).map(Decimal)
sizes = st.one_of(
    st.fixed_dictionaries({"shares": st.integers(1, 400).map(Decimal)}),
    st.fixed_dictionaries({"value": st.integers(100, 30_000).map(Decimal)}),
    st.fixed_dictionaries({"weight": st.integers(1, 30).map(lambda n: Decimal(n) / 100)}),
)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Candidate, ...]:
    """One to fifteen candidates, with or without proposed sizes, some of them of held symbols."""
    symbols = draw(
        st.lists(st.sampled_from([f"C{n}" for n in range(14)] + ["H0", "H1"]), unique=True, min_size=1, max_size=15)
    )
    propose = draw(st.booleans())
    return tuple(
        candidate(symbol, draw(prices), draw(scores), draw(sectors), **(draw(st.just({}) | sizes) if propose else {}))
        for symbol in symbols
    )


@st.composite
def positions(draw: st.DrawFn) -> tuple[Position, ...]:
    """Up to eight positions: whole, fractional, few of them short."""
    whole = st.integers(1, 200)
    quantities = st.one_of(whole, whole, whole, st.just(Decimal("10.5")), st.just(-20))
    count = draw(st.integers(0, 8))
    return tuple(
        held(f"H{n}", draw(quantities), draw(cheap), sector=draw(sectors), score=draw(st.none() | scores))
        for n in range(count)
    )


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Limits of every kind that do not contradict each other."""
    found = Limits.model_validate(
        {
            "position_limits": {
                "min_position_value": draw(st.sampled_from((0, 500, 1000, 1000))),
                "min_position_pct": draw(st.sampled_from((Decimal(0), Decimal("0.03"), Decimal("0.05")))),
                "max_positions_total": draw(st.sampled_from((1, 2, 5, 12, 20, 20))),
                "max_sector_concentration_pct": draw(st.sampled_from((Decimal("0.15"), Decimal("0.40"), Decimal(1)))),
                "unknown_sector": draw(st.sampled_from(("own_bucket", "each_by_itself"))),
            },
            "portfolio_risk": {
                "min_cash_reserve_pct": draw(st.sampled_from((Decimal(0), Decimal("0.1"), Decimal("0.3")))),
                "max_portfolio_heat": draw(st.sampled_from((Decimal("0.02"), Decimal("0.08"), Decimal(1)))),
                "allow_margin": draw(st.sampled_from((False, False, False, True))),
            },
            "settlement": {"account": draw(st.sampled_from(("margin", "margin", "cash")))},
            "deployment": {"price_buffer_pct": draw(st.sampled_from((Decimal(0), Decimal("0.01"), Decimal("0.05"))))},
        }
    )
    return found if not list(find_contradictions(found)) else Limits()


@st.composite
def days(draw: st.DrawFn) -> tuple[tuple[Candidate, ...], Basis]:
    """A list of candidates and the account, market and limits to plan on."""
    wanted = draw(candidates())
    portfolio = draw(positions())
    day = basis(
        *portfolio,
        cash=draw(st.one_of(*[st.integers(15_000, 200_000)] * 5, st.integers(-20_000, 15_000))),
        candidates=wanted,
        limits=draw(limits()),
        stop=draw(st.sampled_from((None, Decimal("0.08")))),
    )
    return wanted, day
