"""Adapters of a project's own departments to the hooks of Operations. A hook's process runs them, in the project.

They import the project's modules by name and nothing of ours. Scores are from 0 to 100, money is in dollars.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from operator import mul
from typing import Any, Final

#: The parts of a composite score in the older system.
WEIGHTS: Final[Mapping[str, float]] = {"technical": 0.4, "fundamental": 0.4, "sentiment": 0.2}
NO_NEWS: Final = 50.0


def add_news(briefing: dict[str, Any], *, db_path: str, key_name: str) -> dict[str, Any]:
    """Return a briefing with the scores of the project's News: `operations.enrich`.

    A candidate's composite score is counted anew from its parts; a holding keeps its own.
    """
    news = importlib.import_module("Departments.News.news_department").NewsDepartment(
        db_path=db_path, perplexity_api_key=_read_key(key_name)
    )
    candidates, holdings = (_list_named(briefing, name) for name in ("candidates", "current_holdings"))
    scores = news.get_sentiment_scores([row["ticker"] for row in (*candidates, *holdings)])
    for row in candidates:
        _add_score(row, scores)
        parts = [part.get("score") if isinstance(part := row.get(name), dict) else None for name in WEIGHTS]
        if all(isinstance(part, int | float) for part in parts):
            row["composite_score"] = round(sum(map(mul, WEIGHTS.values(), parts)), 1)
    for row in holdings:
        _add_score(row, scores)
    return briefing


def _list_named(briefing: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the rows that name a symbol; whoever reads the briefing refuses the others."""
    return [row for row in briefing.get(key) or [] if isinstance(row, dict) and row.get("ticker")]


def _add_score(row: dict[str, Any], scores: Mapping[str, Any]) -> None:
    found = scores.get(row["ticker"])
    if found:
        text = found.get("news_summary") or ""
        score = found.get("sentiment_score", NO_NEWS)
        row["sentiment"] = {"score": score, "summary": text, "news_count": int(bool(text))}


def propose_by_optimiser(given: Mapping[str, Any], *, key_name: str) -> dict[str, Any]:
    """Return what the project's optimiser chooses of a briefing, as a PlanProposal: `operations.propose`."""
    briefing, account = given["briefing"], given["account"]
    optimiser = importlib.import_module("Departments.Executive.gpt5_portfolio_optimizer").GPT5PortfolioOptimizer(
        _read_key(key_name)
    )
    chosen, reason = optimiser.optimize_portfolio(
        briefing.get("candidates") or [],
        float(account["cash"]),
        briefing.get("market_conditions") or {},
        current_positions=len(given["positions"]),
        holdings=briefing.get("current_holdings") or [],
    )
    picks = [
        {"ticker": row["ticker"], "allocated_capital": row["allocated_capital"], "reason": row.get("gpt5_reasoning")}
        for row in chosen
        if (row.get("allocated_capital") or 0) > 0
    ]
    return {"picks": picks, "reason": str(reason)}


def _read_key(name: str) -> str | None:
    """Return a key of the project's `config.py`, None without one."""
    key: str | None = getattr(importlib.import_module("config"), name, None)
    return key
