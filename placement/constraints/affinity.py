"""Requests that belong together are in one domain of a label: on one host, in one rack, at one site."""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from placement.arrays import Bool, Int64
from placement.grouping import (
    Names,
    OfGroup,
    PenaltyMicros,
    called,
    counted,
    is_member,
    keep_in_domains,
    less,
    others_in,
    pay,
    pool_name,
    without_label,
)
from placement.headcount import by_domain
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.providers import Domains
from placement.references import domains, members
from placement.seats import Seats
from policies.decisions import Rejection


class Affinity(OfGroup):
    """All members that are placed share one domain, or each one outside the largest costs a penalty.

    A provider without a value of the label is in no domain: it takes no member, or, where being together is
    only wished for, a member there is outside. Members count whenever they are there.
    """

    kind: Literal["affinity"] = "affinity"
    requests: Names
    """Ids of requests, or names of groups: the members."""
    label: str = "host"
    """What divides hosts or pools into domains."""
    penalty_micros: PenaltyMicros | None = None
    """For each placed member outside the domain that has the most of them; None: they must be together."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who must share what."""
        must = "must" if self.penalty_micros is None else "should"
        return f"{called(self.requests)} {must} be in one {self.label}"

    def post(self, model: Model) -> None:
        """One domain is chosen: members elsewhere are forbidden, or paid for."""
        group = members(model.problem, self.requests)[model.classes.one]
        where = domains(model.problem, self.label)
        if self.penalty_micros is None:
            keep_in_domains(model, group, where)
            _post_together(model, group, where)
        else:
            _post_outside(model, group, where, self.penalty_micros)

    def admit(self, kernel: Kernel) -> None:
        """The same where it must be; the kernel has no words for the largest domain, so it does not see the wish."""
        if self.penalty_micros is None:
            group = members(kernel.problem, self.requests)[kernel.classes.one]
            where = domains(kernel.problem, self.label)
            keep_in_domains(kernel, group, where)
            kernel.together(group, where.of)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Members in no domain, and members in more than one."""
        if self.penalty_micros is not None:
            return
        inside, outside = by_domain(problem, seats, self.requests, self.label)
        yield from (f"{name}: is where there is no {self.label}" for name in outside)
        if len(inside) > 1:
            parts = "; ".join(f"{called(names)} in {domain}" for domain, names in inside.items())
            yield f"{called(self.requests)}: must be in one {self.label}, not {len(inside)}: {parts}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The penalty for each placed member outside the domain that has the most."""
        if self.penalty_micros is None:
            return {}
        inside, outside = by_domain(problem, seats, self.requests, self.label)
        sizes = [len(names) for names in inside.values()]
        apart = sum(sizes) - max(sizes, default=0) + len(outside)
        return {"penalties": self.penalty_micros * apart}

    def concerns(self, problem: PlacementProblem) -> Bool | None:
        """Members alone."""
        return members(problem, self.requests)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider outside the domain where the other members are."""
        problem = after.problem
        if self.penalty_micros is not None or not is_member(problem, self.requests, request):
            return None
        where = domains(problem, self.label)
        others = others_in(after, members(problem, self.requests), where, request)
        used = np.flatnonzero(others)
        if len(used) > 1:
            return np.ones(len(where.of), dtype=np.bool_)
        blocked: Bool = where.of < 0
        return blocked if len(used) == 0 else where.of != used[0]

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """Where the others are, or that the provider is in no domain."""
        problem, where = after.problem, domains(after.problem, self.label)
        domain = int(where.of[provider])
        if domain < 0:
            yield without_label("affinity", problem, provider, self.label)
            return
        others = others_in(after, members(problem, self.requests), where, request)
        homes = called([where.names[d] for d in np.flatnonzero(others).tolist()])
        count, name = int(others.sum()), problem.providers.ids[provider]
        whole = f"{count} placed" if count > 1 else "1 placed"
        of_which = "" if self.label == "host" else f", which is in {where.names[domain]}"
        yield Rejection(
            rule_id="affinity",
            pool=pool_name(problem, provider),
            dimension=self.label,
            limit=homes,
            need=where.names[domain],
            why=f"the members of {called(self.requests)} stay in one {self.label}, and the {whole} so far "
            f"{'are' if count > 1 else 'is'} in {homes}, not on {name}{of_which}",
            remedy=f"make room in {homes}, or only wish for it with penalty_micros",
        )


def _chosen(model: Model, count: int) -> Int64:
    """[D] a column for each domain, of which one is 1 at most."""
    chosen = model.booleans(count)
    model.at_most(chosen, np.ones(count, dtype=np.int64), 1)
    return chosen


def _post_together(model: Model, group: Bool, where: Domains) -> None:
    """Members of a class are in a domain only where it is the chosen one: a row for each class and domain."""
    count, inside, has = len(where.names), np.flatnonzero(group), np.flatnonzero(where.of >= 0)
    chosen = _chosen(model, count)
    n, every = len(inside), np.arange(count, dtype=np.int64)
    first = np.arange(n, dtype=np.int64)[:, None] * count
    cells = model.cells()[np.ix_(inside, has)].reshape(-1)
    row = np.concatenate([(first + where.of[has]).reshape(-1), (first + every).reshape(-1)])
    column = np.concatenate([cells, np.tile(chosen, n)])
    most = np.repeat(model.classes.count[inside], count)
    coefficient = np.concatenate([np.ones(len(cells), dtype=np.int64), -most])
    limit = np.zeros(n * count, dtype=np.int64)
    model.rows(row, column, coefficient, limit - NO_LIMIT, limit)


def _post_outside(model: Model, group: Bool, where: Domains, penalty_micros: int) -> None:
    """``members in domain - N * chosen <= outside``, of which the chosen domain needs none."""
    count = len(where.names)
    total = np.full(count, model.classes.count[group].sum(), dtype=np.int64)
    zeros, every = np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int64)
    chosen, outside = _chosen(model, count), model.variables(zeros, total)
    row, column, coefficient = less(counted(model, group, where), outside)
    row, column = np.concatenate([row, every]), np.concatenate([column, chosen])
    model.rows(row, column, np.concatenate([coefficient, -total]), zeros - NO_LIMIT, zeros)
    pay(model, outside, group, where, penalty_micros)
