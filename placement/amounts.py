"""Whole numbers in a constraint's data: not text, not true or false, not negative, and small enough to be added up."""

from fractions import Fraction
from typing import Annotated

from pydantic import Field

Micros = Annotated[int, Field(strict=True, ge=0, le=2**53)]
"""Micro-units of the problem's currency; at most 2**53, which JSON carries exactly."""
Count = Annotated[int, Field(strict=True, ge=0, le=10**6)]
"""How many there are of something; none is allowed."""
Size = Annotated[int, Field(strict=True, ge=1, le=10**6)]
"""How many there are of something; at least one."""
Exact = int | Fraction
"""An amount that nothing was rounded of."""
PartsPerMillion = Annotated[int, Field(strict=True, ge=0, le=10**6)]
"""A share of a whole: 250_000 is a quarter."""


def half_up(value: Exact) -> int:
    """Rounded to the next integer; a half goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
