"""Resource classes, amounts of them, and what a provider has (OpenStack Placement's terms)."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Value

INT64_MAX = 2**63 - 1

Amount = Annotated[int, Field(ge=0, le=2**53, strict=True)]
"""A count in the unit its name ends with; at most 2**53 so that sums of 1,000 fit into int64."""


class ResourceClass(StrEnum):
    """What can be counted on a provider; the name ends with the unit."""

    VCPU = "vcpu"
    MEMORY_MIB = "memory_mib"
    DISK_GIB = "disk_gib"


class Resources(Value):
    """An amount of each resource class; what is left out is zero."""

    vcpu: Amount = 0
    memory_mib: Amount = 0
    disk_gib: Amount = 0

    def amount(self, resource_class: ResourceClass) -> int:
        """The amount of one resource class."""
        value: int = getattr(self, resource_class.value)
        return value

    def as_mapping(self) -> Mapping[ResourceClass, int]:
        """All amounts, zero ones included, in the order of `ResourceClass`."""
        return {rc: self.amount(rc) for rc in ResourceClass}

    @classmethod
    def from_mapping(cls, amounts: Mapping[ResourceClass, int]) -> Self:
        """Build from a mapping; missing classes are zero."""
        return cls(**{rc.value: n for rc, n in amounts.items()})

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(**{rc.value: self.amount(rc) + other.amount(rc) for rc in ResourceClass})


class Inventory(Value):
    """How much of one resource class a provider has.

    `total` is physical, `reserved` is kept back from it, and `allocation_ratio` is the overcommit:
    the capacity is ``floor((total - reserved) * allocation_ratio)`` as in OpenStack Placement.
    """

    total: Amount
    reserved: Amount = 0
    allocation_ratio: Annotated[Decimal, Field(gt=0, le=1000, allow_inf_nan=False)] = Decimal(1)

    @model_validator(mode="after")
    def _reserved_within_total(self) -> Self:
        if self.reserved > self.total:
            msg = f"reserved {self.reserved} must not exceed total {self.total}"
            raise ValueError(msg)
        return self

    @property
    def capacity(self) -> int:
        """What may be allocated, overcommit included, in the resource class's unit."""
        exact = (self.total - self.reserved) * self.allocation_ratio
        return int(exact.to_integral_value(rounding=ROUND_FLOOR))
