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

#: Every department seen in real messages; the desk itself works as the first four.
ALL = (EXECUTIVE, OPERATIONS, TRADING, REGIME_DETECTION, RESEARCH, RISK, PORTFOLIO, COMPLIANCE)
