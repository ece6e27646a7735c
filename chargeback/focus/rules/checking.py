"""Checking a FOCUS file: all rules that apply, on all rows, with where each is broken."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from chargeback.focus.rules import attributes
from chargeback.focus.rules.checks import breaking
from chargeback.focus.rules.findings import Finding, finding
from chargeback.focus.rules.frame import Frame
from chargeback.focus.rules.headers import header_findings, header_rules
from chargeback.focus.rules.json_objects import FORMAT
from chargeback.focus.rules.reading import Rule, condition
from chargeback.focus.rules.releases import Dataset, Release
from chargeback.focus.rules.rule_sets import all_rules
from chargeback.focus.rules.unit_format import UNIT

SUPPORTED = frozenset(
    {
        "ACCOUNT_NAMING_SUPPORTED", "AVAILABILITY_ZONE_SUPPORTED", "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
        "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED", "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED",
        "NEGOTIATED_PRICING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED",
        "UNIT_PRICING_SUPPORTED", "SUB_ACCOUNT_SUPPORTED",
        "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED", "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
        "REGION_SUPPORTED", "TAGGING_SUPPORTED",
    }
)  # fmt: skip
"""What our own export supports, in FOCUS's words (applicability criteria)."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `checked` are the ids of the rules that were looked at."""

    rows: int
    checked: frozenset[str]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What the specification says must not be."""
        return tuple(each for each in self.findings if not each.should)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What it recommends against."""
        return tuple(each for each in self.findings if each.should)


def check(
    table: Any,
    *,
    typed: bool,
    supported: frozenset[str] = SUPPORTED,
    release: Release = Release.V1_2,
    dataset: Dataset = Dataset.COST_AND_USAGE,
) -> Report:
    """All rules of a dataset of a release of FOCUS on a `pyarrow.Table`.

    `typed` is false for a table of texts as CSV gives them. `supported` are the applicability criteria
    of the provider; a rule that needs others is left out. Raises `rule_sets.NoSuchDataset`.
    """
    every = all_rules(release, dataset)
    frame = Frame(table, typed=typed)
    due = [rule for rule in every if rule.only_with <= supported and _applies(rule, frame)]
    found = [each for rule in due for each in rule_findings(rule, frame)]
    found += header_findings(
        frame.names, frozenset(rule.column for rule in every), sorts=release is Release.V1_4
    )
    found += [
        each for name in frame.names for each in _formats(name, frame, _tests(name, release, dataset))
    ]
    looked_at = frozenset(rule.id for rule in due) | attribute_rules(release) | header_rules(release)
    return Report(frame.rows, looked_at, tuple(found))


def _applies(rule: Rule, frame: Frame) -> bool:
    return rule.check == "present" or rule.column in frame


def rule_findings(rule: Rule, frame: Frame) -> list[Finding]:
    """Where one rule is broken: nothing, or one finding."""
    return list(_broken(rule, frame))


def _broken(rule: Rule, frame: Frame) -> Iterator[Finding]:
    mask = breaking(frame, rule.column, rule.check)
    if rule.check == "present":
        if mask[0]:
            yield Finding(rule.id, rule.column, rule.should, _said(rule), 0, (), "")
        return
    yield from finding(
        rule.id, rule.column, rule.should, _said(rule), mask & condition(rule.condition)(frame), frame
    )


def _said(rule: Rule) -> str:
    verb = "should be" if rule.should else "must be"
    return f"{verb} {rule.check}" + (f" if {rule.condition}" if rule.condition else "")


_SHOULD = frozenset(
    {"StringHandling-A-007-M", "UnitFormat-A-001-M", "UnitFormat-A-004-C", "JsonObjectFormat-3"}
)

_BY_CHECK: Mapping[str, Mapping[str, attributes.Test]] = {
    "number": attributes.NUMERIC,
    "iso": attributes.MOMENT,
    "json": attributes.OBJECT,
    "string": attributes.STRING,
    "currency": attributes.CURRENCY,
    "unit": UNIT,
}

_TREE = {"tree": FORMAT}
"""The format of JSON objects in objects, which came in 1.3."""

ATTRIBUTE_RULES = frozenset(name for tests in (*_BY_CHECK.values(), attributes.ANY) for name in tests)
"""The rules of attributes of 1.2, which hold for every column of a format."""


def attribute_rules(release: Release) -> frozenset[str]:
    """Those of a release; what 1.2 says already keeps its id."""
    return ATTRIBUTE_RULES if release is Release.V1_2 else ATTRIBUTE_RULES | FORMAT.keys()


def _formats(name: str, frame: Frame, tests: Mapping[str, attributes.Test]) -> Iterator[Finding]:
    """The rules of the attributes that the column's format has, and of null handling."""
    kind = frame[name].kind
    if kind is not None and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        if pa.types.is_timestamp(kind) and kind.tz is None:
            mask = ~frame[name].null
            yield from finding("DateTimeFormat-A-001-M", name, False, "must be in UTC", mask, frame)
        return
    for key, test in tests.items():
        what = "breaks the format"
        yield from finding(key, name, key in _SHOULD, what, frame[name].where(test), frame)


@cache
def _tests(name: str, release: Release, dataset: Dataset) -> Mapping[str, attributes.Test]:
    known = {**_BY_CHECK, **_TREE}
    formats = {rule.check for rule in all_rules(release, dataset) if rule.column == name} & known.keys()
    tests = {key: test for form in sorted(formats) for key, test in known[form].items()}
    return {**tests, **attributes.ANY}
