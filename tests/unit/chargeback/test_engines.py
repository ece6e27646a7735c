"""The engine is a parameter: how it reads, how much memory it may have and what it adds up first change no figure."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback import rating_sql
from chargeback.engines import duck, stretches
from chargeback.engines.by_ibis import IbisEngine, equi_joins
from chargeback.engines.contract import SEGMENTS, exact
from chargeback.engines.duck import DuckEngine, ParquetFiles
from chargeback.payers import fields_of, with_payers
from chargeback.periods import BillingPeriod
from chargeback.rating_expressions import queries
from chargeback.usage import SCHEMA, InvalidUsage


def table(rows: list[dict[str, Any]]) -> Any:
    fixed = {
        "machine": "m", "tenant": "t", "cost_centre": "c", "tier": "tier-1", "pool": "p", "metric": "vcpu",
        "quantity": 1, "power": "on", "t_from": 0, "t_to": 10, "recorded_at": 0, "source": "s", "sequence": 0,
        "labels": "",
    }  # fmt: skip
    return pa.Table.from_pylist([{**fixed, **row} for row in rows], schema=SCHEMA)


rows = st.lists(
    st.builds(
        lambda t_from, length, **fields: {"t_from": t_from, "t_to": t_from + length, **fields},
        st.integers(0, 100), st.integers(1, 60),
        quantity=st.sampled_from([-(2**53), -3, 1, 7, 2**53]), power=st.sampled_from(["on", "off"]),
        tenant=st.sampled_from("ab"), metric=st.sampled_from(["vcpu", "disk_gib", "machine"]),
        recorded_at=st.integers(0, 9),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@st.composite
def segments(draw: Any) -> list[tuple[Any, ...]]:
    """Rates that follow one another, with holes, of two metrics; one known_at."""
    found = []
    for metric in ("vcpu", "disk_gib"):
        moments = sorted(draw(st.sets(st.integers(0, 160), min_size=2, max_size=6)))
        for t_from, t_to in pairwise(moments):
            if draw(st.booleans()):
                found.append((len(found), "tier-1", metric, draw(st.booleans()), t_from, t_to, 5))
    return found


@given(rows, segments())
@settings(max_examples=60, deadline=None)
def test_what_is_added_up_first_gives_the_sums_of_the_general_query(found: Any, parts: Any) -> None:
    with DuckEngine().session(table(found)) as session:
        session.store("rate_segment", SEGMENTS, parts)
        quick = session.rows("SUMS_BY_TENANT")
        general = session.connection.execute(rating_sql.SUMS_BY_TENANT).fetchall()
    assert sorted(quick) == sorted(map(exact, general))


@given(rows, segments(), st.lists(st.integers(0, 160), max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_was_added_up_ahead_serves_later_sums_or_is_left(
    found: Any, parts: Any, more: list[int], powered: bool
) -> None:
    """Ahead of other moments, or of rates for machines that are off as well, it must not be used in vain."""
    ahead = [(0, "tier-1", "vcpu", powered, *span, 5) for span in pairwise(sorted({*more, 0, 170}))]
    for expected in (ahead, [*parts, *ahead]):
        with DuckEngine().session(table(found)) as session:
            session.expect(expected)
            assert set(session.rows("SEEN")) == {
                (row["tier"], row["metric"]) for row in table(found).to_pylist() if row["recorded_at"] <= 5
            }
            session.store("rate_segment", SEGMENTS, parts)
            quick = session.rows("SUMS_BY_TENANT")
            general = session.connection.execute(rating_sql.SUMS_BY_TENANT).fetchall()
        assert sorted(quick) == sorted(map(exact, general))


@given(
    rows,
    segments(),
    st.lists(st.integers(0, 160), max_size=4),
    st.sampled_from(["", "on", "all"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_sums_of_files_are_those_of_the_general_query(
    tmp_path_factory: pytest.TempPathFactory,
    found: Any,
    parts: Any,
    more: list[int],
    ahead: str,
    payers: bool,
) -> None:
    """Ahead of rates of these moments, for machines that are on or all, or only when sums are asked for.

    Sums of nothing, as of hours that are all taken back, may be left out.
    """
    file = tmp_path_factory.mktemp("usage") / "u.parquet"
    pq.write_table(with_payers(table(found)), file)
    spans = pairwise(sorted({*more, 0, 170}))
    expected = [(0, "tier-1", "vcpu", ahead == "all", *span, 5) for span in spans if ahead]
    with DuckEngine(threads=1).session(ParquetFiles((str(file),), payers=payers)) as session:
        session.expect(expected)
        assert set(session.rows("SEEN")) == {
            (row["tier"], row["metric"])
            for row in table(found).to_pylist()
            if row["recorded_at"] <= 5 or not expected
        }
        session.store("rate_segment", SEGMENTS, parts)
        quick = session.rows("SUMS_BY_TENANT")
        general = session.connection.execute(rating_sql.SUMS_BY_TENANT).fetchall()
    some = [row for row in map(exact, general) if any(row[-2:])]
    assert sorted(row for row in quick if any(row[-2:])) == sorted(some)


def test_a_payer_is_made_of_five_names_and_a_text_that_is_not_is_refused(tmp_path: Path) -> None:
    made = with_payers(table([{"tenant": "a", "power": "off"}, {"tenant": "b"}]))
    names = ("tenant", "cost_centre", "tier", "metric", "power")
    for row in made.to_pylist():
        assert fields_of(row["payer"]) == tuple(row[name] for name in names)
    with pytest.raises(InvalidUsage, match=r"a tier has the character U\+001F"):
        with_payers(table([{"tier": "x\x1fy"}]))
    place = made.column_names.index("payer")
    pq.write_table(made.set_column(place, "payer", pa.array(["a", "a"])), tmp_path / "u.parquet")
    with (
        DuckEngine().session(ParquetFiles((str(tmp_path / "u.parquet"),), payers=True)) as session,
        pytest.raises(InvalidUsage, match="payer 'a' is not made of tenant, cost_centre"),
    ):
        session.expect([(0, "tier-1", "vcpu", True, 0, 10**7, 5)])


def test_a_product_beyond_64_bits_takes_the_general_query_and_stays_exact(tmp_path: Path) -> None:
    long = table([{"quantity": 2**53, "t_to": 10**6}])
    pq.write_table(with_payers(long), tmp_path / "u.parquet")
    for form in (long, ParquetFiles((str(tmp_path / "u.parquet"),), payers=True)):
        with DuckEngine().session(form) as session:
            session.store("rate_segment", SEGMENTS, [(0, "tier-1", "vcpu", True, 0, 10**7, 5)])
            assert session.rows("SUMS_BY_TENANT") == [(0, "t", "c", 2**53 * 10**6, 10**6)]


def test_many_moments_are_left_to_the_general_query() -> None:
    hourly = [(i, "tier-1", "vcpu", True, i, i + 1, 5) for i in range(stretches.STRETCHES_MAX)]
    assert not stretches.worth_it(hourly)
    assert not stretches.worth_it([])
    assert stretches.worth_it(hourly[:3])


def test_tables_files_and_datasets_are_read_alike(tmp_path: Path) -> None:
    usage = table([{"tenant": name, "quantity": i + 1} for i, name in enumerate("abc")])
    pq.write_table(usage, tmp_path / "u.parquet")
    path = str(tmp_path / "u.parquet")
    found = []
    for form in (usage, ds.dataset(path), ParquetFiles((path,))):
        with DuckEngine(memory_limit_mib=64, threads=1).session(form) as session:
            session.store("rate_segment", SEGMENTS, [(0, "tier-1", "vcpu", True, 0, 5, 5)])
            found.append(sorted(session.rows("SUMS_BY_MACHINE")))
    assert found[0] == found[1] == found[2] != []


def test_a_dataset_that_is_no_usage_is_refused_by_its_columns(tmp_path: Path) -> None:
    pq.write_table(table([{}]).drop_columns(["power", "tier"]), tmp_path / "u.parquet")
    with (
        pytest.raises(InvalidUsage, match="usage has no column tier, power"),
        DuckEngine().session(ds.dataset(str(tmp_path / "u.parquet"))),
    ):
        pass


def test_a_file_that_is_no_usage_is_refused_by_its_name_and_columns(tmp_path: Path) -> None:
    path = str(tmp_path / "it's.parquet")
    pq.write_table(table([{}]).drop_columns(["power", "tier"]), path)
    with (
        pytest.raises(InvalidUsage, match=r"it's\.parquet has no column tier, power"),
        DuckEngine().session(ParquetFiles((path,))),
    ):
        pass


@pytest.mark.parametrize("small", [0, 10**6])
@pytest.mark.parametrize("told", [True, False])
def test_several_files_add_up_each_with_its_own_months(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int, told: bool
) -> None:
    """Whether large or small and whether they tell how far they reach: the first has a moment within, the second none."""
    monkeypatch.setattr(duck, "_PART_ROWS", small)
    paths = [str(tmp_path / "it's a.parquet"), str(tmp_path / "b.parquet")]
    rows = [{"t_from": 0, "t_to": 90, "quantity": 3}, {"t_from": 10, "t_to": 20, "quantity": -3}]
    pq.write_table(table(rows), paths[0], write_statistics=told)
    pq.write_table(table([{"t_from": 100, "t_to": 160, "quantity": 7}]), paths[1], write_statistics=told)
    parts = [(i, "tier-1", "vcpu", True, *span, 5) for i, span in enumerate([(0, 15), (15, 50), (50, 170)])]
    with DuckEngine(threads=1).session(ParquetFiles((*paths, paths[1]))) as session:
        session.store("rate_segment", SEGMENTS, parts)
        found = sorted(session.rows("SUMS_BY_TENANT"))
    assert found == [
        (0, "t", "c", 3 * 15 - 3 * 5, 15 - 5),
        (1, "t", "c", 3 * 35 - 3 * 5, 35 - 5),
        (2, "t", "c", 3 * 40 + 2 * 7 * 60, 40 + 2 * 60),
    ]


def test_the_memory_limit_is_duckdb_s_own() -> None:
    with DuckEngine(memory_limit_mib=64, threads=1).session(table([{}])) as session:
        limit, threads, spill = session.connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads'), current_setting('temp_directory')"
        ).fetchall()[0]
    assert (limit, threads, spill) == ("64.0 MiB", 1, "")


def test_an_engine_reached_by_ibis_gives_the_same_rows() -> None:
    usage = table([{"tenant": name, "quantity": i + 1, "t_to": 9 + i} for i, name in enumerate("abcd")])
    found = []
    for engine in (DuckEngine(), IbisEngine(ibis.duckdb.from_connection(duckdb.connect()))):
        with engine.session(usage) as session:
            session.store("rate_segment", SEGMENTS, [(0, "tier-1", "vcpu", True, 3, 10, 5)])
            found.append(
                [
                    sorted(session.rows(query))
                    for query in queries()
                    if query in {"SEEN", "SUMS_BY_TENANT", "SUMS_BY_MACHINE"}
                ]
            )
    assert found[0] == found[1] != []


def test_no_join_is_left_with_another_condition_than_equal_columns() -> None:
    for name in ("SUMS_BY_TENANT", "SUMS_BY_MACHINE"):
        joins = equi_joins(queries()[name]).op().find(ibis.expr.operations.JoinChain)
        conditions = [type(c).__name__ for join in joins for link in join.rest for c in link.predicates]
        assert conditions == ["Equals", "Equals"]


def test_sums_that_do_not_fit_into_the_memory_allowed_go_to_the_disk_and_come_out_the_same(
    tmp_path: Path,
) -> None:
    rows, long = 400_000, "m" * 160
    period = BillingPeriod(year=2026, month=10, time_zone="UTC")
    columns: dict[str, Any] = {
        "machine": [f"{long}{n}" for n in range(rows)],
        "t_from": [period.t_from] * rows,
        "t_to": [period.t_to] * rows,
        "quantity": [1 + n % 7 for n in range(rows)],
        "recorded_at": [0] * rows,
        "sequence": [0] * rows,
    }
    texts = {
        "tenant": "t",
        "cost_centre": "c",
        "tier": "tier-1",
        "pool": "p",
        "metric": "vcpu",
        "power": "on",
    }
    columns |= {name: [text] * rows for name, text in {**texts, "source": "s", "labels": ""}.items()}
    usage = pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
    segments = [(0, "tier-1", "vcpu", True, period.t_from, period.t_to, 1)]

    def summed(engine: DuckEngine) -> int:
        with engine.session(usage) as session:
            session.store("rate_segment", SEGMENTS, segments)
            found = session.rows("SUMS_BY_MACHINE")
        assert len(found) == rows
        return sum(row[-2] for row in found)

    with pytest.raises(duckdb.OutOfMemoryException):
        summed(DuckEngine(memory_limit_mib=64, threads=1))
    by_hand = sum(1 + n % 7 for n in range(rows)) * (period.t_to - period.t_from)
    assert (
        summed(DuckEngine(memory_limit_mib=64, threads=1, spill_folder=str(tmp_path / "spill"))) == by_hand
    )
