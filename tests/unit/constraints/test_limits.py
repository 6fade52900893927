from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from Departments.bootstrap import open_desk
from Departments.constraints.limits import Limits, find_contradictions, limits_file, load_limits
from Departments.core.errors import BadInput

SHIPPED = Path(__file__).parents[3] / "config" / "hard_constraints.yaml"

EXISTING = """
position_limits: {max_single_position_pct: 0.25, min_position_pct: 0.03, max_positions_total: 20,
  max_sector_concentration_pct: 0.40, max_correlated_positions: 5}
portfolio_risk: {max_portfolio_heat: 0.08, min_cash_reserve_pct: 0.10, max_drawdown_halt_pct: 0.15}
liquidity_requirements: {min_daily_volume_shares: 500000, max_order_pct_of_volume: 0.10, min_bid_ask_spread_pct: 0.02}
price_constraints: {min_stock_price: 5.00, max_stock_price: null, min_market_cap_millions: 1000}
market_conditions: {vix_panic_threshold: 40, vix_caution_threshold: 30, vix_elevated_threshold: 20,
  max_spy_drawdown_pct: 0.10}
timing_rules: {market_hours_only: true, no_positions_last_minutes: 15, no_trading_on_halt: true,
  no_earnings_day_trades: true}
kelly_criterion: {enabled: true, fraction: 0.25, since: 2025-10-01}
risk_score_gates: {low: {max: 30, size: 1.0}, 70: halt}
correlation_limits: {max_pairwise: 0.7}
technical_filters: [rsi, macd]
violation_actions: {hard: reject}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hard_constraints.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_holds_every_key_at_its_default() -> None:
    assert load_limits(SHIPPED) == Limits()
    text = SHIPPED.read_text(encoding="utf-8")
    names = [name for group in Limits.model_fields for name in (group, *_keys(group))]
    assert [name for name in names if f"{name}:" not in text] == []


def _keys(group: str) -> list[str]:
    section = getattr(Limits(), group)
    return list(type(section).model_fields) if hasattr(section, "model_fields_set") else []


def test_a_file_with_the_existing_keys_alone_is_complete_and_has_our_defaults(tmp_path: Path) -> None:
    limits = load_limits(written(tmp_path, EXISTING))
    assert limits.position_limits.min_position_value == 1000
    assert limits.portfolio_risk.min_cash_reserve_pct == Decimal("0.10")
    assert limits.deployment.target_pct == Decimal("0.90")
    assert limits.risk_score_gates["low"]["size"] == 1.0
    assert not limits.allow_margin


def test_the_default_of_a_least_trade_gives_way_to_small_positions(tmp_path: Path) -> None:
    text = "position_limits: {min_position_pct: 0}\ndeployment: {max_auto_position_pct: 0.005}\n"
    assert load_limits(written(tmp_path, text)).deployment.min_trade_pct == Decimal("0.005")
    with pytest.raises(BadInput, match="min_trade_pct"):
        load_limits(written(tmp_path, text.replace("0.005}", "0.005, min_trade_pct: 0.01}")))


def test_a_blocked_class_of_shares_is_the_same_in_both_spellings(tmp_path: Path) -> None:
    limits = load_limits(written(tmp_path, "restricted_symbols: {blocklist: [brk-b, BF.B]}"))
    assert limits.restricted_symbols.blocklist == ("BRK.B", "BF.B")


def test_an_empty_file_and_empty_groups_have_every_default(tmp_path: Path) -> None:
    assert load_limits(written(tmp_path, "")) == Limits()
    assert load_limits(written(tmp_path, "position_limits:\nkelly_criterion:\n")) == Limits()


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("position_limit: {}", "position_limit", "not a known key"),
        ("position_limits: {max_single_pct: 0.2}", "position_limits.max_single_pct", "not a known key"),
        ("position_limits: 5", "position_limits", "must hold keys and values"),
        ("position_limits: {min_position_pct: 3}", "position_limits.min_position_pct", "write 0.03 for 3 %"),
        ("position_limits: {min_position_pct: 100}", "position_limits.min_position_pct", "write 1 for 100 %"),
        ("position_limits: {min_position_pct: 101}", "position_limits.min_position_pct", "at most 1"),
        ("position_limits: {min_position_pct: '0.03'}", "position_limits.min_position_pct", "(found '0.03')"),
        ("position_limits: {min_position_pct: true}", "position_limits.min_position_pct", "must be a number"),
        ("position_limits: {min_position_pct: -0.03}", "position_limits.min_position_pct", "at least 0"),
        (
            "position_limits: {min_position_pct: null}",
            "position_limits.min_position_pct",
            "(found null)",
        ),
        ("position_limits: {min_position_value: .nan}", "position_limits.min_position_value", "finite"),
        ("position_limits: {max_position_value: .inf}", "position_limits.max_position_value", "finite"),
        ("position_limits: {min_position_value: 1.0e+300}", "position_limits.min_position_value", "at most"),
        ("position_limits: {max_positions_total: 20.5}", "position_limits.max_positions_total", "whole number"),
        ("position_limits: {unknown_sector: somewhere}", "position_limits.unknown_sector", "own_bucket"),
        ("timing_rules: {market_hours_only: 1}", "timing_rules.market_hours_only", "true or false"),
        ("timing_rules: {market_hours_only: 'no'}", "timing_rules.market_hours_only", "(found 'no')"),
        ("timing_rules: {no_positions_last_minutes: 600}", "timing_rules.no_positions_last_minutes", "390"),
        ("missing_data: {liquidity_requirements: maybe}", "missing_data.liquidity_requirements", "'allow'"),
        ("regime_effects: {panic: 1.5}", "regime_effects.panic", "at most 1"),
        ("staleness: {plan_max_age_hours: 0}", "staleness.plan_max_age_hours", "more than 0"),
        ("staleness: {plan_max_age_hours: 1000000000000}", "staleness.plan_max_age_hours", "at most"),
        ("deployment: {price_buffer_pct: 1}", "deployment.price_buffer_pct", "less than 1"),
        ("position_limits: {a: 1, a: 2}", "line 1", "twice"),
        ("- a list", "", "keys and values"),
        ("kelly_criterion: {since: 2025-02-30}", "line 1, column 26", "'2025-02-30' is not a valid timestamp"),
        ("position_limits: {min_position_value: !!int many}", "line 1, column 39", "'many' is not a valid int"),
        ("position_limits: {min_position_value: " + 5000 * "9" + "}", "line 1, column 39", "is not a valid int"),
        ("timing_rules: {market_hours_only: !!bool maybe}", "line 1, column 35", "'maybe' is not a valid bool"),
        ("position_limits: [", "line 2", "closing bracket"),
    ],
)
def test_a_wrong_file_is_refused_with_file_key_and_mend(tmp_path: Path, text: str, key: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as refused:
        load_limits(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: {key}")
    assert words in sentence
    assert "\n" not in sentence


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        load_limits(tmp_path / "hard_constraints.yaml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "position_limits: {min_position_value: 5000, max_position_value: 4000}",
            "position_limits.min_position_value",
        ),
        (
            "position_limits: {min_position_pct: 0.3, max_single_position_pct: 0.2}",
            "position_limits.min_position_pct",
        ),
        (
            "{position_limits: {min_position_pct: 0.05}, deployment: {max_auto_position_pct: 0.04}}",
            "position_limits.min_position_pct",
        ),
        (
            "position_limits: {min_position_pct: 0.2, max_sector_concentration_pct: 0.1}",
            "position_limits.min_position_pct",
        ),
        (
            "{position_limits: {max_positions_total: 10}, deployment: {min_positions: 12}}",
            "deployment.min_positions",
        ),
        ("price_constraints: {min_stock_price: 50, max_stock_price: 20}", "price_constraints.min_stock_price"),
        ("market_conditions: {vix_caution_threshold: 45}", "market_conditions.vix_caution_threshold"),
        ("market_conditions: {vix_elevated_threshold: 35}", "market_conditions.vix_elevated_threshold"),
        (
            "{portfolio_risk: {min_cash_reserve_pct: 0.2}, deployment: {target_pct: 0.9}}",
            "deployment.target_pct",
        ),
        (
            "{position_limits: {min_position_pct: 0.08}, deployment: {min_positions: 12}}",
            "deployment.min_positions",
        ),
    ],
)
def test_an_impossible_combination_is_refused_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as refused:
        load_limits(path)
    assert refused.value.key == key
    assert refused.value.mend.startswith("lower it")


def test_the_refusal_of_reserve_and_target_names_the_target_that_would_fit() -> None:
    both = {"portfolio_risk": {"min_cash_reserve_pct": 0.15}, "deployment": {"target_pct": 0.90}}
    ((key, problem, mend),) = find_contradictions(Limits.model_validate(both))
    assert key == "deployment.target_pct"
    assert problem == "a target of 0.9 and a cash reserve of 0.15 are more than 1"
    assert mend == "lower it to 0.85 or lower portfolio_risk.min_cash_reserve_pct"


def test_a_reserve_and_a_target_that_make_up_the_whole_are_compatible() -> None:
    whole = {"portfolio_risk": {"min_cash_reserve_pct": 0.10}, "deployment": {"target_pct": 0.90}}
    assert list(find_contradictions(Limits.model_validate(whole))) == []


def test_a_goal_that_the_file_does_not_name_gives_way_to_its_limits(tmp_path: Path) -> None:
    strict = "position_limits: {max_positions_total: 8, min_position_pct: 0.1}"
    reserve = "portfolio_risk: {min_cash_reserve_pct: 0.2}"
    goals = load_limits(written(tmp_path, f"{strict}\n{reserve}\n")).deployment
    assert (goals.target_pct, goals.min_positions, goals.max_auto_position_pct) == (Decimal("0.8"), 8, Decimal("0.1"))


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("position_limits: {min_position_pct: 0.08}", 11),
        ("position_limits: {min_position_pct: 0.1}", 9),
        ("portfolio_risk: {min_cash_reserve_pct: 0.7}", 10),
        ("portfolio_risk: {min_cash_reserve_pct: 1}", 0),
        ("position_limits: {min_position_pct: 0}", 12),
    ],
)
def test_no_more_positions_are_aimed_at_than_fit_beside_the_reserve(tmp_path: Path, text: str, positions: int) -> None:
    assert load_limits(written(tmp_path, text)).deployment.min_positions == positions


def test_the_fingerprint_depends_on_values_and_not_on_how_they_are_written(tmp_path: Path) -> None:
    first = load_limits(written(tmp_path, EXISTING)).fingerprint
    same = EXISTING.replace("0.40", "0.4").replace("5.00", "5").replace("min_position_pct: 0.03, ", "")
    assert load_limits(written(tmp_path, same)).fingerprint == first
    for old, new in (("0.40", "0.41"), ("fraction: 0.25", "fraction: 0.3"), ("halt: true", "halt: false")):
        assert load_limits(written(tmp_path, EXISTING.replace(old, new, 1))).fingerprint != first


def test_the_limits_of_a_workspace_stand_in_config_or_in_the_older_folder(tmp_path: Path) -> None:
    assert limits_file(tmp_path) == tmp_path / "config" / "hard_constraints.yaml"
    older = tmp_path / "old" / "Config"
    older.mkdir(parents=True)
    written(older, "")
    assert limits_file(tmp_path / "old").samefile(older / "hard_constraints.yaml")
    ours = tmp_path / "old" / "config"
    ours.mkdir(exist_ok=True)
    written(ours, "")
    assert limits_file(tmp_path / "old") == ours / "hard_constraints.yaml"


def test_settings_are_found_in_the_older_folder_too(tmp_path: Path) -> None:
    (tmp_path / "Config").mkdir()
    (tmp_path / "Config" / "settings.yaml").write_text("approve: auto\n", encoding="utf-8")
    assert open_desk(tmp_path).settings.approve == "auto"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rebalance_band_pct: 1", "a band of 1 stops all rebalancing; write less than 1 (0.25 is 25 %)"),
        ("rebalance_band_pct: 100", "a band of 100 stops all rebalancing; write less than 1"),
        ("rebalance_band_pct: '0.2'", "must be a number (found '0.2'); write it without quotes"),
        ("too_small: grow", "'raise' or 'skip'"),
        ("min_trade_pct: 0.09", "0.09 is more than deployment.max_auto_position_pct (0.08)"),
        ("min_trade_value: -1", "0"),
    ],
)
def test_odd_sizes_of_trades_are_refused_with_key_and_mend(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, f"deployment: {{{text}}}")
    with pytest.raises(BadInput) as refused:
        load_limits(path)
    assert refused.value.key == f"deployment.{text.partition(':')[0]}"
    assert sentence in str(refused.value)


def test_a_minimum_trade_above_the_maximum_of_a_position_is_refused(tmp_path: Path) -> None:
    both = "{position_limits: {max_position_value: 5000}, deployment: {min_trade_value: 6000}}"
    with pytest.raises(BadInput, match=r"deployment.min_trade_value: 6000 is more than position_limits"):
        load_limits(written(tmp_path, both))
    small = "position_limits: {min_position_value: 100, max_position_value: 400}"
    assert load_limits(written(tmp_path, small)).deployment.min_trade_value == 400


def test_all_cash_may_be_the_target(tmp_path: Path) -> None:
    assert load_limits(written(tmp_path, "deployment: {target_pct: 0}")).deployment.target_pct == 0
    assert load_limits(written(tmp_path, "portfolio_risk: {min_cash_reserve_pct: 1.0}")).deployment.target_pct == 0
