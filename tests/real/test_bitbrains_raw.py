"""A real trace's own files: 34 machines' July in five-minute rows, imported and charged, recounted row by row.

Trace: Grid Workloads Archive GWA-T-12 "rnd" (Shen, van Beek, Iosup, CCGrid 2015). The recount shares no
code with the product: the csv module, decimals, and a plain loop over the pieces of every row.
"""

import csv
import tarfile
from collections import defaultdict
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from chargeback.basis import Options, effective
from chargeback.importers import ImportOptions, import_samples
from chargeback.periods import BillingPeriod, months
from chargeback.rate_cards import load_rate_cards
from chargeback.rating import Grain, rate
from chargeback.run_lengths import STAMPS, intervals_from_samples

RAW = Path(__file__).parents[2] / ".." / "shared" / "data" / "bitbrains" / "raw-csv-sample-2013-7.tar.xz"
STEP = 300
FOREVER = 2**40
Trace = dict[str, bytes]


@pytest.fixture(scope="module")
def raw() -> Trace:
    """Machine -> its file."""
    if not RAW.exists():
        pytest.skip("the Bitbrains trace is not here (../shared/data/bitbrains)")
    with tarfile.open(RAW) as archive:
        files = [member for member in archive.getmembers() if member.name.endswith(".csv")]
        return {Path(member.name).stem: archive.extractfile(member).read() for member in files}  # type: ignore[union-attr]  # files have content


def imported(raw: Trace, *, provisioned: bool) -> Any:
    options = (
        ImportOptions(machine=name, expected_interval_s=STEP, provisioned=provisioned) for name in raw
    )
    found = [
        import_samples(content, f"{o.machine}.csv", o)
        for content, o in zip(raw.values(), options, strict=True)
    ]
    assert [result.problems for result in found if result.problems] == []
    return pa.concat_tables(result.table for result in found)


def usage_of(samples: Any, raw: Trace) -> Any:
    stamps = pa.Table.from_pylist(
        [
            {"machine": name, "tenant": f"t{int(name) % 5}", "cost_centre": "cc", "tier": f"tier-{1 + int(name) % 3}", "pool": "p"}
            for name in raw
        ],
        schema=STAMPS,
    )  # fmt: skip
    return intervals_from_samples(samples, stamps, interval_s=STEP, recorded_at=0, source="trace")


def half_up(text: str | Decimal, unit: int = 1) -> int:
    return int((Decimal(text) / unit).quantize(Decimal(1), ROUND_HALF_UP))


METRICS = ("vcpu", "memory_given", "memory_mib", "cpu_mhz", "disk_io_kbps", "net_io_kbps")
Row = tuple[str, int, int, tuple[int, ...]]


@pytest.fixture(scope="module")
def rows(raw: Trace) -> list[Row]:
    """(machine, from, to, quantities) of every row of a machine that runs, as a person would read the files."""
    found = []
    for machine, content in raw.items():
        lines = list(csv.reader(content.decode().splitlines(), delimiter=";"))[1:]
        read = sorted((int(cells[0]), [cell.strip() for cell in cells[1:]]) for cells in lines)
        on = [(at, cells) for at, cells in read if Decimal(cells[0]) > 0 or Decimal(cells[4]) > 0]
        ends = [*(after for (_, _), (after, _) in pairwise(on)), FOREVER]
        for (at, cells), after in zip(on, ends, strict=True):
            quantities = (
                half_up(cells[0]), half_up(cells[4], 1024), half_up(cells[5], 1024), half_up(cells[2]),
                half_up(Decimal(cells[6]) + Decimal(cells[7])), half_up(Decimal(cells[8]) + Decimal(cells[9])),
            )  # fmt: skip
            found.append((machine, at, min(at + STEP, after), quantities))
    return found


def recount(rows: list[Row], zone: ZoneInfo) -> dict[tuple[str, str, str], int]:
    """(month, machine, metric) -> quantity x seconds, each row cut where months begin."""
    cuts = [int(datetime(2013, month, 1, tzinfo=zone).timestamp()) for month in (6, 7, 8, 9)]
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for machine, t_from, t_to, quantities in rows:
        for i, (start, end) in enumerate(pairwise(cuts)):
            seconds = min(t_to, end) - max(t_from, start)
            if seconds > 0:
                for metric, quantity in zip(METRICS, quantities, strict=True):
                    found[f"2013-{6 + i:02d}", machine, metric] += quantity * seconds
    return found


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_what_the_machines_were_given_is_billed_to_the_last_digit_of_a_recount_of_every_row(
    raw: Trace, rows: list[Row], bitbrains: Any, zone: str
) -> None:
    (card,) = load_rate_cards({"card.yaml": bitbrains.card(zone)}, ("tier-1", "tier-2", "tier-3"))
    price = {each.id: Fraction(each.rate_nanos, each.unit_seconds) for each in card.rates}
    expected: dict[tuple[str, str, str], Fraction] = {}
    for (month, machine, metric), quantity_seconds in recount(rows, ZoneInfo(zone)).items():
        tier = f"tier-{1 + int(machine) % 3}"
        rate_id = {"vcpu": f"vcpu-{tier}-0", "memory_given": f"memory-{tier}-0"}.get(metric)
        if rate_id:
            expected[month, machine, rate_id] = price[rate_id] * quantity_seconds
    charged: dict[tuple[str, str, str], Fraction] = {}
    periods = months(BillingPeriod.parse("2013-06", zone), 3)
    usage = usage_of(imported(raw, provisioned=True), raw)
    for charge in rate(usage, card, periods, FOREVER, grain=Grain.MACHINE):
        charged[charge.period.name, str(charge.machine), charge.rate.id] = charge.amount_nanos
    assert charged == {key: amount for key, amount in expected.items() if amount}
    assert {month for month, _, _ in charged} == ({"2013-06", "2013-07"} if zone == "UTC" else {"2013-07"})


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_what_the_machines_used_is_exact_month_by_month(raw: Trace, rows: list[Row], zone: str) -> None:
    metrics = ("cpu_mhz", "memory_mib", "disk_io_kbps", "net_io_kbps")
    counted = recount(rows, ZoneInfo(zone))
    expected = {key: amount for key, amount in counted.items() if key[2] in metrics and amount}
    given = usage_of(imported(raw, provisioned=True), raw)
    wanted = ["memory_mib:usage", *(metric for metric in metrics if metric != "memory_mib")]
    result = effective(
        given, imported(raw, provisioned=False), wanted, Options(interval_s=STEP), known_at=FOREVER
    )
    assert result.outside == ()
    own = result.table.filter(pa.compute.is_in(result.table["metric"], pa.array(wanted)))
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    columns = [own[name].to_pylist() for name in ("machine", "metric", "t_from", "t_to", "quantity")]
    spans = [(p.name, p.t_from, p.t_to) for p in months(BillingPeriod.parse("2013-06", zone), 3)]
    for machine, metric, t_from, t_to, quantity in zip(*columns, strict=True):
        for month, start, end in spans:
            if start < t_to and t_from < end:
                seconds = min(end, t_to) - max(start, t_from)
                found[month, machine, metric.partition(":")[0]] += quantity * seconds
    assert dict(found) == expected
