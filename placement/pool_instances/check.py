"""What an assignment breaks and costs, request by request, without the counts that made it."""

from collections import Counter
from math import ceil

from placement.pool_instances.instance import PoolInstance
from placement.problem import Int64


def breaches(instance: PoolInstance, assignment: Int64) -> tuple[str, ...]:
    """Every rule that is broken, in words with the values."""
    if assignment.shape != instance.klass.shape:
        return (f"{assignment.shape[0]} pools for {len(instance.klass)} requests",)
    found: list[str] = []
    pools = len(instance.capacity)
    used = [[0] * instance.demand.shape[1] for _ in range(pools)]
    apps: Counter[tuple[int, int]] = Counter()
    demand, allowed = instance.demand.tolist(), instance.allowed.tolist()
    rows = zip(assignment.tolist(), instance.klass.tolist(), instance.app.tolist(), strict=True)
    for i, (p, c, a) in enumerate(rows):
        if not -1 <= p < pools:
            found.append(f"request {i}: there is no pool {p}")
        elif p >= 0:
            if not allowed[c][p]:
                found.append(f"request {i}: class {c} is not allowed on pool {p}")
            apps[a, p] += 1
            used[p] = [u + d for u, d in zip(used[p], demand[c], strict=True)]
    for p, amounts in enumerate(used):
        found += [
            f"pool {p}: {u} of resource {r} used, {has} there"
            for r, (u, has) in enumerate(zip(amounts, instance.capacity[p].tolist(), strict=True))
            if u > has
        ]
    size = Counter(instance.app.tolist())
    for (a, p), n in apps.items():
        if instance.app_spread[a] and size[a] >= 2 and n > ceil(instance.app_max_share * size[a]):
            found.append(f"application {a}: {n} of {size[a]} requests on pool {p}")
    return tuple(found)


def cost(instance: PoolInstance, assignment: Int64) -> int:
    """Unit costs, opened pools, licence packs and unplaced requests."""
    total, opened = 0, set()
    windows: Counter[int] = Counter()
    for p, c in zip(assignment.tolist(), instance.klass.tolist(), strict=True):
        if p < 0:
            total += instance.unplaced_cost
            continue
        opened.add(p)
        total += int(instance.unit_cost[c, p])
        windows[p] += int(instance.demand[c, 0]) if instance.windows[c] > 0 else 0
    packs = sum(-(-vcpus // instance.licence_pack_vcpus) for vcpus in windows.values())
    return total + sum(int(instance.open_cost[p]) for p in opened) + packs * instance.licence_pack_cost
