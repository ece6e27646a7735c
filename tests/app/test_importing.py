"""Samples from files: all of a file or nothing, each sample once, and what cannot be is named."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chargeback.importers import ImportOptions
from chargeback.instants import utc_text
from chargeback.late import Known, stated
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.usage import Metric
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.usecases import change
from tierwise.usecases.books import StoredUsage
from tierwise.usecases.metering import epoch, meter
from tierwise.usecases.samples import import_samples, sample_store

HEAD = "machine,metric,at,value,unit\n"


def ago_text(acme: Any, hours_ago: int) -> str:
    return utc_text(epoch(acme.clock.now() - timedelta(hours=hours_ago)))


def line(acme: Any, hours_ago: int, value: object = 4, machine: str = "web-1") -> str:
    return f"{machine},vcpu,{ago_text(acme, hours_ago)},{value},vcpu\n"


def stored(acme: Any) -> list[tuple[Any, ...]]:
    rows = sample_store(acme.app).read().to_pylist()
    return sorted((row["machine"], row["metric"], row["at"], row["quantity"]) for row in rows)


@pytest.fixture
def quiet(estate: Any) -> Any:
    """Acme without its durable engine."""
    return estate()


def write(tmp_path: Path, text: str, name: str = "samples.csv") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_a_file_ten_times_over_and_shuffled_adds_what_it_says_once(quiet: Any, tmp_path: Path) -> None:
    lines = [line(quiet, n, n % 5, f"m{n % 7}") for n in range(300)] * 10
    Random(1).shuffle(lines)
    file = write(tmp_path, HEAD + "".join(lines))
    report = import_samples(quiet.app, file)
    assert (report.added, report.known) == (300, 0)
    assert "2700 rows stood there twice and count once" in report.notes
    once = stored(quiet)
    assert len(once) == 300
    report = import_samples(quiet.app, write(tmp_path, HEAD + "".join(reversed(lines[:500]))))
    assert report.added == 0
    assert stored(quiet) == once


def test_overlapping_files_in_any_order_end_in_the_same_store(estate: Any, tmp_path: Path) -> None:
    found = []
    for order in ((0, 1, 2), (2, 0, 1, 0)):
        acme = estate(tmp_path / str(len(order)))
        for part in order:
            lines = (line(acme, n, n % 3) for n in range(part * 20, part * 20 + 35))
            import_samples(acme.app, write(tmp_path, HEAD + "".join(lines)))
        found.append(stored(acme))
    assert found[0] == found[1]
    assert len(found[0]) == 75


def test_a_value_that_contradicts_a_stored_one_is_named_and_nothing_of_the_file_is_added(
    quiet: Any, tmp_path: Path
) -> None:
    import_samples(quiet.app, write(tmp_path, HEAD + line(quiet, 1) + line(quiet, 2)))
    before = stored(quiet)
    with pytest.raises(InvalidInput, match="1 sample contradicts another; nothing was imported") as caught:
        import_samples(quiet.app, write(tmp_path, HEAD + line(quiet, 3) + line(quiet, 2, 5)))
    at = utc_text(epoch(quiet.clock.now() - timedelta(hours=2)))
    assert caught.value.details == (f"web-1, vcpu at {at}: 5 here, 4 imported before; keep the right one",)
    assert stored(quiet) == before
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, HEAD + line(quiet, 9, 1), "a.csv")
    write(folder, HEAD + line(quiet, 9, 2), "b.csv")
    with pytest.raises(InvalidInput) as caught:
        import_samples(quiet.app, folder)
    assert "2 here, 1 there, too; keep the right one" in caught.value.details[0]
    assert stored(quiet) == before


def test_samples_in_the_future_and_before_a_machines_creation_are_named(quiet: Any, tmp_path: Path) -> None:
    with quiet.running():
        ours = quiet.deliver("shop-01").id
    quiet.clock.advance(timedelta(hours=1))
    file = write(
        tmp_path, HEAD + line(quiet, -1) + line(quiet, 2, machine=ours) + line(quiet, 0, machine=ours)
    )
    with pytest.raises(InvalidInput, match="2 problems; nothing was imported") as caught:
        import_samples(quiet.app, file)
    assert "before its creation at 2026-09-30T22:00" in "".join(caught.value.details)
    assert "machine web-1 has a sample in the future, at 2026-10-01T00:00" in "".join(caught.value.details)
    assert stored(quiet) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"PAR1 cut short", "not readable as Parquet"),
        (b"\x89PNG", "the format is not known; known are bitbrains: "),
        (HEAD.encode() + b"web-1,vcpu,2026-09-01T00:00:00Z,NaN,vcpu\n", "must be a plain number"),
        (HEAD.encode() + b"web-1,vcpu,2026-09-01T00:00:00Z,-1,vcpu\n", "must not be negative"),
        (HEAD.encode() + b"web-1,vcpu,2026-09-01T00:00:00Z,99999999999999999999,vcpu\n", "more than 2"),
        (HEAD.encode() + b"web-1,vcpu,2026-09-01T00:00:00,1,vcpu\n", "has no offset"),
        (HEAD.encode() + b"web-1,vcpu,\xff,1,vcpu\n", "not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_added(
    quiet: Any, tmp_path: Path, content: bytes, what: str
) -> None:
    file = tmp_path / "samples.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="1 problem; nothing was imported") as caught:
        import_samples(quiet.app, file)
    assert what in caught.value.details[0]
    assert str(file) in caught.value.details[0]
    assert stored(quiet) == []


def test_our_columns_in_parquet_are_taken_and_a_truncated_copy_is_not(quiet: Any, tmp_path: Path) -> None:
    at = [datetime(2026, 9, 1, hour, tzinfo=UTC) for hour in range(5)]
    table = pa.table({
        "machine": ["web-1"] * 5, "metric": ["memory_mib"] * 5, "unit": ["GiB"] * 5, "value": [1, 2, 3, 4, 5],
        "at": pa.array(at, pa.timestamp("us", "UTC")),
    })  # fmt: skip
    file = tmp_path / "samples.parquet"
    pq.write_table(table, file)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidInput) as caught:
        import_samples(quiet.app, cut)
    assert "not readable as Parquet" in caught.value.details[0]
    assert import_samples(quiet.app, file).added == 5
    assert [row[3] for row in stored(quiet)] == [1024, 2048, 3072, 4096, 5120]


def test_a_folder_of_a_traces_files_is_one_import_named_after_the_machines(
    quiet: Any, tmp_path: Path
) -> None:
    head = (
        "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];\t"
        "Memory capacity provisioned [KB];\tMemory usage [KB];\tDisk read throughput [KB/s];\t"
        "Disk write throughput [KB/s];\tNetwork received throughput [KB/s];\t"
        "Network transmitted throughput [KB/s]\n"
    )
    for machine in ("17", "4"):
        write(
            tmp_path,
            head
            + "1372629804;\t1;\t2600.0;\t41.5;\t1.6;\t2097152.0;\t1.2582912E7;\t0.4;\t7.1;\t1.0;\t7.49\n",
            f"{machine}.csv",
        )
    assert import_samples(quiet.app, tmp_path, options=ImportOptions(expected_interval_s=300)).added == 8
    assert [row for row in stored(quiet) if row[0] == "17"] == [
        ("17", "cpu_mhz", 1372629804, 42), ("17", "disk_io_kbps", 1372629804, 8),
        ("17", "memory_mib", 1372629804, 12288), ("17", "net_io_kbps", 1372629804, 8),
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"holds no \.csv or \.parquet file"):
        import_samples(quiet.app, tmp_path / "empty")
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        import_samples(quiet.app, tmp_path / "none.csv")


def test_a_disk_that_fills_up_in_the_middle_adds_nothing_and_the_import_can_be_repeated(
    estate: Any, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    acme = estate(tmp_path / "estate")
    folder = acme.app.settings.usage_dir
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        chance = Random(2)
        lines = [line(acme, n, chance.randrange(2**50)) for n in range(60_000)]
        file = write(tmp_path, HEAD + "".join(lines))
        ballast = folder / "ballast"
        ballast.write_bytes(b"\0" * 300_000)
        with pytest.raises(TierwiseError, match="nothing was added, free some space and repeat"):
            import_samples(acme.app, file)
        assert stored(acme) == []
        ballast.unlink()
        small = write(tmp_path, HEAD + "".join(lines[:2000]))
        assert import_samples(acme.app, small).added == 2000
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_sample_counts_for_the_interval_that_the_import_was_told(acme: Any, tmp_path: Path) -> None:
    order = acme.deliver("shop-01")
    assert order.tier == "tier-3"
    acme.clock.advance(timedelta(hours=9))
    rate = Rate(
        id="used", tier="tier-3", metric=Metric.CPU_MHZ, unit="MHz-hour", rate_nanos=10**9, valid_from=0, recorded_at=0
    )  # fmt: skip
    card = RateCard(
        name="used", version=1, currency="EUR", minor_digits=2, time_zone="Europe/Berlin", rounding=Rounding.HALF_UP,
        rates=(rate,),
    )  # fmt: skip
    charged = []
    for hours_ago, seconds in (((8, 5, 2), 300), ((7, 4, 1), 7200), ((7, 4, 1), 3600)):
        rows = (f"{order.id},cpu_mhz,{ago_text(acme, ago)},60,MHz\n" for ago in hours_ago)
        file = write(tmp_path, HEAD + "".join(rows))
        import_samples(acme.app, file, options=ImportOptions(expected_interval_s=seconds))
        meter(acme.app)
        now = epoch(acme.clock.now())
        month = BillingPeriod.of(now, card.time_zone)
        (statement,) = stated(StoredUsage(acme.app), Known(card, now), month)
        charged.append(statement.total_minor)
    # 60 MHz for 3 x 5 minutes; then also for 2 x 2 hours, and 1 until now; what is known already changes nothing.
    assert charged == [1500, 1500 + 5 * 6000, 1500 + 5 * 6000]


def test_samples_from_after_a_machines_deletion_are_told(acme: Any, tmp_path: Path) -> None:
    order = acme.deliver("shop-01")
    acme.clock.advance(timedelta(hours=1))
    change.delete(acme.app, UUID(int=1), "shop-01")
    acme.clock.advance(timedelta(hours=3))
    text = (
        line(acme, 4, machine=order.id) + line(acme, 2, machine=order.id) + line(acme, 1, machine=order.id)
    )
    (told,) = (
        note
        for note in import_samples(acme.app, write(tmp_path, HEAD + text)).notes
        if "outside its life" in note
    )
    assert told.startswith(
        f"machine {order.id}: 2 samples of vcpu, the first at {ago_text(acme, 2)}, are outside"
    )


def test_samples_that_nobody_will_be_charged_for_are_told_with_the_id_that_was_meant(
    acme: Any, tmp_path: Path
) -> None:
    order = acme.deliver("shop-01")
    acme.clock.advance(timedelta(hours=3))
    both = (
        line(acme, 1, machine="shop-01") + line(acme, 1, machine="vm-7") + line(acme, 1, machine=order.id)
    )
    (note,) = import_samples(acme.app, write(tmp_path, HEAD + both)).notes
    assert note == (
        "charged to nobody, as tierwise delivered no such machine: shop-01, vm-7; "
        f"write its id: shop-01 is the name of {order.id}"
    )
    right = write(tmp_path, HEAD + line(acme, 2, machine=order.id))
    assert import_samples(acme.app, right).notes == ()
