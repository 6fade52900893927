"""The page of messages is made from the catalogue, and its examples hold."""

import pytest

from Departments.messaging.catalogue import CATALOGUE
from Departments.messaging.payloads import Payload
from scripts.write_messages_page import PAGE, example_of, messages_page

MODELS = sorted({model for row in CATALOGUE for model in row.payloads()}, key=lambda model: model.__name__)


def test_the_page_is_the_one_that_the_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == messages_page(), "run scripts/write_messages_page.py"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_example_of_a_type_is_a_payload_of_it(model: type[Payload]) -> None:
    example = example_of(model)
    assert set(example) <= set(model.read(example, "docs").document())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[Payload]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
