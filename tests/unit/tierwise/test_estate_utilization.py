"""Use from files: percent, 5-minute samples in MHz and MiB, our own store's table; and what is wrong with them."""

import io
import tarfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from catalog.estates import Estate, EstateHost, EstateMachine, Utilization
from catalog.estates.sizing import Bounds, SizingPolicy, rightsize
from chargeback.samples import STORED
from tierwise.errors import InvalidInput
from tierwise.estates.utilization import age_days, from_path, from_samples, own

RAW = Path(__file__).parents[3] / ".." / "shared" / "data" / "bitbrains" / "raw-csv-sample-2013-7.tar.xz"

ESTATE = Estate(
    name="e",
    source="by hand",
    taken_at=datetime(2026, 10, 1, tzinfo=UTC),
    machines=(
        EstateMachine(id="id-1", name="web", vcpus=4, memory_mib=8192, host="h1", utilization=Utilization(cpu_percent=1)),
        EstateMachine(id="id-2", name="db", vcpus=2, memory_mib=4096, host="h2"),
        EstateMachine(id="id-3", name="twin", vcpus=1, memory_mib=1024),
        EstateMachine(id="id-4", name="twin", vcpus=0, memory_mib=0),
    ),
    hosts=(EstateHost(name="h1", cpu_mhz=2500), EstateHost(name="h2")),
)  # fmt: skip


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "use.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def uses(estate: Estate) -> list[tuple[float | None, float | None]]:
    return [(one.utilization.cpu_percent, one.utilization.memory_percent) for one in estate.machines]


def refused(path: Path) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        from_path(ESTATE, path, 95)
    return [line.replace(str(path), "use.csv") for line in caught.value.details] or [str(caught.value)]


STATED = (
    "machine,cpu_percent,memory_percent,percentile,samples,hours\nid-1,12.5,40,95,720,720\ndb,3 %,,,,\n"
)


@pytest.mark.parametrize(
    "text",
    [
        STATED, "\ufeff" + STATED, STATED.replace(",", ";").replace(".", ","), STATED.replace(",", "\t"),
        STATED.encode("utf-16"), "sep=,\n" + STATED, STATED.replace("\n", "\r\n"), STATED.upper().replace("ID-", "id-").replace("DB", "db"),
    ],
)  # fmt: skip
def test_percentiles_of_another_tool_are_taken_as_they_are(text: str | bytes, tmp_path: Path) -> None:
    measured = from_path(ESTATE, file(tmp_path, text), 95)
    first, second, *others = (one.utilization for one in measured.estate.machines)
    assert first == Utilization(cpu_percent=12.5, memory_percent=40, percentile=95, samples=720, hours=720)
    assert second == Utilization(cpu_percent=3)
    assert others == [Utilization(), Utilization()]
    assert (measured.machines, measured.until_s, measured.notes) == (2, None, ())


def test_samples_in_percent_become_the_percentile_that_numpy_says(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    values = chance.integers(0, 1000, 300) / 10
    lines = [f"web,{1_790_000_000 + 300 * i},{value},{100 - value}" for i, value in enumerate(values)]
    lines += [
        "db,2026-09-22T10:00:00+02:00,10,",
        "db,1790000000000,20,",
        "stranger,1790000000,1,1",
        "twin,1790000000,1,1",
    ]
    path = file(tmp_path, "\n".join(["machine,at,cpu_percent,memory_percent", *lines]))
    measured = from_path(ESTATE, path, 90)
    web, db, *_ = (one.utilization for one in measured.estate.machines)
    assert web.cpu_percent == pytest.approx(np.percentile(values, 90))
    assert web.memory_percent == pytest.approx(np.percentile(100 - values, 90))
    assert (web.samples, web.hours, web.percentile) == (300, 25, 90)
    assert (db.cpu_percent, db.memory_percent, db.samples) == (19, None, 2)
    assert measured.until_s == 1_790_000_000 + 300 * 299
    assert measured.notes == (
        "names of several machines were left out: twin (1 names); use ids",
        "measured, but not in the estate: stranger (1 in all)",
    )


def stored(rows: list[tuple[str, str, int, int]]) -> pa.Table:
    names = ("machine", "metric", "at", "quantity")
    whole = [
        {**dict(zip(names, row, strict=True)), "seconds": 0, "recorded_at": 1, "source": "s"}
        for row in rows
    ]
    return pa.Table.from_pylist(whole, schema=STORED)


def test_samples_of_the_store_become_percent_of_each_machines_size() -> None:
    """2500 MHz of 4 x 2500 are 25 %; 2048 of 8192 MiB are 25 %; host h2 does not say its clock."""
    table = stored([
        ("id-1", "cpu_mhz", 0, 2500), ("id-1", "memory_mib", 0, 2048), ("id-2", "cpu_mhz", 0, 1000),
        ("id-2", "memory_mib", 0, 1024), ("id-4", "memory_mib", 0, 10), ("id-1", "net_io_kbps", 0, 99), ("gone", "cpu_mhz", 0, 1),
    ])  # fmt: skip
    measured = from_samples(ESTATE, table, 95)
    assert uses(measured.estate) == [(25, 25), (None, 25), (None, None), (None, None)]
    assert measured.notes == (
        "measured, but not in the estate: gone (1 in all)",
        "the processors' use of 1 of the machines is in MHz, and their hosts' clock is not known (db); give it with --mhz-per-core",
    )
    with_clock = from_samples(ESTATE, table, 95, mhz_per_core=2000)
    assert uses(with_clock.estate)[:2] == [(25, 25), (25, 25)]
    assert len(with_clock.notes) == 1


@pytest.mark.parametrize("cells", ["55", "54.9 55.1"])
def test_what_fits_to_the_processor_is_given_no_more(cells: str, tmp_path: Path) -> None:
    """55 % of 20 are 11, and of 100 GiB 55 GiB; 55 / 100 x 100 is 55.00000000000001 in binary."""
    machine = ESTATE.machines[0].model_copy(update={"vcpus": 20, "memory_mib": 100 * 1024})
    estate = ESTATE.model_copy(update={"machines": (machine,)})
    rows = [f"id-1,{1_790_000_000 + n * 3600},{cell},{cell}" for n, cell in enumerate(cells.split())]
    in_percent = from_path(
        estate, file(tmp_path, "\n".join(["machine,at,cpu_percent,memory_percent", *rows])), 50
    )
    in_units = from_samples(
        estate,
        stored([("id-1", "cpu_mhz", 0, 27_500), ("id-1", "memory_mib", 0, 55 * 1024)]),
        50,
    )
    exact = Bounds(headroom_percent=Decimal(0), step=1)
    policy = SizingPolicy(
        percentile=Decimal(50),
        vcpu=exact,
        memory_mib=exact.model_copy(update={"step": 1024}),
        min_samples=0,
        min_hours=0,
    )
    for measured in (in_percent, in_units):
        assert uses(measured.estate) == [(55, 55)]
        found = rightsize(measured.estate.machines[0], policy).resources
        assert (found.vcpu, found.memory_mib) == (11, 55 * 1024)


def test_a_store_without_samples_leaves_the_estate_as_it_is() -> None:
    measured = from_samples(ESTATE, STORED.empty_table(), 95)
    assert (measured.estate, measured.machines, measured.until_s, measured.notes) == (ESTATE, 0, None, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machine,cpu_percent\nid-1,-3\n", "use.csv:2:2: row 2, cpu_percent: must be a number of percent, 0 or more, such as 37.5 (found '-3')"),
        ("machine,cpu_percent\nid-1,nan\n", "must be a number of percent"),
        ("machine,cpu_percent\nid-1,1e3\n", "must be a number of percent"),
        ("machine,cpu_percent\n,3\n", "row 2, machine: is empty; write the machine's id or name"),
        ("machine,cpu_percent\nid-1,3\nid-1,4\n", "this machine stands already in row 2; for samples add their time in a column at (found 'id-1')"),
        ("machine,cpu_percent,percentile\nid-1,3,0\n", "row 2, percentile: must be above 0 and at most 100 (found '0')"),
        ("machine,cpu_percent,hours\nid-1,3,7.5\n", "row 2, hours: must be a whole number without separators (found '7.5')"),
        ("machine,at,cpu_percent\nid-1,yesterday,3\n", "row 2, at: must be a time such as 2026-10-01T00:05:00Z, or seconds since 1970 (found 'yesterday')"),
        ("machine,at,cpu_percent\nid-1,,3\n", "row 2, at: must be a time"),
        ("machine,cpu_percent,ram\nid-1,3,4\n", "there is no such column; known are machine, at, cpu_percent"),
        (b"machine,cpu_percent\n\xff\xf0,3\n", "not UTF-8 text (byte 20); save it as CSV UTF-8"),
        ("", "the file is empty"),
        ("a,b\n1,2\n", "the format is not known"),
    ],
)  # fmt: skip
def test_each_mistake_of_a_file_is_told_at_its_row(text: str | bytes, said: str, tmp_path: Path) -> None:
    (found,) = refused(file(tmp_path, text))
    assert said in found


def test_all_mistakes_are_told_at_once_and_many_in_part(tmp_path: Path) -> None:
    found = refused(file(tmp_path, "machine,cpu_percent\n" + "".join(f"m{i},x\n" for i in range(300))))
    assert len(found) == 201
    assert found[-1] == "100 more"


def test_a_path_that_is_not_there_and_a_folder_without_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"cannot be read: No such file or directory; check its name and rights"
    ):
        from_path(ESTATE, tmp_path / "none.csv", 95)
    with pytest.raises(InvalidInput, match=r"holds no \.csv or \.parquet file"):
        from_path(ESTATE, tmp_path, 95)


def test_real_files_of_five_minute_samples_come_out_as_pandas_says(tmp_path: Path) -> None:
    """Bitbrains' own files, a machine each, with duplicate rows and hours without data."""
    if not RAW.is_file():
        pytest.skip("the Bitbrains sample is not here; it is one of the shared samples")
    machines, expected = [], {}
    with tarfile.open(RAW) as archive:
        members = [one for one in archive.getmembers() if one.name.endswith(".csv")][:6]
        for member in members:
            inside = archive.extractfile(member)
            assert inside is not None
            content = inside.read()
            name = Path(member.name).stem
            (tmp_path / f"{name}.csv").write_bytes(content)
            table = pd.read_csv(io.BytesIO(content), sep=";\t", engine="python")
            table = table.drop_duplicates("Timestamp [ms]")
            table = table[(table["CPU cores"] > 0) | (table["Memory capacity provisioned [KB]"] > 0)]
            cores, memory = (
                int(table["CPU cores"].max()),
                int(table["Memory capacity provisioned [KB]"].max() // 1024),
            )
            machines.append(EstateMachine(id=name, name=name, vcpus=cores, memory_mib=memory))
            # The importer rounds to whole MHz and MiB, half up.
            mhz = np.floor(table["CPU usage [MHZ]"] + 0.5)
            mib = np.floor(table["Memory usage [KB]"] / 1024 + 0.5)
            expected[name] = (
                np.percentile(mhz / (cores * 2600) * 100, 95),
                np.percentile(mib / memory * 100, 95),
                len(table),
            )
    estate = Estate(name="b", source="Bitbrains", machines=tuple(machines))
    measured = from_path(estate, tmp_path, 95, mhz_per_core=2600)
    assert measured.machines == 6
    for one in measured.estate.machines:
        use = one.utilization
        assert (use.cpu_percent, use.memory_percent, use.samples) == pytest.approx(
            expected[one.id], rel=1e-9
        )


def test_the_age_is_that_of_the_newest_sample_or_of_the_estate() -> None:
    now = int(datetime(2026, 10, 11, 23, tzinfo=UTC).timestamp())
    assert age_days(own(ESTATE), now) == 10
    assert age_days(own(ESTATE)._replace(until_s=now - 3 * 86_400), now) == 3
    assert age_days(own(ESTATE)._replace(until_s=now + 500), now) == 0
    assert age_days(own(ESTATE.model_copy(update={"taken_at": None})), now) == 0
    assert own(ESTATE).machines == 1
