"""Requests that must not fail together: at most a few of a group are in one domain of a label."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from placement.arrays import Bool
from placement.crowding import Crowding
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
from placement.references import domains, members
from placement.seats import Seats
from policies.decisions import Rejection


class AntiAffinity(OfGroup):
    """No domain has more than `most` members, or each one in excess costs a penalty.

    A provider without a value of the label is in no domain: it takes no member, since nobody knows with whom
    it would fail; where keeping apart is only wished for, each member there is one in excess. Members count
    whenever they are there.
    """

    kind: Literal["anti_affinity"] = "anti_affinity"
    requests: Names
    """Ids of requests, or names of groups: the members."""
    label: str = "host"
    """What divides hosts or pools into domains."""
    most: Annotated[int, Field(strict=True, ge=1)] = 1
    """Members in one domain."""
    penalty_micros: PenaltyMicros | None = None
    """For each placed member in excess of `most` in its domain; None: there must be none."""

    def fact(self, problem: PlacementProblem) -> str:
        """How many of whom may share what."""
        may = "may" if self.penalty_micros is None else "should"
        return f"at most {self.most} of {called(self.requests)} {may} be in one {self.label}"

    def crowding(self, problem: PlacementProblem) -> Crowding | None:
        """The same where it must be."""
        if self.penalty_micros is not None:
            return None
        where = domains(problem, self.label)
        limit = np.full(len(where.names), self.most, dtype=np.int64)
        return Crowding(members(problem, self.requests), where.of, limit, limit)

    def post(self, model: Model) -> None:
        """A packing row for each domain; where it is a wish, its excess is a column that costs."""
        where = domains(model.problem, self.label)
        group = members(model.problem, self.requests)[model.classes.one]
        entries, count = counted(model, group, where), len(where.names)
        if self.penalty_micros is None:
            keep_in_domains(model, group, where)
        else:
            total = np.full(count, model.classes.count[group].sum(), dtype=np.int64)
            excess = model.variables(np.zeros_like(total), total)
            entries = less(entries, excess)
            pay(model, excess, group, where, self.penalty_micros)
        model.rows(*entries, np.full(count, -NO_LIMIT, dtype=np.int64), np.full(count, self.most))

    def admit(self, kernel: Kernel) -> None:
        """The same; those in no domain are one domain more, in which all are in excess."""
        where = domains(kernel.problem, self.label)
        group = members(kernel.problem, self.requests)[kernel.classes.one]
        count, weight = len(where.names), group.astype(np.int64)
        if self.penalty_micros is None:
            keep_in_domains(kernel, group, where)
            kernel.at_most(weight, where.of, np.full(count, self.most, dtype=np.int64))
        else:
            domain_of = np.where(where.of < 0, count, where.of)
            free = np.append(np.full(count, self.most, dtype=np.int64), 0)
            cost = np.full(count + 1, self.penalty_micros, dtype=np.int64)
            kernel.per_excess("penalties", weight, domain_of, free, cost)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Members in no domain, and domains with more than `most`."""
        if self.penalty_micros is not None:
            return
        inside, outside = by_domain(problem, seats, self.requests, self.label)
        yield from (f"{name}: is where there is no {self.label}" for name in outside)
        for domain, names in inside.items():
            if len(names) > self.most:
                yield f"{self.label} {domain}: {called(names)} are {len(names)} of {called(self.requests)}, more than {self.most}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The penalty for each member in excess."""
        if self.penalty_micros is None:
            return {}
        inside, outside = by_domain(problem, seats, self.requests, self.label)
        excess = len(outside) + sum(max(0, len(names) - self.most) for names in inside.values())
        return {"penalties": self.penalty_micros * excess}

    def concerns(self, problem: PlacementProblem) -> Bool | None:
        """Members alone."""
        return members(problem, self.requests)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider in a full domain or in none; all, where any domain is overfull without this request."""
        problem = after.problem
        if self.penalty_micros is not None or not is_member(problem, self.requests, request):
            return None
        where = domains(problem, self.label)
        others = others_in(after, members(problem, self.requests), where, request)
        if (others > self.most).any():
            return np.ones(len(where.of), dtype=np.bool_)
        full: Bool = np.append(others >= self.most, True)[where.of]  # The last one stands for no domain.
        return full

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """How many are there already, or that the provider is in no domain."""
        problem, where = after.problem, domains(after.problem, self.label)
        domain = int(where.of[provider])
        if domain < 0:
            yield without_label("anti_affinity", problem, provider, self.label)
            return
        others = others_in(after, members(problem, self.requests), where, request)
        if others[domain] < self.most:  # Then another one has too many already.
            domain = int(np.argmax(others))
        count, name, group = int(others[domain]), where.names[domain], called(self.requests)
        yield Rejection(
            rule_id="anti_affinity",
            pool=pool_name(problem, provider),
            dimension=self.label,
            limit=f"{self.most} in one {self.label}",
            need=f"{count + 1} in {name}",
            why=f"at most {self.most} of {group} may be in one {self.label}, "
            f"and {name} has {count} already",
            remedy=f"add another {self.label} for {group}, or allow more than {self.most} in one",
        )
