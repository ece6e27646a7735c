"""`load_catalog`: every mistake of every file, together, in order, with what was expected."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.catalog import Catalog, load_catalog
from catalog.documents import DocumentError, Problem


def problems(*texts: str) -> list[Problem]:
    with pytest.raises(DocumentError) as caught:
        load_catalog({f"{chr(97 + i)}.yaml": text for i, text in enumerate(texts)})
    return list(caught.value.problems)


def changed(small: str, old: str, new: str) -> list[Problem]:
    assert small.count(old) == 1, old
    return problems(small.replace(old, new))


def lines(found: list[Problem]) -> list[str]:
    return [f"{p.line} {p.path}: {p.message} | {p.value}" for p in found]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tier: tier-1, site", "tier: teir-1, site", "9 pools.fra-1.tier: there is no tier of that name; did you mean 'tier-1'? known are tier-1, tier-2 | 'teir-1'"),
        ("site: fra,", "site: munich,", "9 pools.fra-1.site: there is no site of that name; known are fra | 'munich'"),
        ("endpoint: vc,", "endpoint: vcc,", "9 pools.fra-1.endpoint: there is no endpoint of that name; did you mean 'vc'? known are vc | 'vcc'"),
        ("cost_centre: money,", "cost_centre: xyz,", "13 tenants.payroll.cost_centre: there is no cost centre of that name; known are money | 'xyz'"),
        ("workload_class: db", "workload_class: dbs", "29 offerings.db-small.workload_class: there is no workload class of that name; did you mean 'db'? known are db | 'dbs'"),
        ("allowed_tiers: [tier-1]", "allowed_tiers: [tier-1, tier-3]", "20 classes.db.allowed_tiers.1: there is no tier of that name; did you mean 'tier-2'? known are tier-1, tier-2 | 'tier-3'"),
        ("default_tier: tier-1", "default_tier: tier-2", "21 classes.db.default_tier: default_tier 'tier-2' must be one of allowed_tiers: tier-1 | "),
        ("size: small", "size: small-2", "30 offerings.db-small.size: class 'db' has no size of that name; did you mean 'small'? known are small | 'small-2'"),
        ("small: {vcpu: 4,", "small: {vcpu: 0,", "18 classes.db.sizes.small.vcpu: a size needs this above 0 | 0"),
        ("small: {vcpu: 4,", "small: {vcpu: -4,", "18 classes.db.sizes.small.vcpu: must be at least 0 | -4"),
        ("small: {vcpu: 4,", "small: {vcpu: '4',", "18 classes.db.sizes.small.vcpu: must be a whole number; remove the quotes | '4'"),
        ("small: {vcpu: 4, memory_mib: 8192, disk", "small: {vcpu: 4, disk", "18 classes.db.sizes.small.memory_mib: a size needs this above 0 | 0"),
        ("disk_gib: 100}}\n    req", "disk_gib: 99999999999999999}}\n    req", "18 classes.db.sizes.small.disk_gib: must be at most 9007199254740992 | 99999999999999999"),
        ("required_capabilities: [ha_restart]", "required_capabilities: [snapshot]", "22 classes.db.availability: availability 'restart' needs ha_restart in required_capabilities | "),
        ("lease_days: 30", "lease_days: 0", "24 classes.db.lease_days: must be at least 1 | 0"),
        ("availability: restart", "availability: restarts", "22 classes.db.availability: must be one of best_effort, restart; did you mean 'restart'? | 'restarts'"),
        ("multiple_of: 2, default: 4", "multiple_of: 2, default: 6", "32 offerings.db-small.parameters.vcpu.default: the default must be what size 'small' has, 4 | 6"),
        ("multiple_of: 2, default: 4", "multiple_of: 2, default: true", "32 offerings.db-small.parameters.vcpu.default: the default must be a whole number from 2 to 8, a multiple of 2 | true"),
        ("default: confidential", "default: secret", "33 offerings.db-small.parameters.data.default: the default must be one of internal, confidential | 'secret'"),
        ("choices: [internal, confidential]", "choices: [intern, confidential]", "33 offerings.db-small.parameters.data.choices.0: must be one of public, internal, confidential, restricted | 'intern'"),
        (", minimum: 2, maximum: 8", ", minimum: 2", "32 offerings.db-small.parameters.vcpu: 'vcpu' sets an amount: needs a maximum | "),
        (", minimum: 2, maximum: 8", ", maximum: 8", "32 offerings.db-small.parameters.vcpu.minimum: 'vcpu' sets an amount: needs a minimum of at least 1 | "),
        ("quota: {vcpu: 8, memory_mib: 8192, disk_gib: 100}", "quota: {vcpu: 8, disk_gib: 100}", "13 tenants.payroll.quota.memory_mib: is required in a quota; leave the whole quota out for no limit | "),
        ("rank: 2", "rank: 1", "3 tiers.tier-2.rank: tier 'tier-1' has this rank already (a.yaml, line 2); each tier needs a rank of its own, 1 is the highest | 1"),
        ("rank: 2", "rank: second", "3 tiers.tier-2.rank: must be a whole number | 'second'"),
        ("rank: 2", "rank: true", "3 tiers.tier-2.rank: must be a whole number | true"),
        ("rank: 2", "rank: 2, color: red", "3 tiers.tier-2.color: unknown field; known are rank, title, purpose | 'red'"),
        ("title: Test, ", "", "3 tiers.tier-2.title: is required and missing | "),
        ("country: DE", "country: NO", '5 sites.fra.country: some readers take NO for false; write "NO" in quotes for the text, or false | '),
        ("country: DE", "country: Germany", "5 sites.fra.country: must be a country code of two capitals (ISO 3166-1), such as DE | 'Germany'"),
        ("address: vc.example", "address: 'https://root:pw@vc'", "7 endpoints.vc.address: must not hold a password; use 'username' and 'secret' | "),
        ("address: vc.example", "address: vc, secret: hunter2", "7 endpoints.vc.secret: must be env:NAME or file:PATH, which says where the secret is; never the secret itself | "),
        ("address: vc.example", "address: vc, timeout_s: true", "7 endpoints.vc.timeout_s: must be a number | "),
        ("address: vc.example", "address: vc, timeout_s: .inf", "7 endpoints.vc.timeout_s: must be a number | '.inf'"),
        ("address: vc.example", "address: vc, options: {templates: {A: 1}}", '7 endpoints.vc.options.templates.A: must be text; put it in quotes: "1" | 1'),
        ("traits: [STORAGE_SSD]", "traits: [ssd]", "9 pools.fra-1.traits.0: must be a trait in capitals, digits and underscores, such as STORAGE_SSD | 'ssd'"),
        ("traits: [STORAGE_SSD]", "allocation_ratio: {vcpu: 0}", "9 pools.fra-1.allocation_ratio.vcpu: must be above 0 | 0"),
        ("traits: [STORAGE_SSD]", "allocation_ratio: {cpu: 2}", "9 pools.fra-1.allocation_ratio.cpu: must be one of vcpu, memory_mib, disk_gib; did you mean 'vcpu'? | 'cpu'"),
        ("cost_centres:\n", "cost_centers:\n", "10 cost_centers: unknown section; did you mean 'cost_centres'? known are adjustments, budgets, classes, cost_centres, cost_fx, endpoints, fx, offerings, pool_costs, pools, rate_cards, rules, ... | 'cost_centers'"),
    ],
)  # fmt: skip
def test_one_mistake_is_found_at_its_place_with_what_was_expected(
    small: str, old: str, new: str, expected: str
) -> None:
    found = lines(changed(small, old, new))
    # A section that is not read leaves references to its entries unknown, and that is said too.
    assert expected in found
    assert len(found) == (2 if "cost_centers" in new else 1)


def test_names_stand_once_over_all_files(small: str) -> None:
    twice = "tiers:\n  tier-9: {rank: 9, title: T, purpose: p}\n  tier-1: {rank: 4, title: T, purpose: p}\n"
    (problem,) = problems(small, twice)
    assert (problem.file, problem.line, problem.column) == ("b.yaml", 3, 3)
    assert problem.message == "this name stands already in a.yaml, line 2; give one of them another"


def test_one_provider_of_an_endpoint_is_in_one_pool_only(small: str) -> None:
    pool = "{tier: tier-2, site: fra, endpoint: vc, provider: C0}"
    (problem,) = problems(small, f"pools:\n  fra-2: {pool}\n")
    assert (problem.line, problem.path, problem.value) == (2, "pools.fra-2.provider", "'C0'")
    assert problem.message == (
        "pool 'fra-1' is this provider of endpoint 'vc' already (a.yaml, line 9); "
        "its machines would be counted twice"
    )
    other = f"endpoints:\n  w: {{driver: x, address: w}}\npools:\n  fra-2: {pool.replace('vc', 'w')}\n"
    assert len(load_catalog({"a": small, "b": other}).pools) == 2


def test_references_reach_over_files_in_any_order(small: str) -> None:
    head, tail = small.split("classes:\n")
    assert load_catalog({"1": f"classes:\n{tail}", "2": head}) == load_catalog({"x": small})


def test_a_mistake_in_one_field_does_not_hide_those_in_others(small: str) -> None:
    text = small.replace("title: Database, small", "title_: x").replace("size: small", "size: big")
    text = text.replace("workload_class: db", "workload_class: dbx").replace("default: true", "default: 1")
    text = text.replace("maximum: 8, ", "")
    assert [p.path.removeprefix("offerings.db-small.") for p in problems(text)] == [
        "title",
        "title_",
        "workload_class",
        "parameters.vcpu",
        "parameters.backup.default",
    ]


def test_an_entry_with_mistakes_is_still_known_to_those_that_refer_to_it(small: str) -> None:
    (problem,) = changed(small, "rank: 1,", "rank: 0,")
    assert problem.path == "tiers.tier-1.rank"


def test_bad_files_of_all_kinds_are_reported_together_in_order(small: str) -> None:
    found = problems(
        small.replace("rank: 2", "rank: 1").replace("workload_class: db", "workload_class: dx"),
        "tiers:\n\t- x\n",
        "",
        "\x7fELF\x02\x00",
        "[" * 5000,
        "tiers: [1]\n",
        "sites:\n  fra: {title: Again, country: DE}\ntiers: !x {}\n",
        "sites: {a: {title: A, country: DE}}\nsites: {b: {title: B, country: DE}}\n",
        "just text",
    )
    assert found == sorted(found)
    assert all((a.file, a.line) <= (b.file, b.line) for a, b in pairwise(found))
    assert [(p.file, p.line, p.message.split(";")[0]) for p in found] == [
        ("a.yaml", 3, "tier 'tier-1' has this rank already (a.yaml, line 2)"),
        ("a.yaml", 29, "there is no workload class of that name"),
        ("b.yaml", 2, "not readable as YAML: a tab cannot indent"),
        ("c.yaml", 1, "the file is empty"),
        ("d.yaml", 1, "character U+007F cannot stand in YAML"),
        ("e.yaml", 1, "not readable as YAML: nested deeper than 40 levels"),
        ("f.yaml", 1, "must be a mapping from name to entry"),
        ("g.yaml", 2, "this name stands already in a.yaml, line 5"),
        ("g.yaml", 3, "the tag !x is not read"),
        ("h.yaml", 2, "this key stands already in line 1"),
        ("i.yaml", 1, "must be a mapping of sections"),
    ]
    assert "b.yaml, d.yaml, e.yaml, i.yaml could not be read and may hold it" in found[1].message


def test_a_value_that_yaml_readers_differ_on_is_one_problem_not_two(small: str) -> None:
    (problem,) = changed(small, "lease_days: 30", "lease_days: 010")
    assert "readers differ on the number 010" in problem.message


def test_sections_of_other_packages_are_not_looked_at_unless_they_are_not_named(small: str) -> None:
    text = f"{small}rules: [whatever]\nrate_cards: 7\n"
    assert load_catalog({"a": text}) == load_catalog({"a": small})
    with pytest.raises(DocumentError, match="rate_cards: unknown section"):
        load_catalog({"a": text}, also_known=["rules"])


def test_no_text_is_an_empty_catalog() -> None:
    assert not any(getattr(load_catalog({}), section) for section in type(load_catalog({})).model_fields)


def test_entries_keep_the_order_of_the_documents_with_files_by_name(small: str) -> None:
    more = "tiers:\n  a-tier: {rank: 3, title: T, purpose: p}\n"
    assert list(load_catalog({"2": more, "1": small}).tiers) == ["tier-1", "tier-2", "a-tier"]
    assert list(load_catalog({"1": more, "2": small}).tiers) == ["a-tier", "tier-1", "tier-2"]


PIECES = [
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        " ",
        "\n",
        "\t",
        "-",
        "&a ",
        "*a",
        "!x ",
        "? ",
        "|\n",
        ">",
        "'",
        '"',
        "#",
        "%",
        "@",
    ),
    *(
        "<<: *a",
        "NO",
        "010",
        "22:30",
        "null",
        "~",
        "1.5",
        "-1",
        "true",
        "tier-1",
        "name: x",
        "5: {}",
        "[[]]",
    ),
    *("\x00", "\ufeff", "\x85", "é", "---\n", "...", "2026-10-01", "0x1f", "1e9", "{}", "[]", ".inf"),
]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_is_written_is_a_catalog_or_a_list_of_problems_with_places_in_the_file(
    data: st.DataObject, small: str
) -> None:
    text = small
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 12)))
        piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=4))
        text = text[:at] + piece + text[end:]
    found = attempt(text)
    if isinstance(found, Catalog):
        assert attempt(text) == found
        assert Catalog.model_validate_json(found.model_dump_json()) == found
        return
    rows = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)  # what YAML 1.1 takes for line ends
    assert found
    for p in found:
        assert 1 <= p.line <= len(rows) + 1, p
        assert 1 <= p.column <= max(map(len, rows)) + 1, p
        assert p.message, p


def attempt(text: str) -> Catalog | tuple[Problem, ...]:
    try:
        return load_catalog({"f.yaml": text})
    except DocumentError as error:
        return error.problems
