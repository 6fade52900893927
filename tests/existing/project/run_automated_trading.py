"""The daily script of the existing system, by its steps."""

import json
import sys
from datetime import date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

import config  # noqa: E402
from Departments.Executive.ceo import CEO  # noqa: E402
from Departments.Operations.mode_manager import ModeManager  # noqa: E402
from Departments.Research.market_regime import MarketRegimeAnalyzer  # noqa: E402


def main():
    results = {"date": date.today().isoformat(), "start_time": datetime.now().isoformat(), "status": "UNKNOWN",
               "errors": [], "warnings": []}
    try:
        return run(results)
    except Exception as error:
        results["status"] = "CRITICAL_ERROR"
        results["errors"].append(str(error))
        return 1
    finally:
        results["end_time"] = datetime.now().isoformat()
        path = ROOT / f"automated_trading_results_{date.today()}.json"
        path.write_text(json.dumps(results, indent=2, default=str))


def run(results):
    if not (config.APCA_API_KEY_ID and (ROOT / "sentinel.db").exists()):
        results["status"] = "PREFLIGHT_FAILED"
        return 1
    mode = ModeManager(ROOT, None)
    results["market_status"] = mode.get_market_status_display()
    if not results["market_status"]["is_open"]:
        results["status"] = "MARKET_CLOSED"
        return 0
    traded, session = mode.has_traded_today()
    if traded:
        results["status"] = "ALREADY_TRADED"
        return 0
    analyzer = MarketRegimeAnalyzer(ROOT)
    regime = analyzer.get_latest_assessment(max_age_hours=3) or analyzer.analyze_regime()
    results["regime_analysis"] = {"regime": regime["regime"], "spy_price": f"${regime['spy_price']:.2f}"}
    ceo = CEO(ROOT)
    ceo.set_mandatory_sells([])
    made = ceo.handle_user_request("generate_plan", ai_model="gpt-4o-mini")
    if made["status"] != "READY_FOR_USER_APPROVAL":
        results["status"] = "PLAN_GENERATION_FAILED"
        results["errors"].append(made["message"] if made["status"] == "REJECTED" else f"returned: {made['status']}")
        return 1
    plan, review = made["plan"], made["ceo_review"]
    results["plan_summary"] = {"plan_id": plan["plan_id"], "total_trades": plan["summary"]["total_trades"],
                               "quality_score": plan["summary"]["overall_quality_score"],
                               "ceo_rating": review.get("quality_rating")}
    approved = ceo.approve_plan(plan["plan_id"])
    if approved["status"] != "PLAN_APPROVED":
        results["status"] = "PLAN_APPROVAL_FAILED"
        return 1
    done = ceo.handle_user_request("execute_plan")
    if done["status"] != "EXECUTION_INITIATED":
        results["status"] = "EXECUTION_FAILED"
        results["errors"].append(done["message"])
        return 1
    results["trades_executed"] = done["execution_results"]
    results["status"] = "SUCCESS"
    return 0


if __name__ == "__main__":
    sys.exit(main())
