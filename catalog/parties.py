"""Who orders, who pays and who acts."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.base import Name, Value
from catalog.resources import Resources


class CostCentre(Value):
    """Who pays (the group that FOCUS calls the billing account)."""

    name: Name
    title: str
    parent: Name | None = Field(
        default=None, description="The cost centre that this one is part of; null: of none."
    )


class Billing(StrEnum):
    """What becomes of a tenant's cost: it is invoiced, or only shown."""

    CHARGEBACK = "chargeback"
    SHOWBACK = "showback"


class Tenant(Value):
    """Who owns machines (what FOCUS calls the sub account)."""

    name: Name
    title: str
    cost_centre: Name
    parent: Name | None = Field(
        default=None, description="The tenant that this one is part of; null: of none."
    )
    billing: Billing = Field(
        default=Billing.CHARGEBACK, description="Whether its cost is invoiced or only shown."
    )
    quota: Resources | None = Field(
        default=None, description="The most the tenant's machines may have together; null: no limit."
    )


class Principal(Value):
    """A person or program that acts."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
