"""The page on FOCUS lists the columns that are exported and has a map that loads."""

import re
from pathlib import Path

from chargeback.focus.columns import COLUMNS, Version
from chargeback.focus.mapping import Known, load_resource_map
from chargeback.focus.rules.checking import ATTRIBUTE_RULES, attribute_rules
from chargeback.focus.rules.headers import HEADER_RULES, header_rules
from chargeback.focus.rules.reasons import UNCHECKED
from chargeback.focus.rules.releases import Dataset, Release, datasets_of
from chargeback.focus.rules.rule_sets import all_rules
from chargeback.focus.rules.together import LINKS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "focus.md").read_text()


def test_the_page_has_every_exported_column_in_order_with_its_release() -> None:
    table = PAGE.partition("### Columns")[2].partition("### Commitments")[0]
    rows = re.findall(r"^\| `(\w+)` \| (all|1\.[0-9, .]+) \|", table, re.MULTILINE)
    every = tuple(Version)
    assert rows == [
        (column.name, "all" if column.versions == every else ", ".join(column.versions))
        for column in COLUMNS
    ]


def test_the_map_on_the_page_loads() -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    known = Known(["web-shop"], ["sales"], ["tier-3"], ["hosted-nl"])
    loaded = load_resource_map({"focus.md": found[1]}, known)
    assert len(loaded.resources) == 2
    assert list(loaded.accounts) == ["123456789012"]


def test_the_page_counts_the_rules_right() -> None:
    checked = {rule.id for rule in all_rules()} | ATTRIBUTE_RULES | HEADER_RULES
    assert f"{len(checked)} of the model's {len(checked) + len(UNCHECKED)} single rules" in PAGE


def test_the_page_counts_the_rules_of_each_release_right() -> None:
    for dataset in Dataset:
        counts = [len(all_rules(each, dataset)) if dataset in datasets_of(each) else "" for each in Release]
        cells = "".join(f" {count} |" if count else " |" for count in counts)
        assert f"| `{dataset}` |{cells}" in PAGE
    more = [len(attribute_rules(each) | header_rules(each)) for each in Release]
    assert "({} in 1.2, {} in 1.3, {} in 1.4)".format(*more) in PAGE


def test_the_page_has_every_rule_between_datasets_with_where_it_is_found() -> None:
    table = PAGE.partition("### Datasets together")[2].partition("Sums are exact")[0]
    rows = re.findall(r"^\| `([\w.-]+)` \| ([a-z-]+) \|", table, re.MULTILINE)
    assert rows == [(link.id, link.source.value) for link in LINKS]


def test_seconds_of_the_worked_quantity_are_right() -> None:
    assert (529 * 60 + 59) * 60 * 1024 == 1_953_730_560
    assert "1,953,730,560" in PAGE
