"""Each constraint as a sentence of a conflict: the user's words, with the values."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from placement import constraints
from placement.conflict import conflict
from placement.constraint import Constraint
from placement.problem import PlacementProblem
from tierwise.testing.constraints.scenes import racks

WEB = {"requests": ["web"]}
SENTENCES: list[tuple[str, Mapping[str, Any], str]] = [
    ("affinity", WEB, "web must be in one host"),
    ("affinity", {**WEB, "label": "rack", "penalty_micros": 1}, "web should be in one rack"),
    ("allowed", {}, "policies and capabilities must allow the place of a machine"),
    ("anti_affinity", {"requests": ["r0", "r1"]}, "at most 1 of r0 and r1 may be in one host"),
    (
        "anti_affinity",
        {**WEB, "label": "rack", "most": 2, "penalty_micros": 1},
        "at most 2 of web should be in one rack",
    ),
    ("balance", {}, "the most loaded host is loaded as little as possible"),
    ("balance", {"headroom_ppm": {"vcpu": 125_000}}, "12.5 % of vCPU must stay free on each host"),
    (
        "balance",
        {"hosts": ["a"], "headroom_ppm": {"vcpu": 250_000}},
        "25 % of vCPU must stay free on each host of a",
    ),
    ("capacity", {}, "no host or pool gives more than it has free"),
    (
        "datastores",
        {"datastores": {}, "requests": {"r0": {"disk_gib": 2048, "iops": 1500}, "r1": {"disk_gib": 1}}},
        "r0 needs 2 TiB and 1,500 IOPS on a datastore and r1 needs 1 GiB on a datastore",
    ),
    (
        "datastores",
        {"datastores": {}, "requests": {"r0": {"disk_gib": 8, "tiers": ["gold", "nvme"]}}},
        "r0 needs 8 GiB on a gold or nvme datastore",
    ),
    ("datastores", {"datastores": {}, "requests": {}}, "no request needs a datastore"),
    (
        "devices",
        {"hosts": {}, "requests": {"web": {"count": 2, "models": ["a100", "t4"]}}},
        "web needs 2 a100 or t4",
    ),
    ("devices", {"hosts": {}, "requests": {}}, "no request needs a device"),
    ("ha_reserve", {"pools": {"a": 1}}, "pool a must survive the loss of any 1 host"),
    (
        "ha_reserve",
        {"pools": {"a": 1, "b": 2}},
        "pool a must survive the loss of any 1 host and pool b must survive the loss of any 2 hosts",
    ),
    ("ha_reserve", {"pools": {}}, "no pool must survive a loss"),
    ("host_groups", {**WEB, "providers": ["h0", "b"], "relation": "must"}, "web must run on h0 and b"),
    ("host_groups", {**WEB, "providers": ["b"], "relation": "must_not"}, "web must not run on b"),
    (
        "host_groups",
        {**WEB, "providers": ["b"], "relation": "should_not", "penalty_micros": 1},
        "web should not run on b",
    ),
    ("hosts_on", {}, "hosts that are on cost money"),
    ("hosts_on", {"most_on": 3}, "at most 3 hosts may be on"),
    ("hosts_on", {"most_on": 1, "hosts": ["h0", "b"]}, "at most 1 of h0 and b may be on"),
    ("largest", {}, "a machine must fit on one host"),
    (
        "licences",
        {
            "products": [
                {
                    "name": "sql",
                    "requests": ["web"],
                    "scopes": {"fra": ["a"], "nl": ["b"]},
                    "alternatives": [{"name": "se", "metric": "per_machine", "pack_cost_micros": 1}],
                }
            ]
        },
        "machines of sql need a licence scope (fra and nl)",
    ),
    ("licences", {"products": []}, "no machine needs a licence"),
    ("maintenance", {"providers": ["h0"]}, "h0 is in maintenance and takes nothing new"),
    ("maintenance", {"providers": ["h0", "b"]}, "h0 and b are in maintenance and take nothing new"),
    ("maintenance", {"providers": ["h0"], "evacuate": True}, "h0 is evacuated for maintenance"),
    ("move_cost", {}, "a machine that leaves where it runs costs money"),
    (
        "networks",
        {"requests": {"r0": ["lan", "dmz"], "web": ["lan"], "r1": []}},
        "r0 must reach dmz and lan and web must reach lan",
    ),
    ("networks", {"requests": {}}, "no request needs a network"),
    ("numa", {"hosts": {}, "requests": {"r0": {}}}, "r0 needs 1 NUMA node"),
    (
        "numa",
        {"hosts": {}, "requests": {"web": {"nodes": 2, "pinned": True}}},
        "web needs 2 NUMA nodes of dedicated CPUs",
    ),
    ("numa", {"hosts": {}, "requests": {}}, "no request needs NUMA nodes"),
    ("preemption", {}, "machines that run must keep a place"),
    ("preemption", {"preemptible": ["r0", "r1"]}, "machines that run must keep a place, except r0 and r1"),
    ("quotas", {**WEB, "limits": {"vcpu": 12}}, "quota: web has at most 12 vCPU"),
    (
        "quotas",
        {**WEB, "limits": {"vcpu": 12, "machines": 3}, "used": {"vcpu": 5}},
        "quota: web has at most 12 vCPU (5 in use) and 3 machines",
    ),
    ("spread", {**WEB, "label": "rack"}, "web must be spread over rack with a skew of at most 1"),
    (
        "spread",
        {**WEB, "label": "site", "domains": ["fra", "nl"], "max_skew": 2, "penalty_micros": 1},
        "web should be spread over site fra and nl with a skew of at most 2",
    ),
    (
        "spread",
        {**WEB, "label": "rack", "min_domains": 3},
        "web must be spread over rack with at most 1 in each, as there are fewer than 3",
    ),
    (
        "traits",
        {"requests": {"r0": {"required": ["HW_GPU"], "any_of": [["SSD", "NVME"]], "forbidden": ["OLD"]}}},
        "r0 needs HW_GPU, NVME or SSD and no OLD",
    ),
    ("traits", {"requests": {"r0": {}}}, "no request needs a trait"),
]


@pytest.mark.parametrize(("kind", "data", "sentence"), SENTENCES)
def test_a_constraint_is_a_sentence_with_its_values(
    kind: str, data: Mapping[str, Any], sentence: str
) -> None:
    one = constraints.kinds()[kind].model_validate(data)
    assert one.fact(racks()) == sentence


def test_no_kind_leaves_its_sentence_to_the_default() -> None:
    kinds = constraints.kinds()
    assert [name for name, kind in kinds.items() if kind.fact is Constraint.fact] == []
    assert {kind for kind, _, _ in SENTENCES} == set(kinds)


def test_a_conflict_uses_the_sentence(problem_of: Callable[..., PlacementProblem]) -> None:
    quota = constraints.kinds()["quotas"].model_validate({"requests": ["r0", "r1"], "limits": {"vcpu": 3}})
    problem = problem_of([[2], [2]], [[9]], [[1]] * 2, more={"constraints": (quota,)})
    found = conflict(problem)
    assert found is not None
    assert "quota: r0 and r1 has at most 3 vCPU" in {fact.words for fact in found.facts}
