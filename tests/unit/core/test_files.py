"""Files that another program may have open, and paths that Windows finds too long."""

from __future__ import annotations

import errno

import pytest

from Departments.core.errors import PublishError
from Departments.core.platform import files
from Departments.core.platform.files import lengthen, shorten
from tests.fakes.windows import refusal


@pytest.mark.parametrize(
    ("path", "long_form"),
    [
        ("C:\\Trading", "C:\\Trading"),
        ("C:\\" + "a" * 130, "\\\\?\\C:\\" + "a" * 130),
        ("\\\\server\\share\\" + "a" * 130, "\\\\?\\UNC\\server\\share\\" + "a" * 130),
        ("\\\\?\\C:\\" + "a" * 130, "\\\\?\\C:\\" + "a" * 130),
    ],
)
def test_only_a_long_path_gets_its_long_form(path: str, long_form: str) -> None:
    assert lengthen(path) == long_form
    assert shorten(long_form) == path.removeprefix("\\\\?\\")


def refuse(number: int, *errors: OSError) -> list[OSError]:
    """Try an operation that is refused so many times with each error, and return what was left of the errors."""
    left = [error for error in errors for _ in range(number)]

    def work() -> None:
        if left:
            raise left.pop()

    files.retry(work)
    return left


def test_what_passes_is_tried_again_and_a_missing_right_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAUSES", (0.0,) * 6)
    assert refuse(2, refusal(32, "a"), refusal(33, "a"), OSError(errno.EBUSY, "busy")) == []
    assert refuse(6, refusal(5, "a")) == []
    with pytest.raises(PermissionError):
        refuse(1, PermissionError(errno.EACCES, "denied"))
    with pytest.raises(PermissionError):
        refuse(7, refusal(32, "a"))


def test_the_cause_of_an_error_tells_that_a_file_is_in_use() -> None:
    error = PublishError("cannot be written")
    error.__cause__ = refusal(32, "a")
    assert files.is_in_use(error)
    assert not files.is_in_use(PermissionError(errno.EACCES, "denied"))
