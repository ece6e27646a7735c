"""Rebalancing from files: a model and an assignment read, made better on two threads, written."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Any

from placement.problem import InvalidProblem
from placement.rebalance import roadef
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.solve import Effort, Listener, Rebalanced
from placement.rebalance.solve import rebalance as rebalanced
from tierwise.errors import InvalidInput
from tierwise.usecases.place_file import read_bytes
from tierwise.usecases.place_file import write as write_text

_CHAINS = 2


class Form(StrEnum):
    """The formats of files that are understood."""

    ROADEF = "roadef"


def load(model: Path, assignment: Path) -> Reassignment:
    """The problem in two files of the challenge. Raises InvalidInput with the file and line of what is wrong."""
    try:
        return roadef.read(_text(model), _text(assignment), names=(str(model), str(assignment)))
    except InvalidProblem as error:
        raise InvalidInput(str(error)) from None


def solve(
    problem: Reassignment,
    *,
    seed: int,
    clock: Callable[[], float],
    begin_s: float,
    time_limit_s: float | None,
    moves: int | None = None,
    tell: Listener | None = None,
) -> Rebalanced:
    """A cheaper assignment within the limits, of which what reading took since `begin_s` on the clock is a part.

    Raises InvalidInput where the present assignment breaks a rule.
    """
    left_s = None if time_limit_s is None else max(0.1, begin_s + time_limit_s - clock())
    with ThreadPoolExecutor(_CHAINS) as threads:
        effort = Effort(seed, moves, left_s, clock, threads.map)
        try:
            return rebalanced(problem, effort, tell)
        except InvalidProblem as error:
            raise InvalidInput(str(error)) from None


def write(result: Path, found: Rebalanced) -> None:
    """The assignment in the challenge's format. Raises InvalidInput where the file cannot be written."""
    write_text(result, roadef.write_assignment(found.machine))


def summary(found: Rebalanced) -> Mapping[str, Any]:
    """What it costs, by term, and how far from the best possible it may be."""
    return {
        "objective": found.objective,
        "bound": found.bound,
        "gap_percent": round(100 * found.gap, 4),
        "before": found.initial,
        **found.terms,
        "moved": found.moved,
        "tried": sum(found.tried),
    }


def _text(file: Path) -> str:
    try:
        return read_bytes(file).decode("ascii")
    except UnicodeDecodeError as error:
        msg = f"{file}: byte {error.start} is no digit; the challenge's files are whole numbers between white space"
        raise InvalidInput(msg) from None
