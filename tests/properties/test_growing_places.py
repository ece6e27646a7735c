"""Growth over several periods: whoever can have a place in a period, with the hosts that there are or could be, has one.

A case is drawn as plain values, written as documents and asked about. The recount tries every place of every machine, in
each period by itself, on all hosts of today and all that can have come: what earlier periods do must not stand against it.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import yaml

from catalog.catalog import load_catalog
from catalog.estates.model import Estate, EstateHost, EstateMachine, EstatePool, PowerState
from catalog.pools import Hypervisor
from chargeback.economics.document import load_economics
from placement.plan import Limits
from tierwise.planner.growing import Asked, GrowthPlan, plan_growth
from tierwise.planner.growing_report import told
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import Prepared, prepare
from tierwise.planner.reading import load

GIB = 1024
MONTHS = 6
POOLS = {"A": "north", "B": "south"}
CATALOG = """\
tiers:
  tier-1: {rank: 1, title: one, purpose: all}
classes:
  web:
    title: web
    summary: servers of pages
    sizes:
      s4: {vcpu: 1, memory_mib: 4096, disk_gib: 1}
      s8: {vcpu: 1, memory_mib: 8192, disk_gib: 1}
    allowed_tiers: [tier-1]
    default_tier: tier-1
"""


@dataclass(frozen=True)
class Machine:
    gib: int
    pool: str
    """Where it runs today; empty for one that comes."""
    month: int
    """In which it comes."""
    only: str
    """The one pool where it may be; empty: any."""


@dataclass(frozen=True)
class Hosts:
    existing: int
    buyable: int
    gib: int
    cost: int
    """Of one in a month."""
    writes_off: tuple[int, ...] = (2,)
    """Of one that is bought, in a month; the n-th if it is bought in the n-th month, and the last one in all later ones."""
    life: int = 50
    """The months over which it is written off."""

    def written_off(self, month: int) -> int:
        """By the month of its purchase, from 1."""
        return self.writes_off[min(month, len(self.writes_off)) - 1]


@dataclass(frozen=True)
class Case:
    machines: tuple[Machine, ...]
    hosts: dict[str, Hosts]
    every: int
    lead: int
    most_moves: int | None
    move: int
    """What a move costs, beside 1 for its GiB of disk."""
    changes: tuple[dict[str, Any], ...]
    only: str
    """The one pool where machines of the demand may be that have so much or more; empty: any."""
    only_from_gib: int


def drawn(seed: int) -> Case:
    chance = random.Random(seed)
    hosts = {
        name: Hosts(
            existing=chance.randint(0, 2),
            buyable=chance.choice([0, 0, 1]),
            gib=chance.choice([8, 16]),
            cost=chance.choice([10, 100, 1000]),
        )
        for name in POOLS
    }
    today = [
        Machine(chance.choice([4, 8]), name, 1, chance.choice(["", "", "A", "B"]))
        for name in POOLS
        for _ in range(chance.randint(0, 2) if hosts[name].existing else 0)
    ]
    only, only_from = chance.choice(["", "A", "B"]), chance.choice([4, 8])
    coming, changes = [], []
    for gib in (4, 8):
        if chance.random() < 0.7:
            first = chance.randint(1, MONTHS)
            last = min(MONTHS, first + chance.randint(0, 1))
            coming += [
                Machine(gib, "", month, only if gib >= only_from else "")
                for month in range(first, last + 1)
            ]
            changes.append({**demand(f"s{gib}", first), "last_month": last})
    most_moves = chance.choice([None, None, 0, 1])
    if most_moves is not None:
        changes.append({"kind": "most_moves", "machines": most_moves})
    return Case(
        machines=(*today, *coming),
        hosts=hosts,
        every=chance.choice([1, 2, 3]),
        lead=chance.choice([0, 0, 3]),
        most_moves=most_moves,
        move=chance.choice([0, 5, 5000]),
        changes=tuple(changes),
        only=only,
        only_from_gib=only_from,
    )


def prepared(case: Case) -> Prepared:
    estate = Estate(
        name="drawn",
        source="made for tests",
        machines=tuple(
            EstateMachine(
                id=f"m{n}", name=f"m{n}", power=PowerState.ON, vcpus=1, memory_mib=one.gib * GIB,
                provisioned_mib=GIB, in_use_mib=GIB, guest_os="Linux", pool=one.pool,
            )
            for n, one in enumerate(case.machines)
            if one.pool
        ),
        hosts=tuple(
            EstateHost(name=f"{name}-{n}", pool=name, model=name, sockets=1, cores=32, memory_mib=some.gib * GIB)
            for name, some in case.hosts.items()
            for n in range(some.existing)
        ),
        pools=tuple(EstatePool(name=name, hypervisor=Hypervisor.LIBVIRT) for name in POOLS),
    )  # fmt: skip
    economics = {
        "format": "tierwise-economics/1",
        "currency": "EUR",
        "host_types": {
            name: {
                "match": {"model": name}, "depreciation_months": some.life,
                "purchase_price": {
                    "value": some.life * some.writes_off[0],
                    "changes": [
                        {"value": some.life * each, "from": f"2027-{month:02}-01"}
                        for month, each in enumerate(some.writes_off[1:], 2)
                    ],
                },
                "maintenance_per_year": {"value": 12 * some.cost},
            }
            for name, some in case.hosts.items()
        },
        "migration": {"any": {"per_machine": {"value": case.move}, "per_tib": {"value": 1024}}},
    }  # fmt: skip
    document = {
        "format": "tierwise-whatif/1", "name": "drawn", "estate": "unused", "economics": "unused", "start": "2027-01-01",
        "months": MONTHS,
        "pools": {
            name: {
                "tier": "tier-1", "site": POOLS[name], "losses": 0,
                "hosts": {
                    "new": {"most": some.buyable, "sockets": 1, "cores": 32, "memory_mib": some.gib * GIB, "model": name}
                },
            }
            for name, some in case.hosts.items()
        },
        "rules": {
            **{
                f"m{n}-stays": {"machines": {"names": [f"m{n}"]}, "only": {"pools": [one.only]}, "reason": "a test says so"}
                for n, one in enumerate(case.machines)
                if one.pool and one.only
            },
            **(
                {
                    "web": {
                        "machines": {"classes": ["web"], "memory_mib_from": case.only_from_gib * GIB},
                        "only": {"pools": [case.only]}, "reason": "a test says so",
                    }
                }
                if case.only
                else {}
            ),
        },
        "scenarios": {"asked": {"changes": list(case.changes)}},
    }  # fmt: skip
    inputs = Inputs(
        estate,
        load_economics(yaml.safe_dump(economics), "economics.yaml"),
        load_catalog({"catalog.yaml": CATALOG}).classes,
    )
    return prepare(load(yaml.safe_dump(document, sort_keys=False), "whatif.yaml"), inputs)


def asked(case: Case) -> GrowthPlan:
    ready = prepared(case)
    return plan_growth(ready, ready.scenario("asked"), Asked(Decimal(0), case.every, case.lead), Limits())


def demand(size: str, month: int) -> dict[str, Any]:
    return {
        "kind": "demand", "class": "web", "size": size, "per_month": 1, "first_month": month, "last_month": month,
    }  # fmt: skip


def fewest_out(case: Case, first: int, last: int) -> int:
    """The fewest that any places leave out."""
    there = [one for one in case.machines if one.month <= last]
    room = {
        name: (some.existing + (some.buyable if first > case.lead else 0)) * some.gib
        for name, some in case.hosts.items()
    }
    places = [["", *([one.only] if one.only else POOLS)] for one in there]
    return min(
        at.count("")
        for at in itertools.product(*places)
        if _moves(there, at) <= (len(there) if case.most_moves is None else case.most_moves)
        and all(
            sum(one.gib for one, p in zip(there, at, strict=True) if p == name) <= room[name]
            for name in POOLS
        )
    )


def _moves(there: Sequence[Machine], at: Sequence[str]) -> int:
    return sum(bool(one.pool and p and p != one.pool) for one, p in zip(there, at, strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_whoever_can_have_a_place_has_one(seed: int) -> None:
    case = drawn(seed)
    found = asked(case)
    out = [fewest_out(case, one.first_month, one.last_month) for one in found.periods]
    assert [one.unplaced for one in found.periods] == out


def least_cost(hosts: Hosts, needed: Sequence[int], every: int) -> int:
    """The least that hosts of one pool cost in all months of which so many must run in each period: every sequence is tried."""
    found = []
    more = [max(0, count - hosts.existing) for count in needed]
    for bought in itertools.product(range(hosts.buyable + 1), repeat=len(needed)):
        there = list(itertools.accumulate(bought))
        if there[-1] <= hosts.buyable and all(a <= b for a, b in zip(more, there, strict=True)):
            cost = sum(needed) * every * hosts.cost
            for s, count in enumerate(bought):
                left = min(hosts.life, (len(needed) - s) * every)
                cost += count * left * hosts.written_off(s * every + 1)
            found.append(cost)
    return min(found)


@pytest.mark.parametrize("seed", range(40))
def test_hosts_are_priced_from_the_month_in_which_they_are_bought(seed: int) -> None:
    chance = random.Random(seed)
    every = chance.choice([1, 2])
    coming = [0] * MONTHS
    for _ in range(chance.randint(0, 3)):
        coming[chance.randrange(MONTHS)] += 1
    existing = chance.randint(0, 2)
    path = [chance.randint(1, 9) for _ in range(MONTHS)]
    dearer = chance.random() < 0.5
    hosts = Hosts(
        existing, sum(coming), 8, chance.choice([1, 10]),
        writes_off=tuple(path if dearer else sorted(path, reverse=True)), life=chance.randint(1, 8),
    )  # fmt: skip
    case = Case(
        machines=tuple(Machine(8, "A", 1, "") for _ in range(existing)),
        hosts={"A": hosts, "B": Hosts(0, 0, 8, 1)},
        every=every, lead=0, most_moves=None, move=0,
        changes=tuple(
            {**demand("s8", month), "per_month": count} for month, count in enumerate(coming, 1) if count
        ),
        only="", only_from_gib=4,
    )  # fmt: skip
    found = asked(case)
    needed = [existing + sum(coming[: one.last_month]) for one in found.periods]
    assert [one.unplaced for one in found.periods] == [0] * len(needed)
    least = least_cost(hosts, needed, every) * 10**6
    bought = [sum(one.bought.values()) for one in found.periods]
    cost = sum(needed) * every * hosts.cost
    for one, count in zip(found.periods, bought, strict=True):
        left = min(hosts.life, MONTHS - one.first_month + 1)
        cost += count * left * hosts.written_off(one.first_month)
    assert found.cost_micros == cost * 10**6
    assert found.bound_micros == least == found.cost_micros


def test_hosts_are_kept_for_machines_that_only_a_later_period_has() -> None:
    # One machine of 4 GiB on A, which costs 1,000 a month; on B it costs 10. In month 4 one of 8 GiB comes that must be on A.
    case = Case(
        machines=(Machine(4, "A", 1, ""), Machine(8, "", 4, "A")),
        hosts={"A": Hosts(1, 0, 8, 1000), "B": Hosts(1, 0, 8, 10)},
        every=3, lead=0, most_moves=None, move=5, changes=(demand("s8", 4),), only="A", only_from_gib=4,
    )  # fmt: skip
    found = asked(case)
    assert [one.unplaced for one in found.periods] == [0, 0]
    assert [one.hosts for one in found.periods] == 2 * [{"A": 1, "B": 1}]
    # Both hosts for six months, and the first machine's move.
    assert found.cost_micros == found.bound_micros == (6 * 1010 + 6) * 10**6
    assert (found.apart_micros, found.apart_unplaced) == (None, 1)
    assert any("would leave 1 machine more without a place" in text for text in told(found))


def test_a_machine_moves_once_more_where_another_has_no_place_otherwise() -> None:
    # One of 4 GiB comes at once, and has a place on A alone; in month 4 one of 8 GiB, for which A is just large enough.
    case = Case(
        machines=(Machine(4, "", 1, ""), Machine(8, "", 4, "A")),
        hosts={"A": Hosts(1, 0, 8, 100), "B": Hosts(0, 1, 8, 10)},
        every=3, lead=3, most_moves=None, move=5, changes=(demand("s4", 1), demand("s8", 4)), only="A", only_from_gib=8,
    )  # fmt: skip
    found = asked(case)
    assert [one.unplaced for one in found.periods] == [0, 0]
    assert [one.displaced for one in found.periods] == [0, 1]
    assert [one.bought for one in found.periods] == [{}, {"B: new (new)": 1}]
    # A for six months; B for three, with 2 written off in each; the move and what it copies.
    assert found.cost_micros == (6 * 100 + 3 * (10 + 2) + 5 + 1) * 10**6
    assert any("2027-04-01: 1 machine to move" in text for text in told(found))


def test_a_machine_whose_place_two_others_have_is_told() -> None:
    # A has 8 GiB: for the machine of 8 that runs there, or for the two of 4 that come in months 4 and 5.
    case = Case(
        machines=(Machine(8, "A", 1, ""), Machine(4, "", 4, "A"), Machine(4, "", 5, "A")),
        hosts={"A": Hosts(1, 0, 8, 100), "B": Hosts(0, 0, 8, 10)},
        every=3, lead=0, most_moves=None, move=5, changes=({**demand("s4", 4), "last_month": 5},), only="A", only_from_gib=4,
    )  # fmt: skip
    found = asked(case)
    assert [one.unplaced for one in found.periods] == [0, 1]
    assert [one.put_out for one in found.periods] == [0, 1]
    assert any("2027-04-01: of those without a place 1 had one until then" in text for text in told(found))
