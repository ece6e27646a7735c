"""Our rules of FOCUS against the machine-readable models that the FinOps Foundation publishes, and real bills."""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chargeback.focus.bills import UNALLOCATED, Terms, fingerprint, read_bill
from chargeback.focus.columns import Kind, Version, columns
from chargeback.focus.mapping import Owner, ResourceMap
from chargeback.focus.rules.checking import ATTRIBUTE_RULES, SUPPORTED, all_rules, check
from chargeback.focus.rules.headers import HEADER_RULES
from chargeback.focus.rules.json_objects import SCHEMAS
from chargeback.focus.rules.reasons import UNCHECKED
from chargeback.focus.rules.releases import Dataset, Release
from chargeback.focus.vocabulary import CURRENCIES, PARENTS
from chargeback.periods import BillingPeriod
from tierwise.usecases.focus_files import check_file, read_file

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "chargeback"))
from focus_valid import ROWS, typed, untyped
from focus_valid_later import CONTRACTS_1_4, ROWS_1_4

FOCUS = Path(__file__).parents[2] / ".." / "shared" / "data" / "focus"

pytestmark = pytest.mark.skipif(not FOCUS.is_dir(), reason="../shared/data/focus is not here")

EVERYTHING = SUPPORTED | {
    "CAPACITY_RESERVATION_SUPPORTED", "COMMITMENT_DISCOUNT_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED", "VIRTUAL_CURRENCY_SUPPORTED",
}  # fmt: skip

OTHER_THAN_ITS_TEXT = {
    "CommitmentDiscountStatus-C-004-C": "wants a status where there is no id; the text says where there is one",
    "CommitmentDiscountStatus-C-005-M": "allows Active, Expired and Pending; the text says Used and Unused",
    "CommitmentDiscountQuantity-C-007-C": "forbids what C-006 permits on corrections",
    "ConsumedQuantity-C-006-C": "is about corrections; the text says all but corrections",
    "EffectiveCost-C-005-C": "leaves out that the purchase covers future charges",
    "PricingCurrencyEffectiveCost-C-004-M": "looks at another column",
    "BilledCost-C-005-C": "needs a third party, planted in the unit test",
    "BillingAccountType-C-004-C": "needs a row without an account, planted in the unit test",
    "CapacityReservationStatus-C-003-C": "its condition has no check function; planted in the unit test",
    "CapacityReservationStatus-C-004-C": "its condition has no check function; planted in the unit test",
}
"""Rules of the model that its own words contradict, or that the errors planted here cannot reach."""


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    rules: dict[str, Any] = json.loads((FOCUS / "model-1.2.0.1.json").read_text())["ModelRules"]
    return rules


def test_every_rule_of_the_model_is_checked_or_has_a_reason(model: dict[str, Any]) -> None:
    checked = {rule.id for rule in all_rules()} | ATTRIBUTE_RULES | HEADER_RULES
    single = {name for name, rule in model.items() if rule["Function"] != "Composite"}
    assert checked | UNCHECKED.keys() == single
    assert len(single) == 478
    assert len(checked) == 328


def test_no_rule_that_the_model_computes_is_excused_but_permissions_and_two(model: dict[str, Any]) -> None:
    computed = {
        name
        for name, rule in model.items()
        if rule["Function"] != "Composite" and rule["ValidationCriteria"]["Requirement"]
    }
    excused = {
        name
        for name in computed & UNCHECKED.keys()
        if model[name]["ValidationCriteria"]["Keyword"] != "MAY"
    }
    # These two contradict each other: the one wants null always, the other never.
    assert excused == {"InvoiceId-C-004-C", "InvoiceId-C-005-C"}


def test_must_and_should_are_those_of_the_model(model: dict[str, Any]) -> None:
    softened = {
        rule.id
        for rule in all_rules()
        if rule.should and model[rule.id]["ValidationCriteria"]["Keyword"] in {"MUST", "MUST NOT"}
    }
    hardened = {
        rule.id
        for rule in all_rules()
        if not rule.should and model[rule.id]["ValidationCriteria"]["Keyword"] not in {"MUST", "MUST NOT"}
    }
    # Names change over time, and one file does not show when; what a price is made of may be refined.
    assert softened == {"StringHandling-A-006-M", "SkuPriceDetails-C-007-M"}
    assert hardened == set()


def test_what_a_provider_must_support_for_a_rule_is_what_the_model_says(model: dict[str, Any]) -> None:
    for rule in all_rules():
        assert rule.only_with == set(model[rule.id]["ApplicabilityCriteria"]), rule.id


def parents_of(model: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, rule in model.items():
        for item in rule["ValidationCriteria"]["Requirement"].get("Items", ()):
            if item["CheckFunction"] == "CheckModelRule":
                found[item["ModelRuleId"]].append(name)
    return found


def holds(condition: dict[str, Any], row: dict[str, Any]) -> bool:
    """The model's own condition, on one row."""
    match condition.get("CheckFunction"):
        case "AND":
            return all(holds(item, row) for item in condition["Items"])
        case "OR":
            return any(holds(item, row) for item in condition["Items"])
        case "CheckValue":
            return bool(row[condition["ColumnName"]] == condition["Value"])
        case "CheckNotValue":
            column = condition.get("ColumnName") or condition["CheckCondition"]
            return bool(row[column] != condition["Value"])
        case "CheckNotSameValue":
            return bool(row[condition["ColumnAName"]] != row[condition["ColumnBName"]])
    return True


WRONG_CELLS: dict[str, tuple[Any, bool]] = {
    "FormatString": (" ", True), "FormatNumeric": ("1 1/2", False), "FormatDateTime": ("1 March 2026", False),
    "FormatUnit": ("gigabyte-seconds", True), "FormatKeyValue": ("{}}", True), "FormatCurrency": ("usd", True),
    "CheckNationalCurrency": ("Tokens", True), "CheckDecimalValue": ("1,5", False),
    "CheckGreaterOrEqualThanValue": ("-0.5", True), "OR": ("None of these", True),
}  # fmt: skip


def wrong_cell(requirement: dict[str, Any], row: dict[str, Any], column: str) -> tuple[str, Any, bool]:
    """Column, value and whether as Parquet: what breaks a requirement of the model."""
    function = requirement["CheckFunction"]
    if function in WRONG_CELLS:
        return column, *WRONG_CELLS[function]
    if function == "CheckValue" and requirement["Value"] is None:
        return column, next(each[column] for each in ROWS if each[column] is not None), True
    if function == "CheckValue":
        return column, "17" if requirement["Value"] in {0, "0"} else "Nonsense", True
    if function == "CheckNotValue":
        return column, requirement["Value"], True
    if function == "CheckDistinctCount":
        other = requirement["ColumnBName"]
        return (
            other,
            {"ServiceCategory": "Storage", "ServiceSubcategory": "Containers"}.get(other, "z"),
            True,
        )
    assert function == "ColumnByColumnEqualsColumnValue", function
    return requirement["ResultColumnName"], "1234.5", True


def reached(name: str, model: dict[str, Any], parents: dict[str, list[str]]) -> Iterator[int]:
    """The rows for which the rule's condition and those of what it is part of hold."""
    conditions = [
        model[each]["ValidationCriteria"].get("Condition") or {} for each in (name, *parents[name])
    ]
    for number, row in enumerate(ROWS):
        if all(holds(condition, row) for condition in conditions):
            yield number


def test_errors_against_the_words_of_the_model_are_found_under_its_ids(model: dict[str, Any]) -> None:
    parents, planted, missed = parents_of(model), 0, []
    for name, rule in model.items():
        requirement = rule["ValidationCriteria"]["Requirement"]
        skipped = (
            name in OTHER_THAN_ITS_TEXT
            or name in UNCHECKED
            or rule["Function"] in {"Composite", "Presence"}
        )
        if skipped or not requirement or requirement["CheckFunction"].startswith("Type"):
            continue
        column = rule["Reference"]
        rows = [
            number
            for number in reached(name, model, parents)
            if requirement["CheckFunction"] == "CheckValue" or ROWS[number][column] is not None
        ]
        assert rows, name
        if rule["ValidationCriteria"]["MustSatisfy"].endswith("MUST be a valid decimal value."):
            requirement = {"CheckFunction": "CheckDecimalValue"}  # The model only looks for null here.
        where, value, is_typed = wrong_cell(requirement, ROWS[rows[0]], column)
        changed = [{**row, where: value} if i == rows[0] else row for i, row in enumerate(ROWS)]
        table = typed(changed) if is_typed else untyped(changed)
        found = check(table, typed=is_typed, supported=EVERYTHING).findings
        planted += 1
        missed += [] if name in {finding.rule for finding in found} else [name]
    assert missed == []
    assert planted >= 130


def test_columns_that_the_model_wants_present_are_missed_when_they_are_not(model: dict[str, Any]) -> None:
    presence = {name: rule for name, rule in model.items() if rule["Function"] == "Presence"}
    for name, rule in presence.items():
        if rule["ValidationCriteria"]["Keyword"] != "MAY":
            table = typed(ROWS).drop_columns([rule["Reference"]])
            found = check(table, typed=True, supported=EVERYTHING).findings
            assert name in {finding.rule for finding in found}
    assert len(presence) == 63


def test_lists_of_currencies_and_services_are_those_of_the_models() -> None:
    with (FOCUS / "currency_codes.csv").open() as stream:
        assert {row["currency_codes"] for row in csv.DictReader(stream)} == CURRENCIES
    latest = json.loads((FOCUS / "focus_1_4_model.json").read_text())
    assert latest["service_subcategory_parents"] == PARENTS


def test_exported_columns_of_1_4_are_columns_of_its_model_with_its_types() -> None:
    model = json.loads((FOCUS / "focus_1_4_model.json").read_text())
    known = model["datasets"]["Cost and Usage"]["columns"]
    kinds = {
        "Decimal": {Kind.COST, Kind.PRICE, Kind.QUANTITY},
        "Date/Time": {Kind.MOMENT},
        "JSON": {Kind.JSON},
    }
    ours = {
        column.name: column.kind for column in columns(Version.V1_4) if not column.name.startswith("x_")
    }
    for name, kind in ours.items():
        assert kind in kinds.get(known[name]["data_type"], {Kind.TEXT}), name
    mandatory = {name for name, column in known.items() if column["feature_level"] == "Mandatory"}
    assert mandatory <= ours.keys()


@pytest.mark.parametrize("name", ["example-onprem-export.parquet", "example-onprem-export.csv"])
def test_an_export_that_both_public_tools_accept_breaks_no_rule(name: str) -> None:
    report = check_file(FOCUS / name)
    assert report.findings == ()
    assert report.rows == 3


def test_what_the_sample_bills_break_is_known() -> None:
    azure = check_file(FOCUS / "focus_1_2_cost_and_usage_azure.csv")
    assert (azure.rows, azure.findings) == (1000, ())
    # A bill of 1.3 has columns that 1.2 does not know, and breaks nothing else.
    aws = check_file(FOCUS / "focus_1_3_cost_and_usage_aws.csv")
    assert {finding.rule for finding in aws.findings} == {"ColumnHandling-A-010-M"}
    assert len(aws.findings) == 8
    # By the rules of 1.3 it repeats tags of the resource among those of its share: "CostCenter".
    newer = check_file(FOCUS / "focus_1_3_cost_and_usage_aws.csv", Release.V1_3)
    assert [(finding.rule, finding.should) for finding in newer.findings] == [
        ("CAU-AllocatedTags-5.1", False)
    ]
    # Real rows of 1.0: no T and Z in dates, prices that were cut before they were multiplied, missing columns.
    real = check_file(FOCUS / "focus_sample_1000.csv")
    broken = {finding.rule: finding.rows for finding in real.errors}
    assert broken["BillingPeriodEnd-C-002-M"] == 1000
    assert broken["ListCost-C-009-C"] == 436
    assert broken["ServiceName-C-005-C"] == 554
    assert broken["CostAndUsage-D-059-C"] == 0, "a missing column is of no row"


BILLS = [
    ("focus_sample_1000.csv", "2024-09", "USD", "ResourceId"),
    ("focus_1_2_cost_and_usage_azure.csv", "", "", "ResourceId"),
    ("focus_1_3_cost_and_usage_aws.csv", "", "", "ResourceId"),
]


@pytest.mark.parametrize(("name", "month", "currency", "key"), BILLS)
def test_a_sample_bill_is_imported_to_the_last_digit(
    name: str, month: str, currency: str, key: str
) -> None:
    """Recounted with csv and Fraction alone; every third resource is mapped."""
    with (FOCUS / name).open(newline="", encoding="utf-8-sig") as stream:
        lines = list(csv.DictReader(stream))
    month = month or lines[0]["BillingPeriodStart"][:7]
    currency = currency or lines[0]["BillingCurrency"]
    lines = [line for line in lines if line["BillingPeriodStart"][:7] == month]
    resources = sorted({line[key] for line in lines} - {"", "NULL"})
    owners = {
        resource: Owner(f"tenant-{i % 7}", "cc", "tier-3")
        for i, resource in enumerate(resources)
        if i % 3 == 0
    }
    table, _ = read_file(FOCUS / name)
    of_month = [str(at)[:7] == month for at in table["BillingPeriodStart"].to_pylist()]
    table = table.filter(of_month)
    terms = Terms(BillingPeriod.parse(month, "UTC"), currency, 2)
    found = read_bill(table, ResourceMap(owners, {}), terms)
    exact = sum((Fraction(line["BilledCost"]) for line in lines), Fraction(0))
    assert found.exact == exact
    assert sum(int(row["amount_minor"]) for row in found.rows) == found.total_minor
    assert abs(exact * 100 - found.total_minor) <= Fraction(1, 2)
    unmapped = sum((Fraction(line["BilledCost"]) for line in lines if line[key] not in owners), Fraction(0))
    assert sum((gap.cost for gap in found.gaps), Fraction(0)) == unmapped
    assert {str(row["tenant"]) for row in found.rows} <= {UNALLOCATED, *(f"tenant-{i}" for i in range(7))}
    assert fingerprint(table) == fingerprint(table.take(list(reversed(range(table.num_rows)))))


SHORT = {
    Dataset.COST_AND_USAGE: "Cost and Usage", Dataset.CONTRACT_COMMITMENT: "Contract Commitment",
    Dataset.BILLING_PERIOD: "Billing Period", Dataset.INVOICE_DETAIL: "Invoice Detail",
}  # fmt: skip


@pytest.mark.parametrize("dataset", Dataset)
def test_rules_of_1_4_say_of_each_column_what_its_model_says(dataset: Dataset) -> None:
    """Presence, type, null and lists of values, where the model of 1.4 has them; and no other columns."""
    model = json.loads((FOCUS / "focus_1_4_model.json").read_text())["datasets"][SHORT[dataset]]["columns"]
    rules = defaultdict(dict)
    for rule in all_rules(Release.V1_4, dataset):
        rules[rule.column][rule.check, rule.condition] = rule
    assert rules.keys() == model.keys()
    kinds = {"Decimal": "decimal", "Date/Time": "moment"}
    for name, column in model.items():
        checks = rules[name]
        present = [rule for (check, _), rule in checks.items() if check == "present"]
        assert any(not rule.only_with and not rule.should for rule in present) == (
            column["feature_level"] == "Mandatory"
        ), name
        assert (kinds.get(column["data_type"], "text"), "") in checks, name
        if not column["allows_nulls"]:
            # The model lets no null stand where the text lets it in some cases.
            assert any(check == "not null" for check, _ in checks), name
        elif ("not null", "") in checks and not checks["not null", ""].should:
            # The text of 1.4 says that it must not be, its model that it may.
            assert name in {"PricingCurrency", "BillingAccountName"}, name
        if column["numeric_range"]:
            assert ("from 0 to 1", "") in checks, name
        values = set(column["allowed_values"] or ())
        lists = [set(check[3:].split("|")) for check, _ in checks if check.startswith("of ")]
        if name in {"ServiceCategory", "ServiceSubcategory"}:
            lists = [values]  # compared with the vocabulary above
        assert not values or values in lists or name == "ChargeClass", name


def mutated(value: Any, chance: np.random.Generator) -> Any:
    """Something else somewhere in a JSON value: a key renamed or taken out, a value of another kind."""
    odd: list[Any] = [None, True, -1, 0.5, 2, "x", "*", "In", "Exists", "And", [], {}, ["a"], ["*"]]
    if isinstance(value, dict) and value and chance.random() < 0.75:
        key = sorted(value)[int(chance.integers(len(value)))]
        rest = {name: each for name, each in value.items() if name != key}
        how = chance.random()
        if how < 0.25:
            return rest
        if how < 0.35:
            return {**rest, str(chance.choice([key.lower(), "x_Custom", "x_low", key + "s"])): value[key]}
        return {**value, key: mutated(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.75:
        place = int(chance.integers(len(value)))
        return [mutated(each, chance) if i == place else each for i, each in enumerate(value)]
    return odd[int(chance.integers(len(odd)))]


OBJECTS = {
    "split method": "AllocatedMethodDetails", "contracts": "ContractApplied",
    "programs": "CommitmentProgramEligibilityDetails", "applicability": "ContractCommitmentApplicability",
}  # fmt: skip


@pytest.mark.parametrize("words", OBJECTS)
def test_objects_are_refused_exactly_where_the_schemas_of_the_specification_refuse_them(words: str) -> None:
    """Six hundred mutants of right objects each, against the JSON Schemas that focus-data-toolkit carries."""
    toolkit = pytest.importorskip("focus_data_toolkit", reason="focus-data-toolkit is not installed")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    folder = Path(toolkit.__file__).parent / "model" / "json_schemas"
    schema = json.loads((folder / f"{OBJECTS[words].lower()}objectschema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    rows = CONTRACTS_1_4 if words == "applicability" else ROWS_1_4
    right = sorted({row[OBJECTS[words]] for row in rows} - {None})
    chance, verdicts = np.random.default_rng(7), set()
    for _ in range(600):
        value = json.loads(right[int(chance.integers(len(right)))])
        for _ in range(int(chance.integers(1, 4))):
            value = mutated(value, chance)
        if isinstance(value, dict):
            refused = not validator.is_valid(value)
            assert SCHEMAS[words](json.dumps(value)) == refused, json.dumps(value)
            verdicts.add(refused)
    assert verdicts == {True, False}
