"""What constraints about groups of requests share: who belongs to one, where the others are, what people call it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import Field

from catalog.base import SAFE_INTEGER
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.providers import Domains
from placement.references import members, unknown_label, unknown_requests
from policies.decisions import Rejection

Names = Annotated[tuple[str, ...], Field(min_length=1)]
"""Ids of requests, or names of groups of them; at least one."""

PenaltyMicros = Annotated[int, Field(strict=True, ge=1, le=SAFE_INTEGER)]
"""What breaking a wish once costs, in micro-units of the currency over the horizon."""

Entries = tuple[Int64, Int64, Int64]
"""Row, column and coefficient of each entry of a block of rows."""


class OfGroup(Constraint):
    """A constraint about which domains of a label the members of a group are in."""

    terms: ClassVar[tuple[str, ...]] = ("penalties",)

    # Fields are each constraint's own: what they mean there, their defaults and their order.
    if TYPE_CHECKING:
        requests: Names
        label: str

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown requests, and a label that divides nothing."""
        yield from unknown_requests(problem, "requests", self.requests)
        yield from unknown_label(problem, "label", self.label)
        yield from _empty_label(problem, "label", self.label)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Members are told from the others."""
        return members(problem, self.requests).astype(np.int64)


_NAMES: WeakKeyDictionary[PlacementProblem, list[tuple[str, ...]]] = WeakKeyDictionary()
"""Asked for every request that is explained; the groups are turned over once a problem."""


def names_of(problem: PlacementProblem, request: int) -> tuple[str, ...]:
    """Every name that a constraint may mean this request by: its id, and its groups'."""
    known = _NAMES.get(problem)
    if known is None:
        names = {one: [one] for one in problem.request_ids}
        for group, ids in problem.groups.items():
            for one in dict.fromkeys(ids):
                names[one].append(group)
        known = _NAMES[problem] = [tuple(names[one]) for one in problem.request_ids]
    return known[request]


def is_member(problem: PlacementProblem, names: Collection[str], request: int) -> bool:
    """Whether any of the names means this request."""
    return bool(members(problem, names)[request])


def told_apart(problem: PlacementProblem, sides: Iterable[Iterable[str]]) -> Int64 | None:
    """[R] a number for each request, equal where the same sides name them; None where there is no side."""
    masks = [members(problem, names) for names in sides]
    if not masks:
        return None
    packed = np.packbits(np.column_stack(masks), axis=1)
    _, number = np.unique(packed, axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64)


def others_in(after: Placed, group: Bool, domains: Domains, request: int) -> Int64:
    """[D] how many members, but for this request, each domain has; read-only."""
    counts, at = after.headcount(group, domains), int(after.provider_of[request])
    domain = int(domains.of[at]) if at >= 0 else -1
    if domain < 0 or not group[request]:
        return counts
    others = counts.copy()
    others[domain] -= 1
    return others


def keep_in_domains(told: Kernel | Model, group: Bool, where: Domains) -> None:
    """No member, by class [G], goes to a provider that is in no domain."""
    nowhere = where.of < 0
    if nowhere.any():
        told.forbid(group[:, None] & nowhere[None, :])


def counted(model: Model, group: Bool, where: Domains) -> Entries:
    """A block of rows that count the members, one for each domain."""
    has = np.flatnonzero(where.of >= 0)
    cells = model.cells()[np.ix_(np.flatnonzero(group), has)]
    return np.tile(where.of[has], len(cells)), cells.reshape(-1), np.ones(cells.size, dtype=np.int64)


def less(entries: Entries, columns: Int64) -> Entries:
    """The same rows, each less its own of the columns, of which there are as many as rows."""
    row, column, coefficient = entries
    count = len(columns)
    return (
        np.concatenate([row, np.arange(count, dtype=np.int64)]),
        np.concatenate([column, columns]),
        np.concatenate([coefficient, np.full(count, -1, dtype=np.int64)]),
    )


def pay(model: Model, columns: Int64, group: Bool, where: Domains, penalty_micros: int) -> None:
    """A penalty for each unit of the columns, and for each member in no domain."""
    strays = model.cells()[np.ix_(np.flatnonzero(group), np.flatnonzero(where.of < 0))]
    paid = np.concatenate([columns, strays.reshape(-1)])
    model.cost("penalties", paid, np.full(len(paid), penalty_micros, dtype=np.int64))


def called(names: Collection[str]) -> str:
    """Names in a sentence: ``web``, ``r0 and r1``, ``r0, r1 and 3 more``."""
    return in_words(list(names))


def in_words(parts: Sequence[str]) -> str:
    """Up to three parts of a sentence; of more, two and how many more: ``a, b and 3 more``."""
    shown = list(parts) if len(parts) <= 3 else [*parts[:2], f"{len(parts) - 2} more"]
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def pool_name(problem: PlacementProblem, provider: int) -> str:
    """The pool that a provider is, or is a host of."""
    return problem.pool_ids[int(problem.providers.pool_of[provider])]


def without_label(rule_id: str, problem: PlacementProblem, provider: int, label: str) -> Rejection:
    """Why a provider in no domain takes no member of a group whose domains count."""
    name = problem.providers.ids[provider]
    return Rejection(
        rule_id=rule_id,
        pool=pool_name(problem, provider),
        dimension=label,
        limit=f"no {label}",
        need=f"a {label}",
        why=f"{name} has no {label}, so nobody knows whom its machines share one with",
        remedy=f"give {name} a value of the label {label}",
    )


def _empty_label(problem: PlacementProblem, path: str, label: str) -> Iterable[str]:
    """The label, where it is known and no provider has a value of it."""
    domains = problem.domains(label)
    if domains is not None and not domains.names and problem.providers.ids:
        yield f"{path}: no host or pool has a value of the label '{label}'; give them one"
