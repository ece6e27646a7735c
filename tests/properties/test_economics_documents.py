"""Whatever stands in an economics document: it is read, or each mistake is told with its place; never anything else."""

import copy
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.documents import DocumentError, Problem, read
from chargeback.economics.costing import (
    HostFacts,
    MissingFigure,
    PoolFacts,
    host_costs,
    move_cost,
    open_costs,
    products,
    unit_costs,
)
from chargeback.economics.document import Economics, load_economics
from chargeback.economics.fleet import tier_cost
from chargeback.economics.rates import InvalidRates, propose

ROOT = Path(__file__).parents[2]
ACME = read((ROOT / "examples/acme/economics.yaml").read_text(), "economics.yaml").tree
START = date(2026, 12, 1)
HOST = HostFacts("vsphere", "fra-prod-1", "fra", "R750", 2, 32, 524288)
POOLS = [
    PoolFacts("fra-prod-1", "vsphere", "fra", "tier-1"),
    PoolFacts("hosted-nl", "xen", "ams", "tier-3"),
]

JUNK = st.sampled_from([
    None, True, [], {}, [1], {"a": 1}, {"value": 1}, {"value": None}, {"value": 3, "from": "2027-01-01"}, -1, 0, 1, 10**30,
    "", "x", "1e9", "0.0000000000000000001", "NaN", "-3", "2027-02-30", "2020-01-01", "per_host", "tier-9", "xen", "*", "\u00e9",
    {"value": 5, "changes": [{"value": 1}]}, {"value": 0}, {"value": 9, "region": "US"},
])  # fmt: skip


def paths(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in (
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    ):
        yield (*at, key)
        yield from paths(value, (*at, key))


PATHS = sorted(paths(ACME), key=str)


def mutated(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> str:
    tree = copy.deepcopy(ACME)
    for path, junk, drop in changes:
        inner = tree
        try:
            for key in path[:-1]:
                inner = inner[key]
            if drop:
                del inner[path[-1]]
            else:
                inner[path[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue  # An earlier change took it away.
    return yaml.safe_dump(tree, sort_keys=False)


def used(economics: Economics) -> str:
    """Everything that plans and rates ask of a document; what it says where something is missing."""
    try:
        _used(economics)
    except (MissingFigure, InvalidRates) as error:
        return str(error)
    return ""


def _used(economics: Economics) -> None:
    host_costs(economics, HOST, START, 30)
    for pool in POOLS:
        unit_costs(economics, pool, START, 30)
        open_costs(economics, pool, START, 30)
        move_cost(economics, POOLS[0], pool)
    for region in (None, "DE"):
        for terms in products(economics, START, 30, region):
            assert terms.alternatives
            assert terms.sunk_micros >= 0
            assert all(way.pack_cost_micros >= 0 for way in terms.alternatives)
    for tier in economics.tiers:
        cost = tier_cost(economics, tier.name, START, 12)
        found = propose(economics, cost)
        assert sum(rate.cost_micros for rate in found.rates) == cost.total


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK, st.booleans()), min_size=1, max_size=4))
def test_a_document_with_anything_in_it_is_used_or_its_mistakes_are_told(
    changes: list[tuple[tuple[Any, ...], Any, bool]],
) -> None:
    text = mutated(changes)
    economics, problems = tried(text)
    if economics is None:
        assert problems
        assert all(1 <= problem.line <= text.count("\n") + 1 and problem.message for problem in problems)
    else:
        said = used(economics)
        assert not said or ": " in said, "a place, and what to do"


def tried(text: str) -> tuple[Economics | None, tuple[Problem, ...]]:
    try:
        return load_economics(text, "e.yaml"), ()
    except DocumentError as error:
        return None, error.problems


def test_the_example_itself_is_used() -> None:
    economics, problems = tried(mutated([]))
    assert not problems
    assert economics is not None
    assert used(economics) == ""
