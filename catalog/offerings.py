"""Offerings: what a requester can order, with the parameters, limits and defaults of each."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from catalog.base import SAFE_INTEGER, Identifier, Name, SafeInteger, Value
from catalog.frozen import FrozenMapping
from catalog.refusals import Mistake, refuse, refuse_all
from catalog.resources import ResourceClass
from catalog.workload_classes import DataClassification

DATA = "data"
"""The parameter that sets the data classification."""

MAX_TEXT = 255
"""The most characters of a text parameter."""

CONTROL_CHARACTER = r"[\u0000-\u001f\u007f-\u009f]"
"""What a text parameter must not hold, in the regular expressions of both Python and JSON Schema."""

Choice = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class ParameterKind(StrEnum):
    """The JSON types that a parameter can have."""

    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"


class _Limits(NamedTuple):
    kind: ParameterKind
    minimum: int | None
    maximum: int | None
    multiple_of: int | None
    choices: tuple[str, ...]


class Parameter(Value):
    """One thing a requester may set. Its default applies where nothing is said.

    An integer may have `minimum`, `maximum` and `multiple_of`; a string may have `choices`, and is
    otherwise any text of at most 255 characters without control characters.
    """

    # A field's check reads the fields above it: keep the order.
    kind: ParameterKind
    title: str
    description: str = ""
    minimum: SafeInteger | None = Field(default=None, description="The least value of an integer.")
    maximum: SafeInteger | None = Field(default=None, description="The greatest value of an integer.")
    multiple_of: Annotated[int, Field(strict=True, ge=1, le=SAFE_INTEGER)] | None = Field(
        default=None, description="An integer must be a multiple of this."
    )
    choices: tuple[Choice, ...] = Field(default=(), description="The only values of a string.")
    default: int | str | bool = Field(description="The value where an order says nothing.")

    @field_validator("minimum", "maximum", "multiple_of", mode="after")
    @classmethod
    def _for_integers(cls, value: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("kind", ParameterKind.INTEGER)
        if value is not None and kind is not ParameterKind.INTEGER:
            refuse(f"{info.field_name} is for parameters of kind integer; this one is a {kind}")
        minimum = info.data.get("minimum")
        if info.field_name == "maximum" and value is not None and minimum is not None and value < minimum:
            refuse(f"maximum {value} must not be below minimum {minimum}")
        return value

    @field_validator("choices", mode="after")
    @classmethod
    def _for_strings(cls, choices: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind = info.data.get("kind", ParameterKind.STRING)
        if choices and kind is not ParameterKind.STRING:
            refuse(f"choices are for parameters of kind string; this one is a {kind}")
        refuse_all("choices", _bad_choices(choices))
        return choices

    @field_validator("default", mode="after")
    @classmethod
    def _is_allowed(cls, default: int | str | bool, info: ValidationInfo) -> int | str | bool:
        data = info.data
        if not set(_Limits._fields) <= data.keys():
            return default  # one of the limits is wrong itself, and reported
        wanted = _wanted(_Limits(**{name: data[name] for name in _Limits._fields}), default)
        if wanted:
            refuse_all("default", [((), f"the default must be {wanted}", default)])
        return default

    def wanted(self, value: object) -> str:
        """What the parameter takes, in words, where it does not take `value`; "" where it does."""
        limits = _Limits(self.kind, self.minimum, self.maximum, self.multiple_of, self.choices)
        return _wanted(limits, value)

    @property
    def lowest(self) -> int:
        """The least integer."""
        return -SAFE_INTEGER if self.minimum is None else self.minimum

    @property
    def highest(self) -> int:
        """The greatest integer."""
        return SAFE_INTEGER if self.maximum is None else self.maximum


class Offering(Value):
    """A workload class at one size, as an item of the service catalog.

    Parameters named like a resource class (``vcpu``, ``memory_mib``, ``disk_gib``) set that amount:
    they are integers with minimum and maximum. The parameter ``data`` sets the data classification;
    all others are carried with the order.
    """

    name: Name
    title: str
    description: str
    workload_class: Name
    size: Name = Field(description="One of the class's sizes.")
    parameters: FrozenMapping[Identifier, Parameter] = Field(
        default_factory=dict, description="What a requester may set; all have a default."
    )

    def __hash__(self) -> int:
        return hash(self.name)

    @field_validator("parameters", mode="after")
    @classmethod
    def _mean_what_they_are_named(cls, parameters: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        refuse_all("parameters", [m for name, p in parameters.items() for m in misnamed(name, p)])
        return parameters


def _wanted(limits: _Limits, value: object) -> str:
    if limits.kind is ParameterKind.BOOLEAN:
        return "" if isinstance(value, bool) else "true or false"
    if limits.kind is ParameterKind.INTEGER:
        return _wanted_integer(limits, value)
    choices = limits.choices
    if choices:
        return "" if isinstance(value, str) and value in choices else f"one of {', '.join(choices)}"
    fits = isinstance(value, str) and len(value) <= MAX_TEXT and not re.search(CONTROL_CHARACTER, value)
    return "" if fits else f"text of at most {MAX_TEXT} characters, without control characters"


def _wanted_integer(limits: _Limits, value: object) -> str:
    minimum, maximum, step = limits.minimum, limits.maximum, limits.multiple_of
    low = -SAFE_INTEGER if minimum is None else minimum
    high = SAFE_INTEGER if maximum is None else maximum
    if type(value) is int and low <= value <= high and value % (step or 1) == 0:
        return ""
    words = "a whole number"
    if minimum is not None and maximum is not None:
        words += f" from {minimum} to {maximum}"
    elif minimum is not None:
        words += f" of at least {minimum}"
    else:
        words += f" of at most {high}"
    return words if step is None else f"{words}, a multiple of {step}"


def _bad_choices(choices: tuple[str, ...]) -> Iterator[Mistake]:
    for i, choice in enumerate(choices):
        if choice in choices[:i]:
            yield (i,), "stands twice in this list", choice
        if re.search(CONTROL_CHARACTER, choice):
            yield (i,), "must not hold a control character", choice


def misnamed(name: str, parameter: Parameter) -> Iterator[Mistake]:
    """Why a parameter cannot do what its name says that it does."""
    if name == DATA:
        yield from _bad_data(parameter)
    if name not in set(ResourceClass):
        return
    if parameter.kind is not ParameterKind.INTEGER:
        yield (name, "kind"), f"'{name}' sets an amount: must be integer", parameter.kind.value
        return
    if parameter.maximum is None:
        yield (name,), f"'{name}' sets an amount: needs a maximum", None
    if parameter.minimum is None or parameter.minimum < 1:
        yield (
            (name, "minimum"),
            f"'{name}' sets an amount: needs a minimum of at least 1",
            parameter.minimum,
        )


def _bad_data(parameter: Parameter) -> Iterator[Mistake]:
    known = ", ".join(DataClassification)
    if not parameter.choices:
        yield (DATA,), f"'{DATA}' sets the data classification: needs choices, of {known}", None
    for i, choice in enumerate(parameter.choices):
        if choice not in set(DataClassification):
            yield (DATA, "choices", i), f"must be one of {known}", choice
