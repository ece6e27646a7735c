"""A real data centre's quarter: 500 machines, 1,015,860 machine-hours, recounted hour by hour.

Trace: Grid Workloads Archive GWA-T-12 "rnd" (Shen, van Beek, Iosup, CCGrid 2015). It has no tenants
and tiers, so they follow from the machine's number here.
"""

from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from chargeback.periods import BillingPeriod, months
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rating import Grain, rate
from chargeback.statements import statements

HOUR = 3600
FOREVER = 2**40


@pytest.fixture(scope="module")
def owners(bitbrains: Any, owner: Any) -> Any:
    return {
        n: owner(str(n), f"tenant-{n % 23:02d}", "cc", f"tier-{1 + n % 3}", "pool")
        for n in bitbrains.machines
    }


@pytest.fixture(scope="module")
def usage(bitbrains: Any, owners: Any) -> Any:
    return bitbrains.usage(owners)


def card_in(bitbrains: Any, time_zone: str) -> RateCard:
    text = bitbrains.card(time_zone)
    (card,) = load_rate_cards({"card.yaml": text}, ("tier-1", "tier-2", "tier-3"))
    return card


def per_tenant(recounted: Any, owners: Any) -> dict[tuple[str, str, str], int]:
    """The recount by month, tenant and rate."""
    tenant_of = {owner.machine: owner.tenant for owner in owners.values()}
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for (month, machine, rate_id), amount in recounted.items():
        found[month, tenant_of[machine], rate_id] += amount
    return dict(found)


def test_a_million_machine_hours_are_a_few_ten_thousand_intervals(bitbrains: Any, usage: Any) -> None:
    assert bitbrains.table.num_rows == 1_015_860
    assert usage.num_rows * 20 < 2 * bitbrains.table.num_rows
    seconds = np.sum((usage["t_to"].to_numpy() - usage["t_from"].to_numpy()) * usage["quantity"].to_numpy())
    recounted = sum(bitbrains.table["cores_max"].to_pylist()) + sum(
        m // 1024 for m in bitbrains.table["mem_cap_kb_max"].to_pylist()
    )
    assert seconds == recounted * HOUR


@pytest.mark.parametrize(("time_zone", "first"), [("UTC", "2013-06"), ("Europe/Amsterdam", "2013-07")])
def test_the_bill_agrees_with_an_hour_by_hour_recount_to_the_last_digit(
    bitbrains: Any, owners: Any, usage: Any, time_zone: str, first: str
) -> None:
    expected = per_tenant(bitbrains.recount(ZoneInfo(time_zone), owners), owners)
    card = card_in(bitbrains, time_zone)
    periods = months(BillingPeriod.parse(first, time_zone), 5)
    charged: dict[tuple[str, str, str], int] = defaultdict(int)
    for charge in rate(usage, card, periods, FOREVER):
        exact = charge.amount_nanos * 1024
        assert exact.denominator == 1, "whole hours leave no fraction"
        charged[charge.period.name, charge.tenant, charge.rate.id] += exact.numerator
    assert dict(charged) == expected


def test_the_two_calendars_give_different_months_and_the_same_quarter(bitbrains: Any, owners: Any) -> None:
    utc, local = (bitbrains.recount(ZoneInfo(zone), owners) for zone in ("UTC", "Europe/Amsterdam"))
    assert utc != local
    assert sum(utc.values()) == sum(local.values())


def test_lines_of_machines_add_up_to_the_lines_of_their_tenants(bitbrains: Any, usage: Any) -> None:
    card = card_in(bitbrains, "Europe/Amsterdam")
    periods = months(BillingPeriod.parse("2013-07", "Europe/Amsterdam"), 3)
    whole, parts = (rate(usage, card, periods, FOREVER, grain=grain) for grain in Grain)
    assert sum(c.amount_nanos for c in whole) == sum(c.amount_nanos for c in parts)
    for statement in statements(parts, card):
        assert statement.total_minor == sum(line.amount_minor for line in statement.lines)
