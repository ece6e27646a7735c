"""What rating computes, as Ibis expressions over two tables without a home.

The same expressions run on DuckDB, where one machine is enough, and on a cluster's engine. Engines
disagree on what a division, an average, a rounding and a narrowing cast of a decimal give, so there
is none of them here. After a change run this module: it prints the text of `chargeback.rating_sql`.
"""

from typing import Any

import ibis

from chargeback.engines.contract import SEGMENTS
from chargeback.usage import SCHEMA, Metric, Power

FACTOR = "decimal(38, 0)"
"""Of both factors: a product has at most 29 digits, and DuckDB keeps decimal(18) x decimal(18) at 18."""


def sums(by_machine: bool) -> Any:
    """Quantity x seconds per segment and payer, and seconds alike: the whole of what is computed.

    A reversal's seconds count negative too, so that a corrected hour counts once.
    """
    cut = _cut()
    keys = ["segment", "tenant", "cost_centre", *(["machine", "pool", "labels"] if by_machine else [])]
    return cut.group_by(keys).aggregate(
        quantity_seconds=(cut.quantity.cast(FACTOR) * cut.seconds.cast(FACTOR)).sum(),
        seconds=(cut.quantity < 0).ifelse(-cut.seconds, cut.seconds).sum(),
    )


def sums_by_level() -> Any:
    """Seconds per segment, payer, power and quantity: for prices that are not quantity x rate.

    A reversal counts negative under the quantity that it takes back.
    """
    cut = _cut().mutate(level=lambda t: t.quantity.abs())
    keys = ["segment", "tenant", "cost_centre", "machine", "pool", "labels", "power", "level"]
    return cut.group_by(keys).aggregate(seconds=(cut.quantity < 0).ifelse(-cut.seconds, cut.seconds).sum())


def births() -> Any:
    """When the number of machines of an identity changes, by how much, and who pays from or until then."""
    known = ibis.table({"known_at": "int64"}, name="knowledge")
    usage = _usage()
    # By a column that is equal everywhere: Polars joins by nothing else.
    all_pairs = usage.mutate(everywhere=1).join(known.mutate(everywhere=1), "everywhere")
    rows = all_pairs.filter(lambda t: (t.recorded_at <= t.known_at) & (t.metric == Metric.MACHINE.value))
    keys = ["machine", "tenant", "cost_centre", "tier", "pool", "labels"]
    begins = rows.select(*keys, at=rows.t_from, change=rows.quantity)
    ends = rows.select(*keys, at=rows.t_to, change=-rows.quantity)
    every = ibis.union(begins, ends)
    changed = every.group_by(["machine", "at"]).aggregate(all_changes=every.change.sum())
    first = (
        changed.filter(changed.all_changes != 0).group_by("machine").aggregate(born=lambda t: t["at"].min())
    )
    by_payer = every.group_by([*keys, "at"]).aggregate(payer_changes=every.change.sum())
    born = by_payer.join(
        first, [by_payer.machine == first.machine, by_payer["at"] == first.born], rname="first_{name}"
    )
    return born.filter(born.payer_changes > 0).select(*keys, "at")


def _cut() -> Any:
    """Usage joined with the segments that price it, and for how many seconds each pair shares time."""
    usage, segments = _usage(), ibis.table(SEGMENTS, name="rate_segment")
    joined = usage.join(
        segments,
        [
            usage.tier == segments.tier,
            usage.metric == segments.metric,
            usage.recorded_at <= segments.known_at,
            usage.t_from < segments.t_to,
            usage.t_to > segments.t_from,
            segments.when_off | (usage.power == Power.ON.value),
        ],
        rname="segment_{name}",
    )
    seconds = ibis.least(joined.t_to, joined.segment_t_to) - ibis.greatest(
        joined.t_from, joined.segment_t_from
    )
    return joined.mutate(seconds=seconds)


def seen() -> Any:
    """The tiers and metrics that occur in the usage."""
    return _usage().select("tier", "metric").distinct()


def queries() -> dict[str, Any]:
    """All queries by their names in `chargeback.rating_sql`."""
    return {
        "SEEN": seen(),
        "SUMS_BY_TENANT": sums(by_machine=False),
        "SUMS_BY_MACHINE": sums(by_machine=True),
        "SUMS_BY_LEVEL": sums_by_level(),
        "BIRTHS": births(),
    }


def module_text() -> str:
    """The source of `chargeback.rating_sql`."""
    head = (
        '"""`chargeback.rating_expressions` in DuckDB\'s SQL; written by that module, never by hand.\n\n'
        "Kept as text because compiling it takes 0.9 s of every start (tests/bench/bench_rating.py).\n"
        '"""\n'
    )
    parts = [
        f'\n{name} = """\n{ibis.to_sql(query, dialect="duckdb")}\n"""\n'
        for name, query in queries().items()
    ]
    return head + "".join(parts)


def _usage() -> Any:
    columns = {field.name: "int64" if str(field.type) == "int64" else "string" for field in SCHEMA}
    return ibis.table(columns, name="usage_interval")


if __name__ == "__main__":
    import sys

    sys.stdout.write(module_text())
