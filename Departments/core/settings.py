"""`config/settings.yaml` as typed values, and the one way YAML and JSON files are read.

Every key has a default; an unknown key or a wrong value is refused in one sentence that names file, key and mend.
What is allowed in trading stands in `config/hard_constraints.yaml` (see `Departments.constraints.limits`), not here.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from Departments.core.departments import ALL, TRADING
from Departments.core.documents import parse_json
from Departments.core.errors import BadInput
from Departments.core.money import ONE, on_tick
from Departments.core.orders import Side
from Departments.core.validation import validated

TOO_DEEP = "is nested too deeply"


class Section(BaseModel):
    """A group of keys: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseSettings(Section):
    """How one phase waits. Times in seconds."""

    timeout: float = Field(60, gt=0, le=86_400)
    on_timeout: Literal["cancel", "leave", "abort"] = "cancel"
    final_wait: float = Field(30, ge=0, le=3_600)
    poll: float = Field(1, ge=0.05, le=60)


class BuyPhaseSettings(PhaseSettings):
    """How the BUY phase waits, and what becomes of BUYs that the cash does not cover."""

    shortfall: Literal["by_priority", "pro_rata", "strict"] = "by_priority"
    cash_wait: float = Field(default=10, ge=0, le=600)


class ExitPhaseSettings(Section):
    """How long resting exits may take to be cancelled, or new ones to become live. Times in seconds."""

    timeout: float = Field(default=30, gt=0, le=86_400)
    poll: float = Field(default=1, ge=0.05, le=60)


class Phases(Section):
    """The phases of an execution; `patience` is how long (seconds) a broker that does not answer is waited for."""

    release: ExitPhaseSettings = ExitPhaseSettings()
    sell: PhaseSettings = PhaseSettings()
    buy: BuyPhaseSettings = BuyPhaseSettings()
    protect: ExitPhaseSettings = ExitPhaseSettings()
    patience: float = Field(default=60, ge=0, le=3_600)


class ExitSettings(Section):
    """Where the protective exits of a BUY stand, as shares of the entry price."""

    enabled: bool = True
    stop_loss_pct: Decimal = Field(Decimal("0.08"), gt=0, lt=1)
    take_profit_pct: Decimal = Field(Decimal("0.16"), gt=0, lt=10)

    def around(self, entry: Decimal) -> tuple[Decimal, Decimal]:
        """Return target and stop (dollars per share) of an entry, on the exchange's price steps."""
        return on_tick(entry * (ONE + self.take_profit_pct)), on_tick(entry * (ONE - self.stop_loss_pct))

    def stop_of(self, side: Side, price: Decimal | None) -> Decimal | None:
        """Return the stop that an order at `price` brings along: only a BUY does, where exits are wanted."""
        brings = self.enabled and side is Side.BUY and price is not None
        return self.around(price)[1] if brings and price is not None else None


class BrokerSettings(Section):
    """Which row of the brokers' registry, and how long to wait for its answers (seconds)."""

    name: str = "simulated"
    connect_timeout: float = Field(5, gt=0, le=3_600)
    read_timeout: float = Field(15, gt=0, le=3_600)
    live: bool = False


class LedgerSettings(Section):
    """How long (seconds) a ledger that another program has locked is waited for."""

    patience: float = Field(default=30, gt=0, le=3_600)


class MessagingSettings(Section):
    """How messages are written and handled."""

    durability: Literal["full", "fast"] = "full"
    max_attempts: int = Field(5, ge=1)
    rescan_seconds: float = Field(1, gt=0, le=86_400)
    polling_observer: bool = False
    max_message_bytes: int = Field(10_000_000, ge=1_000)


class RetentionSettings(Section):
    """What `departments archive` moves when it is called without arguments."""

    older_than: str = "7d"
    types: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    boxes: tuple[Literal["Inbox", "Outbox"], ...] = ("Inbox", "Outbox")


class RegimeSettings(Section):
    """Who is told of the regime, for how long an assessment holds (hours), and daily bars from files.

    `spy_bars` and `vix_bars` are CSV files (date, open, high, low, close[, volume]), relative to the workspace.
    """

    recipients: tuple[str, ...] = ("EXECUTIVE", "OPERATIONS")
    reuse_hours: float = Field(3, ge=0, le=1_000_000)
    spy_bars: Path | None = None
    vix_bars: Path | None = None

    @field_validator("recipients")
    @classmethod
    def _known_and_not_trading(cls, recipients: tuple[str, ...]) -> tuple[str, ...]:
        if TRADING in recipients:
            raise ValueError("names TRADING, which has no use for the regime; take TRADING out of the list")
        unknown = next((name for name in recipients if name not in ALL), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is not a department; name one of {', '.join(ALL)}, but not TRADING")
        return recipients


class Settings(Section):
    """Everything in `config/settings.yaml`."""

    approve: Literal["ask", "auto"] = "ask"
    broker: BrokerSettings = BrokerSettings()
    phases: Phases = Phases()
    exits: ExitSettings = ExitSettings()
    ledger: LedgerSettings = LedgerSettings()
    messaging: MessagingSettings = MessagingSettings()
    retention: RetentionSettings = RetentionSettings()
    regime: RegimeSettings = RegimeSettings()


class _StrictLoader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML that refuses a key written twice, and a value that is not what it is written as (2025-02-30)."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - as it is there
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # what the library lets through
            problem = f"{str(node.value)[:40]!r} is no valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _mapping_without_duplicates(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = next((k for i, k in enumerate(keys) if k in keys[:i]), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands there twice", node.start_mark)
    return dict(loader.construct_mapping(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_text(path: Path) -> str:
    """Read a text file a person wrote (UTF-8, with or without BOM). Raises BadInput."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput(path, "", "there is no such file", "create it or name another") from error
    except UnicodeDecodeError as error:
        raise BadInput(path, f"byte {error.start}", "is not UTF-8", "save the file as UTF-8") from error
    except OSError as error:
        raise BadInput(path, "", f"cannot be read ({error.strerror})", "check the path and its rights") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping. Raises BadInput; an empty file is an empty mapping."""
    try:
        data = yaml.load(read_text(path), Loader=_StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        problem = getattr(error, "problem", None) or "is not YAML"
        raise BadInput(path, place, str(problem), "mend the YAML there") from error
    except RecursionError as error:
        raise BadInput(path, "", TOO_DEEP, "write it flatter") from error
    return _mapping(data, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object, numbers as Decimal. Raises BadInput."""
    try:
        data = parse_json(read_text(path))
    except ValueError as error:
        raise BadInput(path, "", f"is not JSON ({error})", "mend the JSON there") from error
    except RecursionError as error:
        raise BadInput(path, "", TOO_DEEP, "write it flatter") from error
    return _mapping(data, path)


def read_document(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file by its ending. Raises BadInput."""
    return read_json(path) if path.suffix.lower() == ".json" else read_yaml(path)


def _mapping(data: Any, path: Path) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BadInput(path, "", "does not hold a mapping of keys to values", "write keys and values")
    return data


def config_file(workspace: Path, name: str) -> Path:
    """Return where a file of a workspace's configuration stands: in `config/`, else in the older `Config/`."""
    ours, theirs = (workspace / folder / name for folder in ("config", "Config"))
    return theirs if theirs.exists() and not ours.exists() else ours


def load_settings(path: Path) -> Settings:
    """Read `config/settings.yaml`; where there is no such file, every default holds. Raises BadInput."""
    return validated(Settings, read_yaml(path), path) if path.exists() else Settings()
