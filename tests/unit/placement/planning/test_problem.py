"""Problems that do not say what their products count are refused, with the path of what is missing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from placement.planning.problem import PlanningProblem
from placement.problem import InvalidProblem
from tierwise.testing.tiny_planning import random_problem, way


def with_way(said: dict[str, Any]) -> PlanningProblem:
    problem = random_problem(1, products=1)
    (product,) = problem.products
    return replace(problem, products=(replace(product, alternatives=(way("one", {"price": 1, **said}),)),))


@pytest.mark.parametrize(
    ("said", "unsaid", "told"),
    [
        ({"metric": "per_socket"}, {"sockets": None}, "blocks.sockets"),
        ({"metric": "per_core"}, {"cores_per_socket": None}, "blocks.cores_per_socket"),
        (
            {"metric": "per_core", "core_factor_thousandths": {"old": 500, "new": 400}},
            {"families": ()},
            "blocks.families",
        ),
        ({"metric": "per_amount", "amount": "tib"}, {"amounts": {}}, "blocks.amounts.tib"),
        (
            {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2, "cores": 32}},
            {"sockets": None},
            "blocks.sockets",
        ),
    ],
)
def test_what_a_product_counts_must_be_stated(
    said: dict[str, Any], unsaid: dict[str, Any], told: str
) -> None:
    problem = with_way(said)  # As it is, all of it is stated.
    with pytest.raises(InvalidProblem, match=r"products\[0\].alternatives\[0\].*state " + told):
        replace(problem, blocks=replace(problem.blocks, **unsaid))


def test_a_family_without_a_factor_is_refused_where_the_product_may_count_it() -> None:
    problem = with_way({"metric": "per_core", "core_factor_thousandths": {"old": 500, "new": 400}})
    strange = replace(problem.blocks, families=("old", "new", "odd"))  # The last one is a host of pool q.
    with pytest.raises(
        InvalidProblem, match=r"core_factor_thousandths: 'one' of '.*' has no factor of 'odd'"
    ):
        replace(problem, blocks=strange)
    elsewhere = replace(problem.products[0], pools=np.array([True, False]))
    replace(problem, blocks=strange, products=(elsewhere,))


@pytest.mark.parametrize(
    "said", [{"metric": "per_machine"}, {"metric": "per_vcpu"}, {"metric": "per_host"}]
)
def test_what_no_product_counts_need_not_be_stated(said: dict[str, Any]) -> None:
    problem = with_way(said)
    unsaid = {"sockets": None, "cores_per_socket": None, "families": (), "amounts": {}}
    replace(problem, blocks=replace(problem.blocks, **unsaid))


def test_one_minimum_of_an_order_is_asked_alike_of_all_its_products() -> None:
    problem = with_way({"metric": "per_core", "order_minimum": 9})
    (product,) = problem.products
    other = way("one", {"metric": "per_core", "order_minimum": 8, "price": 2})
    apart = (product, replace(product, name="dearer", alternatives=(other,)))
    replace(problem, products=apart)
    with pytest.raises(
        InvalidProblem, match=r"products\[1\].alternatives\[0\]: 'one' has another minimum or other packs"
    ):
        replace(problem, products=tuple(replace(one, order="both") for one in apart))


def test_hosts_without_sockets_and_names_that_are_there_twice_are_refused() -> None:
    problem = random_problem(1, products=1)
    with pytest.raises(InvalidProblem, match=r"blocks.sockets: must be at least 1 \(found 0\)"):
        replace(problem, blocks=replace(problem.blocks, sockets=np.zeros(3, dtype=np.int64)))
    with pytest.raises(InvalidProblem, match=r"groups.ids: 'a' is there twice"):
        replace(problem, groups=replace(problem.groups, ids=("a", "a", "c")))
    with pytest.raises(InvalidProblem, match="has no legal way"):
        replace(problem, products=(replace(problem.products[0], alternatives=()),))
