"""Requests are spread evenly over the domains of a label, as by Kubernetes' topologySpreadConstraints."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from placement.arrays import Bool, Int64
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
from placement.providers import Domains
from placement.references import domains, members
from placement.seats import Seats
from policies.decisions import Rejection


class Spread(OfGroup):
    """The fullest and the emptiest domain differ by at most `max_skew` members, or the difference costs a penalty.

    It is the finished plan that is even, in any order of placing. Eligible are all domains of the label, or those
    in `domains`. Only placed members count, whenever they are there. Members go to eligible domains only; where
    evenness is only wished for, each one elsewhere counts as one unit of skew too many.
    """

    kind: Literal["spread"] = "spread"
    requests: Names
    """Ids of requests, or names of groups: the members."""
    label: str
    """What divides hosts or pools into domains."""
    max_skew: Annotated[int, Field(strict=True, ge=1)] = 1
    """Members that the fullest eligible domain may have more than the emptiest."""
    min_domains: Annotated[int, Field(strict=True, ge=1)] = 1
    """With fewer eligible domains than this, the emptiest counts as empty: each has `max_skew` members at most."""
    domains: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The eligible values of the label; None: all of them."""
    penalty_micros: PenaltyMicros | None = None
    """For each unit of skew above `max_skew` and each member outside the eligible domains; None: there is neither."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who is spread over what, and how evenly."""
        must = "must" if self.penalty_micros is None else "should"
        over = self.label if self.domains is None else f"{self.label} {called(self.domains)}"
        skew = f"a skew of at most {self.max_skew}"
        if self._from_zero(len(self._eligible(problem).names)):
            skew = f"at most {self.max_skew} in each, as there are fewer than {self.min_domains}"
        return f"{called(self.requests)} {must} be spread over {over} with {skew}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """The same, and domains that the label does not have."""
        yield from super().problems(problem)
        where = problem.domains(self.label)
        if where is None or not where.names:
            return
        for n, name in enumerate(self.domains or ()):
            if name not in where.names:
                yield f"domains[{n}]: no {self.label} is called '{name}'; there are {', '.join(where.names)}"

    def crowding(self, problem: PlacementProblem) -> Crowding | None:
        """The emptiest domain has no more than its part of all members, and the others `max_skew` more than that."""
        if self.penalty_micros is not None:
            return None
        group, where = members(problem, self.requests), self._eligible(problem)
        count = len(where.names)
        least = 0 if self._from_zero(count) else int(group.sum()) // max(1, count)
        skew = np.full(count, self.max_skew, dtype=np.int64)
        return Crowding(group, where.of, skew + least, skew)

    def post(self, model: Model) -> None:
        """Every domain has between `least` and ``least + max_skew`` members; with a wish, `over` more."""
        group = members(model.problem, self.requests)[model.classes.one]
        where = self._eligible(model.problem)
        count, total = len(where.names), model.classes.count[group].sum(keepdims=True)
        lift = total // max(1, count) * (not self._from_zero(count))
        above = less(counted(model, group, where), np.repeat(model.variables(total * 0, lift), count))
        open_end, zeros = np.full(count, NO_LIMIT, dtype=np.int64), np.zeros(count, dtype=np.int64)
        if lift.any():
            model.rows(*above, zeros, open_end)
        if self.penalty_micros is None:
            keep_in_domains(model, group, where)
        else:
            over = model.variables(total * 0, total)
            above = less(above, np.repeat(over, count))
            pay(model, over, group, where, self.penalty_micros)
        model.rows(*above, -open_end, zeros + self.max_skew)

    def admit(self, kernel: Kernel) -> None:
        """The same where it must be; of a wish, the kernel has words only for the members outside."""
        group = members(kernel.problem, self.requests)[kernel.classes.one]
        where = self._eligible(kernel.problem)
        if self.penalty_micros is None:
            keep_in_domains(kernel, group, where)
            eligible = np.ones(len(where.names), dtype=np.bool_)
            kernel.even(group, where.of, eligible, self.max_skew, self.min_domains)
        else:
            outside = group[:, None] & (where.of < 0)[None, :]
            kernel.price("penalties", outside * np.int64(self.penalty_micros))

    def _from_zero(self, eligible: int) -> bool:
        """Whether there are so few eligible domains that the least of the counts is taken as 0."""
        return eligible < self.min_domains

    def _eligible(self, problem: PlacementProblem) -> Domains:
        """The eligible domains alone."""
        return domains(problem, self.label, self.domains)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Members outside the eligible domains, and too large a difference."""
        if self.penalty_micros is not None:
            return
        inside, outside = self._count(problem, seats)
        yield from (
            f"{name}: is in no {self.label} that {called(self.requests)} may be in" for name in outside
        )
        skew = self._skew(inside)
        if skew > self.max_skew:
            parts = ", ".join(f"{domain} {count}" for domain, count in inside.items())
            what = "reach" if self._from_zero(len(inside)) else "differ by"
            yield f"{called(self.requests)}: {self.label} counts {what} {skew}, more than {self.max_skew}: {parts}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The penalty for each unit of skew above what is allowed, and each member outside."""
        if self.penalty_micros is None:
            return {}
        inside, outside = self._count(problem, seats)
        return {
            "penalties": self.penalty_micros * (max(0, self._skew(inside) - self.max_skew) + len(outside))
        }

    def _count(self, problem: PlacementProblem, seats: Seats) -> tuple[dict[str, int], list[str]]:
        """Members in each eligible domain, also in empty ones; and those that are in none of these."""
        inside, outside = by_domain(problem, seats, self.requests, self.label)
        where = problem.domains(self.label)
        eligible = self.domains or (where.names if where is not None else ())
        others = [name for domain, names in inside.items() if domain not in eligible for name in names]
        return {domain: len(inside.get(domain, ())) for domain in sorted(set(eligible))}, outside + others

    def _skew(self, counts: Mapping[str, int]) -> int:
        least = 0 if len(counts) < self.min_domains else min(counts.values(), default=0)
        return max(counts.values(), default=0) - least

    def concerns(self, problem: PlacementProblem) -> Bool | None:
        """Members alone."""
        return members(problem, self.requests)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider that would make the counts differ too much, or is outside the eligible domains."""
        problem = after.problem
        if self.penalty_micros is not None or not is_member(problem, self.requests, request):
            return None
        where = self._eligible(problem)
        counts = others_in(after, members(problem, self.requests), where, request)
        if not len(counts):
            return None
        least = np.full(len(counts), 0 if self._from_zero(len(counts)) else counts.min())
        if not self._from_zero(len(counts)) and (counts == least).sum() == 1:
            least += counts == least  # One more in the only emptiest domain lifts the least.
        uneven = np.maximum(counts.max(), counts + 1) - least > self.max_skew
        blocked: Bool = np.append(uneven, True)[where.of]
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """The counts that are too far apart, or that the provider is in no eligible domain."""
        (reasons,) = self.why_each(after, request, [provider])
        yield from reasons

    def why_each(
        self, after: Placed, request: int, providers: list[int]
    ) -> Iterator[tuple[Rejection, ...]]:
        """The same of each."""
        problem, where = after.problem, self._eligible(after.problem)
        group, name = members(problem, self.requests), called(self.requests)
        counts = others_in(after, group, where, request)
        # Whoever has no place is told the same as the others that have none.
        seat = -1 if counts is after.headcount(group, where) else int(after.provider_of[request])
        for provider, domain in zip(providers, where.of[providers].tolist(), strict=True):
            pool = pool_name(problem, provider)
            key = "spread", id(self), pool, seat, domain if domain >= 0 else (provider,)
            found = after.said.get(key)
            if found is None:
                found = after.said[key] = (
                    self._outside(problem, provider)
                    if domain < 0
                    else self._uneven(pool, name, where, counts, domain)
                )
            yield (found,)

    def _uneven(self, pool: str, group: str, where: Domains, others: Int64, domain: int) -> Rejection:
        """That one more than these in a domain is too many."""
        counts = others.copy()
        counts[domain] += 1
        low, high = int(counts.argmin()), int(counts.argmax())
        least, most = int(counts[low]), int(counts[high])
        few = self._from_zero(len(counts))
        skew = most - (0 if few else least)
        full = f"{group} would have {most} in {self.label} {where.names[high]}"
        return Rejection(
            rule_id="spread",
            pool=pool,
            dimension=self.label,
            limit=f"skew {self.max_skew}",
            need=f"skew {skew}",
            why=f"{full}, more than {self.max_skew}, and the least counts as 0 "
            f"with fewer than {self.min_domains} to spread over"
            if few
            else f"{full} and {least} in {where.names[low]}, which differ by more than {self.max_skew}",
            remedy=f"add another {self.label} for {group}, or allow a larger max_skew"
            if few
            else f"place more of {group} in {where.names[low]} first, or allow a larger max_skew",
        )

    def _outside(self, problem: PlacementProblem, provider: int) -> Rejection:
        domain = int(domains(problem, self.label).of[provider])
        if domain < 0:
            return without_label("spread", problem, provider, self.label)
        name = domains(problem, self.label).names[domain]
        eligible = called(self.domains or ())
        return Rejection(
            rule_id="spread",
            pool=pool_name(problem, provider),
            dimension=self.label,
            limit=eligible,
            need=name,
            why=f"{called(self.requests)} is spread over {eligible}, "
            f"and {problem.providers.ids[provider]} is in {name}",
            remedy=f"make room in {eligible}, or add {name} to the domains",
        )
