"""A copy of the stand-in for an existing project (`tests/existing`), with what it gathered on five days."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from tests.builders.existing_messages import DAYS, FOLDER, list_other_messages, write_message, zulu

SOURCE: Final = Path(__file__).resolve().parents[1] / "existing" / "project"
#: Symbol: price on the first day, dollars it gains a day, technical score, fundamental score.
UNIVERSE: Final = {
    "ALKS": (33.01, 0.21, 100, 59),
    "SN": (96.19, -0.35, 100, 62),
    "CRDO": (164.97, 1.4, 95, 64),
    "AXTA": (28.64, 0.05, 90, 60),
    "DBX": (30.93, -0.1, 88, 58),
    "BKR": (48.04, 0.3, 85, 61),
    "BBIO": (62.71, 0.8, 80, 66),
    "CVE": (17.58, 0.1, 78, 60),
    "BANC": (17.29, 0.02, 60, 40),
}
HOLDINGS: Final = {
    "UPS": (70, 93.58, 66.8),
    "CTVA": (190, 64.64, 42.0),
    "WFC": (114, 86.76, 66.4),
    "DVN": (225, 33.61, 48.4),
}
Keys = Literal["paper", "live", "none", "raises"]


def existing_project(folder: Path, *, name: str = "project", keys: Keys = "paper", own_init: bool = False) -> Path:
    """Make a copy in `folder` and return its root."""
    root = folder / name
    shutil.copytree(SOURCE, root)
    _write_keys(root, keys)
    if own_init:
        (root / "Departments" / "__init__.py").write_text('"""All departments."""\n', encoding="utf-8")
    _Past(root).write()
    return root


def run_old_code(root: Path, code: str, **environ: str) -> str:
    """Run code in the project's folder, with a Python that has no packages (-S), and return what it prints."""
    beside = {"STANDIN_SECONDS": "0", "PYTHONPATH": "", **environ}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=root,
        env=os.environ | beside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_tree(root: Path, *leave_out: str) -> dict[str, str]:
    """Return the digests of a project's files by path, without folders of some names and without bytecode."""
    found = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.name.endswith(".mark"):  # the ledger's number of its last commit
            continue
        if path.is_file() and "__pycache__" not in parts and not any(parts[0].startswith(name) for name in leave_out):
            found["/".join(parts)] = sha256(path.read_bytes()).hexdigest()
    return found


def drop_leftovers(tree: dict[str, str]) -> dict[str, str]:
    """Return a tree without what a kill leaves: locks, and files that were being written."""
    return {name: digest for name, digest in tree.items() if not name.endswith((".tmp", ".lock"))}


def _write_keys(root: Path, keys: Keys) -> None:
    path = root / "config.py"
    text = path.read_text(encoding="utf-8")
    if keys == "live":
        text = text.replace("https://paper-api.alpaca.markets", "https://api.alpaca.markets")
    elif keys == "none":
        text = "\n".join(line for line in text.splitlines() if "APCA_API" not in line) + "\n"
    elif keys == "raises":
        text = 'import os\nraise RuntimeError("set SECRET first")\n' + text
    path.write_text(text, encoding="utf-8")


@dataclass
class _Past:
    """Five days of the old system: they change cash (dollars) and holdings, and leave rows and files."""

    root: Path
    cash: float = 52_000.0
    holdings: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(HOLDINGS))
    number: int = 0

    def write(self) -> None:
        """Write the database, the messages and the files of all days."""
        with closing(sqlite3.connect(self.root / "sentinel.db")) as db:
            for department in ("Trading", "Portfolio"):
                schema = self.root / "Departments" / department / "database_schema.sql"
                db.executescript(schema.read_text(encoding="utf-8"))
            for at, day in enumerate(DAYS):
                self._trade(db, at, day)
            db.commit()
        for name, data in list_other_messages():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        universe = self._briefing(len(DAYS), DAYS[-1])
        (self.root / "research_universe.json").write_text(json.dumps(universe), encoding="utf-8")
        held = [
            {"symbol": row["ticker"], "qty": row["quantity"], "entry_price": row["current_price"]}
            | {"price": row["current_price"]}
            for row in universe["current_holdings"]
        ]
        account = {"cash": round(self.cash, 2), "positions": held}
        (self.root / "stand_in_account.json").write_text(json.dumps(account), encoding="utf-8")

    def _trade(self, db: sqlite3.Connection, at: int, day: date) -> None:
        opened = datetime.combine(day, datetime.min.time()) + timedelta(hours=16)  # 08:00 in the west of America
        briefing = self._briefing(at, day)
        self._message("RESEARCH", "PORTFOLIO", "DailyBriefing", opened + timedelta(minutes=5), briefing)
        equity = self.cash + sum(qty * price for qty, price, _ in self.holdings.values())
        values = (f"SNAP_{day:%Y%m%d}_080000_{at:08x}", f"{day}T08:00:00", equity, self.cash, equity - self.cash)
        db.execute(
            "INSERT INTO portfolio_snapshots (snapshot_id, timestamp, total_value, cash_balance, equity_value, "
            "buying_power, positions_count, source) VALUES (?, ?, ?, ?, ?, ?, ?, 'dashboard_query')",
            (*values, self.cash * 2, len(self.holdings)),
        )
        plan = self._plan(briefing, opened + timedelta(minutes=8))
        results = [
            self._order(db, plan, trade, opened + timedelta(minutes=9, seconds=n))
            for n, trade in enumerate(plan["trades"])
        ]
        (self.root / f"proposed_trades_{day}.json").write_text(json.dumps(plan, indent=2), encoding="utf-8")
        document = {
            "date": str(day),
            "status": "SUCCESS",
            "trades_executed": results,
            "portfolio_state": {"cash": self.cash},
        }
        (self.root / f"automated_trading_results_{day}.json").write_text(
            json.dumps(document, indent=2), encoding="utf-8"
        )

    def _briefing(self, at: int, day: date) -> dict[str, Any]:
        prices = {symbol: round(first + gain * at, 2) for symbol, (first, gain, _, _) in UNIVERSE.items()}
        candidates = [
            {
                "ticker": symbol,
                "technical": {"score": float(technical), "rsi": None, "macd": None, "details": "new_buys"},
                "fundamental": {"score": float(fundamental), "sector": "Healthcare"},
                "sentiment": {"score": 50.0},
                "composite_score": round(0.4 * technical + 0.4 * fundamental + 10, 1),
                "current_price": prices[symbol],
            }
            for symbol, (_, _, technical, fundamental) in UNIVERSE.items()
            if symbol not in self.holdings
        ]
        held = [
            {
                "ticker": symbol,
                "technical_score": score,
                "fundamental_score": score,
                "sentiment_score": 50.0,
                "research_composite_score": score,
                "context": "holdings",
                "current_price": prices.get(symbol, price),
                "sector": "Industrials",
                "quantity": float(qty),
                "market_value": qty * price,
                "cost_basis": qty * price,
                "unrealized_pl": 0.0,
                "unrealized_plpc": 0.0,
            }
            for symbol, (qty, price, score) in self.holdings.items()
        ]
        conditions = {"spy_change_pct": 0.6, "vix": 18.0 + at, "vix_status": "NORMAL", "date": str(day)}
        screening = {"universe_size": len(candidates) + len(held), "version": "3.0"}
        return {
            "market_conditions": conditions,
            "candidates": candidates,
            "current_holdings": held,
            "screening": screening,
        }

    def _plan(self, briefing: Mapping[str, Any], made: datetime) -> dict[str, Any]:
        best = sorted(briefing["candidates"], key=lambda c: -c["composite_score"])[:3]
        buys = [
            {
                "ticker": c["ticker"],
                "action": "BUY",
                "shares": int(9000 / c["current_price"]),
                "allocated_capital": 9000.0,
                "entry_price": c["current_price"],
                "composite_score": c["composite_score"],
                "sentiment_score": 50.0,
                "sentiment_summary": "no news",
                "sector": "Unknown",
                "gpt5_reasoning": "ranked",
                "gpt5_allocated": True,
                "is_position_adjustment": False,
            }
            for c in best
        ]
        sells = [
            {
                "ticker": h["ticker"],
                "action": "SELL",
                "shares": h["quantity"],
                "sell_pct": 100,
                "composite_score": h["research_composite_score"],
                "current_price": h["current_price"],
                "sentiment_score": 50.0,
                "sentiment_summary": "no news",
                "gpt5_reasoning": "weak",
                "current_value": h["market_value"],
            }
            for h in briefing["current_holdings"]
            if h["research_composite_score"] < 60
        ]
        trades = [*buys, *sells]
        return {
            "plan_id": f"PLAN_{made - timedelta(hours=8):%Y%m%d_%H%M%S}",
            "generated_at": zulu(made),
            "status": "APPROVED_BY_USER",
            "summary": {
                "total_trades": len(trades),
                "research_candidates": len(briefing["candidates"]),
                "gpt5_selected": len(trades),
                "compliance_flagged": 0,
                "overall_quality_score": 84,
            },
            "stage_quality": {"research": 100, "news": 100, "gpt5_optimizer": 95, "compliance_advisory": 100},
            "trades": trades,
            "gpt5_reasoning": "ranked by score",
            "compliance_suggestions": [],
            "workflow_summary": [{"stage": "research", "message": "found", "quality_score": 100, "issues": []}],
            "approved_at": zulu(made + timedelta(seconds=30)),
        }

    def _order(
        self, db: sqlite3.Connection, plan: Mapping[str, Any], trade: Mapping[str, Any], at: datetime
    ) -> dict[str, Any]:
        """Approve and store one order. As in the old system, a BUY meets the reserve only now."""
        ticker, action, shares = trade["ticker"], trade["action"], trade["shares"]
        price = trade.get("entry_price") or trade["current_price"]
        payload = {"ticker": ticker, "action": action, "shares": shares, "price": price, "sector": "Unknown"}
        payload |= {"order_type": "MARKET", "plan_id": plan["plan_id"], "approved_at": zulu(at)}
        message = self._message("EXECUTIVE", "TRADING", "ExecutiveApproval", at, payload)
        equity = self.cash + sum(qty * value for qty, value, _ in self.holdings.values())
        if action == "BUY" and self.cash - shares * price < 0.1 * equity:
            self._deny(db, trade, message, at)
            return {"ticker": ticker, "action": action, "message_id": message}
        self.number += 1
        broker_id = f"00000000-0000-4000-8000-{self.number:012d}"
        order_id = f"ORD_{at:%Y%m%d_%H%M%S}_{self.number:08x}"
        row = self._insert_order(
            db, (order_id, broker_id, ticker, action, int(shares), message, "FILLED", at, 1, None), at
        )
        filled = f"{(at + timedelta(seconds=1)).isoformat()}+00:00"
        db.execute(
            "INSERT INTO trading_fills (order_id, fill_price, quantity_filled, fill_timestamp, alpaca_fill_id, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (row, price, int(shares), filled, broker_id, f"{at:%Y-%m-%d %H:%M:%S}"),
        )
        done = {"order_id": broker_id, "ticker": ticker, "action": action, "shares": shares, "order_type": "MARKET"}
        done |= {"status": "SUBMITTED", "submitted_at": f"{at.isoformat()}+00:00", "alpaca_order_id": broker_id}
        self._message("TRADING", "PORTFOLIO", "execution", at + timedelta(seconds=2), done)
        self._message("TRADING", "COMPLIANCE", "log", at + timedelta(seconds=2), done)
        self._book(db, trade, order_id, price, at)
        return {"ticker": ticker, "action": action, "message_id": message}

    def _book(
        self, db: sqlite3.Connection, trade: Mapping[str, Any], order_id: str, price: float, at: datetime
    ) -> None:
        ticker, shares = trade["ticker"], trade["shares"]
        if trade["action"] == "SELL":
            self.cash += shares * price
            del self.holdings[ticker]
            return
        self.cash -= shares * price
        self.holdings[ticker] = (shares, price, trade["composite_score"])
        risk, moment = price * 0.08, f"{at:%Y-%m-%d %H:%M:%S}"
        intended = (price, shares, price - risk, price * 1.16, risk, risk * shares)
        db.execute(
            "INSERT INTO portfolio_positions (position_id, ticker, status, intended_entry_price, intended_shares, "
            "intended_stop_loss, intended_target, risk_per_share, total_risk, entry_order_message_id, created_at, "
            "updated_at) VALUES (?, ?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (order_id.replace("ORD_", "POS_"), ticker, *intended, order_id, moment, moment),
        )

    def _deny(self, db: sqlite3.Connection, trade: Mapping[str, Any], message: str, at: datetime) -> None:
        ticker, shares = trade["ticker"], int(trade["shares"])
        self.number += 1
        found = [
            {
                "constraint": "min_cash_reserve_pct",
                "reason": "Would break the cash reserve",
                "limit": 0.1,
                "actual": 0.05,
            }
        ]
        order_id = f"ORD_{at:%Y%m%d_%H%M%S}_{self.number:08x}"
        values = (order_id, None, ticker, "BUY", shares, message, "REJECTED", None, 0, json.dumps(found))
        row = self._insert_order(db, values, at)
        db.execute(
            "INSERT INTO trading_rejections (order_id, rejection_reason, rejection_timestamp, rejection_source) "
            "VALUES (?, 'min_cash_reserve_pct: Would break the cash reserve', ?, 'HARD_CONSTRAINT')",
            (row, f"{at}"),
        )
        text = (
            f"# ORDER REJECTED: {ticker} (Hard Constraint Violations)\n\n**Order Details:**\n- **Ticker:** {ticker}\n"
            f"- **Action:** BUY\n- **Quantity:** {shares}\n\n**Violations:**\n- **min_cash_reserve_pct:** Would break"
            " the cash reserve (limit: 0.1, actual: 0.05)\n"
        )
        self._message("TRADING", "EXECUTIVE", "escalation", at + timedelta(seconds=1), None, text, "elevated")

    def _insert_order(self, db: sqlite3.Connection, values: tuple[Any, ...], created: datetime) -> int:
        *rest, at, passed, violations = values
        moment, day = at and f"{at:%Y-%m-%d %H:%M:%S.%f}", f"{created:%Y-%m-%d %H:%M:%S}"
        row = db.execute(
            "INSERT INTO trading_orders (order_id, alpaca_order_id, ticker, action, quantity, order_type, "
            "executive_approval_msg_id, status, submitted_timestamp, hard_constraints_passed, constraint_violations, "
            "created_at, updated_at) VALUES (?, ?, ?, ?, ?, 'MARKET', ?, ?, ?, ?, ?, ?, ?)",
            (*rest, moment, passed, violations, day, day),
        ).lastrowid
        assert row is not None
        return row

    def _message(
        self,
        sender: str,
        recipient: str,
        kind: str,
        at: datetime,
        payload: Mapping[str, Any] | None,
        text: str = "",
        priority: str = "routine",
    ) -> str:
        message_id = f"MSG_{sender}_{at:%Y%m%dT%H%M%SZ}_{sha256(f'{kind}{at}{payload}'.encode()).hexdigest()[:8]}"
        data = write_message(message_id, sender, recipient, kind, at, payload, text=text, priority=priority)
        handled = sender == "EXECUTIVE"
        box = f"Archive/{at.date()}/TRADING" if handled else f"Outbox/{sender}"
        path = self.root / FOLDER / box / f"{message_id}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return message_id
