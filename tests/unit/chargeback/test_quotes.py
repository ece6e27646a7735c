from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from catalog.resources import Resources
from chargeback.money import round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.quotes import cost_micros, price
from chargeback.rate_cards import RateCard
from chargeback.rates import MissingRate

DB = Resources(vcpu=8, memory_mib=65536, disk_gib=500)
OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
TIERS = ("tier-1", "tier-2", "tier-3")


def test_a_quote_is_the_sum_of_lines_that_a_person_can_recompute(acme: RateCard) -> None:
    quote = price(DB, "tier-1", acme, at=datetime(2026, 10, 2, tzinfo=UTC))
    shown = [(x.quantity, x.unit, x.hours, x.rate, x.amount_minor) for x in quote.lines]
    assert shown == [
        ("8", "vcpu", "720", "0.018", 10368),
        ("64", "GiB", "720", "0.0042", 19354),  # 193.536
        ("500", "GiB", "720", "0.00031", 11160),
        ("1", "machine", "720", "0.021", 1512),
    ]
    assert (quote.total_minor, quote.total) == (42394, "EUR 423.94")
    assert quote.lines[1].unit_hours == "46080"


def test_a_quote_for_a_month_has_the_hours_of_that_month(acme: RateCard) -> None:
    assert {line.hours for line in price(DB, "tier-2", acme, period=OCTOBER).lines} == {"745"}


def test_a_price_change_that_is_known_is_in_the_quote_and_one_not_yet_known_is_not(
    acme: RateCard, at: Callable[[str], int]
) -> None:
    start = at("2026-09-30T21:00:00Z")  # An hour before the month of Berlin begins.
    quote = price(DB, "tier-1", acme, at=start, hours=2)
    assert [(x.rate, x.hours) for x in quote.lines if x.unit == "vcpu"] == [("0.0168", "1"), ("0.018", "1")]
    early = price(DB, "tier-1", acme, at=start, hours=2, known_at=at("2026-09-01"))
    assert [(x.rate, x.hours) for x in early.lines if x.unit == "vcpu"] == [("0.0168", "2")]


def test_a_rate_that_another_interrupts_is_one_line_as_on_the_statement(
    card_of: Callable[..., RateCard],
) -> None:
    rate = "id: {}, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: {}, valid_from: {}"
    card = card_of(
        rate.format("v", "0.01", "2026-01-01"),
        rate.format("w", "0.05", "2026-10-05")
        + ", valid_to: 2026-10-06, recorded_at: 2026-09-01T00:00:00Z, replaces: [v]",
    )
    quote = price(DB, "tier-1", card, period=BillingPeriod.parse("2026-10", "UTC"))
    assert [(x.priced_by.id, x.hours, x.amount_minor) for x in quote.lines] == [
        ("v", "720", 5760),
        ("w", "24", 960),
    ]


def test_a_quote_needs_a_rate_for_all_of_its_time(acme: RateCard, at: Callable[[str], int]) -> None:
    with pytest.raises(
        MissingRate, match="vcpu of tier-1 from 2025-12-31T22:00:00Z to 2025-12-31T23:00:00Z"
    ):
        price(DB, "tier-1", acme, at=at("2025-12-31T22:00:00Z"), hours=10)
    with pytest.raises(MissingRate, match="vcpu of tier-9"):
        price(DB, "tier-9", acme, at=at("2026-02-01"))


def test_a_quote_is_for_a_period_or_from_a_moment_on(acme: RateCard, at: Callable[[str], int]) -> None:
    for wrong in ({}, {"at": at("2026-02-01"), "period": OCTOBER}):
        with pytest.raises(ValueError, match="give one of period and at"):
            price(DB, "tier-1", acme, **wrong)
    with pytest.raises(ValueError, match="hours must be above zero"):
        price(DB, "tier-1", acme, at=at("2026-02-01"), hours=0)


def by_hand(amounts: Any, tier: str, card: RateCard, start: int, hours: Any) -> Fraction:
    """The exact cost in micro-units of one machine in one tier, rate by rate."""
    total = Fraction(0)
    for rate in card.rates:
        if rate.tier != tier or rate.replaces:
            continue
        amount = dict(zip(("vcpu", "memory_mib", "disk_gib"), amounts, strict=True)).get(rate.metric, 1)
        total += Fraction(rate.rate_nanos * amount * hours, 1000 * rate.unit_amount)
    return total


def test_costs_for_placement_are_exact_to_the_micro_for_small_and_huge_machines(
    acme: RateCard, at: Callable[[str], int]
) -> None:
    amounts = np.array(
        [[1, 512, 1], [8, 65536, 500], [0, 0, 0], [64, 3_145_729, 65_535], [2**31, 2**31, 2**31]],
        dtype=np.int64,
    )
    start = at("2026-02-01")
    costs = cost_micros(amounts, TIERS, acme, start, 721)
    assert costs.dtype == np.int64
    for i, row in enumerate(amounts.tolist()):
        for j, tier in enumerate(TIERS):
            exact = by_hand(row, tier, acme, start, 721)
            assert costs[i, j] == round_to_minor(exact * 1000, 6, acme.rounding)


def test_an_empty_batch_and_a_tier_asked_for_twice_keep_their_shape(
    acme: RateCard, at: Callable[[str], int]
) -> None:
    start = at("2026-02-01")
    assert cost_micros(np.empty((0, 3), dtype=np.int64), TIERS, acme, start, 1).shape == (0, 3)
    twice = cost_micros(np.ones((2, 3), dtype=np.int64), ("tier-1", "tier-1"), acme, start, 1)
    assert (twice[:, 0] == twice[:, 1]).all()


def test_costs_say_which_tiers_lack_a_rate(acme: RateCard, at: Callable[[str], int]) -> None:
    one = np.ones((1, 3), dtype=np.int64)
    with pytest.raises(MissingRate, match=r"tier-8.*tier-9"):
        cost_micros(one, ("tier-1", "tier-8", "tier-9"), acme, at("2026-02-01"), 720)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (np.ones((2, 2), dtype=np.int64), "shape"),
        (np.ones((2, 3), dtype=np.float64), "int64"),
        (np.ones(3, dtype=np.int64), "shape"),
        (-np.ones((1, 3), dtype=np.int64), "must not be negative"),
    ],
)
def test_a_matrix_that_is_no_resources_is_refused(acme: RateCard, resources: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cost_micros(resources, TIERS, acme, 1_770_000_000, 720)


def test_a_cost_beyond_63_bits_is_an_error_and_not_a_wrong_number(
    acme: RateCard, at: Callable[[str], int]
) -> None:
    with pytest.raises(OverflowError):
        cost_micros(np.full((1, 3), 2**53, dtype=np.int64), TIERS, acme, at("2026-02-01"), 720)


@pytest.mark.parametrize(("rounding", "micros"), [("half-up", [1, 2, 3]), ("half-even", [0, 2, 2])])
def test_exact_halves_of_a_micro_go_by_the_cards_rule(
    card_of: Callable[..., RateCard], at: Callable[[str], int], rounding: Any, micros: list[int]
) -> None:
    card = card_of(
        "id: v, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: 0.0000005, valid_from: 2026-01-01",
        rounding=rounding,
    )
    amounts = np.array([[1, 0, 0], [3, 0, 0], [5, 0, 0]], dtype=np.int64)
    assert cost_micros(amounts, ("tier-1",), card, at("2026-02-01"), 1)[:, 0].tolist() == micros
