"""Which groups may run on which pools, and every reason against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from policies.decisions import Rejection
from tierwise.planner.document import Rule
from tierwise.planner.licensing import NotForSale
from tierwise.planner.selecting import MachineSelector, PoolSelector
from tierwise.planner.world import PoolState, World

Reasons = Mapping[tuple[int, int], tuple[Rejection, ...]]


@dataclass(frozen=True, eq=False)
class Ban:
    """Pairs of group and pool that one fact stands against."""

    pairs: Bool
    """[G, P]"""
    by_pool: Sequence[Rejection]


@dataclass(frozen=True, eq=False)
class Admission:
    """What is allowed, and why the rest is not."""

    allowed: Bool
    rejections: Reasons


def admit(
    world: World,
    selected: Mapping[MachineSelector, Bool],
    current: Int64,
    nowhere: Sequence[NotForSale] = (),
) -> Admission:
    """Rules, closed pools, licences that cannot be had and machines that stay, for all groups and pools at once."""
    names = list(world.pools)
    groups = len(current)
    bans = [_rule(world, rule, selected[rule.machines], groups) for rule in world.rules.values()]
    for name, closing in world.closed.items():
        pairs = np.zeros((groups, len(names)), dtype=np.bool_)
        pairs[:, names.index(name)] = True
        bans.append(Ban(pairs, _of_change(names, "closed", "open", closing.why, closing.remedy)))
    for one in nowhere:
        why = f"it needs a licence for {one.product}, of which every edition is withdrawn"
        remedy = "leave out one of the changes that withdraw them"
        said = _of_change(names, "no edition on sale", one.product, why, remedy, dimension="licence")
        bans.append(Ban(one.groups[:, None] & one.pools[None, :], said))
    for fixing in world.fixed:
        stays = selected[fixing.machines] & (current >= 0)
        elsewhere = current[:, None] != np.arange(len(names))[None, :]
        said = _of_change(names, "elsewhere", "where it is", fixing.why, fixing.remedy)
        bans.append(Ban(stays[:, None] & elsewhere, said))
    allowed = np.ones((groups, len(names)), dtype=np.bool_)
    for ban in bans:
        allowed &= ~ban.pairs
    return Admission(allowed, _reasons(bans, allowed))


def _rule(world: World, rule: Rule, machines: Bool, groups: int) -> Ban:
    fits = np.array([_banned(rule, one) for one in world.pools.values()], dtype=np.bool_)
    pairs = np.broadcast_to(machines[:, None] & fits[None, :], (groups, len(fits)))
    where = f"only {rule.only}" if rule.only else f"never {rule.never}"
    remedy = f"lift the rule '{rule.name}' for these machines"
    return Ban(pairs, _said(list(world.pools), rule.name, where, "a place", rule.reason, remedy))


def _banned(rule: Rule, pool: PoolState) -> bool:
    wanted: PoolSelector | None = rule.only or rule.never
    assert wanted is not None, rule
    return wanted.fits(pool.like) == (rule.never is not None)


def _of_change(
    names: Sequence[str], limit: str, need: str, why: str, remedy: str, *, dimension: str = "rule"
) -> list[Rejection]:
    """Of the scenario and no rule of the document: called after what it says."""
    return _said(names, f"what-if: {why}", limit, need, why, remedy, dimension=dimension)


def _said(
    names: Sequence[str],
    rule_id: str,
    limit: str,
    need: str,
    why: str,
    remedy: str,
    *,
    dimension: str = "rule",
) -> list[Rejection]:
    return [
        Rejection(
            rule_id=rule_id, pool=name, dimension=dimension, limit=limit, need=need, why=why, remedy=remedy
        )
        for name in names
    ]


def _reasons(bans: Sequence[Ban], allowed: Bool) -> Reasons:
    """Tuples are shared between pairs that the same facts stand against: there may be a hundred thousand."""
    if not bans:
        return {}
    against = np.packbits(np.stack([ban.pairs for ban in bans], axis=2), axis=2)
    known: dict[tuple[int, bytes], tuple[Rejection, ...]] = {}
    found: dict[tuple[int, int], tuple[Rejection, ...]] = {}
    for g, p in zip(*(axis.tolist() for axis in np.nonzero(~allowed)), strict=True):
        key = p, against[g, p].tobytes()
        if key not in known:
            known[key] = tuple(ban.by_pool[p] for ban in bans if ban.pairs[g, p])
        found[g, p] = known[key]
    return found
