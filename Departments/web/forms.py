"""What a form of the page may hold: one model for each. A fault names the field as the page does, with its mend."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from Departments.core.errors import DepartmentsError
from Departments.core.halts import LONGEST_REASON, HaltScope
from Departments.Executive.opinions import LONGEST_COMMENT

#: The one way in which a form without scripts arrives.
MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 20
AGAIN: Final = "open the page anew"


class FormFault(DepartmentsError):  # noqa: N818 - a fault of what was sent
    """A form that the page cannot have sent, or a field that a person has to correct."""


def _join(text: Any) -> Any:
    return " ".join(text.split()) if isinstance(text, str) else text


#: What the page fills in.
Hidden = Annotated[str, Field(min_length=1, max_length=2_000)]
OneLine = BeforeValidator(_join)


class PageForm(BaseModel):
    """A form of a session."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    form_key: Hidden


class DoorForm(BaseModel):
    """The button that uses a link."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    token: Hidden


class PlanForm(PageForm):
    """A form about the plan that was seen, by its digest."""

    digest: Hidden


class ApproveForm(PlanForm):
    """Approves a plan. `newest` is the newest plan of the day when the page was shown."""

    newest: Hidden


class VetoForm(PlanForm):
    """Takes the order of a symbol out of a plan."""

    symbol: Hidden
    comment: Annotated[str, Field(title="Why", max_length=LONGEST_COMMENT), OneLine] = ""


class CommentForm(PlanForm):
    """Comments on a plan."""

    comment: Annotated[str, Field(title="Comment", min_length=1, max_length=LONGEST_COMMENT), OneLine]


class RejectForm(PlanForm):
    """Rejects a plan."""

    comment: Annotated[str, Field(title="Reason", max_length=LONGEST_COMMENT), OneLine] = ""


class HaltForm(PageForm):
    """Halts the desk."""

    comment: Annotated[str, Field(title="Reason", min_length=1, max_length=LONGEST_REASON), OneLine]
    scope: Annotated[HaltScope, Field(title="What")] = HaltScope.ALL


Model = TypeVar("Model", bound=BaseModel)


def parse_fields(body: bytes) -> dict[str, str]:
    """Read the fields of a form. Raises FormFault for what is no text, and for a field that is there twice."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeError as error:
        raise FormFault(f"the form is not text in UTF-8; {AGAIN}") from error
    except ValueError as error:
        raise FormFault(f"the form has more than {MOST_FIELDS} fields; {AGAIN}") from error
    twice = next((name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number])), None)
    if twice is not None:
        raise FormFault(f"the field {twice[:40]!r} is there twice; {AGAIN}")
    return dict(pairs)


def read_form(model: type[Model], fields: dict[str, str]) -> Model:
    """Return a form as its model. Raises FormFault naming one wrong field, an unknown one first."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        raise FormFault(_describe(model, faults[0])) from error


def _describe(model: type[BaseModel], fault: Any) -> str:
    name = str(fault["loc"][0])
    field, kind = model.model_fields.get(name), fault["type"]
    if field is None:
        return f"this form has no field {name[:40]!r}; {AGAIN}"
    if field.title is None:
        return f"the field {name!r} is {'missing' if kind == 'missing' else 'not what the page sent'}; {AGAIN}"
    if kind in {"missing", "string_too_short"}:
        return f"{field.title} is empty; write a word"
    if kind == "string_too_long":
        length, most = len(_join(fault["input"])), fault["ctx"]["max_length"]
        return f"{field.title} has {length} characters; write at most {most}"
    return f"{field.title} is none of its choices; {AGAIN}"
