"""Units of one alternative, as they are added up over scopes and rounded into packs in the end; in Python integers."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd

from placement.amounts import Exact
from placement.licensing.products import AddOn, Alternative


@dataclass(frozen=True)
class Tally:
    """What has been bought under an alternative so far."""

    used: bool = False
    """Whether any scope has chosen it, where that makes a difference."""
    parts: tuple[int, ...] = ()
    """Parts of units that wait to be rounded up, by core factor."""
    units: int = 0
    """Whole units that wait to be rounded up to packs; whole packs, where each scope rounds for itself."""
    amount: int = 0
    """What the scopes' hosts have of what the add-on is for."""


def after(
    way: Alternative, hours: int, so_far: Tally, parts: Sequence[int], amount: int
) -> tuple[Tally, Exact]:
    """The tally with one more scope, of so many `parts` by core factor, and what is paid at once.

    What cannot change the rest of the sum is paid at once, so that few different tallies are left.
    """
    hours = hours if way.per_hour else 1
    if way.pack_scope == "scope":
        whole = sum(-(-n // way.parts) for n in parts) * hours
        packs = -(-whole // way.pack_size)
        found = replace(so_far, units=so_far.units + packs)
    else:
        waiting = so_far.parts or (0,) * len(parts)
        both = [a + b for a, b in zip(waiting, parts, strict=True)]
        whole = sum(n // way.parts for n in both) * hours
        left = tuple(n % way.parts for n in both)
        found = replace(so_far, parts=left if any(left) else (), units=so_far.units + whole)
    if _minimum(way, hours):
        found = replace(found, used=True)
    if way.add_on is not None:
        return replace(found, amount=found.amount + amount), 0
    size = _pack_size(way)
    extra = max(0, found.units // size - max(_minimum(way, hours), way.owned_packs))
    return replace(found, units=found.units - extra * size), extra * way.pack_cost


def rest_to_pay(way: Alternative, hours: int, total: Tally) -> Exact:
    """What is still to be paid of a tally when no scope is left."""
    hours = hours if way.per_hour else 1
    units = total.units + sum(n > 0 for n in total.parts) * hours
    packs = -(-units // _pack_size(way))
    if total.used:
        packs = max(packs, _minimum(way, hours))
    if way.add_on is None:
        return _paid(way, packs)
    return _with_add_on(way, way.add_on, packs, total.amount)


def needed(add_on: AddOn, amount: int) -> int:
    """Units that an add-on is needed for."""
    return -(-amount // add_on.unit_amount)


def packs_at_prices(
    ways: Sequence[Alternative], least: Sequence[int], amounts: Sequence[int], together: int
) -> list[tuple[int, int]]:
    """Packs of an alternative at each of an order's prices, and those of its add-on, so that the order costs the least.

    `least` packs are bought at each price, and so many `together`. The packs of each bring along what the hosts that are
    licensed at it need, which have these `amounts`.

    Of two prices at which add-ons are bought, some packs can be moved from one to the other, so that both costs change
    evenly: then there is a best answer where all but one of them are near their least, or near what spares all add-ons.
    """
    add_on = ways[0].add_on
    if add_on is None or not add_on.granted:
        every = list(least)
        every[min(range(len(ways)), key=lambda i: ways[i].pack_cost)] += max(0, together - sum(every))
        return [(n, 0 if add_on is None else _beside(add_on, amounts[i], n)) for i, n in enumerate(every)]
    near = [_near(add_on, n, amount) for n, amount in zip(least, amounts, strict=True)]

    def cost(i: int, packs: int) -> Exact:
        more = ways[i].add_on
        assert more is not None
        return packs * ways[i].pack_cost + _beside(more, amounts[i], packs) * more.pack_cost

    found = []
    for free in range(len(ways)):
        others: dict[int, tuple[Exact, tuple[int, ...]]] = {0: (0, ())}
        for i, some in enumerate(near):
            if i != free:
                others = _cheapest_by_sum(others, [(n, cost(i, n)) for n in some])
        last = [(cost(free, n), n) for n in near[free]]
        for n in reversed(range(len(last) - 1)):  # The cheapest of those and of all that are more.
            last[n] = min(last[n], last[n + 1])
        for total, (paid, packs) in others.items():
            rest = max(least[free], together - total)
            more = last[bisect(near[free], rest) :][:1]
            price, n = min([(cost(free, rest), rest), *more])
            found.append((paid + price, (*packs[:free], n, *packs[free:])))
    return [(n, _beside(add_on, amounts[i], n)) for i, n in enumerate(min(found)[1])]


def _near(add_on: AddOn, least: int, amount: int) -> list[int]:
    """Packs near the least, and near what spares all packs of the add-on."""
    step = add_on.pack_size // gcd(add_on.pack_size, add_on.granted)
    spared = (needed(add_on, amount) + add_on.pack_size - 1) // add_on.granted
    some = {*range(least, least + step), *range(spared - step + 1, spared + step + 1)}
    return sorted(n for n in some if n >= least)


def _cheapest_by_sum(
    others: Mapping[int, tuple[Exact, tuple[int, ...]]], some: Sequence[tuple[int, Exact]]
) -> dict[int, tuple[Exact, tuple[int, ...]]]:
    """Sum of packs -> the least that it costs, and the packs at each price; with those at one price more."""
    found: dict[int, tuple[Exact, tuple[int, ...]]] = {}
    for total, (paid, packs) in others.items():
        for n, price in some:
            one = paid + price, (*packs, n)
            found[total + n] = min(one, found.get(total + n, one))
    return found


def _beside(add_on: AddOn, amount: int, packs: int) -> int:
    """Packs of the add-on for what these packs do not bring along."""
    return -(-max(0, needed(add_on, amount) - packs * add_on.granted) // add_on.pack_size)


def _with_add_on(way: Alternative, add_on: AddOn, packs: int, amount: int) -> Exact:
    """The least over how many packs of the add-on are bought: more of the licences bring more along.

    As many units come with `size` packs of the licences as with `granted` packs of the add-on, so that there are
    fewer than that of one of them where the sum is least.
    """
    packs = max(packs, way.owned_packs)
    missing = max(0, needed(add_on, amount) - packs * add_on.granted)
    size, granted = add_on.pack_size, add_on.granted
    most = -(-missing // size)
    choices = [(0, most)]
    if granted:
        choices += [(-(-(missing - n * size) // granted), n) for n in range(min(most, granted))]
        more = -(-missing // granted)
        choices += [(n, -(-(missing - n * granted) // size)) for n in range(min(more, size))]
    return min(_paid(way, packs + n) + m * add_on.pack_cost for n, m in choices)


def _paid(way: Alternative, packs: int) -> Exact:
    return max(0, packs - way.owned_packs) * way.pack_cost


def _minimum(way: Alternative, hours: int) -> int:
    """Packs."""
    return -(-max(way.order_minimum, way.principals * hours) // way.pack_size)


def _pack_size(way: Alternative) -> int:
    return 1 if way.pack_scope == "scope" else way.pack_size
