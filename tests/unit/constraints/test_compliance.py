"""`Config/compliance_config.yaml` counts beside the limits: of two the stricter binds, and its file is named."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import yaml

from Departments.constraints.compliance import describe_origins, tighten
from Departments.constraints.limits import Limits, load_limits, value_at
from Departments.core.errors import BadInput
from tests.builders.desk import ROOT, briefing, candidate, deliver, desk, workspace, write_yaml

#: The keys of a real file, with numbers of its kind.
THEIRS: dict[str, Any] = {
    "version": 1.0,
    "last_updated": "2025-10-31",
    "position_sizing": {
        "max_position_pct": 0.10,
        "min_position_value": 1500,
        "max_position_value": 10000,
        "enforce_max_position_pct": True,
        "enforce_min_position_value": True,
        "enforce_max_position_value": True,
    },
    "sector_limits": {
        "max_concentration_pct": 0.30,
        "sector_specific": {"Technology": 0.35, "Energy": 0.15},
        "enforce_max_concentration": True,
    },
    "risk_limits": {"max_risk_per_trade_pct": 0.02, "max_portfolio_risk_pct": 0.07, "enforce_stop_loss_range": True},
    "duplicate_prevention": {"check_pending_orders": True, "allow_reopens": False, "reopen_cooldown_hours": 24},
    "restricted_tickers": {"blocklist": ["GME", "AMC", "F"], "allowlist": ["F"], "min_price": 6.5, "enabled": True},
    "capital": {"total": 100000},
    "audit_thresholds": {"slippage": {"warn": 0.01}},
    "testing": {"simulate_mode": False},
}
ORIGIN = "Config/compliance_config.yaml"


def merged(folder: Path, theirs: Any = None, limits: Limits | None = None) -> Limits:
    (folder / "Config").mkdir(exist_ok=True)
    write_yaml(folder / "Config" / "compliance_config.yaml", THEIRS if theirs is None else theirs)
    return tighten(limits or Limits(), folder)


def test_without_the_file_nothing_changes(tmp_path: Path) -> None:
    assert tighten(Limits(), tmp_path) == Limits()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_limits.max_position_value", D(10000)),
        ("position_limits.max_single_position_pct", D("0.1")),
        ("portfolio_risk.max_portfolio_heat", D("0.07")),
        ("position_limits.min_position_value", D(1500)),
        ("position_limits.max_sector_concentration_pct", D("0.3")),
        ("position_limits.sector_maxima", {"Technology": D("0.35"), "Energy": D("0.15")}),
        ("price_constraints.min_stock_price", D("6.5")),
        ("timing_rules.reopen_pause_hours", D(24)),
        ("restricted_symbols.blocklist", ("GME", "AMC")),
    ],
)
def test_a_stricter_value_binds_and_its_file_is_named(tmp_path: Path, key: str, value: Any) -> None:
    found = merged(tmp_path)
    assert (value_at(found, key), found.origins[key]) == (value, ORIGIN)


def test_a_looser_value_does_not_bind_and_is_not_named(tmp_path: Path) -> None:
    theirs = {"position_sizing": {"max_position_pct": 0.5, "min_position_value": 500}, "sector_limits": None}
    found = merged(tmp_path, theirs)
    assert (found, dict(found.origins)) == (Limits(), {})


@pytest.mark.parametrize(
    ("section", "switch", "key"),
    [
        ("position_sizing", "enforce_max_position_pct", "position_limits.max_single_position_pct"),
        ("position_sizing", "enforce_min_position_value", "position_limits.min_position_value"),
        ("position_sizing", "enforce_max_position_value", "position_limits.max_position_value"),
        ("sector_limits", "enforce_max_concentration", "position_limits.max_sector_concentration_pct"),
        ("sector_limits", "enforce_max_concentration", "position_limits.sector_maxima"),
        ("restricted_tickers", "enforce_min_price", "price_constraints.min_stock_price"),
    ],
)
def test_a_check_that_is_switched_off_does_not_bind(tmp_path: Path, section: str, switch: str, key: str) -> None:
    found = merged(tmp_path, {**THEIRS, section: {**THEIRS[section], switch: False}})
    assert key not in found.origins
    assert value_at(found, key) == value_at(Limits(), key)


def test_a_change_of_the_file_is_a_change_of_the_limits(tmp_path: Path) -> None:
    fingerprints = {merged(tmp_path, {"restricted_tickers": {"blocklist": names}}).fingerprint for names in ([], ["A"])}
    assert len(fingerprints) == 2


@pytest.mark.parametrize(
    ("theirs", "key"),
    [
        ({"position_sizing": {"max_position_pct": 10}}, "position_sizing.max_position_pct"),
        ({"position_sizing": {"max_position_value": "much"}}, "position_sizing.max_position_value"),
        ({"restricted_tickers": {"blocklist": "GME"}}, "restricted_tickers.blocklist"),
        ({"position_sizing": ["no"]}, "position_sizing"),
        ({"position_sizing": {"max_position_value": 800}}, "position_limits.min_position_value"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_file_and_key(tmp_path: Path, theirs: Any, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        merged(tmp_path, theirs)
    assert "compliance_config.yaml" in str(caught.value)
    assert key in str(caught.value)


def test_the_sentence_about_the_other_file_has_its_values(tmp_path: Path) -> None:
    (sentence,) = describe_origins(merged(tmp_path, {"position_sizing": {"max_position_value": 10000}}))
    assert sentence == "Config/compliance_config.yaml is stricter: position_limits.max_position_value 10000"


def test_a_desk_plans_by_both_files_and_its_plan_names_the_other(tmp_path: Path) -> None:
    there = workspace(tmp_path)
    (there / "config" / "compliance_config.yaml").write_text(yaml.safe_dump(THEIRS), encoding="utf-8")
    rows = [candidate("GME", 90.0, 30.0, "Retail"), candidate("ALKS", 79.6, 32.66, "Healthcare")]
    deliver(there, "OPERATIONS", "MSG_RESEARCH_20251110T150509Z_0badcafe.md", briefing(rows))
    with closing(desk(there)) as opened:
        plan = opened.operations.generate_trading_plan()["plan"]
    bought = {t["ticker"]: t["allocated_capital"] for t in plan["trades"] if t["action"] == "BUY"}
    assert set(bought) == {"ALKS"}
    assert bought["ALKS"] <= 10_000
    assert ("GME", "BLOCKED_SYMBOL") in {(s["ticker"], s["code"]) for s in plan["skipped"]}
    assert any(note.startswith("config/compliance_config.yaml is stricter: ") for note in plan["notes"])


# --- what stands in real files of limits ---


def real_file(folder: Path, **more: Any) -> Path:
    known = yaml.safe_load((ROOT / "config" / "hard_constraints.yaml").read_text(encoding="utf-8"))
    sections = {"version": 1.0, "last_updated": "2025-10-30", **known}
    return write_yaml(folder / "hard_constraints.yaml", {**sections, **more})


def test_a_files_version_and_dates_limit_nothing(tmp_path: Path) -> None:
    assert load_limits(real_file(tmp_path)).fingerprint == Limits().fingerprint


def test_all_unknown_keys_are_named_at_once_each_with_the_probable_one(tmp_path: Path) -> None:
    path = real_file(tmp_path, position_limit={}, timing_rules={"market_hour_only": True}, colour="red")
    with pytest.raises(BadInput) as caught:
        load_limits(path)
    said = str(caught.value)
    assert "`position_limit` (did you mean `position_limits`?)" in said
    assert "`timing_rules.market_hour_only` (did you mean `market_hours_only`?)" in said
    assert "`colour`" in said
    assert str(path) in said
