"""The daily script of the existing system, by its steps."""

import json
import os
import sys
from datetime import date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import config  # noqa: E402
from Departments.Executive.ceo import CEO  # noqa: E402
from Departments.Operations.mode_manager import ModeManager  # noqa: E402
from Departments.Research.market_regime import MarketRegimeAnalyzer  # noqa: E402
from Utils.account import read_account  # noqa: E402
from Utils.automated_email_reporter import AutomatedEmailReporter  # noqa: E402
from Utils.db_reconciler import DBReconciler  # noqa: E402
from Utils.fill_recorder import FillRecorder  # noqa: E402
from Utils.position_drift_monitor import PositionDriftMonitor  # noqa: E402

INBOXES = ("COMPLIANCE", "PORTFOLIO", "RESEARCH", "RISK", "TRADING")


def main():
    start = datetime.now()
    results = {"date": date.today().isoformat(), "start_time": start.isoformat(), "status": "UNKNOWN",
               "market_status": None, "regime_analysis": None, "plan_generated": False, "plan_approved": False,
               "trades_executed": [], "portfolio_state": {}, "warnings": [], "errors": []}
    try:
        return run(results)
    except Exception as error:
        results["status"] = "CRITICAL_ERROR"
        results["errors"].append(str(error))
        AutomatedEmailReporter().send_report(results)
        return 1
    finally:
        results["end_time"] = datetime.now().isoformat()
        results["duration_seconds"] = (datetime.now() - start).total_seconds()
        path = ROOT / f"automated_trading_results_{date.today()}.json"
        path.write_text(json.dumps(results, indent=2, default=str))


def run(results):
    try:
        if not (config.APCA_API_KEY_ID and (ROOT / "sentinel.db").exists() and read_account()):
            raise RuntimeError("keys, database or account are missing")
    except Exception as error:
        results["status"] = "PREFLIGHT_FAILED"
        results["errors"].append(str(error))
        return 1
    held = [row["symbol"] for row in read_account()["positions"]]
    results["db_reconciliation"] = DBReconciler(held).reconcile(dry_run=False)
    mode = ModeManager(ROOT, None)
    try:
        results["market_status"] = mode.get_market_status_display()
    except Exception:
        results["market_status"] = {"is_open": False}
    if not results["market_status"]["is_open"]:
        results["status"] = "MARKET_CLOSED"
        return 0
    traded, session = mode.has_traded_today()
    if traded:
        results["status"] = "ALREADY_TRADED"
        results["warnings"].append(f"{session['trades_count']} trades at {session['executed_at']}")
        return 0
    assess_regime(results)
    sells = PositionDriftMonitor().check_position_drift()
    results["position_drift"] = sells
    return trade(results, sells)


def assess_regime(results):
    analyzer = MarketRegimeAnalyzer(ROOT)
    regime = analyzer.get_latest_assessment(max_age_hours=3) or analyzer.analyze_regime()
    names = ("regime", "confidence", "spy_price", "spy_change_pct", "vix_level", "recommendation")
    results["regime_analysis"] = {name: regime[name] for name in names}
    stamp = datetime.now().strftime("%Y%m%dT%H%M%SZ")
    for name in INBOXES:
        folder = ROOT / "Messages_Between_Departments" / "Inbox" / name
        folder.mkdir(parents=True, exist_ok=True)
        text = (f"# Market Regime Assessment (Automated)\n\n**From:** EXECUTIVE\n**To:** {name} Department\n"
                f"**Date:** {datetime.now():%Y-%m-%d %H:%M:%S}\n\n## Market Regime: {regime['regime']}\n\n"
                f"**Confidence:** {regime['confidence']}\n**Recommendation:** {regime['recommendation']}\n\n"
                f"- **SPY:** ${regime['spy_price']:.2f}\n- **VIX:** {regime['vix_level']:.2f}\n\n---\n\nAutomated.\n")
        (folder / f"MSG_REGIME_{stamp}_{name[:4].lower()}.md").write_text(text, encoding="utf-8")


def trade(results, mandatory_sells):
    ceo = CEO(ROOT)
    ceo.set_mandatory_sells(mandatory_sells)
    made = ceo.handle_user_request("generate_plan", ai_model="gpt-4o-mini")
    if made["status"] != "READY_FOR_USER_APPROVAL":
        results["status"] = "PLAN_GENERATION_FAILED"
        results["errors"].append(made["message"] if made["status"] == "REJECTED" else f"returned: {made['status']}")
        return 1
    plan, review = made["plan"], made["ceo_review"]
    results["plan_generated"] = True
    results["plan_summary"] = {"plan_id": plan["plan_id"], "total_trades": plan["summary"]["total_trades"],
                               "quality_score": plan["summary"]["overall_quality_score"],
                               "ceo_rating": review.get("quality_rating"),
                               "ceo_recommendation": review.get("recommendation")}
    approved = ceo.approve_plan(plan["plan_id"])
    if approved["status"] != "PLAN_APPROVED":
        results["status"] = "PLAN_APPROVAL_FAILED"
        results["errors"].append(approved["message"])
        return 1
    results["plan_approved"] = True
    done = ceo.handle_user_request("execute_plan")
    if done["status"] != "EXECUTION_INITIATED":
        results["status"] = "EXECUTION_FAILED"
        results["errors"].append(done["message"])
        return 1
    results["trades_executed"] = done["execution_results"]
    results["sells_count"], results["buys_count"] = done["sells_submitted"], done["buys_submitted"]
    results["verification"] = done["post_execution_verification"]
    results["warnings"] += done["post_execution_verification"]["issues"]
    results["fill_sync"] = FillRecorder().sync_fills_to_database(days=1)
    account = read_account()
    results["portfolio_state"] = {"cash": account["cash"], "positions": [
        {"ticker": p["symbol"], "shares": p["qty"], "entry_price": p["entry_price"], "current_price": p["price"],
         "market_value": p["qty"] * p["price"], "unrealized_pl": p["qty"] * (p["price"] - p["entry_price"])}
        for p in account["positions"]]}
    results["status"] = "SUCCESS"
    AutomatedEmailReporter().send_report(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
