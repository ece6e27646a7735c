"""What machines used -> an estate with its utilization: from the usage store, from files of samples, or from a CSV in percent.

Samples in MHz and MiB become percent of each machine's own size: MHz of its processors times its host's clock,
MiB of its memory. Percentiles are those of `catalog.estates.percentiles`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from catalog.estates.model import Estate
from catalog.estates.percentiles import Counts, Floats, Series, utilization
from catalog.problems import Problem
from catalog.wording import counted
from chargeback.importers import ImportOptions
from chargeback.importers import import_samples as read_samples
from chargeback.usage import Metric
from tierwise.errors import InvalidInput
from tierwise.estates.percent_csv import is_percent_csv, read_percent_csv
from tierwise.estates.text_files import content

MAX_FILE_BYTES = 2 * 2**30
_SHOWN = 200
_NAMED = 5


class Measured(NamedTuple):
    """An estate with the utilization of those machines that something is known of."""

    estate: Estate
    machines: int
    """How many those are."""
    until_s: int | None
    """When the last sample was taken, in epoch seconds; None where the source does not say."""
    notes: tuple[str, ...]


def from_path(estate: Estate, path: Path, percentile: float, *, mhz_per_core: int = 0) -> Measured:
    """From a CSV in percent, or from any file, or folder of files, that `tierwise usage import` takes.

    `mhz_per_core` is used where the estate does not say how fast a machine's host is. Raises InvalidInput
    with every problem.
    """
    files = _files(path)
    contents = [content(file, MAX_FILE_BYTES) for file in files]
    if len(files) == 1 and is_percent_csv(contents[0]):
        return _from_percent(estate, contents[0], files[0], percentile)
    tables: list[Any] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for file, inside in zip(files, contents, strict=True):
        found = read_samples(inside, str(file), ImportOptions(machine=file.stem))
        tables.append(found.table)
        problems += found.problems
        notes += found.remarks
    _refuse(path, problems)
    measured = from_samples(estate, pa.concat_tables(tables), percentile, mhz_per_core=mhz_per_core)
    return measured._replace(notes=(*notes, *measured.notes))


def from_samples(estate: Estate, samples: Any, percentile: float, *, mhz_per_core: int = 0) -> Measured:
    """From a table of samples as the usage store keeps them (`chargeback.samples.STORED`, or its first columns).

    Machines are found by id, else by a name that only one has.
    """
    known = _Known(estate)
    owner = known.places(samples["machine"])
    metric = samples["metric"].to_numpy(zero_copy_only=False)
    at = samples["at"].to_numpy().astype(np.int64)
    quantity = samples["quantity"].to_numpy().astype(np.float64)
    is_cpu = (metric == Metric.CPU_MHZ) & (owner >= 0)
    is_memory = (metric == Metric.MEMORY_MIB) & (owner >= 0)
    mhz, unknown_speed = _mhz(estate, mhz_per_core)
    memory = _divisors([one.memory_mib for one in estate.machines])
    cpu_series = _series(owner, at, quantity, is_cpu, mhz)
    memory_series = _series(owner, at, quantity, is_memory, memory)
    slow = {int(i) for i in np.unique(owner[is_cpu])} & unknown_speed
    if slow:
        known.notes.append(
            f"the processors' use of {len(slow):,} of the machines is in MHz, and their hosts' clock is not known "
            f"({_some(estate.machines[i].name for i in sorted(slow))}); give it with --mhz-per-core"
        )
    return _measured(estate, (cpu_series, memory_series), percentile, known.notes)


def _from_percent(estate: Estate, inside: bytes, file: Path, percentile: float) -> Measured:
    rows = read_percent_csv(inside, str(file))
    _refuse(file, rows.problems)
    known = _Known(estate)
    owner = known.places(pa.array(rows.machines, pa.string()))
    if rows.stated is not None:
        stated = {int(i): rows.stated[row] for row, i in enumerate(owner) if i >= 0}
        return Measured(_with(estate, stated), len(stated), None, tuple(known.notes))
    there = owner >= 0
    at = np.array(rows.at, dtype=np.int64)
    whole = np.full(len(estate.machines), 100.0)
    series = [
        _series(owner, at, np.array(values, dtype=np.float64), there, whole)
        for values in (rows.cpu_percent, rows.memory_percent)
    ]
    return _measured(estate, (series[0], series[1]), percentile, known.notes)


def _measured(
    estate: Estate, series: tuple[Series, Series], percentile: float, notes: Iterable[str]
) -> Measured:
    found = utilization(*series, len(estate.machines), percentile)
    known = {i: one for i, one in enumerate(found) if one.samples}
    last = [int(one.at.max()) for one in series if len(one.at)]
    return Measured(_with(estate, known), len(known), max(last, default=None), tuple(notes))


def _with(estate: Estate, known: Any) -> Estate:
    """The estate with these machines' utilization; the others keep theirs."""
    machines = tuple(
        one.model_copy(update={"utilization": known[i]}) if i in known else one
        for i, one in enumerate(estate.machines)
    )
    return estate.model_copy(update={"machines": machines})


def _series(owner: Counts, at: Counts, quantity: Floats, rows: Any, divisor: Floats) -> Series:
    """In percent of the divisor, which is not-a-number where the size is not known or nothing."""
    whose = owner[rows]
    return Series(whose, at[rows], quantity[rows] / divisor[whose] * 100)


def _divisors(sizes: list[int]) -> Floats:
    found = np.array(sizes, dtype=np.float64)
    found[found == 0] = np.nan
    return found


def _mhz(estate: Estate, mhz_per_core: int) -> tuple[Floats, set[int]]:
    """What 100 % of each machine's processors is in MHz, and the machines of which that is not known."""
    clock = {host.name: host.cpu_mhz for host in estate.hosts if host.cpu_mhz}
    speeds = [clock.get(one.host, mhz_per_core) for one in estate.machines]
    found = _divisors([one.vcpus * speed for one, speed in zip(estate.machines, speeds, strict=True)])
    return found, {i for i, speed in enumerate(speeds) if not speed}


class _Known:
    """Machines of an estate by what a source calls them."""

    def __init__(self, estate: Estate) -> None:
        self.notes: list[str] = []
        self._by_id = {one.id: i for i, one in enumerate(estate.machines)}
        self._by_name: dict[str, list[int]] = {}
        for i, one in enumerate(estate.machines):
            self._by_name.setdefault(one.name, []).append(i)

    def places(self, names: Any) -> Counts:
        """Of each entry the machine's number; -1 where there is none, which a note tells."""
        coded = (
            names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
        ).dictionary_encode()
        different = coded.dictionary.to_pylist()
        place = np.array([self._place(name) for name in different], dtype=np.int64)
        self._tell([name for name, i in zip(different, place.tolist(), strict=True) if i < 0])
        if not different:
            return np.zeros(0, dtype=np.int64)
        return np.asarray(place[coded.indices.to_numpy(zero_copy_only=False)], dtype=np.int64)

    def _place(self, name: str) -> int:
        named = self._by_name.get(name, [])
        return self._by_id.get(name, named[0] if len(named) == 1 else -1)

    def _tell(self, missing: list[str]) -> None:
        several = [name for name in missing if name in self._by_name]
        strangers = [name for name in missing if name not in self._by_name]
        if several:
            said = f"names of several machines were left out: {_some(several)} ({len(several):,} names)"
            self.notes.append(f"{said}; use ids")
        if strangers:
            said = f"measured, but not in the estate: {_some(strangers)} ({len(strangers):,} in all)"
            self.notes.append(said)


def age_days(measured: Measured, now_s: int) -> int:
    """How old the newest sample is, in whole days; where it does not say, what the estate's age is; else 0."""
    taken = measured.estate.taken_at
    until = measured.until_s
    if until is None:
        until = int(taken.timestamp()) if taken is not None else now_s
    return max(0, (now_s - until) // 86_400)


def own(estate: Estate) -> Measured:
    """The estate with the utilization that its source has given it."""
    known = sum(one.utilization.cpu_percent is not None for one in estate.machines)
    return Measured(estate, known, None, ())


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (", ..." if len(listed) > _NAMED else "")


def _refuse(path: Path, problems: Iterable[Problem]) -> None:
    found = list(dict.fromkeys(problems))
    if found:
        msg = f"{path}: {counted(len(found), 'problem')}; nothing was read"
        raise InvalidInput(msg, details=list(_shown(found)))


def _shown(problems: list[Problem]) -> Iterator[str]:
    yield from (str(problem) for problem in problems[:_SHOWN])
    if len(problems) > _SHOWN:
        yield f"{len(problems) - _SHOWN:,} more"


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in {".csv", ".parquet"})
    if not files:
        msg = f"the folder {path} holds no .csv or .parquet file; name one file, or another folder"
        raise InvalidInput(msg)
    return files
