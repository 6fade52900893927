"""The port has no vendor: only adapters and the exchange know a vendor's codes and words."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "Departments"
OWN_ROOMS = ("brokers/", "exchange/", "__init__.py")
VENDOR = re.compile(r"alpaca|http_status|4[02]\d{6}", re.IGNORECASE)
#: Documents of an older system that others read: message keys and texts, its tables; its code, in a migration.
DOCUMENTS = {
    "ledger/old_orders.py",
    "ledger/old_tables.py",
    "messaging/values.py",
    "migration/applying.py",
    "migration/configuring.py",
    "migration/project_hooks.py",
    "Trading/reports.py",
}


def test_nothing_but_adapters_and_old_documents_names_a_vendor() -> None:
    names = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    naming = {name for name, text in names.items() if not name.startswith(OWN_ROOMS) and VENDOR.search(text)}
    assert naming == DOCUMENTS


def test_the_port_itself_names_no_vendor() -> None:
    for name in ("base.py", "patience.py", "snapshot.py"):
        assert VENDOR.search((PACKAGE / "brokers" / name).read_text(encoding="utf-8")) is None
