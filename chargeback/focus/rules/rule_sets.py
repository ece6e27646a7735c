"""Which rules a dataset has in a release: 1.2's, and what later releases changed."""

from functools import cache

from chargeback.focus.rules import spec_1_2, spec_1_3, spec_1_4, spec_contracts, spec_invoices
from chargeback.focus.rules.reading import Rule, rules
from chargeback.focus.rules.releases import Dataset, Release, datasets_of


class NoSuchDataset(ValueError):
    """A release that does not have the dataset."""


@cache
def all_rules(
    release: Release = Release.V1_2, dataset: Dataset = Dataset.COST_AND_USAGE
) -> tuple[Rule, ...]:
    """The rules of the tables. Raises NoSuchDataset where the release does not have it."""
    if dataset not in datasets_of(release):
        first = next(each for each in Release if dataset in datasets_of(each))
        msg = f"FOCUS {release} has no {dataset}; it came in {first}, check it as that or later"
        raise NoSuchDataset(msg)
    if dataset is Dataset.COST_AND_USAGE:
        return _cost_and_usage(release)
    if dataset is Dataset.CONTRACT_COMMITMENT:
        return _contracts(release)
    if dataset is Dataset.BILLING_PERIOD:
        return tuple(rules(spec_invoices.BILLING_PERIOD, "BPD"))
    return tuple(rules(spec_invoices.INVOICE_DETAIL, "IND"))


def _cost_and_usage(release: Release) -> tuple[Rule, ...]:
    found = list(rules(spec_1_2.TABLE))
    if release is not Release.V1_2:
        found = [rule for rule in found if rule.id not in spec_1_3.GONE]
        found += rules(spec_1_3.TABLE)
    if release is Release.V1_4:
        found = [rule for rule in found if not _gone_in_1_4(rule)]
        found += rules(spec_1_4.TABLE)
    return tuple(found)


def _gone_in_1_4(rule: Rule) -> bool:
    return (
        rule.id in spec_1_4.GONE
        or rule.column in spec_1_4.GONE_COLUMNS
        or rule.check in spec_1_4.GONE_CHECKS
    )


def _contracts(release: Release) -> tuple[Rule, ...]:
    found = tuple(rules(spec_contracts.TABLE, "CCT"))
    if release is Release.V1_4:
        return found
    known = spec_contracts.COLUMNS_1_3
    return (*(rule for rule in found if rule.column in known), *rules(spec_contracts.ONLY_1_3, "CCT"))
