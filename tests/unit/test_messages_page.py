"""The page of messages: its examples hold, and every field is explained."""

import pytest

from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.payloads import Payload
from scripts.messages_page import example_of

MODELS = sorted({model for row in CATALOGUE for model in row.payloads()}, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_example_of_a_type_is_a_payload_of_it(model: type[Payload]) -> None:
    example = example_of(model)
    assert set(example) <= set(model.read(example, "docs").document())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[Payload]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
