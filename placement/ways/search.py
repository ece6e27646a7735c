"""Problems of any size and with any constraints: what the other ways are not meant for (`placement.large`)."""

from placement.model import Model
from placement.outcome import Clock, Listener, Outcome
from placement.plan import Limits

RANK = 3


def fits(model: Model) -> bool:
    """Every model."""
    return True


def solve(
    model: Model, limits: Limits, tell: Listener | None = None, clock: Clock | None = None
) -> Outcome:
    """The best counts that the limits allow. Raises Infeasible where no plan was found that keeps every constraint."""
    from placement.large.search import solve as solve_large  # noqa: PLC0415 - numba takes seconds; small plans need none

    return solve_large(model, limits, tell, clock)
