"""Economics documents: what they mean, every mistake at once with its place, and the published schema."""

import json
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.documents import DocumentError
from chargeback.economics.document import Economics, load_economics, schema
from chargeback.economics.figures import Evidence, Figure

ROOT = Path(__file__).parents[4]
HEAD = "format: tierwise-economics/1\ncurrency: EUR\n"


def load(text: str) -> Economics:
    return load_economics(HEAD + text, "e.yaml")


def problems(text: str, head: str = HEAD) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_economics(head + text, "e.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_number_alone_is_short_for_a_figure() -> None:
    short, long = load("labour: {cost_per_hour: 61.5}"), load("labour: {cost_per_hour: {value: 61.50}}")
    assert short.labour == long.labour
    assert short.labour.cost_per_hour is not None
    assert short.labour.cost_per_hour.value == Fraction(123, 2)


def figure(**more: Any) -> Figure:
    return Figure.model_validate({"value": 1, **more})


@pytest.mark.parametrize(
    ("day", "region", "value"),
    [
        (date(2026, 12, 31), None, 1),
        (date(2027, 1, 1), None, 2),
        (date(2027, 6, 30), None, 3),
        (date(2027, 7, 1), None, 2),
        (date(2027, 1, 1), "EMEA", 5),
        (date(2026, 12, 31), "EMEA", 1),
        (date(2027, 6, 1), "US", 3),
        (None, None, 1),
    ],
)
def test_the_latest_value_of_the_region_goes_before_older_and_general_ones(
    day: date | None, region: str | None, value: int
) -> None:
    changes = [
        {"value": 2, "from": "2027-01-01"},
        {"value": 3, "from": "2027-06-01", "until": "2027-07-01"},
        {"value": 5, "from": "2027-01-01", "region": "EMEA"},
    ]
    if day is None:
        changes = changes[2:]
    found = figure(changes=changes).at(day, region)
    assert found is not None
    assert found[1].value == value


def test_a_figure_that_holds_nowhere_says_nothing() -> None:
    assert figure(region="US").at(date(2026, 1, 1), "EMEA") is None
    assert figure(**{"from": "2027-01-01"}).at(date(2026, 1, 1), None) is None
    assert figure(until="2027-01-01").at(date(2027, 1, 1), None) is None


def test_all_mistakes_of_a_document_are_told_at_once_with_their_lines() -> None:
    found = problems(
        """
zoo: 1
host_types:
  all: {purchase_price: 5}
  more: {match: {hypervisor: [vsphere]}, watts_idle: 3}
sites:
  fra: {pue: 0.5, price_per_kwh: {value: -1, form: 2027-01-01}}
labour: {machines_per_admin: 0}
storage:
  san: {per_gib_per_month: {value: 1, changes: [{value: 2}]}}
licences:
  suite:
    layer: hypervisor
    alternatives:
      - {name: a, metric: per_core, principals: 3, prices: [{amount: 3, period: month}]}
      - {name: b, metric: per_core, prices: [{amount: 3, period: term}]}
fleet:
  f: {tier: tier-9, pool: p, hypervisor: kvm, hosts: 1, cores: 3, memory_mib: 5}
""",
        "format: tierwise-economics/2\n",
    )
    said = [
        "e.yaml:1:1: currency: is required and missing",
        "e.yaml:1:9: format: must be one of tierwise-economics/1",
        "e.yaml:3:6: zoo: unknown section; known are ",
        "host_types.all: depreciation_months: is missing; say over how many months",
        "host_types.more: watts_idle: goes with watts_full; give both, or watts_per_core",
        "e.yaml:8:14: sites.fra.pue: must be from 1 to 100: 0.5",
        "sites.fra.price_per_kwh.value: must be a plain number",
        "sites.fra.price_per_kwh.form: unknown field; did you mean 'from'?",
        "labour.machines_per_admin: must be above 0: 0",
        "storage.san.per_gib_per_month: changes: two values begin always in every region",
        "licences.suite.alternatives.0: principals: says nothing of the metric per_core; leave it out",
        "licences.suite.alternatives.1.prices.0: term_months: the period term needs it",
        "fleet.f.hypervisor: must be one of vsphere, hyperv, xen, libvirt",
    ]
    assert len(found) == len(said)
    for part in said:
        assert [line for line in found if part in line], (part, found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fleet:\n  f: {tier: t9, pool: p, hypervisor: xen, hosts: 1, cores: 4, memory_mib: 5}\ntiers: {t1: {}}",
         "e.yaml:4:13: fleet.f.tier: there is no tier 't9' under tiers; known are t1"),
        ("host_types:\n  all: {}\n  more: {match: {model: x}}", "host_types.more: is never used: 'all' before it fits everything"),
        ("storage:\n  all: {}\n  more: {match: {tier: x}}", "storage.more: is never used: 'all' before it"),
        ("sites:\n  '*': {}\n  fra: {}", "sites.*: fits every site; put it last"),
        ("storage:\n  san: {match: {pool: x}}", "storage.san.match.pool: unknown field; known are hypervisor, name, site, tier (found 'x')"),
        ("sites:\n  fra: {naem: x}", "sites.fra.naem: unknown field; known are region, pue, price_per_kwh, space_per_host_per_month (found 'x')"),
        ("host_types:\n  a: {purchase_price: {value: 3, from: 2025-01-01}, depreciation_months: 48, bought_on: 2024-01-01}",
         "host_types.a.purchase_price: says nothing of 2024-01-01, when it was bought; add a value of then"),
        ("migration:\n  a: {hours_per_machine: 2}", "migration.a.hours_per_machine: hours are given, but labour.cost_per_hour is missing"),
        ("migration:\n  a: {dual_running_months: 2}", "dual_running_months: goes with dual_running_per_machine_per_month"),
        ("opening:\n  a: {}", "opening.a: per_month: there is no price"),
        ("other:\n  a: {term: labour, per: host, per_month: 2, per_year: 3}", "exactly one of per_month and per_year"),
        ("other:\n  a: {term: labour, per: host, per_month: 2, match: {tier: x}}", "match: a host does not know its tier"),
        ("labour: {cost_per_hour: 1000000001}", "labour.cost_per_hour: must be at most a thousand million: 1000000001"),
        ("tiers:\n  a: {split: {power: {vcpu: 0}}}", "tiers.a: split: power has no weight above 0"),
        ("labour: {cost_per_hour: 1, hours_per_month: 3, hosts_per_admin: {value: 3, from: 2026-13-01}}",
         "labour.hosts_per_admin.from: must be a day like 2027-03-31"),
        ("labour: {cost_per_hour: {value: 3, from: 2026-03-01, until: 2026-03-01}}", "until: 2026-03-01 must be after from"),
        ("host_types:\n  a: {purchase_price: 1, depreciation_months: 4.5}", "must be whole months from 1 to 600: 4.5"),
        ("network: {purchase_percent_of_host: 5}", "network: depreciation_months: is missing"),
        ("host_types: [1]", "e.yaml:3:1: host_types: must be a mapping from name to entry"),
        ("labour: 3", "labour: must be a mapping"),
        ("labour: {cost_per_hour: 1e3}", "must be a plain number of at most 18 digits"),
        ("labour: {cost_per_hour: true}", "must be a plain number of at most 18 digits"),
        ("labour: {cost_per_hour: 60,5}", "labour.5"),
        ("labour: {cost_per_hour: '60,5'}", "must be a plain number of at most 18 digits before and after the point, not 60,5"),
        ("licences:\n  a: {layer: guest, alternatives: []}", "licences.a.alternatives: must have at least one entry"),
        ("licences:\n  a: {layer: guest, alternatives: [{name: x, metric: per_core, prices: [{amount: 1, period: hour}]}]}",
         "per_hour: goes with prices of the period hour, and only with them"),
        ("licences:\n  a: {layer: guest, alternatives: [{name: x, metric: per_core, prices: [{amount: 1, period: year, write_off_months: 4}]}]}",
         "write_off_months: is for the period once only; leave it out"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_what_to_do(text: str, said: str) -> None:
    found = problems(text)
    assert [line for line in found if said in line], found


@pytest.mark.parametrize("name", ["examples/acme/economics.yaml", "examples/economics/defaults.yaml"])
def test_every_figure_of_the_examples_has_a_source_or_is_called_an_assumption(name: str) -> None:
    found = load_economics((ROOT / name).read_text(), name)
    for path, figure_ in found.figures():
        for place, one in figure_.statements():
            assert one.source or one.evidence is Evidence.ASSUMPTION, path + place


def test_the_defaults_know_no_licence_and_no_vendors_price_stands_in_the_code() -> None:
    assert load_economics((ROOT / "examples/economics/defaults.yaml").read_text(), "d").licences == ()


def test_a_figure_without_source_and_evidence_counts_as_assumed() -> None:
    found = load("labour: {cost_per_hour: 60, hours_per_month: {value: 140, source: controlling}}")
    assert found.assumed() == ("labour.cost_per_hour",)


def test_the_published_schema_is_the_current_one() -> None:
    text = (ROOT / "docs/reference/economics.schema.json").read_text()
    assert json.loads(text) == schema(), "write it again: tierwise economics schema"


@pytest.mark.parametrize("name", ["examples/acme/economics.yaml", "examples/economics/defaults.yaml"])
def test_the_examples_keep_to_the_schema_and_mistakes_do_not(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, which nbclient brings along")
    tree = yaml.load((ROOT / name).read_text(), Loader=yaml.BaseLoader)
    validator = jsonschema.Draft202012Validator(schema())
    typed = _typed(tree)
    assert [error.message for error in validator.iter_errors(typed)] == []
    assert list(validator.iter_errors({**typed, "zoo": 1}))
    assert list(validator.iter_errors({**typed, "labour": {"cost_per_hour": "many"}}))


def _typed(part: Any) -> Any:
    """Whole numbers and booleans as such; a reader of YAML would also make days into dates."""
    if isinstance(part, dict):
        return {key: _typed(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_typed(one) for one in part]
    if part in {"true", "false"}:
        return part == "true"
    return int(part) if part.isdecimal() else part
