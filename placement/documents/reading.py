"""A document in form -> the problem, or everything that is wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from catalog.documents import checked
from catalog.problems import Problem
from catalog.wording import known_names
from placement.constraint import Constraint
from placement.documents import kinds, rooms
from placement.documents.asks import Asks
from placement.documents.form import Document
from placement.documents.naming import groups
from placement.documents.texts import InvalidDocument, Tree, told
from placement.documents.times import Times
from placement.problem import DEFAULT_OBJECTIVE, InvalidProblem, PlacementProblem


def problem_of(tree: Mapping[str, Any]) -> PlacementProblem:
    """The problem that plain values say. Raises InvalidDocument: first what is not in form, then what does not hold."""
    located = Tree("", tree, {})
    found: list[Problem] = []
    form = checked(located, (), Document, tree, found)
    said = _constraints(located, tree.get("constraints"), found)
    if form is None or found:
        raise InvalidDocument([told(one) for one in found if not _only_follows(one, found)])
    return _built(form, said)


def _only_follows(one: Problem, found: list[Problem]) -> bool:
    """A list whose items are all wrong counts as too short: the items' own mistakes say what is the matter."""
    return one.message.startswith("must be a list or mapping of at least") and any(
        other.path.startswith(f"{one.path}[") for other in found
    )


def _constraints(located: Tree, bodies: object, found: list[Problem]) -> tuple[Constraint, ...]:
    """Each by the class of its kind; what is no list is told by the document's form."""
    made = []
    for n, body in enumerate(bodies if isinstance(bodies, list | tuple) else ()):
        kind = body.get("kind") if isinstance(body, Mapping) else None
        if not isinstance(body, Mapping):
            found.append(located.problem(("constraints", n), "must be a mapping", body))
        elif kind is None:
            names = known_names("", kinds.written())
            found.append(located.problem(("constraints", n, "kind"), f"is required and missing; {names}"))
        elif not isinstance(kind, str) or kind not in kinds.written():
            names = known_names(kind, kinds.written())
            found.append(
                located.problem(("constraints", n, "kind"), f"there is no such constraint; {names}", kind)
            )
        else:
            one = checked(located, ("constraints", n), kinds.written()[kind], body, found)
            made += [] if one is None else [one]
    return tuple(made)


def _built(form: Document, said: tuple[Constraint, ...]) -> PlacementProblem:
    """The problem, unless names or amounts are wrong; all of those are told together."""
    asks, names, times = Asks(form), _Names(form), Times(form)
    too_many = list(asks.too_many())
    if too_many:
        raise InvalidDocument(too_many)
    wrong_rooms = list(rooms.problems(form))
    ids = asks.ids()
    found, wrong_groups = groups(form, ids)
    of_requests: dict[str, Any] = {
        "request_ids": ids,
        "demand": asks.demand(),
        "cost_micros": asks.costs(),
        "rejections": asks.rejections(),
        "priority": asks.priority(),
        "current": asks.current(names.provider),
        "groups": found,
    }
    empty = None if wrong_rooms else _without_requests(form)
    if empty is not None:
        of_requests["periods"] = times.periods(asks.counts, empty, names.provider)
    problems = [*wrong_rooms, *asks.problems, *wrong_groups, *names.problems, *times.problems]
    if problems or empty is None:
        raise InvalidDocument(problems)
    return _constrained(_checked(lambda: replace(empty, **of_requests)), said)


def _without_requests(form: Document) -> PlacementProblem:
    columns = rooms.rooms(form)
    k, p = len(form.resource_classes), len(form.pools)
    objective = None if form.objective is None else tuple(dict(level) for level in form.objective)
    return _checked(
        lambda: PlacementProblem(
            resource_classes=form.resource_classes,
            request_ids=(),
            demand=np.zeros((0, k), dtype=np.int64),
            pool_ids=columns.pool_ids,
            tier_of=columns.tier_of,
            free=columns.free,
            largest=columns.largest,
            cost_micros=np.zeros((0, p), dtype=np.int64),
            currency=form.currency,
            horizon_hours=form.horizon_hours,
            hosts=columns.hosts,
            labels=columns.labels,
            objective=DEFAULT_OBJECTIVE if objective is None else objective,  # type: ignore[arg-type] # terms are texts
        )
    )


def _constrained(problem: PlacementProblem, said: tuple[Constraint, ...]) -> PlacementProblem:
    """The problem with its constraints, unless their data names what it does not have."""
    wrong = [
        f"constraints[{n}].{text}"
        for n, constraint in enumerate(said)
        for text in constraint.problems(problem)
    ]
    if wrong:
        raise InvalidDocument(wrong)
    return _checked(lambda: replace(problem, constraints=said)) if said else problem


def _checked(make: Callable[[], PlacementProblem]) -> PlacementProblem:
    """What only the problem itself refuses, such as a label's name that is taken or a kind that stands twice, in its words."""
    try:
        return make()
    except InvalidProblem as error:
        raise InvalidDocument([str(error)]) from None


@dataclass
class _Names:
    """Hosts, or pools where there are none, by name."""

    form: Document
    problems: list[str] = field(default_factory=list)

    def provider(self, path: str, name: str) -> int | None:
        """The position; None, and a problem, where there is none of this name."""
        if name in self._positions:
            return self._positions[name]
        if name in {pool.id for pool in self.form.pools}:
            self.problems.append(f"{path}: '{name}' is a pool; name the host in it")
        else:
            what = "host" if self._hosts else "pool"
            names = known_names(name, self._positions)
            self.problems.append(f"{path}: there is no {what} '{name}'; {names}")
        return None

    @cached_property
    def _hosts(self) -> tuple[str, ...]:
        return tuple(host.id for pool in self.form.pools for host in pool.hosts or ())

    @cached_property
    def _positions(self) -> dict[str, int]:
        names = self._hosts or tuple(pool.id for pool in self.form.pools)
        return {name: v for v, name in enumerate(names)}
