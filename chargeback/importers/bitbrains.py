"""Bitbrains' traces (Grid Workloads Archive GWA-T-12): Unix times and decimal points.

The header says milliseconds, the values are seconds; both are taken, by their size. A KB of memory is
1024 bytes, as capacities show; of traffic 1000 are assumed.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from chargeback.importers import Importer, ImportOptions
from chargeback.importers._gwa import Dialect, first_row, is_gwa
from chargeback.importers._gwa import read as read_gwa
from chargeback.samples import SampleImport
from chargeback.sorting import Numbers

_MILLISECONDS_FROM = 10**11
"""As seconds this would be the year 5138; as milliseconds it is 1973."""


def recognises(head: bytes) -> bool:
    """By its columns, and a first time that is a number."""
    return is_gwa(head) and first_row(head).partition(";")[0].strip().isdigit()


def read(content: bytes, file: str, options: ImportOptions) -> SampleImport:
    """One machine's samples."""
    return read_gwa(content, file, options, Dialect(".", pa.int64(), r"^\d{9,13}$", _moments))


def _moments(column: Any, _options: ImportOptions) -> tuple[Numbers | None, str]:
    values = column.to_numpy()
    in_ms = values >= _MILLISECONDS_FROM
    if np.any(values[in_ms] % 1000):
        return None, "must be a whole second"
    return np.where(in_ms, values // 1000, values), ""


IMPORTER = Importer(
    summary="Bitbrains (GWA-T-12) CSV, one file a machine, named after it", recognises=recognises, read=read
)
