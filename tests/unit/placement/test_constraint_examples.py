"""The examples of docs/reference/placement-constraints.md are read and solved, and every field has its meaning there."""

import json
from pathlib import Path
from typing import Any

import pytest

from placement import document
from placement.constraint import Constraint
from placement.documents import kinds
from placement.plan import PlanStatus
from placement.solve import solve
from placement.verify import breaches
from tierwise.docs.placement_constraints import meanings, values_of

ROOT = Path(__file__).parents[3]
CLUSTER: dict[str, Any] = json.loads((ROOT / "examples" / "placement" / "cluster.json").read_text())
EXAMPLES: dict[str, Any] = json.loads(
    (ROOT / "docs" / "reference" / "placement-constraints.json").read_text()
)


def test_every_kind_has_an_example_and_nothing_else_has() -> None:
    assert list(EXAMPLES) == list(kinds.written())
    assert all(example["kind"] == kind for kind, example in EXAMPLES.items())


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_example_is_read_and_solved_to_the_end(kind: str) -> None:
    problem = document.read({**CLUSTER, "constraints": [EXAMPLES[kind]]})
    plan = solve(problem, way="exact")
    assert plan.status is PlanStatus.OPTIMAL
    assert breaches(problem, plan) == ()
    assert document.read(document.write(problem)).constraints == problem.constraints


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_field_has_a_meaning(kind: str) -> None:
    constraint: type[Constraint] = kinds.written()[kind]
    for value in values_of(constraint):
        assert set(value.model_fields) - {"kind"} == set(meanings(value)) - {"kind"}, value.__name__
