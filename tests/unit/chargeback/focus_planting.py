"""Planting errors in a right FOCUS file: from the words of a rule, by this file's own small reading of them.

Row by row as dicts; the checker works on coded columns and shares none of it.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
from focus_valid import typed, untyped

from chargeback.focus.rules.reading import Rule

Rows = list[dict[str, Any]]

SPLIT = '{"Elements": [{"AllocatedRatio": %s}]}'
APPLIED = (
    '{"Elements": [{"ContractId": "%s", "ContractCommitmentId": "%s", '
    '"ContractCommitmentAppliedQuantity": 4, "ContractCommitmentAppliedUnit": "Core-Hours"}]}'
)
PROGRAM = '{"CommitmentPrograms": [{"ProgramType": "%s"}]}'
SCOPE = '{"InclusionOperator": "And", "Inclusions": [{"Dimension": "SkuId", "Operator": %s}]}'


class Planted(NamedTuple):
    """One error: the file that has it (or what makes it), and the rule that forbids it."""

    rule: str
    column: str
    table: Any
    typed: bool


def holds(condition: str, row: dict[str, Any]) -> bool:
    """This file's own reading of a condition, on one row."""
    for term in condition.split(" and ") if condition else ():
        column, how, what = (*term.split(" ", 2), "")[:3]
        value = row[column]
        if how == "null":
            truth = value is None
        elif term == f"{column} not null":
            truth = value is not None
        elif term == f"{column} not zero":
            truth = value is not None and Decimal(value) != 0
        elif how == "=":
            truth = value in what.split("|")
        elif how == "!=":
            truth = value not in what.split("|")
        elif how == "differs":
            truth = value != row[what]
        else:
            assert term.startswith(f"{column} not before ")
            truth = value >= row[term.split()[-1]]
        if not truth:
            return False
    return True


def with_cell(rows: Rows, number: int, column: str, value: Any) -> Rows:
    return [{**row, column: value} if i == number else row for i, row in enumerate(rows)]


def for_rows(rows: Rows, rule: Rule, value: Any, *, is_typed: bool = True) -> Iterator[Planted]:
    """`value` in the column, once in each row for which the rule's condition holds and that has another."""
    for number, row in enumerate(rows):
        if not holds(rule.condition, row) or row[rule.column] == value:
            continue
        if value is not None and row[rule.column] is None and rule.check != "null":
            continue
        changed = with_cell(rows, number, rule.column, value)
        if holds(rule.condition, changed[number]):
            table = partial(typed if is_typed else untyped, changed)
            yield Planted(rule.id, rule.column, table, is_typed)


def some_value(rows: Rows, column: str) -> Any:
    return next(row[column] for row in rows if row[column] is not None)


def other_type(rows: Rows, rule: Rule) -> Iterator[Planted]:
    """The whole column as another type than the rule wants."""
    table = typed(rows)
    place = table.column_names.index(rule.column)
    other = pa.int64() if rule.check == "text" else pa.string()
    values = pa.array([7] * len(rows)).cast(other)
    yield Planted(rule.id, rule.column, table.set_column(place, rule.column, values), typed=True)


BAD_CELLS: dict[str, tuple[Any, bool]] = {
    "string": ("  ", True), "number": ("1,000", False), "iso": ("2026-02-10 08:00:00", False),
    "currency": ("eur", True), "national": ("EURO", True), "unit": ("gigabyte-hours", True),
    "json": ("[1]", True), "valid": ("abc", False), "at least 0": ("-1", True), "not null": (None, True),
    "a category": ("Servers", True), "a subcategory": ("Servers", True), "pascal keys": ('{"x_Low_key": 1}', True),
    "custom keys": ('{"Colour": 1}', True), "defined keys": ('{"Corecount": 1}', True),
    "typed values": ('{"CoreCount": "4"}', True), "= 0": ("5", True),
    "child of ServiceCategory": ("Block Storage", True), "= 1": ("5", True), "from 0 to 1": ("1.5", True),
    "between 0 and 1": ("1", True), "tree": ("[1]", True), "a duration": ("a year", True),
    "grain keys": ('{"Colour": "1"}', True), "spelt grain keys": ('{"skuid": "1"}', True),
    "grain values": ('{"SkuId": 1}', True), "lists CommitmentDiscountType": (PROGRAM % "Spot", True),
    "names ResourceId": (APPLIED % ("c-1", "another"), True),
    "units of UsageUnit": (SPLIT % '0.5, "UsageUnit": "gigabyte-hours"', True),
    "units of ContractCommitmentAppliedUnit": ((APPLIED % ("c-1", "cd-1")).replace("Core-Hours", "hours of cores"), True),
    "apart from Tags": ('{"env": "prod"}', True), "one parent": (APPLIED % ("c-2", "cd-1"), True),
}  # fmt: skip

BAD_OBJECTS: dict[str, tuple[str, ...]] = {
    "split method": (
        "{}", '{"Elements": []}', '{"Elements": {}}', '{"Elements": [1]}', SPLIT % '"half"', SPLIT % "1.5",
        SPLIT % '0.5, "UsageQuantity": 2', SPLIT % '0.5, "Colour": 1', SPLIT % '0.5, "x_colour": 1',
        SPLIT % "0.5" + "]", '{"Elements": [{"UsageUnit": "GB"}]}', '{"Other": 1, "Elements": [{"AllocatedRatio": 1}]}',
    ),
    "contracts": (
        "{}", '{"Elements": []}', (APPLIED % ("c-1", "cd-1")).replace("Core-Hours", "").replace(', "ContractCommitmentAppliedUnit": ""', ""),
        (APPLIED % ("c-1", "cd-1")).replace("ContractId", "ContractID"),
        (APPLIED % ("c-1", "cd-1")).replace('"Unit', '"unit').replace("AppliedQuantity", "AppliedCost"),
        '{"Elements": [{"ContractId": "c", "ContractCommitmentId": "d"}]}',
        '{"Elements": [{"ContractId": 1, "ContractCommitmentId": "d", "ContractCommitmentAppliedCost": 1}]}',
        (APPLIED % ("c-1", "cd-1")).replace('"ContractId"', '"Colour": 1, "ContractId"'),
        (APPLIED % ("c-1", "cd-1")).replace('"ContractId"', '"ContractCommitmentAppliedCost": 3, "ContractId"'),
    ),
    "contracts of 1.3": (
        "{}", '{"Elements": []}', '{"Elements": [{"ContractID": "c", "ContractCommitmentID": "d"}]}',
        '{"Elements": [{"ContractCommitmentID": "d", "ContractCommitmentAppliedCost": 1}]}',
        '{"Elements": [{"ContractID": "c", "ContractCommitmentID": "d", "ContractCommitmentAppliedQuantity": 1}]}',
        '{"Elements": [{"ContractID": "c", "ContractCommitmentID": "d", "ContractCommitmentAppliedCost": 1, "x_A": {}}]}',
        '{"Elements": [{"ContractID": "c", "ContractCommitmentID": "d", "ContractCommitmentAppliedCost": 1, "A": 1}]}',
    ),
    "programs": (
        "{}", '{"CommitmentPrograms": []}', '{"CommitmentPrograms": [{}]}', '{"CommitmentPrograms": [{"ProgramType": 1}]}',
        '{"CommitmentPrograms": [{"ProgramType": "Reserved", "Term": "1 Year"}]}', '{"Elements": [{"ProgramType": "Reserved"}]}',
    ),
    "applicability": (
        "{}", '{"IsGlobalScope": "yes"}', '{"IsGlobalScope": true, "IsComplexScope": true}',
        '{"IsGlobalScope": true, "Inclusions": [{"Dimension": "SkuId", "Operator": "In", "Values": ["a"]}]}',
        SCOPE % '"Is", "Values": ["a"]', SCOPE % '"In", "Values": []', SCOPE % '"In", "Values": ["*", "a"]',
        SCOPE % '"Exists", "Values": ["a"]', SCOPE % '"StartsWith", "Values": ["*"]', SCOPE % '"In", "Values": [1]',
        SCOPE % '"In", "Values": ["a"], "Applicability": {"Cost": 2}', (SCOPE % '"In", "Values": ["a"]').replace("And", "Xor"),
        '{"IsGlobalScope": true, "Exclusions": [{"Dimension": "SkuId", "Operator": "In", "Values": ["a"]}]}',
        '{"IsGlobalScope": true, "Exclusions": [], "ExclusionOperator": "And"}', '{"IsGlobalScope": true, "Colour": 1}',
    ),
}  # fmt: skip
"""Texts that break each of FOCUS's objects."""


def planted_for(rows: Rows, rule: Rule) -> Iterator[Planted]:  # noqa: C901, PLR0912 - a table of kinds of rules, one branch each
    """Errors that break `rule`, each in a file that is right but for it."""
    words = rule.check
    if words == "present":
        yield Planted(rule.id, rule.column, typed(rows).drop_columns([rule.column]), typed=True)
    elif words in {"text", "decimal", "moment"}:
        yield from other_type(rows, rule)
    elif words in BAD_CELLS:
        value, is_typed = BAD_CELLS[words]
        yield from for_rows(rows, rule, value, is_typed=is_typed)
    elif words == "null":
        yield from for_rows(rows, rule, some_value(rows, rule.column))
    elif words.startswith("of "):
        yield from for_rows(rows, rule, "Nonsense")
    elif words.startswith("!= "):
        yield from for_rows(rows, rule, words.removeprefix("!= "))
    elif words.startswith("object of "):
        for text in BAD_OBJECTS[words.removeprefix("object of ")]:
            yield from for_rows(rows, rule, text)
    elif words.startswith("unique"):
        yield Planted(rule.id, rule.column, partial(typed, [*rows, rows[0]]), typed=True)
    elif words.startswith("since "):
        yield from for_rows(rows, rule, "2001-01-01T00:00:00Z")
    elif words.startswith("one "):
        other = {**rows[0], words.removeprefix("one "): "another"}
        yield Planted(rule.id, rule.column, partial(typed, [*rows, other]), typed=True)
        yield from changed_twin(rows, rule, words.removeprefix("one "), key=rule.column)
    elif words.startswith("same for "):
        yield from changed_twin(rows, rule, rule.column, key=words.removeprefix("same for "))
    elif words.startswith("after "):
        for number, row in enumerate(rows):
            changed = with_cell(rows, number, rule.column, row[words.removeprefix("after ")])
            yield Planted(rule.id, rule.column, partial(typed, changed), typed=True)
    elif words.startswith("agree "):
        yield from for_rows(rows, rule, "another")
    else:
        yield from wrong_product(rows, rule)


def changed_twin(rows: Rows, rule: Rule, column: str, key: str) -> Iterator[Planted]:
    """One of several rows of a key gets another value in `column`."""
    keys = [row[key] for row in rows]
    for number, row in enumerate(rows):
        if row[key] is not None and keys.count(row[key]) > 1 and row[column] is not None:
            other = {"ServiceCategory": "Storage", "ServiceSubcategory": "Containers"}.get(
                column, "another"
            )
            other = '{"CoreCount": 99}' if column == "SkuPriceDetails" else other
            changed = with_cell(rows, number, column, other)
            yield Planted(rule.id, rule.column, partial(typed, changed), typed=True)


def wrong_product(rows: Rows, rule: Rule) -> Iterator[Planted]:
    """A cost that is off by one ten-thousandth, where the three numbers are there."""
    left, _, right = (
        rule.check.partition(" is ") if " is " in rule.check else (rule.column, "", rule.check[3:])
    )
    cost = right if left.startswith("times") else rule.column
    for number, row in enumerate(rows):
        needed = [name for name in (*rule.check.split(), rule.column) if name in row]
        if holds(rule.condition, row) and None not in {row[name] for name in needed}:
            changed = with_cell(rows, number, cost, str(Decimal(row[cost]) + Decimal("0.0001")))
            yield Planted(rule.id, rule.column, partial(typed, changed), typed=True)
