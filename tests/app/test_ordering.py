"""From an order to a machine that runs, or to a refusal with every reason."""

from typing import Any
from uuid import UUID

import pytest

from connectors.contract import PowerState
from tierwise.errors import InvalidInput
from tierwise.usecases.order import again, explained

BATCH = (
    ("pay-db", "db-medium", {"tenant": "payroll"}),
    ("shop-01", "web-small", {}),
    ("shop-02", "web-small", {"disk_gib": 60}),
    ("ci-01", "build-agent", {"tenant": "dev-platform"}),
    ("sap-01", "sap-app", {"tenant": "finance-apps"}),
)


def test_a_batch_is_placed_delivered_and_running_at_the_hypervisors(acme: Any) -> None:
    rows = acme.submit(*(acme.order(name, offering, **wishes) for name, offering, wishes in BATCH))
    assert [row.machine_name for row in rows] == [name for name, _, _ in BATCH]
    assert {row.status for row in rows} == {"delivered"}
    pools = acme.app.documents.catalog.pools
    machines = acme.machines()
    assert set(machines) == {name for name, _, _ in BATCH}
    for row in rows:
        ((endpoint, vm),) = machines[row.machine_name]
        assert (vm.identity, vm.power) == (UUID(row.id), PowerState.ON)
        assert (endpoint, vm.provider) == (pools[row.pool].endpoint, pools[row.pool].provider)
        assert pools[row.pool].tier == row.tier
    sizes = {name: acme.machine(name).resources for name in machines}
    assert (sizes["pay-db"].vcpu, sizes["pay-db"].memory_mib, sizes["pay-db"].disk_gib) == (8, 65536, 500)
    assert sizes["shop-02"].disk_gib == 60
    assert next(row.tier for row in rows if row.machine_name == "pay-db") == "tier-1"


def test_what_the_books_hold_of_each_pool_is_what_its_machines_have(acme: Any) -> None:
    acme.submit(*(acme.order(name, offering, **wishes) for name, offering, wishes in BATCH))
    pool_of = {(p.endpoint, p.provider): p.name for p in acme.app.documents.catalog.pools.values()}
    counted: dict[str, tuple[int, int, int]] = {}
    for ((endpoint, vm),) in acme.machines().values():
        pool, size = pool_of[endpoint, vm.provider], vm.resources
        before = counted.get(pool, (0, 0, 0))
        counted[pool] = (before[0] + size.vcpu, before[1] + size.memory_mib, before[2] + size.disk_gib)
    assert acme.held() == counted


def test_submitting_the_same_batch_again_changes_nothing(acme: Any) -> None:
    orders = [acme.order("shop-01"), acme.order("ci-01", "build-agent", tenant="dev-platform")]
    first = acme.submit(*orders)
    events, creates = acme.rows("SELECT * FROM machine_event"), _creates(acme)
    acme.clock.set(acme.clock.now().replace(hour=23))
    assert acme.submit(*orders) == first
    assert acme.rows("SELECT * FROM machine_event") == events
    assert _creates(acme) == creates
    assert {name: len(found) for name, found in acme.machines().items()} == {"shop-01": 1, "ci-01": 1}


def _creates(acme: Any) -> int:
    return sum(len(acme.calls(name, "create_vm")) for name in acme.app.endpoints.names)


def test_the_same_batch_is_not_made_again_after_a_restart(estate: Any) -> None:
    acme = estate()
    with acme.running():
        first = acme.submit(acme.order("shop-01"))
    with acme.running():
        assert acme.submit(acme.order("shop-01")) == first
    assert _creates(acme) == 1


def test_a_machine_name_in_use_refuses_the_whole_batch_and_nothing_is_written(acme: Any) -> None:
    acme.deliver("shop-01")
    before = acme.rows("SELECT count(*) FROM order_"), acme.rows("SELECT count(*) FROM batch"), acme.held()
    clash = acme.order("shop-01", order_id=UUID(int=7), tenant="marketing")
    twice = [acme.order("shop-09", order_id=UUID(int=n)) for n in (8, 9)]
    with pytest.raises(InvalidInput, match="nothing was ordered") as caught:
        acme.submit(acme.order("shop-02"), clash, *twice)
    details = "\n".join(caught.value.details)
    assert "'shop-01' is in use by tenant 'web-shop'; choose another" in details
    assert "'shop-09' stands twice in this batch" in details
    assert before == (
        acme.rows("SELECT count(*) FROM order_"),
        acme.rows("SELECT count(*) FROM batch"),
        acme.held(),
    )
    assert set(acme.machines()) == {"shop-01"}


def test_an_order_id_used_twice_refuses_the_batch(acme: Any) -> None:
    one, other = (acme.order(name, order_id=UUID(int=5)) for name in ("shop-01", "shop-02"))
    with pytest.raises(InvalidInput) as caught:
        acme.submit(one, other, batch="same")
    assert any(str(UUID(int=5)) in detail for detail in caught.value.details)
    acme.submit(one, batch="first")
    with pytest.raises(InvalidInput) as caught:
        acme.submit(other, batch="second")
    assert caught.value.details == (f"order {UUID(int=5)} was placed before",)
    assert set(acme.machines()) == {"shop-01"}


def test_a_refused_order_says_why_for_every_pool(acme: Any) -> None:
    restricted = acme.order("pay-db", "db-small", tenant="payroll", data="restricted", tier="tier-3")
    (row,) = acme.submit(restricted)
    assert (row.status, row.pool, row.price_minor) == ("refused", None, None)
    reasons: dict[str, list[str]] = {}
    for rejection in acme.why(row):
        reasons.setdefault(rejection.pool, []).append(rejection.rule_id)
        assert rejection.why
        assert rejection.remedy
    assert set(reasons) == set(acme.app.documents.catalog.pools)
    assert {"data-residency", "restricted-at-tier-1", "db-tier-floor"} <= set(reasons["hosted-nl"])
    assert acme.machines() == {}
    assert acme.held() == {}
    shown = explained(acme.app, "pay-db")
    assert {candidate["pool"] for candidate in shown["candidates"]} == set(reasons)


def test_orders_beyond_the_quota_are_refused_with_the_numbers_and_the_rest_is_delivered(acme: Any) -> None:
    # directory-services may have 640 GiB of disk: eight domain controllers of 80 GiB.
    orders = [acme.order(f"dc-{n}", "domain-controller", tenant="directory-services") for n in range(1, 10)]
    rows = acme.submit(*orders)
    assert [row.status for row in rows] == ["delivered"] * 8 + ["refused"]
    (disk,) = [r for r in acme.why(rows[-1]) if r.dimension == "disk_gib"]
    assert (disk.limit, disk.need) == ("640", "720")
    assert "directory-services" in disk.why
    (alone,) = acme.submit(acme.order("dc-10", "domain-controller", tenant="directory-services"))
    assert alone.status == "refused"
    assert len(acme.machines()) == 8


def test_every_problem_of_every_order_is_named_and_nothing_is_ordered(acme: Any) -> None:
    orders = [
        acme.order("shop-01"),
        acme.order("shop-02", "web-huge"),
        acme.order("shop-03", tenant="nobody"),
        acme.order("pay-db", "db-small", tenant="payroll", vcpu=3, memory_mib=1, colour="red"),
        acme.order("shop-04", tier="tier-9"),
    ]
    with pytest.raises(InvalidInput) as caught:
        acme.submit(*orders)
    found = {detail.partition(":")[0] for detail in caught.value.details}
    assert found == {"shop-02", "shop-03", "pay-db", "shop-04"}
    of_database = [detail for detail in caught.value.details if detail.startswith("pay-db")]
    assert {word for word in ("vcpu", "memory_mib", "colour") if any(word in d for d in of_database)} == {
        "vcpu",
        "memory_mib",
        "colour",
    }
    assert acme.rows("SELECT * FROM batch") == []
    assert acme.machines() == {}


def test_an_order_that_insists_on_a_tier_gets_it_though_another_is_cheaper(acme: Any) -> None:
    free, insisting = acme.submit(acme.order("shop-01"), acme.order("shop-02", tier="tier-1"))
    assert insisting.tier == "tier-1"
    assert free.tier != "tier-1"
    assert free.price_minor < insisting.price_minor


def test_ordering_again_what_was_refused_is_a_new_order_with_the_same_wishes(acme: Any) -> None:
    wishes = {"tenant": "payroll", "data": "restricted", "tier": "tier-3", "vcpu": 8}
    (refused,) = acme.submit(acme.order("pay-db", "db-small", **wishes))
    for number in (1, 2):
        order = again(acme.app, "pay-db", UUID(int=number))
        assert (order.id, order.tier) == (UUID(int=number), "tier-3")
        assert dict(order.parameters) == {"data": "restricted", "vcpu": 8}
        (second,) = acme.submit(order)
        assert (second.status, second.id != refused.id) == ("refused", True)
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="only failed or refused ones are tried again"):
        again(acme.app, "shop-01", UUID(int=3))
