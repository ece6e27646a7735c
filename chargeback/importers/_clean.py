"""Our five columns in bulk, where every cell is plain.

Whatever is not plain (and whatever is wrong) is left to `chargeback.samples`, which goes row by row and
names each problem. What both take, both take alike (tests/unit/chargeback/test_importers.py).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chargeback.instants import END_OF_TIME_S
from chargeback.samples import SCHEMA, UNITS, SampleGap, SampleImport
from chargeback.sorting import Numbers, ordered
from chargeback.usage import QUANTITY_MAX, Metric

_AT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$"
_VALUE = r"^\d{1,15}(\.\d{1,6})?$"
_MACHINE = r"^\S(.*\S)?$"
_MILLION = 10**6
_LATEST = END_OF_TIME_S - 366 * 86_400


def clean_import(table: Any, expected_interval_s: int) -> SampleImport | None:
    """The samples of a table of texts (or typed moments and whole numbers); None where a cell is not plain."""
    if not table.num_rows or any(column.null_count for column in table.columns):
        return None
    at, millionths = _moments(table["at"]), _millionths(table["value"])
    if at is None or millionths is None or not _all_match(table["machine"], _MACHINE):
        return None
    units = _units(table["metric"], table["unit"])
    quantity = None if units is None else _quantities(millionths, *units)
    if quantity is None or units is None:
        return None
    rows = pa.table([table["machine"], table["metric"], pa.array(at), pa.array(quantity)], schema=SCHEMA)
    rows = rows.append_column("pair", pa.array(units[0]))
    rows = ordered(rows, ("machine", "metric", "at"))
    same = same_moment(rows)
    if np.any(same & (np.diff(rows["quantity"].to_numpy()) != 0)):
        return None
    kept = rows.filter(pa.array(np.append(True, ~same)))
    return SampleImport(
        kept.select(SCHEMA.names), (), gaps(kept, expected_interval_s), int(np.count_nonzero(same)),
        _converted(kept["pair"].to_numpy(), units[1]),
    )  # fmt: skip


def same_moment(rows: Any) -> npt.NDArray[np.bool_]:
    """Per row but the first, whether it is of the machine, metric and moment of the row before."""
    same = np.diff(rows["at"].to_numpy()) == 0
    places = np.flatnonzero(same)
    same[places] = _continues(rows, places)
    return np.asarray(same, dtype=np.bool_)


def gaps(rows: Any, expected_interval_s: int) -> tuple[SampleGap, ...]:
    """Where samples in order are further apart than expected."""
    at = rows["at"].to_numpy()
    places = np.flatnonzero(np.diff(at) > expected_interval_s)
    places = places[_continues(rows, places)]
    chosen = rows.take(pa.array(places))
    # A trace has tens of thousands, and looking a metric up by its name is most of making one.
    metrics = {metric.value: metric for metric in Metric}
    columns = (
        chosen["machine"].to_pylist(), [metrics[name] for name in chosen["metric"].to_pylist()],
        (at[places] + expected_interval_s).tolist(), at[places + 1].tolist(),
    )  # fmt: skip
    return tuple(map(SampleGap._make, zip(*columns, strict=True)))


def _continues(rows: Any, places: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Per place, whether its row and the next are of one machine and metric."""
    names = rows.select(["machine", "metric"])
    one, other = names.take(pa.array(places)), names.take(pa.array(places + 1))
    same = pc.and_(*(pc.equal(one[name], other[name]) for name in names.column_names))
    return np.asarray(same.to_numpy(), dtype=np.bool_)


def _all_match(column: Any, pattern: str) -> bool:
    if not pa.types.is_string(column.type):
        return False
    texts = pc.unique(column) if column.type != pa.large_string() else column
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _moments(column: Any) -> Numbers | None:
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            return None
        moments = column
    elif _all_match(column, _AT):
        moments = column
    else:
        return None
    try:
        whole = moments.cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    possible = bool(whole.min() >= 0 and whole.max() < _LATEST)
    return np.asarray(whole, dtype=np.int64) if possible else None


def _millionths(column: Any) -> Numbers | None:
    """The values in millionths; exact, as a plain value has at most six decimals."""
    if pa.types.is_integer(column.type):
        whole = column.cast(pa.int64()).to_numpy()
        small = bool(whole.min() >= 0 and whole.max() <= QUANTITY_MAX // _MILLION)
        return whole * _MILLION if small else None
    if not _all_match(column, _VALUE):
        return None
    # 15 digits and 6 decimals have no room in 64 bits; what is that large goes row by row.
    parts = pc.split_pattern(pc.binary_join_element_wise(column, ".", ""), ".", max_splits=1)
    whole = pc.list_element(parts, 0).cast(pa.int64()).to_numpy()
    if whole.max() > QUANTITY_MAX // _MILLION:
        return None
    decimals = pc.replace_substring(pc.list_element(parts, 1), ".", "")
    return np.asarray(
        whole * _MILLION + pc.utf8_rpad(decimals, 6, "0").cast(pa.int64()).to_numpy(), dtype=np.int64
    )


_Pairs = list[tuple[Metric, str]]


def _units(metrics: Any, units: Any) -> tuple[Numbers, _Pairs] | None:
    """Per row the number of its metric and unit, and what these are; None for unknown ones."""
    if not (pa.types.is_string(metrics.type) and pa.types.is_string(units.type)):
        return None
    encoded = pc.binary_join_element_wise(metrics, units, "\n").combine_chunks().dictionary_encode()
    pairs: _Pairs = []
    for text in encoded.dictionary.to_pylist():
        metric, _, unit = text.partition("\n")
        if metric not in set(Metric) or unit not in UNITS[Metric(metric)]:
            return None
        pairs.append((Metric(metric), unit))
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64), pairs


def _quantities(millionths: Numbers, pair: Numbers, pairs: _Pairs) -> Numbers | None:
    quantity = np.empty_like(millionths)
    for number, (metric, unit) in enumerate(pairs):
        own = pair == number
        factor = UNITS[metric][unit]
        values = millionths[own]
        if int(values.max(initial=0)) * factor.numerator > 2**62:
            return None
        whole, rest = np.divmod(values * factor.numerator, factor.denominator * _MILLION)
        if np.any(rest) or np.any(whole > QUANTITY_MAX):
            return None
        quantity[own] = whole
    return quantity


def _converted(pair: Numbers, pairs: _Pairs) -> dict[tuple[Metric, str], int]:
    counts = np.bincount(pair, minlength=len(pairs)).tolist()
    return {
        (metric, unit): count
        for (metric, unit), count in zip(pairs, counts, strict=True)
        if count and UNITS[metric][unit] != 1
    }
