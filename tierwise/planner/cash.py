"""When a plan is paid for: its costs laid on the months of the horizon, and the month from which on it has saved.

What runs is paid month by month, as its lines say, and comes to the plan's cost to the micro-unit. Purchases are paid
whole in the first month, subscriptions when they fall due, moves in the months in which they are made. What a plan saves
on what runs comes in step with its moves: of machines that have not moved by the start of a month, their part of the
saving is not there yet, because both places run.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from chargeback.economics.cash import (
    CashFlow,
    Comparison,
    Payment,
    migration,
    purchases,
    running,
    subscriptions,
)
from chargeback.economics.trace import Line
from chargeback.money import split
from placement.amounts import half_up
from placement.arrays import Int64
from placement.planning.plan import Licence
from tierwise.planner.accounts import MOVING
from tierwise.planner.build import Built
from tierwise.planner.document import WhatIf
from tierwise.planner.pricing import factor_of
from tierwise.planner.result import Cash
from tierwise.planner.world import PoolState


def cash_flow(
    built: Built,
    document: WhatIf,
    counts: Int64,
    hosts: Int64,
    licences: Sequence[Licence],
    terms: Mapping[str, int],
    moved: int,
    today: Sequence[int] = (),
) -> CashFlow:
    """All payments of a plan; of sunk costs there are none left to pay, but for hosts that are bought for certain.

    `today` is what each month pays as things run; with it, what the plan saves comes in step with its moves.
    """
    pace = _pace(document, moved)
    going = [
        *_hosts(built, document, hosts),
        *_pools(built, document, counts, hosts),
        *_licences(built, licences),
    ]
    paid = [*going, *_bought(built, hosts), *migration(terms.get(MOVING, 0), pace)]
    if today:
        paid += _not_yet(today, CashFlow(document.months, tuple(going)).by_month, pace)
    return CashFlow(document.months, tuple(paid))


def _not_yet(today: Sequence[int], plan: Sequence[int], pace: Sequence[int]) -> Iterator[Payment]:
    """What runs on for machines that have not moved by the start of a month."""
    total, done = sum(pace), 0
    for month, (before, after) in enumerate(zip(today, plan, strict=True)):
        left = total - done
        if left and before > after:
            yield Payment(month, "both running", (before - after) * left // total, "until all have moved")
        done += pace[month] if month < len(pace) else 0


def against(base: Sequence[int], plan: Sequence[int], built: Built, document: WhatIf) -> Cash:
    """What a plan pays in each month against what going on as today pays."""
    comparison = Comparison(tuple(a - b for a, b in zip(base, plan, strict=True)))
    rate = built.economics.discount_percent_per_year
    now = rate.at(document.start, document.region or None) if rate else None
    return Cash(
        cumulative_micros=comparison.cumulative,
        break_even_month=comparison.break_even_month,
        present_value_micros=comparison.present_value(now[1].value) if now else None,
    )


def _pace(document: WhatIf, moved: int) -> list[int]:
    """How many machines move in each month; what exceeds the horizon moves in its last month."""
    if document.moves_per_month is None:
        return [moved]
    found = []
    for month in range(document.months):
        now = moved if month == document.months - 1 else min(moved, document.moves_per_month)
        found.append(now)
        moved -= now
    return found


def _hosts(built: Built, document: WhatIf, hosts: Int64) -> Iterator[Payment]:
    """What hosts cost as long as they are there."""
    for b, lines in enumerate(built.prices.host_lines):
        totals = {term: int(hosts[b]) * int(n[b]) for term, n in built.problem.blocks.kept_costs.items()}
        yield from _over_months(totals, lines, "kept", document)


def _bought(built: Built, hosts: Int64) -> Iterator[Payment]:
    """Purchases, at once: of hosts, and of what pools need to be there at all."""
    blocks = built.problem.blocks
    for b, block in enumerate(built.room.blocks):
        existing = int(blocks.existing[b])
        ordered = max(0, int(hosts[b]) - existing) + (existing if block.paid else 0)
        pool = built.world.pools[block.pool]
        for one in purchases(built.prices.host_lines[b]):
            yield from _paid_for(built, pool, one, ordered)
    for p, pool in enumerate(built.room.pools):
        if hosts[blocks.pool_of == p].any():
            for one in purchases(built.prices.pool_lines[p]):
                yield from _paid_for(built, pool, one, 1)


def _paid_for(built: Built, pool: PoolState, one: Payment, count: int) -> Iterator[Payment]:
    micros = half_up(one.micros * factor_of(built.world, pool, one.term)) * count
    if micros:
        yield Payment(one.month, one.term, micros, one.what)


def _pools(built: Built, document: WhatIf, counts: Int64, hosts: Int64) -> Iterator[Payment]:
    """What pools cost as long as they are there, and what machines cost in them."""
    problem = built.problem
    for p, pool in enumerate(built.room.pools):
        lines = built.prices.pool_lines[p]
        if hosts[problem.blocks.pool_of == p].any():
            for one in running([line for line in lines if line.part == "open"], document.start):
                yield from _paid_for(built, pool, one, 1)
        for groups, there in _by_coming(built, document):
            here = groups[counts[groups, p] > 0]
            totals = {
                term: sum(
                    a * b for a, b in zip(counts[here, p].tolist(), micros[here, p].tolist(), strict=True)
                )
                for term, micros in problem.groups.costs.items()
            }
            yield from _over_months(totals, lines, "machine", document, there)


def _by_coming(built: Built, document: WhatIf) -> Iterator[tuple[Int64, Sequence[int]]]:
    """Groups that are there from the first day on; then each that comes, with how many of it are there in each month."""
    streams, every = built.world.streams, np.arange(len(built.machines.ids))
    first = len(every) - len(streams)
    yield every[:first], (1,) * document.months
    for n, one in enumerate(streams):
        last = one.last_month or document.months
        come = (min(month, last) - one.first_month + 1 for month in range(1, document.months + 1))
        yield every[first + n : first + n + 1], [max(0, months) for months in come]


def _over_months(
    totals: Mapping[str, int],
    lines: Iterable[Line],
    part: str,
    document: WhatIf,
    there: Sequence[int] = (),
) -> Iterator[Payment]:
    """What each term comes to, laid on months as its lines are, and as many machines as are `there`."""
    totals = {term: total for term, total in totals.items() if total}
    if not totals:
        return
    weights: dict[str, list[int]] = defaultdict(lambda: [0] * document.months)
    mine, there = [line for line in lines if _part(line) == part], there or (1,) * document.months
    for one in running(mine, document.start):
        weights[one.term][one.month] += one.micros * there[one.month]
    for term, total in totals.items():
        profile = weights[term] if any(weights[term]) else there
        for month, micros in enumerate(split(total, profile)):
            if micros:
                yield Payment(month, term, micros)


def _part(line: Line) -> str:
    """Whose cost a line is; units of resources are the machines'."""
    return line.part if line.part in {"kept", "bought", "open", "sunk"} else "machine"


def _licences(built: Built, licences: Sequence[Licence]) -> Iterator[Payment]:
    terms_of = {name: terms for terms, name in built.licensing.terms}
    ways = {(one.name, way.name): way for one in built.problem.products for way in one.alternatives}
    packs: dict[tuple[str, str], int] = defaultdict(int)
    costs: dict[tuple[str, str], int] = defaultdict(int)
    for one in licences:
        packs[one.product, one.alternative] += one.packs
        costs[one.product, one.alternative] += one.cost_micros
    for (product, name), count in packs.items():
        terms, way = terms_of[product], ways[product, name]
        plain = next(one for one in terms.alternatives if one.name == name).pack_cost
        yield from subscriptions(
            terms, name, count, factor=Fraction(way.pack_cost) / plain if plain else Fraction(1)
        )
        of_packs = half_up(max(0, count - way.owned_packs) * way.pack_cost)
        if way.add_on is not None and costs[product, name] > of_packs:
            what = f"{product}: what comes on top of {name}"
            yield Payment(terms.first_month, "licences", costs[product, name] - of_packs, what)
