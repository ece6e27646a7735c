"""Quota: the most that tenants may have of each resource class."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from catalog.base import Value
from catalog.resources import Amount, ResourceClass
from policies.rule import QuotaRule


class Limit(Value):
    """The most there may be; null or left out: no limit. Zero is a limit."""

    vcpu: Amount | None = None
    memory_mib: Amount | None = None
    disk_gib: Amount | None = None


class Quota(QuotaRule):
    """A limit for each tenant that `when` chooses, or for all of them together."""

    kind: Literal["quota"]
    limit: Limit

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.limits():
            msg = f"limit needs at least one of {', '.join(rc.value for rc in ResourceClass)}"
            raise ValueError(msg)
        return self

    def limits(self) -> Mapping[ResourceClass, int]:
        """The limits that are given."""
        amounts = {rc: getattr(self.limit, rc.value) for rc in ResourceClass}
        return {rc: amount for rc, amount in amounts.items() if amount is not None}
