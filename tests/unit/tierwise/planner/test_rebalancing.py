"""An estate rebalanced within its pools: by hand, by trying everything, and by a checker of its own."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from catalog.estates.model import Estate, EstateDatastore, EstateHost, EstateMachine, EstatePool, PowerState
from placement.rebalance.solve import Effort
from tierwise.errors import InvalidInput
from tierwise.planner.apart import Apart, groups
from tierwise.planner.rebalancing.check import Moved, breaches
from tierwise.planner.rebalancing.moves import moves_document
from tierwise.planner.rebalancing.run import Whole, rebalanced
from tierwise.planner.rebalancing.telling import host_rows, left_rows, move_rows, pool_rows, short_rows
from tierwise.planner.rebalancing.wishes import Wishes
from tierwise.planner.waves import plan
from tierwise.planner.waves_document import load

GIB = 1024


def host(name: str, memory_gib: int = 100, cores: int = 25, **more: Any) -> EstateHost:
    return EstateHost(name=name, pool="p", cores=cores, memory_mib=memory_gib * GIB, **more)


def machine(name: str, on: str, memory_gib: int = 10, vcpus: int = 1, **more: Any) -> EstateMachine:
    return EstateMachine(
        id=f"id-{name}", name=name, host=on, vcpus=vcpus, memory_mib=memory_gib * GIB,
        **{"power": PowerState.ON, **more},
    )  # fmt: skip


def estate(
    hosts: Sequence[EstateHost], machines: Sequence[EstateMachine], stores: Sequence[EstateDatastore] = ()
) -> Estate:
    return Estate(
        name="e", source="test", hosts=tuple(hosts), machines=tuple(machines), datastores=tuple(stores),
        pools=(EstatePool(name="p"),),
    )  # fmt: skip


def asked(one: Estate, most: int | None = None, **wishes: Any) -> Whole:
    found = rebalanced(one, Wishes(**wishes), lambda _: Effort(seed=1, moves=20_000), most=most)
    assert list(breaches(one, moved(found), found.wishes.vcpu_per_core, found.wishes.apart)) == []
    return found


def moved(whole: Whole) -> list[Moved]:
    return [Moved(row["id"], row["from"], row["to"]) for row in move_rows(whole)]


def test_a_host_above_its_share_gives_away_just_what_is_above() -> None:
    # Two hosts of 100 GiB, one may fail: each should hold 50. Seven of 10 GiB against one.
    one = estate([host("a"), host("b")], [*(machine(f"m{n}", "a") for n in range(7)), machine("x", "b")])
    found = asked(one, free_percent=0)
    (pool,) = pool_rows(found)
    assert (pool["moved"], pool["copied_gib"], pool["above_before"], pool["above_after"]) == (2, 20, 1, 0)
    # A mean host is 10^9: a MiB is 9,766 (rounded), and 20 GiB above are 20,480 of these.
    assert pool["cost_before"] == 20 * GIB * 9766
    assert pool["cost_after"] == (20 * GIB + 2 * 256) * (9766 // 100)
    assert {row["why"] for row in move_rows(found)} == {"holds 70 of 50 GiB memory"}
    assert [row["memory_after_percent"] for row in host_rows(found)] == [50.0, 30.0]


def test_an_estate_within_its_limits_is_left_alone() -> None:
    one = estate([host("a"), host("b")], [machine("m1", "a", 40), machine("m2", "b", 10)])
    assert move_rows(asked(one, free_percent=0)) == []
    # Unless hosts shall be alike: 40 % and 10 % around 25 %.
    one = estate([host("a"), host("b")], [*(machine(f"m{n}", "a") for n in range(4)), machine("x", "b")])
    assert len(move_rows(asked(one, free_percent=0, within_points=5))) == 1


def test_a_host_in_maintenance_is_emptied_and_nothing_goes_there() -> None:
    one = estate(
        [host("a", in_maintenance=True), host("b"), host("c")],
        [machine("m1", "a"), machine("m2", "a"), machine("m3", "b", 60)],
    )
    rows = move_rows(asked(one, free_percent=0))
    assert {row["why"] for row in rows if row["from"] == "a"} == {"it is in maintenance"}
    assert {row["machine"] for row in rows} >= {"m1", "m2"}
    assert all(row["to"] != "a" for row in rows)


def test_machines_reach_their_disks_where_they_go() -> None:
    # Only a and c reach the disks of the machines on a, so they go to c, although b is emptier.
    stores = [EstateDatastore(name="san", hosts=("a", "c"))]
    on_a = [machine(f"m{n}", "a", datastores=("san",)) for n in range(6)]
    one = estate([host("a"), host("b"), host("c")], [*on_a, machine("x", "c")], stores)
    rows = move_rows(asked(one, free_percent=50))
    assert rows
    assert {row["to"] for row in rows if row["from"] == "a"} == {"c"}


def test_a_local_disk_is_copied_and_needs_room_where_it_goes() -> None:
    stores = [
        EstateDatastore(name="disk-a", hosts=("a",), capacity_mib=400 * GIB),
        EstateDatastore(name="disk-b", hosts=("b",), capacity_mib=30 * GIB),
        EstateDatastore(name="disk-c", hosts=("c",), capacity_mib=400 * GIB),
    ]
    on_a = [
        machine(f"m{n}", "a", 20, datastores=("disk-a",), in_use_mib=40 * GIB, provisioned_mib=90 * GIB)
        for n in range(4)
    ]
    rows = move_rows(asked(estate([host("a"), host("b"), host("c")], on_a, stores), free_percent=10))
    assert {(row["to"], row["copied_gib"]) for row in rows} == {("c", 60)}


def test_machines_that_shall_not_share_a_host_are_parted_and_stay_so() -> None:
    machines = [machine(f"db{n}", "a", application="db") for n in range(3)] + [machine("x", "b", 30)]
    one = estate([host("a"), host("b"), host("c")], machines)
    apart = groups(one, [Apart.of("d*")])
    found = asked(one, apart=apart)
    after = {row["machine"]: row["to"] for row in move_rows(found)}
    assert len(after) == 2
    assert {after.get(f"db{n}", "a") for n in range(3)} == {"a", "b", "c"}
    assert all(row["why"].startswith("shares it with db") for row in move_rows(found))
    assert left_rows(found) == []


def test_who_cannot_be_parted_stays_and_is_told() -> None:
    machines = [machine(f"db{n}", "a", application="db") for n in range(3)]
    one = estate([host("a"), host("b")], machines)
    found = asked(one, apart=groups(one, [Apart.of("db")]))
    (left,) = left_rows(found)
    assert "shares its host with db" in left["why"]
    assert "no other has room for it" in left["why"]


def test_only_the_moves_that_help_most_are_made_where_few_may_be() -> None:
    machines = [machine(f"small{n}", "a", 5) for n in range(6)] + [
        machine(f"big{n}", "a", 20) for n in range(3)
    ]
    one = estate([host("a"), host("b")], machines)
    full = asked(one, free_percent=0)
    assert len(move_rows(full)) == 2
    (row,) = move_rows(asked(one, most=1, free_percent=0))
    assert row["machine"].startswith("big")
    assert move_rows(asked(one, most=0)) == []


def _costs(one: Estate, wishes: Wishes) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every way to place the machines that keeps the rules, with its cost as the definitions say; memory and vCPU."""
    names = [h.name for h in one.hosts]
    mean = {
        "m": sum(h.memory_mib for h in one.hosts) / len(names),
        "v": sum(int(h.cores * wishes.vcpu_per_core) for h in one.hosts) / len(names),
    }
    weight = {key: round(10**9 / value) for key, value in mean.items()}
    awake = [h for h in one.hosts if not h.in_maintenance]
    has = {h.name: {"m": h.memory_mib, "v": int(h.cores * wishes.vcpu_per_core)} for h in one.hosts}
    part = {}
    for key in "mv":
        rooms = sorted(has[h.name][key] for h in awake)
        part[key] = Fraction(sum(rooms[:-1]), sum(rooms)) * Fraction(100 - wishes.free_percent, 100)
        full = Fraction(sum(m.memory_mib if key == "m" else m.vcpus for m in one.machines), sum(rooms))
        if full > part[key]:
            part[key] = max(part[key], min(Fraction(1), full + Fraction(2, 100)))
    for places in product(names, repeat=len(one.machines)):
        moves = [
            Moved(m.id, m.host, to) for m, to in zip(one.machines, places, strict=True) if m.host != to
        ]
        if any(breaches(one, moves, wishes.vcpu_per_core, wishes.apart)):
            continue
        cost = 0
        for h in one.hosts:
            there = [m for m, to in zip(one.machines, places, strict=True) if to == h.name]
            for key, used in (("m", sum(m.memory_mib for m in there)), ("v", sum(m.vcpus for m in there))):
                limit = 0 if h.in_maintenance else int(has[h.name][key] * part[key])
                cost += weight[key] * max(0, used - limit)
        copied = sum(m.memory_mib + 256 for m, to in zip(one.machines, places, strict=True) if m.host != to)
        yield cost + weight["m"] * wishes.copy_percent // 100 * copied, places


@pytest.mark.parametrize("seed", range(12))
def test_of_small_estates_no_placement_at_all_is_cheaper(seed: int) -> None:
    chance = np.random.default_rng(seed)
    hosts = [
        host(name, int(chance.integers(60, 120)), int(chance.integers(4, 9)), in_maintenance=name == "h2" and seed % 4 == 0)
        for name in ("h0", "h1", "h2")
    ]  # fmt: skip
    machines = [
        machine(
            f"m{n}", f"h{int(chance.integers(2)) if seed % 2 else int(chance.integers(3))}", int(chance.integers(4, 28)),
            int(chance.integers(1, 6)), application="app" if n < 2 else "",
        )
        for n in range(6)
    ]  # fmt: skip
    one = estate(hosts, machines)
    apart = {} if machines[0].host == machines[1].host else {"app": ("id-m0", "id-m1")}
    wishes = {"free_percent": int(chance.integers(0, 40)), "apart": apart}
    found = asked(one, **wishes)
    best, _ = min(_costs(one, Wishes(**wishes)))
    (pool,) = pool_rows(found)
    assert pool["cost_after"] == best
    assert pool["bound"] <= best


@pytest.mark.parametrize("seed", range(6))
def test_odd_pools_keep_every_rule(seed: int) -> None:
    chance = np.random.default_rng(100 + seed)
    count = 6
    hosts = [
        host(f"h{n}", int(chance.integers(64, 256)), int(chance.integers(8, 40)), in_maintenance=n == 5, site=f"s{n % 2}")
        for n in range(count)
    ]  # fmt: skip
    stores = [EstateDatastore(name=f"local{n}", hosts=(f"h{n}",), capacity_mib=500 * GIB) for n in range(3)]
    stores += [EstateDatastore(name="half", hosts=("h0", "h1", "h2")), EstateDatastore(name="nobody")]
    stores += [EstateDatastore(name="all", hosts=tuple(f"h{n}" for n in range(count)))]
    machines = []
    for n in range(60):
        on = int(min(count - 1, chance.integers(count + 2) % count))
        names = ["all", "nobody", *(["half"] if on < 3 else []), *([f"local{on}"] if on < 3 else [])]
        machines.append(
            machine(
                f"m{n}", f"h{on}", int(chance.integers(1, 24)), int(chance.integers(1, 9)),
                power=PowerState.OFF if chance.random() < 0.1 else PowerState.ON, application=f"app{n % 9}",
                labels={"role": f"r{n % 2}"}, datastores=(names[int(chance.integers(len(names)))],), in_use_mib=int(chance.integers(1, 60)) * GIB,
            )
        )  # fmt: skip
    one = estate(hosts, machines, stores)
    found = asked(one, apart=groups(one, [Apart.of("app*/role")]), free_percent=20)
    (pool,) = pool_rows(found)
    assert pool["cost_after"] < pool["cost_before"]
    assert pool["bound"] <= pool["cost_after"]
    pools, hosts_, moves, left = short_rows(found)
    assert all(len(" ".join(map(str, row.values()))) < 100 for row in (*pools, *hosts_, *moves, *left))
    document, _ = moves_document(found)
    assert {row["pool"] for row in document["providers"]} == {"p"}


def test_a_pool_that_is_too_full_as_a_whole_is_told_and_made_even() -> None:
    # Of two hosts of 100 GiB one may fail, so the pool should hold 50 %; it holds 80 %: 95 and 65 GiB.
    machines = [
        *(machine(f"m{n}", "a", 5) for n in range(19)),
        *(machine(f"x{n}", "b", 5) for n in range(13)),
    ]
    found = asked(estate([host("a"), host("b")], machines), free_percent=0)
    assert [row["memory_after_percent"] for row in host_rows(found)] == [80.0, 80.0]
    assert {
        "pool": "p",
        "what": "the whole pool",
        "why": "holds 80 % of its memory, and should hold 50 %: add hosts",
    } in left_rows(found)


def test_the_same_estate_and_seed_give_the_same_moves() -> None:
    machines = [machine(f"m{n}", "abc"[n % 2], 3 + n % 7, 1 + n % 3) for n in range(40)]
    one = estate([host("a"), host("b"), host("c")], machines)
    assert moved(asked(one)) == moved(asked(one))


def test_the_checker_sees_each_broken_rule() -> None:
    stores = [EstateDatastore(name="san", hosts=("a", "b"))]
    one = estate(
        [host("a"), host("b"), host("c", in_maintenance=True), EstateHost(name="z", pool="q", cores=8, memory_mib=8)],
        [machine("m", "a", 60, datastores=("san",)), machine("n", "b", 60, vcpus=90)],
        stores,
    )  # fmt: skip
    apart = {"pair": ("id-m", "id-n")}

    def said(*moves: tuple[str, str, str]) -> str:
        return "; ".join(breaches(one, [Moved(*move) for move in moves], Fraction(4), apart))

    assert said(("id-m", "a", "b")) == f"b has {100 * GIB:,} MiB of memory, and {120 * GIB:,} would be needed; 'm' and 'n' of pair meet on b"  # fmt: skip
    assert said(("id-m", "a", "c")) == "'m' goes to c, which is in maintenance; 'm' has a disk on san, which c does not reach"  # fmt: skip
    assert "must go to another host of its pool, not to z" in said(("id-m", "a", "z"))
    assert "is on a, and moves once from there" in said(("id-m", "b", "a"))
    assert "there is no machine 'id-x'" in said(("id-x", "b", "a"))


def test_pools_where_nothing_can_be_moved_say_why() -> None:
    one = estate([host("a")], [machine("m", "a")])
    assert left_rows(asked(one)) == [{"pool": "p", "what": "", "why": "it has one host"}]
    one = estate([host("a"), host("b", 0)], [machine("m", "a")])
    assert left_rows(asked(one))[0]["why"] == "cores or memory of b are not known"
    with pytest.raises(InvalidInput, match=r"there is no pool 'q'"):
        rebalanced(one, Wishes(), lambda _: Effort(moves=1), pools=("q",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shop", r"no application is like 'shop'; there are db"),
        ("db/role", r"no machine of 'db' has a label 'role'; labels are tier"),
        ("/x", r"names no application"),
    ],
)
def test_what_is_kept_apart_must_be_there(text: str, said: str) -> None:
    machines = [machine(f"m{n}", "a", application="db", labels={"tier": "1"}) for n in range(2)]
    with pytest.raises(InvalidInput, match=said):
        groups(estate([host("a")], machines), [Apart.of(text)])
    with pytest.raises(InvalidInput, match=r"would be in the groups"):
        groups(estate([host("a")], machines), [Apart.of("db"), Apart.of("db/tier")])


def test_wishes_that_no_host_can_keep_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"--free: 95 must be from 0 to 90"):
        Wishes(free_percent=95)


@pytest.mark.parametrize("seed", range(4))
def test_waves_make_the_moves_between_hosts_and_never_let_two_of_a_group_meet(
    seed: int, tmp_path: Any
) -> None:
    chance = np.random.default_rng(seed)
    hosts = [host(f"h{n}", 200, 50, site="s") for n in range(5)]
    machines = [
        machine(f"m{n}", f"h{n % 3}", int(chance.integers(2, 20)), int(chance.integers(1, 8)), application=f"a{n % 12}")
        for n in range(48)
    ]  # fmt: skip
    one = estate(hosts, machines)
    found = asked(one, apart=groups(one, [Apart.of("a[0-3]")]), free_percent=5)
    document, _ = moves_document(found)
    document["windows"] = [{"from": "2027-01-09T22:00:00Z", "to": "2027-01-10T06:00:00Z"}]
    file = tmp_path / "moves.json"
    file.write_text(json.dumps(document))
    planned = plan(load(file))
    assert planned.left_rows() == []
    made = {
        row["machine"]: (row["from"], row["to"]) for row in planned.move_rows() if row["kind"] == "move"
    }
    assert made == {row["machine"]: (row["from"], row["to"]) for row in move_rows(found)}
    assert len(document["apart"]) == 4
