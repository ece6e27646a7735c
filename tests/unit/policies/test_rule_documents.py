"""Rule documents that are wrong say what, where and what would be right."""

from collections.abc import Callable

import pytest

from catalog.catalog import Catalog
from policies.documents import load_rules
from policies.facts import request_vocabulary

GOOD = """\
rules:
  near:
    kind: residency
    summary: confidential data stays near
    when: request.data_classification == 'confidential'
    countries: [DE]
    examples:
      - {request: {data_classification: confidential}, pool: {country: NL}, expect: refused}
      - {request: {data_classification: internal}, pool: {country: NL}, expect: allowed}
"""


def test_the_good_document_is_good(catalog: Catalog) -> None:
    (rule,) = load_rules({"rules.yaml": GOOD}, catalog)
    assert rule.name == "near"
    assert rule.document.summary == "confidential data stays near"


def test_a_value_that_yaml_readers_differ_on_is_one_mistake_and_hides_no_other(
    mistakes: Callable[[str], list[str]],
) -> None:
    text = GOOD.replace("countries: [DE]", "countries: [DE, NO]").replace("stays near", "x")
    text = text.replace("kind: residency", "kind: residency\n    colour: red")
    norway, colour = sorted(mistakes(text), key=lambda line: "colour" in line)
    assert "rules.near.countries.1" in norway
    assert "rules.near.colour: unknown field" in colour


def test_no_rules_at_all_are_no_rules(catalog: Catalog) -> None:
    assert load_rules({"a.yaml": "", "b.yaml": "rules:\n", "c.yaml": "tiers: {}\n"}, catalog) == ()


def test_rules_come_in_order_of_their_names_from_all_files(catalog: Catalog) -> None:
    other = GOOD.replace("near:", "dear:")
    assert [r.name for r in load_rules({"a": GOOD, "b": other}, catalog)] == ["dear", "near"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: residency", "kind: residence", "3:11: rules.near.kind: unknown kind; did you mean 'residency'? known are forbid,"),
        ("    kind: residency\n", "", "2:3: rules.near: needs a kind; known are forbid,"),
        ("countries: [DE]", "countries: []", "needs at least one country or site"),
        ("countries: [DE]", "countries: [Germany]", "6:17: rules.near.countries.0: must be a country code"),
        ("countries: [DE]", "sites: [paris]", "6:13: rules.near.sites.0: unknown site 'paris'; known are fra, muc, ams"),
        ("countries: [DE]", "countries: [DE]\n    sites: [fra]", "7:13: rules.near.sites.0: site 'fra' is in DE"),
        ("countries: [DE]", "countires: [DE]", "rules.near.countires: unknown field; did you mean 'countries'?"),
        ("    summary: confidential data stays near\n", "", "rules.near.summary: is required and missing"),
        ("expect: allowed", "expect: refused", "need at least one case that is allowed"),
        ("country: NL}, expect: allowed", "cuntry: NL}, expect: allowed", "9:67: rules.near.examples.1.pool.cuntry: unknown fact"),
        ("{country: NL}, expect: refused", "{country: DE}, expect: refused", "8:85: rules.near.examples.0.expect: the example expects refused, and the rule allows this"),
        ("internal}, pool", "confidential}, pool", "expects allowed, and the rule refuses this: the example's pool is in NL"),
        ("{country: NL}, expect: refused", "{tier: tier-1}, expect: refused", "the rule looks at the pool's country"),
        ("{country: NL}, expect: refused", "{site: ams, country: DE}, expect: refused", "contradicts the catalog, where it is 'NL'"),
        ("{data_classification: internal}", "{data_classification: intern}", "request.data_classification is never 'intern'; did you mean 'internal'? known are confidential, internal"),
        ("{data_classification: internal}", "{tenant: payroll}", "'when' could not be decided: No value with name \"request.data_classification\""),
        ("{data_classification: internal}", "{vcpu: many}", "request.vcpu must be a whole number"),
        ("{data_classification: internal}", "{vcpu: true}", "request.vcpu must be a whole number"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    mistakes: Callable[[str], list[str]], old: str, new: str, problem: str
) -> None:
    assert GOOD.count(old) == 1
    found = mistakes(GOOD.replace(old, new))
    assert any(problem in line and line.startswith("rules.yaml:") for line in found), found


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("request.teir == 'x'", "5:18: rules.near.when: undeclared reference to 'request.teir'; did you mean 'request.tier'? known are request.tenant,"),
        ("request.vcpu <= 'a'", "5:24: rules.near.when: found no matching overload for '_<=_' applied to '(int, string)'"),
        ("request.vcpu +", "5:25: rules.near.when: syntax error: mismatched input '<EOF>'"),
        ("request.vcpu", "5:11: rules.near.when: must be true or false, and this is int"),
        ("request.tenant == 'payrol'", "5:29: rules.near.when: request.tenant is never 'payrol'; did you mean 'payroll'? known are ledger, payroll, research"),
        ("request.tier in ['tier-1', 'tier-7']", "5:38: rules.near.when: request.tier is never 'tier-7'"),
        ("'\"teir\" == request.tier'", "5:12: rules.near.when: request.tier is never 'teir'"),
        ("'snap' in pool.capabilities", "rules.near.when: not readable as YAML"),
        ("\"'snap' in pool.capabilities\"", "5:12: rules.near.when: pool.capabilities is never 'snap'"),
        ("request.param.backup == 'hourly'", "5:35: rules.near.when: request.param.backup is never 'hourly'; known are daily, weekly"),
        ("request.param.nothing == 1", "undeclared reference to 'request.param.nothing'"),
        ("request.param.data == 'x'", "undeclared reference to 'request.param.data'"),
    ],
)  # fmt: skip
def test_a_wrong_predicate_is_a_mistake_at_its_own_column(
    mistakes: Callable[[str], list[str]], when: str, problem: str
) -> None:
    found = mistakes(GOOD.replace("request.data_classification == 'confidential'", when))
    if "not readable" in problem:
        assert "not readable as YAML" in found[0]
        return
    assert len(found) == 1
    assert found[0].startswith("rules.yaml:")
    assert problem in found[0]


def test_all_mistakes_of_a_predicate_in_a_block_are_found_in_their_own_lines(
    mistakes: Callable[[str], list[str]],
) -> None:
    block = "|\n      request.vcpu > 'a'\n      && request.x == 1\n"
    found = mistakes(GOOD.replace("request.data_classification == 'confidential'\n", block))
    assert [f.split(" ")[0] for f in found] == ["rules.yaml:6:20:", "rules.yaml:7:17:"]


def test_a_folded_predicate_says_its_own_line_and_column(mistakes: Callable[[str], list[str]]) -> None:
    folded = ">-\n      request.vcpu > 2\n      && request.x == 1\n"
    (found,) = mistakes(GOOD.replace("request.data_classification == 'confidential'\n", folded))
    assert found.startswith("rules.yaml:5:11: rules.near.when: undeclared reference to 'request.x'")
    assert found.endswith("(line 1, column 28 of the predicate)")


def test_a_parameter_of_two_kinds_can_be_compared_with_either(catalog: Catalog) -> None:
    for value in ("1", "'one'"):
        when = f"when: request.offering == 'web-small' && request.param.replicas == {value}"
        text = f"""
rules:
  it:
    kind: forbid
    summary: a parameter that has two kinds
    {when}
    message: no such replicas
    remedy: order others
    examples:
      - {{request: {{offering: web-small, param.replicas: {value}}}, expect: refused}}
      - {{request: {{offering: db-small, param.replicas: {value}}}, expect: allowed}}
"""
        assert len(load_rules({"r": text}, catalog)) == 1


def test_a_parameter_that_any_offering_leaves_open_can_be_any_text(catalog: Catalog) -> None:
    fact = request_vocabulary(catalog)["request.param.zone"]
    assert fact.problem_with("anywhere", catalog) is None
    assert request_vocabulary(catalog)["request.param.backup"].problem_with("anywhere", catalog)


def test_several_mistakes_are_told_together(mistakes: Callable[[str], list[str]]) -> None:
    text = GOOD.replace("kind: residency", "kind: nonsense") + GOOD.replace("rules:\n", "").replace(
        "  near:", "  dear:"
    ).replace("[DE]", "[]").replace("stays near", "x")
    assert len(mistakes(text)) == 2


def test_the_same_name_in_two_files_is_refused_with_both_places(catalog: Catalog) -> None:
    from catalog.documents import DocumentError

    with pytest.raises(DocumentError, match=r"b\.yaml:2:3: .*stands already in a\.yaml, line 2"):
        load_rules({"a.yaml": GOOD, "b.yaml": GOOD}, catalog)


def test_the_same_name_twice_in_a_file_is_refused(mistakes: Callable[[str], list[str]]) -> None:
    text = GOOD + GOOD.removeprefix("rules:\n")
    assert "this key stands already in line 2" in mistakes(text)[0]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("kind: tier_bounds\n    floor: tier-9", "floor: unknown tier 'tier-9'; did you mean 'tier-3'? known are tier-1, tier-2, tier-3"),
        ("kind: tier_bounds\n    floor: tier-1\n    ceiling: tier-2", "the floor tier-1 is above the ceiling tier-2, so no tier is left"),
        ("kind: tier_bounds", "needs a floor, a ceiling or both"),
        ("kind: require_capabilities\n    capabilities: [teleport]", "rules.it.capabilities.0: must be one of"),
        ("kind: require_capabilities\n    capabilities: []", "rules.it.capabilities: must be a list or mapping of at least 1"),
        ("kind: require_traits\n    traits: [lower]", "rules.it.traits.0: must be a trait in capitals"),
        ("kind: forbid\n    message: no way at all\n    remedy: do not do it", "needs a 'when'; without one"),
        ("kind: forbid\n    when: request.vcpu > 1", "rules.it.remedy: is required and missing"),
        ("kind: quota\n    limit: {}", "limit needs at least one of vcpu, memory_mib, disk_gib"),
        ("kind: quota\n    limit: {vcpu: -1}", "rules.it.limit.vcpu: must be at least 0"),
        ("kind: quota\n    limit: {vcpu: 1}\n    when: request.vcpu > 1", "undeclared reference to 'request.vcpu'; did you mean"),
    ],
)  # fmt: skip
def test_a_mistake_of_one_kind_is_named(
    mistakes: Callable[[str], list[str]], body: str, problem: str
) -> None:
    text = f"""\
rules:
  it:
    {body}
    summary: a rule with a mistake
    examples:
      - {{pool: {{tier: tier-1}}, expect: allowed}}
      - {{pool: {{tier: tier-1}}, expect: refused}}
"""
    found = mistakes(text)
    assert any(problem in line for line in found), found


def test_a_quotas_example_must_say_what_is_ordered_and_looks_at_no_pool(
    mistakes: Callable[[str], list[str]],
) -> None:
    text = """\
rules:
  it:
    kind: quota
    summary: a limit for everybody
    limit: {vcpu: 4}
    examples:
      - {request: {tenant: payroll, vcpu: 5}, pool: {tier: tier-1}, expect: refused}
      - {request: {tenant: payroll}, expect: allowed}
"""
    first, second = mistakes(text)
    assert "a quota looks at no pool" in first
    assert "the rule limits vcpu of the request" in second
