"""What all nouns share: frozen, checked when made, no unknown fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


class Value(BaseModel):
    """A frozen value; two values with equal fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=63),
]
"""A lower-case name of letters, digits and inner hyphens, 1 to 63 characters (a DNS label)."""

Trait = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,254}$")]
"""A qualitative property of a pool, in the style of OpenStack Placement: ``STORAGE_SSD``."""
