"""Materna's traces (Grid Workloads Archive GWA-T-13): local times like 04.11.2015 13:05:00, decimal commas.

Written from the archive's description of the format, and not verified on the real trace.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chargeback.importers import Importer, ImportOptions
from chargeback.importers._gwa import Dialect, first_row, is_gwa
from chargeback.importers._gwa import read as read_gwa
from chargeback.instants import instant, utc_text, zone
from chargeback.samples import SampleImport
from chargeback.sorting import Numbers

_MOMENT = r"^\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d$"
_QUARTER_S = 900
"""Clocks change on quarters of an hour."""


def recognises(head: bytes) -> bool:
    """By its columns, and a first time with points."""
    return is_gwa(head) and first_row(head).partition(";")[0].strip().strip('"').count(".") == 2


def read(content: bytes, file: str, options: ImportOptions) -> SampleImport:
    """One machine's samples."""
    return read_gwa(content, file, options, Dialect(",", pa.string(), _MOMENT, _moments))


def _moments(column: Any, options: ImportOptions) -> tuple[Numbers | None, str]:
    if not options.time_zone:
        return None, "are local times without a time zone; say which with --zone Europe/Berlin"
    try:
        where = zone(options.time_zone)
        clock = pc.strptime(column, format="%d.%m.%Y %H:%M:%S", unit="s").cast(pa.int64()).to_numpy()
        quarters, place = np.unique(clock // _QUARTER_S * _QUARTER_S, return_inverse=True)
        starts = [instant(utc_text(quarter).removesuffix("Z"), where) for quarter in quarters.tolist()]
    except (ValueError, pa.ArrowInvalid) as error:
        return None, str(error)
    return np.array(starts, dtype=np.int64)[place] + clock - quarters[place], ""


IMPORTER = Importer(
    summary="Materna (GWA-T-13) CSV, one file a machine, named after it", recognises=recognises, read=read
)
