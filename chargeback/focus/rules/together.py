"""Checking the datasets of one delivery together: what each says of the others, on all rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from chargeback.focus.rules import linked_commitments, linked_invoices
from chargeback.focus.rules.findings import Finding, finding
from chargeback.focus.rules.frame import Frame
from chargeback.focus.rules.linked import Link
from chargeback.focus.rules.releases import Dataset

LINKS: tuple[Link, ...] = (*linked_commitments.LINKS, *linked_invoices.LINKS)
"""All rules between two datasets."""


class Part(NamedTuple):
    """One dataset of a delivery; `typed` is false for a table of texts as CSV gives them."""

    table: Any
    typed: bool


@dataclass(frozen=True, slots=True)
class Together:
    """What was found, by the dataset in whose rows it stands. `checked` are the ids of the rules that were looked at."""

    checked: frozenset[str]
    findings: Mapping[Dataset, tuple[Finding, ...]]


def check_together(parts: Mapping[Dataset, Part]) -> Together:
    """Every rule both of whose datasets are there, with the columns that it needs."""
    frames = {dataset: Frame(part.table, typed=part.typed) for dataset, part in parts.items()}
    due = [link for link in LINKS if _applies(link, frames)]
    found: dict[Dataset, list[Finding]] = {dataset: [] for dataset in parts}
    for link in due:
        found[link.source] += broken(link, frames)
    return Together(
        frozenset(link.id for link in due), {dataset: tuple(each) for dataset, each in found.items()}
    )


def broken(link: Link, frames: Mapping[Dataset, Frame]) -> list[Finding]:
    """Where one rule is broken: nothing, or one finding."""
    ours, theirs = frames[link.source], frames[link.other]
    return list(finding(link.id, link.column, link.should, link.what, link.find(ours, theirs), ours))


def _applies(link: Link, frames: Mapping[Dataset, Frame]) -> bool:
    ours, theirs = frames.get(link.source), frames.get(link.other)
    return (
        ours is not None
        and theirs is not None
        and all(name in ours for name in link.needs)
        and all(name in theirs for name in link.others)
    )
