"""Licences: what a plan pays is the least of all choices, and the laws that every count keeps."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import product as every
from math import ceil
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from placement.constraints.anti_affinity import AntiAffinity
from placement.constraints.licences import Licences
from placement.constraints.spread import Spread
from placement.licensing.products import Alternative, Processors, Product
from placement.matrix import NO_LIMIT, Expression
from placement.problem import PlacementProblem
from placement.relaxation import Solver, program_of, proven, with_row
from placement.seats import Seats
from placement.solve import posted, solve
from placement.solvers.exact import Infeasible
from tierwise.testing.constraint_samples.anti_affinity import sample as apart_sample
from tierwise.testing.constraint_samples.licences import sample
from tierwise.testing.constraint_samples.spread import sample as spread_sample
from tierwise.testing.constraints.promises import plans_by_chance
from tierwise.testing.licensed import estate, paid_on_first, way
from tierwise.testing.placement import best_by_trying, small_problem, value_of_plan

seeds = st.integers(0, 2**32 - 1)
hosts = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 40)), min_size=1, max_size=5)
Hosts = list[tuple[int, int]]


def random_licences(seed: int, *, with_hosts: bool = True) -> tuple[PlacementProblem, Licences]:
    problem = small_problem(seed, hosts=with_hosts)
    rule = sample(problem, np.random.default_rng([seed, 13]))
    return replace(problem, constraints=(rule,)), rule


def kept(problem: PlacementProblem, rule: Licences, seed: int, plans: int = 20) -> list[Seats]:
    """Plans by chance that keep the rule, whatever room they need."""
    chance = np.random.default_rng([seed, 14])
    return [
        seats
        for seats in plans_by_chance(problem, rule, chance, plans)
        if not list(rule.check(problem, seats))
    ]


class Recount:
    """A product's cost with fractions, by trying every choice of every scope: it knows no remainder and no state."""

    def __init__(self, problem: PlacementProblem, rule: Licences, product: Product) -> None:
        self.problem, self.rule, self.product = problem, rule, product
        self.ways = [
            one
            for one in product.alternatives
            if rule.day is None or (one.valid_from or date.min) <= rule.day < (one.valid_until or date.max)
        ]

    def scopes(self) -> dict[str, list[str]]:
        ids, pool_of = self.problem.providers.ids, self.problem.providers.pool_of.tolist()
        boundary = self.product.boundary
        found = {name: list(inside) for name, inside in self.product.scopes.items()}
        if boundary is not None:
            racks = self.problem.hosts.labels["rack"] if self.problem.hosts else ()
            values: Sequence[Any] = {"host": ids, "pool": pool_of, "rack": racks}.get(
                boundary, ["all"] * len(ids)
            )
            found = defaultdict(list)
            for name, value in zip(ids, values, strict=True):
                if value != "":
                    found[str(value)].append(name)
        for limit in self.product.limits:
            for inside in found.values():
                if limit.limiter in self.product.accepts and set(limit.hosts) & set(inside):
                    inside[:] = [name for name in inside if name in limit.hosts]
        return dict(found)

    def cost(self, seats: Seats) -> int:
        at: list[int] = seats.provider_of.tolist()
        machines = {
            name: [
                int(self.problem.demand[i, 0])
                for i, v in enumerate(at)
                if v >= 0
                and self.problem.providers.ids[v] in inside
                and self.problem.request_ids[i] in self.product.requests
            ]
            for name, inside in self.scopes().items()
        }
        used = [name for name, there in machines.items() if there]
        return min(
            self._of_choice(used, chosen, machines)
            for chosen in every(range(len(self.ways)), repeat=len(used))
        )

    def _of_choice(
        self, used: list[str], chosen: tuple[int, ...], machines: Mapping[str, list[int]]
    ) -> int:
        total = 0
        for n, one in enumerate(self.ways):
            names = [name for name, c in zip(used, chosen, strict=True) if c == n]
            if names:
                total += self._of_alternative(one, names, machines)
        return total

    def _of_alternative(self, one: Alternative, names: list[str], machines: Mapping[str, list[int]]) -> int:
        hours = self.problem.horizon_hours if one.per_hour else 1
        groups = [names] if one.pack_scope == "order" else [[name] for name in names]
        packs = 0
        for group in groups:
            by_factor: dict[Fraction, Fraction] = defaultdict(Fraction)
            for name in group:
                for factor, units in self._units(one, name, machines[name]):
                    by_factor[factor] += units
            packs += ceil(Fraction(sum(ceil(units) for units in by_factor.values()) * hours, one.pack_size))
        least = max(one.order_minimum, one.principals * hours)
        packs = max(packs, ceil(Fraction(least, one.pack_size)))
        more, size = one.add_on, 1
        if more is None:
            return max(0, packs - one.owned_packs) * one.pack_cost_micros
        amount = sum(self._amount(name, more.amount) for name in names)
        need, size = ceil(Fraction(amount, more.unit_amount)), more.pack_size
        return min(
            max(0, bought - one.owned_packs) * one.pack_cost_micros
            + ceil(Fraction(max(0, need - bought * more.granted), size)) * more.pack_cost_micros
            for bought in range(packs, packs + need + one.owned_packs + 1)
        )

    def _hosts(self, name: str) -> list[tuple[str, Processors]]:
        return [
            (host, self.rule.processors[host])
            for host in self.scopes()[name]
            for _ in range(self.rule.processors[host].hosts)
        ]

    def _amount(self, name: str, what: str) -> int:
        return sum(one.amounts[what] for _, one in self._hosts(name))

    def _cores(self, host: str, cores: int) -> int:
        cuts = [
            limit.cores_per_host
            for limit in self.product.limits
            if limit.cores_per_host and limit.limiter in self.product.accepts and host in limit.hosts
        ]
        return min([cores, *cuts])

    def _units(self, one: Alternative, name: str, there: list[int]) -> list[tuple[Fraction, Fraction]]:
        whole = Fraction(1)
        if one.metric == "per_principal":
            return []
        if one.metric == "per_machine":
            return [(whole, Fraction(len(there)))]
        if one.metric == "per_vcpu":
            return [(whole, Fraction(sum(max(n, one.per_machine_minimum) for n in there)))]
        times = ceil(Fraction(len(there), one.covers)) if one.covers else 1
        found = []
        for host, own in self._hosts(name):
            factor = Fraction(one.core_factor_thousandths.get(own.family, 1000), 1000)
            plain = own.sockets * own.cores_per_socket
            floored = own.sockets * max(own.cores_per_socket, one.per_socket_minimum)
            has = {
                **own.amounts,
                "sockets": own.sockets,
                "cores": self._cores(host, plain),
                "machines": len(there),
            }
            units = {
                "per_core": factor * self._cores(host, max(floored, one.per_host_minimum)),
                "per_host": whole,
                "per_socket": Fraction(own.sockets),
                "per_amount": Fraction(has.get(one.amount or "", 0), one.unit_amount),
                "per_coverage_unit": Fraction(
                    max([ceil(Fraction(has[d], n)) for d, n in one.unit_covers.items()], default=0)
                ),
            }[one.metric]
            found.append((factor, times * units))
        return found


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans())
def test_the_cost_is_the_least_of_all_choices_counted_in_fractions(seed: int, with_hosts: bool) -> None:
    problem, rule = random_licences(seed, with_hosts=with_hosts)
    for seats in kept(problem, rule, seed):
        for one in rule.products:
            alone = rule.model_copy(update={"products": (one,)})
            assert alone.cost(problem, seats)["licences"] == Recount(problem, rule, one).cost(seats)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_choice_is_no_dearer_than_any_of_its_alternatives_alone(seed: int) -> None:
    problem, rule = random_licences(seed)
    rule = rule.model_copy(update={"day": None})
    for seats in kept(problem, rule, seed):
        for one in rule.products:
            alone = rule.model_copy(update={"products": (one,)})
            for each in one.alternatives:
                only = one.model_copy(update={"alternatives": (each,)})
                only_rule = rule.model_copy(update={"products": (only,)})
                assert alone.cost(problem, seats)["licences"] <= only_rule.cost(problem, seats)["licences"]


@settings(max_examples=40, deadline=None)
@given(
    hosts,
    st.integers(1, 12),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(["per_core", "per_host", "per_socket", "per_coverage_unit"]),
    st.integers(1, 5),
)
def test_more_reach_never_costs_less_and_full_cover_does_not_look_at_machines(
    inside: Hosts, machines: int, covers: int | None, metric: str, pack: int
) -> None:
    unit = {"unit_covers": {"sockets": 2, "cores": 16}} if metric == "per_coverage_unit" else {}
    one = way(metric=metric, covers=covers, pack=pack, **unit)
    ids = [f"h{n}" for n in range(len(inside))]
    costs = [
        paid_on_first(estate(inside, [2] * machines, one, scopes={"x": tuple(ids[:n])}))
        for n in range(1, len(inside) + 1)
    ]
    assert costs == sorted(costs)
    if covers is None:
        assert costs[-1] == paid_on_first(estate(inside, [2], one))
    assert costs[-1] == paid_on_first(estate(inside[::-1], [2] * machines, one))


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_limit_that_is_accepted_never_makes_a_plan_that_keeps_it_dearer(seed: int) -> None:
    problem, rule = random_licences(seed)
    without = rule.model_copy(
        update={"products": tuple(one.model_copy(update={"accepts": ()}) for one in rule.products)}
    )
    for seats in kept(problem, rule, seed):
        assert rule.cost(problem, seats)["licences"] <= without.cost(problem, seats)["licences"]


@settings(max_examples=40, deadline=None)
@given(hosts, st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_minimums_once_reached_change_nothing_and_never_make_less(
    inside: Hosts, per_socket: int, per_host: int, order: int
) -> None:
    def cost(where: Hosts, **minimums: int) -> int:
        return paid_on_first(estate(where, [1], way(metric="per_core", **minimums)))

    plain, floored = cost(inside), cost(inside, per_socket_minimum=per_socket, per_host_minimum=per_host)
    assert floored >= plain
    raised = [(s, max(c, per_socket, -(-per_host // s))) for s, c in inside]
    again = cost(raised, per_socket_minimum=per_socket, per_host_minimum=per_host)
    assert again == cost(raised)
    with_order = cost(inside, order_minimum=order)
    assert with_order == max(plain, order)
    assert with_order == cost(inside, order_minimum=with_order)


@settings(max_examples=40, deadline=None)
@given(hosts, st.integers(1, 7), st.integers(1, 9))
def test_packs_are_rounded_once_in_the_order_which_is_never_dearer_than_in_each_scope(
    inside: Hosts, machines: int, pack: int
) -> None:
    assume(machines >= len(inside))
    each = {f"s{n}": (f"h{n}",) for n in range(len(inside))}
    seats = Seats(np.arange(machines, dtype=np.int64) % len(inside))

    def cost(pack_scope: str, size: int) -> int:
        problem = estate(
            inside, [1] * machines, way(metric="per_core", pack=size, pack_scope=pack_scope), scopes=each
        )
        return problem.constraints[0].cost(problem, seats)["licences"]

    assert cost("order", pack) == -(-cost("order", 1) // pack)
    assert cost("order", pack) <= cost("scope", pack) <= cost("order", pack) + len(inside) - 1


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_what_a_plan_pays_does_not_depend_on_the_order_of_hosts_scopes_or_alternatives(seed: int) -> None:
    problem, rule = random_licences(seed)
    turned = rule.model_copy(
        update={
            "processors": dict(reversed(rule.processors.items())),
            "products": tuple(
                one.model_copy(
                    update={
                        "alternatives": one.alternatives[::-1],
                        "scopes": {name: names[::-1] for name, names in reversed(one.scopes.items())},
                        "requests": one.requests[::-1],
                    }
                )
                for one in rule.products[::-1]
            ),
        }
    )
    for seats in kept(problem, rule, seed):
        assert rule.cost(problem, seats) == turned.cost(problem, seats)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(-400, 400))
def test_an_alternative_outside_of_its_days_has_no_effect(seed: int, days: int) -> None:
    problem, rule = random_licences(seed)
    day = date(2026, 12, 1) + timedelta(days=days)
    dated = rule.model_copy(update={"day": day})
    left = tuple(
        one.model_copy(
            update={
                "alternatives": tuple(
                    each.model_copy(update={"valid_from": None, "valid_until": None})
                    for each in one.alternatives
                    if (each.valid_from or date.min) <= day < (each.valid_until or date.max)
                )
            }
        )
        for one in rule.products
    )
    plain = rule.model_copy(update={"products": left, "day": None})
    one, other = (replace(problem, constraints=(each,)) for each in (dated, plain))
    assert solve(one, way="exact").terms == solve(other, way="exact").terms


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 5))
def test_what_is_owned_saves_no_more_than_its_price_and_never_costs(seed: int, packs: int) -> None:
    problem, rule = random_licences(seed)
    for seats in kept(problem, rule, seed):
        for one in rule.products:
            owned = tuple(
                each.model_copy(update={"owned_packs": each.owned_packs + packs})
                for each in one.alternatives
            )
            before, after = (
                rule.model_copy(update={"products": (each,)}).cost(problem, seats)["licences"]
                for each in (one, one.model_copy(update={"alternatives": owned}))
            )
            worth = sum(packs * each.pack_cost_micros for each in one.alternatives)
            assert before - worth <= after <= before


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_rows_that_make_bounds_better_cut_off_no_plan_where_members_must_be_spread(seed: int) -> None:
    chance = np.random.default_rng([seed, 15])
    problem = small_problem(seed)
    kinds = [spread_sample, apart_sample] * 2
    rules = [
        kinds[int(n)](problem, chance)
        for n in chance.choice(len(kinds), int(chance.integers(1, 4)), replace=False)
    ]
    problem = replace(problem, constraints=(*rules, sample(problem, chance)))
    try:
        plan = solve(problem, way="exact")
    except Infeasible:
        assert best_by_trying(problem) is None
        return
    assert value_of_plan(problem, plan) == best_by_trying(problem)


def test_a_spread_class_licenses_as_many_scopes_as_it_takes() -> None:
    """Five members with at most one in each of eight racks, two racks in a scope: three scopes, to the program too."""
    hosts = [(1, 1)] * 8
    one = way(metric="per_host", price=10)
    problem = estate(hosts, [1] * 5, one, boundary="rack", labels={"rack": tuple("aabbccdd")})
    problem = replace(problem, constraints=(AntiAffinity(requests=("all",)), *problem.constraints))
    assert linear_bound(problem) == 3 * 2 * 10


def test_members_that_fill_all_scopes_license_each_of_them() -> None:
    """Nine over eight racks, evenly: none may stay empty, and so no scope, whatever its part of the members is."""
    one = way(metric="per_host", price=10)
    labels = {"rack": tuple("aabbccdd"), "shelf": tuple("12345678")}
    problem = estate([(1, 1)] * 8, [1] * 9, one, boundary="rack", labels=labels)
    even = Spread(requests=("all",), label="shelf")
    problem = replace(problem, constraints=(even, *problem.constraints))
    assert linear_bound(problem) == 4 * 2 * 10


def linear_bound(problem: PlacementProblem) -> int:
    """What the linear program says that licences cost at least when all are placed; exact."""
    model = posted(problem)
    matrix, cells = model.matrix(), model.cells().reshape(-1)
    everyone = Expression(cells, np.ones(len(cells), dtype=np.int64))
    matrix = with_row(matrix, everyone, len(problem.request_ids), NO_LIMIT)
    licences = matrix.terms["licences"]
    answer = Solver(program_of(matrix, licences)).solve(10.0, 10**6)
    assert answer is not None
    return proven(matrix, licences, answer.prices)
