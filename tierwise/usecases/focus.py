"""FOCUS files of a month: Cost and Usage, and in 1.4 the invoices beside it, written whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chargeback.focus.columns import Version
from chargeback.focus.commitments import commitments_of, with_commitments
from chargeback.focus.contracts import contract_commitment
from chargeback.focus.export import CannotExport, Context, Place, cost_and_usage
from chargeback.focus.invoices import billing_period, invoice_detail
from chargeback.focus.text import csv_lines
from chargeback.instants import END_OF_TIME_S
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.usecases.billing import Bill, Row, bill
from tierwise.usecases.place import estate
from tierwise.usecases.provider_bills import passed_on

ISSUER = "Private cloud"
"""Who provides and invoices, where nobody says another name."""

COST_AND_USAGE = "cost-and-usage"
CONTRACT_COMMITMENT = "contract-commitment"
BILLING_PERIOD = "billing-period"
INVOICE_DETAIL = "invoice-detail"
TENANTS = "tenants"
"""The folder of the tenants' own files: each is named as the tenant, or `NOBODY`."""
NOBODY = "_nobody"
"""Charges of no tenant; no tenant can have this name."""
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"


DATASETS: Mapping[Version, tuple[str, ...]] = {
    Version.V1_2: (COST_AND_USAGE,),
    Version.V1_3: (COST_AND_USAGE, CONTRACT_COMMITMENT),
    Version.V1_4: (COST_AND_USAGE, CONTRACT_COMMITMENT, BILLING_PERIOD, INVOICE_DETAIL),
}
"""The datasets of each release. Where there is no commitment, the one of them is written only if it is named."""


class FileFormat(StrEnum):
    """What the datasets are written as."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True)
class Exported:
    """What was written. `total` is the sum of BilledCost, which is that of the statements, per currency."""

    folder: Path
    files: tuple[str, ...]
    rows: int
    total: str
    note: str


def export(
    app: App,
    month: str,
    to: Path,
    *,
    version: Version = Version.V1_4,
    formats: Sequence[FileFormat] = tuple(FileFormat),
    issuer: str = ISSUER,
    replace: bool = False,
    per_tenant: bool = False,
    datasets: Sequence[str] = (),
) -> Exported:
    """Write the month's statements into a new folder below `to`, with a manifest and checksums.

    With `per_tenant`, each tenant's rows of Cost and Usage stand in a file of their own too, below `TENANTS`.
    `datasets` are those that are written; all of the release where none is named. Raises InvalidInput for
    a folder that is there already, unless `replace`, a dataset that the release does not have, and for
    lines that FOCUS cannot say exactly.
    """
    wanted = _wanted(datasets, version, per_tenant=per_tenant)
    found = bill(app, month)
    target = to / f"focus-{version.value}-{found.period.name}"
    if target.exists() and not replace:
        msg = f"{target} is there already; name another folder with --to, or replace it with --replace"
        raise InvalidInput(msg)
    splits = {
        item.id: item.allocated
        for item in passed_on(app.settings.data_dir, found.period, found.card, END_OF_TIME_S)
    }
    rows = [{**row, **splits.get(row["line"], {})} for row in found.rows]
    tables = _datasets(found, rows, context_of(app, issuer), version)
    facts = _facts(found, version) | {"rows": tables[COST_AND_USAGE].num_rows}
    written = {
        name: table
        for name, table in tables.items()
        if name in wanted and (table.num_rows or name != CONTRACT_COMMITMENT or datasets)
    }
    if per_tenant:
        written |= dict(_of_tenants(tables[COST_AND_USAGE]))
    files = _write(target, written, formats, facts)
    return Exported(target, files, facts["rows"], facts["total"], found.note)


def context_of(app: App, issuer: str = ISSUER) -> Context:
    """What the catalog calls the things that a bill names by id."""
    catalog = app.documents.catalog
    labels = {pool.name: pool.hypervisor.label for pool in estate(app).pools}
    return Context(
        issuer=issuer,
        cost_centres={name: entry.title for name, entry in catalog.cost_centres.items()},
        tenants={name: entry.title for name, entry in catalog.tenants.items()},
        tiers={name: entry.title for name, entry in catalog.tiers.items()},
        pools={
            name: Place(entry.site, catalog.sites[entry.site].title, labels.get(name, "unknown"))
            for name, entry in catalog.pools.items()
        },
    )


def _wanted(datasets: Sequence[str], version: Version, *, per_tenant: bool) -> Sequence[str]:
    known = DATASETS[version]
    unknown = [name for name in datasets if name not in known]
    if unknown:
        msg = f"FOCUS {version.value} has no dataset {', '.join(map(repr, unknown))}; known are {', '.join(known)}"
        raise InvalidInput(msg)
    if per_tenant and datasets and COST_AND_USAGE not in datasets:
        msg = f"tenants' own files are of {COST_AND_USAGE}, which is not among {', '.join(datasets)}; name it too"
        raise InvalidInput(msg)
    return datasets or known


def _datasets(found: Bill, rows: Sequence[Row], context: Context, version: Version) -> dict[str, Any]:
    stack = found.terms.stack
    cards = (found.card, *(layer.card for layer in stack.layers)) if stack else (found.card,)
    held = commitments_of(cards, found.terms, found.period, found.known_at)
    parts = with_commitments(rows, held, found.period)
    try:
        datasets = {COST_AND_USAGE: cost_and_usage(parts, found.period, context, version)}
        if version is not Version.V1_2:
            datasets[CONTRACT_COMMITMENT] = contract_commitment(
                rows, held, found.period, context, found.known_at, version
            )
    except CannotExport as error:
        raise InvalidInput(str(error)) from None
    if version is Version.V1_4:
        stamp = (found.period, context, found.known_at)
        datasets[BILLING_PERIOD] = billing_period(*stamp, closed=found.issued)
        datasets[INVOICE_DETAIL] = invoice_detail(parts, *stamp, closed=found.issued)
    return datasets


def _of_tenants(table: Any) -> Iterator[tuple[str, Any]]:
    """The rows of each tenant, in their order; together they are the table's."""
    codes = pc.dictionary_encode(table["SubAccountId"], null_encoding="encode").combine_chunks()
    names, of = codes.dictionary.to_pylist(), codes.indices.to_numpy()
    for n, name in enumerate(names):
        yield f"{TENANTS}/{name or NOBODY}", table.take(np.flatnonzero(of == n))


def _facts(found: Bill, version: Version) -> dict[str, Any]:
    return {
        "focus_version": version.value, "billing_period": found.period.name,
        "time_zone": found.period.time_zone, "rate_card": found.card.label,
        "currency": found.card.currency, "issued": found.issued, "complete": found.complete,
        "known_at": found.known_at,
        "total": found.total,
    }  # fmt: skip


def _write(
    target: Path, datasets: Mapping[str, Any], formats: Sequence[FileFormat], facts: Mapping[str, Any]
) -> tuple[str, ...]:
    """All files beside the target, flushed, and then the folder in its place in one step."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        if any("/" in name for name in datasets):
            (part / TENANTS).mkdir()
        for name, table in datasets.items():
            for form in formats:
                _write_table(part / f"{name}.{form.value}", table, form)
        written = sorted(file for file in part.rglob("*") if file.is_file())
        sums = {file.relative_to(part).as_posix(): _sha256(file) for file in written}
        _write_text(part / MANIFEST, [json.dumps({**facts, "files": sums}, indent=2), "\n"])
        sums[MANIFEST] = _sha256(part / MANIFEST)
        _write_text(part / SUMS, [f"{digest}  {name}\n" for name, digest in sums.items()])
        for folder in {file.parent for file in written}:
            _flush(folder)
        _swap(part, target)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            msg = f"{target} was made by another export meanwhile; it is whole, nothing was written over it"
            raise InvalidInput(msg) from None
        msg = (
            f"{target} could not be written: {error.strerror}; nothing is there, free some space and repeat"
        )
        raise TierwiseError(msg) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return (*sums, SUMS)


def _swap(part: Path, target: Path) -> None:
    if not target.exists():
        part.rename(target)
        return
    old = part.with_suffix(".old")
    target.rename(old)
    part.rename(target)
    shutil.rmtree(old)


def _write_table(file: Path, table: Any, form: FileFormat) -> None:
    if form is FileFormat.CSV:
        _write_text(file, csv_lines(table))
        return
    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    _flush(file)


def _write_text(file: Path, pieces: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(pieces)
        stream.flush()
        os.fsync(stream.fileno())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
