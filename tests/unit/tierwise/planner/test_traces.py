"""Traces that others published: small ones read by hand, and the whole ones where they are here."""

from pathlib import Path

import numpy as np
import pytest

from placement.forecast.fit_arrivals import Arrived, fit_arrivals
from placement.forecast.fit_growth import fit_growth
from placement.forecast.fit_lifetimes import fit_lifetimes
from tierwise.errors import InvalidInput
from tierwise.planner.traces import azure_arrivals, azure_flavours, azure_lifetimes, bitbrains_weekly_use

DATA = Path(__file__).parents[4] / ".." / "shared" / "data"
AZURE = DATA / "azure-v1"
here = pytest.mark.skipif(
    not AZURE.is_dir(), reason="the folder of others' data is not beside the repository"
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two lines of a trace from second 86,400 on, in the published form."""
    (tmp_path / "flav.txt").write_text("1,0.75 a\n2,3.5 g\n")
    (tmp_path / "v1.txt").write_text("86700 g,|,a,g,g,|,\n172800 a,a,|,\n")
    (tmp_path / "bins.txt").write_text("0 0\n300 1\n3900 13\n4200 13\n7200 13\n")
    (tmp_path / "v1.c173100.txt").write_text("86700 U1,|,U0,C13,U13,|,\n172800 U13,C1,|,\n")
    return tmp_path


def arrivals(folder: Path) -> Arrived:
    return azure_arrivals(folder / "v1.txt", azure_flavours(folder / "flav.txt"), first_weekday=6)


def test_batches_of_a_trace_are_those_read_by_hand(small: Path) -> None:
    found = arrivals(small)
    assert found.classes == ("c1-m768", "c2-m3584")
    # Day 1 is the first that has a line: its midnight is hour 0, and it is a Monday.
    assert found.first_weekday == 0
    assert found.hours * 3600 == pytest.approx([75.0, 225.0, 225.0, 86250.0])
    assert found.workload_class.tolist() == [1, 0, 1, 0]
    assert found.size.tolist() == [1, 1, 2, 2]


def test_a_trace_of_minutes_is_too_short_to_fit(small: Path) -> None:
    (small / "v1.txt").write_text("86700 g,|,\n")
    with pytest.raises(ValueError, match="at least a whole day is needed"):
        arrivals(small)


def lives(folder: Path, letter: str | None = None) -> list[tuple[float, float]]:
    found = azure_lifetimes(folder / "v1.c173100.txt", folder / "v1.txt", folder / "bins.txt", letter)
    pairs = zip((found.low_hours * 3600).tolist(), (found.high_hours * 3600).tolist(), strict=True)
    return [(round(low), high if np.isinf(high) else round(high)) for low, high in pairs]


def test_lives_are_between_the_edges_of_their_bins(small: Path) -> None:
    assert lives(small) == [
        (150, 450),
        (0, 150),
        (173100 - 86700 + 150, np.inf),
        (3750, 7350),
        (3750, 3754),  # cannot have lived longer than it was seen; a cell is never empty
        (450, np.inf),
    ]
    assert len(lives(small, "g")) == 3


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("flav.txt", "1;0.75 a\n", "flav.txt:1: must be like '2,3.5 g'"),
        ("v1.txt", "86700 z,|,\n", "v1.txt:1: there is no flavour 'z'; known are a, g"),
        ("v1.txt", "noon g,|,\n", "v1.txt:1: must begin with a time in seconds"),
        ("v1.txt", "", "holds no batch; is it a flavour trace?"),
    ],
)
def test_a_flavour_trace_that_cannot_be_read_names_its_line(
    small: Path, file: str, text: str, message: str
) -> None:
    (small / file).write_text(text)
    with pytest.raises(InvalidInput) as refused:
        arrivals(small)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "v1.c173100.txt",
            "86700 U1,|,U0,|,\n172800 U13,C1,|,\n",
            ":1: does not have the batches of the same",
        ),
        ("v1.c173100.txt", "86700 U1,|,U0,X9,U13,|,\n172800 U13,C1,|,\n", "number of a bin: 'X9'"),
        ("v1.c173100.txt", "86700 U1,|,U0,C13,U99,|,\n172800 U13,C1,|,\n", "number of a bin: 'U99'"),
        ("v1.c173100.txt", "86700 U1,|,U0,C13,U13,|,\n", "do not have as many lines"),
        ("bins.txt", "0 x\n", "bins.txt:1: must be like '3900 13'"),
    ],
)
def test_a_duration_trace_that_cannot_be_read_says_why(
    small: Path, file: str, text: str, message: str
) -> None:
    (small / file).write_text(text)
    with pytest.raises(InvalidInput) as refused:
        lives(small)
    assert message in str(refused.value)


def test_a_missing_file_and_a_name_without_an_end_are_said(small: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        azure_flavours(small / "nothing.txt")
    with pytest.raises(InvalidInput, match="must end in the second at which the trace ends"):
        azure_lifetimes(small / "v1.txt", small / "v1.txt", small / "bins.txt")
    with pytest.raises(InvalidInput, match="cannot be read with columns vm, hour_ts and x"):
        bitbrains_weekly_use(small / "flav.txt", "x")


@here
def test_twenty_days_of_azure_tell_the_three_after_them() -> None:
    flavours = azure_flavours(AZURE / "resources_maps_flav_map.txt")
    train = azure_arrivals(AZURE / "resources_traces_v1.train.txt", flavours, first_weekday=6)
    assert int(train.size.sum()) == 1_200_998  # as the trace's own count
    found = fit_arrivals(train)
    assert found.goodness
    assert abs(found.goodness.bias_percent) < 5
    assert 55 <= found.goodness.inside_80_percent <= 95
    later = azure_arrivals(AZURE / "resources_traces_v1.dev.txt", flavours, first_weekday=6)
    # Its first day is the rest of day 20; three whole days follow. The last weeks' pace told them within a tenth.
    came = later.daily()[1:4]
    told = sum(one.batches_per_day for one in found.arrivals.values())
    assert len(came) == 3
    assert told == pytest.approx(float(came.mean()), rel=0.1)


@here
def test_lives_of_azure_are_told_as_well_as_chance_allows() -> None:
    found = fit_lifetimes(
        azure_lifetimes(
            AZURE / "resources_traces_v1.dev.c2100000.txt",
            AZURE / "resources_traces_v1.dev.txt",
            AZURE / "resources_maps_v1.interval_map.txt",
        ),
        kinds=("log_normal",),
    )
    assert found.goodness.machines == 259_159
    assert found.goodness.still_running_percent == pytest.approx(5.5, abs=0.1)
    assert found.goodness.gap < found.goodness.gap_of_chance + 0.01
    assert 0.4 < found.lifetimes.together < 0.7


@here
def test_bitbrains_use_is_of_the_same_machines_in_every_week() -> None:
    use = bitbrains_weekly_use(DATA / "bitbrains" / "rnd-2013-q3-hourly.parquet", "mem_use_kb_avg")
    assert use.shape == (13, 409)
    found = fit_growth(use)
    # What three months of one site say: nothing certain. The error of the growth is far above the growth.
    assert abs(found.walk.percent_per_month) < found.walk.error_percent
