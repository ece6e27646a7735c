"""When a plan is paid for: its costs laid on the months of the horizon, and the month from which on it has saved.

What runs is paid month by month, as its lines say, and comes to the plan's cost to the micro-unit. Purchases are paid
whole in the first month, subscriptions when they fall due, moves in the months in which they are made.
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
from chargeback.economics.terms import LicenceTerms
from chargeback.economics.trace import Line
from chargeback.money import split
from placement.arrays import Int64
from placement.planning.plan import Licence
from tierwise.planner.accounts import MOVING
from tierwise.planner.build import Built
from tierwise.planner.document import WhatIf
from tierwise.planner.pricing import factor_of, half_up
from tierwise.planner.result import Cash


def cash_flow(
    built: Built,
    document: WhatIf,
    counts: Int64,
    hosts: Int64,
    licences: Sequence[Licence],
    terms: Mapping[str, int],
    moved: int,
) -> CashFlow:
    """All payments of a plan; of sunk costs there are none left to pay, but for hosts that are bought for certain."""
    flow = [
        *_hosts(built, document, hosts),
        *_pools(built, document, counts, hosts),
        *_licences(built, licences),
        *migration(terms.get(MOVING, 0), _pace(document, moved)),
    ]
    return CashFlow(document.months, tuple(flow))


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
    blocks = built.problem.blocks
    for b, block in enumerate(built.room.blocks):
        lines, count = built.prices.host_lines[b], int(hosts[b])
        pool = built.world.pools[block.pool]
        totals = {term: count * int(micros[b]) for term, micros in blocks.kept_costs.items()}
        yield from _over_months(totals, lines, "kept", document)
        ordered = max(0, count - int(blocks.existing[b])) + (int(blocks.existing[b]) if block.paid else 0)
        for one in purchases(lines, 1):
            micros = half_up(one.micros * factor_of(built.world, pool, one.term)) * ordered
            if micros:
                yield Payment(0, one.term, micros, one.what)


def _pools(built: Built, document: WhatIf, counts: Int64, hosts: Int64) -> Iterator[Payment]:
    problem = built.problem
    for p in range(len(problem.pools.ids)):
        lines = built.prices.pool_lines[p]
        if hosts[problem.blocks.pool_of == p].any():
            yield from _opening(built, document, p)
        here = np.flatnonzero(counts[:, p])
        totals = {
            term: sum(
                a * b for a, b in zip(counts[here, p].tolist(), micros[here, p].tolist(), strict=True)
            )
            for term, micros in problem.groups.costs.items()
        }
        yield from _over_months(totals, lines, "machine", document)


def _opening(built: Built, document: WhatIf, p: int) -> Iterator[Payment]:
    """What a pool costs by being there: purchases at once, the rest month by month."""
    pool, lines = built.room.pools[p], built.prices.pool_lines[p]
    for one in (
        *purchases(lines),
        *running([line for line in lines if line.part == "open"], document.start),
    ):
        micros = half_up(one.micros * factor_of(built.world, pool, one.term))
        if micros:
            yield Payment(one.month, one.term, micros, one.what)


def _over_months(
    totals: Mapping[str, int], lines: Iterable[Line], part: str, document: WhatIf
) -> Iterator[Payment]:
    """What each term comes to, laid on months as its lines are."""
    weights: dict[str, list[int]] = defaultdict(lambda: [0] * document.months)
    mine = [line for line in lines if _part(line) == part]
    for one in running(mine, document.start):
        weights[one.term][one.month] += one.micros
    for term, total in totals.items():
        profile = weights[term] if any(weights[term]) else [1] * document.months
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
        of_packs = max(0, count - way.owned_packs) * way.pack_cost_micros
        yield from _subscribed(terms, name, count, of_packs)
        if costs[product, name] > of_packs:
            what = f"{product}: what comes on top of {name}"
            yield Payment(terms.first_month, "licences", costs[product, name] - of_packs, what)


def _subscribed(terms: LicenceTerms, name: str, packs: int, cost: int) -> Iterator[Payment]:
    """Dues of the document, scaled by what a scenario made of the price."""
    way = next(one for one in terms.alternatives if one.name == name)
    plain = max(0, packs - way.owned_packs) * way.pack_cost_micros
    factor = Fraction(cost, plain) if plain else Fraction(1)
    for due in subscriptions(terms, name, packs):
        micros = half_up(due.micros * factor)
        if micros:
            yield Payment(due.month, due.term, micros, due.what)
