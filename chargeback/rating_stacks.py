"""Usage x stacked rate cards x periods -> charges, each by the card that it belongs to.

Usage is cut where a card above has a rate, so each piece is priced by the cards that it belongs to and by
no other.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa

from chargeback.charges import Charge
from chargeback.engines.contract import Engine
from chargeback.instants import END_OF_TIME_S
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.rating import DUCKDB, Grain, asks_who_ran, rate, running
from chargeback.stacks import Layer, Stack, StackedCharge, StackMode
from chargeback.usage import checked_table

Span = tuple[int, int]


def rate_stack(
    usage: Any,
    stack: Stack,
    periods: Sequence[BillingPeriod],
    known_at: int,
    *,
    grain: Grain = Grain.TENANT,
    engine: Engine = DUCKDB,
) -> list[Charge]:
    """`rating.rate` by all cards of a stack: charges of the layers from the top, then of the base card.

    Usage that the base card does not price must be priced by an overriding layer. Raises as `rate` does.
    """
    found: list[Charge] = []
    cards = [stack.base, *(layer.card for layer in stack.layers)]
    ran = running(usage, periods, known_at, engine) if asks_who_ran(cards) else None
    rated = partial(rate, periods=periods, known_at=known_at, grain=grain, engine=engine, ran=ran)
    with duckdb.connect(":memory:") as cutter:
        left = checked_table(usage)
        for layer in stack.from_the_top:
            others, own = _owned(cutter, left, layer)
            if not own.num_rows:
                continue
            priced, rest = _cut(cutter, own, layer.card, known_at)
            charges = rated(priced, layer.card)
            lists: dict[int, Fraction] = {}
            if layer.mode is StackMode.OVERRIDE:
                listed, _ = _cut(cutter, priced, stack.base, known_at)
                lists = _list_prices(charges, rated(listed, stack.base))
                left = _together(others, rest)
            found += [_stacked(c, layer.card, lists.get(i)) for i, c in enumerate(charges)]
    base = rated(left, stack.base)
    return found + [_stacked(charge, stack.base, None) for charge in base]


def _stacked(charge: Charge, card: RateCard, list_nanos: Fraction | None) -> StackedCharge:
    values = {field.name: getattr(charge, field.name) for field in fields(Charge)}
    return StackedCharge(**values, card=card, list_nanos=list_nanos)


def _list_prices(charges: Sequence[Charge], listed: Iterable[Charge]) -> dict[int, Fraction]:
    """Per charge (by its place), what the base card asks for what it charges.

    A machine's charges for one metric, of which there are several where a rate changed, share the base
    card's amount by their quantities. Charges of what the base card does not price have none.
    """
    amounts: dict[Any, Fraction] = defaultdict(Fraction)
    for charge in listed:
        amounts[_what(charge)] += charge.amount_nanos
    together: dict[Any, list[int]] = defaultdict(list)
    for i, charge in enumerate(charges):
        together[_what(charge)].append(i)
    found: dict[int, Fraction] = {}
    for what, places in together.items():
        whole = sum(charges[i].quantity_seconds for i in places)
        if what in amounts and whole:
            for i in places:
                found[i] = amounts[what] * Fraction(charges[i].quantity_seconds, whole)
    return found


def _what(charge: Charge) -> tuple[object, ...]:
    return (
        charge.period.name, charge.tenant, charge.cost_centre, charge.tier, charge.machine,
        charge.rate.metric_key, charge.pool, charge.labels,
    )  # fmt: skip


def _owned(engine: duckdb.DuckDBPyConnection, table: Any, layer: Layer) -> tuple[Any, Any]:
    """The rows of others, and those that the layer is for."""
    engine.register("usage_interval", table)
    column, name = ("tenant", layer.tenant) if layer.tenant else ("cost_centre", layer.cost_centre)
    found = [
        engine.sql(f"SELECT * FROM usage_interval WHERE {column} {sign} ?", params=[name]).to_arrow_table()  # noqa: S608 - two fixed words each
        for sign in ("<>", "=")
    ]
    return found[0], found[1]


_PIECES = """
SELECT u.* REPLACE (greatest(u.t_from, s.t_from) AS t_from, least(u.t_to, s.t_to) AS t_to)
FROM usage_interval u JOIN span s
ON u.tier = s.tier AND u.metric = s.metric AND u.t_from < s.t_to AND s.t_from < u.t_to
WHERE s.priced = ?
"""
_NEVER = """
SELECT u.* FROM usage_interval u
WHERE NOT EXISTS (SELECT 1 FROM span s WHERE u.tier = s.tier AND u.metric = s.metric)
"""


def _cut(engine: duckdb.DuckDBPyConnection, table: Any, card: RateCard, known_at: int) -> tuple[Any, Any]:
    """The pieces of usage for which the card has a rate, as known then, and all other pieces."""
    engine.register("usage_interval", table)
    engine.execute(
        "CREATE OR REPLACE TABLE span (tier VARCHAR, metric VARCHAR, priced BOOLEAN, t_from BIGINT, t_to BIGINT)"
    )
    rows = list(_spans(card, known_at))
    if rows:
        engine.executemany("INSERT INTO span VALUES (?, ?, ?, ?, ?)", rows)
    priced, holes = (engine.sql(_PIECES, params=[flag]).to_arrow_table() for flag in (True, False))
    return priced, _together(holes, engine.sql(_NEVER).to_arrow_table())


def _together(one: Any, other: Any) -> Any:
    return pa.concat_tables([checked_table(one), checked_table(other)])


def _spans(card: RateCard, known_at: int) -> Iterable[tuple[str, str, bool, int, int]]:
    """Per tier and metric all of time, as stretches with a rate and stretches without."""
    held: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for segment in card.segments(0, END_OF_TIME_S, known_at):
        held[segment.rate.tier, segment.rate.metric_key].append((segment.t_from, segment.t_to))
    for (tier, metric), spans in held.items():
        merged = _merged(spans)
        yield from ((tier, metric, True, *span) for span in merged)
        edges = [0, *(end for span in merged for end in span), END_OF_TIME_S]
        gaps = list(pairwise(edges))[::2]
        yield from ((tier, metric, False, *gap) for gap in gaps if gap[0] < gap[1])


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for t_from, t_to in sorted(spans):
        if found and t_from <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], t_to)
        else:
            found.append((t_from, t_to))
    return found
