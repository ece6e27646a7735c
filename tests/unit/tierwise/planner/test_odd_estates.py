"""Estates as they come: without hosts, without pools, with machines of nothing, with disks that several pools reach."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import yaml

from catalog.catalog import load_catalog
from catalog.documents import DocumentError
from catalog.estates.classified import Classified, Facts, Target
from catalog.estates.model import Estate, EstateDatastore, EstateHost, EstateMachine, PowerState
from catalog.resources import Resources
from catalog.workload_classes import Availability, DataClassification
from chargeback.economics.document import load_economics
from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.growing import Asked as Growing
from tierwise.planner.growing import plan_growth
from tierwise.planner.growing_report import told as growth_notes
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import Prepared, changes_of, prepare
from tierwise.planner.reading import load
from tierwise.planner.run import run
from tierwise.planner.selecting import MachineSelector
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, GIB, machine, two_pools

Asked = Callable[..., Prepared]
NEW_ONLY = """\
format: tierwise-whatif/1
name: cloud
estate: unused
start: 2027-01-01
economics: unused
pools:
  fresh:
    new: true
    tier: tier-1
    hypervisor: libvirt
    site: north
    hosts:
      big: {most: 4, sockets: 2, cores: 32, memory_mib: 262144}
scenarios:
  there: {changes: []}
"""
CATALOG = """\
tiers:
  tier-1: {rank: 1, title: one, purpose: all}
classes:
  web:
    title: web
    summary: servers of pages
    sizes:
      small: {vcpu: 2, memory_mib: 4096, disk_gib: 40}
    allowed_tiers: [tier-1]
    default_tier: tier-1
"""


def test_machines_of_no_pool_move_into_a_new_one(asked: Asked) -> None:
    estate = Estate(
        name="export", source="a list", machines=(machine(1, "", 2, 8, 20), machine(2, "", 4, 16, 50))
    )
    found = run(asked(estate=estate, document=NEW_ONLY), limits=Limits())
    (there,) = found.scenarios
    assert (found.today.cost_micros, found.today.unplaced) == (0, 2)
    assert there.unplaced == 0
    assert [(one.name, one.source, one.target) for one in there.moves] == [
        ("vm-01", "", "fresh"),
        ("vm-02", "", "fresh"),
    ]
    # Two hosts, as one of them may fail.
    assert sum(one.bought for one in there.hosts) == 2


def test_machines_that_are_off_need_their_disk_and_no_room_to_restart(asked: Asked) -> None:
    off = [machine(n, "Alpha", 16, 120, 100, power=PowerState.OFF) for n in range(20)]
    estate = two_pools().model_copy(update={"machines": tuple(off)})
    problem = asked(estate=estate).problem(())
    assert problem.groups.demand.tolist() == [[0, 1, 100]]
    assert not problem.groups.restart.any()
    full = asked(
        estate=estate, document=DOCUMENT.replace("months: 12", "months: 12\nsizing: {powered_off: full}")
    )
    assert full.problem(()).groups.demand.tolist() == [[16, 120 * GIB, 100]]
    out = asked(
        estate=estate,
        document=DOCUMENT.replace("months: 12", "months: 12\nsizing: {powered_off: leave_out}"),
    )
    assert not out.problem(()).groups.ids


def test_an_estate_that_is_overfull_says_where_it_lacks_room(asked: Asked) -> None:
    estate = two_pools()
    more = [machine(n, "Beta", 2, 24, 50) for n in range(20, 30)]
    today = run(
        asked(estate=estate.model_copy(update={"machines": (*estate.machines, *more)})), limits=Limits()
    ).today
    # 4 x 16 + 10 x 24 = 304 GiB on two hosts of 128 GiB, one of which may fail.
    (short,) = today.short
    assert (short.pool, short.resource_class, short.left) == ("Beta", "memory_mib", (128 - 304) * GIB)
    assert not today.holds


def test_hosts_without_cores_and_disks_of_several_pools_are_told(asked: Asked) -> None:
    estate = two_pools()
    estate = estate.model_copy(
        update={
            "hosts": (
                *estate.hosts,
                EstateHost(name="Beta-8", pool="Beta", cores=8),
                EstateHost(name="Beta-9", pool="Beta"),
            ),
            "datastores": (
                EstateDatastore(
                    name="both", capacity_mib=100 * GIB, hosts=("Alpha-0", "Alpha-1", "Beta-0")
                ),
                EstateDatastore(name="lost", capacity_mib=100 * GIB),
            ),
        }
    )
    prepared = asked(estate=estate)
    told = " ".join(prepared.notes)
    assert "1 host has no cores in the source and is left out, of costs and licences too: Beta-9" in told
    assert "1 host has no memory in the source and gives nothing: Beta-8" in told
    assert "datastore 'lost' is reached from no pool and is left out" in told
    assert (
        "1 datastores are reached from several pools and count for the one with most hosts there: both"
        in told
    )
    assert prepared.world.pools["Alpha"].disk_gib == 100
    assert prepared.world.pools["Beta"].disk_gib is None
    assert sum(one.today for one in run(prepared, limits=Limits()).today.hosts) == len(estate.hosts) - 1


def test_a_pool_of_which_the_source_has_no_hosts_is_told_and_has_no_room(asked: Asked) -> None:
    estate = two_pools()
    estate = estate.model_copy(update={"hosts": tuple(one for one in estate.hosts if one.pool == "Beta")})
    prepared = asked("scenarios:\n  stay: {changes: [{kind: fixed, reason: as it is}]}\n", estate=estate)
    assert any(
        "the source has no hosts of Alpha: today costs and licenses nothing" in one
        for one in prepared.notes
    )
    (stay,) = run(prepared, limits=Limits()).scenarios
    assert stay.unplaced == 8
    assert any("pool 'Alpha' has no hosts" in fact for one in stay.stranded for fact in one.conflict)


def test_where_nobody_says_how_large_disks_are_they_limit_nothing(asked: Asked) -> None:
    estate = two_pools().model_copy(update={"datastores": ()})
    today = run(asked(estate=estate), limits=Limits()).today
    assert {one.resource_class for one in today.rooms} == {"vcpu", "memory_mib"}


def test_a_machine_larger_than_every_host_is_told_so(asked: Asked) -> None:
    estate = two_pools()
    huge = machine(40, "Alpha", 4, 300, 20)
    closed = "scenarios:\n  one: {changes: [{kind: pool_closed, of: {pools: [Alpha]}}]}\n"
    found = run(asked(closed, estate=estate.model_copy(update={"machines": (huge,)})), limits=Limits())
    (group,) = found.scenarios[0].stranded
    assert group.conflict[0] == "pools of pool Alpha are closed in this scenario"
    assert "307200 memory_mib" in group.conflict[1].replace(",", "")
    assert "larger hosts" in group.reasons[-1].remedy


def classified(estate: Estate) -> dict[str, Classified]:
    return {
        one.id: Classified(
            machine=one.id,
            target=Target(workload_class="web"),
            size="small",
            resources=Resources(vcpu=2, memory_mib=4096, disk_gib=40),
            confidence=0.8,
            needs_eye=False,
            reason="a test says so",
            facts=Facts(software=("shop-suite",)),
        )
        for one in estate.machines
    }


RULED = CATALOG.replace(
    "    allowed_tiers",
    "    data_classification: confidential\n    availability: restart\n    required_capabilities: [ha_restart]\n    allowed_tiers",
)


def with_facts(text: str, facts: dict[str, Facts], catalog: str = RULED) -> Prepared:
    """Half of the small estate's machines, by number, are of class web; `facts` are what rules say of some."""
    known = {
        name: one.model_copy(update={"facts": facts.get(name, Facts())})
        for name, one in classified(two_pools()).items()
        if int(name[1:]) % 2 == 0
    }
    economics = load_economics(ECONOMICS, "economics.yaml")
    classes = load_catalog({"catalog.yaml": catalog}).classes
    return prepare(load(DOCUMENT + text, "whatif.yaml"), Inputs(two_pools(), economics, classes, known))


@pytest.mark.parametrize(
    ("machines", "meant"),
    [
        ("{data: [confidential]}", 5),  # Of six one is said to be otherwise.
        ("{data: [restricted]}", 1),
        ("{data: [confidential, restricted]}", 6),
        ("{availability: [restart]}", 5),
        ("{availability: [best_effort]}", 1),
        ("{required_tiers: [tier-1]}", 1),
    ],
)
def test_what_rules_do_not_say_of_a_machine_its_class_does(machines: str, meant: int) -> None:
    facts = {
        "m00": Facts(data_classification=DataClassification.RESTRICTED),
        "m02": Facts(availability=Availability.BEST_EFFORT),
        "m04": Facts(tier="tier-1"),
    }
    groups = with_facts(
        f"scenarios: {{a: {{changes: [{{kind: fixed, machines: {machines}}}]}}}}\n", facts
    ).groups
    selector = MachineSelector.model_validate(yaml.safe_load(machines))
    assert int(groups.count[groups.selected[selector]].sum()) == meant


def test_a_kind_of_data_or_availability_that_there_is_not_is_told() -> None:
    change = "{kind: fixed, machines: {data: [secret], availability: [always, re*]}}"
    with pytest.raises(DocumentError) as caught:
        with_facts(f"scenarios: {{a: {{changes: [{change}]}}}}\n", {})
    said = [str(one) for one in caught.value.problems]
    assert len(said) == 2
    assert "machines.data.0: there is no 'secret'" in said[0]
    assert "machines.availability.0: there is no 'always'" in said[1]


def test_the_tier_that_class_rules_ask_for_is_kept_and_told_where_it_is_not_today() -> None:
    found = run(with_facts("scenarios: {best: {}}\n", {"m08": Facts(tier="tier-1")}), limits=Limits())
    (best,) = found.scenarios
    moved = {one.machine: one.target for one in best.moves}
    assert moved["m08"] == "Alpha"
    assert (
        "already so today: 1 machine breaks required tier tier-1 on Beta: class rules say that it must be on tier-1"
        in found.today.notes
    )
    closed = "scenarios: {gone: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}}\n"
    (gone,) = run(with_facts(closed, {"m08": Facts(tier="tier-1")}), limits=Limits()).scenarios
    (left,) = gone.stranded
    assert left.names == ("vm-08",)
    assert left.conflict == (
        "vSphere is retired in this scenario",
        "class rules say that it must be on tier-1",
    )


def test_machines_without_a_class_keep_their_size_and_are_told() -> None:
    by_class = with_facts("scenarios: {a: {changes: [{kind: sizes, by: class}]}}\n", {})
    (note,) = (one for one in by_class.notes if one.startswith("sizes by class"))
    assert note.startswith("sizes by class: 6 of 12 machines have no class and keep their size")
    assert not [one for one in with_classes("").notes if "sizes by class" in one]


def test_pools_that_two_changes_close_stand_as_two_facts(asked: Asked) -> None:
    closed = ", ".join(f"{{kind: pool_closed, of: {{pools: [{name}]}}}}" for name in ("Alpha", "Beta"))
    (gone,) = run(asked(f"scenarios: {{gone: {{changes: [{closed}]}}}}\n"), limits=Limits()).scenarios
    for one in gone.stranded:
        assert one.conflict == tuple(
            f"pools of pool {name} are closed in this scenario" for name in ("Alpha", "Beta")
        )


def test_what_has_no_price_is_told_where_it_counts(asked: Asked) -> None:
    storage = "storage:\n  san: {match: {tier: tier-1}, per_gib_per_month: 1}\n"
    head = ECONOMICS[: ECONOMICS.index("storage:")] + storage
    scenarios = "scenarios:\n  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}\n  stay: {changes: [{kind: most_moves, machines: 0}]}\n"
    found = run(asked(scenarios, economics=head), limits=Limits())
    add = "; add it to the economics document, also where it is 0"
    disk = f"no entry of storage fits pool 'Beta': counted as nothing{add}"
    move = f"no entry of migration fits vsphere to libvirt: counted as nothing for 8 machines{add}"
    leave, stay = found.scenarios
    assert found.today.notes == stay.notes == (disk,)
    assert leave.notes == (disk, move)
    assert not any(
        "counted as nothing" in note
        for one in run(asked(scenarios), limits=Limits()).scenarios
        for note in one.notes
    )


def test_growth_tells_what_has_no_price_once(asked: Asked) -> None:
    head = ECONOMICS[: ECONOMICS.index("migration:")] + ECONOMICS[ECONOMICS.index("licences:") :]
    text = "scenarios:\n  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}\n"
    for economics, told in ((head, 1), (ECONOMICS, 0)):
        prepared = asked(text, economics=economics)
        found = plan_growth(
            prepared, prepared.scenario("leave"), Growing(Decimal(1), every_months=6), Limits()
        )
        notes = [one for one in growth_notes(found) if "counted as nothing" in one]
        assert len(notes) == told
        assert all("no entry of migration fits vsphere to libvirt" in one for one in notes)


def with_classes(text: str, used: dict[str, Resources] | None = None, document: str = DOCUMENT) -> Prepared:
    estate = two_pools()
    catalog = load_catalog({"catalog.yaml": CATALOG})
    economics = load_economics(ECONOMICS, "economics.yaml")
    inputs = Inputs(estate, economics, catalog.classes, classified(estate), used or {})
    return prepare(load(document + text, "whatif.yaml"), inputs)


def test_machines_to_come_need_room_from_the_start_and_cost_from_their_month_on() -> None:
    change = "{kind: demand, class: web, size: small, per_month: 2, first_month: 4, last_month: 6}"
    prepared = with_classes(f"scenarios:\n  one: {{changes: [{change}]}}\n")
    groups = prepared.problem(changes_of(prepared.scenario("one"))).groups
    g = groups.ids.index("web small to come from month 4")
    assert int(groups.count[g]) == 6
    assert groups.demand[g].tolist() == [2, 4096, 40]
    # Of twelve months they are there for 9, 8 and 7: two thirds on average, at 40 GiB x 0.05 x 12.
    assert int(groups.costs["storage"][g, 0]) == 24 * 10**6 * 2 // 3


DEMAND = "{kind: demand, class: web, size: small, per_month:"


def test_machines_of_one_class_come_so_many_until_a_month_and_others_from_then_on() -> None:
    changes = f"{DEMAND} 2, last_month: 6}}, {DEMAND} 5, first_month: 7}}"
    prepared = with_classes(f"scenarios:\n  one: {{changes: [{changes}]}}\n")
    groups = prepared.problem(changes_of(prepared.scenario("one"))).groups
    coming = dict(zip(groups.ids, groups.count.tolist(), strict=True))
    assert {name: coming[name] for name in coming if "to come" in name} == {
        "web small to come": 12, "web small to come from month 7": 30,
    }  # fmt: skip
    found = plan_growth(prepared, prepared.scenario("one"), Growing(Decimal(0), 3), Limits())
    # 2 a month, then 5, beside the 12 of today.
    assert [one.machines for one in found.periods] == [12 + 6, 12 + 12, 12 + 27, 12 + 42]
    with pytest.raises(DocumentError, match=r"the demand of web small in month 6, and 6 more already"):
        with_classes(f"scenarios:\n  one: {{changes: [{DEMAND} 2}}, {DEMAND} 5, first_month: 6}}]}}\n")


def test_machines_of_today_that_make_room_for_those_that_come_are_told() -> None:
    # With a host of each pool lost there are 384 GiB, and 64 of them are free: for twelve of 4 GiB, but 24 need the 32 GiB that
    # one of today's has.
    few, many = (f"{{changes: [{DEMAND} {n}}}]}}" for n in (1, 2))
    prepared = with_classes(
        f"scenarios:\n  few: {few}\n  many: {many}\n", document=DOCUMENT.replace("most: 2", "most: 0")
    )
    small, large = run(prepared, limits=Limits()).scenarios
    assert (small.unplaced, large.unplaced) == (0, 1)
    (told,) = [note for note in large.notes if "run today" in note]
    assert told.startswith(
        "of the machines without a place 1 run today, and 24 machines have one that only come"
    )
    assert not any("run today" in note for note in small.notes)


def test_machines_to_come_are_paid_for_from_their_month_on() -> None:
    change = "{kind: demand, class: web, size: small, per_month: 2, first_month: 4, last_month: 6}"
    stay = "{kind: fixed}"
    text = f"scenarios:\n  none: {{changes: [{stay}]}}\n  some: {{changes: [{stay}, {change}]}}\n"
    none, some = run(with_classes(text), limits=Limits()).scenarios
    more = [b - a for a, b in zip(none.payments_micros, some.payments_micros, strict=True)]
    # 40 GiB at 0.05 for each that is there; the same hosts hold them.
    assert more == [2 * 10**6 * machines for machines in (0, 0, 0, 2, 4, 6, 6, 6, 6, 6, 6, 6)]
    assert sum(more) == some.cost_micros - none.cost_micros


def test_sizes_are_those_of_today_of_the_class_or_of_use() -> None:
    used = {one.id: Resources(vcpu=1, memory_mib=2048, disk_gib=60) for one in two_pools().machines}
    text = (
        "scenarios:\n  a: {changes: [{kind: sizes, by: class}]}\n  b: {changes: [{kind: sizes, by: use}]}\n"
    )
    prepared = with_classes(text, used)
    assert sorted(prepared.problem(()).groups.demand[:, 0].tolist()) == [2, 4]
    by_class = prepared.problem(changes_of(prepared.scenario("a"))).groups
    assert by_class.demand.tolist() == [[2, 4096, 40]] * len(by_class.ids)
    by_use = prepared.problem(changes_of(prepared.scenario("b"))).groups
    assert by_use.demand.tolist() == [[1, 2048, 60]] * len(by_use.ids)


def test_confidence_falls_with_the_classes_and_with_the_age_of_the_estate(asked: Asked) -> None:
    assert run(with_classes("")).today.confidence.classification == 0.8
    old = two_pools().model_copy(update={"taken_at": datetime(2026, 7, 17, 12, tzinfo=UTC)})
    # 168 days old: 138 beyond the first 30, of 335 that take half.
    assert run(asked(estate=old)).today.confidence.age == round(1 - 138 / 335 / 2, 4)
    unknown = two_pools().model_copy(update={"taken_at": None})
    assert run(asked(estate=unknown)).today.confidence.age == 0.5


def test_a_class_and_a_size_that_are_nowhere_are_told() -> None:
    changes = "{kind: demand, class: wbe, size: small, per_month: 2}, {kind: demand, class: web, size: smal, per_month: 2}"
    with pytest.raises(DocumentError) as error:
        with_classes(f"scenarios:\n  one: {{changes: [{changes}]}}\n")
    told = [one.message for one in error.value.problems]
    assert told[0].startswith("there is no class 'wbe'; did you mean 'web'?")
    assert told[1].startswith("'web' has no size 'smal'; did you mean 'small'?")


def test_two_machines_of_one_name_stay_two_machines(asked: Asked) -> None:
    twins: tuple[EstateMachine, ...] = tuple(
        machine(n, "Alpha", 2, 8, 20).model_copy(update={"name": "twin"}) for n in range(3)
    )
    closed = "scenarios:\n  one: {changes: [{kind: pool_closed, of: {pools: [Alpha]}}]}\n"
    found = run(asked(closed, estate=two_pools().model_copy(update={"machines": twins})), limits=Limits())
    assert sorted(one.machine for one in found.scenarios[0].moves) == ["m00", "m01", "m02"]


def test_licences_of_cores_are_refused_where_hosts_tell_their_threads_alone(asked: Asked) -> None:
    estate = two_pools()
    hosts = [
        one.model_copy(update={"cores_are_threads": one.pool == "Alpha", "sockets": 0})
        for one in estate.hosts
    ]
    whole = estate.model_copy(update={"hosts": tuple(hosts)})
    prepared = asked(estate=whole)
    said = (
        r"unused: licences.suite: 'standard' counts cores, and of the hosts of Alpha their hypervisor tells threads alone; "
        r"write the estate with `tierwise estate export live.json`, set there cores and sockets"
    )
    with pytest.raises(InvalidInput, match=said):
        prepared.built(())
    assert any(one.startswith("3 hosts tell threads and no cores") for one in prepared.notes)
    # Beta's hosts tell them, and hosts can be counted without.
    asked(estate=whole, economics=ECONOMICS.replace("[vsphere]}", "[libvirt]}")).built(())
    by_host = ECONOMICS.replace("per_core, per_socket_minimum: 16", "per_host")
    asked(estate=whole, economics=by_host.replace("per_core", "per_machine")).built(())


def test_hosts_that_differ_by_their_sockets_alone_are_two_kinds(asked: Asked) -> None:
    estate = two_pools()
    (first, *others) = estate.hosts
    half = first.model_copy(update={"sockets": 1})
    found = run(
        asked(
            "scenarios:\n  best: {changes: []}\n",
            estate=estate.model_copy(update={"hosts": (half, *others)}),
        ),
        limits=Limits(),
    )
    assert {one.block: one.kept for one in found.today.hosts} == {
        "Alpha: hosts (1 socket, 16 cores, 131072 MiB)": 1,
        "Alpha: hosts (2 sockets, 16 cores, 131072 MiB)": 2,
        "Beta: hosts (16 cores, 131072 MiB)": 2,
    }
    # 16 cores of a socket and two sockets of 8, each of which counts as 16; or 48 cores at 18.
    assert found.today.terms["licences"] == min((16 + 2 * 32) * 10, 48 * 18) * 12 * 10**6
