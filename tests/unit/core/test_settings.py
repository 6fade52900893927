from __future__ import annotations

from pathlib import Path

import pytest

from Departments.core.errors import BadInput
from Departments.core.settings import load_settings


@pytest.mark.parametrize(
    "key", ["regime.reuse_hours", "broker.connect_timeout", "broker.read_timeout", "messaging.rescan_seconds"]
)
@pytest.mark.parametrize("value", [".inf", "1.0e+300"])
def test_a_time_that_no_clock_can_count_is_refused(tmp_path: Path, key: str, value: str) -> None:
    group, _, name = key.partition(".")
    path = tmp_path / "settings.yaml"
    path.write_text(f"{group}: {{{name}: {value}}}\n", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_settings(path)
    assert refused.value.key == key
