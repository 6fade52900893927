"""The account at the broker, as scripts read it themselves. A file stands for the broker."""

import json
from pathlib import Path


def read_account():
    """Return {cash, positions[{symbol, qty, entry_price, price}]}."""
    return json.loads(Path("stand_in_account.json").read_text(encoding="utf-8"))
