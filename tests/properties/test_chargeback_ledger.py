"""Late facts by the hundred: rating what changed is rating everything, and every cent can be explained."""

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import EventKind, MachineEvent
from chargeback.explain import Explanation, explain, recompute
from chargeback.late import Known, UsageTable, late, rated
from chargeback.metering import intervals, reconcile
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod, months
from chargeback.rates import UNITS, PowerRule, Rate, RateCard
from chargeback.statements import Line, Statement, corrections, with_corrections
from chargeback.usage import Metric, UsageInterval, to_table

ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe")
TENANTS = ("bank", "shop", "zoo")
TIERS = ("tier-1", "tier-2")
DAY = 86_400

# Each example rates three months several times, a second of work; facts are dozens in each.
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def card_of(chance: Random, zone: str, closes: list[int]) -> RateCard:
    """Prices of two tiers; some change in the middle of a month, and some of those are learnt late."""
    rates = []
    for tier in TIERS:
        for metric in Metric:
            fields: dict[str, Any] = {
                "tier": tier, "metric": metric, "unit": chance.choice(sorted(UNITS[metric])),
                "power": chance.choice(list(PowerRule)),
            }  # fmt: skip
            name = f"{metric.value.replace('_', '-')}-{tier}"
            rates.append(
                Rate(id=name, rate_nanos=chance.randrange(10**9), valid_from=0, recorded_at=0, **fields)
            )
            if chance.random() < 0.3:
                rates.append(
                    Rate(
                        id=f"{name}-new", rate_nanos=chance.randrange(10**9), replaces=(name,),
                        valid_from=chance.randrange(closes[0] - 50 * DAY, closes[-1]),
                        recorded_at=chance.choice([1, *(close + DAY for close in closes)]), **fields,
                    )
                )  # fmt: skip
    return RateCard(
        name="any", version=1, currency="EUR", minor_digits=2, time_zone=zone,
        rounding=chance.choice(list(Rounding)), rates=tuple(rates),
    )  # fmt: skip


def born(chance: Random, machine: str, at: int) -> list[MachineEvent]:
    body = {"machine": machine, "at": at, "recorded_at": at, "source": "order"}
    resources = Resources(
        vcpu=chance.randint(1, 64), memory_mib=chance.randint(1, 10**6), disk_gib=chance.randint(1, 10**4)
    )
    stamps = {
        "tenant": chance.choice(TENANTS),
        "cost_centre": "cc",
        "tier": chance.choice(TIERS),
        "pool": "p",
    }
    return [
        MachineEvent.model_validate(
            body | {"sequence": 0, "kind": EventKind.CREATED, "resources": resources, **stamps}
        ),
        MachineEvent.model_validate(body | {"sequence": 1, "kind": EventKind.POWERED_ON}),
    ]


def happening(chance: Random, machine: str, sequence: int, at: int, recorded_at: int) -> MachineEvent:
    """Anything that can happen to a machine, learnt at once or much later."""
    kind = chance.choice([
        EventKind.RESIZED, EventKind.OWNER_CHANGED, EventKind.MOVED, EventKind.RELABELLED,
        EventKind.POWERED_OFF, EventKind.POWERED_ON,
    ])  # fmt: skip
    fields: dict[EventKind, dict[str, Any]] = {
        EventKind.RESIZED: {
            "resources": Resources(vcpu=chance.randint(1, 9), memory_mib=4096, disk_gib=10)
        },
        EventKind.OWNER_CHANGED: {"tenant": chance.choice(TENANTS), "cost_centre": "cc"},
        EventKind.MOVED: {"tier": chance.choice(TIERS), "pool": chance.choice("pq")},
        EventKind.RELABELLED: {"labels": {"class": chance.choice(["web", "db"])}},
    }
    return MachineEvent.model_validate(
        {"machine": machine, "sequence": sequence, "kind": kind, "at": at, "recorded_at": recorded_at,
         "source": "change"} | fields.get(kind, {})
    )  # fmt: skip


class History:
    """Some machines over three months that are closed one after the other, with facts learnt at any time."""

    def __init__(self, seed: int, zone: str) -> None:
        chance = Random(seed)
        self.periods = months(BillingPeriod.parse("2026-09", zone), 3)
        self.closes = [period.t_to + chance.randrange(5 * DAY) for period in self.periods]
        self.card = card_of(chance, zone, self.closes)
        start, end = self.periods[0].t_from, self.closes[-1]
        facts = []
        for number in range(chance.randint(2, 5)):
            machine, at = f"m-{number}", chance.randrange(start, start + 40 * DAY)
            facts += born(chance, machine, at)
            for sequence in range(2, chance.randint(2, 9)):
                happens = chance.randrange(at + 1, end)
                facts.append(
                    happening(chance, machine, sequence, happens, chance.randrange(happens, end + 1))
                )
        self.rows = _metered(facts, sorted({*self.closes, *(fact.recorded_at for fact in facts)}))
        self.usage = UsageTable(to_table(self.rows))

    def known(self, number: int) -> Known:
        return Known(self.card, self.closes[number])

    def all_rated(self, number: int, known: Known) -> list[Statement]:
        """A month from all usage there is, however late it was learnt."""
        return rated(to_table(self.rows), known, self.periods[number])

    def statements(self, number: int) -> list[Statement]:
        """The month's statements, with corrections by way of rating only what changed."""
        late_ = [
            correction
            for earlier in range(number)
            for correction in late(
                self.usage, self.periods[earlier], self.known(number - 1), self.known(number)
            )
        ]
        own = rated(self.usage.of(self.periods[number]), self.known(number), self.periods[number])
        return with_corrections(own, late_, self.periods[number], self.card)


def _metered(facts: list[MachineEvent], moments: list[int]) -> list[UsageInterval]:
    stored: list[UsageInterval] = []
    for moment in moments:
        known = [fact for fact in facts if fact.recorded_at <= moment]
        stored += reconcile(stored, intervals(known, moment), recorded_at=moment, source="orders")
    return stored


histories = st.builds(History, st.integers(0, 2**32), st.sampled_from(ZONES))


@given(histories)
@few
def test_rating_only_what_was_learnt_about_is_rating_everything_twice(history: History) -> None:
    for number in (1, 2):
        before, after = history.known(number - 1), history.known(number)
        for earlier in range(number):
            period = history.periods[earlier]
            everything = corrections(history.all_rated(earlier, before), history.all_rated(earlier, after))
            assert late(history.usage, period, before, after) == everything


@given(histories)
@few
def test_all_that_was_ever_stated_of_a_month_adds_up_to_what_is_known_of_it_now(history: History) -> None:
    stated = [s for number in range(3) for s in history.statements(number)]
    last = history.known(2)
    for number, period in enumerate(history.periods):
        for tenant in TENANTS:
            own = [
                line.amount_minor
                for s in stated
                if s.tenant == tenant and s.period == period
                for line in s.lines
            ]
            later = [
                c.amount_minor for s in stated for c in s.corrections
                if c.tenant == tenant and c.corrects.startswith(period.name)
            ]  # fmt: skip
            known = [s.total_minor for s in history.all_rated(number, last) if s.tenant == tenant]
            assert sum(own) + sum(later) == sum(known)


@given(histories)
@few
def test_each_line_and_each_correction_is_recomputed_to_the_cent_from_its_explanation(
    history: History,
) -> None:
    for number in range(3):
        known = history.known(number)
        before = history.known(number - 1) if number else None
        for statement in history.statements(number):
            for item in (*statement.lines, *statement.corrections):
                charge = item.charge if isinstance(item, Line) else (item.after or item.before).charge
                usage = history.usage.of(charge.period, [charge.machine])
                found = explain(item, usage, known, before=before)
                read = Explanation.model_validate_json(found.model_dump_json())
                assert recompute(read) == item.amount_minor
                assert all(side.pieces for side in read.sides)
