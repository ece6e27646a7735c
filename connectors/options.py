"""An endpoint's options, read by the model that says what a driver takes."""

from typing import TypeVar

from pydantic import ValidationError

from catalog.base import Value
from catalog.pools import Endpoint
from connectors.errors import Refused

Model = TypeVar("Model", bound=Value)


def options_of(model: type[Model], endpoint: Endpoint) -> Model:
    """The endpoint's options. Raises Refused with every mistake in them, and the options there are."""
    try:
        return model.model_validate(dict(endpoint.options))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        wrong = "; ".join(f"{_where(one['loc'])}: {_said(one['msg'])}" for one in found)
        hint = f"the options are: {', '.join(model.model_fields)}"
        raise Refused(endpoint.name, "open", wrong, hint=hint) from None


def _where(place: tuple[int | str, ...]) -> str:
    return f"option '{'.'.join(map(str, place))}'" if place else "the options"


def _said(message: str) -> str:
    """Of our own checks their words; in the middle of a sentence, and what is quoted keeps its letters."""
    words = message.removeprefix("Value error, ")
    return words[:1].lower() + words[1:]
