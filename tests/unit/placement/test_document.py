"""The JSON document of a placement problem: what it means by hand, and that writing and reading lose nothing."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import document
from placement.constraint import Constraint
from placement.document import InvalidDocument
from placement.documents import kinds
from placement.documents.form import Document, Flavor, Host, Inventory, Part, Pool, Request, Reservation
from placement.periods import Periods
from placement.problem import PlacementProblem
from placement.providers import Hosts
from policies.decisions import Rejection
from tierwise.testing.placement import small_problem

EXAMPLES = Path(__file__).parents[3] / "examples" / "placement"
seeds = st.integers(0, 2**32 - 1)


def example(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((EXAMPLES / name).read_text())
    return tree


def plain(value: object) -> object:
    """What two problems are compared by: arrays as lists, everything of every part."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PlacementProblem | Hosts | Periods):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def assert_same(one: PlacementProblem, other: PlacementProblem) -> None:
    for name in one.__dataclass_fields__:
        assert plain(getattr(one, name)) == plain(getattr(other, name)), name


def through_text(problem: PlacementProblem) -> PlacementProblem:
    return document.read(json.dumps(document.write(problem)).encode())


@pytest.fixture
def hosts() -> PlacementProblem:
    return document.read(example("hosts.json"))


def test_capacity_is_total_less_reserve_times_overcommit_rounded_down_less_use(
    hosts: PlacementProblem,
) -> None:
    # esx-1: (24 - 2) x 1.3 = 28.6, rounded down, less 6.
    assert hosts.providers.free.tolist() == [[22, 122880, 3000], [24, 131072, 3000], [48, 196608, 9000]]
    assert hosts.providers.largest.tolist() == [[22, 122880, 2000], [12, 131072, 2000], [48, 196608, 9000]]
    assert hosts.hosts is not None
    assert hosts.hosts.shared == {"disk_gib"}
    assert hosts.free.tolist() == [[46, 253952, 3000], [48, 196608, 9000]]


def test_a_ratio_is_a_decimal_in_text_and_as_a_number() -> None:
    assert int(100 * 0.29) == 28
    for ratio in ("0.29", 0.29):
        tree = example("pools.json")
        tree["pools"][0]["inventories"]["vcpu"] = {"total": 100, "allocation_ratio": ratio}
        assert document.read(tree).free[0, 0] == 29
        assert document.read(json.dumps(tree).encode()).free[0, 0] == 29


def test_prices_come_from_the_request_its_flavor_or_the_pools_units(hosts: PlacementProblem) -> None:
    # web: gold by unit prices, 4 x 10.00 + 16384 x 0.0020; silver as its flavor says.
    assert hosts.cost_micros[0].tolist() == [72_768_000, 55_500_000]
    # ledger: the pool's own price goes before any tier's; fair: the request's own before the flavor's.
    assert hosts.cost_micros[6].tolist() == [180_250_000, 120_000_000]
    assert hosts.cost_micros[7].tolist() == [70_000_000, 61_000_000]
    assert hosts.cost_micros[9].tolist() == [251_072_000, 90_000_000]


def test_a_price_of_units_is_rounded_once_and_half_up() -> None:
    tree = example("pools.json")
    tree["pools"][0]["unit_prices"] = {"vcpu": "0.00000025", "memory_mib": "0.000000125"}
    tree["requests"] = [{"id": "a", "resources": {"vcpu": 1, "memory_mib": 2}}]
    assert document.read(tree).cost_micros[0, 0] == 1  # 0.25 + 0.25 micros; each alone would round to 0.


def test_a_count_names_its_machines_and_makes_a_group_of_them(hosts: PlacementProblem) -> None:
    assert hosts.request_ids[:6] == ("web#1", "web#2", "web#3", "web#4", "web#5", "web#6")
    assert hosts.groups["web"] == hosts.request_ids[:6]
    assert hosts.groups["everything"] == (*hosts.request_ids[:6], "fair#1", "fair#2", "ledger", "lab")
    assert hosts.current is not None
    assert hosts.current.tolist() == [0, 0, 2, -1, -1, -1, 1, -1, -1, -1]
    assert hosts.priority is not None
    assert hosts.priority.tolist() == [0] * 6 + [10, 0, 0, 0]


def test_time_is_cut_where_something_begins_or_ends_and_until_is_not_in_it(hosts: PlacementProblem) -> None:
    periods = hosts.periods
    assert periods is not None
    assert periods.names == (
        "until 2026-12-31",
        "2027-01-01 to 2027-01-10",
        "2027-01-11 to 2027-01-15",
        "2027-01-16 to 2027-01-31",
        "2027-02-01 to 2027-02-28",
        "from 2027-03-01",
    )
    assert (periods.first[7], periods.end[7], periods.first[9], periods.end[9]) == (2, 3, 0, 5)
    kvm = periods.taken[:, 2]
    assert kvm[:, 0].tolist() == [0, 16, 16, 16, 0, 0]
    # What the pool shares is reserved of the pool, whichever of its hosts stands for it.
    assert periods.taken[:, :2, 2].sum(axis=1).tolist() == [0, 0, 0, 0, 500, 500]


def test_hours_and_named_periods_cut_time_too() -> None:
    tree = example("pools.json")
    tree["requests"] = [
        {"id": "a", "resources": {"vcpu": 1}, "from": 0, "until": 24},
        {"id": "b", "resources": {"vcpu": 1}, "from": 12},
    ]
    periods = document.read(tree).periods
    assert periods is not None
    assert periods.names == ("hour 0 to 12", "hour 12 to 24", "from hour 24")
    assert (periods.first.tolist(), periods.end.tolist()) == ([0, 1], [2, 3])
    tree["periods"] = ["May", "June", "July"]
    tree["requests"][0] |= {"from": "May", "until": "July"}
    tree["requests"][1] |= {"from": "July"}
    periods = document.read(tree).periods
    assert periods is not None
    assert (periods.first.tolist(), periods.end.tolist()) == ([0, 2], [2, 3])


def test_a_refusal_of_a_tier_is_one_of_each_of_its_pools(hosts: PlacementProblem) -> None:
    assert set(hosts.rejections) == {(6, 1), (9, 0)}
    assert hosts.rejections[6, 1][0].rule_id == "data-residency"
    assert hosts.rejections[9, 0][0].why == "test machines do not share hosts with production"


def test_a_document_by_counts_is_the_same_as_one_by_one() -> None:
    tree = example("pools.json")
    singly = dict(tree, requests=[], groups={})
    for request in tree["requests"]:
        ids = [f"{request['id']}#{n + 1}" for n in range(request["count"])] if "count" in request else None
        rest = {name: part for name, part in request.items() if name not in {"id", "count"}}
        singly["requests"] += [{"id": one, **rest} for one in ids or [request["id"]]]
        if ids:
            singly["groups"][request["id"]] = ids
    assert_same(document.read(tree), document.read(singly))


# Nothing is lost.


def parts_used(tree: Any, part: type[Part]) -> Iterator[tuple[str, str]]:
    inner = {"pools": Pool, "flavors": Flavor, "requests": Request, "reservations": Reservation}
    inner |= {"hosts": Host, "inventories": Inventory}
    for name, value in tree.items():
        yield part.__name__, name
        if name in inner:
            for one in value.values() if isinstance(value, dict) else value:
                yield from parts_used(one, inner[name])


def test_the_fixture_of_hosts_uses_every_field_there_is() -> None:
    tree = {**example("hosts.json"), "constraints": [], "periods": []}  # Those have tests of their own.
    every = {
        (part.__name__, field.alias or name)
        for part in (Document, Pool, Host, Inventory, Flavor, Request, Reservation)
        for name, field in part.model_fields.items()
    }
    assert every <= set(parts_used(tree, Document))


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.json")))
def test_an_example_is_the_same_after_writing_and_reading(name: str) -> None:
    problem = document.read(example(name))
    again = through_text(problem)
    assert_same(problem, again)
    assert document.write(again) == document.write(problem)


def with_everything(problem: PlacementProblem, seed: int) -> PlacementProblem:
    """Some of each optional part, by chance: refusals, times, groups, priorities, running machines, levels."""
    chance = np.random.default_rng([seed, 7])
    r, v, k = len(problem.request_ids), len(problem.providers.ids), 2
    reasons = [
        Rejection(
            rule_id=f"rule-{n}",
            pool=pool,
            dimension="site",
            limit="fra",
            need="nl",
            why=f"no {n}",
            remedy="x",
        )
        for n, pool in enumerate(problem.pool_ids)
    ]
    first = chance.integers(0, 3, r)
    free = problem.providers.free
    ids = tuple(f"app#{i + 1}" if i < 3 else f"r{i}" for i in range(r))
    parts: list[dict[str, Any]] = [
        {"rejections": {(int(chance.integers(r)), p): (why,) * (1 + p) for p, why in enumerate(reasons)}},
        {"request_ids": ids, "groups": {"app": ids[:3], "all": ids, "none": (), "last": ids[-1:]}},
        {"priority": chance.integers(0, 3, r).astype(np.int64)},
        {"current": np.sort(chance.integers(-1, v, r))[::-1].astype(np.int64)},
        {"current": chance.integers(-1, v, r).astype(np.int64)},
        {"objective": ({"price": 2, "balance": 1}, {"moves": 1}), "currency": "CHF", "horizon_hours": 8},
        {"objective": ()},
        {"labels": {"site": ("", ""), "country": ("DE", "")}},
        {
            "periods": Periods(
                names=("in May", "in June", "2026-12-01"),
                first=first.astype(np.int64),
                end=(first + chance.integers(1, 4, r)).clip(max=3).astype(np.int64),
                taken=(chance.random((3, v, k)) * free).astype(np.int64),
            )
        },
    ]
    for part in parts:
        if chance.random() < 0.5:
            problem = replace(problem, **part)
    return problem


@pytest.mark.parametrize("with_hosts", [True, False])
@settings(max_examples=60, deadline=None)
@given(seeds)
def test_any_problem_is_the_same_after_writing_and_reading(with_hosts: bool, seed: int) -> None:
    problem = with_everything(small_problem(seed, hosts=with_hosts), seed)
    assert_same(problem, through_text(problem))


@pytest.mark.parametrize("kind", list(kinds.written()))
@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_constraints_of_every_kind_are_the_same_after_writing_and_reading(kind: str, seed: int) -> None:
    sample = import_module(f"tierwise.testing.constraint_samples.{kind}").sample
    problem = small_problem(seed)
    chance = np.random.default_rng(seed)
    problem = replace(problem, constraints=(sample(problem, chance),))
    assert document.write(problem)["constraints"][0]["kind"] == kind
    assert_same(problem, through_text(problem))


# Kinds from elsewhere.

OUTSIDE = '''
"""Nothing on Mondays."""

from collections.abc import Iterator
from typing import Literal

from placement.constraint import Constraint


class OnMondays(Constraint):
    """A rule that somebody else wrote."""

    kind: Literal["on_mondays"] = "on_mondays"
    requests: tuple[str, ...]

    def problems(self, problem) -> Iterator[str]:
        yield from (f"requests[{n}]: none" for n, one in enumerate(self.requests) if one not in problem.groups)
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution of somebody else, installed as pip leaves it: a module and its metadata."""
    (tmp_path / "acme_on_mondays.py").write_text(OUTSIDE)
    info = tmp_path / "acme_constraints-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-constraints\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tierwise.constraints]\non_mondays = acme_on_mondays\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kinds.written.cache_clear()
    yield info / "entry_points.txt"
    kinds.written.cache_clear()
    sys.modules.pop("acme_on_mondays", None)


def test_an_entry_point_adds_a_kind_that_documents_and_the_schema_know(outside: Path) -> None:
    tree = {**example("pools.json"), "constraints": [{"kind": "on_mondays", "requests": ["web"]}]}
    problem = document.read(tree)
    (constraint,) = problem.constraints
    assert isinstance(constraint, Constraint)
    assert document.write(problem)["constraints"] == tree["constraints"]
    assert "OnMondays" in document.schema()["$defs"]
    tree["constraints"] = [{"kind": "on_mondays", "requests": ["web", "wbe"]}, {"kind": "on_mondays"}]
    with pytest.raises(InvalidDocument, match=r"^constraints\[1\]\.requests: is required and missing$"):
        document.read(tree)
    with pytest.raises(InvalidDocument, match=r"^constraints\[0\]\.requests\[1\]: none$"):
        document.read({**tree, "constraints": tree["constraints"][:1]})


def test_an_entry_point_cannot_take_the_name_of_a_kind_that_it_does_not_define(outside: Path) -> None:
    outside.write_text("[tierwise.constraints]\non_tuesdays = acme_on_mondays\n")
    with pytest.raises(
        kinds.BadKind, match="acme_on_mondays must define one constraint with the field kind"
    ):
        kinds.written()


# The schema.


def test_every_field_is_described_or_named_so_that_nothing_is_left_to_say() -> None:
    definitions = {**document.schema()["$defs"], "Document": document.schema()}
    bare = {
        f"{name}.{field}"
        for name in ("Document", "Pool", "Host", "Inventory", "Flavor", "Request", "Reservation")
        for field, said in definitions[name]["properties"].items()
        if "description" not in said
    }
    assert bare == {
        "Document.format", "Document.pools", "Document.flavors", "Document.requests", "Document.reservations",
        "Pool.tier", "Reservation.resources", "Reservation.from", "Reservation.until",
    }  # fmt: skip
