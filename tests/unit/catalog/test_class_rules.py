"""Documents of class rules: what is read, and the words of every mistake."""

from decimal import Decimal
from pathlib import Path

import pytest

from catalog.catalog import Catalog, load_catalog
from catalog.documents import DocumentError
from catalog.estates.class_documents import load_class_rules
from catalog.estates.class_rules import ClassRule, ClassRules, Weighing
from catalog.estates.model import EstateMachine, PowerState, Utilization
from catalog.estates.sizing import Bounds, SizingPolicy, rightsize
from catalog.estates.sizing_documents import load_sizing

ROOT = Path(__file__).parents[3]
ACME = ROOT / "examples" / "acme"


def problems(rules: str, catalog: Catalog, head: str = "format: tierwise-classes/1\n") -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_class_rules(f"{head}class_rules:\n{rules}", "r.yaml", catalog)
    return [str(problem) for problem in caught.value.problems]


def one(body: str, catalog: Catalog) -> list[str]:
    found = problems(f"  a: {body}\n", catalog)
    return [line.removeprefix("r.yaml:").partition(": class_rules.")[2] for line in found]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{workload_class: db}", ["a.when: needs a condition; for all machines that no other rule is for write otherwise: true"]),
        ("{when: {name: x}}", ["a.workload_class: a rule needs workload_class, label or facts; give one of them"]),
        ("{when: {name: x}, workload_class: db, label: y}", ["a.label: a rule gives a class or a label, not both; remove one (found 'y')"]),
        ("{when: {name: x}, label: y, size: small}", ["a.size: a label has no sizes; remove this field (found 'small')"]),
        ("{when: {name: x}, workload_class: bd}", ["a.workload_class: there is no workload class of that name; known are db (found 'bd')"]),
        ("{when: {name: x}, workload_class: db, size: huge}", ["a.size: class 'db' has no size of that name; known are nearest, as-is, small (found 'huge')"]),
        ("{when: {name: x}, workload_class: db, facts: {tier: tier-2}}", ["a.facts.tier: class 'db' may not run there; its allowed_tiers are tier-1 (found 'tier-2')"]),
        ("{when: {name: x}, facts: {tier: tier-3}}", ["a.facts.tier: there is no tier of that name; did you mean 'tier-2'? known are tier-1, tier-2 (found 'tier-3')"]),
        ("{when: {name: x}, facts: {software: [rhel]}, confidence: 0.5}", ["a.confidence: is of a class or a label; a rule of facts alone has none (found '0.5')"]),
        ("{otherwise: true, facts: {software: [rhel]}}", ["a.otherwise: needs workload_class or label beside it; give one of them"]),
        ("{when: {name: x}, unless: {}, workload_class: db}", ["a.unless: has no condition, so the rule would be for no machine; remove this field"]),
        ("{when: {vcpus: {at_least: 8, at_most: 2}}, workload_class: db}", ["a.when.vcpus: at_least 8 is above at_most 2; no machine is so large"]),
        ("{when: {vcpus: {}}, workload_class: db}", ["a.when.vcpus: a range needs at_least, at_most or both"]),
        ("{when: {name: []}, workload_class: db}", ["a.when.name: is an empty list, which no machine meets; remove this field"]),
        ("{when: {xname: x}, workload_class: db}", ["a.when.xname: unknown field; did you mean 'name'? known are guest_os, name, folder, application, pool, host, site, tenant, firmware, networks, labels, power, ... (found 'x')"]),
        ("{when: {power: [gone]}, workload_class: db}", ["a.when.power.0: must be one of on, off, suspended, unknown; did you mean 'on'? (found 'gone')"]),
        ("{when: {name: x}, workload_class: db, confidence: 0}", ["a.confidence: must be above 0 (found 0)"]),
        ("{when: {name: x}, workload_class: db, confidence: 1.5}", ["a.confidence: must be at most 1 (found '1.5')"]),
        ("{when: {name: 'x', folder: 're:'}, workload_class: db}", ["a.when.folder: is an empty regular expression; write what it must find after re:, or * for anything"]),
    ],
)  # fmt: skip
def test_each_mistake_is_told_at_its_place_in_words(
    body: str, expected: list[str], small_catalog: Catalog
) -> None:
    assert one(body, small_catalog) == expected


@pytest.mark.parametrize("pattern", ["re:(", "re:[a", "re:(?=x)", r"re:(a)\1", "re:a{2000}"])
def test_a_pattern_that_is_no_regular_expression_of_re2_is_refused(
    pattern: str, small_catalog: Catalog
) -> None:
    (found,) = one(f"{{when: {{name: ['ok', '{pattern}']}}, workload_class: db}}", small_catalog)
    assert found.startswith("a.when.name.1: is no regular expression: ")
    assert "for plain text leave re: out" in found


def test_all_mistakes_are_told_at_once_with_line_and_column(small_catalog: Catalog) -> None:
    found = problems(
        "  a:\n    when: {name: 're:('}\n    workload_class: nothing\n"
        "  b: {when: {name: x}, label: y, size: z, facts: {colour: red}}\n"
        "  a: {when: {name: x}, label: y}\n"
        "wieghing: {}\nweighing: {needs_eye_below: 2, hold: [vcpu, vcpu]}\n",
        small_catalog,
        head="format: tierwise-classes/2\n",
    )
    places = [line.split(" ")[:2] for line in found]
    assert places == [
        ["r.yaml:1:9:", "format:"],
        ["r.yaml:4:18:", "class_rules.a.when.name:"],
        ["r.yaml:5:21:", "class_rules.a.workload_class:"],
        ["r.yaml:6:59:", "class_rules.b.facts.colour:"],
        ["r.yaml:7:3:", "class_rules.a:"],
        ["r.yaml:8:1:", "wieghing:"],
        ["r.yaml:9:29:", "weighing.needs_eye_below:"],
        ["r.yaml:9:45:", "weighing.hold.1:"],
    ]


@pytest.mark.parametrize(
    "text", ["", "format: tierwise-classes/1\n", "format: tierwise-classes/1\nclass_rules: {}\n"]
)
def test_a_document_without_rules_is_refused(text: str, small_catalog: Catalog) -> None:
    with pytest.raises(
        DocumentError, match="class_rules: has no rule; write at least one under class_rules:"
    ):
        load_class_rules(text, "r.yaml", small_catalog)


def test_no_pattern_can_hang_the_run(small_catalog: Catalog) -> None:
    """`(a+)+$` takes a backtracking matcher 2**1000 steps here."""
    import pyarrow as pa

    from catalog.estates.patterns import matches

    load_class_rules(
        "format: tierwise-classes/1\nclass_rules: {a: {when: {name: 're:(a+)+$'}, label: x}}",
        "r",
        small_catalog,
    )
    assert matches(pa.array(["a" * 1000 + "!"]), ["re:(a+)+$"]).to_pylist() == [False]


def test_acmes_rules_stand_beside_its_catalog_and_name_what_it_has() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in ACME.glob("*.yaml")}
    catalog = load_catalog(texts)
    rules = load_class_rules(texts["classes.yaml"], "classes.yaml", catalog)
    assert {rule.workload_class for rule in rules.rules if rule.workload_class} == set(catalog.classes)


def test_a_document_of_another_format_beside_the_catalog_is_left_alone_but_not_one_without() -> None:
    texts = {"c.yaml": "format: tierwise-other/1\nwhatever: {}\n", "d.yaml": "format: mine\n"}
    with pytest.raises(DocumentError) as caught:
        load_catalog(texts)
    assert [problem.file for problem in caught.value.problems] == ["d.yaml"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{percentile: 0}", "sizing.percentile: must be above 0"),
        ("{percentiles: 95}", "sizing.percentiles: unknown field; did you mean 'percentile'?"),
        ("{vcpu: {step: 0}}", "sizing.vcpu.step: must be at least 1"),
        ("{vcpu: {smallest: 8, largest: 4}}", "sizing.vcpu: largest 4 must not be below smallest 8"),
        ("{memory_mib: {keep_percent: 101}}", "sizing.memory_mib.keep_percent: must be at most 100"),
        (
            "{memory_mib: {largest_cut_percent: x}}",
            "sizing.memory_mib.largest_cut_percent: must be a number",
        ),
        ("{idle: {cpu_percent: -1}}", "sizing.idle.cpu_percent: must be at least 0"),
        ("{may_grow: 1}", "sizing.may_grow: must be true or false"),
        ("{min_hours: 1.5}", "sizing.min_hours: must be a whole number"),
    ],
)
def test_each_mistake_of_a_sizing_policy_is_told(body: str, expected: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_sizing(f"format: tierwise-sizing/1\nsizing: {body}\n", "s.yaml")
    (problem,) = caught.value.problems
    assert expected in str(problem)


def test_a_sizing_policy_that_says_nothing_is_the_usual_one() -> None:
    assert load_sizing("format: tierwise-sizing/1\n", "s.yaml") == SizingPolicy()
    with pytest.raises(DocumentError, match="must be tierwise-sizing/1"):
        load_sizing("sizing: {}\n", "s.yaml")


def test_what_a_policy_leaves_out_of_memory_is_what_is_usual_there() -> None:
    """A tenth of 32 GiB with 30 % on top is 4.16 GiB: in whole GiB 5, and no less than half of what there is."""
    policy = load_sizing(
        "format: tierwise-sizing/1\nsizing: {memory_mib: {headroom_percent: 30}}\n", "s.yaml"
    )
    assert policy.memory_mib == Bounds(
        headroom_percent=Decimal(30), step=1024, smallest=1024, keep_percent=Decimal(50)
    )
    cut = load_sizing(
        "format: tierwise-sizing/1\nsizing: {memory_mib: {headroom_percent: 30, keep_percent: 0}}\n",
        "s.yaml",
    )
    use = Utilization(cpu_percent=50, memory_percent=10, percentile=95, samples=720, hours=720)
    machine = EstateMachine(
        id="m", name="m", power=PowerState.ON, vcpus=4, memory_mib=32 * 1024, utilization=use
    )
    assert [rightsize(machine, one).resources.memory_mib for one in (policy, cut)] == [16 * 1024, 5 * 1024]


def test_rules_survive_json() -> None:
    rules = ClassRules(rules=(ClassRule(name="a", label="x", when={"name": "b"}),), weighing=Weighing())  # type: ignore[arg-type] # as a document has it
    assert ClassRules.model_validate_json(rules.model_dump_json()) == rules
