"""Refusing several parts of one value at once, each at its own place."""

from collections.abc import Iterable
from typing import NoReturn

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

REFUSED = "refused"
"""The type of such a mistake in pydantic's list of errors."""

Mistake = tuple[tuple[str | int, ...], str, object]
"""Where inside the value, what was expected, and what is there (None: nothing)."""


def refuse_all(title: str, mistakes: Iterable[Mistake]) -> None:
    """Raise one ValidationError with all mistakes; nothing where there are none.

    Raised inside a pydantic validator, each mistake keeps its place below the validated field.
    """
    details: list[InitErrorDetails] = [
        {"type": PydanticCustomError(REFUSED, "{said}", {"said": said}), "loc": at, "input": value}
        for at, said, value in mistakes
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def refuse(message: str) -> NoReturn:
    """Raise what pydantic reports as this message at the validated field."""
    raise ValueError(message)
