"""What must hold for every life of machines and every order in which facts arrive."""

from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.metering import intervals, reconcile
from chargeback.money import Rounding, divided, nanos_from_text, nanos_to_text, split
from chargeback.usage import UsageInterval, from_table, to_table

UNTIL = 1000

sizes = st.builds(
    Resources,
    vcpu=st.integers(0, 4), memory_mib=st.integers(0, 3), disk_gib=st.integers(0, 2),
)  # fmt: skip
tenants = st.sampled_from(["shop", "bank"])
tiers = st.sampled_from(["tier-1", "tier-2"])
changes = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["powered_on", "powered_off"])}),
    st.fixed_dictionaries({"kind": st.just("resized"), "resources": sizes}),
    st.fixed_dictionaries(
        {"kind": st.just("owner_changed"), "tenant": tenants, "cost_centre": st.just("cc")}
    ),
    st.fixed_dictionaries({"kind": st.just("moved"), "tier": tiers, "pool": st.just("pool-b")}),
)


@st.composite
def lives(draw: Any, machine: str = "m") -> list[MachineEvent]:
    """A valid life: created first, perhaps deleted last, anything between.

    The creation is known from the start, everything else is learnt at any time after it happened.
    """
    moments = sorted(draw(st.lists(st.integers(0, UNTIL), min_size=1, max_size=8)))
    bodies: list[dict[str, Any]] = [
        {
            "kind": "created", "resources": draw(sizes), "tenant": draw(tenants), "cost_centre": "cc",
            "tier": draw(tiers), "pool": "pool-a",
        }
    ]  # fmt: skip
    bodies += [draw(changes) for _ in moments[1:]]
    if len(moments) > 1 and draw(st.booleans()):
        bodies[-1] = {"kind": "deleted"}
    return [
        MachineEvent.model_validate(
            body | {"machine": machine, "sequence": i, "at": at, "source": "test"}
            | {"recorded_at": at + draw(st.integers(0, 300)) if i else 0}
        )
        for i, (at, body) in enumerate(zip(moments, bodies, strict=True))
    ]  # fmt: skip


def naive(life: list[MachineEvent], second: int) -> dict[tuple[str, ...], int]:
    """What the machine has in one second, replayed one fact after another without any interval."""
    state: dict[str, Any] | None = None
    for fact in sorted(life, key=lambda fact: (fact.at, fact.sequence)):
        if fact.at > second:
            break
        said = {k: v for k, v in fact.model_dump().items() if v is not None}
        if fact.kind == "created":
            state = said | {"power": "off"}
        elif fact.kind == "deleted":
            state = None
        elif state is not None:
            power = {"powered_on": "on", "powered_off": "off"}.get(fact.kind, state["power"])
            state = state | said | {"power": power}
    if state is None:
        return {}
    amounts = {**state["resources"], "machine": 1}
    stamps = (state["tenant"], state["tier"], state["pool"], state["power"])
    return {(metric, *stamps): amount for metric, amount in amounts.items() if amount}


def at_second(rows: list[UsageInterval], second: int) -> dict[tuple[str, ...], int]:
    net: dict[tuple[str, ...], int] = {}
    for row in rows:
        if row.t_from <= second < row.t_to:
            key = (row.metric.value, row.tenant, row.tier, row.pool, row.power.value)
            net[key] = net.get(key, 0) + row.quantity
    return {key: amount for key, amount in net.items() if amount}


@given(lives(), st.integers(0, UNTIL - 1))
def test_in_every_second_the_intervals_say_what_replaying_the_facts_says(
    life: list[MachineEvent], second: int
) -> None:
    assert at_second(intervals(life, UNTIL), second) == naive(life, second)


@given(lives(), st.randoms())
def test_the_order_in_which_facts_arrive_does_not_matter(life: list[MachineEvent], random: Random) -> None:
    shuffled = life * 2
    random.shuffle(shuffled)
    assert intervals(shuffled, UNTIL) == intervals(life, UNTIL)


@given(lives())
def test_no_two_intervals_of_a_metric_share_time_and_equal_neighbours_are_one(
    life: list[MachineEvent],
) -> None:
    rows = intervals(life, UNTIL)
    for metric in {row.metric for row in rows}:
        for one, other in pairwise(row for row in rows if row.metric is metric):
            assert one.t_to <= other.t_from
            same = {(r.tenant, r.cost_centre, r.tier, r.pool, r.power, r.quantity) for r in (one, other)}
            assert one.t_to < other.t_from or len(same) == 2


@st.composite
def histories(draw: Any) -> tuple[list[MachineEvent], list[tuple[int, int]]]:
    """A life, and growing moments at which the store was brought up to date: (known at, until)."""
    life = draw(lives())
    moments = sorted(draw(st.lists(st.integers(0, 1300), max_size=4, unique=True)))
    return life, [(moment, min(moment, UNTIL)) for moment in moments] + [(1400, UNTIL)]


def known(life: list[MachineEvent], moment: int) -> list[MachineEvent]:
    return [fact for fact in life if fact.recorded_at <= moment]


def recorded(life: list[MachineEvent], runs: list[tuple[int, int]]) -> list[UsageInterval]:
    stored: list[UsageInterval] = []
    for moment, until in runs:
        wanted = intervals(known(life, moment), until)
        stored += reconcile(stored, wanted, recorded_at=moment, source="run")
    return stored


@given(histories())
def test_whatever_batches_facts_came_in_the_store_ends_as_one_recomputation(history: Any) -> None:
    life, runs = history
    stored = recorded(life, runs)
    wanted = intervals(life, UNTIL)
    assert reconcile(stored, wanted, recorded_at=1400, source="again") == []
    for second in {row.t_from for row in [*stored, *wanted]} | {row.t_to for row in [*stored, *wanted]}:
        assert at_second(stored, second) == at_second(wanted, second)


@given(histories(), st.randoms())
def test_reconciling_does_not_depend_on_the_order_of_rows(history: Any, random: Random) -> None:
    life, runs = history
    stored = recorded(life, runs[:-1])
    wanted = intervals(life, UNTIL)
    rows = reconcile(stored, wanted, recorded_at=1400, source="run")
    random.shuffle(stored)
    random.shuffle(wanted)
    assert reconcile(stored, wanted, recorded_at=1400, source="run") == rows


@given(histories())
def test_what_was_stored_is_never_edited_and_numbered_without_gaps(history: Any) -> None:
    life, runs = history
    stored = recorded(life, runs)
    assert [row.sequence for row in stored] == list(range(len(stored)))
    for moment, until in runs:
        then = [row for row in stored if row.recorded_at <= moment]
        wanted = intervals(known(life, moment), until)
        assert reconcile(then, wanted, recorded_at=moment, source="again") == []


@given(lives())
def test_arrow_and_back_is_the_same_history(life: list[MachineEvent]) -> None:
    rows = intervals(life, UNTIL)
    assert from_table(to_table(rows)) == rows


@given(st.integers(-(10**30), 10**30))
def test_nanos_survive_their_text(nanos: int) -> None:
    assert nanos_from_text(nanos_to_text(nanos)) == nanos


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20), st.sampled_from(list(Rounding)))
@settings(max_examples=300)
def test_a_rounded_amount_is_a_nearest_one(numerator: int, denominator: int, rounding: Any) -> None:
    rounded = divided(numerator, denominator, rounding)
    off = abs(Fraction(numerator, denominator) - rounded)
    assert off <= Fraction(1, 2)
    if off == Fraction(1, 2) and rounding is Rounding.HALF_EVEN:
        assert rounded % 2 == 0
    if off == Fraction(1, 2) and rounding is Rounding.HALF_UP:
        assert abs(rounded) > abs(Fraction(numerator, denominator))
    assert divided(-numerator, denominator, rounding) == -rounded


@given(st.integers(-(10**20), 10**20), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_the_parts_of_a_split_add_up_and_none_is_off_by_a_whole_unit(
    total: int, weights: list[int]
) -> None:
    if not any(weights):
        weights = [*weights, 1]
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert part == 0 or weight > 0
