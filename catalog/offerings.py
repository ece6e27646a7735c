"""Offerings: what a requester can order, with the parameters, limits and defaults of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.base import Name, Value


class ParameterKind(StrEnum):
    """The JSON types that a parameter can have."""

    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"


class Parameter(Value):
    """One thing a requester may set. Its default applies where nothing is said."""

    kind: ParameterKind
    title: str
    description: str = ""
    default: int | str | bool
    minimum: int | None = None
    maximum: int | None = None
    multiple_of: Annotated[int, Field(ge=1)] | None = None
    choices: tuple[str, ...] = ()


class Offering(Value):
    """A workload class at one size, as an item of the service catalog.

    Parameters named like a resource class (``vcpu``, ``memory_mib``, ``disk_gib``) set that amount;
    the parameter ``data`` sets the data classification; all others are carried with the order.
    """

    name: Name
    title: str
    description: str
    workload_class: Name
    size: Name
    parameters: Mapping[str, Parameter] = Field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.name)
