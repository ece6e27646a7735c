"""What constraints share whose requests also take one of several options on their provider: nodes, a device, a datastore."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from placement.arrays import Bool, Int64
from placement.grouping import in_words
from placement.model import Model
from placement.problem import PlacementProblem
from placement.references import members, unknown_requests

T = TypeVar("T")


def entries(problem: PlacementProblem, named: Mapping[str, T]) -> list[T | None]:
    """[R] what is said of each request, by its id or its group's name; None where nothing is."""
    found: list[T | None] = [None] * len(problem.request_ids)
    for name, said in named.items():
        for i in np.flatnonzero(members(problem, [name])).tolist():
            found[i] = said
    return found


def needs(named: Mapping[str, T], one: Callable[[str, T], str], thing: str) -> str:
    """What is said of requests as the fact of a conflict: ``r0 needs this and r1 needs that``."""
    return in_words([one(name, said) for name, said in named.items()]) or f"no request needs {thing}"


def misnamed(problem: PlacementProblem, path: str, named: Mapping[str, T]) -> Iterator[str]:
    """Each name that is no request's and no group's, and each request of which two names say different things."""
    source: dict[str, str] = {}
    for name, said in named.items():
        unknown = list(unknown_requests(problem, "", [name]))
        yield from (f"{path}.{name}{text.removeprefix('[0]')}" for text in unknown)
        for one in () if unknown else problem.groups.get(name, (name,)):
            before = source.setdefault(one, name)
            if named[before] != said:
                yield f"{path}.{name}: '{before}' says something else of '{one}'; say it once"


def twice(problem: PlacementProblem, kind: type) -> Iterator[str]:
    """Whether a problem has two constraints of a kind of which there can be one, since a request has one choice by it."""
    if sum(isinstance(one, kind) for one in problem.constraints) > 1:
        yield "kind: the problem has another constraint of this kind; put the data of both into one"


def presence(problem: PlacementProblem, requests: Int64) -> Int64:
    """[T, n] 1 where one of `requests` [n] is there in a slot of time; one slot where there are no periods."""
    periods = problem.periods
    if periods is None:
        return np.ones((1, len(requests)), dtype=np.int64)
    slot = np.arange(len(periods.names))[:, None]
    there: Int64 = ((periods.first[requests] <= slot) & (slot < periods.end[requests])).astype(np.int64)
    return there


def meeting(problem: PlacementProblem, request: int) -> Iterator[Bool]:
    """For each slot in which a request is there, [R] who is there too."""
    there = presence(problem, np.arange(len(problem.request_ids), dtype=np.int64)).astype(np.bool_)
    yield from there[there[:, request]]


def in_each_slot(problem: PlacementProblem) -> Iterator[tuple[str, list[int]]]:
    """For checkers: each slot of time as a message ends with it, and the requests that are there."""
    periods = problem.periods
    if periods is None:
        yield "", list(range(len(problem.request_ids)))
        return
    spans = list(zip(periods.first.tolist(), periods.end.tolist(), strict=True))
    for slot, name in enumerate(periods.names):
        yield f" {name}", [i for i, (first, end) in enumerate(spans) if first <= slot < end]


def post_options(model: Model, name: str, asking: Bool, most: Int64) -> Int64:
    """[G, V, C] the columns that count who of a cell takes which option, -1 where nobody can.

    `asking` [G] are the classes that take one each: their columns of a cell add up to the cell, and a cell
    without an option is forbidden. `most` [G, V, C] is how many of the class could take the option if
    they were alone. `name` is the choice's.
    """
    most = np.where(asking[:, None, None], np.minimum(most, model.upper[:, :, None]), 0)
    able = most > 0
    model.forbid(asking[:, None] & ~able.any(axis=2))
    columns = np.full(most.shape, -1, dtype=np.int64)
    columns[able] = model.variables(np.zeros(int(able.sum()), dtype=np.int64), most[able])
    g, v, _ = np.nonzero(able)
    cell, row = np.unique(model.cells()[g, v], return_inverse=True)
    n = len(cell)
    signs = np.concatenate([np.ones(len(row), dtype=np.int64), np.full(n, -1, dtype=np.int64)])
    zeros = np.zeros(n, dtype=np.int64)
    rows = np.concatenate([row.reshape(-1), np.arange(n, dtype=np.int64)])
    model.rows(rows, np.concatenate([columns[able], cell]), signs, zeros, zeros)
    model.choose(name, columns)
    return columns
