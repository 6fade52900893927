"""A review holds plans that leave most of the day's money idle, and none of a normal day."""

from __future__ import annotations

import pytest

from Departments.Executive.review import foresee, review
from Departments.Executive.review_facts import ReviewFact
from Departments.messaging.neighbours import Candidate
from Departments.messaging.plan_stages import RESEARCH
from Departments.Operations.basis import Basis
from Departments.Operations.briefing import Briefing, research_document
from Departments.Operations.planning import make_plan
from tests.builders.operations import basis, briefing, candidate, random_day

DAYS = 30


def describe_money(day: Briefing, there: Basis) -> ReviewFact:
    """Plan a day and return the review's line about the money of the day."""
    plan = make_plan(day, there).plan
    plan.extra[RESEARCH] = research_document(day, {}, ())  # type: ignore[index] # a dict, as plans have it
    found = review(plan, foresee(plan, there.facts, there.limits, there.exits), there.limits)
    return next(fact for fact in found.facts if fact.name == "deployment of today's money")


def test_no_random_day_is_held_for_idle_money() -> None:
    assert {describe_money(*random_day(seed)).rule for seed in range(DAYS)} == {""}


def few(count: int) -> tuple[Candidate, ...]:
    return tuple(candidate(f"C{n}", 30, 80 - n, f"Sector {n}") for n in range(count))


@pytest.mark.parametrize(
    ("count", "rule"), [(0, ""), (1, "review.hold_idle_pct"), (4, "review.hold_idle_pct"), (8, "")]
)
def test_a_day_of_few_candidates_is_held_with_the_limit_that_binds(count: int, rule: str) -> None:
    found = describe_money(briefing(*few(count)), basis(cash=100_000, candidates=few(count)))
    assert found.rule == rule
    assert not rule or found.value.endswith("of $90,000, MAX_AUTO_POSITION binds")
