"""The rules of FOCUS 1.3 and 1.4: each rejects the errors planted for it, and nothing is wrong with what is right."""

import sys
from pathlib import Path
from typing import Any

import pytest

from chargeback.focus.rules.checking import SUPPORTED, attribute_rules, check, rule_findings
from chargeback.focus.rules.frame import Frame
from chargeback.focus.rules.headers import header_rules
from chargeback.focus.rules.reading import Rule
from chargeback.focus.rules.reasons_later import UNCHECKED_LATER
from chargeback.focus.rules.releases import Dataset, Release, datasets_of, recognised
from chargeback.focus.rules.rule_sets import NoSuchDataset, all_rules
from chargeback.focus.rules.together import LINKS

sys.path.insert(0, str(Path(__file__).parent))
from focus_planting import planted_for, with_cell
from focus_valid import ROWS, typed, untyped
from focus_valid_later import CONTRACTS_1_3, CONTRACTS_1_4, DETAILS, PERIODS, ROWS_1_3, ROWS_1_4

V1_2, V1_3, V1_4 = Release
USAGE, CONTRACTS, PERIOD, DETAIL = Dataset

VALID = {
    (V1_3, USAGE): ROWS_1_3,
    (V1_3, CONTRACTS): CONTRACTS_1_3,
    (V1_4, USAGE): ROWS_1_4,
    (V1_4, CONTRACTS): CONTRACTS_1_4,
    (V1_4, PERIOD): PERIODS,
    (V1_4, DETAIL): DETAILS,
}
FLAGS = {flag for key in VALID for rule in all_rules(*key) for flag in rule.only_with}
EVERYTHING = SUPPORTED | FLAGS


def found(table: Any, release: Release, dataset: Dataset, *, is_typed: bool = True) -> set[tuple[str, str]]:
    report = check(table, typed=is_typed, supported=EVERYTHING, release=release, dataset=dataset)
    return {(finding.rule, finding.column) for finding in report.findings}


BEFORE = {(V1_3, USAGE): (V1_2, USAGE), (V1_4, USAGE): (V1_3, USAGE)}


def new_rules(release: Release, dataset: Dataset) -> list[Rule]:
    """Those that the release before does not have; these are planted in its own tests."""
    older = BEFORE.get((release, dataset))
    return [rule for rule in all_rules(release, dataset) if older is None or rule not in all_rules(*older)]


CASES = [
    pytest.param(*key, rule, id=f"{key[0]} {rule.id} {rule.column} {rule.check}"[:90])
    for key in VALID
    for rule in new_rules(*key)
]


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize(("release", "dataset"), VALID)
def test_a_file_that_breaks_no_rule_has_no_finding(
    release: Release, dataset: Dataset, as_csv: bool
) -> None:
    rows = VALID[release, dataset]
    table = untyped(rows) if as_csv else typed(rows)
    report = check(table, typed=not as_csv, supported=EVERYTHING, release=release, dataset=dataset)
    assert [str(finding) for finding in report.findings] == []
    assert report.rows == len(rows)


@pytest.mark.parametrize(("release", "dataset", "rule"), CASES)
def test_the_error_that_is_planted_for_a_rule_is_found_under_its_id(
    release: Release, dataset: Dataset, rule: Rule
) -> None:
    errors = list(planted_for(VALID[release, dataset], rule))
    assert errors, "no error was planted"
    table = errors[-1].table() if callable(errors[-1].table) else errors[-1].table
    assert (rule.id, rule.column) in found(table, release, dataset, is_typed=errors[-1].typed)


def test_more_than_a_thousand_planted_errors_are_all_rejected_under_their_rules() -> None:
    count, missed = 0, []
    for (release, dataset), rows in VALID.items():
        for rule in new_rules(release, dataset):
            for error in planted_for(rows, rule):
                table = error.table() if callable(error.table) else error.table
                missed += [] if rule_findings(rule, Frame(table, typed=error.typed)) else [error]
                count += 1
    assert missed == []
    assert count >= 1000


FORMATS = [
    ("[1]", "JsonObjectFormat-1"),
    ('{"Elements": NaN}', "JsonObjectFormat-1"),
    ('{"x_A": {"x_B": {"x_C": {}}}}', "JsonObjectFormat-3"),
    ('{"x_A": 1, "x_A": 2}', "JsonObjectFormat-4"),
    ('{"Elements": [{"a": 1, "a": 2}]}', "JsonObjectFormat-4"),
    ('{"x_A": [1, "1"]}', "JsonObjectFormat-6.1"),
    ('{"x_A": [{"b": 1, "c": 2}, {"c": 2, "b": 1}]}', "JsonObjectFormat-6.2"),
    ('{"x_A": [1, null]}', "JsonObjectFormat-6.3"),
]


@pytest.mark.parametrize(("text", "rule"), FORMATS)
def test_a_json_object_in_a_wrong_format_is_found(text: str, rule: str) -> None:
    table = untyped(with_cell(ROWS_1_4, 11, "AllocatedMethodDetails", text))
    assert (rule, "AllocatedMethodDetails") in found(table, V1_4, USAGE, is_typed=False)


def test_every_format_and_header_rule_that_came_later_has_a_planted_error() -> None:
    assert {rule for _, rule in FORMATS} == attribute_rules(V1_4) - attribute_rules(V1_2)
    assert header_rules(V1_4) - header_rules(V1_2) == {"DatasetCompleteness-4"}


def test_columns_out_of_order_are_a_warning_in_1_4_alone() -> None:
    rows = [{"ServiceProviderName": row["ServiceProviderName"], **row} for row in ROWS_1_4]
    assert found(typed(rows), V1_4, USAGE) == {("DatasetCompleteness-4", "ServiceProviderName")}
    assert found(typed(list(reversed(ROWS_1_3))), V1_3, USAGE) == set()


def test_a_row_of_two_commitments_needs_the_purchased_one_among_them() -> None:
    both = (
        '{"Elements": [{"ContractId": "c-1", "ContractCommitmentId": "other", "ContractCommitmentAppliedCost": 1}, '
        '{"ContractID": "c-1", "ContractCommitmentID": "cd-1", "ContractCommitmentAppliedCost": 2}]}'
    )
    assert found(typed(with_cell(ROWS_1_3, 4, "ContractApplied", both)), V1_3, USAGE) == set()


def test_what_1_4_dropped_is_no_error_there() -> None:
    """A purchase that counts against another commitment; and ids in capitals, which only 1.3 has."""
    other = '{"Elements": [{"ContractId": "c-9", "ContractCommitmentId": "x", "ContractCommitmentAppliedCost": 1}]}'
    assert found(typed(with_cell(ROWS_1_4, 4, "ContractApplied", other)), V1_4, USAGE) == set()
    assert found(typed(with_cell(ROWS_1_3, 4, "ContractApplied", other)), V1_3, USAGE) == {
        ("CAU-ContractApplied-O.7", "ContractApplied")
    }


def test_columns_that_went_are_unknown_in_1_4() -> None:
    table = typed([{**row, "ProviderName": "ACME IT"} for row in ROWS_1_4])
    assert ("ColumnHandling-A-010-M", "ProviderName") in found(table, V1_4, USAGE)


@pytest.mark.parametrize(("release", "dataset"), VALID)
def test_a_file_is_recognised_by_its_columns(release: Release, dataset: Dataset) -> None:
    assert recognised(VALID[release, dataset][0].keys()) == (release, dataset)


def test_a_file_of_1_2_and_a_file_of_nothing_known_are_taken_for_1_2() -> None:
    assert recognised(ROWS[0].keys()) == (V1_2, USAGE)
    assert recognised(["Colour"]) == (V1_2, USAGE)


def test_a_release_without_the_dataset_is_refused_with_the_one_that_has_it() -> None:
    assert [len(datasets_of(release)) for release in Release] == [1, 2, 4]
    with pytest.raises(NoSuchDataset, match=r"FOCUS 1\.3 has no billing-period; it came in 1\.4"):
        all_rules(V1_3, PERIOD)


def test_no_rule_is_both_checked_and_excused() -> None:
    checked = {rule.id for key in VALID for rule in all_rules(*key)}
    between = {link.id for link in LINKS}
    assert (checked | between) & UNCHECKED_LATER.keys() == set()
    assert checked & between == set()


@pytest.mark.parametrize(("release", "dataset"), VALID)
def test_an_empty_file_breaks_no_rule_of_rows(release: Release, dataset: Dataset) -> None:
    assert found(typed(VALID[release, dataset]).slice(0, 0), release, dataset) == set()
