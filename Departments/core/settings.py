"""`config/settings.yaml` as typed values: how the desk works.

Every key has a default. Unknown keys and wrong values are refused with file, key and mend. The limits of trading are in
`config/hard_constraints.yaml` (see `Departments.constraints.limits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from Departments.core.departments import ALL, TRADING
from Departments.core.money import ONE, on_tick
from Departments.core.orders import BUY_COLLAR, Side
from Departments.core.platform.text_files import read_yaml
from Departments.core.readers import read_symbol, read_time_of_day
from Departments.core.setting_fields import Age, Command, SettingPath, WebAddress
from Departments.core.validation import validate


class Section(BaseModel):
    """A frozen group of keys; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseSettings(Section):
    """The waiting of one phase. Times in seconds."""

    timeout: float = Field(60, gt=0, le=86_400)
    on_timeout: Literal["cancel", "leave", "abort"] = "cancel"
    final_wait: float = Field(30, ge=0, le=3_600)
    poll: float = Field(1, ge=0.05, le=60)


class BuyPhaseSettings(PhaseSettings):
    """The waiting of the BUY phase, and its policy for a shortfall of cash."""

    shortfall: Literal["by_priority", "pro_rata", "strict"] = "by_priority"
    cash_wait: float = Field(default=10, ge=0, le=600)


class ExitPhaseSettings(Section):
    """The time for exits to be cancelled or to go live. Times in seconds."""

    timeout: float = Field(default=30, gt=0, le=86_400)
    poll: float = Field(default=1, ge=0.05, le=60)


class Phases(Section):
    """The phases of an execution. `patience` (seconds) is the wait for a silent broker."""

    release: ExitPhaseSettings = ExitPhaseSettings()
    sell: PhaseSettings = PhaseSettings()
    buy: BuyPhaseSettings = BuyPhaseSettings()
    protect: ExitPhaseSettings = ExitPhaseSettings()
    patience: float = Field(default=60, ge=0, le=3_600)


class ExitSettings(Section):
    """The exits of a BUY: a bracket at shares of the entry price, or a trailing stop of the existing system's kind.

    A bracket's exits are priced again where a fill is further than `reprice_above_pct` from the price expected.
    """

    enabled: bool = True
    kind: Literal["bracket", "trailing"] = "bracket"
    stop_loss_pct: Decimal = Field(Decimal("0.08"), gt=0, lt=1)
    take_profit_pct: Decimal = Field(Decimal("0.16"), gt=0, lt=10)
    reprice_above_pct: Decimal = Field(Decimal("0.0025"), ge=0, lt=1)

    def around(self, entry: Decimal) -> tuple[Decimal, Decimal]:
        """Return target and stop (dollars per share), on the exchange's price steps."""
        return on_tick(entry * (ONE + self.take_profit_pct)), on_tick(entry * (ONE - self.stop_loss_pct))

    def stop_of(self, side: Side, price: Decimal | None, live: Decimal | None = None) -> Decimal | None:
        """Return the stop of a BUY at `price`; None for SELLs, or with exits disabled.

        New shares of a position take its `live` stop (dollars a share), if the price is above it.
        """
        if not self.enabled or side is not Side.BUY or price is None:
            return None
        return live if live is not None and live < price else self.around(price)[1]


class ApprovalSettings(Section):
    """The rule for approvers. Above `four_eyes_above` dollars of SELLs and BUYs together two persons must."""

    four_eyes_above: Decimal | None = Field(None, ge=0)

    @field_validator("four_eyes_above", mode="before")
    @classmethod
    def _check_number(cls, value: object) -> object:
        if isinstance(value, str | bool):
            raise ValueError(f"must be a number of dollars (found {value!r}); write it without quotes")  # noqa: TRY004
        return value


class PriceSettings(Section):
    """The greatest age of a fresh quote (seconds), and the most a BUY may fill above the ask (share of one)."""

    fresh_seconds: float = Field(60, gt=0, le=86_400)
    collar_pct: Decimal = Field(BUY_COLLAR, ge=0, lt=1)


ForeignPolicy = Literal["tell", "lock", "adopt"]


class AccountSettings(Section):
    """The effect of somebody else's trades on a symbol, for all symbols or by symbol.

    `tell` reports them, `lock` also stops the symbol until a person accepts it, `adopt` takes the shares over. By
    default the desk's own symbols lock and others tell.
    """

    foreign: ForeignPolicy | dict[str, ForeignPolicy] | None = None

    @field_validator("foreign")
    @classmethod
    def _spell_symbols(cls, foreign: ForeignPolicy | dict[str, ForeignPolicy] | None) -> Any:
        if not isinstance(foreign, dict):
            return foreign
        return {read_symbol(symbol): policy for symbol, policy in foreign.items()}

    def policy_for(self, symbol: str) -> ForeignPolicy | None:
        """Return the policy of a symbol, None for the default."""
        return self.foreign.get(symbol) if isinstance(self.foreign, dict) else self.foreign


class BrokerSettings(Section):
    """The row in the brokers' registry, its feed of live prices, and the timeouts of its answers (seconds).

    The feed is one exchange (`iex`, free of charge) or all of them (`sip`, by subscription).
    """

    name: str = "simulated"
    feed: Literal["iex", "sip"] = "iex"
    connect_timeout: float = Field(5, gt=0, le=3_600)
    read_timeout: float = Field(15, gt=0, le=3_600)
    total_timeout: float = Field(60, gt=0, le=3_600)
    live: bool = False


class LedgerSettings(Section):
    """The wait (seconds) for a ledger locked by another program."""

    patience: float = Field(default=30, gt=0, le=3_600)


class MessagingSettings(Section):
    """The writing and handling of messages."""

    durability: Literal["full", "fast"] = "full"
    max_attempts: int = Field(5, ge=1)
    rescan_seconds: float = Field(1, gt=0, le=86_400)
    polling_observer: bool = False
    max_message_bytes: int = Field(10_000_000, ge=1_000)
    hard_links: Literal["auto", False] = "auto"


class TradingSettings(Section):
    """The evidence that Trading asks of an instruction.

    `decided`: the ledger holds it as a decision of our Executive. `signed`: that, or a valid signature as EXECUTIVE.
    `unproven`: the word after `from:`, for a desk whose Executive is another program.
    """

    instructions: Literal["decided", "signed", "unproven"] = "decided"


class MessagesSettings(Section):
    """The allowed senders of messages, and the types with a required signature.

    `senders` maps a type of the neighbours to its senders, in place of the catalogue's. Types in
    `require_signature` are acted on only if their sender has signed them.
    """

    require_signature: tuple[str, ...] = ()
    senders: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("senders")
    @classmethod
    def _check_senders(cls, senders: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for name in (name for names in senders.values() for name in names):
            if not name.replace("_", "").isalnum() or name != name.upper():
                raise ValueError(f"{name!r} is no department's name; write it in capitals, as after `from:`")
        return senders


class HookSettings(Section):
    """A program of the user that Operations runs: a command, or a function or method of a module.

    `arguments` are those of the method's class, or of the function. `timeout` is in seconds.
    """

    command: Command | None = None
    module: str | None = None
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    timeout: float = Field(1200, gt=0, le=86_400)

    @property
    def is_set(self) -> bool:
        """Return True if a command or a module is named."""
        return self.command is not None or self.module is not None

    @field_validator("module")
    @classmethod
    def _check_module(cls, module: str | None) -> str | None:
        names = (module or "").replace(":", ".").split(".")
        if module is not None and (module.count(":") != 1 or not all(name.isidentifier() for name in names)):
            raise ValueError(f"{module!r} names no function; write package.module:Class.method")
        return module

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if self.command is not None and self.module is not None:
            raise ValueError("command and module are both set; keep one of them")
        if self.arguments and self.module is None:
            raise ValueError("arguments are for a module; put those of a command into the command")
        return self


class OperationsSettings(Section):
    """What Operations does before it plans, and whether it plans without a PlanProposal.

    `wait` (seconds) is for the briefing after its hook has ended; without a hook it counts only if it is set.
    """

    briefing: HookSettings = HookSettings()
    enrich: HookSettings = HookSettings()
    propose: HookSettings = HookSettings()
    wait: float = Field(30, ge=0, le=3_600)
    proposal: Literal["required", "optional"] = "optional"


class RetentionSettings(Section):
    """The defaults of `departments archive`."""

    older_than: Age = "7d"
    types: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    boxes: tuple[Literal["Inbox", "Outbox"], ...] = ("Inbox", "Outbox")


class ReportSettings(Section):
    """The files of a report. `html` writes a page with pictures beside the Markdown."""

    html: bool = True


class RegimeSettings(Section):
    """The regime's recipients, an assessment's life (hours), daily bars from files.

    `spy_bars` and `vix_bars` are CSV files (date, open, high, low, close[, volume]), relative to the workspace.
    """

    recipients: tuple[str, ...] = ("EXECUTIVE", "OPERATIONS")
    reuse_hours: float = Field(3, ge=0, le=1_000_000)
    spy_bars: SettingPath | None = None
    vix_bars: SettingPath | None = None

    @field_validator("recipients")
    @classmethod
    def _check_recipients(cls, recipients: tuple[str, ...]) -> tuple[str, ...]:
        if TRADING in recipients:
            raise ValueError("names TRADING, which does not use the regime; take TRADING out of the list")
        unknown = next((name for name in recipients if name not in ALL), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is not a department; name one of {', '.join(ALL)}, but not TRADING")
        return recipients


class ScheduleSettings(Section):
    """When the day's run begins, and by when it has to have ended, in New York time on trading days.

    The desk starts nothing by itself: a schedule of the system does. These say when.
    """

    run_at: time | None = None
    overdue_by: time | None = None

    @field_validator("run_at", "overdue_by", mode="before")
    @classmethod
    def _read_time(cls, value: object) -> object:
        """Read 10:30. YAML takes it for 630, a number of base 60."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            return time(value // 60, value % 60)
        return value if value is None else read_time_of_day(str(value))

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.run_at is not None and self.overdue_by is not None and self.overdue_by <= self.run_at:
            due, begins = (moment.isoformat("minutes") for moment in (self.overdue_by, self.run_at))
            raise ValueError(f"overdue_by ({due}) is not after run_at ({begins}); correct one of them")
        return self


NoticePolicy = Literal["on", "silent", "off"]


class NoticePolicies(Section):
    """What becomes of an event: `on` tells it by every channel, `silent` by the log alone, `off` not at all."""

    approval: NoticePolicy = "on"
    done: NoticePolicy = "on"
    issue: NoticePolicy = "on"
    exit_filled: NoticePolicy = "on"
    dead_letter: NoticePolicy = "on"
    lock: NoticePolicy = "on"
    halt: NoticePolicy = "on"
    market_closed: NoticePolicy = "silent"
    overdue: NoticePolicy = "on"

    @field_validator("*", mode="before")
    @classmethod
    def _read_word(cls, value: object) -> object:
        """Read on and off, which YAML takes for true and false."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class NotifySettings(Section):
    """The ways of telling people. `timeout` (seconds) is for each of them.

    `command` gets each notice as JSON. `file` is a configuration file of apprise, which holds passwords and so is
    outside the workspace. `heartbeat_url` is asked over HTTP at the end of a run.
    """

    command: Command | None = None
    file: SettingPath | None = None
    heartbeat_url: WebAddress | None = None
    timeout: float = Field(20, gt=0, le=600)
    events: NoticePolicies = NoticePolicies()

    def policy_of(self, event: str) -> NoticePolicy:
        """Return what becomes of an event."""
        policy: NoticePolicy = getattr(self.events, event)
        return policy


class Settings(Section):
    """All sections of `config/settings.yaml`."""

    approve: Literal["ask", "auto"] = "ask"
    wait_for_open: bool = False
    approval: ApprovalSettings = ApprovalSettings()
    files: Literal["private", "shared"] = "private"
    state_dir: SettingPath | None = None
    accounts: AccountSettings = AccountSettings()
    broker: BrokerSettings = BrokerSettings()
    phases: Phases = Phases()
    exits: ExitSettings = ExitSettings()
    prices: PriceSettings = PriceSettings()
    ledger: LedgerSettings = LedgerSettings()
    messaging: MessagingSettings = MessagingSettings()
    messages: MessagesSettings = MessagesSettings()
    operations: OperationsSettings = OperationsSettings()
    trading: TradingSettings = TradingSettings()
    retention: RetentionSettings = RetentionSettings()
    report: ReportSettings = ReportSettings()
    regime: RegimeSettings = RegimeSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()


def load_settings(path: Path) -> Settings:
    """Read `config/settings.yaml`. Without the file, all defaults apply. Raises BadInput."""
    return validate(Settings, read_yaml(path), path) if path.exists() else Settings()
