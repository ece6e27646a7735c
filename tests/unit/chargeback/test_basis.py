"""Measured use, reservations and the larger of two, against a count second by second."""

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from chargeback.basis import BASES, Allocated, MissingSample, Options, effective
from chargeback.samples import SCHEMA as SAMPLES
from chargeback.usage import SCHEMA, InvalidUsage

STAMPS = ("tenant", "cost_centre", "tier", "pool", "labels", "power")
END = 60
FOREVER = 2**40


def row(machine: str, metric: str, quantity: int, t_from: int, t_to: int, **more: Any) -> dict[str, Any]:
    return {
        "machine": machine, "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p",
        "metric": metric, "quantity": quantity, "power": "on", "t_from": t_from, "t_to": t_to,
        "recorded_at": 0, "source": "orders", "sequence": 0, "labels": "",
    } | more  # fmt: skip


def usage_of(rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def samples_of(*rows: tuple[str, str, int, int]) -> Any:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SAMPLES, strict=True)], schema=SAMPLES)


def lives(chance: Random) -> list[dict[str, Any]]:
    """Machines that change owner, power and size, some of it recorded late: reversed and added again."""
    rows = []
    for machine in ("a", "b", "c"):
        cuts = sorted(chance.sample(range(1, END), chance.randint(2, 6)))
        for t_from, t_to in pairwise(cuts):
            stamps = {
                "tenant": chance.choice(["shop", "bank"]), "power": chance.choice(["on", "off"]),
                "labels": chance.choice(["", "class=web"]),
            }  # fmt: skip
            for metric, quantity in (("machine", 1), ("vcpu", chance.randint(0, 5)), ("memory_mib", 7)):
                if not quantity:
                    continue
                wrong = stamps | {"tenant": "nobody"}
                if chance.random() < 0.3:
                    rows.append(row(machine, metric, quantity, t_from, t_to, **wrong))
                    rows.append(row(machine, metric, -quantity, t_from, t_to, **wrong, recorded_at=5))
                rows.append(row(machine, metric, quantity, t_from, t_to, **stamps, recorded_at=5))
    chance.shuffle(rows)
    return rows


def counted(rows: list[dict[str, Any]], metric: str) -> Counter[tuple[Any, ...]]:
    """(machine, second, owner and place) -> quantity."""
    found: Counter[tuple[Any, ...]] = Counter()
    for each in rows:
        for second in range(each["t_from"], each["t_to"]) if each["metric"] == metric else ():
            found[each["machine"], second, *(each[name] for name in STAMPS)] += each["quantity"]
    return Counter({key: quantity for key, quantity in found.items() if quantity})


def naive(
    rows: list[dict[str, Any]], samples: list[Any], name: str, options: Options
) -> Counter[tuple[Any, ...]]:
    metric, _, basis = name.partition(":")
    basis = basis or "usage"
    allocated = {key[:2]: quantity for key, quantity in counted(rows, metric).items()}
    there = {key[:2]: key[2:] for key in counted(rows, "machine")}
    if options.allocated is Allocated.MAXIMUM:
        plain = dict(allocated)
        for t_from, t_to in options.periods:
            for machine, second in there:
                if t_from <= second < t_to:
                    seconds = (plain.get((machine, s), 0) for s in range(t_from, t_to))
                    allocated[machine, second] = max(seconds)
    found: Counter[tuple[Any, ...]] = Counter()
    for (machine, second), stamps in there.items():
        mine = [(at, q) for m, k, at, q in samples if (m, k) == (machine, metric) and at <= second]
        at, used = max(mine, default=(0, 0))
        if options.missing is MissingSample.ZERO and second >= at + options.interval_s:
            used = 0
        has = allocated.get((machine, second), 0)
        quantity = {"usage": used, "reservation": has}.get(basis, max(used, has))
        if quantity:
            found[machine, second, *stamps] = quantity
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("missing", MissingSample)
def test_every_basis_is_what_a_count_second_by_second_gives(seed: int, missing: MissingSample) -> None:
    chance = Random(seed)
    rows = lives(chance)
    moments = {(m, k, chance.randrange(END)) for m in "abc" for k in ("vcpu", "cpu_mhz") for _ in range(9)}
    samples = [(m, k, at, chance.randint(0, 6)) for m, k, at in moments]
    most = chance.random() < 0.5
    options = Options(
        missing=missing, interval_s=chance.choice([1, 4, 9]),
        allocated=Allocated.MAXIMUM if most else Allocated.TIME_WEIGHTED,
        periods=((10, 25), (25, 40)) if most else (),
    )  # fmt: skip
    wanted = [f"{metric}:{basis}" for metric in ("vcpu", "memory_mib") for basis in BASES] + ["cpu_mhz"]
    found = effective(usage_of(rows), samples_of(*samples), wanted, options, known_at=FOREVER)
    given = found.table.to_pylist()
    for name in wanted:
        own = [each for each in given if each["metric"] == name]
        assert counted(own, name) == naive(rows, samples, name, options), name
        assert all(each["quantity"] > 0 for each in own)
    if not most:
        assert [each for each in given if each["source"] == "orders"] == usage_of(rows).to_pylist()
    else:
        for metric in ("vcpu", "memory_mib"):
            as_reserved = naive(rows, samples, f"{metric}:reservation", options)
            assert counted(given, metric) == as_reserved, "the allocation itself is the most, too"
    assert counted(given, "machine") == counted(rows, "machine")


def test_rows_of_one_metric_come_in_long_stretches_that_do_not_overlap() -> None:
    usage = usage_of(
        [row("a", "machine", 1, 0, 50), row("a", "vcpu", 4, 0, 30), row("a", "vcpu", 4, 30, 50)]
    )
    samples = samples_of(("a", "vcpu", 10, 6), ("a", "vcpu", 20, 6), ("a", "vcpu", 30, 2))
    table = effective(
        usage, samples, ["vcpu:max-of-usage-and-allocation"], Options(interval_s=10), known_at=9
    ).table
    assert [
        (each["t_from"], each["t_to"], each["quantity"], each["sequence"])
        for each in table.to_pylist()
        if each["metric"] != "vcpu" and each["metric"] != "machine"
    ] == [(0, 10, 4, 0), (10, 30, 6, 1), (30, 50, 4, 2)]


def test_what_became_known_later_does_not_count() -> None:
    usage = usage_of([row("a", "machine", 1, 0, 50), row("a", "machine", -1, 20, 50, recorded_at=9)])
    samples = samples_of(("a", "cpu_mhz", 30, 5), ("a", "cpu_mhz", 10, 7))
    samples = samples.append_column("recorded_at", pa.array([3, 9]))
    for known_at, expected in ((8, [(30, 50, 5)]), (9, [(10, 20, 7)]), (2, [])):
        found = effective(usage, samples, ["cpu_mhz"], Options(interval_s=20), known_at=known_at)
        own = [each for each in found.table.to_pylist() if each["metric"] == "cpu_mhz"]
        assert [(each["t_from"], each["t_to"], each["quantity"]) for each in own] == expected


def test_samples_that_nobody_owns_are_reported_and_not_charged() -> None:
    usage = usage_of([row("a", "machine", 1, 10, 20), row("b", "machine", 1, 10, 50)])
    samples = samples_of(
        ("a", "vcpu", 9, 1), ("a", "vcpu", 10, 1), ("a", "vcpu", 20, 3), ("x", "vcpu", 15, 1),
        ("b", "vcpu", 70, 1),
    )  # fmt: skip
    found = effective(usage, samples, ["vcpu:usage"], Options(interval_s=5), known_at=99)
    assert [tuple(each) for each in found.outside] == [("a", "vcpu", 2, 9), ("x", "vcpu", 1, 15)]
    assert "outside its life, so nobody is charged" in str(found.outside[0])
    own = [each for each in found.table.to_pylist() if each["metric"] == "vcpu:usage"]
    assert [(each["machine"], each["t_from"], each["t_to"]) for each in own] == [("a", 10, 15)]


def test_a_sample_that_says_for_how_long_counts_for_that_long() -> None:
    usage = usage_of([row("a", "machine", 1, 0, 99)])
    samples = samples_of(("a", "cpu_mhz", 10, 5), ("a", "cpu_mhz", 40, 6))
    samples = samples.append_column("seconds", pa.array([7, 0]))
    found = effective(usage, samples, ["cpu_mhz"], Options(interval_s=30), known_at=99)
    own = [each for each in found.table.to_pylist() if each["metric"] == "cpu_mhz"]
    assert [(each["t_from"], each["t_to"]) for each in own] == [(10, 17), (40, 70)]


def test_a_reservation_is_what_was_set_aside_and_the_allocation_where_nobody_says() -> None:
    usage = usage_of(
        [row(m, metric, q, 0, 50) for m in "ab" for metric, q in (("machine", 1), ("vcpu", 4))]
    )
    reservations = samples_of(("a", "vcpu", 10, 2), ("a", "vcpu", 30, 3))
    found = effective(
        usage, samples_of(), ["vcpu:reservation"], known_at=99, reservations=reservations
    ).table.to_pylist()
    own = [each for each in found if each["metric"] == "vcpu:reservation"]
    assert [(e["machine"], e["t_from"], e["t_to"], e["quantity"]) for e in own] == [
        ("a", 10, 30, 2), ("a", 30, 50, 3), ("b", 0, 50, 4),
    ]  # fmt: skip


def test_impossible_requests_say_what_is_wrong() -> None:
    usage = usage_of([row("a", "machine", 1, 0, 50), row("a", "vcpu", 1, 20, 60, tier="tier-2")])
    with pytest.raises(InvalidUsage, match="machine a has two owners or places at 1970-01-01T00:00:20Z"):
        effective(usage, samples_of(), [], known_at=99)
    with pytest.raises(
        InvalidUsage, match="'vcpu:use' is no metric with a basis; write a metric, a colon and"
    ):
        effective(usage_of([]), samples_of(), ["vcpu:use"], known_at=99)
    with pytest.raises(ValueError, match="looked for in periods; give them"):
        Options(allocated=Allocated.MAXIMUM)
    with pytest.raises(ValueError, match="interval_s must be positive, not 0"):
        Options(interval_s=0)
    assert effective(usage_of([]), samples_of(), ["vcpu:usage"], known_at=99).table.num_rows == 0
