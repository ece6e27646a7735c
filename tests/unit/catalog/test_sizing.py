"""Right-sizing by hand, and percentiles against numpy and pandas."""

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catalog.estates import Estate, EstateMachine, PowerState, Utilization
from catalog.estates.percentiles import Series, summarised, utilization
from catalog.estates.sizing import Activity, Bounds, SizingPolicy, activity, resized, rightsize
from catalog.resources import ResourceClass

BITBRAINS = (
    Path(__file__).parents[3] / ".." / "shared" / "data" / "bitbrains" / "rnd-2013-q3-hourly.parquet"
)
MONTH = {"percentile": 95.0, "samples": 720, "hours": 720}


def machine(
    vcpus: int = 8, memory_mib: int = 16384, power: PowerState = PowerState.ON, **use: Any
) -> EstateMachine:
    return EstateMachine(
        id="m", name="m", vcpus=vcpus, memory_mib=memory_mib, power=power, provisioned_mib=2048,
        utilization=Utilization(**{**MONTH, **use}),
    )  # fmt: skip


def policy(
    vcpu: dict[str, Any] | None = None, memory_mib: dict[str, Any] | None = None, **others: Any
) -> SizingPolicy:
    return SizingPolicy.model_validate({"vcpu": vcpu or {}, "memory_mib": memory_mib or {}, **others})


def test_the_usual_policy_by_hand() -> None:
    """8 x 0.30 x 1.2 = 2.88, so 3 vCPU; 16384 x 0.60 x 1.2 = 11796.5, so 12 GiB, above the half that is kept."""
    found = rightsize(machine(cpu_percent=30, memory_percent=60), SizingPolicy())
    assert (found.resources.vcpu, found.resources.memory_mib, found.resources.disk_gib) == (3, 12288, 2)
    assert (found.saved[ResourceClass.VCPU], found.saved[ResourceClass.MEMORY_MIB]) == (5, 4096)
    assert found.reason == "8 vCPU to 3 vCPU: 30 % used; 16 GiB of memory to 12 GiB: 60 % used"
    assert (found.confidence, found.activity, found.is_changed) == (1, Activity.ACTIVE, True)


@pytest.mark.parametrize(
    ("was", "percent", "bounds", "expected"),
    [
        (10, 50, {"headroom_percent": 20}, 6),  # exactly 6: no hair above
        (10, 50.0001, {"headroom_percent": 20}, 7),
        (8, 30, {"headroom_percent": 0}, 3),  # 2.4
        (8, 30, {"headroom_percent": 0, "step": 4}, 4),
        (8, 0, {}, 1),
        (8, 0, {"smallest": 2}, 2),
        (1, 0, {"smallest": 2}, 1),  # it is smaller today, and is not made larger for that
        (8, 100, {"headroom_percent": 50}, 12),
        (8, 100, {"headroom_percent": 50, "largest": 10}, 10),
        (16, 100, {"headroom_percent": 50, "largest": 10}, 16),  # it is larger today, and needs it
        (
            16,
            40,
            {"headroom_percent": 50, "largest": 8},
            10,
        ),  # 9.6: larger than any new one, but less than today
        (8, 110, {"headroom_percent": 0}, 9),  # 8.8: bursts above its own size
        (8, 10, {"keep_percent": 50}, 4),
        (7, 10, {"keep_percent": 50}, 4),
        (8, 10, {"largest_cut_percent": 25}, 6),
        (8, 10, {"largest_cut_percent": 0}, 8),
        (8, 70, {"headroom_percent": 0, "smallest_change": 2}, 6),
        (8, 80, {"headroom_percent": 0, "smallest_change": 2}, 8),  # 7 is one less: not worth it
        (8, 112, {"headroom_percent": 0, "smallest_change": 2}, 8),
        (8, 113, {"headroom_percent": 0, "smallest_change": 2}, 10),
        (7, 95, {"headroom_percent": 0, "step": 4}, 7),  # 6.65 fits into 7, which is no step
        (7, 101, {"headroom_percent": 0, "step": 4}, 8),
        (0, 50, {}, 0),
    ],
)
def test_each_bound_by_hand(was: int, percent: float, bounds: dict[str, Any], expected: int) -> None:
    found = rightsize(machine(vcpus=was, cpu_percent=percent, memory_percent=50), policy(bounds))
    assert found.resources.vcpu == expected, found.reason


def test_the_bound_that_was_met_is_named() -> None:
    found = rightsize(
        machine(cpu_percent=1, memory_percent=1), policy({"largest_cut_percent": 50}, {"keep_percent": 75})
    )
    assert "4 vCPU: 1 % used, largest_cut_percent 50" in found.reason
    assert "to 12 GiB: 1 % used, keep_percent 75" in found.reason


def test_use_beyond_all_reason_ends_at_the_largest_amount_there_is() -> None:
    found = rightsize(machine(cpu_percent=1e308, memory_percent=5e-324), SizingPolicy())
    assert (found.resources.vcpu, found.resources.memory_mib) == (96_000, 8192)  # 8 x 1,000,000 % x 1.2
    found = rightsize(
        machine(vcpus=2**53, memory_mib=2**53, cpu_percent=1e308, memory_percent=100), SizingPolicy()
    )
    assert (found.resources.vcpu, found.resources.memory_mib) == (2**53, 2**53)


def test_nothing_grows_where_that_is_not_allowed() -> None:
    found = rightsize(machine(cpu_percent=100, memory_percent=100), policy(may_grow=False))
    assert found.resources == found.was
    assert "vCPU kept: 100 % used, may_grow: false" in found.reason


@pytest.mark.parametrize(
    ("use", "age_days", "said"),
    [
        ({"cpu_percent": 5, "samples": 167}, 0, "kept: it has 167 samples, the policy wants 168"),
        ({"cpu_percent": 5, "samples": 1}, 0, "kept: it has 1 sample, the policy wants 168"),
        ({"cpu_percent": 5, "samples": 0}, 0, "kept: the source does not say how many samples it has, the policy wants 168"),
        ({"cpu_percent": 5, "hours": 167}, 0, "kept: its window is 167 hours, the policy wants 168"),
        ({"cpu_percent": 5, "percentile": 50.0}, 0, "kept: its use is a percentile of 50, the policy wants 95"),
        ({"cpu_percent": 5}, 46, "kept: its use was measured 46 days ago, the policy takes 45"),
        ({}, 0, "kept: its use is not known"),
        ({"cpu_percent": 5, "power": PowerState.OFF}, 0, "kept: it is off, so nothing is known of its need"),
    ],
)  # fmt: skip
def test_a_size_is_kept_where_the_data_do_not_do(use: dict[str, Any], age_days: int, said: str) -> None:
    found = rightsize(machine(**use), SizingPolicy(), age_days)
    assert (found.resources, found.confidence, found.reason) == (found.was, 0, said)


def test_of_one_resource_that_is_not_known_the_size_is_kept() -> None:
    found = rightsize(machine(cpu_percent=50), SizingPolicy())
    assert (found.resources.vcpu, found.resources.memory_mib) == (5, 16384)
    assert found.reason.endswith("memory kept: its use is not known")


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ({}, 1),
        ({"hours": 360}, 0.5),  # half a month
        ({"samples": 360}, 0.5),  # a sample every two hours
        ({"hours": 360, "samples": 180}, 0.25),
        ({"percentile": None}, 0.5),
        ({"hours": 7200, "samples": 7200}, 1),
    ],
)
def test_confidence_by_hand(use: dict[str, Any], expected: float) -> None:
    assert rightsize(machine(cpu_percent=50, **use), SizingPolicy()).confidence == expected


def test_idle_and_zombie_machines_are_named_by_thresholds_of_the_policy() -> None:
    idle = SizingPolicy().idle
    cases: list[tuple[EstateMachine, Activity]] = [
        (machine(cpu_percent=5.1, memory_percent=5.1), Activity.ACTIVE),
        (machine(cpu_percent=5, memory_percent=50), Activity.IDLE),
        (machine(cpu_percent=50, memory_percent=1), Activity.IDLE),
        (machine(cpu_percent=0, memory_percent=0.1), Activity.IDLE),
        (machine(cpu_percent=0, memory_percent=0), Activity.ZOMBIE),
        (machine(cpu_percent=0), Activity.ZOMBIE),
        (machine(memory_percent=9), Activity.ACTIVE),
        (machine(), Activity.UNKNOWN),
        (machine(cpu_percent=90, power=PowerState.OFF), Activity.OFF),
        (machine(cpu_percent=90, power=PowerState.SUSPENDED), Activity.OFF),
        (machine(cpu_percent=90, power=PowerState.UNKNOWN), Activity.ACTIVE),
    ]
    assert [activity(one, idle) for one, _ in cases] == [expected for _, expected in cases]
    strict = SizingPolicy.model_validate({"idle": {"cpu_percent": 60}}).idle
    assert activity(machine(cpu_percent=60, memory_percent=50), strict) is Activity.IDLE


def test_an_estate_with_new_sizes_keeps_everything_else() -> None:
    busy = machine(cpu_percent=30, memory_percent=60)
    off = machine(power=PowerState.OFF).model_copy(update={"id": "off"})
    before = Estate(name="e", source="s", machines=(busy, off), templates=3)
    after = resized(before, [rightsize(one, SizingPolicy()) for one in before.machines])
    assert [(one.vcpus, one.memory_mib) for one in after.machines] == [(3, 12288), (8, 16384)]
    assert after.machines[0].utilization == Utilization()
    assert after.machines[1] == off
    assert after.model_copy(update={"machines": before.machines}) == before


def every_policy() -> Iterator[Bounds]:
    for step, smallest, largest, keep, change, cut in product(
        (1, 4), (1, 6), (None, 10), (0, 50), (0, 3), (100, 30)
    ):
        yield Bounds(
            headroom_percent=Decimal(15), step=step, smallest=smallest, largest=largest,
            keep_percent=Decimal(keep), smallest_change=change, largest_cut_percent=Decimal(cut),
        )  # fmt: skip


def test_more_use_never_gives_less_under_any_bounds() -> None:
    for bounds, grow, was in product(every_policy(), (True, False), (1, 5, 8, 13)):
        of = SizingPolicy(vcpu=bounds, may_grow=grow)
        sizes = [
            rightsize(machine(vcpus=was, cpu_percent=percent), of).resources.vcpu
            for percent in (0, 7, 19.5, 33, 50, 70, 87, 99, 100, 101, 130, 400)
        ]
        assert sizes == sorted(sizes), (bounds, grow, was)
        assert min(sizes) > 0


def some_series(seed: int, machines: int, samples: int) -> Series:
    chance = np.random.default_rng(seed)
    percent = np.where(
        chance.random(samples) < 0.3, chance.integers(0, 4, samples) * 25.0, chance.random(samples) * 120
    )
    percent[chance.random(samples) < 0.05] = np.nan
    return Series(
        chance.integers(0, machines, samples).astype(np.int64),
        chance.integers(0, 10**7, samples).astype(np.int64),
        percent,
    )


@pytest.mark.parametrize("percentile", [0.5, 50, 90, 95, 99.9, 100])
def test_percentiles_are_those_of_numpy_and_pandas(percentile: float) -> None:
    series, machines = some_series(3, 40, 3000), 45
    found = summarised(series, machines, percentile)
    table = pd.DataFrame(series._asdict()).dropna()
    of_pandas = table.groupby("machine").percent.quantile(percentile / 100)
    for i in range(machines):
        values = series.percent[(series.machine == i) & ~np.isnan(series.percent)]
        assert found.samples[i] == len(values)
        if not len(values):
            assert math.isnan(found.percent[i])
            continue
        expected = np.percentile(values, percentile)
        assert found.percent[i] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found.percent[i] == pytest.approx(of_pandas[i], rel=1e-12, abs=1e-12)
        assert values.min() <= found.percent[i] <= values.max()


def test_a_percentile_by_hand_and_the_hours_that_samples_span() -> None:
    """Of 10, 20, 30, 40 the 95th stands at 3 x 0.95 = 2.85: 30 + 0.85 x 10. Four samples five minutes apart last 20 minutes."""
    at = np.array([0, 900, 300, 600], dtype=np.int64)
    one = Series(np.zeros(4, dtype=np.int64), at, np.array([10.0, 40.0, 20.0, 30.0]))
    found = summarised(one, 1, 95)
    assert (found.percent[0], found.samples[0], found.hours[0]) == (pytest.approx(38.5), 4, 0)
    assert summarised(one._replace(at=at * 12 * 24), 1, 95).hours[0] == 4 * 24
    assert summarised(Series(*(column[:1] for column in one)), 1, 95).hours[0] == 0


def test_columns_of_different_length_strange_machines_and_percentiles_are_refused() -> None:
    series = some_series(1, 4, 10)
    short = series.machine[:3]
    with pytest.raises(ValueError, match="as many entries"):
        summarised(series._replace(machine=short), 4, 95)
    with pytest.raises(ValueError, match="numbers from 0 to 2"):
        summarised(series, 3, 95)
    for wrong in (0, -1, 100.5, math.nan):
        with pytest.raises(ValueError, match="must be above 0 and at most 100"):
            summarised(series, 4, wrong)


def test_what_is_known_of_processors_and_memory_goes_together() -> None:
    nothing = Series(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    hours = np.arange(48, dtype=np.int64) * 3600
    cpu = Series(np.zeros(48, dtype=np.int64), hours, np.full(48, 12.5))
    memory = Series(np.zeros(24, dtype=np.int64), hours[:24], np.full(24, 30.0))
    first, second = utilization(cpu, memory, 2, 95)
    assert first == Utilization(cpu_percent=12.5, memory_percent=30, percentile=95, samples=24, hours=24)
    assert second == Utilization()
    assert utilization(cpu, nothing, 1, 95)[0] == Utilization(
        cpu_percent=12.5, percentile=95, samples=48, hours=48
    )


def test_a_real_data_centre_of_500_machines_is_sized_as_pandas_says() -> None:
    """Bitbrains, three months of hourly means: percentiles by pandas, sizes by fractions written out here."""
    if not BITBRAINS.is_file():
        pytest.skip("the Bitbrains trace is not here; it is one of the shared samples")
    table = pd.read_parquet(BITBRAINS)
    table = table[(table.cores_max > 0) & (table.mem_cap_kb_max > 0) & (table.cpu_cap_mhz > 0)]
    table["cpu"] = table.cpu_use_mhz_avg / table.cpu_cap_mhz * 100
    table["memory"] = table.mem_use_kb_avg / table.mem_cap_kb_max * 100
    names = {vm: i for i, vm in enumerate(sorted(table.vm.unique()))}
    owner = table.vm.map(names).to_numpy(np.int64)
    at = table.hour_ts.to_numpy(np.int64)
    found = utilization(
        Series(owner, at, table.cpu.to_numpy()), Series(owner, at, table.memory.to_numpy()), len(names), 95
    )
    quantiles = table.groupby("vm")[["cpu", "memory"]].quantile(0.95)
    last = table.sort_values("hour_ts").groupby("vm").last()
    policy_ = SizingPolicy()
    saved, was = 0, 0
    for vm, i in names.items():
        assert found[i].cpu_percent == pytest.approx(quantiles.cpu[vm], rel=1e-9)
        assert found[i].memory_percent == pytest.approx(quantiles.memory[vm], rel=1e-9)
        vcpus = int(last.cores_max[vm])
        one = EstateMachine(
            id=str(vm), name=str(vm), power=PowerState.ON, vcpus=vcpus,
            memory_mib=int(last.mem_cap_kb_max[vm]) // 1024, utilization=found[i],
        )  # fmt: skip
        sized = rightsize(one, policy_)
        if found[i].samples >= 168 and found[i].hours >= 168:
            needed = max(1, math.ceil(vcpus * Fraction(repr(found[i].cpu_percent)) * 120 / 10_000))
            assert sized.resources.vcpu == needed
        else:
            assert sized.resources == sized.was
        saved, was = saved + sized.saved[ResourceClass.VCPU], was + vcpus
    assert len(names) == 500
    assert (saved, was) == (458, 1416)
