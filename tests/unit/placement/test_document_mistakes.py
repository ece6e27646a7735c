"""Every mistake in a document is told at its path, together with all others of its step."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import document
from placement.document import InvalidDocument
from placement.problem import InvalidProblem, PlacementProblem

EXAMPLES = Path(__file__).parents[3] / "examples" / "placement"
HOSTS = json.loads((EXAMPLES / "hosts.json").read_text())
POOLS = json.loads((EXAMPLES / "pools.json").read_text())
BIG = 2**62 - 1


def told(tree: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        document.read(tree if isinstance(tree, bytes) else json.dumps(tree).encode())
    assert str(refused.value) == "\n".join(refused.value.problems)
    return list(refused.value.problems)


def changed(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which the value at ``pools.0.hosts.1.id`` is another; it is taken out where it is `...`."""
    copy = deepcopy(tree)
    *above, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    at: Any = copy
    for part in above:
        at = at[part]
    if value is ...:
        del at[last]
    elif isinstance(at, list) and last == len(at):
        at.append(value)
    else:
        at[last] = value
    return copy


IN_HOSTS: list[tuple[str, Any, str]] = [
    ("format", "tierwise-placement/2", "format: must be one of tierwise-placement/1; did you mean 'tierwise-placement/1'? (found 'tierwise-placement/2')"),
    ("format", ..., "format: is required and missing"),
    ("requestz", [], "requestz: unknown field; did you mean 'requests'? known are format, currency"),
    ("currency", "euro", "currency: must be a currency code of three capitals (ISO 4217), such as EUR (found 'euro')"),
    ("pools", [], "pools: must be a list or mapping of at least 1 (found a list)"),
    ("pools.0.hosts.1.inventories.vcpu.total", -24, "pools[0].hosts[1].inventories.vcpu.total: must be at least 0 (found -24)"),
    ("pools.0.hosts.1.inventories.vcpu.total", 2**63, f"pools[0].hosts[1].inventories.vcpu.total: must be below {2**62} (found {2**63})"),
    ("pools.0.hosts.1.inventories.vcpu.total", "24", "pools[0].hosts[1].inventories.vcpu.total: must be a whole number; remove the quotes (found '24')"),
    ("pools.0.hosts.1.inventories.vcpu.total", True, "pools[0].hosts[1].inventories.vcpu.total: must be a whole number (found true)"),
    ("pools.0.hosts.1.inventories.vcpu.total", 2.5, "pools[0].hosts[1].inventories.vcpu.total: must be a whole number (found 2.5)"),
    ("pools.0.hosts.1.inventories.vcpu.total", float("nan"), "pools[0].hosts[1].inventories.vcpu.total: must be a whole number (found NaN)"),
    ("pools.0.hosts.0.inventories.vcpu.allocation_ratio", float("inf"), "pools[0].hosts[0].inventories.vcpu.allocation_ratio: must be a number that is not infinite (found Infinity)"),
    ("pools.0.hosts.0.inventories.vcpu.allocation_ratio", 0, "pools[0].hosts[0].inventories.vcpu.allocation_ratio: must be above 0 (found 0)"),
    ("pools.0.hosts.0.inventories.vcpu.reserved", 25, "pools[0].hosts[0].inventories.vcpu.reserved: 25 is more than the total 24"),
    ("pools.0.hosts.0.inventories.gpu", {"total": 1}, "pools[0].hosts[0].inventories.gpu: there is no resource class 'gpu'; known are vcpu, memory_mib, disk_gib"),
    ("pools.0.unit_prices.gpu", 1, "pools[0].unit_prices.gpu: there is no resource class 'gpu'"),
    ("pools.0.unit_prices.vcpu", float("nan"), "pools[0].unit_prices.vcpu: must be a number that is not infinite (found NaN)"),
    ("pools.1.hosts.0.id", "esx-1", "pools[1].hosts[0].id: 'esx-1' is pools[0].hosts[0] too; every host has an id of its own"),
    ("pools.1.hosts.0.id", "fra-1", "pools[1].hosts[0].id: 'fra-1' is pools[0] too; a name must mean a pool or one host"),
    ("pools.0.hosts.1.id", "fra-1", "pools[0].hosts[1].id: 'fra-1' is pools[0] too; a name must mean a pool or one host"),
    ("pools.1.id", "fra-1", "pools[1].id: 'fra-1' is pools[0] too; use each name once"),
    ("pools.1.hosts", [], "pools[1].hosts: 'nl-1' has no hosts, other pools do; list its hosts, or leave it out"),
    ("pools.1.hosts", ..., "pools[1].hosts: 'nl-1' has no hosts, other pools do; list its hosts, or leave it out"),
    ("pools.0.hosts.0.inventories.disk_gib", {"total": 1}, "pools[1].inventories.disk_gib: pools[0].hosts[0] has its own disk_gib, so machines take it from their host; state it on the hosts of 'nl-1' too, or on no host"),
    ("pools.1.labels.tier", "x", "labels.tier: this name is taken; every problem has it"),
    ("resource_classes", ["vcpu", "memory_mib", "vcpu", "disk_gib"], "resource_classes[2]: 'vcpu' is resource_classes[0] too; use each name once"),
    ("requests.0.flavor", "smalls", "requests[0].flavor: there is no flavor 'smalls'; did you mean 'small'? known are small, audited"),
    ("requests.3.resources", ..., "requests[3].resources: is required and missing; state it here or in a flavor"),
    ("flavors.small.resources.gpu", 1, "flavors.small.resources.gpu: there is no resource class 'gpu'"),
    ("requests.3.resources.vcpu", None, "requests[3].resources.vcpu: must be a whole number (found nothing)"),
    ("requests.3.prices", {"platinum": "1"}, "requests[3].prices.platinum: there is no pool or tier 'platinum'; known are gold, silver, fra-1, nl-1"),
    ("requests.3.prices", {"silver": "1.0000001"}, "requests[3].prices.silver: "),
    ("requests.3.prices", {"silver": "-1"}, "requests[3].prices.silver: must be at least 0 (found '-1')"),
    ("requests.3.prices", ..., "pools[1].unit_prices: is missing, and requests[3] has no prices; state one or the other"),
    ("flavors.small.prices", {"gold": "5"}, "flavors.small.prices: there is no price for pool 'nl-1'; state one for it or its tier 'silver', or give the pool unit_prices"),
    ("requests.3.refused", {"nowhere": "x"}, "requests[3].refused.nowhere: there is no pool or tier 'nowhere'"),
    ("requests.3.refused", {"fra-1": ""}, "requests[3].refused.fra-1: must be text of at least 1 characters or a list (found '')"),
    ("requests.3.id", "ledger", "requests[3].id: 'ledger' is requests[1] too; use each id once, or `count`"),
    ("requests.3.id", "web#2", "requests[0].count: makes 'web#2', which is requests[3] already"),
    ("requests.0.count", 0, "requests[0].count: must be at least 1 (found 0)"),
    ("requests.0.count", 2_000_000, "requests[0].count: must be at most 1000000 (found 2000000)"),
    ("requests.1.current", "fra-1", "requests[1].current: 'fra-1' is a pool; name the host in it"),
    ("requests.1.current", "esx-9", "requests[1].current: there is no host 'esx-9'; did you mean 'esx-"),
    ("requests.0.current", {"esx-1": 7}, "requests[0].current: says where 7 run, but there are 6"),
    ("requests.0.current", {"esx-1": 1, "esx-7": 1}, "requests[0].current.esx-7: there is no host 'esx-7'"),
    ("requests.3.refused", {"fra-1": [5]}, "requests[3].refused.fra-1[0]: must be a mapping (found 5)"),
    ("requests.3.refused", {"fra-1": {"a": 1}}, "requests[3].refused.fra-1: must be text or a list (found a mapping)"),
    ("requests.0.current", {"esx-1": 2**64}, "requests[0].current.esx-1: must be at most 1000000 (found 18446744073709551616)"),
    ("requests.1.priority", -1, "requests[1].priority: must be at least 0 (found -1)"),
    ("requests.2.from", "2027-01-16", "requests[2].until: '2027-01-16' is not after '2027-01-16'"),
    ("requests.2.from", "2027-02-30", "requests[2].from: must be an hour from now (24), a day (\"2026-12-01\"), or one of `periods` (found '2027-02-30')"),
    ("requests.2.from", 5, "requests[2].until: is a day, but requests[2].from an hour; use one of the two everywhere"),
    ("periods", ["2027-01-11", "x"], "requests[2].until: there is no period '2027-01-16'; "),
    ("periods", ["x", "x"], "periods[1]: 'x' is there twice; use each name once"),
    ("reservations.0.provider", "kvm-2", "reservations[0].provider: there is no host 'kvm-2'; did you mean 'kvm-1'?"),
    ("reservations.0.provider", "nl-1", "reservations[0].provider: 'nl-1' is a pool; name the host in it"),
    ("reservations.0.resources.vcpu", 49, "reservations[0].resources.vcpu: with 49, reservations hold more vcpu of 'kvm-1' than the 48 that are free"),
    ("reservations.0.resources.gpu", 1, "reservations[0].resources.gpu: there is no resource class 'gpu'"),
    ("reservations", [{"provider": "esx-1", "resources": {"disk_gib": 2000}}, {"provider": "esx-2", "resources": {"disk_gib": 1001}}], "reservations[1].resources.disk_gib: with 1001, reservations hold more disk_gib of 'fra-1' than the 3000 that are free"),
    ("groups.front", ["web", "fiar"], "groups.front[1]: there is no request or group 'fiar'; did you mean 'fair'?"),
    ("groups.web", ["lab"], "groups.web: a request has this id; call the group something else"),
    ("groups.front", ["everything"], "groups.everything: goes round in a circle, everything > front > everything; take one of them out"),
    ("groups.front", ["front"], "groups.front: goes round in a circle, front > front; take one of them out"),
    ("objective", [{"prize": 1}], "objective[0].prize: must be one of price, hosts_on"),
    ("objective", [{"price": -1}], "objective[0].price: must be at least 0 (found -1)"),
    ("constraints", ["spread"], "constraints[0]: must be a mapping (found 'spread')"),
    ("constraints", [{}], "constraints[0].kind: is required and missing; "),
    ("constraints", [{"kind": "sprad"}], "constraints[0].kind: there is no such constraint; "),
    ("constraints", [{"kind": "capacity"}], "constraints[0].kind: there is no such constraint; "),
    ("constraints", [{"kind": "ha_reserve", "pools": {"fra-1": 1}}, {"kind": "ha_reserve", "pools": {"nl-1": 1}}], "constraints[0].kind: the problem has another constraint of this kind; put the data of both into one"),
    ("constraints", [{"kind": ["a"]}], "constraints[0].kind: there is no such constraint; "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "message"), IN_HOSTS, ids=[f"{n}-{c[0]}" for n, c in enumerate(IN_HOSTS)]
)
def test_a_mistake_is_told_at_its_path(path: str, value: Any, message: str) -> None:
    problems = told(changed(HOSTS, path, value))
    assert [one for one in problems if one.startswith(message)] == problems[:1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["pools"][0].pop("inventories"), "pools[0].inventories: 'fra-vsphere' has neither inventories nor hosts"),
        (lambda t: t["pools"][0]["inventories"]["vcpu"].update(total=BIG, reserved=0), "pools[0].inventories.vcpu: (total - reserved) x allocation_ratio - used is 6917529027641081824, more than 62 bits hold"),
        (lambda t: [p["inventories"]["disk_gib"].update(total=BIG) for p in t["pools"]], "pools: the inventories of all pools together are more than 62 bits hold; use a larger unit"),
        (lambda t: t["requests"][0]["resources"].update(vcpu=2**60), "requests: the resources of all of them together are more than 62 bits hold"),
        (lambda t: t["requests"][0].update(prices={"gold": "4000000000000", "silver": 1}), "requests: the prices of all of them together are more than 62 bits hold in millionths of the currency"),
        (lambda t: t["requests"].append({"id": "m", "count": 10**6, "resources": {}}), "requests: 1000015 machines are more than 1000000; split the problem"),
    ],
)  # fmt: skip
def test_sums_that_do_not_fit_are_told(change: Callable[[dict[str, Any]], object], message: str) -> None:
    tree = deepcopy(POOLS)
    change(tree)
    assert told(tree)[0].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "document: line 1, column 1: not JSON: expecting value"),
        (b'{"format": ', "document: line 1, column 12: not JSON: expecting value"),
        (b"[]", "document: must be an object {...}, not a list"),
        (b'{"a": "\xff"}', "document: not UTF-8 text (byte 7); save it as UTF-8"),
        (b"[" * 100_000, "document: brackets are nested too deep"),
        (b'{"pools": [{"id": "a", "tier": 1, "id": "b"}], "x": {"x": 1, "x": 2}}', "pools[0].id: stands twice; keep one"),
        (b'{"a": ' + b"9" * 5000 + b"}", "document: a number has thousands of digits; write one that fits into 62 bits"),
        (b"null", "document: must be an object {...}, not nothing"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_told(text: bytes, message: str) -> None:
    assert told(text)[0].startswith(message)


def test_the_only_host_of_a_pool_may_be_called_as_the_pool() -> None:
    tree = json.loads((EXAMPLES / "cluster.json").read_text())
    tree["pools"][1]["hosts"][0]["id"] = "nl-1"
    assert "nl-1" in document.read(tree).providers.ids


def test_hosts_cannot_be_held_for_more_than_their_pool_gives_in_all() -> None:
    tree = json.loads((EXAMPLES / "cluster.json").read_text())
    tree["pools"][0]["inventories"] = {"vcpu": {"total": 40}}
    held = [{"provider": host, "resources": {"vcpu": 20}, "until": 24} for host in ("esx-1", "esx-2")]
    document.read(tree | {"reservations": [*held, held[0] | {"provider": "kvm-1"}]})
    assert told(tree | {"reservations": [*held, {"provider": "esx-3", "resources": {"vcpu": 1}}]}) == [
        "reservations[2].resources.vcpu: with 1, reservations hold more vcpu of 'fra-1' than the 40 that are free"
    ]
    document.read(
        tree | {"reservations": [*held, {"provider": "esx-3", "resources": {"vcpu": 1}, "from": 24}]}
    )


def test_all_mistakes_of_form_are_told_together_and_then_all_of_names() -> None:
    form = changed(changed(HOSTS, "pools.0.hosts.0.inventories.vcpu.total", -1), "requests.0.count", "6")
    form = changed(form, "constraints", [{"kind": "nothing"}])
    assert [one.partition(":")[0] for one in told(form)] == [
        "pools[0].hosts[0].inventories.vcpu.total", "requests[0].count", "constraints[0].kind",
    ]  # fmt: skip
    names = changed(changed(HOSTS, "requests.0.flavor", "smalls"), "reservations.0.provider", "kvm-2")
    names = changed(
        changed(names, "groups.front", ["webb"]), "pools.0.hosts.0.inventories.vcpu.reserved", 99
    )
    names = changed(names, "requests.1.current", "esx-9")
    assert [one.partition(":")[0] for one in told(names)] == [
        "pools[0].hosts[0].inventories.vcpu.reserved", "requests[0].flavor", "groups.front[0]", "requests[1].current",
    ]  # fmt: skip


def test_a_mistake_in_a_flavor_is_told_once_however_many_requests_have_it() -> None:
    tree = changed(HOSTS, "flavors.small.prices", {"bronze": "5", "gold": "1", "silver": "1"})
    assert len(told(tree)) == 1


def test_a_document_in_a_mapping_says_the_same_as_its_text() -> None:
    for tree in (changed(HOSTS, "requests.0.count", -1), changed(HOSTS, "requests.1.current", "x")):
        with pytest.raises(InvalidProblem) as refused:
            document.read(tree)
        assert str(refused.value) == "\n".join(told(tree))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.just([]), st.just({}), st.just([{}]), st.just({"id": "a"}), st.just(["web", "esx-1"]), st.just("web"),
)  # fmt: skip


def places(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(places(HOSTS)[1:]), JUNK, st.sampled_from(places(HOSTS)[1:]), JUNK)
def test_whatever_stands_in_a_document_it_is_read_or_refused_in_words(
    place: tuple[str | int, ...], junk: Any, other: tuple[str | int, ...], more: Any
) -> None:
    tree: Any = deepcopy(HOSTS)
    for path, value in ((place, junk), (other, more)):
        at = tree
        try:
            for part in path[:-1]:
                at = at[part]
            at[path[-1]] = deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue  # The first one took the place of what holds the second.
    try:
        said: object = document.read(json.dumps(tree).encode())
    except InvalidDocument as refused:
        said = [": " in one for one in refused.problems]
    assert isinstance(said, PlacementProblem) or (isinstance(said, list) and said and all(said))
