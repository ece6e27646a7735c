"""Solvers of linear programs, by name: all of them are inside ortools, and all of them read one program.

What any of them answers is only a hint of prices: bounds are recomputed in integers (`placement.relaxation`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT = "glop"
_MOST_ITERATIONS = 2**31 - 1


@dataclass(frozen=True)
class LinearSolver:
    """How MathOpt calls it, and what it is asked for beyond its limits."""

    kind: str
    tune: Callable[[Any, Any, int], None]
    """Takes MathOpt, the parameters, which it changes, and a seed."""


def _glop(mathopt: Any, parameters: Any, seed: int) -> None:
    parameters.random_seed = seed
    parameters.lp_algorithm = mathopt.LPAlgorithm.DUAL_SIMPLEX
    parameters.glop.change_status_to_imprecise = False  # Prices are only asked to be good.
    parameters.glop.perturb_costs_in_dual_simplex = True


def _highs(_mathopt: Any, parameters: Any, seed: int) -> None:
    parameters.random_seed = seed  # It chooses better by itself how to solve.


def _pdlp(_mathopt: Any, parameters: Any, _seed: int) -> None:
    parameters.threads = (
        1  # It draws nothing by chance and refuses a seed; but more threads add up differently.
    )


SOLVERS: Mapping[str, LinearSolver] = {
    "glop": LinearSolver("GLOP", _glop),
    "highs": LinearSolver("HIGHS", _highs),
    "pdlp": LinearSolver("PDLP", _pdlp),
}
"""GLOP for small programs and for many in a row, each from the last one's basis; the others for one large program."""


def limited(iterations: int) -> int:
    """Iterations as solvers take them: at least one, and no more than 31 bits hold."""
    return min(max(1, iterations), _MOST_ITERATIONS)


def iterations_of(stats: Any) -> int:
    """Of whichever kind the solver makes."""
    return int(stats.simplex_iterations + stats.barrier_iterations + stats.first_order_iterations)
