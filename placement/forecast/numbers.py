"""Numbers of the models: real ones, where amounts and money are whole."""

from math import erfc, sqrt
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

Float64 = npt.NDArray[np.float64]

HOURS_PER_DAY = 24
DAYS_PER_MONTH = 365.2425 / 12
"""A mean month of the Gregorian calendar: rates per month do not jump between February and March."""
HOURS_PER_MONTH = DAYS_PER_MONTH * HOURS_PER_DAY
HOURS_MAX = 10_000_000.0
"""More than a thousand years: longer is a slip of the pen."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        msg = f"must be a number: {str(value).lower()}"
        raise ValueError(msg)  # noqa: TRY004 - what pydantic collects is a ValueError
    return value


Number = Annotated[float, BeforeValidator(_no_truth), Field(allow_inf_nan=False)]
"""A finite number; documents carry those with a fraction as text."""
Share = Annotated[Number, Field(gt=0, le=1)]
Chance = Annotated[Number, Field(ge=0, le=1)]
Hours = Annotated[Number, Field(gt=0, le=HOURS_MAX)]
HoursOrNone = Annotated[Number, Field(ge=0, le=HOURS_MAX)]
Spread = Annotated[Number, Field(ge=0, le=10)]
"""A standard deviation or variance relative to the mean; 0: none."""
Growth = Annotated[Number, Field(gt=-100, le=1000)]
"""Percent in a mean month, compounded."""


def normal_tail(z: Float64) -> Float64:
    """P(Z > z) of the standard normal, accurate far out."""
    flat = [0.5 * erfc(x / sqrt(2.0)) for x in np.ravel(z).tolist()]
    return np.array(flat, dtype=np.float64).reshape(np.shape(z))
