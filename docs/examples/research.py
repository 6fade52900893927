"""A research program: it writes the day's DailyBriefing for the desk.

    python research.py WORKSPACE SCORES.csv [HOLDINGS.csv]

SCORES.csv has a row for each candidate: ticker, score (0 to 100), price (dollars), sector. HOLDINGS.csv has one for
each held symbol: ticker, score, price. An empty SCORES.csv is a day with nothing to buy. VIX and SPY come from the
program's own sources; here they are the options --vix and --spy.
"""

import argparse
import csv
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path


def read_rows(path: Path, score: str) -> list[dict[str, object]]:
    """Read a CSV. A number that cannot be read is left as it is: the desk sets that row aside, by name."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {"ticker": row["ticker"], score: row["score"], "current_price": row["price"], "sector": row.get("sector")}
            for row in csv.DictReader(file)
        ]


def write_message(inbox: Path, message_type: str, payload: dict[str, object], at: datetime) -> Path:
    """Write a message under another name and rename it, so that nobody reads half of it."""
    message_id = f"MSG_RESEARCH_{at:%Y%m%dT%H%M%SZ}_{uuid.uuid4().hex[:8]}"
    head = f"message_id: {message_id}\nfrom: RESEARCH\nto: OPERATIONS\ntimestamp: '{at:%Y-%m-%dT%H:%M:%SZ}'"
    text = f"---\n{head}\nmessage_type: {message_type}\n---\n# {message_type}\n\n```json\n{json.dumps(payload)}\n```\n"
    inbox.mkdir(parents=True, exist_ok=True)
    unfinished = inbox / f".{message_id}.tmp"
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(inbox / f"{message_id}.md")


def main() -> None:
    """Write one briefing and print its path."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("holdings", type=Path, nargs="?")
    parser.add_argument("--vix", type=float)
    parser.add_argument("--spy", type=float, help="SPY's change of the day in percent")
    parser.add_argument("--at", type=datetime.fromisoformat, default=datetime.now(UTC))
    given = parser.parse_args()
    payload: dict[str, object] = {
        "market_conditions": {"vix": given.vix, "spy_change_pct": given.spy, "date": f"{given.at:%Y-%m-%d}"},
        "candidates": read_rows(given.scores, "composite_score"),
        "current_holdings": read_rows(given.holdings, "research_composite_score") if given.holdings else [],
    }
    inbox = given.workspace / "Messages_Between_Departments" / "Inbox" / "OPERATIONS"
    print(write_message(inbox, "DailyBriefing", payload, given.at))


if __name__ == "__main__":
    main()
