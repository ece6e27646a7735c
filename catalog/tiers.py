"""Tiers: the classes of service that a company buys and charges for."""

from typing import Annotated

from pydantic import Field

from catalog.base import Name, Value


class Tier(Value):
    """A class of service. Rank 1 is the highest; a lower number is a better tier."""

    name: Name
    rank: Annotated[int, Field(strict=True, ge=1, le=99)]
    title: str
    purpose: str
