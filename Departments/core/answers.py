"""Answers for existing scripts, which look at the status and catch no exceptions.

A failed request is answered `{"status": "ERROR", "message": "…"}`. Numbers in answers are int and float
(`documents.for_scripts`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from Departments.core.errors import DepartmentsError
from Departments.core.logs import make_logger

log = make_logger(__name__)

Answer = dict[str, Any]
Result = TypeVar("Result")


def error_answer(message: str, **more: Any) -> Answer:
    """Return the answer to a failed request."""
    return {**more, "status": "ERROR", "message": message}


def answer_request(request: Callable[..., Result], *arguments: Any, **options: Any) -> Result | Answer:
    """Return the result of a request, or the answer to its error. Raises nothing."""
    try:
        return request(*arguments, **options)
    except DepartmentsError as error:
        log.debug("the request failed", exc_info=True)
        return error_answer(error.sentence, exit_code=error.exit_code)
    except Exception as error:
        log.debug("the request failed", exc_info=True)
        return error_answer(f"the request failed ({type(error).__name__}: {error})")
