"""An estate becomes a forecast document: the same sums, names that are allowed, and everything left out is said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from math import log
from typing import Any

import pytest

from catalog.resources import ResourceClass
from placement.forecast.document import ForecastDocument, read_forecast
from tierwise.planner.forecast_estate import estate_document
from tierwise.usecases.forecast import run


@dataclass(frozen=True)
class Machine:
    pool: str
    vcpus: int
    memory_mib: int
    provisioned_mib: int = 0


@dataclass(frozen=True)
class Host:
    name: str
    pool: str
    cores: int = 10
    memory_mib: int = 100_000
    in_maintenance: bool = False


@dataclass(frozen=True)
class Datastore:
    name: str
    capacity_mib: int
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Estate:
    machines: tuple[Machine, ...]
    hosts: tuple[Host, ...]
    datastores: tuple[Datastore, ...] = field(default=())

    def pool_of(self, machine: Machine) -> str:
        return machine.pool

    def hosts_of(self, pool: str) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.pool == pool)

    def pool_names(self) -> Iterator[str]:
        yield from dict.fromkeys(host.pool for host in self.hosts)


ESTATE = Estate(
    machines=(
        *(Machine("Prod A", 4, 8192, 10_240) for _ in range(10)),
        *(Machine("Prod A", 2, 4096, 1_000) for _ in range(3)),
        *(Machine("prod-a", 4, 8192, 20_480) for _ in range(10)),
        Machine("lost", 1, 1024),
        Machine("Prod A", 0, 0),
    ),
    hosts=(
        Host("h1", "Prod A"),
        Host("h2", "Prod A"),
        Host("h3", "Prod A", in_maintenance=True),
        Host("h4", "prod-a"),
    ),
    datastores=(Datastore("d1", 2_048_000, ("h1", "h2")), Datastore("d2", 1_024_000, ("h4",))),
)


def read(estate: Any, **more: Any) -> tuple[str, ForecastDocument]:
    text = estate_document(estate, start=date(2026, 12, 1), months=24, **more)
    return text, read_forecast(text, "estate.yaml")


def test_pools_hosts_and_machines_are_those_of_the_estate() -> None:
    _, found = read(ESTATE)
    first, second = found.problem.pools
    assert (first.name, second.name) == ("prod-a", "prod-a-2")
    # One of two hosts that run is kept; of a single host, none can be.
    assert first.limits().tolist() == [40, 100_000, 2000]
    assert second.limits().tolist() == [40, 100_000, 1000]
    assert counts(found, "prod-a") == {"c4-m8192-d10": 10, "c2-m4096-d1": 3}
    assert counts(found, "prod-a-2") == {"c4-m8192-d20": 10}


def counts(found: ForecastDocument, pool: str) -> dict[str, int]:
    return {one.workload_class: one.count for one in found.problem.machines[pool]}


def test_a_pool_needs_the_disk_of_its_own_machines_not_of_others_of_their_size() -> None:
    """10 machines of 10 GiB and 3 of 1,000 MiB here, 10 of 20 GiB there, of the same vCPU and memory."""
    _, found = read(ESTATE)
    first, second = run(found, runs=1).pools
    assert first.demand[ResourceClass.DISK_GIB].mean[0] == 10 * 10 + 3
    assert second.demand[ResourceClass.DISK_GIB].mean[0] == 10 * 20


def test_what_is_left_out_or_renamed_is_said() -> None:
    text, _ = read(ESTATE)
    for line in (
        "# left out: 1 machine in lost: no host that runs is known there, or no size of theirs",
        "# left out: 1 machine in Prod A:",
        "# pool prod-a is 'Prod A'",
        "# pool prod-a-2 is 'prod-a'",
        "# assumed: 4 vCPU to a core",
    ):
        assert line in text


def test_disk_is_left_out_where_one_pool_has_no_datastore_of_its_own() -> None:
    shared = Estate(ESTATE.machines, ESTATE.hosts, (Datastore("d1", 10**6, ("h1", "h4")),))
    text, found = read(shared)
    assert "# left out: datastore d1: 2 pools share it" in text
    assert "# left out: disk: no datastore is known of Prod A, prod-a" in text
    assert all(model.each.disk_gib == 0 for model in found.problem.models.classes.values())


def test_an_estate_that_only_grows_is_full_on_the_day_of_compound_interest() -> None:
    one = Estate(
        (*(Machine("a", 1, 1000) for _ in range(60)),), (Host("h1", "a"), Host("h2", "a", cores=25))
    )
    _, found = read(one, growth_percent_per_month=2.0, keeps_hosts=0)
    (pool,) = run(found, runs=2).pools
    assert pool.full.p50_months == pytest.approx(log(140 / 60) / log(1.02)) or pool.full.p50_months is None
    _, faster = read(one, growth_percent_per_month=5.0, keeps_hosts=0)
    assert run(faster, runs=2).pools[0].full.p50_months == pytest.approx(log(140 / 60) / log(1.05))


def test_the_estates_of_the_catalog_answer_what_is_asked() -> None:
    model = pytest.importorskip("catalog.estates.model", reason="this catalog has no estates")
    estate = model.Estate(
        name="e",
        source="by hand",
        machines=[
            {
                "id": f"{i}",
                "name": f"m{i}",
                "vcpus": 2,
                "memory_mib": 4096,
                "provisioned_mib": 4096,
                "host": "h1",
            }
            for i in range(7)
        ],
        hosts=[{"name": "h1", "pool": "A", "cores": 16, "memory_mib": 65_536}],
        datastores=[{"name": "d", "capacity_mib": 102_400, "hosts": ["h1"]}],
    )
    _, found = read(estate)
    assert found.problem.machines["a"][0].count == 7
    assert found.problem.pools[0].limits().tolist() == [64, 65_536, 100]
