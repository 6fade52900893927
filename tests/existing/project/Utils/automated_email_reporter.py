"""Writes the mail of a run from its results alone. A file stands for the mail server."""

from pathlib import Path


class AutomatedEmailReporter:
    def send_report(self, results):
        state, plan = results.get("portfolio_state", {}), results.get("plan_summary", {})
        lines = [f"{results['status']} {results['start_time']} ({results.get('duration_seconds', 0):.0f} s)",
                 f"plan {plan.get('plan_id')}: {plan.get('total_trades')} trades, quality {plan.get('quality_score')}, "
                 f"{plan.get('ceo_rating')}"]
        held = {row["ticker"] for row in state.get("positions", [])}
        for trade in results.get("trades_executed", []):
            if trade.get("status") == "SKIPPED":
                lines.append(f"{trade['action']} {trade['ticker']} skipped: {trade['reason']}")
                continue
            is_done = (trade["ticker"] in held) == (trade["action"] == "BUY")
            if not is_done:
                trade["_unfilled_reason"] = "not among the positions"
            lines.append(f"{trade['action']} {trade['ticker']} {'filled' if is_done else 'not filled'}")
        lines += [f"{row['ticker']} {row['shares']:.0f} at {row['entry_price']:.2f}, now {row['current_price']:.2f}, "
                  f"{row['market_value']:.2f}, {row['unrealized_pl']:+.2f}" for row in state.get("positions", [])]
        lines += [f"error: {each}" for each in results.get("errors", [])[:5]]
        lines += [f"warning: {each}" for each in results.get("warnings", [])]
        Path(f"mail_{results['date']}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
