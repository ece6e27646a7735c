"""Readers of two public traces, which skip where ../shared/data does not hold them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from chargeback.run_lengths import STAMPS, intervals_from_samples
from chargeback.samples import SCHEMA

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
AZURE = DATA / "azure-v1"
BITBRAINS = DATA / "bitbrains" / "rnd-2013-q3-hourly.parquet"

START = datetime(2026, 2, 27, 15, tzinfo=UTC)
"""When the Azure trace begins here: 32 hours before a month does in Amsterdam."""
COUNT = 500
BIN_S = 300
HOUR = 3600


@dataclass(frozen=True)
class Arrival:
    """One machine of the trace; `lives_s` is None where it outlived the trace."""

    number: int
    at: datetime
    tenant: str
    vcpu: int
    memory_mib: int
    lives_s: int | None

    @property
    def name(self) -> str:
        return f"vm-{self.number:03d}"

    @property
    def disk_gib(self) -> int:
        return 20 + 10 * self.vcpu

    @property
    def born(self) -> int:
        return int(self.at.timestamp())


def flavours() -> dict[str, tuple[int, int]]:
    """Letter -> vCPU, MiB."""
    found = {}
    for line in (AZURE / "resources_maps_flav_map.txt").read_text().splitlines():
        shape, letter = line.split()
        vcpu, memory_gib = shape.split(",")
        found[letter] = int(vcpu), int(float(memory_gib) * 1024)
    return found


def lifetimes() -> dict[int, tuple[int, int]]:
    """Bin -> the seconds from which and below which a lifetime is in it. The trace counts in 300 s."""
    found: dict[int, tuple[int, int]] = {}
    for line in (AZURE / "resources_maps_v1.interval_map.txt").read_text().splitlines():
        seconds, number = (int(part) for part in line.split())
        low = found[number][0] if number in found else seconds
        found[number] = low, seconds + BIN_S
    return found


def tenant_batches(line: str) -> tuple[int, list[list[str]]]:
    """The time of a line, and its batches."""
    seconds, _, rest = line.partition(" ")
    batches = [[item for item in part.split(",") if item] for part in rest.split("|")]
    return int(seconds), [batch for batch in batches if batch]


def read_arrivals() -> list[Arrival]:
    shapes, lives = flavours(), lifetimes()
    shape_lines = (AZURE / "resources_traces_v1.dev.txt").read_text().splitlines()
    life_lines = (AZURE / "resources_traces_v1.dev.c2100000.txt").read_text().splitlines()
    found: list[Arrival] = []
    first, batch_number = tenant_batches(shape_lines[0])[0], 0
    for shape_line, life_line in zip(shape_lines, life_lines, strict=True):
        seconds, batches = tenant_batches(shape_line)
        for n, (letters, bins) in enumerate(zip(batches, tenant_batches(life_line)[1], strict=True)):
            at = START + timedelta(seconds=seconds - first + BIN_S * n // len(batches))
            for letter, bin_name in zip(letters, bins, strict=True):
                i = len(found)
                low, high = lives[int(bin_name[1:])]
                lives_s = low + i * 7919 % (high - low) if bin_name[0] == "U" else None
                found.append(Arrival(i, at, f"tenant-{batch_number % 7}", *shapes[letter], lives_s))
                if len(found) == COUNT:
                    return found
            batch_number += 1
    raise AssertionError(len(found))


@pytest.fixture(scope="session")
def arrivals() -> list[Arrival]:
    """The first 500 machines of the Azure trace's dev part."""
    if not AZURE.is_dir():
        pytest.skip("the Azure trace is not here (../shared/data/azure-v1)")
    return read_arrivals()


# (tier, metric): price in nano-units before and from the change on 15 August 2013, 13:00 UTC.
CHANGE = int(datetime(2013, 8, 15, 13, tzinfo=UTC).timestamp())
PRICES = {
    ("tier-1", "vcpu"): (18_000_000, 19_500_000),
    ("tier-1", "memory_mib"): (4_200_000, 4_200_001),
    ("tier-2", "vcpu"): (9_400_000, 9_400_000),
    ("tier-2", "memory_mib"): (2_199_999, 2_300_007),
    ("tier-3", "vcpu"): (5_200_003, 5_100_000),
    ("tier-3", "memory_mib"): (1_300_000, 1_250_001),
}
UNIT = {"vcpu": "vcpu-hour", "memory_mib": "GiB-hour"}


@dataclass(frozen=True)
class Owner:
    """Whose a machine of the trace is; `machine` is its name in usage and bills."""

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str


@dataclass(frozen=True)
class Bitbrains:
    """The trace: a row for each of 1,015,860 hours of 500 machines."""

    table: Any

    @property
    def machines(self) -> list[int]:
        """The machines' numbers."""
        return sorted(pc.unique(self.table["vm"]).to_pylist())

    def usage(self, owners: Mapping[int, Owner]) -> Any:
        """The trace as usage intervals; memory is whole MiB, cut down from the trace's KiB."""
        names = pa.array([str(number) for number in owners])
        machine = pc.cast(self.table["vm"], pa.string())
        values = {
            "vcpu": pc.cast(self.table["cores_max"], pa.int64()),
            "memory_mib": pc.shift_right(self.table["mem_cap_kb_max"], 10),
        }
        owned = pc.take(
            pa.array([owner.machine for owner in owners.values()]), pc.index_in(machine, value_set=names)
        )
        samples = pa.concat_tables(
            pa.table(
                [
                    owned,
                    pa.repeat(metric, len(owned)),
                    pc.cast(self.table["hour_ts"], pa.int64()),
                    quantity,
                ],
                schema=SCHEMA,
            )
            for metric, quantity in values.items()
        )
        stamps = pa.Table.from_pylist([vars(owner) for owner in owners.values()], schema=STAMPS)
        return intervals_from_samples(samples, stamps, interval_s=HOUR, recorded_at=0, source="trace")

    def recount(self, zone: ZoneInfo, owners: Mapping[int, Owner]) -> dict[tuple[str, str, str], int]:
        """Nano-units x 1024 per month, machine and rate: a plain loop over every machine-hour."""
        month_of = {
            hour: datetime.fromtimestamp(hour, zone).strftime("%Y-%m")
            for hour in pc.unique(self.table["hour_ts"]).to_pylist()
        }
        found: dict[tuple[str, str, str], int] = defaultdict(int)
        columns = (
            self.table[name].to_pylist() for name in ("vm", "hour_ts", "cores_max", "mem_cap_kb_max")
        )
        for number, hour, cores, memory_kib in zip(*columns, strict=True):
            month, owner, after = month_of[hour], owners[number], hour >= CHANGE
            key, tier = (month, owner.machine), owner.tier
            found[*key, f"vcpu-{tier}-{after:d}"] += cores * PRICES[tier, "vcpu"][after] * 1024
            memory_mib = memory_kib // 1024
            found[*key, f"memory-{tier}-{after:d}"] += memory_mib * PRICES[tier, "memory_mib"][after]
        return {key: amount for key, amount in found.items() if amount}

    def card(self, time_zone: str) -> str:
        """The rate card, as a document."""
        rates = []
        for (tier, metric), prices in PRICES.items():
            name = f"{metric.removesuffix('_mib')}-{tier}"
            spans = (
                "valid_from: '2013-01-01T00:00:00Z', valid_to: '2013-08-15T13:00:00Z'",
                "valid_from: '2013-08-15T13:00:00Z'",
            )
            rates += [
                f"{{id: {name}-{i}, tier: {tier}, metric: {metric}, unit: {UNIT[metric]}, "
                f"price: '0.{nanos:09d}', {spans[i]}}}"
                for i, nanos in enumerate(prices)
            ]
        return (
            "rate_cards:\n  trace:\n    version: 1\n    currency: EUR\n    minor_digits: 2\n"
            f"    time_zone: {time_zone}\n    recorded_at: 2013-01-01T00:00:00Z\n    rates:\n"
        ) + "".join(f"      - {line}\n" for line in rates)


@pytest.fixture(scope="session")
def owner() -> type[Owner]:
    return Owner


@pytest.fixture(scope="session")
def bitbrains() -> Bitbrains:
    if not BITBRAINS.exists():
        pytest.skip("the Bitbrains trace is not here (../shared/data/bitbrains)")
    return Bitbrains(pq.read_table(BITBRAINS, columns=["vm", "hour_ts", "cores_max", "mem_cap_kb_max"]))
