"""Tiny planning problems, and the least that any plan of them costs, found by trying all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from math import ceil
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.licensing.products import AddOn, Alternative, ExactAlternative
from placement.planning.counted import Chosen, cost_terms, licences_of, pools_by_scope
from placement.planning.problem import Blocks, Groups, PlannedProduct, PlanningProblem, Pools
from policies.decisions import Rejection

FACTORS = {"core_factor_thousandths": {"old": 750, "new": 500}}
WAYS: Sequence[Mapping[str, Any]] = (
    {"metric": "per_core", "per_socket_minimum": 3, "price": 7},
    {"metric": "per_core", "covers": 2, "pack_size": 2, "price": 5},
    {"metric": "per_core", "pack_scope": "order", "pack_size": 5, "price": 21, "order_minimum": 6},
    {"metric": "per_core", "pack_scope": "order", "price": 9, **FACTORS},
    {"metric": "per_host", "price": 17},
    {"metric": "per_host", "price": 17, "owned_packs": 1, "pack_scope": "order"},
    {"metric": "per_socket", "pack_size": 3, "price": 20, "pack_scope": "order"},
    {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2, "cores": 3}, "price": 12},
    {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2, "machines": 1}, "price": 8},
    {"metric": "per_amount", "amount": "tib", "unit_amount": 3, "price": 6, "pack_scope": "order"},
    {"metric": "per_host", "price": 10, "add_on": {"name": "disk", "amount": "tib", "granted": 1, "pack_cost_micros": 4}},
    {"metric": "per_vcpu", "per_machine_minimum": 3, "pack_size": 2, "price": 6, "pack_scope": "order"},
    {"metric": "per_machine", "price": 11},
    {"metric": "per_principal", "principals": 5, "pack_size": 2, "price": 9},
)  # fmt: skip


def way(name: str, said: Mapping[str, Any]) -> Alternative:
    """An alternative with the fields that are said; `price` is of a pack."""
    more = {key: value for key, value in said.items() if key != "price"}
    return Alternative.model_validate({"name": name, "pack_cost_micros": said["price"], **more})


def random_problem(seed: int, *, products: int = 1) -> PlanningProblem:
    """Three groups of up to two machines, two pools, three blocks of up to two hosts, and some product."""
    rng = np.random.default_rng(seed)
    pool_of = np.array([0, 0, 1])
    existing = rng.integers(0, 2, 3)
    named = [
        PlannedProduct(
            name=f"product {n}",
            groups=rng.random(3) < 0.7,
            alternatives=tuple(
                way(f"way {a}", WAYS[int(i)])
                for a, i in enumerate(rng.choice(len(WAYS), int(rng.integers(1, 4)), replace=False))
            ),
            reach=str(rng.choice(["pool", "estate", "site"])),
            parts=bool(rng.random() < 0.4),
            whole_pool=bool(rng.random() < 0.3),
        )
        for n in range(products)
    ]
    current = rng.integers(-1, 2, 3)
    return PlanningProblem(
        resource_classes=("vcpu", "disk_gib"),
        groups=Groups(
            ids=("a", "b", "c"),
            count=rng.integers(1, 3, 3),
            demand=np.stack([rng.integers(1, 6, 3), rng.integers(0, 3, 3)], axis=1),
            current=current,
            allowed=rng.random((3, 2)) < 0.85,
            costs={"storage": rng.integers(0, 20, (3, 2))},
            move_cost=np.where(np.arange(2)[None, :] == current[:, None], 0, rng.integers(0, 9, (3, 2))),
            restart=rng.random(3) < 0.8,
        ),
        pools=Pools(
            ids=("p", "q"),
            tier_of=("t1", "t2"),
            losses=rng.integers(0, 2, 2),
            shared=np.stack([np.zeros(2, dtype=np.int64), rng.integers(3, 12, 2)], axis=1),
            labels={"site": ("north", str(rng.choice(["north", "south"])))},
            open_costs={"manager": rng.integers(0, 30, 2)},
            least_hosts=rng.integers(1, 3, 2),
        ),
        blocks=Blocks(
            ids=("p0", "p1", "q0"),
            pool_of=pool_of,
            existing=existing,
            most=np.maximum(existing, rng.integers(1, 3, 3)),
            capacity=np.stack([rng.integers(3, 9, 3), np.zeros(3, dtype=np.int64)], axis=1),
            largest=np.stack([rng.integers(2, 7, 3), np.zeros(3, dtype=np.int64)], axis=1),
            kept_costs={"power": rng.integers(1, 20, 3)},
            bought_costs={"hardware": rng.integers(0, 40, 3)},
            sockets=rng.integers(1, 3, 3),
            cores_per_socket=rng.integers(1, 5, 3),
            families=tuple(str(one) for one in rng.choice(["old", "new"], 3)),
            amounts={"tib": rng.integers(0, 6, 3)},
        ),
        products=tuple(named),
        sunk={"leases": 5},
        most_moves=[None, 2, 1][int(rng.integers(0, 3))],
        horizon_hours=10,
    )  # fmt: skip


def at_two_prices(seed: int) -> PlanningProblem:
    """A product that is dearer in the second pool, or cheaper, and bought for both in one order: with minimums, or rounded once."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, products=1)
    some = (0, 1, 3, 9, 10, 11)
    priced = [{**WAYS[n], "order_minimum": int(rng.choice([0, *range(3, 12)]))} for n in some]
    beside = {"granted": int(rng.integers(0, 3)), "pack_size": int(rng.integers(1, 4))}
    wanted = rng.permutation(len(some))[: int(rng.integers(1, 4))].tolist()

    def here(said: Mapping[str, Any]) -> dict[str, Any]:
        more = {**said, "price": said["price"] + int(rng.integers(0, 4))}
        if "add_on" in said:
            more["add_on"] = {**said["add_on"], **beside, "pack_cost_micros": int(rng.integers(2, 6))}
        return more

    both = [
        replace(
            problem.products[0],
            name=f"product in {pool}",
            alternatives=tuple(way(f"way {n}", here(priced[n])) for n in wanted),
            pools=np.arange(2) == p,
            order="both",
        )
        for p, pool in enumerate(problem.pools.ids)
    ]
    return replace(problem, products=tuple(both))


def in_parts(problem: PlanningProblem, seed: int) -> PlanningProblem:
    """The same with packs that cost parts of a micro-unit, so that what is rounded, and when, makes a difference."""
    rng = np.random.default_rng(seed)

    def parts(priced: Alternative | AddOn) -> dict[str, Any]:
        whole, rest = divmod(Fraction(priced.pack_cost_micros) + Fraction(int(rng.integers(0, 12)), 12), 3)
        more = {**priced.model_dump(), "pack_cost_micros": whole, "pack_cost_rest": rest / 3}
        if isinstance(priced, Alternative) and priced.add_on is not None:
            more["add_on"] = parts(priced.add_on)
        return more

    priced = [
        replace(
            one, alternatives=tuple(ExactAlternative.model_validate(parts(way)) for way in one.alternatives)
        )
        for one in problem.products
    ]
    return replace(problem, products=tuple(priced))


def ruled(problem: PlanningProblem) -> PlanningProblem:
    """With a rule for each pool, and all machines of products kept from the second."""
    groups = problem.groups
    licensed = np.any([one.groups for one in problem.products], axis=0)
    allowed = groups.allowed & ~(licensed[:, None] & (np.arange(groups.allowed.shape[1]) == 1))
    why = {
        (g, p): (
            Rejection(
                rule_id=f"not in {problem.pools.ids[p]}", pool=problem.pools.ids[p], dimension="rule",
                limit="elsewhere", need="there", why="it may not be there", remedy="lift the rule",
            ),
        )
        for g, p in np.argwhere(~allowed).tolist()
    }  # fmt: skip
    return replace(problem, groups=replace(groups, allowed=allowed, rejections=why))


def lifted(problem: PlanningProblem, rule: str) -> PlanningProblem:
    """Without one of the rules that `ruled` makes."""
    allowed = problem.groups.allowed.copy()
    for (g, p), (why,) in problem.groups.rejections.items():
        allowed[g, p] |= why.rule_id == rule
    return replace(problem, groups=replace(problem.groups, allowed=allowed))


def least(problem: PlanningProblem) -> tuple[int, int, int]:
    """Machines without a place, cost and moves of the best plan."""
    best = (1 << 60, 0, 0)
    blocks = problem.blocks
    licensed: dict[Any, int | None] = {}
    low = np.zeros_like(blocks.most) if blocks.least is None else blocks.least
    for kept in product(
        *(range(a, n + 1) for a, n in zip(low.tolist(), blocks.most.tolist(), strict=True))
    ):
        hosts = np.array(kept, dtype=np.int64)
        if not _enough_hosts(problem, hosts):
            continue
        for counts in _all_counts(problem, hosts, best[0]):
            out = int(problem.groups.count.sum() - counts.sum())
            moves = _moves(problem, counts)
            paid = sum(cost_terms(problem, counts, hosts, ()).values())
            if (out, paid, moves) >= best:
                continue
            key = (kept, tuple(map(tuple, counts.tolist())))
            cost = licensed.setdefault(key, least_licences(problem, counts, hosts))
            if cost is not None:
                best = min(best, (out, paid + cost, moves))
    return best


def _enough_hosts(problem: PlanningProblem, hosts: Int64) -> bool:
    assert problem.pools.least_hosts is not None
    for p, least_hosts in enumerate(problem.pools.least_hosts.tolist()):
        number = int(hosts[problem.blocks.pool_of == p].sum())
        if 0 < number < least_hosts:
            return False
    return True


def _all_counts(problem: PlanningProblem, hosts: Int64, most_out: int) -> Iterator[Int64]:
    groups = problem.groups
    pools = len(problem.pools.ids)
    rows = []
    for g, count in enumerate(groups.count.tolist()):
        each = [range(count + 1 if groups.allowed[g, p] else 1) for p in range(pools)]
        rows.append([row for row in product(*each) if sum(row) <= count])
    for some in product(*rows):
        counts = np.array(some, dtype=np.int64)
        if int(groups.count.sum() - counts.sum()) > most_out:
            continue
        if problem.most_moves is not None and _moves(problem, counts) > problem.most_moves:
            continue
        if all(holds(problem, p, counts[:, p], _on(problem, p, hosts)) for p in range(pools)):
            yield counts


def _on(problem: PlanningProblem, p: int, hosts: Int64) -> dict[int, int]:
    return {b: int(hosts[b]) for b in np.flatnonzero(problem.blocks.pool_of == p).tolist()}


def _moves(problem: PlanningProblem, counts: Int64) -> int:
    return sum(
        int(counts[g, p])
        for g, current in enumerate(problem.groups.current.tolist())
        for p in range(counts.shape[1])
        if current not in {-1, p}
    )


def holds(problem: PlanningProblem, p: int, machines: Int64, on: Mapping[int, int]) -> bool:
    """Whether hosts hold machines, whichever of them fail; and for hosts that some machines fit on, whether these do."""
    single = [b for b, n in on.items() for _ in range(n)]
    fits = [
        frozenset(b for b in on if int(problem.groups.demand[g, 0]) <= int(problem.blocks.largest[b, 0]))
        for g in range(len(machines))
    ]
    sets = {fits[g] for g in np.flatnonzero(machines).tolist()} | {frozenset(on)}
    for some in sets:
        held = np.array([n if fits[g] <= some else 0 for g, n in enumerate(machines.tolist())])
        mine = [b for b in single if b in some]
        if held.any() and not mine:
            return False
        if not _room(problem, p, held, mine):
            return False
        again = held if problem.groups.restart is None else held * problem.groups.restart
        losses = min(int(problem.pools.losses[p]), len(mine))
        for lost in combinations(range(len(mine)), losses):
            left = [b for i, b in enumerate(mine) if i not in lost]
            if not _room(problem, p, again, left):
                return False
    return True


def _room(problem: PlanningProblem, p: int, machines: Int64, hosts: Sequence[int]) -> bool:
    load = machines @ problem.groups.demand
    room = problem.blocks.capacity[list(hosts)].sum(axis=0) + problem.pools.shared[p]
    return bool((load <= room).all())


def least_licences(problem: PlanningProblem, counts: Int64, hosts: Int64) -> int | None:
    """What the cheapest legal ways cost for these machines on these hosts; None where a rule cannot hold them anywhere."""
    total = 0
    for members in problem.orders:
        cost = _of_order(problem, [problem.products[n] for n in members], counts, hosts)
        if cost is None:
            return None
        total += cost
    return total


def _of_order(
    problem: PlanningProblem, members: Sequence[PlannedProduct], counts: Int64, hosts: Int64
) -> int | None:
    """The least over all alternatives in each scope, and all parts of its hosts where rules may hold machines there."""
    alone = replace(problem, products=tuple(replace(one, order="") for one in members))
    choices = []
    for n, planned in enumerate(alone.products):
        for name, pools in pools_by_scope(problem, planned).items():
            if counts[planned.groups][:, pools].any():
                choices.append(list(_choices(alone, n, name, pools, counts, hosts)))
    paid = _at_once if len(members) > 1 else _one_by_one
    return min((paid(alone, counts, some) for some in product(*choices)), default=None)


def _one_by_one(alone: PlanningProblem, counts: Int64, chosen: Sequence[Chosen]) -> int:
    return sum(one.cost_micros for one in licences_of(alone, counts, chosen))


def _at_once(alone: PlanningProblem, counts: Int64, chosen: Sequence[Chosen]) -> int:
    """All that could be bought of each alternative at its prices is tried, without any code that plans are counted by."""
    names = {alone.products[one.product].alternatives[one.alternative].name for one in chosen}
    return sum(_of_name(alone, counts, chosen, name) for name in names)


def _of_name(alone: PlanningProblem, counts: Int64, chosen: Sequence[Chosen], name: str) -> int:
    """At each price at least the packs, or the whole packs, of what it licenses; together what the order takes."""
    taken: dict[int, tuple[Alternative, list[dict[int, Fraction]], int]] = {}
    for one in chosen:
        way = alone.products[one.product].alternatives[one.alternative]
        if way.name == name:
            _, units, amount = taken.get(one.product, (way, [], 0))
            taken[one.product] = (
                way,
                [*units, _units(alone, way, one, counts)],
                amount + _amount(alone, way, one),
            )
    way = next(way for way, _, _ in taken.values())
    every = [units for _, some, _ in taken.values() for units in some]
    asked = ceil(Fraction(way.order_minimum, way.pack_size))
    if way.pack_scope == "order":
        asked = max(asked, _packs(way, every))
    elif not (asked or way.add_on):
        return sum(
            _half_up(_packs(way, [one]) * way.pack_cost) for way, some, _ in taken.values() for one in some
        )
    tried = []
    for way, some, amount in taken.values():
        least = sum(_packs(way, [one]) for one in some)
        if way.pack_scope == "order":
            least = sum(map(int, _added(some))) // way.pack_size
        missing = 0 if way.add_on is None else ceil(Fraction(amount, way.add_on.unit_amount))
        tried.append([(n, _paid(way, n, missing)) for n in range(least, least + asked + missing + 1)])
    if not asked:
        return sum(_half_up(min(paid for _, paid in some)) for some in tried)
    return _half_up(
        min(sum(paid for _, paid in some) for some in product(*tried) if sum(n for n, _ in some) >= asked)
    )


def _half_up(micros: Fraction | int) -> int:
    return int(micros + Fraction(1, 2))


def _packs(way: Alternative, some: Sequence[Mapping[int, Fraction]]) -> int:
    return ceil(Fraction(sum(map(ceil, _added(some))), way.pack_size))


def _amount(alone: PlanningProblem, way: Alternative, one: Chosen) -> int:
    if way.add_on is None:
        return 0
    return sum(int(alone.blocks.amounts[way.add_on.amount][b]) * n for b, n in one.hosts.items())


def _paid(way: Alternative, packs: int, missing: int) -> Fraction:
    if way.add_on is None:
        return Fraction(packs * way.pack_cost)
    beside = ceil(Fraction(max(0, missing - packs * way.add_on.granted), way.add_on.pack_size))
    return Fraction(packs * way.pack_cost + beside * way.add_on.pack_cost)


def _added(units: Sequence[Mapping[int, Fraction]]) -> list[Fraction]:
    """By factor."""
    return [
        sum((one.get(f, Fraction(0)) for one in units), Fraction(0))
        for f in {f for one in units for f in one}
    ]


def _units(alone: PlanningProblem, way: Alternative, one: Chosen, counts: Int64) -> dict[int, Fraction]:
    """Units of a scope by core factor, before anything is rounded; of the ways of `at_two_prices`."""
    planned, blocks = alone.products[one.product], alone.blocks
    pools = pools_by_scope(alone, planned)[one.scope]
    machines = counts[:, pools].sum(axis=1) * planned.groups
    if way.metric == "per_vcpu":
        vcpu = np.maximum(alone.groups.demand[:, 0], way.per_machine_minimum)
        return {1: Fraction(int(machines @ vcpu))}
    found: dict[int, Fraction] = {}
    covers = ceil(Fraction(int(machines.sum()), way.covers)) if way.covers else 1
    for b, n in one.hosts.items():
        factor = way.core_factor_thousandths.get(blocks.families[b], 1000)
        each = Fraction(1)
        if way.metric == "per_core":
            assert blocks.sockets is not None
            assert blocks.cores_per_socket is not None
            cores = max(int(blocks.cores_per_socket[b]), way.per_socket_minimum)
            each = Fraction(int(blocks.sockets[b]) * cores * factor, 1000)
        elif way.amount is not None:
            each = Fraction(int(blocks.amounts[way.amount][b]), way.unit_amount)
        found[factor] = found.get(factor, Fraction(0)) + covers * n * each
    return found


def _choices(
    problem: PlanningProblem,
    n: int,
    name: str,
    pools: list[int],
    counts: Int64,
    hosts: Int64,
) -> Iterator[Chosen]:
    planned = problem.products[n]
    inside = [b for b, p in enumerate(problem.blocks.pool_of.tolist()) if p in pools]
    mine = counts * planned.groups[:, None]
    for a in range(len(planned.alternatives)):
        if planned.whole_pool:
            there = [b for b in inside if mine[:, int(problem.blocks.pool_of[b])].any()]
            yield Chosen(n, name, a, {b: int(hosts[b]) for b in there})
        elif not planned.parts:
            yield Chosen(n, name, a, {b: int(hosts[b]) for b in inside})
        else:
            for part in product(*(range(int(hosts[b]) + 1) for b in inside)):
                on = dict(zip(inside, part, strict=True))
                split = [
                    {b: k for b, k in on.items() if int(problem.blocks.pool_of[b]) == p} for p in pools
                ]
                if not planned.alternatives[a].of_hosts or all(
                    holds(problem, p, mine[:, p], some) for p, some in zip(pools, split, strict=True)
                ):
                    yield Chosen(n, name, a, on)
