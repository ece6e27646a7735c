"""Today's licences, worked out by hand where what one pool buys hangs on the other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner import today
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import solve_today
from tierwise.testing.tiny_planning import at_two_prices, least_licences, random_problem
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools

BOTH = DOCUMENT.replace("tier: tier-2, site", "tier: tier-2, hypervisor: vsphere, site").replace(
    "    tier: tier-2\n", "    tier: tier-2\n    hypervisor: vsphere\n"
)
"""Both pools run vSphere: 3 hosts and 2, each of two sockets with 8 cores, of which standard counts 16 each."""


def bought(asked: Callable[..., Prepared], economics: str) -> dict[str, tuple[str, int]]:
    prepared = asked(document=BOTH, economics=economics)
    built = prepared.built(())
    found = today.licences_today(built, today.counts_today(built))
    return {"+".join(one.covered): (one.alternative, one.cost_micros // 10**6) for one in found}


CASES = {
    "minimum": ("order_minimum: 200", "18", {"Alpha": ("plus", 48 * 18 * 12), "Beta": ("plus", 32 * 18 * 12)}),
    "dear plus": ("order_minimum: 72", "22", {"Alpha+Beta": ("standard", 160 * 120)}),
    # A hundred packs are paid for: Alpha takes 96 of them, and for Beta the 64 of which 4 are left cost more than plus.
    "owned": ("owned: [{packs: 100, until: 2030-01-01}]", "18", {"Alpha": ("standard", 0), "Beta": ("plus", 32 * 18 * 12)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tried", [4096, 1])
def test_the_cheapest_legal_way_is_found_by_trying_all_or_by_improving(
    asked: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch, case: str, tried: int
) -> None:
    more, price, expected = CASES[case]
    monkeypatch.setattr(today, "_TRIED", tried)
    text = ECONOMICS.replace("per_socket_minimum: 16,", f"per_socket_minimum: 16, {more},").replace(
        "amount: 18", f"amount: {price}"
    )
    assert bought(asked, text) == expected


REGIONS = BOTH.replace("site: north}", "site: north, region: DE}").replace(
    "    hypervisor: vsphere\n", "    hypervisor: vsphere\n    region: US\n"
)
DEARER_IN_US = "{value: 10, changes: [{value: 11, region: US}]}"
MEMORY = "add_on: {name: gib, amount: memory_gib, granted: 3, prices: [{amount: 5, period: month}]}"


@pytest.mark.parametrize(
    ("price", "more", "expected"),
    [
        # 48 cores at 10 and 32 at 10 or 11, for twelve months.
        ("10", "", {"Alpha": 48 * 120, "Beta": 32 * 120}),
        (DEARER_IN_US, "", {"Alpha": 48 * 120, "Beta": 32 * 132}),
        # The order's minimum is asked once: the 120 that 80 lack are bought where a core costs 10.
        (DEARER_IN_US, ", order_minimum: 200", {"Alpha": 168 * 120, "Beta": 32 * 132}),
        (DEARER_IN_US, ", order_minimum: 80", {"Alpha": 48 * 120, "Beta": 32 * 132}),
        # In packs of 20, whole ones are bought at their price, two and one; of the four that 80 take the last costs the less.
        (DEARER_IN_US, ", pack_size: 20, pack_scope: order", {"Alpha": 60 * 120, "Beta": 20 * 132}),
        (DEARER_IN_US, ", pack_size: 20, pack_scope: scope", {"Alpha": 60 * 120, "Beta": 40 * 132}),
        ("10", ", pack_size: 20, pack_scope: order", {"Alpha+Beta": 80 * 120}),
        # Alpha has 384 GiB and Beta 256; a core brings 3 along that cost 5 each, so that 128 and 85 are bought, and 1 GiB.
        (DEARER_IN_US, f", order_minimum: 200, {MEMORY}", {"Alpha": 128 * 120, "Beta": 85 * 132 + 60}),
        # Of the 87 that then lack one costs 11 and spares 5.
        (DEARER_IN_US, f", order_minimum: 300, {MEMORY}", {"Alpha": 214 * 120, "Beta": 86 * 132}),
        # One price everywhere is one order: 60 packs of 80 are owned.
        ("10", ", owned: [{packs: 60, until: 2030-01-01}]", {"Alpha+Beta": 20 * 120}),
    ],
)
def test_regions_are_one_order_each_at_its_price(
    asked: Callable[..., Prepared], price: str, more: str, expected: dict[str, int]
) -> None:
    built = asked(document=REGIONS, economics=one_way(f"metric: per_core{more}", price)).built(())
    found = today.licences_today(built, today.counts_today(built))
    assert {"+".join(one.covered): one.cost_micros // 10**6 for one in found} == expected
    assert built.licensing.sunk_micros == (60 * 120 * 10**6 if "owned" in more else 0)


@pytest.mark.parametrize(
    ("places", "tiers"),
    [
        # Both stand at a site that is called as one of them: the licence is everybody's.
        ({"north": "Alpha", "south": "Alpha"}, {"all tiers": 80 * 120, "tier-1": 0, "tier-2": 0}),
        # Beta's site is called as Alpha's region: its licence is tier-2's alone.
        ({"north": "north, region: south"}, {"tier-1": 48 * 120, "tier-2": 32 * 120}),
    ],
)
def test_a_sites_licence_is_its_tiers_whatever_else_is_called_so(
    asked: Callable[..., Prepared], places: dict[str, str], tiers: dict[str, int]
) -> None:
    document = BOTH
    for was, now in places.items():
        document = document.replace(f"site: {was}", f"site: {now}")
    economics = one_way("metric: per_core").replace("whole_pool: true", "reach: site")
    prepared = asked(document=document, economics=economics)
    beside = {"tier-1": 3 * 1200 + 480, "tier-2": 2 * 1200 + 120}  # Hosts, and 800 and 200 GiB at 0.6.
    found = {one.tier: one.cost_micros // 10**6 for one in solve_today(prepared, Limits()).tiers}
    assert found == {tier: licences + beside.get(tier, 0) for tier, licences in tiers.items()}


def one_way(metric: str, price: str = "10") -> str:
    """The small estate's prices, with one way to license its hypervisor."""
    ways = f"      - {{name: core, {metric}, prices: [{{amount: {price}, period: month}}]}}\n"
    return ECONOMICS.partition("      - {name: standard")[0] + ways


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("per_core, owned: [{packs: 60, until: 2030-01-01}]", "'core' has 60 packs owned"),
        ("per_principal, principals: 40", "'core' has 40 principals"),
    ],
)
def test_what_is_owned_and_people_are_not_counted_in_each_regions_order(
    asked: Callable[..., Prepared], more: str, said: str
) -> None:
    text = one_way(f"metric: {more}", DEARER_IN_US)
    with pytest.raises(InvalidInput, match=rf"unused: licences.suite: {said}, and is another order in US"):
        asked(document=REGIONS, economics=text).built(())
    # Where one region has all pools that need it, contracts are sunk once, and owned once.
    built = asked(
        document=REGIONS,
        economics=text.replace(
            "match: {hypervisors: [vsphere]", "match: {hypervisors: [vsphere], pools: [Alpha]"
        ),
    ).built(())
    (licence,) = today.licences_today(built, today.counts_today(built))
    assert licence.cost_micros == (0 if "owned" in more else 40 * 120 * 10**6)
    assert built.licensing.sunk_micros == (60 * 120 * 10**6 if "owned" in more else 0)


@pytest.mark.parametrize(("whole_pool", "cores"), [("true", 48), ("false", 48 + 32)])
def test_of_whole_pools_those_are_licensed_that_have_any_of_the_machines(
    asked: Callable[..., Prepared], whole_pool: str, cores: int
) -> None:
    """Windows runs on Alpha alone, and could reach Beta."""
    text = one_way("metric: per_core").replace("layer: hypervisor", "layer: guest\n    reach: estate")
    text = text.replace(
        "{hypervisors: [vsphere]}\n    whole_pool: true",
        f"{{guest_os: [win]}}\n    whole_pool: {whole_pool}",
    )
    estate = two_pools()
    first = estate.machines[0].model_copy(update={"guest_os": "win"})
    prepared = asked(
        document=BOTH,
        economics=text,
        estate=estate.model_copy(update={"machines": (first, *estate.machines[1:])}),
    )
    built = prepared.built(())
    (licence,) = today.licences_today(built, today.counts_today(built))
    assert licence.units == cores


@pytest.mark.parametrize("seed", range(60))
def test_todays_licences_are_the_cheapest_of_all_that_are_tried(seed: int) -> None:
    problem = random_problem(seed, products=2)
    problem = replace(problem, products=tuple(replace(one, parts=False) for one in problem.products))
    groups, hosts = problem.groups, problem.blocks.existing
    counts = np.zeros_like(groups.allowed, dtype=np.int64)
    here = np.flatnonzero(groups.current >= 0)
    counts[here, groups.current[here]] = groups.count[here]
    dearer = tuple(replace(one, parts=False) for one in at_two_prices(seed).products)
    for asked in (problem, replace(problem, products=dearer)):
        found = [today._Order(asked, members, counts, hosts).cheapest() for members in asked.orders]
        cost = sum(one.cost_micros for some in found for several in some.values() for one in several)
        assert cost == (least_licences(asked, counts, hosts) or 0)


def test_memory_is_counted_to_the_last_mib(asked: Callable[..., Prepared]) -> None:
    """A unit covers 128 GiB of a host: hosts with a MiB more need two."""
    estate = two_pools()
    hosts = [one.model_copy(update={"memory_mib": one.memory_mib + 1}) for one in estate.hosts]
    text = one_way("metric: per_coverage_unit, unit_covers: {memory_gib: 128}")
    for known, units in ((estate, 3), (estate.model_copy(update={"hosts": tuple(hosts)}), 6)):
        built = asked(economics=text, estate=known).built(())
        (licence,) = today.licences_today(built, today.counts_today(built))
        assert licence.units == units


def test_raw_storage_of_hosts_is_what_their_pool_says_and_a_note_where_it_says_nothing(
    asked: Callable[..., Prepared],
) -> None:
    text = one_way("metric: per_amount, amount: raw_storage_gib, unit_amount: 1024")
    silent = asked(economics=text)
    assert any(
        "count raw_storage_gib, and nobody says how much the hosts of Alpha, Beta have" in one
        for one in silent.notes
    )
    document = DOCUMENT.replace("site: north}", "site: north, raw_storage_gib: 1500}")
    told = asked(economics=text, document=document)
    assert any("hosts of Beta have: none is counted; say it in the pool" in one for one in told.notes)
    assert not any("raw_storage_gib" in one for one in asked().notes)
    for prepared, units in ((silent, 0), (told, 5)):  # 3 x 1500 GiB are 4.4 TiB.
        built = prepared.built(())
        (licence,) = today.licences_today(built, today.counts_today(built))
        assert licence.units == units


def test_what_an_estate_does_not_say_of_hosts_is_not_counted_as_if_it_did(
    asked: Callable[..., Prepared],
) -> None:
    factors = one_way("metric: per_core, core_factor_thousandths: {R760: 500}")
    with pytest.raises(InvalidInput, match="'core' of 'suite' has no factor of 'hosts'; add it"):
        asked(economics=factors).built(())
    with pytest.raises(
        InvalidInput, match=r"counts tib of hosts.*or count one of memory_gib, raw_storage_gib"
    ):
        asked(economics=one_way("metric: per_amount, amount: tib")).built(())
    estate = two_pools()
    hosts = tuple(one.model_copy(update={"sockets": 0}) for one in estate.hosts)
    prepared = asked(estate=estate.model_copy(update={"hosts": hosts}))
    assert "5 hosts do not say how many sockets there are, and licences count one for each" in " ".join(
        prepared.notes
    )


def test_rules_that_machines_break_today_are_told_and_not_enforced(asked: Callable[..., Prepared]) -> None:
    from placement.plan import Limits
    from tierwise.planner.run import solve_today

    rules = "rules:\n  south: {machines: {applications: [shop]}, only: {sites: [south]}, reason: near the lake}\n"
    found = solve_today(asked(rules), Limits())
    assert (found.unplaced, found.notes) == (
        0, ("already so today: 4 machines break south on Alpha: near the lake",),
    )  # fmt: skip


def test_machines_of_no_pool_are_told_as_unplaced(asked: Callable[..., Prepared]) -> None:
    from placement.plan import Limits
    from tierwise.planner.run import solve_today
    from tierwise.testing.two_pools import machine

    estate = two_pools()
    more: Any = (*estate.machines, machine(30, "", 2, 8, 20))
    prepared = asked(estate=estate.model_copy(update={"machines": more}))
    (told,) = (text for text in prepared.notes if text.startswith("1 machine is in no pool:"))
    assert told.endswith("say in the source the host or pool of each: vm-30")
    today_ = solve_today(prepared, Limits())
    assert today_.unplaced == 1
    assert [one.conflict for one in today_.stranded] == [("the estate does not say in which pool it runs",)]
