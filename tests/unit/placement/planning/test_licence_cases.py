"""Published licence cases, as estates that must keep all their hosts: what planning buys is what was published."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.planning.problem import Blocks, Groups, PlannedProduct, PlanningProblem, Pools
from placement.planning.solve import solve
from tierwise.testing.licensed import way

CASES = Path(__file__).parents[4] / ".." / "shared" / "data" / "licence-cases.json"
METRICS = {
    "core": "per_core",
    "vcore": "per_vcpu",
    "socket": "per_socket",
    "coverage_unit": "per_coverage_unit",
}


def cases() -> Iterator[Any]:
    if not CASES.exists():
        why = "the published licence cases are not here: ../shared/data/licence-cases.json"
        yield pytest.param({}, id="missing", marks=pytest.mark.skip(reason=why))
        return
    for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"]:
        yield pytest.param(case, id=case["id"])


def fields(metric: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {
        f"per_{floor['per']}_minimum": floor["min"] for floor in metric.get("floors", ())
    }
    if "per_vm_minimum" in more:
        more["per_machine_minimum"] = more.pop("per_vm_minimum")
    if "factor" in metric:
        more["core_factor_thousandths"] = {
            str(h["factor"]): round(h["factor"] * 1000) for h in facts["hosts"]
        }
    if "covers" in metric:
        more["unit_covers"] = metric["covers"]
    if "grant" in metric:
        granted = {"granted": metric["grant"]["per_unit"], "pack_cost_micros": 1}
        more["add_on"] = {"name": "more", "amount": "milli_tib", "unit_amount": 1000, **granted}
    return {
        **more,
        "covers": metric.get("stack", {}).get("guests_per_cover"),
        "metric": METRICS[metric["unit"]],
    }


def estate(metric: Mapping[str, Any], facts: Mapping[str, Any]) -> PlanningProblem:
    """One pool that keeps every host; with a rule, as many machines as only its hosts together have room for."""
    hosts, limit = facts["hosts"], facts.get("limit", {"kind": "", "hosts": facts["hosts"]})
    held = len(limit["hosts"])
    vcpu = [vm["vcpu"] for vm in facts["vms"]] if "vms" in facts else [1] * facts.get("guests", held)
    h, g = len(hosts), len(vcpu)

    def each(key: str) -> Any:
        return np.array([host[key] for host in hosts], dtype=np.int64)

    zeros, ones = np.zeros(h, dtype=np.int64), np.ones(h, dtype=np.int64)
    return PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=tuple(f"g{n}" for n in range(g)),
            count=np.ones(g, dtype=np.int64),
            demand=np.array(vcpu, dtype=np.int64)[:, None],
            current=np.zeros(g, dtype=np.int64),
            allowed=np.ones((g, 1), dtype=np.bool_),
        ),
        pools=Pools(
            ids=("pool",),
            tier_of=("t1",),
            losses=np.zeros(1, dtype=np.int64),
            shared=np.zeros((1, 1), dtype=np.int64),
            least_hosts=np.array([h], dtype=np.int64),
        ),
        blocks=Blocks(
            ids=tuple(host["name"] for host in hosts),
            pool_of=zeros,
            existing=ones,
            most=ones,
            capacity=np.full((h, 1), -(-sum(vcpu) // held), dtype=np.int64),
            largest=np.full((h, 1), 99, dtype=np.int64),
            sockets=each("sockets"),
            cores_per_socket=each("cores_per_socket"),
            families=tuple(str(host.get("factor", "")) for host in hosts),
            amounts={"milli_tib": np.array([round(host.get("vsan_raw_tib", 0) * 1000) for host in hosts])},
        ),
        products=(
            PlannedProduct(
                name="it",
                groups=np.ones(g, dtype=np.bool_),
                alternatives=(way(**fields(metric, facts)),),
                parts=limit["kind"] in metric.get("accepts", ()),
            ),
        ),
    )


@pytest.mark.parametrize("case", list(cases()))
def test_published_cases_come_to_their_published_counts(case: Mapping[str, Any]) -> None:
    metrics = case["metric"] if isinstance(case["metric"], list) else [case["metric"]]
    wanted = case["expect"]["licences"]
    for metric, licences in zip(metrics, wanted if isinstance(wanted, list) else [wanted], strict=True):
        plan = solve(estate(metric, case["input"]))
        assert not plan.unplaced.any()
        assert sum(one.units for one in plan.licences) == licences
        assert plan.terms["licences"] == licences + case["expect"].get("addon", 0)
        assert plan.bound_micros == plan.cost_micros
