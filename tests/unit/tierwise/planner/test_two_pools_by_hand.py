"""Every figure of a scenario with two pools, recomputed here from the prices of `tierwise.testing.two_pools`."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from placement.plan import Limits
from tierwise.planner.prepare import Prepared
from tierwise.planner.result import ScenarioResult
from tierwise.planner.run import run
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, machine, two_pools

MICROS = 10**6
RETIRED = """\
scenarios:
  rearranged: {changes: []}
  leave:
    title: leave vSphere
    changes:
      - {kind: hypervisor_retired, hypervisor: vsphere}
"""


@pytest.fixture
def results(asked: Callable[..., Prepared]) -> dict[str, ScenarioResult]:
    found = run(asked(RETIRED), limits=Limits())
    return {one.name: one for one in (found.today, *found.scenarios)}


def test_today_costs_what_its_hosts_disks_and_cores_cost(results: dict[str, ScenarioResult]) -> None:
    today = results["today"]
    hosts = 5 * 1200
    disk = (8 * 100 + 4 * 50) * 12 * 5 // 100
    # 8 cores a socket count as 16: six sockets of Alpha at 10 a core and month; or 48 cores at 18.
    cores = min(6 * 16 * 10, 48 * 18) * 12
    assert today.terms == {
        "maintenance": hosts * MICROS, "storage": disk * MICROS, "licences": cores * MICROS,
    }  # fmt: skip
    assert today.cost_micros == (hosts + disk + cores) * MICROS
    assert (today.moves, today.unplaced, today.holds) == ((), 0, True)
    (licence,) = today.licences
    assert (licence.product, licence.alternative, licence.hosts) == ("suite", "plus", 3)


def test_leaving_costs_moves_and_a_host_and_saves_licences(results: dict[str, ScenarioResult]) -> None:
    leave = results["leave"]
    # 8 x 32 + 4 x 16 = 320 GiB restart on hosts of 128 GiB with one of them lost: four hosts, of which two are bought.
    hosts = 4 * 1200 + 2 * 1200
    disk = (8 * 100 + 4 * 50) * 12 * 5 // 100
    # Half of each disk is in use: 50 GiB of a TiB at 100.
    each = 40 + 50 * 100 / 1024
    assert leave.terms == {
        "maintenance": 4800 * MICROS, "hardware": 2400 * MICROS, "storage": disk * MICROS,
        "moving": 8 * -(-int(each * MICROS * 1024) // 1024),
    }  # fmt: skip
    assert leave.cost_micros - leave.terms["moving"] == (hosts + disk) * MICROS
    assert [(one.name, one.source, one.target) for one in leave.moves] == [
        (f"vm-{n:02}", "Alpha", "Beta") for n in range(8)
    ]
    assert leave.copied_mib == 8 * 50 * 1024
    assert {one.pool: (one.hosts_kept, one.hosts_bought, one.hosts_given_up) for one in leave.pools} == {
        "Alpha": (0, 0, 3), "Beta": (2, 2, 0),
    }  # fmt: skip
    assert leave.holds
    assert leave.licences == ()


def test_what_the_machines_cost_that_are_chosen_to_move_is_told_beside_what_the_plan_counts(
    asked: Callable[..., Prepared],
) -> None:
    """Alpha's eight have 10, 20, ... 80 GiB in use: the three that may move copy 60 GiB, and by the mean 135."""
    estate = two_pools()
    full = [
        one.model_copy(update={"in_use_mib": 10 * n * 1024}) for n, one in enumerate(estate.machines[:8], 1)
    ]
    estate = estate.model_copy(update={"machines": (*full, *estate.machines[8:])})
    prepared = asked(RETIRED + "      - {kind: most_moves, machines: 3}\n", estate=estate)
    (leave,) = run(prepared, ["leave"], limits=Limits()).scenarios
    assert [one.copy_mib // 1024 for one in leave.moves] == [10, 20, 30]
    assert [one.cost_micros for one in leave.moves] == [
        -(-(40 * 1024 + gib * 100) * MICROS // 1024) for gib in (10, 20, 30)
    ]
    assert leave.terms["moving"] == 3 * -(-(40 * 1024 + 45 * 100) * MICROS // 1024)
    (note,) = [one for one in leave.notes if "moving is counted" in one]
    assert note == (
        "moving is counted at EUR 133.18, equal machines at the mean of what they copy; the 3 that move come to EUR 125.86"
    )
    # Where all eight move there is nothing to tell: the mean times eight is their sum.
    (whole,) = run(asked(RETIRED, estate=estate), ["leave"], limits=Limits()).scenarios
    assert whole.moving_micros // MICROS == whole.terms["moving"] // MICROS == 8 * 40 + 360 * 100 // 1024
    assert not [one for one in whole.notes if "moving is counted" in one]


def test_all_eight_moves_of_leaving_are_proven_to_be_needed(results: dict[str, ScenarioResult]) -> None:
    assert (results["leave"].moves_bound, results["today"].moves_bound) == (8, 0)


@pytest.mark.parametrize(("accepts", "told"), [("hard_partition", True), ("separate_cluster", False)])
def test_licences_of_whole_hosts_that_could_be_divided_are_told(
    asked: Callable[..., Prepared], accepts: str, told: bool
) -> None:
    """One machine of Alpha needs a database, whose licence counts all three hosts: 48 cores at 5 a month."""
    estate = two_pools()
    first = estate.machines[0].model_copy(update={"guest_os": "db"})
    database = (
        "  database:\n    layer: guest\n    match: {guest_os: [db]}\n"
        f"    accepts: [{accepts}]\n    alternatives:\n"
        "      - {name: core, metric: per_core, prices: [{amount: 5, period: month}]}\n"
    )
    found = run(
        asked(
            RETIRED,
            estate=estate.model_copy(update={"machines": (first, *estate.machines[1:])}),
            economics=ECONOMICS + database,
        ),
        limits=Limits(),
    )
    (licence,) = [one for one in found.today.licences if one.product == "database"]
    assert licence.cost_micros == 48 * 5 * 12 * MICROS
    for one in (found.today, *found.scenarios):
        (licence,) = [bought for bought in one.licences if bought.product == "database"]
        wanted = [
            f"database accepts hard partitions, and plans divide no hosts: {licence.hosts} count as a whole for 1 of the machines"
        ]
        notes = [text.partition(";")[0] for text in one.notes if "hard partitions" in text]
        assert notes == (wanted if told else [])


HOURLY = """\
  os:
    layer: guest
    match: {guest_os: ["linux*"]}
    reach: estate
    alternatives:
      - {name: vcpu, metric: per_vcpu, per_hour: true, prices: [{amount: 0.00037, period: hour}]}
      - {name: cores, metric: per_core, prices: [{amount: 9000, period: year}], owned: [{packs: 1, until: 2027-06-01}]}
"""


def test_hours_over_a_part_of_the_horizon_cost_what_they_do_to_the_micro_unit(
    asked: Callable[..., Prepared],
) -> None:
    """40 vCPU for 8,760 hours: five months of them before the other edition's renewal and seven after, 33.3 % dearer."""
    dearer = "scenarios:\n  dearer:\n    changes: [{kind: licence, product: os, percent: 33.3}, {kind: most_moves, machines: 0}]\n"
    found = run(asked(dearer, economics=ECONOMICS + HOURLY), limits=Limits())
    for one, factor in ((found.today, Fraction(1)), (found.scenarios[0], Fraction("1.333"))):
        hour = Fraction("0.00037") * factor * MICROS
        exact = [40 * 8760 * hour * months / 12 for months in (5, 7)]
        assert [
            (each.alternative, each.units, each.cost_micros)
            for each in one.licences
            if each.product.startswith("os")
        ] == [("vcpu", 40 * 8760, int(part + Fraction(1, 2))) for part in exact]
        suite = sum(each.cost_micros for each in one.licences if each.product == "suite")
        assert abs(one.terms["licences"] - suite - sum(exact)) <= 1
        # What runs is paid as it is counted: hosts, disks, the suite, hours; of moves and purchases there are none.
        assert sum(one.payments_micros) == one.cost_micros - one.sunk_micros


def test_machines_of_no_pool_need_a_move_too(asked: Callable[..., Prepared]) -> None:
    estate = two_pools()
    adrift = machine(12, "", 1, 1, 1)
    whole = estate.model_copy(update={"machines": (*estate.machines, adrift)})
    found = {one.name: one for one in run(asked(RETIRED, estate=whole), limits=Limits()).scenarios}
    leave = found["leave"]
    assert (len(leave.moves), leave.moves_bound, leave.unplaced) == (9, 9, 0)


def test_room_is_told_with_the_largest_host_lost(results: dict[str, ScenarioResult]) -> None:
    memory = next(one for one in results["leave"].rooms if one.resource_class == "memory_mib")
    assert (memory.capacity, memory.without_losses, memory.load) == (512 * 1024, 384 * 1024, 320 * 1024)
    assert memory.left == 64 * 1024


def test_rearranging_moves_nothing_that_does_not_pay(results: dict[str, ScenarioResult]) -> None:
    rearranged = results["rearranged"]
    assert rearranged.cost_micros <= results["today"].cost_micros
    assert rearranged.cost_micros >= rearranged.bound_micros


def test_tiers_and_pools_have_what_stands_in_them(results: dict[str, ScenarioResult]) -> None:
    today = results["today"]
    north = 3 * 1200 + 8 * 100 * 12 * 5 // 100 + 48 * 18 * 12
    south = 2 * 1200 + 4 * 50 * 12 * 5 // 100
    assert {one.tier: (one.machines, one.hosts, one.cost_micros) for one in today.tiers} == {
        "tier-1": (8, 3, north * MICROS), "tier-2": (4, 2, south * MICROS),
    }  # fmt: skip
    assert [one.cost_micros for one in today.pools] == [north * MICROS, south * MICROS]


def test_cash_pays_purchases_at_once_and_saves_in_step_with_moves(asked: Callable[..., Prepared]) -> None:
    document = DOCUMENT.replace("months: 12", "months: 12\nmoves_per_month: 4")
    found = run(asked(RETIRED, document=document), ["leave"], Limits())
    (leave,) = found.scenarios
    # A month of today: five hosts, a twelfth of the disk, 48 cores at 18. Of leaving: four hosts and the disk.
    before, after = 5 * 100 + 50 + 864, 4 * 100 + 50
    moves = leave.terms["moving"]
    saved = before - after
    expected = [
        after * MICROS + 2 * 6000 * MICROS + moves // 2 + saved * MICROS,  # nothing has moved yet
        after * MICROS + moves // 2 + saved * MICROS // 2,  # half has
        *[after * MICROS] * 10,
    ]
    assert leave.payments_micros == tuple(expected)
    assert found.today.payments_micros == (before * MICROS,) * 12
    assert leave.cash is not None
    behind = 12_000 * MICROS + moves
    assert leave.cash.cumulative_micros[-1] == saved * MICROS // 2 + 10 * saved * MICROS - behind
    # 482 in the second month and 964 in each that follows, of 12,000 and the moves: not within the year.
    assert leave.cash.break_even_month is None


def test_confidence_is_the_product_of_its_parts(results: dict[str, ScenarioResult]) -> None:
    trust = results["today"].confidence
    # Nothing is classified; the estate is 12 days old; licences have no source: 10,368 of 16,968.
    assert (trust.classification, trust.age) == (None, 1)
    assert trust.figures == round(1 - 10_368 / 16_968 / 2, 4)
    assert trust.value == trust.figures


@pytest.mark.parametrize(
    ("accepts", "hosts"), [("", 3), ("should_rule", 3), ("hard_partition", 3), ("must_rule", 2)]
)
def test_a_rule_that_a_licence_accepts_narrows_it_and_is_told_to_be_made(
    asked: Callable[..., Prepared], accepts: str, hosts: int
) -> None:
    """Two machines of 4 vCPU and 32 GiB fit on one host, and one host may fail: the rule holds them on two of three."""
    database = (
        f"  db:\n    layer: guest\n    match: {{guest_os: [db]}}\n    accepts: [{accepts}]\n    alternatives:\n"
        "      - {name: core, metric: per_core, prices: [{amount: 10, period: month}]}\n"
    )
    estate = two_pools()
    machines = [one.model_copy(update={"guest_os": "db"}) for one in estate.machines[:2]]
    more = (
        "rules:\n  stay: {machines: {pools: [Alpha]}, only: {pools: [Alpha]}, reason: near the lake}\n"
        "scenarios:\n  best: {changes: []}\n"
    )
    economics = ECONOMICS.partition("licences:")[0] + "licences:\n" + database
    changed = estate.model_copy(update={"machines": (*machines, *estate.machines[2:])})
    (best,) = run(asked(more, estate=changed, economics=economics), limits=Limits()).scenarios
    assert best.terms["licences"] == hosts * 16 * 10 * 12 * MICROS
    told = "db is counted on 2 of the 3 hosts of Alpha: a must rule has to hold its machines on these"
    assert any(told in note for note in best.notes) == (accepts == "must_rule")


@pytest.mark.parametrize("where", ["the pool", "the document"])
def test_hosts_cost_what_they_do_in_their_pools_region(asked: Callable[..., Prepared], where: str) -> None:
    """Nothing says where a site is: maintenance is 1,200 a year for each host, in FR 1,500; Beta has two of the five."""
    economics = ECONOMICS.replace(
        "{value: 1200, source: contract}", "{value: 1200, changes: [{value: 1500, region: FR}]}"
    )
    document, hosts = {
        "the pool": (DOCUMENT.replace("site: south", "site: south\n    region: FR"), 3 * 1200 + 2 * 1500),
        "the document": (DOCUMENT.replace("months: 12", "months: 12\nregion: FR"), 5 * 1500),
    }[where]
    today = run(asked(RETIRED, economics=economics, document=document), limits=Limits()).today
    assert today.terms["maintenance"] == hosts * MICROS
