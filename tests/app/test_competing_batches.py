"""Many batches compete for pools that become full; the room is counted again by other means."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

ROOMY = {"hosts": 1, "host_vcpu": 24, "host_memory_mib": 2**20, "disk_gib": 900}
"""Per provider; processors and disk run out, and the simulated hypervisors refuse no plan of ours."""

TIGHT = {"hosts": 2, "host_vcpu": 12, "host_memory_mib": 65536, "disk_gib": 900}
"""Memory runs out too, and as the hypervisors do not overcommit it, they refuse machines themselves."""

KINDS = ("web-small", "web-medium", "app-medium", "build-agent", "batch-worker", "db-small")
TENANTS = ("web-shop", "dev-platform", "research", "finance-apps")


def capacity(acme: Any) -> dict[str, tuple[int, int, int]]:
    """What each pool may hold, from the simulation's options and the catalog's entry alone."""
    found = {}
    for name, pool in acme.app.documents.catalog.pools.items():
        options = acme.endpoint(pool.endpoint).options
        hosts = int(options["hosts"])
        total = {
            "vcpu": hosts * int(options["host_vcpu"]),
            "memory_mib": hosts * int(options["host_memory_mib"]),
            "disk_gib": int(options["disk_gib"]),
        }
        ratio = {rc.value: Fraction(str(r)) for rc, r in pool.allocation_ratio.items()}
        found[name] = tuple(
            int((total[rc] - getattr(pool.reserved, rc)) * ratio.get(rc, 1)) for rc in total
        )
    return found


def check(acme: Any) -> None:
    """No pool holds more than it has, and what it holds is what its delivered orders asked for."""
    room = capacity(acme)
    for pool, held in acme.held().items():
        assert all(have <= most for have, most in zip(held, room[pool], strict=True)), (pool, held, room)
    query = (
        "SELECT pool, sum(json_extract(request, '$.resources.vcpu')), "
        "sum(json_extract(request, '$.resources.memory_mib')), "
        "sum(json_extract(request, '$.resources.disk_gib')) "
        "FROM order_ WHERE status IN ('placed', 'delivered') GROUP BY pool"
    )
    assert acme.held() == {pool: tuple(sums) for pool, *sums in acme.rows(query)}


def check_ends(acme: Any, rows: list[Any]) -> None:
    """Every order is delivered or refused, or failed because the hypervisor itself had no room."""
    for row in rows:
        if row.status not in {"delivered", "refused"}:
            assert row.status == "failed"
            assert ["SIM_NO_MEMORY" in why.why for why in acme.why(row)] == [True], acme.why(row)


def some_orders(acme: Any, chance: random.Random, prefix: str, count: int) -> list[Any]:
    return [
        acme.order(f"{prefix}-{n}", chance.choice(KINDS), tenant=chance.choice(TENANTS), order_id=UUID(
            int=chance.getrandbits(128)))
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("size", [ROOMY, TIGHT], ids=["roomy", "tight"])
def test_batch_after_batch_no_pool_ever_holds_more_than_it_has(estate: Any, size: dict[str, int]) -> None:
    chance = random.Random(1)
    refused = delivered = 0
    with estate(**size).running() as acme:
        for batch in range(8):
            rows = acme.submit(*some_orders(acme, chance, f"vm-{batch}", chance.randint(4, 12)))
            check_ends(acme, rows)
            delivered += sum(row.status == "delivered" for row in rows)
            refused += sum(row.status == "refused" for row in rows)
            check(acme)
        assert refused > 5, "the pools must become full, or this proves nothing"
        assert sum(len(found) for found in acme.machines().values()) == delivered


def test_batches_at_the_same_moment_share_the_room_and_none_gets_what_another_has(estate: Any) -> None:
    chance = random.Random(3)
    with estate(**ROOMY).running() as acme:
        batches = [some_orders(acme, chance, f"at-once-{n}", 12) for n in range(6)]
        gate = threading.Barrier(len(batches))

        def submit(orders: list[Any]) -> list[Any]:
            gate.wait()
            return acme.submit(*orders)

        with ThreadPoolExecutor(len(batches)) as pool:
            results = list(pool.map(submit, batches))
        rows = [row for rows in results for row in rows]
        assert [acme.why(row) for row in rows if row.status not in {"delivered", "refused"}] == []
        assert {row.status for row in rows} == {"delivered", "refused"}
        check(acme)
        delivered = sum(row.status == "delivered" for row in rows)
        assert sum(len(found) for found in acme.machines().values()) == delivered


def test_growing_machines_and_new_orders_at_the_same_moment_share_the_room(estate: Any) -> None:
    from catalog.resources import Resources
    from tierwise.errors import NoPlace
    from tierwise.usecases import change

    with estate(**ROOMY).running() as acme:
        names = [f"db-{n}" for n in range(4)]
        acme.submit(*(acme.order(name, "db-small", tenant="finance-apps") for name in names))
        more = [acme.order(f"late-{n}", "db-small", tenant="finance-apps", vcpu=6) for n in range(4)]
        gate = threading.Barrier(len(names) + 1)
        room = []

        def grow(name: str) -> None:
            gate.wait()
            try:
                change.resize(acme.app, UUID(int=int(name[-1]) + 1), name, Resources(vcpu=10))
            except NoPlace as error:
                room.append(str(error))

        with ThreadPoolExecutor(len(names) + 1) as pool:
            growing = [pool.submit(grow, name) for name in names]
            gate.wait()
            acme.submit(*more)
            for each in growing:
                each.result()
        machines = "SELECT pool, sum(vcpu) FROM machine WHERE state = 'active' GROUP BY pool"
        held = {pool: amounts[0] for pool, amounts in acme.held().items()}
        assert dict(acme.rows(machines)) == held
        assert all(vcpu <= capacity(acme)[pool][0] for pool, vcpu in held.items())
        assert room, "some must be refused, or this proves nothing"
