"""The table of codes for the documentation, made from the enum and the table of constraints."""

from __future__ import annotations

from Departments.constraints.table import CONSTRAINTS, Constraint
from Departments.core.reasons import ReasonCode

_HEAD = ("Code", "Meaning", "Judged for", "Denies from", "Group of `missing_data`", "Keys")


def codes_table() -> str:
    """Return every reason code with its meaning as a Markdown table; constraints with sides, stage, group and keys."""
    constraints = {constraint.code: constraint for constraint in CONSTRAINTS}
    rows = [_HEAD, ("---",) * len(_HEAD), *(_cells(code, constraints.get(code)) for code in ReasonCode)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cells(code: ReasonCode, constraint: Constraint | None) -> tuple[str, ...]:
    meaning = code.meaning.replace("|", "\\|")
    if constraint is None:
        return f"`{code}`", meaning, "", "", "", ""
    sides = ", ".join(sorted(constraint.sides))
    group = "always denied" if constraint.group == "order" else constraint.group
    keys = ", ".join(f"`{key}`" for key in constraint.keys)
    return f"`{code}`", meaning, sides, constraint.denies_from, group, keys
