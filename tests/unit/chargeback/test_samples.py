from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from chargeback.run_lengths import STAMPS, intervals_from_samples
from chargeback.samples import SCHEMA, import_arrow, import_csv
from chargeback.usage import InvalidUsage

HOUR = 3600
HEAD = "machine,metric,at,value,unit\n"
T0 = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())


def line(
    hour: int = 0,
    value: object = "4",
    unit: str = "vcpu",
    metric: str = "vcpu",
    machine: str = "web-1",
    at: str | None = None,
) -> str:
    return f"{machine},{metric},{at or f'2026-10-01T{hour:02d}:00:00Z'},{value},{unit}\n"


def only_problem(text: str) -> str:
    result = import_csv(text, "usage.csv")
    assert result.table.num_rows == 0
    (problem,) = result.problems
    return str(problem)


def test_samples_come_out_sorted_in_the_metrics_own_unit() -> None:
    text = "\ufeff" + HEAD + (
        line(1) + line(0) + line(0, "1.5", "GiB", "memory_mib") + line(1, "512", "MiB", "memory_mib")
        + line(0, "2", "TiB", "disk_gib") + line(at="2026-10-01T04:00:00+02:00")
    )  # fmt: skip
    result = import_csv(text, "usage.csv")
    assert result.problems == ()
    assert result.table.schema.equals(SCHEMA)
    assert [tuple(row.values())[1:] for row in result.table.to_pylist()] == [
        ("disk_gib", T0, 2048),
        ("memory_mib", T0, 1536),
        ("memory_mib", T0 + HOUR, 512),
        ("vcpu", T0, 4),
        ("vcpu", T0 + HOUR, 4),
        ("vcpu", T0 + 2 * HOUR, 4),
    ]
    assert result.converted == {("disk_gib", "TiB"): 1, ("memory_mib", "GiB"): 1}
    assert "1 value of memory_mib was converted from GiB" in result.notes


def test_rows_that_stand_twice_count_once_and_say_so() -> None:
    result = import_csv(HEAD + line(0) + line(0) + line(0, "4.0"), "usage.csv")
    assert (result.table.num_rows, result.duplicates) == (1, 2)
    assert "2 rows stood there twice and count once" in result.notes


def test_rows_that_disagree_are_refused_with_both_lines() -> None:
    message = only_problem(HEAD + line(0) + line(1) + line(0, "5"))
    assert message.startswith("usage.csv:4:1: value: machine web-1 has 5 vcpu at 2026-10-01T00:00:00Z")
    assert "4 in line 2" in message


def test_a_gap_is_reported_with_its_ends_and_charged_nothing() -> None:
    result = import_csv(HEAD + line(0) + line(1) + line(5) + line(3, machine="web-2"), "usage.csv")
    (gap,) = result.gaps
    assert (gap.machine, gap.t_from, gap.t_to) == ("web-1", T0 + 2 * HOUR, T0 + 5 * HOUR)
    assert "no vcpu from 2026-10-01T02:00:00Z to 2026-10-01T05:00:00Z" in result.notes[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (line(value="-1"), "value: must not be negative (found '-1')"),
        (line(value="NaN"), "value: must be a plain number"),
        (line(value="inf"), "value: must be a plain number"),
        (line(value="1e3"), "value: must be a plain number"),
        (line(value=""), "value: is empty; leave the row out"),
        (line(value="1.5"), "value: is not a whole number in the unit of vcpu"),
        (line(value='"1,5"'), "value: has a comma; write decimals with a point"),
        (line(value="9007199254740993"), "more than 2**53"),
        (line(unit="GiB"), "unit: is no unit of vcpu; write one of vcpu"),
        (line(unit="%"), "unit: is no unit of vcpu"),
        (line(unit="GB", metric="memory_mib"), "'GB' can mean powers of 1000 or of 1024"),
        (line(unit="mib", metric="memory_mib"), "is no unit of memory_mib"),
        (line(unit="KiB", metric="memory_mib"), "is not a whole number in the unit of memory_mib"),
        (line(metric="gpu"), "metric: there is no such metric"),
        (line(at="2026-10-01T00:00:00"), "at: has no offset"),
        (line(at="1790812800"), "at: must be a date-time with an offset"),
        (line(at="01.10.2026 00:00"), "at: must be a date-time with an offset"),
        (line(at="2026-02-30T00:00:00Z"), "at: is no moment: day"),
        (line(at="2026-10-01T25:00:00Z"), "at: is no moment: hour"),
        (line(at="2026-10-01T00:00:00.5Z"), "at: must be a whole second"),
        (line(at="1969-12-31T23:59:59Z"), "at: must be between 1970 and 9998"),
        (line(machine=""), "machine: is empty"),
        ("web-1,vcpu,2026-10-01T00:00:00Z,1,5,vcpu\n", "6 cells, 5 columns"),
    ],
)
def test_a_cell_that_cannot_be_taken_is_named_with_its_line(row: Any, message: str) -> None:
    found = only_problem(HEAD + line(7) + row)
    assert found.startswith("usage.csv:3:1: ")
    assert message in found


def test_every_bad_line_is_reported_at_once_and_nothing_is_half_imported() -> None:
    text = HEAD + "".join(line(0, "x", machine=f"m{i}") for i in range(3)) + line(1)
    result = import_csv(text, "usage.csv")
    assert [problem.line for problem in result.problems] == [2, 3, 4]
    assert result.table.num_rows == 0
    many = import_csv(HEAD + "".join(line(0, "x", machine=f"m{i}") for i in range(700)), "usage.csv")
    assert len(many.problems) == 501
    assert "200 more problems after this line" in str(many.problems[-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine;metric;at;value;unit\nweb-1;vcpu;2026-10-01T00:00:00Z;1,5;vcpu\n", "semicolons"),
        ("machine,metric,at,value\n", "the columns must be machine, metric, at, value, unit"),
        ("machine,metric,at,value,unit,note\n", "found machine, metric, at, value, unit, note"),
        ("", "found none"),
        (HEAD + 'web-1,vcpu,2026-10-01T00:00:00Z,"4', "not readable as CSV"),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused_in_words(text: str, message: str) -> None:
    assert message in only_problem(text)


def test_arrow_tables_are_read_like_files() -> None:
    good = pa.table({
        "machine": ["a", "a"], "metric": ["vcpu", "memory_mib"],
        "at": pa.array([datetime(2026, 10, 1, tzinfo=UTC)] * 2, pa.timestamp("s", "UTC")),
        "value": pa.array([Decimal("4.0"), Decimal("2.5")]), "unit": ["vcpu", "GiB"],
    })  # fmt: skip
    result = import_arrow(good, "usage")
    assert [(row["metric"], row["at"], row["quantity"]) for row in result.table.to_pylist()] == [
        ("memory_mib", T0, 2560),
        ("vcpu", T0, 4),
    ]
    naive = good.set_column(2, "at", good["at"].cast(pa.timestamp("s")))
    assert str(import_arrow(naive, "usage").problems[0]).startswith("usage:1:1: at: has no offset")
    floats = good.set_column(3, "value", pa.array([4.0, 2.5]))
    assert "binary floats" in str(import_arrow(floats, "usage").problems[0])
    empty = good.set_column(4, "unit", pa.array([None, "GiB"]))
    assert "unit: is empty" in str(import_arrow(empty, "usage").problems[0])


def stamps(*machines: Any) -> Any:
    rows = [
        {"machine": m, "tenant": "shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p"}
        for m in machines
    ]
    return pa.Table.from_pylist(rows, schema=STAMPS)


def runs(
    *samples: tuple[str, int, int], interval_s: int = HOUR, machines: tuple[str, ...] = ("a", "b")
) -> list[tuple[str, int, int, int, int]]:
    rows = [{"machine": m, "metric": "vcpu", "at": at, "quantity": q} for m, at, q in samples]
    table = intervals_from_samples(
        pa.Table.from_pylist(rows, schema=SCHEMA), stamps(*machines), interval_s=interval_s,
        recorded_at=9, source="samples",
    )  # fmt: skip
    return [(r["machine"], r["t_from"], r["t_to"], r["quantity"], r["sequence"]) for r in table.to_pylist()]


def test_equal_neighbours_become_one_interval_and_zeros_and_gaps_none() -> None:
    found = runs(
        ("a", 0, 4), ("a", HOUR, 4), ("a", 2 * HOUR, 8), ("a", 3 * HOUR, 0), ("a", 9 * HOUR, 8),
        ("b", 0, 4), ("a", 10 * HOUR, 8),
    )  # fmt: skip
    assert found == [
        ("a", 0, 2 * HOUR, 4, 0),
        ("a", 2 * HOUR, 3 * HOUR, 8, 1),
        ("a", 9 * HOUR, 11 * HOUR, 8, 2),
        ("b", 0, HOUR, 4, 0),
    ]


def test_a_sample_that_comes_early_ends_the_one_before_it() -> None:
    assert runs(("a", 0, 4), ("a", 3599, 5), ("a", 7300, 5)) == [
        ("a", 0, 3599, 4, 0),
        ("a", 3599, 7199, 5, 1),
        ("a", 7300, 10900, 5, 2),
    ]


def test_no_samples_and_only_zeros_give_no_usage() -> None:
    assert runs() == []
    assert runs(("a", 0, 0)) == []


def test_samples_without_an_owner_or_twice_at_one_moment_are_refused() -> None:
    with pytest.raises(InvalidUsage, match="machine b is not in stamps"):
        runs(("a", 0, 1), ("b", 0, 1), machines=("a",))
    with pytest.raises(InvalidUsage, match="several rows"):
        runs(("a", 0, 1), machines=("a", "a"))
    with pytest.raises(InvalidUsage, match="two samples of vcpu"):
        runs(("a", 0, 1), ("a", 0, 1))
