"""Write the table of reason codes into ARCHITECTURE.md, from the enum and the table of constraints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from Departments.constraints.codes import codes_table  # noqa: E402 - the package lies beside the scripts

if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    text = page.read_text(encoding="utf-8")
    table = codes_table().strip()
    written = re.sub(
        r"(<!-- codes: .*? -->\n).*(<!-- end of codes -->)",
        lambda found: f"{found.group(1)}{table}\n{found.group(2)}",
        text,
        flags=re.DOTALL,
    )
    page.write_text(written, encoding="utf-8", newline="\n")
