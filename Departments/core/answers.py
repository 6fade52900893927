"""How existing scripts are answered: they look at the status and catch nothing.

    {"status": "ERROR", "message": "…"}

is the answer to whatever cannot be done; numbers in answers are int and float (`documents.for_scripts`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from Departments.core.errors import DepartmentsError

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Result = TypeVar("Result")


def failed(message: str, **more: Any) -> Answer:
    """Return the answer to a request that cannot be met."""
    return {**more, "status": "ERROR", "message": message}


def met(request: Callable[..., Result], *arguments: Any, **options: Any) -> Result | Answer:
    """Return what a request comes to; what keeps it from being met is an answer, too, and no exception."""
    try:
        return request(*arguments, **options)
    except DepartmentsError as error:
        log.debug("the request failed", exc_info=True)
        return failed(error.sentence, exit_code=error.exit_code)
    except Exception as error:
        log.debug("the request failed", exc_info=True)
        return failed(f"the request failed ({type(error).__name__}: {error})")
