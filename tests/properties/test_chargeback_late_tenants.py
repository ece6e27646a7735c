"""Late facts where machines are priced together: rating the tenants concerned is rating everybody, and reads less."""

from collections.abc import Collection
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargeback.adjustment import Term
from chargeback.adjustments import kinds
from chargeback.late import ALL, Known, UsageTable, concerned, late, rated
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod, months
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import RateCard
from chargeback.statements import corrections
from chargeback.terms import Terms
from chargeback.usage import to_table
from tests.properties.test_chargeback_ledger import DAY, TENANTS, TIERS, born, happening

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SHAPED = "shape: {kind: graduated, tiers: [{to: 300, price: 0.5}, {price: 0.25}]}"
BODIES = {
    "vcpu": ["unit: vcpu-hour, price: 0.0168", f"unit: vcpu-hour, {SHAPED}", f"unit: vcpu-hour, window: tenant-month, {SHAPED}"],
    "memory_mib": ["unit: GiB-hour, price: 0.0039, power: powered-on"],
    "disk_gib": ["unit: GiB-hour, price: 0.0001"],
    "machine": ["unit: machine-hour, price: 0.02", "unit: machine-month, price: 5, proration: whole, frequency: recurring"],
}  # fmt: skip


def card_of(chance: Random, zone: str) -> RateCard:
    rates = []
    for tier in TIERS:
        for metric, bodies in BODIES.items():
            name, body = f"{metric.replace('_', '-')}-{tier}", chance.choice(bodies)
            rates.append(f"{{id: {name}, tier: {tier}, metric: {metric}, valid_from: 2026-01-01, {body}}}")
    text = (
        "rate_cards:\n  test:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
        f"    time_zone: {zone}\n    recorded_at: 1970-01-01T00:00:00Z\n    rates:\n"
    )
    (card,) = load_rate_cards({"card.yaml": text + "".join(f"      - {r}\n" for r in rates)}, TIERS)
    return card


def terms_of(chance: Random, moments: list[int]) -> Terms:
    """Some for all tenants and some for one; some learnt late, and some in the place of another."""
    found: list[Term] = []
    for number in range(chance.randint(0, 4)):
        kind, body = chance.choice([
            ("percentage_discount", {"percent": "12.5"}), ("credit", {"amount": "30", "currency": "EUR"}),
            ("minimum", {"amount": "500", "currency": "EUR", "cost_centre": "cc"}),
            ("maximum", {"amount": "40", "currency": "EUR"}),
        ])  # fmt: skip
        alone = kind == "minimum" or chance.random() < 0.7
        before = [term for term in found if type(term) is kinds()[kind]]
        recorded_at = chance.choice([0, *moments])
        head = {
            "name": f"t-{number}", "kind": kind, "recorded_at": recorded_at,
            "applies_to": {"tenants": [chance.choice(TENANTS)]} if alone else {},
            "valid_from": chance.choice(["2026-08", "2026-09", "2026-10"]),
            "replaces": [t.name for t in before[-1:] if t.recorded_at < recorded_at],
        }  # fmt: skip
        found.append(kinds()[kind].model_validate(head | body))
    return Terms(adjustments=tuple(found))


class Months:
    """Machines of three tenants over three months; each month is known at two moments."""

    def __init__(self, seed: int, zone: str) -> None:
        chance = Random(seed)
        self.periods = months(BillingPeriod.parse("2026-09", zone), 3)
        self.moments = [period.t_to + chance.randrange(5 * DAY) for period in self.periods]
        self.card, self.terms = card_of(chance, zone), terms_of(chance, self.moments)
        start, end = self.periods[0].t_from, self.moments[-1]
        facts = []
        for number in range(chance.randint(3, 7)):
            machine, at = f"m-{number}", chance.randrange(start, start + 40 * DAY)
            facts += born(chance, machine, at)
            for sequence in range(2, chance.randint(2, 6)):
                happens = chance.randrange(at + 1, end)
                facts.append(
                    happening(chance, machine, sequence, happens, chance.randrange(happens, end + 1))
                )
        rows: list[Any] = []
        for moment in sorted({*self.moments, *(fact.recorded_at for fact in facts)}):
            known = [fact for fact in facts if fact.recorded_at <= moment]
            rows += reconcile(rows, intervals(known, moment), recorded_at=moment, source="orders")
        self.table = to_table(rows)

    def known(self, number: int, terms: Terms | None = None) -> Known:
        return Known(self.card, self.moments[number], self.terms if terms is None else terms)

    def everything(self, period: BillingPeriod, *sides: Known) -> list[Any]:
        """The difference of two bills of all tenants, from all usage there is."""
        before, after = (rated(self.table, known, period) for known in sides)
        return corrections(before, after)


cases = st.builds(Months, st.integers(0, 2**32), st.sampled_from(["UTC", "Europe/Berlin"]))


@given(cases)
@few
def test_rating_the_tenants_concerned_is_rating_all_of_them_twice(case: Months) -> None:
    usage = UsageTable(case.table)
    for before, after in ((0, 1), (1, 2), (0, 2)):
        for period in case.periods[: before + 1]:
            sides = case.known(before), case.known(after)
            assert late(usage, period, *sides) == case.everything(period, *sides)


@given(cases, st.integers(0, 2**32))
@few
def test_terms_that_are_written_later_correct_what_a_full_recompute_does(case: Months, seed: int) -> None:
    usage, some = UsageTable(case.table), case.terms.adjustments
    count = Random(seed).randint(0, len(some))
    names = {term.name for term in some[:count]}
    old = tuple(term for term in some[:count] if set(term.replaces) <= names)
    sides = case.known(0, Terms(adjustments=old)), case.known(1)
    assert late(usage, case.periods[0], *sides) == case.everything(case.periods[0], *sides)


class Counting(UsageTable):
    """Usage that notes whose rows were asked for."""

    def __init__(self, table: Any) -> None:
        super().__init__(table)
        self.asked: set[str] | None = set()

    def of(self, period: BillingPeriod, machines: Collection[str] | None = None) -> Any:
        """See `UsageTable`; None means that all were."""
        self.asked = None if machines is None or self.asked is None else self.asked | set(machines)
        return super().of(period, machines)


def test_a_discount_for_everybody_does_not_have_the_machines_of_other_tenants_rated_again() -> None:
    case, chance = Months(1, "UTC"), Random(2)
    period, learnt = case.periods[0], case.moments[0] + 1
    discount = kinds()["percentage_discount"].model_validate(
        {"name": "t", "kind": "percentage_discount", "percent": "10", "valid_from": "2026-08", "recorded_at": 0}
    )  # fmt: skip
    facts = [fact for n in range(9) for fact in born(chance, f"m-{n}", period.t_from)]
    tenant_of = {fact.machine: fact.tenant for fact in facts if fact.tenant}
    resized = happening(Random(5), "m-3", 2, period.t_from + DAY, learnt)
    rows: list[Any] = []
    for moment, known in ((case.moments[0], facts), (learnt, [*facts, resized])):
        rows += reconcile(rows, intervals(known, moment), recorded_at=moment, source="orders")
    usage = Counting(to_table(rows))
    sides = [Known(case.card, at, Terms(adjustments=(discount,))) for at in (case.moments[0], learnt)]
    found = late(usage, period, *sides)
    payers = {tenant_of["m-3"], *({resized.tenant} - {None})}
    assert (
        usage.asked
        == {machine for machine, tenant in tenant_of.items() if tenant in payers}
        != set(tenant_of)
    )
    assert found == corrections(*(rated(to_table(rows), known, period) for known in sides)) != []


def test_a_discount_that_came_late_for_one_tenant_concerns_that_one() -> None:
    case = Months(3, "UTC")
    usage, period = UsageTable(case.table), case.periods[0]
    body = {
        "kind": "percentage_discount",
        "percent": "10",
        "valid_from": "2026-08",
        "recorded_at": case.moments[1],
    }
    make = kinds()["percentage_discount"].model_validate
    one, all_ = make({**body, "name": "a", "applies_to": {"tenants": ["zoo"]}}), make({**body, "name": "b"})

    def scope(*terms: Any) -> Any:
        # Nothing but terms is learnt between: no row was recorded in that second.
        sides = (Known(case.card, case.moments[1] + at, Terms(adjustments=terms)) for at in (-1, 0))
        return concerned(usage, period, *sides)

    assert scope(one).tenants >= {"zoo"}
    assert scope(one) != ALL
    assert scope(all_) == ALL
