"""What docs/how-to/add-a-constraint.md says is run: a constraint from outside keeps the promises of those inside."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.constraint import Constraint
from placement.documents import kinds
from placement.model import Model
from placement.solve import solve
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.scenes import hosts_of, racks

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-constraint.md"
CLASS, SAMPLE, TEST = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def module(*parts: str) -> ModuleType:
    made = ModuleType("density")
    tools = {"given": given, "settings": settings, "st": st, "keeps_promises": keeps_promises}
    vars(made).update(tools)
    for part in parts:
        exec(compile(part, str(PAGE), "exec"), vars(made))
    return made


@pytest.fixture(scope="module")
def density() -> Callable[..., Constraint]:
    return vars(module(CLASS))["Density"]  # type: ignore[no-any-return]  # made from the page


def test_the_pages_own_test_passes() -> None:
    module(CLASS, SAMPLE, TEST).test_it_keeps_its_promises()


def test_the_class_is_what_an_entry_point_may_name(density: Any) -> None:
    assert kinds.kind_of("density", module(CLASS)).__name__ == density.__name__


def test_no_host_has_more_machines_than_the_toy_says(density: Any) -> None:
    plan = solve(racks(density(most=1), requests=3), way="exact")
    assert len(set(hosts_of(plan))) == 3


def says(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def forbid_everything(_: Constraint, model: Model) -> None:
    model.forbid(np.ones(model.shape, dtype=np.bool_))


@pytest.mark.parametrize(
    ("part", "lie", "words"),
    [
        ("post", says(None), "a plan that does not hold"),
        ("post", forbid_everything, "^assert"),  # the best plan found is worse than that of trying all
        ("admit", says(None), "the kernel refuses it: False"),
        ("blocked", says(None), "blocked False, but"),
        ("why", says(()), "no reason for"),
        ("cost", says({"price": 1}), "^assert"),  # paid for without the model's knowledge
        ("fact", Constraint.fact, "has no fact of its own"),
        ("check", says(()), "^assert"),  # then the best plan of trying all has more on a host
    ],
)
def test_the_suite_finds_each_part_that_says_other_than_the_rest(
    density: Any, part: str, lie: Callable[..., Any], words: str
) -> None:
    liar = type("Density", (density,), {part: lie, "__module__": "density"})

    def tried() -> None:
        for seed in range(40):
            keeps_promises(lambda *_: liar(most=1), seed)

    with pytest.raises(AssertionError, match=words):
        tried()
