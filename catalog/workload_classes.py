"""Workload classes: what a kind of machine needs, in words that no hypervisor owns."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from catalog.base import Name, Trait, Value
from catalog.capabilities import Capability
from catalog.frozen import FrozenMapping
from catalog.refusals import refuse, refuse_all
from catalog.resources import ResourceClass, Resources


class DataClassification(StrEnum):
    """How sensitive a machine's data is, from least to most."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Availability(StrEnum):
    """What happens after a host failure."""

    BEST_EFFORT = "best_effort"
    RESTART = "restart"


class WorkloadClass(Value):
    """A kind of machine: its sizes, and what a pool must have to run one."""

    # A field's check reads the fields above it: keep the order.
    name: Name
    title: str
    summary: str
    sizes: Annotated[FrozenMapping[Name, Resources], Field(min_length=1)] = Field(
        description="Each size by name: vcpu, memory_mib and disk_gib, all above zero."
    )
    required_capabilities: frozenset[Capability] = Field(
        default=frozenset(), description="What must work on the pool."
    )
    required_traits: frozenset[Trait] = Field(default=frozenset(), description="What the pool must be.")
    forbidden_traits: frozenset[Trait] = Field(default=frozenset(), description="What it must not be.")
    allowed_tiers: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="The tiers that machines of this class may run on."
    )
    default_tier: Name = Field(description="The usual one of the allowed tiers.")
    availability: Availability = Field(
        default=Availability.BEST_EFFORT, description="What happens after a host failure."
    )
    data_classification: DataClassification = Field(
        default=DataClassification.INTERNAL, description="What an order has unless it says otherwise."
    )
    lease_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = Field(
        default=None, description="Days until the machine is due for removal; null: no end."
    )

    def __hash__(self) -> int:
        return hash(self.name)

    @field_validator("sizes", mode="after")
    @classmethod
    def _sizes_are_possible(cls, sizes: Mapping[str, Resources]) -> Mapping[str, Resources]:
        refuse_all(
            "sizes",
            (
                ((name, rc.value), "a size needs this above 0", size.amount(rc))
                for name, size in sizes.items()
                for rc in ResourceClass
                if not size.amount(rc)
            ),
        )
        return sizes

    @field_validator("forbidden_traits", mode="after")
    @classmethod
    def _not_required_too(cls, traits: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        both = traits & info.data.get("required_traits", frozenset())
        if both:
            refuse(f"traits are both required and forbidden: {', '.join(sorted(both))}")
        return traits

    @field_validator("allowed_tiers", mode="after")
    @classmethod
    def _each_once(cls, tiers: tuple[str, ...]) -> tuple[str, ...]:
        twice = (((i,), "stands twice in this list", t) for i, t in enumerate(tiers) if t in tiers[:i])
        refuse_all("allowed_tiers", twice)
        return tiers

    @field_validator("default_tier", mode="after")
    @classmethod
    def _is_allowed(cls, tier: str, info: ValidationInfo) -> str:
        allowed = info.data.get("allowed_tiers")
        if allowed is not None and tier not in allowed:
            refuse(f"default_tier '{tier}' must be one of allowed_tiers: {', '.join(allowed)}")
        return tier

    @field_validator("availability", mode="after")
    @classmethod
    def _is_asked_for(cls, availability: Availability, info: ValidationInfo) -> Availability:
        required = info.data.get("required_capabilities")
        if (
            availability is Availability.RESTART
            and required is not None
            and Capability.HA_RESTART not in required
        ):
            refuse("availability 'restart' needs ha_restart in required_capabilities")
        return availability
