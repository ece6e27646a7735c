"""The facts of rules are in the reference, and nothing else is; the reference's rules load."""

import re
from collections.abc import Callable
from pathlib import Path

from catalog.capabilities import Capability
from catalog.catalog import Catalog
from catalog.orders import Request
from catalog.pools import Pool
from policies.documents import load_rules
from policies.facts import (
    first_class_facts,
    named,
    pool_facts,
    pool_vocabulary,
    request_facts,
    request_vocabulary,
)
from policies.kinds import rule_kinds

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = DOCS / "reference" / "rules.md"
ROW = re.compile(r"^\| `((?:request|pool)\.\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_every_fact_is_in_the_reference_with_type_and_meaning_and_no_other_is() -> None:
    written = [tuple(part.strip() for part in row) for row in ROW.findall(REFERENCE.read_text())]
    assert written == [(f.name, f.type, f.meaning) for f in first_class_facts()]


def test_every_kind_is_in_the_reference_with_all_its_fields_and_no_other_is() -> None:
    sections = re.split(r"^### ", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    by_title = {
        s.splitlines()[0].strip("`"): set(re.findall(r"^- `(\w+)`", s, re.MULTILINE)) for s in sections
    }
    common = {"name", "kind", "summary", "when", "message", "remedy", "examples"}
    kinds = {kind: set(document.model_fields) - common for kind, document in rule_kinds().items()}
    assert by_title == kinds


def test_every_rule_in_the_documentation_loads(catalog: Catalog) -> None:
    found = 0
    for page in (REFERENCE, DOCS / "how-to" / "add-a-rule.md"):
        for text in re.findall(r"^```yaml\n(rules:\n.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            found += len(load_rules({page.name: text}, catalog))
    assert found >= 7


def test_every_kind_in_the_reference_is_shown_by_a_rule() -> None:
    shown = set(re.findall(r"^    kind: (\w+)$", REFERENCE.read_text(), re.MULTILINE))
    assert shown == set(rule_kinds())


def test_the_facts_of_a_request_and_a_pool_are_exactly_the_vocabulary(
    catalog: Catalog, request_of: Callable[..., Request], pool_of: Callable[..., Pool]
) -> None:
    request = request_of(
        offering="db-small", parameters={"backup": "daily", "replicas": 2, "zone": "a", "data": "internal"}
    )
    facts = named(request_facts(request, catalog))
    assert set(facts) == set(request_vocabulary(catalog))
    assert facts["request.param.backup"] == "daily"
    assert facts["request.parameter_names"] == ["backup", "replicas", "zone"]
    assert facts["request.cost_centre"] == "cc-finance"
    assert set(named(pool_facts(pool_of(), catalog))) == set(pool_vocabulary())


def test_the_capabilities_of_a_pool_are_what_its_report_does_not_miss(
    catalog: Catalog, pool_of: Callable[..., Pool]
) -> None:
    gaps = {"snapshot": ("never", "containers have no snapshots")}
    facts = named(pool_facts(pool_of(gaps=gaps), catalog))
    assert set(facts["pool.capabilities"]) == {c.value for c in Capability} - {"snapshot"}
