"""Every format: told apart by content, read in bulk as a reader of single rows reads it, and refused by name."""

from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chargeback.importers import ImportOptions, import_samples, importers
from chargeback.importers._clean import clean_import
from chargeback.importers._gwa import _plain
from chargeback.importers.own_csv import _texts
from chargeback.instants import utc_text
from chargeback.samples import UNITS, import_csv
from chargeback.sorting import is_ordered, ordered

HEAD = "machine,metric,at,value,unit\n"
BITBRAINS = (
    "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tCPU usage [MHZ];\tCPU usage [%];\t"
    "Memory capacity provisioned [KB];\tMemory usage [KB];\tDisk read throughput [KB/s];\t"
    "Disk write throughput [KB/s];\tNetwork received throughput [KB/s];\tNetwork transmitted throughput [KB/s]\n"
)
MATERNA = (
    "Timestamp;CPU cores;CPU capacity provisioned [MHZ];CPU usage [MHZ];CPU usage [%];"
    "Memory capacity provisioned [KB];Memory usage [KB];Memory usage [%];Disk read throughput [KB/s];"
    "Disk write throughput [KB/s];Network received throughput [KB/s];Network transmitted throughput [KB/s];"
    "Disk size [GB]\n"
)
"""As the archive describes GWA-T-13; written by hand, not taken from the trace."""


def bits(*rows: str) -> bytes:
    return (BITBRAINS + "".join(f"{row}\n".replace(";", ";\t") for row in rows)).encode()


def of_machine(content: bytes, **more: Any) -> Any:
    return import_samples(content, "17.csv", ImportOptions(machine="17", expected_interval_s=300, **more))


def quantities(found: Any) -> dict[tuple[str, int], int]:
    assert found.problems == ()
    return {(row["metric"], row["at"]): row["quantity"] for row in found.table.to_pylist()}


def random_csv(chance: Random) -> str:
    rows = []
    for _ in range(chance.randint(1, 60)):
        metric = chance.choice(list(UNITS))
        unit = chance.choice(list(UNITS[metric]))
        value = chance.choice([
            str(chance.randint(0, 9)), f"{chance.randint(0, 99)}.{chance.choice(['0', '5', '25', '000000'])}",
            str(chance.randint(0, 64) * 2**20), str(chance.randint(0, 2**40)),
        ])  # fmt: skip
        at = utc_text(1_790_000_000 + chance.randrange(40) * 900)
        at = chance.choice([at, at, at.replace("Z", "+00:00"), at.replace("Z", "-03:30")])
        rows.append(f"m{chance.randrange(3)},{metric},{at},{value},{unit}\n")
    return HEAD + "".join(rows + chance.sample(rows, len(rows) // 3))


@pytest.mark.parametrize("seed", range(150))
def test_what_is_read_in_bulk_is_what_is_read_row_by_row(seed: int) -> None:
    text = random_csv(Random(seed))
    slow = import_csv(text, "x", expected_interval_s=1800)
    fast = clean_import(_texts(text.encode()), 1800)
    whole = import_samples(text.encode(), "x", ImportOptions(expected_interval_s=1800))
    assert whole.problems == slow.problems
    assert whole.table.equals(slow.table)
    if slow.problems:
        assert fast is None, "what is wrong is left to the reader that can say where"
    elif fast is not None:
        assert fast.table.equals(slow.table)
        assert (fast.duplicates, fast.gaps) == (slow.duplicates, slow.gaps)
        assert dict(fast.converted) == dict(slow.converted)


def test_most_plain_files_are_read_in_bulk() -> None:
    text = HEAD + "".join(
        f"m{n % 9},vcpu,{utc_text(1_790_000_000 + n * 60)},{n % 4},vcpu\n" for n in range(999)
    )
    found = clean_import(_texts(text.encode()), 3600)
    assert found is not None
    assert found.table.num_rows == 999


def test_sorting_by_numbers_that_stand_for_texts_is_sorting_by_texts() -> None:
    import pyarrow as pa

    chance = Random(3)
    rows = [(chance.choice(["b", "a", "ä", "B", ""]), chance.randrange(5), n) for n in range(200)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    table = pa.table(columns, names=["text", "number", "n"])
    found = [tuple(row.values()) for row in ordered(table, ("text", "number")).to_pylist()]
    assert found == sorted(rows, key=lambda row: (row[0].encode(), row[1]))
    again = ordered(table.slice(0, 0), ("text", "number"))
    assert again.num_rows == 0


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_in_order_if_sorting_leaves_them_and_strictly_if_none_is_like_another(seed: int) -> None:
    import pyarrow as pa

    chance = Random(seed)
    rows = [(chance.choice("aäB"), chance.randrange(3)) for _ in range(chance.randrange(5))]
    rows = sorted(rows, key=lambda row: (row[0].encode(), row[1])) if chance.random() < 0.7 else rows
    texts = pa.chunked_array([[row[0]] for row in rows], pa.string())
    table = pa.table({"text": texts, "number": pa.array([row[1] for row in rows], pa.int64())})
    in_order = rows == sorted(rows, key=lambda row: (row[0].encode(), row[1]))
    assert is_ordered(table, ("text", "number")) == in_order
    assert is_ordered(table, ("text", "number"), strictly=True) == (in_order and len({*rows}) == len(rows))


def test_what_clashes_is_named_by_metric_with_both_its_lines() -> None:
    found = of_machine(bits(
        "1372630104;1;2599.9;41;1.6;2097152.0;2048;0;0;0;0",
        "1372629804;1;2599.9;41;1.6;2097152.0;1024;0;0;0;0",
        "1372629804;0;0;0;0;0;0;0;0;0;0",
        "1372630104;1;2599.9;42;1.6;2097152.0;4096;0;0;0;0",
    ))  # fmt: skip
    assert [(each.line, each.message.partition(" at ")[0]) for each in found.problems] == [
        (5, "machine 17 has 42 cpu_mhz"), (5, "machine 17 has 4 memory_mib"),
    ]  # fmt: skip
    assert all("here and" in each.message and "in line 2" in each.message for each in found.problems)
    assert found.table.num_rows == 0


def test_bitbrains_seconds_under_a_header_of_milliseconds_and_numbers_as_java_writes_them() -> None:
    found = of_machine(bits(
        "1372629804;1;2599.999398;41.5;1.6;2097152.0;1.2582912E7;0.4;7.1;1.0;7.49",
        "1372630104000;1;2599.9;41.49999999999999;101.5;2097152.0;511.9;2.5E-4;0.4;0.2;0.3",
    ))  # fmt: skip
    assert quantities(found) == {
        ("cpu_mhz", 1372629804): 42, ("cpu_mhz", 1372630104): 41,
        ("memory_mib", 1372629804): 12288, ("memory_mib", 1372630104): 0,
        ("disk_io_kbps", 1372629804): 8, ("disk_io_kbps", 1372630104): 0,
        ("net_io_kbps", 1372629804): 8, ("net_io_kbps", 1372630104): 1,
    }  # fmt: skip
    assert found.notes == ("machine 17: 1 row above 100 % of its processors, counted as told",)


def test_what_a_traces_machine_was_given_is_read_where_that_is_wanted() -> None:
    content = bits("1372629804;4;2599.9;41.5;1.6;2097152.0;1024.0;0;0;0;0")
    assert quantities(of_machine(content, provisioned=True)) == {
        ("vcpu", 1372629804): 4, ("memory_mib", 1372629804): 2048,
    }  # fmt: skip


def test_rows_of_a_machine_that_is_off_give_no_samples_and_rows_twice_give_one() -> None:
    on = "1372629804;1;2600;40;1;1024;1024;0;0;0;0"
    found = of_machine(
        bits(on, "1372630104;0;0;0;0;0;0;0;0;0;0", on, "1372639104;1;2600;40;1;1024;1024;0;0;0;0")
    )
    assert {at for _, at in quantities(found)} == {1372629804, 1372639104}
    assert found.duplicates == 4
    assert "machine 17: 1 row says that it was off" in found.notes[0]
    assert "no cpu_mhz from 2013-06-30T22:08:24Z to 2013-07-01T00:38:24Z" in "".join(found.notes)
    assert of_machine(bits("1372630104;0;0;0;0;0;0;0;0;0;0")).table.num_rows == 0


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (
            "1372629804;1;2600;-40;1;1;1;0;0;0;0",
            "17.csv:3:1: cpu usage [mhz]: must be a plain number, not negative",
        ),
        ("1372629804;1;2600;NaN;1;1;1;0;0;0;0", "(found 'NaN')"),
        ("1372629804;1;2600;;1;1;1;0;0;0;0", "17.csv:3:1: cpu usage [mhz]: must be a plain number"),
        ("1372629804;1;2600;1,5;1;1;1;0;0;0;0", "must be a plain number"),
        ("1372629804;1;2600;99999999999999999999;1;1;1;0;0;0;0", "must be a plain number"),
        ("yesterday;1;2600;40;1;1;1;0;0;0;0", "17.csv:3:1: timestamp: must be a time like the others"),
        ("1372629800123;1;2600;40;1;1;1;0;0;0;0", "timestamp: must be a whole second"),
        ("9999999999999000;1;2600;40;1;1;1;0;0;0;0", "must be"),
        ("1372629804;1;2600", "not readable as CSV"),
        (
            "1372629504;1;2600;41;1;1;1;0;0;0;0",
            "has 41 cpu_mhz at 2013-06-30T21:58:24Z here and 40 in line 2; keep",
        ),
    ],
)
def test_a_traces_row_that_cannot_be_taken_is_named_with_its_line(row: str, what: str) -> None:
    found = of_machine(bits("1372629504;1;2600;40;1;1;1;0;0;0;0", row))
    assert what in str(found.problems[0]), found.problems
    assert found.table.num_rows == 0


def test_a_trace_without_its_columns_its_rows_or_its_machine_is_refused() -> None:
    assert "there is no column disk read" in str(
        of_machine(bits("1372629504;1").replace(b"Disk read", b"x")).problems
    )
    content = bits("1372629504;1;2600;40;1;1;1;0;0;0;0")
    assert "does not say whose samples" in str(import_samples(content, "x").problems[0])


def test_materna_local_times_and_decimal_commas() -> None:
    rows = [
        "24.10.2015 23:55:00;2;5200;41,5;1,6;2097152;1048576;50;0,4;7,1;1,0;7,49;40",
        "25.10.2015 03:00:00;2;5200;10;1;2097152;1048576;50;0;0;0;0;40",
    ]
    content = (MATERNA + "\n".join(rows) + "\n").encode()
    assert "without a time zone; say which with --zone Europe/Berlin" in str(
        of_machine(content).problems[0]
    )
    found = quantities(of_machine(content, time_zone="Europe/Berlin"))
    first, second = 1445723700, 1445738400  # 21:55 UTC, and 02:00 UTC, as the clock went back at 01:00 UTC
    assert found["cpu_mhz", first] == 42
    assert found["disk_io_kbps", first] == 8
    assert found["memory_mib", second] == 1024
    twice = content.replace(b"25.10.2015 03:00:00", b"25.10.2015 02:30:00")
    assert "happens twice in Europe/Berlin" in str(of_machine(twice, time_zone="Europe/Berlin").problems[0])
    wrong = content.replace(b"25.10.2015", b"25/10/2015")
    assert "17.csv:3:1: timestamp: must be a time" in str(
        of_machine(wrong, time_zone="Europe/Berlin").problems[0]
    )
    assert "is no time zone" in str(of_machine(content, time_zone="Berlin").problems[0])


def test_numbers_with_an_exponent_are_written_out_exactly() -> None:
    chance = Random(1)
    for _ in range(500):
        text = f"{chance.randint(1, 9)}.{chance.randint(0, 10**9)}E{chance.randint(-9, 12)}"
        assert Decimal(_plain(text)) == Decimal(text)
    assert _plain("12.5") == "12.5"


def test_rounding_is_half_up_by_the_digits_whatever_a_binary_fraction_would_say() -> None:
    chance = Random(2)
    texts = [
        f"{chance.randint(0, 5)}.{''.join(chance.choices('0459', k=chance.randint(1, 17)))}"
        for _ in range(300)
    ]
    content = bits(*(f"{1372629600 + n * 300};1;9;{text};1;1;1;0;0;0;0" for n, text in enumerate(texts)))
    found = quantities(of_machine(content))
    for n, text in enumerate(texts):
        expected = Decimal(text).quantize(Decimal(1), ROUND_HALF_UP)
        assert found["cpu_mhz", 1372629600 + n * 300] == expected, text


def test_texts_that_parquet_keeps_as_bytes_are_texts_and_other_bytes_are_refused() -> None:
    columns = {"machine": "m", "metric": "vcpu", "at": "2026-10-01T00:00:00Z", "value": "4", "unit": "vcpu"}
    plain = pa.table({name: [text] for name, text in columns.items()})
    as_bytes = pa.table({name: pa.array([text.encode()]) for name, text in columns.items()})
    found = import_samples(parquet(as_bytes), "x.parquet", ImportOptions())
    assert found.problems == ()
    assert found.table == import_samples(parquet(plain), "x.parquet", ImportOptions()).table
    other = as_bytes.set_column(0, "machine", pa.array([b"\xff\xfe"]))
    (problem,) = import_samples(parquet(other), "x.parquet", ImportOptions()).problems
    assert problem.message == "column machine holds bytes; write text in UTF-8"


def parquet(table: Any) -> bytes:
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream)
    return bytes(stream.getvalue())


def test_every_format_says_what_it_is_and_only_one_takes_a_file() -> None:
    known = importers()
    assert list(known) == ["bitbrains", "materna", "own_csv", "own_parquet"]
    assert all(one != other for one, other in pairwise(importer.summary for importer in known.values()))
    samples = [HEAD.encode(), b"PAR1", bits("1;1"), (MATERNA + "01.01.2015 00:00:00;1\n").encode()]
    for head in samples:
        assert sum(importer.recognises(head) for importer in known.values()) == 1
