from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.metering import InvalidLives, intervals, meter, reconcile
from chargeback.usage import InvalidUsage, UsageInterval, checked_table, from_table, to_table

HOUR = 3600
BIGGER = Resources(vcpu=4, memory_mib=4096, disk_gib=50)


def brief(rows: Any, metric: str) -> list[tuple[int, int, int, str, str, str]]:
    return [
        (r.t_from // HOUR, r.t_to // HOUR, r.quantity, r.power.value, r.tenant, r.tier)
        for r in rows
        if r.metric == metric
    ]


def test_a_life_becomes_one_interval_for_each_stretch_in_which_nothing_changed(
    event: Callable[..., MachineEvent],
) -> None:
    life = [
        event(0, "created", 0),
        event(1, "powered_on", 1 * HOUR),
        event(2, "resized", 3 * HOUR, resources=BIGGER),
        event(3, "moved", 5 * HOUR, tier="tier-2", pool="pool-b"),
        event(4, "owner_changed", 6 * HOUR, tenant="bank", cost_centre="cc-2"),
        event(5, "powered_off", 7 * HOUR),
        event(6, "deleted", 9 * HOUR),
    ]
    rows = intervals(life, until=100 * HOUR)
    assert brief(rows, "vcpu") == [
        (0, 1, 2, "off", "shop", "tier-1"),
        (1, 3, 2, "on", "shop", "tier-1"),
        (3, 5, 4, "on", "shop", "tier-1"),
        (5, 6, 4, "on", "shop", "tier-2"),
        (6, 7, 4, "on", "bank", "tier-2"),
        (7, 9, 4, "off", "bank", "tier-2"),
    ]
    # The resize changed only vcpu, so the others have no cut at hour 3.
    assert [row[:3] for row in brief(rows, "memory_mib")][:2] == [(0, 1, 4096), (1, 5, 4096)]
    assert [row[:3] for row in brief(rows, "machine")][:2] == [(0, 1, 1), (1, 5, 1)]


def test_a_machine_that_still_lives_is_metered_up_to_the_given_moment(
    event: Callable[..., MachineEvent],
) -> None:
    life = [event(0, "created", 0), event(1, "powered_on", 10 * HOUR)]
    assert brief(intervals(life, 5 * HOUR), "machine") == [(0, 5, 1, "off", "shop", "tier-1")]
    assert intervals(life, 0) == []


def test_what_a_machine_has_none_of_gives_no_interval(event: Callable[..., MachineEvent]) -> None:
    life = [event(0, "created", 0, resources=Resources(vcpu=1, memory_mib=512, disk_gib=0))]
    assert brief(intervals(life, HOUR), "disk_gib") == []


def test_facts_may_come_twice_and_in_any_order(event: Callable[..., MachineEvent]) -> None:
    life = [event(0, "created", 0), event(1, "powered_on", 0), event(2, "deleted", HOUR)]
    assert intervals([life[2], life[0], life[1], life[0]], HOUR) == intervals(life, HOUR)
    assert brief(intervals(life, HOUR), "vcpu") == [(0, 1, 2, "on", "shop", "tier-1")]


def test_a_wrong_fact_is_replaced_in_its_place(event: Callable[..., MachineEvent]) -> None:
    life = [
        event(0, "created", HOUR),
        event(1, "powered_on", HOUR),
        event(2, "created", HOUR, tenant="bank", cost_centre="cc-2", replaces=0, recorded_at=9 * HOUR),
    ]
    assert brief(intervals(life, 2 * HOUR), "vcpu") == [(1, 2, 2, "on", "bank", "tier-1")]
    known_before = [fact for fact in life if fact.recorded_at <= 5 * HOUR]
    assert brief(intervals(known_before, 2 * HOUR), "vcpu") == [(1, 2, 2, "on", "shop", "tier-1")]


def test_every_contradiction_of_every_machine_is_named_at_once(event: Callable[..., MachineEvent]) -> None:
    facts = [
        event(0, "resized", 0, resources=BIGGER),
        event(1, "created", HOUR),
        event(2, "deleted", 2 * HOUR),
        event(3, "powered_on", 3 * HOUR),
        event(4, "created", 4 * HOUR),
        event(1, "deleted", 5 * HOUR, machine="web-2"),
        event(2, "powered_on", HOUR, machine="web-3"),
        event(3, "created", HOUR, machine="web-3"),
        event(3, "created", HOUR, machine="web-3", tenant="bank"),
        event(4, "deleted", 2 * HOUR, machine="web-3", replaces=1),
        event(1, "created", HOUR, machine="web-4"),
    ]
    with pytest.raises(InvalidLives) as caught:
        intervals(facts, 10 * HOUR)
    assert {(p.machine, p.code) for p in caught.value.problems} == {
        ("web-1", "before-creation"),
        ("web-1", "created-twice"),
        ("web-1", "after-deletion"),
        ("web-2", "never-created"),
        ("web-3", "before-creation"),
        ("web-3", "sequence-twice"),
        ("web-3", "replaces-unknown"),
    }
    assert "in the second of the creation" in str(caught.value)
    metered = meter(facts, 10 * HOUR)
    assert {row.machine for row in metered.intervals} == {"web-4"}
    assert metered.problems == caught.value.problems


def test_replacing_a_fact_twice_asks_for_the_newer_one(event: Callable[..., MachineEvent]) -> None:
    facts = [
        event(0, "created", 0),
        event(1, "created", 0, tenant="bank", replaces=0),
        event(2, "created", 0, tenant="farm", replaces=0),
    ]
    with pytest.raises(InvalidLives, match="replace the newer one"):
        intervals(facts, HOUR)
    chained = [*facts[:2], event(2, "created", 0, tenant="farm", replaces=1)]
    assert {row.tenant for row in intervals(chained, HOUR)} == {"farm"}


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("resized", {}, "'resized' needs resources"),
        ("owner_changed", {"tenant": "bank"}, "'owner_changed' needs cost_centre"),
        ("powered_on", {"tier": "tier-2"}, "'powered_on' takes no tier"),
        ("moved", {"tier": "tier-2", "pool": "p", "tenant": "bank"}, "'moved' takes no tenant"),
        ("deleted", {"replaces": 1}, "must be an earlier fact"),
    ],
)
def test_a_fact_says_what_its_kind_says_and_no_more(
    event: Callable[..., MachineEvent], kind: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        event(1, kind, 0, **fields)


def test_a_late_owner_change_takes_back_and_adds_only_what_differs(
    event: Callable[..., MachineEvent],
) -> None:
    life = [event(0, "created", 0), event(1, "powered_on", 0)]
    stored = reconcile([], intervals(life, 10 * HOUR), recorded_at=10 * HOUR, source="first")
    late = event(2, "owner_changed", 4 * HOUR, tenant="bank", cost_centre="cc-2", recorded_at=12 * HOUR)
    rows = reconcile(
        stored, intervals([*life, late], 10 * HOUR), recorded_at=12 * HOUR, source="owner change"
    )
    assert sorted(brief(rows, "vcpu")) == [
        (4, 10, -2, "on", "shop", "tier-1"),
        (4, 10, 2, "on", "bank", "tier-1"),
    ]
    assert {row.recorded_at for row in rows} == {12 * HOUR}
    sequences = [row.sequence for row in [*stored, *rows]]
    assert sequences == list(range(len(sequences)))


def test_time_going_on_appends_only_the_new_hours(event: Callable[..., MachineEvent]) -> None:
    life = [event(0, "created", 0)]
    stored = reconcile([], intervals(life, 10 * HOUR), recorded_at=10 * HOUR, source="hourly")
    rows = reconcile(stored, intervals(life, 11 * HOUR), recorded_at=11 * HOUR, source="hourly")
    assert brief(rows, "vcpu") == [(10, 11, 2, "off", "shop", "tier-1")]
    assert reconcile([*stored, *rows], intervals(life, 11 * HOUR), recorded_at=11 * HOUR, source="x") == []


def test_history_cannot_be_written_before_what_it_already_says(event: Callable[..., MachineEvent]) -> None:
    stored = reconcile([], intervals([event(0, "created", 0)], HOUR), recorded_at=9, source="s")
    with pytest.raises(ValueError, match="only grows forward"):
        reconcile(stored, [], recorded_at=8, source="s")


def test_intervals_survive_the_way_through_arrow(event: Callable[..., MachineEvent]) -> None:
    rows = intervals([event(0, "created", 0), event(1, "powered_on", HOUR)], 5 * HOUR)
    assert from_table(to_table(rows)) == rows
    assert from_table(to_table([])) == []


def test_a_table_that_is_no_usage_history_is_refused_with_the_reason(
    event: Callable[..., MachineEvent],
) -> None:
    table = to_table(intervals([event(0, "created", 0)], HOUR))
    with pytest.raises(InvalidUsage, match="no column tier, power"):
        checked_table(table.drop_columns(["tier", "power"]))
    names = table.column_names
    ends = table.set_column(names.index("t_to"), "t_to", table["t_from"])
    with pytest.raises(InvalidUsage, match="row 0: t_to must be after t_from"):
        checked_table(ends)
    texts = table.set_column(names.index("quantity"), "quantity", table["tenant"])
    with pytest.raises(InvalidUsage, match="another type"):
        checked_table(texts)
    empty = pa.table({**{n: table[n] for n in names}, "tenant": pa.nulls(4, pa.string())})
    with pytest.raises(InvalidUsage, match="column tenant has 4 empty values"):
        checked_table(empty)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quantity", 0, "must not be zero"),
        ("quantity", 1.5, "valid integer"),
        ("quantity", 2**53 + 1, "less than or equal"),
        ("t_to", 0, "must be after"),
        ("tenant", "Bad Name", "pattern"),
        ("metric", "cpu", "vcpu"),
    ],
)
def test_an_interval_that_cannot_be_is_refused(
    event: Callable[..., MachineEvent], field: str, value: object, message: str
) -> None:
    good = intervals([event(0, "created", 0)], HOUR)[0].model_dump()
    with pytest.raises(ValidationError, match=message):
        UsageInterval.model_validate(good | {field: value})
