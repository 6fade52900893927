"""The control panel: 1 plan, 2 dashboard, 3 execute, 0 exit. Answers come from standard input."""

import sys
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from Departments.Executive.ceo import CEO  # noqa: E402
from Departments.Operations.mode_manager import ModeManager  # noqa: E402
from Departments.Research.market_regime import MarketRegimeAnalyzer  # noqa: E402


def show_plan(ceo):
    analyzer = MarketRegimeAnalyzer(ROOT)
    regime = analyzer.get_latest_assessment() or analyzer.analyze_regime()
    print(f"{regime['regime']} ({regime['confidence']}): SPY ${regime['spy_price']:.2f} ({regime['spy_change_pct']:+.2f}%), "
          f"VIX {regime['vix_level']:.2f} ({regime['vix_change_pct']:+.2f}%)")
    for part in regime["reasoning"].split(" • "):
        print(f"  - {part}")
    analyzer.record_user_decision(regime["assessment_id"], "PROCEED")
    made = ceo.handle_user_request("generate_plan", ai_model="gpt-4o-mini")
    if made["status"] != "READY_FOR_USER_APPROVAL":
        print(made["message"])
        return
    plan, review = made["plan"], made["ceo_review"]
    print(plan["summary"]["total_trades"], plan["summary"]["research_candidates"], plan["summary"]["overall_quality_score"])
    print(review["overall_assessment"], review["quality_rating"], review["strengths"], review["concerns"],
          review["recommendation"])
    for stage in plan["workflow_summary"]:
        print(stage["stage"], stage["message"], stage["issues"])
    for trade in plan["trades"]:
        if trade["action"] == "BUY":
            print(trade["ticker"], trade["shares"], trade["allocated_capital"], trade["entry_price"], trade["sector"],
                  trade["is_position_adjustment"])
        else:
            print(trade["ticker"], trade["shares"], trade["sell_pct"], trade["current_price"], trade["composite_score"])
    answer = ceo.approve_plan(plan["plan_id"])
    print(answer["status"], answer["message"])
    for step in answer["next_steps"]:
        print(step)


def show_dashboard(ceo):
    answer = ceo.handle_user_request("view_dashboard")
    print(answer["message"])
    if answer["status"] != "SUCCESS":
        return
    p = answer["dashboard"]["performance"]
    print(f"{p['starting_capital']:.2f} {p['current_equity']:.2f} {p['total_return_dollars']:+.2f} "
          f"{p['total_return_pct']:+.2f}% {p['cash']:.2f} {p['buying_power']:.2f} {p['daily_pl']:+.2f} "
          f"{p['daily_pl_pct']:+.2f}% {p['positions_count']}")
    for row in answer["dashboard"]["open_positions"]:
        print(f"{row['ticker']} {row['shares']} {row['entry_price']:.2f} {row['current_price']:.2f} {row['unrealized_pl']:+.2f}")


def execute(ceo):
    gates = ModeManager(ROOT, None).can_execute_plan(datetime.now(), 0.0)
    for key in ("gates_passed", "gates_failed", "warnings"):
        print(key, gates[key])
    answer = ceo.handle_user_request("execute_plan")
    if answer["status"] != "EXECUTION_INITIATED":
        print(answer["message"])
        return
    print(answer["plan_id"], answer["message"], answer["trades_submitted"], answer["sells_submitted"],
          answer["buys_submitted"])
    for result in answer["execution_results"]:
        print(result["ticker"], result["action"], result.get("status"), result.get("reason"))


def main():
    ceo = CEO(ROOT)
    for line in sys.stdin:
        choice = line.strip()
        if choice == "0":
            return
        {"1": show_plan, "2": show_dashboard, "3": execute}[choice](ceo)


if __name__ == "__main__":
    main()
