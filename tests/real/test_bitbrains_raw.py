"""A real trace's own files: 34 machines' July in five-minute rows, imported and charged, recounted row by row.

Trace: Grid Workloads Archive GWA-T-12 "rnd" (Shen, van Beek, Iosup, CCGrid 2015). The recount shares no
code with the product: the csv module, decimals, and a plain loop over the pieces of every row.
"""

import csv
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
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


def pieces(raw: Trace, zone: ZoneInfo) -> Iterator[tuple[str, str, int, int, dict[str, int]]]:
    """(machine, month, from, to, quantities) of every row of a machine that runs, cut where months begin."""
    cuts = [int(datetime(2013, month, 1, tzinfo=zone).timestamp()) for month in range(5, 11)]
    for machine, content in raw.items():
        lines = list(csv.reader(content.decode().splitlines(), delimiter=";"))[1:]
        rows = sorted((int(cells[0]), [cell.strip() for cell in cells[1:]]) for cells in lines)
        on = [(at, cells) for at, cells in rows if Decimal(cells[0]) > 0 or Decimal(cells[4]) > 0]
        ends = [after for (_, _), (after, _) in pairwise(on)] + [FOREVER]
        for (at, cells), after in zip(on, ends, strict=True):
            quantities = {
                "vcpu": half_up(cells[0]), "memory_given": half_up(cells[4], 1024), "memory_mib": half_up(cells[5], 1024),
                "cpu_mhz": half_up(cells[2]), "disk_io_kbps": half_up(Decimal(cells[6]) + Decimal(cells[7])),
                "net_io_kbps": half_up(Decimal(cells[8]) + Decimal(cells[9])),
            }  # fmt: skip
            t_to = min(at + STEP, after)
            for t_from, end in pairwise([at, *(cut for cut in cuts if at < cut < t_to), t_to]):
                yield (
                    machine,
                    datetime.fromtimestamp(t_from, UTC).astimezone(zone).strftime("%Y-%m"),
                    t_from,
                    end,
                    quantities,
                )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_what_the_machines_were_given_is_billed_to_the_last_digit_of_a_recount_of_every_row(
    raw: Trace, bitbrains: Any, zone: str
) -> None:
    (card,) = load_rate_cards({"card.yaml": bitbrains.card(zone)}, ("tier-1", "tier-2", "tier-3"))
    price = {each.id: Fraction(each.rate_nanos, each.unit_seconds) for each in card.rates}
    expected: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for machine, month, t_from, t_to, quantities in pieces(raw, ZoneInfo(zone)):
        tier = f"tier-{1 + int(machine) % 3}"
        for name, metric in ((f"vcpu-{tier}-0", "vcpu"), (f"memory-{tier}-0", "memory_given")):
            expected[month, machine, name] += price[name] * quantities[metric] * (t_to - t_from)
    charged: dict[tuple[str, str, str], Fraction] = {}
    periods = months(BillingPeriod.parse("2013-06", zone), 3)
    usage = usage_of(imported(raw, provisioned=True), raw)
    for charge in rate(usage, card, periods, FOREVER, grain=Grain.MACHINE):
        charged[charge.period.name, str(charge.machine), charge.rate.id] = charge.amount_nanos
    assert charged == {key: amount for key, amount in expected.items() if amount}
    assert {month for month, _, _ in charged} == ({"2013-06", "2013-07"} if zone == "UTC" else {"2013-07"})


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam"])
def test_what_the_machines_used_is_exact_month_by_month(raw: Trace, zone: str) -> None:
    metrics = ("cpu_mhz", "memory_mib", "disk_io_kbps", "net_io_kbps")
    expected: dict[tuple[str, str, str], int] = defaultdict(int)
    for machine, month, t_from, t_to, quantities in pieces(raw, ZoneInfo(zone)):
        for metric in metrics:
            expected[month, machine, metric] += quantities[metric] * (t_to - t_from)
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
    assert dict(found) == {key: amount for key, amount in expected.items() if amount}
