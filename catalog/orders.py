"""Orders: what a requester asked for, and the request it resolves to."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, Field

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from catalog.resources import Resources
from catalog.workload_classes import DataClassification

ParameterValue = int | str | bool


class Order(Value):
    """A requester's wish for one machine. `id` is also the machine's identity at the hypervisor."""

    id: UUID
    offering: Name
    tenant: Name
    machine_name: Name
    parameters: FrozenMapping[str, ParameterValue] = Field(default_factory=dict)
    tier: Name | None = Field(default=None, description="A tier the requester insists on.")
    seed: Name | None = Field(
        default=None, description="What its guest reads about itself at its first start, by name."
    )
    ordered_by: str
    ordered_at: AwareDatetime

    def __hash__(self) -> int:
        return hash(self.id)


class Request(Value):
    """An order after its offering's defaults are applied: what policies and placement decide on."""

    order_id: UUID
    machine_name: Name
    tenant: Name
    offering: Name
    workload_class: Name
    resources: Resources
    data_classification: DataClassification
    tier: Name | None = None
    parameters: FrozenMapping[str, ParameterValue] = Field(default_factory=dict)
    expires_at: datetime | None = None
    seed: Name | None = None

    def __hash__(self) -> int:
        return hash(self.order_id)
