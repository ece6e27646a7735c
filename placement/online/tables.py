"""What was admitted, laid out for the inner loops with nobody placed."""

import numpy as np

from placement.arrays import Bool, Int64
from placement.online.admitted import EVEN, EXCESS, TOGETHER, Admitted, Rule
from placement.online.failover import failover_parts
from placement.online.memory import FORBIDDEN, Parts

_FEW = 16
"""Shelves hold so many providers at least, on average, or walking along them saves nothing."""


def parts_of(admitted: Admitted) -> Parts:
    """Everything of a problem. Raises ValueError where its plan of restarts is too large to keep."""
    r, v = len(admitted.problem.request_ids), len(admitted.problem.providers.ids)
    prices, lanes = _prices(admitted), _lanes(admitted)
    return Parts(
        **prices,
        **lanes,
        order=np.lexsort((np.arange(v), lanes["fit"], prices["shelf_of"])),
        **_rules(admitted),
        **_nodes(admitted),
        **_stores(admitted),
        **failover_parts(admitted),
        away=np.array(
            [admitted.counts_for("moves") if admitted.problem.current is not None else 0], dtype=np.int64
        ),
        provider_of=np.full(r, -1, dtype=np.int64),
        numa_of=np.full(r, -1, dtype=np.int64),
        store_of=np.full((r, len(admitted.families)), -1, dtype=np.int64),
        on=np.zeros(v, dtype=np.int64),
    )


def starts(lengths: list[int]) -> Int64:
    """Where lists of these lengths begin, one after another, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _prices(admitted: Admitted) -> dict[str, Int64]:
    """Prices and shelves; whom even an empty provider would not hold is forbidden there, unless shelves get too small."""
    of, rows, shelf_of = _shelves(
        np.where(admitted.forbidden | _never(admitted), FORBIDDEN, admitted.prices)
    )
    if len(shelf_of) and shelf_of.max() > len(shelf_of) // _FEW:
        of, rows, shelf_of = _shelves(np.where(admitted.forbidden, FORBIDDEN, admitted.prices))
    at = starts(np.bincount(shelf_of).tolist())
    order = np.argsort(shelf_of, kind="stable")
    of_shelf = rows[:, order[at[:-1]]]
    lists = [np.argsort(row, kind="stable")[: int((row < FORBIDDEN).sum())] for row in of_shelf]
    return {
        "pattern_of": of,
        "prices": rows,
        "shelf_of": shelf_of,
        "shelf_at": at,
        "opened": np.zeros(len(at) - 1, dtype=np.int64),
        "candidate_at": starts([len(one) for one in lists]),
        "candidate": _joined(lists),
    }


def _shelves(prices: Int64) -> tuple[Int64, Int64, Int64]:
    """[G] the number of each distinct row, these rows, and [V] the number of each distinct column."""
    patterns: dict[bytes, int] = {}
    of = [patterns.setdefault(row.tobytes(), len(patterns)) for row in prices]
    rows = np.array([np.frombuffer(row, dtype=np.int64) for row in patterns], dtype=np.int64)
    rows = rows.reshape(len(patterns), prices.shape[1])
    shelves: dict[bytes, int] = {}
    return _column(of), rows, _column([shelves.setdefault(one.tobytes(), len(shelves)) for one in rows.T])


def _never(admitted: Admitted) -> Bool:
    """[G, V] where a class would not fit if nobody else were there."""
    never = np.zeros(admitted.prices.shape, dtype=np.bool_)
    for weight, limit in admitted.lanes:
        never |= weight[:, None] > np.where(weight[:, None] > 0, limit, 0)
    if admitted.nodes is not None:
        need, nodes, free = admitted.nodes.need, admitted.nodes.nodes, admitted.nodes.free
        for g in np.flatnonzero(nodes).tolist():
            fit = ((need[g] <= free) | (need[g] == 0)).all(axis=2).sum(axis=1)
            never[g] |= fit < nodes[g]
    return never


def _lanes(admitted: Admitted) -> dict[str, Int64]:
    g, v = admitted.prices.shape
    at, lane, weight = _by_class([one for one, _ in admitted.lanes], None, g)
    limits = np.array([limit for _, limit in admitted.lanes], dtype=np.int64).reshape(
        len(admitted.lanes), v
    )
    scale = (v << 20) // np.maximum(1, np.maximum(limits, 0).sum(axis=1))
    of = np.repeat(np.arange(g), np.diff(at))
    least = np.zeros(g, dtype=np.int64)
    np.add.at(least, of, weight * scale[lane])
    return {
        "lane_at": at,
        "lane": lane,
        "lane_weight": weight,
        "scale": scale,
        "least_fit": least,
        "fit": np.asarray(scale @ np.maximum(limits, 0), dtype=np.int64),
        "room": limits.T,
    }


def _rules(admitted: Admitted) -> dict[str, Int64]:
    """The rules' columns; equal maps and constant values are kept once."""
    rules, (g, v) = admitted.rules, admitted.prices.shape
    soft = np.array([one.kind >= EXCESS for one in rules], dtype=np.bool_)
    at, rule, weight = _by_class([one.weight for one in rules], np.argsort(soft, kind="stable"), g)
    costs = np.bincount(np.repeat(np.arange(g), np.diff(at))[soft[rule]], minlength=g)
    known: dict[bytes, int] = {}
    map_of = [known.setdefault(one.domain_of.tobytes(), len(known)) for one in rules]
    maps = np.array([np.frombuffer(one, dtype=np.int64) for one in known], dtype=np.int64).reshape(
        len(known), v
    )
    eligible = [int(one.values[:, 0].sum()) if one.kind == EVEN else 0 for one in rules]
    joined = [n for n, one in zip(map_of, rules, strict=True) if one.kind == TOGETHER]
    count_at = starts([len(one.values) for one in rules])
    return {
        "rule_at": at,
        "rule_soft": (at[1:] - costs).astype(np.int64),
        "rule": rule,
        "rule_weight": weight,
        "kind": _column([one.kind for one in rules]),
        "map_of": _column(map_of),
        "count_at": count_at,
        **_values(rules),
        "max_skew": _column([one.max_skew for one in rules]),
        "from_zero": _column([int(n < one.min_domains) for n, one in zip(eligible, rules, strict=True)]),
        "maps": maps,
        "everywhere": _column([int((one >= 0).all()) for one in maps]),
        "gate": np.zeros(len(rules), dtype=np.int64),
        "to_ask": np.zeros(2 + len(rules), dtype=np.int64),
        **_members(maps, joined),
        "counts": np.zeros(int(count_at[-1]), dtype=np.int64),
        "total": np.zeros(len(rules), dtype=np.int64),
        "low": np.zeros(len(rules), dtype=np.int64),
        "lows": _column(eligible),
    }


def _values(rules: list[Rule]) -> dict[str, Int64]:
    same = [len(one.values) > 0 and bool((one.values == one.values[0]).all()) for one in rules]
    kept = [one.values[:1] if alike else one.values for one, alike in zip(rules, same, strict=True)]
    return {
        "value_at": starts([len(one) for one in kept])[:-1],
        "value_step": _column([0 if alike else 1 for alike in same]),
        "value": np.concatenate([np.zeros((0, 3), dtype=np.int64), *kept]),
    }


def _members(maps: Int64, wanted: list[int]) -> dict[str, Int64]:
    """The providers of each domain of the `wanted` maps; of the others nothing is kept."""
    at, begin = [], [0]
    members: list[Int64] = []
    for n, domain_of in enumerate(maps):
        at.append(len(begin) - 1)
        if n in wanted:
            without = int(domain_of.max(initial=-1)) + 1
            domain = np.where(domain_of < 0, without, domain_of)
            members.append(np.argsort(domain, kind="stable"))
            begin += (np.cumsum(np.bincount(domain, minlength=without + 1)) + begin[-1]).tolist()
    return {"member_at": _column(at), "member_start": _column(begin), "member": _joined(members)}


def _nodes(admitted: Admitted) -> dict[str, Int64]:
    (g, v), k = admitted.prices.shape, admitted.classes.demand.shape[1]
    numa = admitted.nodes
    return {
        "numa_nodes": np.zeros(g, dtype=np.int64) if numa is None else numa.nodes,
        "numa_need": np.zeros((g, k), dtype=np.int64) if numa is None else numa.need,
        "numa_free": np.zeros((v, 0, k), dtype=np.int64) if numa is None else numa.free,
    }


def _stores(admitted: Admitted) -> dict[str, Int64]:
    """Families one after another, as wide as the one with the most amounts."""
    (g, v), families = admitted.prices.shape, admitted.families
    at = starts([len(one.free) for one in families])
    choices = starts([one.allowed.shape[1] for one in families])
    amounts = max((one.free.shape[1] for one in families), default=0)
    need = np.zeros((g, len(families), amounts), dtype=np.int64)
    free = np.zeros((int(at[-1]), amounts), dtype=np.int64)
    for f, one in enumerate(families):
        need[:, f, : one.need.shape[1]] = one.need
        free[at[f] : at[f + 1], : one.free.shape[1]] = one.free
    reached = [np.nonzero(one.reach) for one in families]
    by = _joined([of * len(families) + f for f, (of, _) in enumerate(reached)])
    return {
        "store_need": need,
        "store_at": at,
        "reach_at": starts(np.bincount(by, minlength=v * len(families)).tolist()),
        "reach": _joined([s + at[f] for f, (_, s) in enumerate(reached)])[np.argsort(by, kind="stable")],
        "store_choice": _joined([one.choice_of + choices[f] for f, one in enumerate(families)]),
        "store_allowed": np.concatenate(
            [np.zeros((g, 0), dtype=np.int64), *(one.allowed.astype(np.int64) for one in families)], axis=1
        ),
        "store_free": free,
    }


def _by_class(weights: list[Int64], order: Int64 | None, classes: int) -> tuple[Int64, Int64, Int64]:
    """By class: where its list begins, the lanes or rules that count it (in this order), and with what weight."""
    numbers = range(len(weights)) if order is None else order.tolist()
    found = [(np.flatnonzero(weights[n]), n) for n in numbers]
    of = _joined([of for of, _ in found])
    which = np.repeat(_column([n for _, n in found]), [len(of) for of, _ in found])
    weight = _joined([weights[n][of] for of, n in found])
    by_class = np.argsort(of, kind="stable")
    return starts(np.bincount(of, minlength=classes).tolist()), which[by_class], weight[by_class]


def _column(values: list[int]) -> Int64:
    return np.array(values, dtype=np.int64)


def _joined(parts: list[Int64]) -> Int64:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
