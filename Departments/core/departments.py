"""The names of the departments as they stand in messages and folders."""

from __future__ import annotations

EXECUTIVE = "EXECUTIVE"
OPERATIONS = "OPERATIONS"
TRADING = "TRADING"
REGIME_DETECTION = "REGIME_DETECTION"
RESEARCH = "RESEARCH"
RISK = "RISK"
PORTFOLIO = "PORTFOLIO"
COMPLIANCE = "COMPLIANCE"

#: What the desk itself works as.
OURS = (EXECUTIVE, OPERATIONS, TRADING, REGIME_DETECTION)
#: Every department seen in real messages.
ALL = (*OURS, RESEARCH, RISK, PORTFOLIO, COMPLIANCE)
