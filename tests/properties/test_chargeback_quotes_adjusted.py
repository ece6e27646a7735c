"""A quote with adjustments is the invoice, for any order life: resized, moved, sold, paused, ended."""

import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import EventKind, MachineEvent
from chargeback.metering import intervals
from chargeback.periods import BillingPeriod
from chargeback.quotes import Held, Whose
from chargeback.quotes_adjusted import for_tenant, statements_of
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from chargeback.rating import Grain, rate
from chargeback.statements import Statement, statements
from chargeback.terms import Terms
from chargeback.usage import UsageInterval, to_table

sys.path.insert(0, str(Path(__file__).parent))
from test_chargeback_adjustments import agreements

ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe")
OFTEN = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def card(zone: str) -> RateCard:
    rates = "".join(
        f"      - {{id: {tier}-{i}, tier: {tier}, metric: {metric}, unit: {unit}, price: {price}, valid_from: 2020-01-01}}\n"
        for tier in ("tier-1", "tier-2")
        for i, (metric, unit, price) in enumerate(
            [
                ("vcpu", "vcpu-hour", "0.0171"),
                ("memory_mib", "GiB-hour", "0.00423"),
                ("machine", "machine-hour", "0.01"),
            ]
        )
    )
    text = (
        "rate_cards:\n  any:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        f"    time_zone: {zone}\n    recorded_at: 2000-01-01T00:00:00Z\n    rates:\n{rates}"
    )
    (found,) = load_rate_cards({"card.yaml": text}, ("tier-1", "tier-2"))
    return found


def months(zone: str) -> list[BillingPeriod]:
    return [BillingPeriod.parse(f"2026-{month:02d}", zone) for month in (8, 9, 10, 11)]


@st.composite
def lives(draw: Any, zone: str) -> list[UsageInterval]:
    """The whole lives of one to three machines between August and November."""
    begin, end = months(zone)[0].t_from, months(zone)[-1].t_to
    rows: list[UsageInterval] = []
    for name in draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True)):
        moments = sorted(draw(st.lists(st.integers(begin, end), min_size=2, max_size=6, unique=True)))
        born = {
            "resources": Resources(vcpu=draw(st.integers(1, 16)), memory_mib=4096, disk_gib=20),
            "tenant": draw(st.sampled_from(["shop", "bank"])), "cost_centre": "cc-1", "pool": "p",
            "tier": draw(st.sampled_from(["tier-1", "tier-2"])), "labels": {"os": draw(st.sampled_from(["linux", "windows"]))},
        }  # fmt: skip
        changes = [{"kind": EventKind.CREATED, **born}, {"kind": EventKind.POWERED_ON}]
        later = st.sampled_from([
            {"kind": EventKind.POWERED_OFF}, {"kind": EventKind.POWERED_ON},
            {"kind": EventKind.RESIZED, "resources": Resources(vcpu=7, memory_mib=1000, disk_gib=20)},
            {"kind": EventKind.OWNER_CHANGED, "tenant": "bank", "cost_centre": "cc-2"},
            {"kind": EventKind.MOVED, "tier": "tier-2", "pool": "q"},
        ])  # fmt: skip
        changes += [draw(later) for _ in moments[1:-1]]
        at = [moments[0], *moments[:-1]]
        if draw(st.booleans()):
            changes.append({"kind": EventKind.DELETED})
            at.append(moments[-1])
        events = [
            MachineEvent.model_validate({"machine": name, "sequence": i, "at": t, "recorded_at": 0, "source": "test", **each})
            for i, (t, each) in enumerate(zip(at, changes, strict=True))
        ]  # fmt: skip
        rows += intervals(events, end)
    return rows


def shown(found: list[Statement]) -> list[tuple[Any, ...]]:
    return [(s.id, s.total_minor, [(i.id, i.amount_minor, i.note) for i in s.items]) for s in found]


@given(st.data(), st.sampled_from(ZONES), agreements())
@OFTEN
def test_the_quote_of_an_order_life_is_its_invoice_also_with_adjustments(
    data: Any, zone: str, terms: Terms
) -> None:
    """The invoice is rated by the query over usage, the quote by pricing the imagined history."""
    by, periods = card(zone), months(zone)
    rows = data.draw(lives(zone))
    terms = terms.model_copy(
        update={
            "adjustments": tuple(term.model_copy(update={"recorded_at": 0}) for term in terms.adjustments)
        }
    )
    known_at = periods[-1].t_to
    invoices = statements(
        rate(to_table(rows), by, periods, known_at, grain=Grain.MACHINE),
        by,
        terms,
        known_at=known_at,
        periods=periods,
    )
    held = [
        Held(r.machine, r.tenant, r.cost_centre, r.tier, r.pool, r.labels, r.metric, r.quantity, r.power, r.t_from, r.t_to)
        for r in rows
    ]  # fmt: skip
    assert shown(statements_of(held, by, periods, terms)) == shown(invoices)
    # Of one month alone the same, with what credits have paid in the months before.
    last = [statement for statement in invoices if statement.period == periods[-1]]
    assert shown(statements_of(held, by, periods[-1:], terms)) == shown(last)


PLAIN = {"valid_from": "2026-01", "recorded_at": 0}


@given(
    st.integers(1, 64), st.integers(0, 1000), st.integers(-500, 500), st.sampled_from(ZONES), st.integers(0, 3),
    st.integers(0, 20 * 86400),
)  # fmt: skip
@OFTEN
def test_the_quote_of_one_machine_is_the_invoice_of_a_tenant_that_has_no_other(
    vcpu: int, percent: int, factor: int, zone: str, month: int, after_s: int
) -> None:
    by, start = card(zone), months(zone)[month].t_from + after_s
    terms = Terms.model_validate({"adjustments": [
        {"kind": "percentage_discount", "name": "off", "percent": f"{percent // 10}.{percent % 10}", **PLAIN},
        {"kind": "tag_factor", "name": "more", "percent": f"{factor // 10}", "applies_to": {"labels": {"os": "x"}}, **PLAIN},
    ]})  # fmt: skip
    size = Resources(vcpu=vcpu, memory_mib=1111, disk_gib=3)
    quote = for_tenant(
        size, by, Whose("m", "shop", "cc-1", "tier-1", "p", "os=x"), terms, at=start, hours=720
    )
    born = {
        "resources": size,
        "tenant": "shop",
        "cost_centre": "cc-1",
        "tier": "tier-1",
        "pool": "p",
        "labels": {"os": "x"},
    }
    events = [
        MachineEvent.model_validate({"machine": "m", "sequence": i, "at": t, "recorded_at": 0, "source": "t", "kind": kind, **more})
        for i, (kind, t, more) in enumerate([
            (EventKind.CREATED, start, born), (EventKind.POWERED_ON, start, {}), (EventKind.DELETED, start + 720 * 3600, {}),
        ])
    ]  # fmt: skip
    periods = [BillingPeriod.of(start, zone), BillingPeriod.of(start, zone).next]
    charges = rate(to_table(intervals(events, start + 720 * 3600)), by, periods, 2**40, grain=Grain.MACHINE)
    invoices = statements(charges, by, terms, periods=periods)
    assert quote.total_minor == sum(statement.total_minor for statement in invoices)
    assert quote.left_open == ()
