"""Usage intervals -> who held and used how much of each pool in a period, whether it is priced or not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from chargeback.periods import BillingPeriod
from chargeback.statements import Row
from chargeback.usage import Metric, checked_table

_ALLOCATED = """
SELECT tenant, cost_centre, tier, pool, metric,
  SUM(CAST(quantity AS DECIMAL(38, 0)) * (LEAST(t_to, $t_to) - GREATEST(t_from, $t_from)))
FROM usage_interval
WHERE recorded_at <= $known_at AND t_from < $t_to AND t_to > $t_from
GROUP BY ALL
"""

# A machine's own interval is 1, or -1 where it is taken back, so it stamps what was used with its owner.
_USED = """
SELECT tenant, cost_centre, tier, pool, metric,
  SUM(CAST(quantity AS DECIMAL(38, 0)) * sign * (LEAST(t_to, until) - GREATEST(t_from, since)))
FROM (
  SELECT owner.tenant, owner.cost_centre, owner.tier, owner.pool, used.metric, used.quantity,
    owner.quantity AS sign, used.t_from, used.t_to,
    GREATEST(owner.t_from, $t_from) AS since, LEAST(owner.t_to, $t_to) AS until
  FROM used_interval AS used JOIN usage_interval AS owner ON used.machine = owner.machine
  WHERE owner.metric = 'machine' AND owner.recorded_at <= $known_at AND used.recorded_at <= $known_at
) WHERE since < until AND t_from < until AND t_to > since
GROUP BY ALL
"""

_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a tenant's cost centre held and used of one metric in one pool and tier.

    `allocated` and `used` are quantity x seconds in the metric's unit; `price_minor` is what the rate
    card charged for it. Each is what later facts left of it, and so may be less than nothing.
    """

    tenant: str
    cost_centre: str
    tier: str
    pool: str
    metric: Metric
    allocated: int
    used: int = 0
    price_minor: int = 0


def consumption(usage: Any, period: BillingPeriod, known_at: int, *, used: Any = None) -> list[Consumption]:
    """What was held in the period, as known at `known_at`, by tenant, cost centre, tier, pool and metric.

    `usage` and `used` are tables of `chargeback.usage.SCHEMA`: allocations, and measured use. Measured
    use is of whoever owned its machine then, which the allocations say. Raises InvalidUsage.
    """
    values = {"t_from": period.t_from, "t_to": period.t_to, "known_at": known_at}
    with duckdb.connect(":memory:") as engine:
        engine.register("usage_interval", checked_table(usage))
        allocated = _sums(engine, _ALLOCATED, values)
        measured: dict[_Key, int] = {}
        if used is not None:
            engine.register("used_interval", checked_table(used))
            measured = _sums(engine, _USED, values)
    keys = sorted({*allocated, *measured}, key=_order)
    found = [
        Consumption(*key[:4], Metric(key[4]), allocated.get(key, 0), measured.get(key, 0)) for key in keys
    ]
    return [each for each in found if each.allocated or each.used]


def with_prices(found: Iterable[Consumption], rows: Iterable[Row]) -> list[Consumption]:
    """The same with what statement rows charge for it: rows of usage that name its pool, not corrections."""
    prices: Counter[_Key] = Counter()
    for row in rows:
        if row["charge_category"] == "Usage" and not row["charge_class"]:
            tenant, cost_centre, tier, pool, metric = (
                str(row[name]) for name in ("tenant", "cost_centre", "tier", "pool", "metric")
            )
            prices[tenant, cost_centre, tier, pool, metric] += int(row["amount_minor"])
    return [
        replace(each, price_minor=prices[each.tenant, each.cost_centre, each.tier, each.pool, each.metric])
        for each in found
    ]


def _sums(engine: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, int]) -> dict[_Key, int]:
    rows = engine.execute(query, values).fetchall()
    return {(*key,): int(amount) for *key, amount in rows}


def _order(key: _Key) -> tuple[Any, ...]:
    return (*key[:4], list(Metric).index(Metric(key[4])))
