"""Tenants and cost centres can be part of each other, and of themselves they cannot."""

import pytest

from catalog.catalog import load_catalog
from catalog.documents import DocumentError
from catalog.parties import Billing

TREE = """\
cost_centres:
  head: {title: Head office}
  sales: {title: Sales, parent: head}
tenants:
  group: {title: Group, cost_centre: head}
  shop: {title: Shop, cost_centre: sales, parent: group, billing: showback}
"""


def test_a_parent_and_the_way_of_billing_are_kept() -> None:
    catalog = load_catalog({"a.yaml": TREE})
    assert (catalog.tenants["shop"].parent, catalog.tenants["group"].parent) == ("group", None)
    assert catalog.cost_centres["sales"].parent == "head"
    assert (catalog.tenants["shop"].billing, catalog.tenants["group"].billing) == (
        Billing.SHOWBACK,
        Billing.CHARGEBACK,
    )


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("parent: head", "parent: haed", "a.yaml:3", "there is no cost centre of that name"),
        ("parent: group", "parent: nobody", "a.yaml:6", "there is no tenant of that name"),
        ("head: {title: Head office}", "head: {title: Head office, parent: sales}", "a.yaml:2",
         "is part of itself: head -> sales -> head"),
        ("cost_centre: head}", "cost_centre: head, parent: group}", "a.yaml:5", "group -> group"),
    ],
)  # fmt: skip
def test_an_unknown_parent_and_a_circle_are_named_with_their_place(
    old: str, new: str, where: str, what: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_catalog({"a.yaml": TREE.replace(old, new)})
    said = [str(problem) for problem in caught.value.problems]
    assert any(where in line and what in line for line in said), said


def test_whoever_stands_below_a_circle_is_not_blamed_for_it() -> None:
    text = TREE.replace("head: {title: Head office}", "head: {title: Head office, parent: head}")
    with pytest.raises(DocumentError) as caught:
        load_catalog({"a.yaml": text})
    assert len(caught.value.problems) == 1
