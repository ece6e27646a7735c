"""Whole what-if documents of tiny estates, recounted from their meaning: every placement, in fractions, month by month.

Nothing of the product counts here. A case is drawn as plain values, written as documents and asked about; the recount
tries every place of every machine with every number of hosts and every way to license them.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import yaml

from catalog.estates.model import Estate, EstateHost, EstateMachine, EstatePool, PowerState
from catalog.pools import Hypervisor
from chargeback.economics.document import load_economics
from placement.plan import Limits
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import prepare
from tierwise.planner.reading import load
from tierwise.planner.run import run

GIB = 1024
ROUNDED = Fraction(1, 500)
"""Each amount is rounded to the micro-unit; what all of them come to stays far below a cent."""
TIERS = {"A": "tier-1", "B": "tier-2"}
GROWN = "grown"
Doc = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """A value of a figure, and when and where it holds."""

    amount: Fraction
    since: date | None = None
    region: str = ""


@dataclass(frozen=True)
class Host:
    pool: str
    model: str
    cores: int
    gib: int
    existing: int
    most: int
    paid: bool = False
    today: int = 0


@dataclass(frozen=True)
class Machine:
    id: str
    pool: str
    vcpu: int
    gib: int
    disk_gib: int


@dataclass(frozen=True)
class Pool:
    name: str
    tier: str
    site: str
    region: str
    losses: int
    least: int


@dataclass(frozen=True)
class Way:
    """Two sockets a host; of whole hosts by core, or by the vCPU of machines."""

    name: str
    metric: str
    minimum: int
    pack: int
    price: tuple[Value, ...]
    order_minimum: int = 0
    owned: tuple[tuple[int, date], ...] = ()
    paid: tuple[Value, ...] = ()
    """What contracts cost that run, where the price is another since."""
    rounded: str = "scope"


@dataclass
class Case:
    start: date
    months: int
    figures: dict[str, tuple[Value, ...]]
    regions: dict[str, str]
    pools: list[Pool]
    hosts: list[Host]
    machines: list[Machine]
    reach: str
    ways: list[Way]
    bought_on: date | None
    percent: int
    """Of the purchase, a year."""
    only: dict[str, set[str]] = field(default_factory=dict)
    factors: list[tuple[str, Fraction]] = field(default_factory=list)
    most_moves: int | None = None
    economics: Doc = field(default_factory=dict)
    document: Doc = field(default_factory=dict)

    def day(self, month: int) -> date:
        year, rest = divmod(self.start.year * 12 + self.start.month - 1 + month, 12)
        following = date(year + rest // 11, 1 if rest == 11 else rest + 2, 1)
        return date(year, rest + 1, min(self.start.day, (following - timedelta(days=1)).day))

    def at(self, figure: str | tuple[Value, ...], day: date, region: str) -> Fraction:
        """Of a region before everywhere, and of equal ones the one that began last."""
        values = self.figures[figure] if isinstance(figure, str) else figure
        held = [v for v in values if (v.since is None or v.since <= day) and v.region in {"", region}]
        return max(held, key=lambda v: (v.region != "", v.since or date.min)).amount

    def region(self, pool: Pool) -> str:
        return pool.region or self.regions.get(pool.site, "")

    def sum(self, figure: str, pool: Pool) -> Fraction:
        """Of all months."""
        every = (self.at(figure, self.day(n), self.region(pool)) for n in range(self.months))
        return sum(every, Fraction(0))

    def factor(self, pool: str) -> Fraction:
        return math.prod((by for name, by in self.factors if name == pool), start=Fraction(1))


def written(values: Sequence[Value]) -> Doc:
    def one(value: Value) -> Doc:
        found: Doc = {"value": f"{float(value.amount):.4f}"}
        found |= {"from": value.since.isoformat()} if value.since else {}
        return found | ({"region": value.region} if value.region else {})

    return one(values[0]) | {"changes": [one(value) for value in values[1:]]}


def drawn(seed: int) -> Case:
    """A case with its documents, and the changes of its one scenario made."""
    chance = random.Random(seed)
    start = chance.choice([date(2027, 1, 1), date(2026, 11, 15), date(2027, 1, 31)])
    months = chance.choice([1, 7, 12, 18])

    def day() -> date:
        return start + timedelta(days=chance.randrange(-60, 31 * months))

    def values(low: int, high: int) -> tuple[Value, ...]:
        amount = Fraction(chance.randint(low, high), 10)
        found = [Value(amount)]
        if chance.random() < 0.5:
            found.append(Value(Fraction(chance.randint(low, high), 10), since=day()))
        if chance.random() < 0.5:
            other = amount if chance.random() < 0.3 else Fraction(chance.randint(low, high), 10)
            found.append(Value(other, region="FR"))
        return tuple(found)

    pools = [
        Pool(name, tier, site, chance.choice(["", "", "FR"]), chance.choice([0, 0, 1]), chance.choice([1, 1, 2]))
        for (name, tier), site in zip(TIERS.items(), ("north", "south"), strict=True)
    ]  # fmt: skip
    hosts = []
    for pool in pools:
        there = chance.randint(1, 2)
        hosts.append(
            Host(
                pool.name, "old", chance.choice([4, 8]), chance.choice([16, 32]), there, there, today=there
            )
        )
        hosts.append(Host(pool.name, "new", 8, 32, 0, chance.randint(0, 2)))  # fmt: skip
    sizes = [(1, 4, 20), (2, 8, 50), (4, 16, 100)]
    machines = [
        Machine(f"m{n}", chance.choice("AB"), *chance.choice(sizes)) for n in range(chance.randint(1, 4))
    ]
    ways = [
        Way("cores", "per_core", chance.choice([0, 4]), chance.choice([1, 8]), values(10, 90)),
        Way("vcpu", "per_vcpu", chance.choice([0, 2]), chance.choice([1, 2]), values(10, 200)),
    ]
    regions = {"north": "DE", "south": chance.choice(["DE", "FR", ""])}
    same = len({pool.region or regions[pool.site] for pool in pools}) == 1
    for n, way in enumerate(ways):
        if chance.random() < 0.3:
            ways[n] = replace(way, order_minimum=chance.choice([6, 30]))
        elif same and chance.random() < 0.5:  # What is owned belongs to one order.
            ways[n] = replace(way, owned=((chance.choice([2, 8]), day()),))
    apart = random.Random(-1 - seed)
    ways = [replace(way, rounded=apart.choice(["scope", "order"])) for way in ways]
    figures = {
        "maintenance": values(100, 900), "power": values(1, 9), "storage": values(1, 9), "labour": values(10, 99),
        "opening": values(0, 900), "machine": values(0, 3000), "tib": values(0, 3000), "purchase": values(5000, 60000),
    }  # fmt: skip
    bought_on = start - timedelta(days=chance.randrange(900)) if chance.random() < 0.5 else None
    case = Case(
        start, months, figures, regions, pools, hosts, machines, chance.choice(["pool", "estate"]), ways, bought_on,
        chance.choice([0, 12, 30]),
    )  # fmt: skip
    case.economics, case.document = _economics(case), _document(case)
    possible = [change for change in CHANGES if change is not _renewal or case.ways[1].owned]
    changes = [change(case, chance, chance.choice("AB")) for change in chance.sample(possible, 3)]
    case.document["scenarios"] = {"asked": {"changes": changes}}
    return case


def _economics(case: Case) -> Doc:
    figure = {name: written(values) for name, values in case.figures.items()}
    kind = {
        "purchase_price": figure["purchase"], "depreciation_months": 36, "maintenance_per_year": figure["maintenance"],
        "watts_idle": 100, "watts_full": 100, "maintenance_percent_per_year": case.percent,
    }  # fmt: skip
    alternatives = [
        {
            "name": way.name, "metric": way.metric, "pack_size": way.pack, "pack_scope": way.rounded, "order_minimum": way.order_minimum,
            "per_socket_minimum" if way.metric == "per_core" else "per_machine_minimum": way.minimum,
            "prices": [{"amount": written(way.price), "period": "month"}],
            "owned": [{"packs": packs, "until": until.isoformat()} for packs, until in way.owned],
        }
        for way in case.ways
    ]  # fmt: skip
    return {
        "format": "tierwise-economics/1",
        "currency": "EUR",
        "sites": {
            site: {"price_per_kwh": figure["power"]} | ({"region": region} if region else {})
            for site, region in case.regions.items()
        },
        "host_types": {
            "old": kind | {"match": {"model": "old"}} | ({"bought_on": case.bought_on.isoformat()} if case.bought_on else {}),
            "new": kind | ({"bought_on": case.bought_on.isoformat()} if case.bought_on else {}),
        },
        "storage": {"any": {"per_gib_per_month": figure["storage"]}},
        "other": {"work": {"term": "labour", "per": "machine", "per_month": figure["labour"]}},
        "opening": {"array": {"per_month": figure["opening"]}},
        "migration": {"any": {"per_machine": figure["machine"], "per_tib": figure["tib"]}},
        "licences": {"suite": {"layer": "hypervisor", "reach": case.reach, "alternatives": alternatives}},
    }  # fmt: skip


def _document(case: Case) -> Doc:
    new = {host.pool: host for host in case.hosts if host.model == "new"}
    return {
        "format": "tierwise-whatif/1", "name": "drawn", "estate": "unused", "economics": "unused",
        "start": case.start.isoformat(), "months": case.months, "overcommit": {"vcpu": 1},
        "pools": {
            pool.name: {
                "tier": pool.tier, "site": pool.site, "region": pool.region, "losses": pool.losses, "least_hosts": pool.least,
                "hosts": {"new": {"most": new[pool.name].most, "sockets": 2, "cores": 8, "memory_mib": 32 * GIB}},
            }
            for pool in case.pools
        },
    }  # fmt: skip


def _price(case: Case, chance: random.Random, pool: str) -> Doc:
    percent = chance.choice([-20, 50])
    case.factors.append((pool, Fraction(100 + percent, 100)))
    return {"kind": "price", "of": {"pools": [pool]}, "percent": percent}


def _loss(case: Case, _: random.Random, pool: str) -> Doc:
    n = next(n for n, host in enumerate(case.hosts) if (host.pool, host.model) == (pool, "old"))
    left = case.hosts[n].existing - 1
    case.hosts[n] = replace(case.hosts[n], existing=left, most=left)
    return {"kind": "host_loss", "pool": pool, "hosts": 1}


def _bought(case: Case, chance: random.Random, pool: str) -> Doc:
    model = chance.choice(["new", "old"])
    n = next(n for n, host in enumerate(case.hosts) if (host.pool, host.model) == (pool, model))
    certain = chance.random() < 0.5
    if certain:
        case.hosts.append(replace(case.hosts[n], existing=1, most=1, paid=True, today=0))
    elif model == "new":
        case.hosts[n] = replace(case.hosts[n], most=case.hosts[n].most + 1)
    else:  # Hosts like those that stand, at the price at which they are bought.
        case.hosts.append(replace(case.hosts[n], existing=0, most=1, today=0))
    return {"kind": "hosts_bought", "pool": pool, "type": model, "hosts": 1, "certain": certain}


def _tier(case: Case, chance: random.Random, pool: str) -> Doc:
    some = chance.sample([one.id for one in case.machines if one.pool], 1)
    case.only |= {name: {pool} for name in some}
    return {"kind": "tier_move", "machines": {"names": some}, "to": TIERS[pool]}


def _licence(case: Case, _: random.Random, __: str) -> Doc:
    way = case.ways[0]
    dearer = tuple(replace(one, amount=one.amount * Fraction(6, 5)) for one in way.price)
    case.ways[0] = replace(way, price=dearer, minimum=6, paid=way.price)
    return {
        "kind": "licence",
        "product": "suite",
        "alternative": "cores",
        "percent": 20,
        "per_socket_minimum": 6,
    }


def _renewal(case: Case, chance: random.Random, _: str) -> Doc:
    day = case.start + timedelta(days=chance.randrange(31 * case.months))
    way = case.ways[1]
    case.ways[1] = replace(way, owned=tuple((packs, day) for packs, _ in way.owned))
    return {"kind": "licence", "product": "suite", "alternative": "vcpu", "renewal": day.isoformat()}


def _moves(case: Case, chance: random.Random, _: str) -> Doc:
    case.most_moves = chance.randint(0, 2)
    return {"kind": "most_moves", "machines": case.most_moves}


def _growth(case: Case, _: random.Random, __: str) -> Doc:
    like = case.machines[0]
    case.machines.append(replace(like, id=GROWN, pool=""))
    return {"kind": "growth", "machines": {"names": [like.id]}, "percent": 100}


CHANGES = (_price, _loss, _bought, _tier, _licence, _renewal, _moves, _growth)
"""Each changes the case as it is written."""


class Recount:
    """What plans of a case cost, and which is the best."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.pools = {pool.name: pool for pool in case.pools}
        self.kept, self.bought = zip(*(self._host(host) for host in case.hosts), strict=True)
        self.sunk = self._sunk()
        self.pieces = list(self._pieces())
        self.known: dict[tuple[object, ...], Fraction] = {}

    def _host(self, host: Host) -> tuple[Fraction, Fraction]:
        """Of one, as long as it stands; and its purchase on top."""
        case, pool = self.case, self.pools[host.pool]
        kept = case.sum("maintenance", pool) / 12 + case.sum("power", pool) * 73
        price = case.at("purchase", case.start, case.region(pool))
        if not host.today:
            paid = case.months * price
        elif case.bought_on:
            paid = case.months * case.at("purchase", case.bought_on, case.region(pool))
        else:
            paid = case.sum("purchase", pool)
        kept += paid * case.percent / 1200
        bought = price * Fraction(min(36, case.months), 36)
        return kept * case.factor(host.pool), bought * case.factor(host.pool)

    def _sunk(self) -> Fraction:
        case, found = self.case, Fraction(0)
        for host, bought in zip(case.hosts, self.bought, strict=True):
            if host.paid:
                found += bought
            elif host.model == "old" and (day := case.bought_on):
                gone = (case.start.year - day.year) * 12 + case.start.month - day.month
                price = case.at("purchase", day, case.region(self.pools[host.pool]))
                found += host.today * price * Fraction(min(36, gone + case.months) - min(36, gone), 36)
        for way in case.ways:
            for n in range(case.months):
                day, region = case.day(n), case.region(case.pools[0])
                packs = sum(packs for packs, until in way.owned if day < until)
                found += packs * way.pack * case.at(way.paid or way.price, day, region)
        return found

    def _pieces(self) -> Iterator[list[tuple[list[str], list[tuple[Way, Fraction, int]]]]]:
        """Stretches between renewals; of each its orders: pools at one price, and of each way a pack's price and packs owned."""
        case = self.case
        days = [until for way in case.ways for _, until in way.owned]
        cuts = {next((n for n in range(case.months) if case.day(n) >= day), case.months) for day in days}
        for begin, end in itertools.pairwise(sorted({0, case.months, *cuts})):
            orders: dict[tuple[Fraction, ...], tuple[list[str], list[tuple[Way, Fraction, int]]]] = {}
            for pool in case.pools:
                monthly = [
                    [case.at(way.price, case.day(n), case.region(pool)) for n in range(begin, end)]
                    for way in case.ways
                ]
                ways = [
                    (way, way.pack * sum(prices, Fraction(0)), sum(packs for packs, until in way.owned if case.day(begin) < until))
                    for way, prices in zip(case.ways, monthly, strict=True)
                ]  # fmt: skip
                orders.setdefault(tuple(itertools.chain(*monthly)), ([], ways))[0].append(pool.name)
            yield list(orders.values())

    def licences(self, places: Sequence[str | None], hosts: Sequence[int]) -> Fraction:
        """The cheapest way to license machines at their places; every scope has one way, minimums are asked of all."""
        there = tuple(
            tuple(
                sorted(one.vcpu for one, at in zip(self.case.machines, places, strict=True) if at == pool)
            )
            for pool in self.pools
        )
        key = there, tuple(hosts)
        if key not in self.known:
            by_pool = dict(zip(self.pools, there, strict=True))
            self.known[key] = sum(
                (self._piece(orders, by_pool, hosts) for orders in self.pieces), Fraction(0)
            )
        return self.known[key]

    def _piece(
        self,
        orders: Sequence[tuple[list[str], list[tuple[Way, Fraction, int]]]],
        there: Mapping[str, Sequence[int]],
        hosts: Sequence[int],
    ) -> Fraction:
        scopes = [
            (o, inside, ways)
            for o, (pools, ways) in enumerate(orders)
            for inside in ([[pool] for pool in pools] if self.case.reach == "pool" else [pools])
            if any(there[pool] for pool in inside)
        ]
        found = []
        for choice in itertools.product(range(len(self.case.ways)), repeat=len(scopes)):
            units: dict[tuple[int, int], list[int]] = {}
            for (o, inside, ways), w in zip(scopes, choice, strict=True):
                units.setdefault((w, o), []).append(self._units(ways[w][0], inside, there, hosts))
            total = Fraction(0)
            for w in set(choice):
                way = orders[0][1][w][0]
                mine = {o: some for (v, o), some in units.items() if v == w}
                asked = -(-way.order_minimum // way.pack)
                if (
                    way.rounded == "order"
                ):  # Whole packs at each price, and the rest of all of them together.
                    some = {o: sum(each) // way.pack for o, each in mine.items()}
                    asked = max(asked, -(-sum(sum(each) for each in mine.values()) // way.pack))
                else:
                    some = {o: sum(-(-n // way.pack) for n in each) for o, each in mine.items()}
                missing = asked - sum(some.values())
                if missing > 0:
                    some[min(some, key=lambda o: orders[o][1][w][1])] += missing
                total += sum(max(0, n - orders[o][1][w][2]) * orders[o][1][w][1] for o, n in some.items())
            found.append(total)
        return min(found)

    def _units(
        self, way: Way, inside: Sequence[str], there: Mapping[str, Sequence[int]], hosts: Sequence[int]
    ) -> int:
        if way.metric == "per_vcpu":
            return sum(max(vcpu, way.minimum) for pool in inside for vcpu in there[pool])
        counted = zip(self.case.hosts, hosts, strict=True)
        return sum(n * 2 * max(host.cores // 2, way.minimum) for host, n in counted if host.pool in inside)

    def cost(self, places: Sequence[str | None], hosts: Sequence[int]) -> Fraction:
        """All but licences."""
        case, found = self.case, self.sunk
        for host, n, kept, bought in zip(case.hosts, hosts, self.kept, self.bought, strict=True):
            found += n * kept + max(0, n - host.existing) * bought
        for name, pool in self.pools.items():
            if any(n for host, n in zip(case.hosts, hosts, strict=True) if host.pool == name):
                found += case.sum("opening", pool) * case.factor(name)
        for one, at in zip(case.machines, places, strict=True):
            if at is None:
                continue
            pool = self.pools[at]
            each = case.sum("labour", pool) + one.disk_gib * case.sum("storage", pool)
            if one.pool and one.pool != at:
                region = case.region(pool)
                each += case.at("machine", case.start, region)
                each += case.at("tib", case.start, region) * Fraction(one.disk_gib, 2 * GIB)
            found += each * case.factor(at)
        return found

    def holds(self, pool: Pool, hosts: Sequence[int], inside: Sequence[Machine]) -> bool:
        """Whether the pool's hosts hold these machines, and with the largest lost; no machine is larger than its host."""
        some = [
            host
            for host, n in zip(self.case.hosts, hosts, strict=True)
            for _ in range(n)
            if host.pool == pool.name
        ]
        if not some:
            return not inside
        if len(some) < pool.least:
            return False
        sets: list[tuple[list[Host], Sequence[Machine]]] = [(some, inside)]
        for like in inside:
            fit = [host for host in some if like.vcpu <= host.cores and like.gib <= host.gib]
            held = [
                m for m in inside if all(h in fit for h in some if m.vcpu <= h.cores and m.gib <= h.gib)
            ]
            sets.append((fit, held))
        for fit, those in sets:
            for size, need in (("cores", "vcpu"), ("gib", "gib")):
                left = sorted((getattr(host, size) for host in fit), reverse=True)[pool.losses :]
                if sum(getattr(one, need) for one in those) > sum(left):
                    return False
        return True

    def best(self) -> tuple[int, Fraction, int]:
        """The fewest machines without a place, then the least cost, then the fewest moves."""
        case = self.case
        found = (len(case.machines) + 1, Fraction(0), 0)
        like = {GROWN: case.machines[0].id}
        choices = [
            [*sorted(case.only.get(like.get(one.id, one.id), set("AB"))), None] for one in case.machines
        ]
        every = list(itertools.product(*(range(host.most + 1) for host in case.hosts)))
        for places in itertools.product(*choices):
            out = places.count(None)
            moves = sum(
                1 for one, at in zip(case.machines, places, strict=True) if at and one.pool not in {"", at}
            )
            if out > found[0] or (case.most_moves is not None and moves > case.most_moves):
                continue
            inside = {
                name: [one for one, at in zip(case.machines, places, strict=True) if at == name]
                for name in self.pools
            }
            for hosts in every:
                if not all(self.holds(pool, hosts, inside[name]) for name, pool in self.pools.items()):
                    continue
                plain = (out, self.cost(places, hosts), moves)
                if plain < found:
                    found = min(found, (out, plain[1] + self.licences(places, hosts), moves))
        return found


def asked(case: Case) -> Any:
    names = {"A": Hypervisor.VSPHERE, "B": Hypervisor.LIBVIRT}
    olds = [host for host in case.hosts if host.model == "old"]
    estate = Estate(
        name="drawn",
        source="drawn",
        taken_at=datetime(2026, 12, 1, tzinfo=UTC),
        machines=tuple(
            EstateMachine(
                id=one.id, name=one.id, power=PowerState.ON, vcpus=one.vcpu, memory_mib=one.gib * GIB,
                provisioned_mib=one.disk_gib * GIB, in_use_mib=one.disk_gib * GIB // 2, pool=one.pool,
            )
            for one in case.machines
            if one.pool
        ),
        hosts=tuple(
            EstateHost(name=f"{host.pool}{n}", pool=host.pool, model="old", sockets=2, cores=host.cores, memory_mib=host.gib * GIB)
            for host in olds
            for n in range(host.today)
        ),
        pools=tuple(EstatePool(name=name, hypervisor=kind) for name, kind in names.items()),
    )  # fmt: skip
    economics = load_economics(yaml.safe_dump(case.economics, sort_keys=False), "economics.yaml")
    return prepare(
        load(yaml.safe_dump(case.document, sort_keys=False), "whatif.yaml"), Inputs(estate, economics)
    )


@pytest.mark.parametrize("seed", range(80))
def test_a_scenario_of_several_changes_comes_to_what_trying_everything_does(seed: int) -> None:
    case = drawn(seed)
    (found,) = run(asked(case), limits=Limits()).scenarios
    recount = Recount(case)
    out, cost, moves = recount.best()
    assert found.unplaced == out
    assert abs(Fraction(found.cost_micros, 10**6) - cost) < ROUNDED
    assert abs(Fraction(found.sunk_micros, 10**6) - recount.sunk) < ROUNDED
    assert len(found.moves) <= moves
    assert found.moves_bound <= moves
    assert sum(one.cost_micros for one in found.tiers) == found.cost_micros - found.sunk_micros
    for one in found.stranded:
        assert {against.pool for against in one.reasons} == {"A", "B"}
        assert one.conflict
