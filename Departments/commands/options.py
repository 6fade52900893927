"""The options that commands share; each is explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Workspace = Annotated[Path, typer.Option(help="The folder to work in.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
BrokerOption = Annotated[Literal["simulated", "alpaca"] | None, typer.Option(help="Which broker.")]
At = Annotated[str | None, typer.Option(help="Start a simulated clock at this ISO time.")]
BriefingFile = Annotated[Path | None, typer.Option(help="A DailyBriefing message to plan from.")]
PlanFile = Annotated[
    Path | None, typer.Option("--plan", help="An existing proposed_trades_*.json to check and resize.")
]
ExchangeState = Annotated[
    Path | None, typer.Option(help="YAML or JSON (cash, positions, prices) that seeds the simulated exchange.")
]
ExchangeFaults = Annotated[Path | None, typer.Option(help="A fault script for the simulated exchange.")]
