"""The pre-flight: a test plan by hand, with the sending patched."""

import sys
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402
from Departments.Executive.ceo import CEO  # noqa: E402

PLAN = {
    "plan_id": "TEST_PLAN_001",
    "trades": [
        {"ticker": "AAPL", "action": "BUY", "shares": 10, "allocated_capital": 1500.0, "price": 150.0},
        {"ticker": "MSFT", "action": "BUY", "shares": 5, "allocated_capital": 1900.0, "price": 380.0},
        {"ticker": "TSLA", "action": "SELL", "shares": 20, "price": 250.0},
        {"ticker": "NVDA", "action": "SELL", "shares": 15, "price": 500.0},
    ],
}


def main():
    ceo = CEO(ROOT)
    ceo.current_plan, ceo.plan_approved = PLAN, True
    sent = []

    def send(trade):
        sent.append((trade["action"], trade["ticker"]))
        return f"MSG_TEST_{len(sent)}"

    with patch.object(ceo, "_send_trade_to_trading_dept", side_effect=send), \
            patch.object(ceo, "_wait_for_orders_to_fill", return_value=True), \
            patch("Departments.Trading.trading_department.TradingDepartment"):
        ceo.execute_approved_plan()
    assert sent == [("SELL", "TSLA"), ("SELL", "NVDA"), ("BUY", "AAPL"), ("BUY", "MSFT")], sent
    hard = yaml.safe_load((ROOT / "Config" / "hard_constraints.yaml").read_text())
    compliance = yaml.safe_load((ROOT / "Config" / "compliance_config.yaml").read_text())
    assert hard["position_limits"]["max_positions_total"] == 30
    assert compliance["position_sizing"]["min_position_value"] == 500
    print("ALL TESTS PASSED")


if __name__ == "__main__":
    main()
