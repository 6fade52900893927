"""The second morning of a desk, to be spoiled."""

from tests.e2e.conftest import folder_of_the_second_day, second_morning

__all__ = ["folder_of_the_second_day", "second_morning"]
