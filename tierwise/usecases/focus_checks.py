"""Checking FOCUS files: each by itself, and those of one delivery together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chargeback.focus.rules.checking import Report, check
from chargeback.focus.rules.findings import Finding
from chargeback.focus.rules.releases import Dataset, Release, recognised
from chargeback.focus.rules.rule_sets import NoSuchDataset
from chargeback.focus.rules.together import Part, check_together
from tierwise.errors import InvalidInput
from tierwise.usecases.focus_files import read_file

_SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class CheckedFile:
    """A file, what it was checked as, and what was found: by itself, and beside the others."""

    file: Path
    release: Release
    dataset: Dataset
    report: Report
    beside: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Checked:
    """All files; `links` are the ids of the rules between datasets that were looked at."""

    files: Sequence[CheckedFile]
    links: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class _Read:
    file: Path
    release: Release
    dataset: Dataset
    part: Part


def check_files(
    paths: Sequence[Path], release: Release | None = None, dataset: Dataset | None = None
) -> Checked:
    """Check every file, and what those of one delivery say of each other.

    A folder stands for the Parquet and CSV files right in it. Where a dataset is there in both formats, each
    format is a delivery. Release and dataset are told by a file's columns where they are None. Raises
    InvalidInput for an unreadable file, a release without the dataset, and files that are no one delivery.
    """
    files = _files(paths)
    if dataset is not None and len(files) > 1:
        msg = f"--dataset says what one file holds, and these are {len(files)}; leave it out"
        raise InvalidInput(msg)
    read = [_read(file, release, dataset) for file in files]
    checked: dict[Path, CheckedFile] = {}
    links: set[str] = set()
    for delivery in _deliveries(read):
        beside: Mapping[Dataset, tuple[Finding, ...]] = {}
        if len(delivery) > 1:
            found = check_together({dataset: each.part for dataset, each in delivery.items()})
            beside, links = found.findings, links | found.checked
        for of, each in delivery.items():
            checked[each.file] = _checked(each, beside.get(of, ()))
    return Checked([checked[file] for file in files], frozenset(links))


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = (
            sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES) if path.is_dir() else [path]
        )
        if not inside:
            msg = f"{path} has no {' or '.join(_SUFFIXES)} file; name a folder of an export, or files"
            raise InvalidInput(msg)
        found += inside
    return list(dict.fromkeys(found))


def _read(file: Path, release: Release | None, dataset: Dataset | None) -> _Read:
    table, typed = read_file(file)
    seen = recognised(table.column_names)
    return _Read(file, release or seen[0], dataset or seen[1], Part(table, typed))


def _deliveries(read: Sequence[_Read]) -> list[dict[Dataset, _Read]]:
    """The files that belong together: all, or those of each format where a dataset is there in several."""
    by_format: dict[str, list[_Read]] = defaultdict(list)
    one_each = len({each.dataset for each in read}) == len(read)
    for each in read:
        by_format["" if one_each else each.file.suffix.lower()].append(each)
    for files in by_format.values():
        _must_be_one(files)
    return [{each.dataset: each for each in files} for files in by_format.values()]


def _must_be_one(files: Sequence[_Read]) -> None:
    of: dict[Dataset, Path] = {}
    for each in files:
        before = of.setdefault(each.dataset, each.file)
        if before != each.file:
            msg = f"{before} and {each.file} are both of {each.dataset.value}; check one of each dataset at a time"
            raise InvalidInput(msg)
    if len({each.release for each in files}) > 1:
        said = ", ".join(f"{each.file} of {each.release.value}" for each in files)
        msg = f"the files are of several releases: {said}; check those of one release, or say it with --version"
        raise InvalidInput(msg)


def _checked(each: _Read, beside: tuple[Finding, ...]) -> CheckedFile:
    try:
        report = check(each.part.table, typed=each.part.typed, release=each.release, dataset=each.dataset)
    except NoSuchDataset as error:
        raise InvalidInput(str(error)) from None
    return CheckedFile(each.file, each.release, each.dataset, report, beside)
