"""Types of fields in payloads, with an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from Departments.core.readers import MaybeText, Name, Text

AN_APPROVAL: Final = "MSG_EXECUTIVE_20251110T150912Z_0f1e2d3c"
A_BRIEFING: Final = "MSG_RESEARCH_20251110T150509Z_5b6c7d8e"
A_MOMENT: Final = "2025-11-10T15:09:12.736810Z"
A_PLAN: Final = "PLAN_20251110_071530"
AN_ORDER: Final = "7e57ab1e-0123-4cde-8f01-23456789abcd"


Documents = tuple[Mapping[str, Any], ...]
Ignored = Annotated[Any, Field(description="of the older system; not used")]
PlanId = Annotated[MaybeText, Field(description="the plan", examples=[A_PLAN])]
ApprovalId = Annotated[Name, Field(description="the approval or request it is about", examples=[AN_APPROVAL])]
BrokerId = Annotated[str | None, Field(alias="alpaca_order_id", description="the broker's id", examples=[AN_ORDER])]
BriefingId = Annotated[MaybeText, Field(description="the DailyBriefing; the newest where empty", examples=[A_BRIEFING])]
Code = Annotated[Text, Field(description="reason code, or empty", examples=["PHASE_TIMEOUT"])]
Why = Annotated[Text, Field(description="`CODE: key=value …`, or empty", examples=["PHASE_TIMEOUT: phase=SELL"])]
