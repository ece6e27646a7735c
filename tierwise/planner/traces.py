"""Traces that others published, read into what forecasts are fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from placement.forecast.fit_arrivals import Arrived
from placement.forecast.fit_lifetimes import Lived
from placement.forecast.numbers import Float64
from tierwise.errors import InvalidInput

_STEP_S = 300
"""Times in the Azure trace are multiples of five minutes."""
_HOUR_S = 3600
_DAY_S = 86400


@dataclass(frozen=True)
class Flavour:
    """A size of the Azure trace."""

    name: str
    vcpu: int
    memory_mib: int


def azure_flavours(path: Path) -> dict[str, Flavour]:
    """Letter -> size, from ``flav_map.txt``: lines such as ``2,3.5 g``. Raises InvalidInput with the line."""
    found = {}
    for number, line in _lines(path):
        try:
            size, letter = line.split()
            cores, gib = size.split(",")
            vcpu, memory_mib = int(cores), round(float(gib) * 1024)
        except ValueError:
            msg = f"{path}:{number}: must be like '2,3.5 g' (cores,GiB letter): {line[:60]!r}"
            raise InvalidInput(msg) from None
        found[letter] = Flavour(f"c{vcpu}-m{memory_mib}", vcpu, memory_mib)
    return found


def azure_arrivals(path: Path, flavours: dict[str, Flavour], *, first_weekday: int) -> Arrived:
    """Batches of an Azure flavour trace; one that mixes flavours counts as one batch of each.

    A line holds what came in the five minutes before its time; arrivals are spread evenly over them. The trace does not
    say which weekday its time 0 is: `first_weekday` (0: Monday) does. Raises InvalidInput with the line.
    """
    letters = {letter: i for i, letter in enumerate(flavours)}
    hours, which, sizes = [], [], []
    first = last = 0
    for number, (time_s, batches) in _batches(path):
        first, last = first or time_s, time_s
        for b, batch in enumerate(batches):
            for letter in dict.fromkeys(batch):
                if letter not in letters:
                    msg = f"{path}:{number}: there is no flavour '{letter}'; known are {', '.join(letters)}"
                    raise InvalidInput(msg)
                hours.append((time_s - _STEP_S + _STEP_S * (b + 0.5) / len(batches)) / _HOUR_S)
                which.append(letters[letter])
                sizes.append(batch.count(letter))
    begin = (first - _STEP_S) // _DAY_S * _DAY_S
    if not hours:
        msg = f"{path}: holds no batch; is it a flavour trace?"
        raise InvalidInput(msg)
    return Arrived(
        hours=np.array(hours) - begin / _HOUR_S,
        workload_class=np.array(which, dtype=np.int64),
        size=np.array(sizes, dtype=np.int64),
        classes=tuple(flavour.name for flavour in flavours.values()),
        span_hours=(last - begin) / _HOUR_S,
        first_weekday=(first_weekday + begin // _DAY_S) % 7,
    )


def azure_lifetimes(
    path: Path, flavours_path: Path, intervals_path: Path, letter: str | None = None
) -> Lived:
    """Lives of an Azure duration trace, of one flavour or of all.

    A duration of a bin from a to b seconds lies between a - 150 and b + 150, as starts and ends are known to five
    minutes; a machine that still ran had run from its line's time to the end of the trace, which the file's name tells
    (``...c2100000.txt``). Raises InvalidInput where the two files do not match, or with the line.
    """
    bins = _intervals(intervals_path)
    end_s = _end_of(path)
    low, high, batch_of, number_of_batch = [], [], [], 0
    pairs = zip(_batches(path), _batches(flavours_path), strict=True)
    try:
        for (number, (time_s, lives)), (_, (_, flavours)) in pairs:
            if [len(one) for one in lives] != [len(one) for one in flavours]:
                msg = f"{path}:{number}: does not have the batches of the same line of {flavours_path}"
                raise InvalidInput(msg)
            for batch, kinds in zip(lives, flavours, strict=True):
                number_of_batch += 1
                for token, kind in zip(batch, kinds, strict=True):
                    if letter is None or kind == letter:
                        a, b = _cell(token, bins, end_s - time_s, f"{path}:{number}")
                        low.append(a)
                        high.append(b)
                        batch_of.append(number_of_batch)
    except ValueError as error:
        msg = f"{path} and {flavours_path} do not have as many lines; give the two files of one trace"
        raise InvalidInput(msg) from error
    if not low:
        msg = f"{path}: holds no machine{f' of flavour {letter!r}' if letter else ''}; is it a duration trace?"
        raise InvalidInput(msg)
    return Lived(np.array(low), np.array(high), np.array(batch_of, dtype=np.int64))


def _cell(token: str, bins: dict[int, tuple[float, float]], seen_s: int, where: str) -> tuple[float, float]:
    """From and to, in hours."""
    seen = (seen_s + _STEP_S / 2) / _HOUR_S
    if token[:1] == "C" and token[1:].isdigit():
        return seen, np.inf
    if token[:1] == "U" and token[1:].isdigit() and int(token[1:]) in bins:
        low, high = bins[int(token[1:])]
        return low, max(min(high, seen), low + 1e-3)
    msg = f"{where}: a duration must be U or C with the number of a bin: {token[:20]!r}"
    raise InvalidInput(msg)


def _intervals(path: Path) -> dict[int, tuple[float, float]]:
    """Bin -> from and to, in hours."""
    edges: dict[int, list[int]] = {}
    for number, line in _lines(path):
        seconds, _, name = line.partition(" ")
        if not (seconds.isdigit() and name.isdigit()):
            msg = f"{path}:{number}: must be like '3900 13' (seconds bin): {line[:60]!r}"
            raise InvalidInput(msg)
        edges.setdefault(int(name), []).append(int(seconds))
    half = _STEP_S / 2
    return {
        name: (max(0.0, min(found) - half) / _HOUR_S, (max(found) + half) / _HOUR_S)
        for name, found in edges.items()
    }


def _end_of(path: Path) -> int:
    mark = path.name.removesuffix(".txt").rpartition(".c")[2]
    if not mark.isdigit():
        msg = f"{path}: the name must end in the second at which the trace ends, such as 'v1.dev.c2100000.txt'"
        raise InvalidInput(msg)
    return int(mark)


def _batches(path: Path) -> Iterator[tuple[int, tuple[int, list[list[str]]]]]:
    """Line number, time and batches: ``300 g,|,b,m,|,`` is at 300 s a batch of g and one of b and m."""
    for number, line in _lines(path):
        time, _, rest = line.partition(" ")
        if not time.isdigit():
            msg = f"{path}:{number}: must begin with a time in seconds: {line[:40]!r}"
            raise InvalidInput(msg)
        groups = (group.strip(",") for group in rest.split("|"))
        yield number, (int(time), [group.split(",") for group in groups if group])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text (byte {error.start}); is it a trace?"
        raise InvalidInput(msg) from None


def bitbrains_weekly_use(path: Path, column: str) -> Float64:
    """[W, M] the mean use by week of the machines of Bitbrains' hourly roll-up that are there in every whole week.

    `column` is one of the roll-up's, such as ``cpu_use_mhz_avg`` or ``mem_use_kb_avg``. Raises InvalidInput where the
    file cannot be read or lacks it.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - a second that only this needs

    try:
        table = pq.ParquetFile(path).read(columns=["vm", "hour_ts", column])
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path}: cannot be read with columns vm, hour_ts and {column}: {str(error)[:200]}"
        raise InvalidInput(msg) from None
    if table.num_columns != 3:
        msg = f"{path}: must have the columns vm, hour_ts and {column}; is it the hourly roll-up?"
        raise InvalidInput(msg)
    vm, hour_s, use = (table.column(name).to_numpy() for name in ("vm", "hour_ts", column))
    week = (hour_s - hour_s.min()) // (7 * _DAY_S)
    whole = int((hour_s.max() + _HOUR_S - hour_s.min()) // (7 * _DAY_S))
    machine = np.unique(vm, return_inverse=True)[1]
    kept = week < whole
    key = week[kept].astype(np.int64) * (machine.max() + 1) + machine[kept]
    size = whole * (int(machine.max()) + 1)
    hours = np.bincount(key, minlength=size).reshape(whole, -1)
    total = np.bincount(key, weights=use[kept], minlength=size).reshape(whole, -1)
    always = (hours > 0).all(axis=0)
    found: Float64 = total[:, always] / hours[:, always]
    return found
