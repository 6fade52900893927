"""The departments' names in messages and folders."""

from __future__ import annotations

EXECUTIVE = "EXECUTIVE"
OPERATIONS = "OPERATIONS"
TRADING = "TRADING"
REGIME_DETECTION = "REGIME_DETECTION"
RESEARCH = "RESEARCH"
RISK = "RISK"
PORTFOLIO = "PORTFOLIO"
COMPLIANCE = "COMPLIANCE"

#: The departments of this desk.
OURS = (EXECUTIVE, OPERATIONS, TRADING, REGIME_DETECTION)
#: Every department of the users' system.
ALL = (*OURS, RESEARCH, RISK, PORTFOLIO, COMPLIANCE)
