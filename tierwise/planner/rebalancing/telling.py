"""A rebalanced estate in rows and sentences: load by host, moves with reasons, what is left as it is."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from placement.arrays import Bool, Int64
from tierwise.planner.rebalancing.rooms import RESOURCES
from tierwise.planner.rebalancing.run import OfPool, Whole

Row = dict[str, Any]
_WORDS = ("vCPU", "GiB memory", "GiB local disk")
_PER_UNIT = (1, 1024, 1024)
_MIB_PER_GIB = 1024


def pool_rows(whole: Whole) -> list[Row]:
    """One row a pool: what moves, and what it brings."""
    return [_pool_row(one) for one in whole.pools]


def host_rows(whole: Whole) -> list[Row]:
    """One row a host: how full it is before and after, of vCPU and memory, and how full it should be at most."""
    return [row for one in whole.pools for row in _host_rows(one)]


def move_rows(whole: Whole, *, short: bool = False) -> list[Row]:
    """One row a move, in the order in which they help most; `short` reasons count machines where others name them."""
    tell = _counted if short else _some
    return [row for one in whole.pools for row in _move_rows(one, tell)]


def left_rows(whole: Whole) -> list[Row]:
    """What could not be put right, and why."""
    found = [{"pool": name, "what": "", "why": why} for name, why in whole.skipped]
    for one in whole.pools:
        found += [{"pool": one.room.pool, **row} for row in _left(one)]
    return found


def _pool_row(one: OfPool) -> Row:
    before, after = one.room.at, one.after
    return {
        "pool": one.room.pool,
        "hosts": len(one.room.hosts),
        "machines": len(one.room.machines),
        "moved": len(one.ordered.moves),
        "copied_gib": -(-int(one.room.copies_mib[list(one.ordered.moves)].sum()) // _MIB_PER_GIB),
        "above_before": int(_above(one, before).sum()),
        "above_after": int(_above(one, after).sum()),
        "fullest_before_percent": _fullest(one, before),
        "fullest_after_percent": _fullest(one, after),
        "cost_before": one.before_cost,
        "cost_after": one.after_cost,
        "bound": one.bound,
    }


def _above(one: OfPool, at: Int64) -> Bool:
    return np.array((one.room.used(at) > one.room.limit).any(axis=1))


def _fullest(one: OfPool, at: Int64) -> float:
    """Of the vCPU or memory of a host."""
    return float(_percents(one, at)[:, :2].max().round(1))


def _percents(one: OfPool, at: Int64) -> Any:
    return 100 * one.room.used(at) / np.maximum(1, one.room.capacity)


def _host_rows(one: OfPool) -> Iterator[Row]:
    here, after = one.room, one.after
    full = [_percents(one, at).round(1).tolist() for at in (here.at, after)]
    limits = (100 * here.limit / np.maximum(1, here.capacity)).round(1).tolist()
    counts = [np.bincount(at, minlength=len(here.hosts)).tolist() for at in (here.at, after)]
    above = [_above(one, at).tolist() for at in (here.at, after)]
    for m, host in enumerate(here.hosts):
        yield {
            "pool": here.pool,
            "host": host.name,
            "machines_before": counts[0][m],
            "machines_after": counts[1][m],
            "vcpu_before_percent": full[0][m][0],
            "vcpu_after_percent": full[1][m][0],
            "vcpu_limit_percent": limits[m][0],
            "memory_before_percent": full[0][m][1],
            "memory_after_percent": full[1][m][1],
            "memory_limit_percent": limits[m][1],
            "above_before": above[0][m],
            "above_after": above[1][m],
        }


def _move_rows(one: OfPool, tell: Callable[[list[str]], str]) -> Iterator[Row]:
    here, costs = one.room, one.ordered.costs
    for n, p in enumerate(one.ordered.moves):
        machine = here.machines[p]
        yield {
            "pool": here.pool,
            "machine": machine.name,
            "id": machine.id,
            "from": here.hosts[int(here.at[p])].name,
            "to": here.hosts[int(one.after[p])].name,
            "copied_gib": -(-int(here.copies_mib[p]) // _MIB_PER_GIB),
            "live": machine.power != "off",
            "gain": costs[n] - costs[n + 1],
            "why": _why(one, p, tell),
        }


def _why(one: OfPool, p: int, tell: Callable[[list[str]], str]) -> str:
    """About the host that it leaves: what it holds of what it should hold at most, or whom it serves."""
    here = one.room
    m = int(here.at[p])
    host = here.hosts[m]
    if sharing := one.parted.sharing(p, here.at):
        return f"shares it with {tell([here.machines[q].name for q in sharing])}"
    if host.in_maintenance:
        return "it is in maintenance"
    used = here.used(here.at)[m]
    over = [k for k in range(len(RESOURCES)) if used[k] > here.limit[m, k] and here.need[p, k]]
    if over:
        worst = max(
            over, key=lambda k: Fraction(int(used[k] - here.limit[m, k]), int(here.capacity[m, k]) or 1)
        )
        return f"holds {_up(used[worst], worst)} of {here.limit[m, worst] // _PER_UNIT[worst]:,} {_WORDS[worst]}"
    coming = [q for q in one.ordered.moves if one.after[q] == m]
    if coming:
        return f"room on it for {tell([here.machines[q].name for q in coming])}"
    return "more room on it"


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if names[1:] else "")


def _counted(names: list[str]) -> str:
    return f"{len(names)} others" if names[1:] else "another"


def _up(amount: int, k: int) -> str:
    return f"{-(-amount // _PER_UNIT[k]):,}"


def _left(one: OfPool) -> Iterator[Row]:
    here = one.room
    awake = [m for m, host in enumerate(here.hosts) if not host.in_maintenance]
    has, holds = here.capacity[awake].sum(axis=0), here.need.sum(axis=0)
    for k, most in enumerate(here.most_percent):
        if int(holds[k]) * 100 > int(has[k]) * most:
            full = f"{100 * holds[k] / max(1, has[k]):.0f} % of its {_WORDS[k].split()[-1]}"
            yield {
                "what": "the whole pool",
                "why": f"holds {full}, and should hold {float(most):.0f} %: add hosts",
            }
    for p in one.parted.stuck:
        sharing = one.parted.sharing(p, one.after)
        if sharing:
            names = _some([here.machines[q].name for q in sharing])
            yield {
                "what": here.machines[p].name,
                "why": f"shares its host with {names}: no other has room for it",
            }
    used = here.used(one.after)
    for m, host in enumerate(here.hosts):
        over = [k for k in range(len(RESOURCES)) if used[m, k] > here.limit[m, k]]
        if over:
            parts = [f"{_up(used[m, k] - here.limit[m, k], k)} {_WORDS[k]}" for k in over]
            yield {"what": host.name, "why": f"still holds {', '.join(parts)} too much"}


def short_rows(whole: Whole) -> tuple[list[Row], ...]:
    """Pools, hosts that hold too much, moves and what is left, narrow enough for tables; hosts without their domain."""
    short = _short_names(whole)
    pools = [
        {
            **{name: row[name] for name in ("pool", "hosts", "machines", "moved", "copied_gib")},
            "above limit": f"{row['above_before']} -> {row['above_after']}",
            "fullest %": f"{row['fullest_before_percent']} -> {row['fullest_after_percent']}",
        }
        for row in pool_rows(whole)
    ]
    hosts = [
        {
            "host": short[row["host"]],
            "machines": f"{row['machines_before']} -> {row['machines_after']}",
            **{
                f"{what} %": f"{row[f'{what}_before_percent']} -> {row[f'{what}_after_percent']}"
                f" of {row[f'{what}_limit_percent']}"
                for what in ("vcpu", "memory")
            },
        }
        for row in host_rows(whole)
        if row["above_before"] or row["above_after"]
    ]
    moves = [
        {"machine": row["machine"], "from": short[row["from"]], "to": short[row["to"]], "gib": row["copied_gib"], "why": row["why"]}
        for row in move_rows(whole, short=True)
    ]  # fmt: skip
    left = [{**row, "what": short.get(row["what"], row["what"])} for row in left_rows(whole)]
    return pools, hosts, moves, left


def _short_names(whole: Whole) -> dict[str, str]:
    """Without what stands behind the first dot, where they still differ."""
    names = [host.name for one in whole.pools for host in one.room.hosts]
    short = [name.split(".")[0] or name for name in names]
    return dict(zip(names, short if len(set(short)) == len(set(names)) else names, strict=True))
