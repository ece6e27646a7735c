"""What rating computes, as Ibis expressions over two tables without a home.

The same expressions run on DuckDB, where one machine is enough, and on a cluster's engine. Engines
disagree on what a division, an average, a rounding and a narrowing cast of a decimal give, so there
is none of them here. After a change run this module: it prints the text of `chargeback.rating_sql`.
"""

from typing import Any

import ibis

from chargeback.engines.contract import SEGMENTS
from chargeback.usage import SCHEMA, Power

FACTOR = "decimal(38, 0)"
"""Of both factors: a product has at most 29 digits, and DuckDB keeps decimal(18) x decimal(18) at 18."""


def sums(by_machine: bool) -> Any:
    """Quantity x seconds per segment and payer, and seconds alike: the whole of what is computed.

    A reversal's seconds count negative too, so that a corrected hour counts once.
    """
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
    cut = joined.mutate(seconds=seconds)
    keys = ["segment", "tenant", "cost_centre", *(["machine", "pool", "labels"] if by_machine else [])]
    return cut.group_by(keys).aggregate(
        quantity_seconds=(cut.quantity.cast(FACTOR) * cut.seconds.cast(FACTOR)).sum(),
        seconds=(cut.quantity < 0).ifelse(-cut.seconds, cut.seconds).sum(),
    )


def seen() -> Any:
    """The tiers and metrics that occur in the usage."""
    return _usage().select("tier", "metric").distinct()


def queries() -> dict[str, Any]:
    """All queries by their names in `chargeback.rating_sql`."""
    return {
        "SEEN": seen(),
        "SUMS_BY_TENANT": sums(by_machine=False),
        "SUMS_BY_MACHINE": sums(by_machine=True),
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
