"""The Research Department: one DailyBriefing per call. A second stands for the minutes that the real one takes."""

import json
import os
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

MESSAGES = Path("Messages_Between_Departments")


class ResearchDepartment:
    def __init__(self, db_path="sentinel.db", alpaca_client=None):
        self.db_path = db_path
        self.alpaca_client = alpaca_client

    def generate_daily_briefing(self):
        """Write a DailyBriefing to PORTFOLIO and return its message id.

        STANDIN_RESEARCH=fail raises, hang never returns, nonsense returns the id of no file.
        """
        print("Research: scoring the universe")
        mood = os.environ.get("STANDIN_RESEARCH", "")
        if mood == "fail":
            raise RuntimeError("no prices today")
        if mood == "hang":
            time.sleep(3600)
        if mood == "nonsense":
            return "MSG_RESEARCH_NOWHERE"
        time.sleep(float(os.environ.get("STANDIN_SECONDS", "1")))
        now = datetime.now(timezone.utc)
        universe = json.loads(Path("research_universe.json").read_text(encoding="utf-8"))
        universe["market_conditions"]["date"] = now.date().isoformat()
        message_id = f"MSG_RESEARCH_{now:%Y%m%dT%H%M%SZ}_{uuid.uuid4().hex[:8]}"
        text = (
            f"---\nfrom: RESEARCH\nmessage_id: {message_id}\nmessage_type: DailyBriefing\npriority: routine\n"
            f"requires_response: false\ntimestamp: '{now:%Y-%m-%dT%H:%M:%S.%f}Z'\nto: PORTFOLIO\n---\n\n"
            f"# Daily Market Briefing\n\n```json\n{json.dumps(universe, indent=2)}\n```\n"
        )
        folder = MESSAGES / "Outbox" / "RESEARCH"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{message_id}.md").write_text(text, encoding="utf-8")
        return message_id
