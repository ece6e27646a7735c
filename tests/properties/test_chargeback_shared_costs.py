"""Whatever is shared how: nothing is lost, nothing is charged twice, and a look at a part changes no part."""

from collections import defaultdict
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.shared_costs.allocation import Allocation, Place, allocate
from chargeback.shared_costs.consumption import Consumption
from chargeback.shared_costs.costs import By, Charged, Due, PoolCost, due
from chargeback.shared_costs.rows import charged, margins, rows
from chargeback.shared_costs.sharing import Among, SharedTenant
from chargeback.usage import Metric

PERIOD = BillingPeriod(year=2026, month=2, time_zone="UTC")
SECONDS = PERIOD.t_to - PERIOD.t_from
POOLS = {"p": ("tier-1", "fra"), "q": ("tier-1", "ams"), "r": ("tier-2", "fra")}
TENANTS = ("bank", "shop", "team", "zoo")
METRICS = (Metric.VCPU, Metric.MEMORY_MIB, Metric.MACHINE)
weights = st.integers(1, 10**6)


@st.composite
def costs(draw: Any) -> list[PoolCost]:
    found = []
    for i in range(draw(st.integers(1, 3))):
        share, idle = draw(st.sampled_from(By)), draw(st.sampled_from([None, *By]))
        custom = draw(st.dictionaries(st.sampled_from(TENANTS), weights, min_size=1))
        kind, name = draw(
            st.sampled_from([*(("pool", p) for p in POOLS), ("tier", "tier-1"), ("site", "fra")])
        )
        found.append(
            PoolCost.model_validate({
                "name": f"cost-{i}", kind: name, "currency": "EUR", "month_nanos": draw(st.integers(0, 10**15)),
                "split": draw(st.dictionaries(st.sampled_from(METRICS), weights, min_size=1)),
                "share": share, "idle": idle, "charge": draw(st.sampled_from(Charged)),
                "custom": custom if By.CUSTOM in {share, idle} else {},
                "valid_from": draw(st.sampled_from([0, PERIOD.t_from + 12345])), "recorded_at": 0, "source": "test",
            })
        )  # fmt: skip
    return found


@st.composite
def consumptions(draw: Any) -> list[Consumption]:
    amounts = st.one_of(st.just(0), st.integers(-5, 10**9))
    keys = draw(
        st.sets(
            st.tuples(
                st.sampled_from(TENANTS), st.sampled_from("xy"), st.sampled_from([*POOLS, "gone"]),
                st.sampled_from(METRICS),
            ),
            max_size=12,
        )
    )  # fmt: skip
    return [
        Consumption(
            t, c, POOLS.get(p, ("tier-1", ""))[0], p, m, draw(amounts), draw(amounts), draw(amounts)
        )
        for t, c, p, m in sorted(keys)
    ]


@st.composite
def places(draw: Any) -> list[Place]:
    chosen = draw(st.sets(st.sampled_from(sorted(POOLS))))
    capacity = st.dictionaries(st.sampled_from(METRICS[:2]), st.integers(0, 1000))
    return [Place(p, *POOLS[p], capacity=draw(capacity)) for p in sorted(chosen)]


@st.composite
def shared_tenants(draw: Any) -> list[SharedTenant]:
    found = []
    for tenant in sorted(draw(st.sets(st.sampled_from(TENANTS[:3]), max_size=2))):
        by = draw(st.sampled_from(Among))
        others = st.sampled_from([t for t in TENANTS if t != tenant])
        custom = draw(st.dictionaries(others, weights, min_size=1)) if by is Among.CUSTOM else {}
        found.append(SharedTenant(tenant=tenant, by=by, custom=custom))
    return found


worlds = st.tuples(costs(), consumptions(), places(), shared_tenants(), st.sampled_from([0, 2, 9]))


def dues(world: Any) -> list[Due]:
    return due(world[0], PERIOD, minor_digits=world[4], rounding=Rounding.HALF_UP)


def result(world: Any) -> Allocation:
    _, found, there, shared, digits = world
    return allocate(
        dues(world), found, there, PERIOD, currency="EUR", minor_digits=digits, shared=shared
    )  # fmt: skip


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_parts_add_up_to_the_costs_under_every_grouping(world: Any) -> None:
    found = result(world)
    assert found.total_minor == sum(d.total_minor for d in dues(world)) == found.amount_minor()
    for fields in (("tenant",), ("kind", "tier"), ("pool", "metric", "via"), ("by", "why")):
        assert sum(found.by(*fields).values()) == found.total_minor
    by_name = {d.cost.name: d.total_minor for d in found.dues if d.total_minor}
    per_cost: dict[str, int] = defaultdict(int)
    for part in found.parts:
        per_cost[part.cost.name] += part.amount_minor
    assert per_cost == by_name
    assert all(part.amount_minor >= 0 for part in found.parts)
    assert all(bool(part.tenant) != bool(part.why) for part in found.parts)


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_a_filter_leaves_every_part_as_it_is_and_never_shows_more_idle_cost_than_there_is(
    world: Any,
) -> None:
    found = result(world)
    idle = found.amount_minor(kind="idle")
    alone = [found.amount_minor(kind="idle", tenant=tenant) for tenant in (*TENANTS, "")]
    assert sum(alone) == idle
    without_sharing = result((*world[:3], [], world[4]))
    # Each cost is rounded whole, so a resource's parts move by less than one unit each.
    moved = abs(idle - without_sharing.amount_minor(kind="idle"))
    assert moved <= len(found.parts) + len(without_sharing.parts)


@given(worlds)
@settings(max_examples=40, deadline=None)
def test_rows_and_margins_add_up_to_the_same_cost(world: Any) -> None:
    found = result(world)
    assert sum(int(row["amount_minor"]) for row in rows(found, "card")) == found.total_minor
    assert len({row["line"] for row in rows(found, "card")}) == len(found.parts)
    tiers = margins(found, [{"tier": "tier-9", "amount_minor": 77}])
    assert sum(tier.cost_minor for tier in tiers) == found.total_minor
    charges = sum(part.amount_minor for part in found.parts if charged(part))
    assert sum(tier.recovered_minor for tier in tiers) == charges + 77
    assert sum(tier.unallocated_minor for tier in tiers) == found.amount_minor(tenant="")


@given(worlds, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_what_was_held_changes_nothing(world: Any, random: Any) -> None:
    all_costs, found, there, *rest = world
    shuffled = [*found], [*there]
    for each in shuffled:
        random.shuffle(each)
    assert result((all_costs, *shuffled, *rest)).parts == result(world).parts


Amounts = dict[tuple[str, str, str], Fraction]


def oracle(world: Any) -> Amounts:
    """(cost, kind, tenant) -> exact amount, tenant by tenant and fraction by fraction, '' for nobody."""
    amount: Amounts = defaultdict(Fraction)
    for each in dues(world):
        for metric, share in each.cost.split.items():
            money = Fraction(each.total_minor) * share / sum(each.cost.split.values())
            mine, busy = _busy(world, each.cost, metric)
            for kind, piece, by in (
                ("held", money * busy, each.cost.share),
                ("idle", money - money * busy, each.cost.idle),
            ):
                weigh = _weighed(each.cost, mine, by)
                whole = sum(weigh.values())
                for tenant, weight in weigh.items() if whole else [("", Fraction(1))]:
                    amount[each.cost.name, kind, tenant] += piece * weight / (whole or 1)
    return _borne(amount, {rule.tenant: rule for rule in world[3]})


def _busy(world: Any, cost: PoolCost, metric: Metric) -> tuple[list[Consumption], Fraction]:
    """What was held of the cost's place, and how much of the place that was."""
    homes = [p for p in world[2] if cost.pool == p.pool or cost.tier == p.tier or cost.site == p.site]
    sites = {p.pool for p in homes} if cost.site else set()
    mine = [
        c for c in world[1]
        if c.metric == metric and (cost.pool == c.pool or cost.tier == c.tier or c.pool in sites)
    ]  # fmt: skip
    total = sum(_held(cost, c) for c in mine)
    known = bool(homes) and all(metric in p.capacity for p in homes)
    room = sum(p.capacity[metric] for p in homes) * SECONDS if known else total
    return mine, Fraction(total, max(total, room)) if max(total, room) else Fraction(0)


def _held(cost: PoolCost, c: Consumption) -> int:
    return max(0, c.used if cost.share == "use" else c.allocated)


def _weighed(cost: PoolCost, mine: list[Consumption], by: str | None) -> dict[str, Fraction]:
    present = {c.tenant for c in mine if _held(cost, c)}
    weigh: dict[str, Fraction] = defaultdict(Fraction)
    if by == "even":
        return dict.fromkeys(present, Fraction(1))
    if by == "custom":
        for tenant, weight in cost.custom.items():
            weigh[tenant if tenant in present else ""] += weight
        return weigh
    for c in mine if by else []:
        weigh[c.tenant] += max(0, {"allocation": c.allocated, "use": c.used}.get(by or "", c.price_minor))
    return weigh


def _borne(amount: Amounts, rules: dict[str, SharedTenant]) -> Amounts:
    held: dict[str, Fraction] = defaultdict(Fraction)
    for (_, kind, tenant), money in amount.items():
        if kind == "held" and tenant and tenant not in rules and money:
            held[tenant] += money
    final: Amounts = defaultdict(Fraction)
    for (name, kind, tenant), money in amount.items():
        rule = rules.get(tenant)
        if rule is None:
            final[name, kind, tenant] += money
            continue
        weigh = dict(held)
        if rule.by == "even":
            weigh = dict.fromkeys(held, Fraction(1))
        if rule.by == "custom":
            weigh = {t: Fraction(w) for t, w in rule.custom.items()}
        whole = sum(weigh.values())
        if not any(t in held for t in weigh):
            final[name, kind, ""] += money
            continue
        for t, weight in weigh.items():
            final[name, kind, t if t in held else ""] += money * weight / whole
    return {key: money for key, money in final.items() if money}


@given(worlds)
@settings(max_examples=100, deadline=None)
def test_every_tenant_bears_what_a_recount_in_fractions_says_and_rounding_moves_less_than_a_unit(
    world: Any,
) -> None:
    found = result(world)
    exact: Amounts = defaultdict(Fraction)
    for part in found.parts:
        exact[part.cost.name, part.kind.value, part.tenant] += part.exact
        assert abs(part.exact - part.amount_minor) < 1
    assert {key: money for key, money in exact.items() if money} == oracle(world)


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_whoever_was_rounded_up_had_at_least_the_remainder_of_whoever_was_not(world: Any) -> None:
    found = result(world)
    for each in found.dues:
        broken = [p for p in found.parts if p.cost.name == each.cost.name and p.exact.denominator > 1]
        up = [part.exact % 1 for part in broken if part.amount_minor > part.exact]
        down = [part.exact % 1 for part in broken if part.amount_minor < part.exact]
        assert not up or not down or min(up) >= max(down)
