"""What classes and rules require of a pool, in so far as it can be heeded within the pool."""

from collections.abc import Callable

import pytest

from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.asked import required_traits, trait_rules
from policies.rule import Rule

RULES = """
  secret-data-is-encrypted:
    kind: require_traits
    summary: secret data stands on encrypted storage
    when: request.data_classification == 'restricted'
    traits: [ENCRYPTED]
    examples:
      - {request: {data_classification: restricted}, pool: {traits: []}, expect: refused}
      - {request: {data_classification: public}, pool: {traits: []}, expect: allowed}
  frankfurt-is-fast:
    kind: require_traits
    summary: machines in Frankfurt have fast storage
    when: pool.site == 'fra'
    traits: [FAST]
    examples:
      - {pool: {site: fra, traits: []}, expect: refused}
      - {pool: {site: ams, traits: []}, expect: allowed}
  no-lab:
    kind: forbid_traits
    summary: nothing goes to the laboratory
    traits: [LAB]
    examples:
      - {pool: {traits: [LAB]}, expect: refused}
      - {pool: {traits: []}, expect: allowed}
"""


@pytest.mark.parametrize(
    ("given", "site", "wanted"),
    [
        ({}, "ams", set()),
        ({}, "fra", {"FAST"}),
        ({"data_classification": "restricted"}, "ams", {"ENCRYPTED"}),
        ({"data_classification": "restricted", "workload_class": "db"}, "fra", {"ENCRYPTED", "FAST", "STORAGE_SSD"}),
        ({"data_classification": "restricted"}, None, {"ENCRYPTED"}),
        ({"workload_class": "left-the-catalog"}, "ams", set()),
    ],
    ids=["nothing", "by-the-pool", "by-the-order", "by-all", "pool-never-seen", "class-gone"],
)  # fmt: skip
def test_what_is_required_is_what_the_class_and_every_rule_that_holds_require(
    catalog: Catalog,
    rules: Callable[..., tuple[Rule, ...]],
    request_of: Callable[..., Request],
    pool_of: Callable[..., Pool],
    given: dict[str, str],
    site: str | None,
    wanted: set[str],
) -> None:
    pool = None if site is None else pool_of(site=site)
    assert required_traits(catalog, trait_rules(rules(RULES)), request_of(**given), pool) == wanted


def test_a_catalog_without_such_rules_has_none_to_look_at_a_pool(
    rules: Callable[..., tuple[Rule, ...]],
) -> None:
    body = RULES[RULES.index("  no-lab:") :]
    assert trait_rules(rules(body)) == ()
    assert {document.name for _, document in trait_rules(rules(RULES))} == {
        "secret-data-is-encrypted",
        "frankfurt-is-fast",
    }
