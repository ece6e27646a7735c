"""Who held and used what, from usage intervals: owners change, facts come late, samples have no owner."""

from collections.abc import Callable
from typing import Any

import pytest

from chargeback.periods import BillingPeriod
from chargeback.shared_costs.consumption import consumption, with_prices
from chargeback.usage import SCHEMA, Metric, Power, UsageInterval, to_table

OCTOBER = BillingPeriod(year=2026, month=10, time_zone="UTC")
HOUR = 3600


@pytest.fixture
def row() -> Callable[..., UsageInterval]:
    """One interval of machine m in hours of October; tenant shop, recorded in time."""

    def make(metric: Metric, quantity: int, t_from: int, t_to: int, **fields: Any) -> UsageInterval:
        values = {
            "machine": "m", "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p", "metric": metric,
            "quantity": quantity, "power": Power.ON, "t_from": OCTOBER.t_from + t_from * HOUR,
            "t_to": OCTOBER.t_from + t_to * HOUR, "recorded_at": 0, "source": "test", "sequence": 0, **fields,
        }  # fmt: skip
        return UsageInterval.model_validate(values)

    return make


def test_only_the_time_in_the_period_counts_and_a_machine_that_is_off_holds_its_share(row: Any) -> None:
    usage = to_table([row(Metric.VCPU, 4, -5, 3), row(Metric.VCPU, 2, 740, 900, power=Power.OFF)])
    (found,) = consumption(usage, OCTOBER, 10)
    assert (found.tenant, found.allocated, found.used) == ("shop", (4 * 3 + 2 * 4) * HOUR, 0)


def test_what_is_taken_back_later_counts_only_until_then(row: Any) -> None:
    rows = [row(Metric.VCPU, 4, 0, 10), row(Metric.VCPU, -4, 0, 10, recorded_at=5)]
    rows.append(row(Metric.VCPU, 4, 0, 10, recorded_at=5, tenant="bank"))
    before, after = (consumption(to_table(rows), OCTOBER, known_at) for known_at in (4, 5))
    assert [(each.tenant, each.allocated) for each in before] == [("shop", 40 * HOUR)]
    assert [(each.tenant, each.allocated) for each in after] == [("bank", 40 * HOUR)]


def test_measured_use_is_of_whoever_owned_the_machine_then(row: Any) -> None:
    rows = [
        row(Metric.MACHINE, 1, 0, 100), row(Metric.MACHINE, -1, 60, 100, recorded_at=5),
        row(Metric.MACHINE, 1, 60, 100, recorded_at=5, tenant="bank", pool="q"),
    ]  # fmt: skip
    used = to_table(
        [row(Metric.VCPU, 3, 50, 70, tenant="nobody", pool="none"), row(Metric.VCPU, 7, 100, 200)]
    )
    found = {
        (each.tenant, each.pool): each.used
        for each in consumption(to_table(rows), OCTOBER, 5, used=used)
        if each.metric is Metric.VCPU
    }
    assert found == {("shop", "p"): 30 * HOUR, ("bank", "q"): 30 * HOUR}


def test_sums_beyond_64_bits_are_exact(row: Any) -> None:
    rows = [row(Metric.MEMORY_MIB, 2**53, 0, 744, sequence=i) for i in range(5)]
    (found,) = consumption(to_table(rows), OCTOBER, 10)
    assert found.allocated == 5 * 2**53 * 744 * HOUR > 2**63


def test_nothing_was_held_where_there_is_no_usage() -> None:
    assert consumption(SCHEMA.empty_table(), OCTOBER, 10, used=SCHEMA.empty_table()) == []


def test_a_weight_by_price_is_what_the_rows_of_usage_charge(row: Any) -> None:
    held = consumption(to_table([row(Metric.VCPU, 4, 0, 10)]), OCTOBER, 10)
    line = {
        "charge_category": "Usage", "charge_class": "", "tenant": "shop", "cost_centre": "cc", "tier": "tier-1",
        "pool": "p", "metric": "vcpu", "amount_minor": 70,
    }  # fmt: skip
    others: list[dict[str, str | int]] = [
        {**line, "charge_class": "Correction"}, {**line, "charge_category": "Credit"}, {**line, "pool": "q"},
    ]  # fmt: skip
    assert [each.price_minor for each in with_prices(held, [line, line, *others])] == [140]
