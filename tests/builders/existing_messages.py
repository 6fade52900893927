"""Messages as the writers of an existing project write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

FOLDER: Final = "Messages_Between_Departments"
DAYS: Final = tuple(date(2026, 3, day) for day in range(2, 7))
RECIPIENTS: Final = ("COMPLIANCE", "PORTFOLIO", "RESEARCH", "RISK", "TRADING")


def write_message(
    message_id: str,
    sender: str,
    recipient: str,
    kind: str,
    at: datetime,
    payload: Mapping[str, Any] | None,
    *,
    text: str = "",
    priority: str = "routine",
) -> bytes:
    """Return a message as the old writers write it."""
    head = f"from: {sender}\nmessage_id: {message_id}\nmessage_type: {kind}\npriority: {priority}\n"
    head += "requires_response: false\n"
    body = text or f"# {kind}\n"
    if payload is not None:
        body += f"\n```json\n{json.dumps(payload, indent=2)}\n```\n"
    return f"---\n{head}timestamp: '{zulu(at)}'\nto: {recipient}\n---\n\n{body}".encode()


def zulu(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def list_other_messages() -> Iterator[tuple[str, bytes]]:
    """Yield the rest of the old tree: regime texts, risk, orders, requests, an older tree."""
    for at, day in enumerate(DAYS):
        local = datetime.combine(day, datetime.min.time()) + timedelta(hours=8, minutes=1)
        for recipient in RECIPIENTS:
            name = f"MSG_REGIME_{local:%Y%m%dT%H%M%SZ}_{recipient[:4].lower()}.md"
            yield f"{FOLDER}/Inbox/{recipient}/{name}", regime_text(recipient, local, by_hand=at % 2 == 1)
    start = datetime.combine(DAYS[0], datetime.min.time()) - timedelta(hours=14)
    for n, inbox in enumerate((f"{FOLDER}/Outbox/RISK", f"{FOLDER}/Inbox/PORTFOLIO")):
        risk = {
            "approved_candidates": [{"ticker": "BAC", "position_size_shares": 188}],
            "assessment_date": "2026-03-01",
        }
        name = f"MSG_RISK_20260301T100000Z_{7:08x}"
        data = write_message(name, "RISK", "PORTFOLIO", "RiskAssessment", start, {**risk, "rejected_candidates": []})
        yield f"{inbox}/{name}.md", data
        bare = f"MSG_RISK_TEST_{'AB'[n]}_{n:08x}"
        head = f"---\nmessage_id: {bare}\nfrom: RISK\nto: PORTFOLIO\nmessage_type: RiskAssessment\npriority: routine\n"
        tail = 'created_at: 2025-10-31T03:41:41.041646\n---\n\n# Risk\n\n```json\n{"approved_candidates": []}\n```\n'
        yield f"{FOLDER}/Inbox/PORTFOLIO/{bare}.md", (head + tail).encode()
    order = {"order_type": "SELL", "ticker": "BAC", "shares": 188, "execution_type": "MARKET", "position_id": "POS_1"}
    text = "# Trade Order - SELL BAC\n\n188 × $53.03\n"
    name = f"MSG_PORTFOLIO_20260301T101500Z_{9:08x}"
    yield (
        f"{FOLDER}/Outbox/PORTFOLIO/{name}.md",
        write_message(name, "PORTFOLIO", "TRADING", "TradeOrder", start, order, text=text),
    )
    wanted = {"request_type": "CANDIDATES", "deployment_status": {"deployed_pct": 0.4}, "criteria": {"min_score": 60}}
    name = f"MSG_PORTFOLIO_20260301T102500Z_{10:08x}"
    yield (
        f"{FOLDER}/Outbox/PORTFOLIO/{name}.md",
        write_message(name, "PORTFOLIO", "RESEARCH", "CandidateRequest", start, wanted, priority="high"),
    )
    older = "---\nmessage_id: MSG_20251030_1\nfrom: Compliance\nto: Portfolio\ntype: TradeRejection\n"
    older += "payload:\n  ticker: BAC\n---\n"
    yield "Messages/Compliance/Outbox/TradeRejection_BAC_MSG_20251030_1.md", older.encode()


def regime_text(recipient: str, local: datetime, *, by_hand: bool = False) -> bytes:
    """Return a regime message without front matter; one by hand is Windows-1252."""
    title = "# Market Regime Assessment" + ("" if by_hand else " (Automated)")
    sender = "CEO / Market Regime Analyzer" if by_hand else "Automated Trading System"
    lines = [
        title,
        "",
        f"**From:** {sender}",
        f"**To:** {recipient} Department",
        f"**Date:** {local:%Y-%m-%d %H:%M:%S}",
    ]
    if by_hand:
        lines.append(f"**Assessment ID:** REGIME_{local:%Y%m%d_%H%M%S}_0000000a")
    lines += [
        "",
        "## Market Regime: BULLISH",
        "",
        "**Confidence:** MEDIUM",
        "**Recommendation:** FAVORABLE CONDITIONS",
        "",
    ]
    moved = (" (+0.46%)", " (-1.20%)" if by_hand else "")
    lines += ["## Current Indicators:", f"- **SPY:** $678.13{moved[0]}", f"- **VIX:** 17.93{moved[1]}", ""]
    if by_hand:
        lines += ["## Analysis:", "Market slightly up • Normal volatility (VIX = 17.9)", ""]
    lines += ["---", "*Automated message - no response required*", ""]
    return "\n".join(lines).encode("cp1252" if by_hand else "utf-8")
