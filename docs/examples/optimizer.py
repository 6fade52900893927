"""An optimiser: it reads a DailyBriefing and proposes to the desk what to buy, as a hint or exactly.

    python optimizer.py WORKSPACE BRIEFING.md [--mode exact] [--names 12] [--until 2025-11-12]

Each of the best candidates gets a weight in proportion to its score; 85 % of equity is spent in all. `exact` is the
whole plan: the desk buys these symbols at these sizes and nothing else, and its limits only cut. A `hint` comes first,
and the desk goes on in score order.
"""

import argparse
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

SPENT = 0.85  # of equity; the desk keeps its cash reserve whatever is proposed


def read_payload(message: Path) -> dict[str, list[dict[str, float]]]:
    """Return the JSON of a message."""
    found = re.search(r"```json\n(.*?)\n```", message.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise SystemExit(f"{message} holds no JSON")
    payload: dict[str, list[dict[str, float]]] = json.loads(found.group(1))
    return payload


def propose(candidates: list[dict[str, float]], names: int, mode: str, until: str | None) -> dict[str, object]:
    """Return a PlanProposal: the best candidates, weighed by score. Its weights never exceed the whole."""
    best = sorted(candidates, key=lambda row: -float(row["composite_score"]))[:names]
    total = sum(float(row["composite_score"]) for row in best)
    weights = {str(row["ticker"]): round(SPENT * float(row["composite_score"]) / total, 4) for row in best}
    picks = [{"ticker": ticker, "weight": weight, "reason": "weighed by score"} for ticker, weight in weights.items()]
    return {"mode": mode, "picks": picks} | ({"valid_until": until} if until else {})


def main() -> None:
    """Write one proposal into the inbox of Operations and print its path."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("briefing", type=Path)
    parser.add_argument("--mode", choices=["exact", "hint"], default="hint")
    parser.add_argument("--names", type=int, default=12)
    parser.add_argument("--until", help="the last day or moment it holds; its own day without")
    parser.add_argument("--at", type=datetime.fromisoformat, default=datetime.now(UTC))
    given = parser.parse_args()
    payload = propose(read_payload(given.briefing)["candidates"], given.names, given.mode, given.until)
    message_id = f"MSG_RESEARCH_{given.at:%Y%m%dT%H%M%SZ}_{uuid.uuid4().hex[:8]}"
    head = f"message_id: {message_id}\nfrom: RESEARCH\nto: OPERATIONS\ntimestamp: '{given.at:%Y-%m-%dT%H:%M:%SZ}'"
    text = f"---\n{head}\nmessage_type: PlanProposal\n---\n# Proposal\n\n```json\n{json.dumps(payload)}\n```\n"
    path = given.workspace / "Messages_Between_Departments" / "Inbox" / "OPERATIONS" / f"{message_id}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_text(text, encoding="utf-8")
    print(path.with_suffix(".tmp").replace(path))


if __name__ == "__main__":
    main()
