"""FOCUS files from elsewhere: reading, checking, and taking a provider's bill in."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from catalog.documents import DocumentError
from catalog.wording import counted
from chargeback.focus.bills import BadBill, Cost, ProviderBill, Terms, fingerprint, read_bill
from chargeback.focus.mapping import Known, ResourceMap, load_resource_map
from chargeback.focus.rules.checking import Report, check
from chargeback.focus.rules.releases import Dataset, Release
from chargeback.focus.rules.rule_sets import NoSuchDataset
from chargeback.money import Rounding, format_minor, round_to_minor
from chargeback.periods import BillingPeriod
from tierwise.app import App
from tierwise.documents import read_texts
from tierwise.errors import InvalidInput
from tierwise.usecases.provider_bills import BILLS, keep


@dataclass(frozen=True)
class Imported:
    """A bill that was read; `folder` is where it is kept, None for a preview."""

    bill: ProviderBill
    folder: Path | None


def read_file(file: Path) -> tuple[Any, bool]:
    """The table of a Parquet or CSV file, and whether its columns have types.

    Raises InvalidInput for a file that is neither, is cut off, or is not UTF-8.
    """
    try:
        if file.suffix.lower() == ".parquet":
            return pq.ParquetFile(file, page_checksum_verification=True).read(), True
        return _read_csv(file), False
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        said = " ".join(str(error).split())
        msg = f"{file} cannot be read: {said}; it must be a whole .parquet file, or CSV in UTF-8"
        raise InvalidInput(msg) from None


def _read_csv(file: Path) -> Any:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        names = next(csv.reader(stream), [])
    if len(set(names)) < len(names):
        twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        msg = f"{file}: columns stand twice: {twice}; each must stand once"
        raise InvalidInput(msg)
    return pc.read_csv(
        file,
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            # Many dumps write NULL, without quotes, for null.
            null_values=["", "NULL"], strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip


def check_file(
    file: Path, release: Release = Release.V1_2, dataset: Dataset = Dataset.COST_AND_USAGE
) -> Report:
    """Every rule of a release's dataset on every row of the file.

    Raises InvalidInput for an unreadable one, and for a release that does not have the dataset.
    """
    table, typed = read_file(file)
    try:
        return check(table, typed=typed, release=release, dataset=dataset)
    except NoSuchDataset as error:
        raise InvalidInput(str(error)) from None


def import_bill(
    app: App, file: Path, month: str, map_path: Path, *, cost: Cost = Cost.BILLED, preview: bool = False
) -> Imported:
    """Take a provider's bill in for a month; all of it or nothing. `preview` keeps nothing.

    Raises InvalidInput for a bill or a map with mistakes, and for charges that were imported before.
    """
    card = app.documents.rate_card
    try:
        period = BillingPeriod.parse(month, card.time_zone)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    mapping = _mapping(app, map_path)
    table, _ = read_file(file)
    terms = Terms(period, card.currency, card.minor_digits, card.rounding, cost)
    try:
        found = read_bill(table, mapping, terms)
    except BadBill as error:
        msg = f"{file}: {error}"
        raise InvalidInput(msg, details=error.details) from None
    mark = fingerprint(table, cost)
    _must_be_new(app, file, mark)
    if preview:
        return Imported(found, None)
    return Imported(found, _keep(app, file, found, mark, cost))


def _mapping(app: App, path: Path) -> ResourceMap:
    catalog = app.documents.catalog
    known = Known(catalog.tenants, catalog.cost_centres, catalog.tiers, catalog.pools)
    try:
        return load_resource_map(read_texts(path), known)
    except DocumentError as error:
        details = [str(problem) for problem in sorted(set(error.problems))]
        noun = "problem" if len(details) == 1 else "problems"
        msg = f"{path}: {len(details)} {noun}; nothing was imported"
        raise InvalidInput(msg, details=details) from None


def _must_be_new(app: App, file: Path, mark: str) -> None:
    for folder in sorted((app.settings.data_dir / BILLS).glob(f"*-{mark[:16]}")):
        msg = (
            f"{file}: the same charges were imported before, into {folder}; "
            "remove that folder first if they are to be taken in anew"
        )
        raise InvalidInput(msg)


def _keep(app: App, file: Path, found: ProviderBill, mark: str, cost: Cost) -> Path:
    facts = {
        "file": file.name, "period": found.period.name, "providers": found.providers, "cost": cost.value,
        "total": found.total, "unallocated_minor": found.unallocated_minor, "fingerprint": mark,
    }  # fmt: skip
    return keep(app, f"{found.period.name}-{mark[:16]}", found.rows, facts, str(file))


def shown_gaps(found: ProviderBill, at_most: int = 10) -> Sequence[str]:
    """What the map does not know, the dearest first, in words."""
    digits = found.minor_digits
    lines = [
        f"not mapped: {gap.what}, {counted(gap.rows, 'row')}, {found.currency} {_near(gap.cost, digits)}"
        for gap in found.gaps[:at_most]
    ]
    more = len(found.gaps) - len(lines)
    return [*lines, *([f"... and {more} more"] if more else [])]


def _near(cost: Fraction, digits: int) -> str:
    return format_minor(round_to_minor(cost * 10**9, digits, Rounding.HALF_UP), digits)
