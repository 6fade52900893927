"""Trading: turns approvals into orders, exactly once, and tracks and reports each to its end."""
