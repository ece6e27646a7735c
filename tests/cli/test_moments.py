"""Moments as people type them."""

from datetime import UTC, datetime

import pytest
import typer

from tierwise.cli.moments import moment

FOUR = datetime(2026, 10, 20, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-20T04:00:00",
        "2026-10-20T04:00:00Z",
        "2026-10-20T04:00",
        "2026-10-20 04:00",
        "2026-10-20T06:00+02:00",
        "2026-10-19T23:30:00-04:30",
    ],
)
def test_a_moment_may_have_an_offset_and_is_in_utc_without_one(text: str) -> None:
    assert moment(text) == FOUR
    assert moment(text).utcoffset() == FOUR.utcoffset()


def test_a_day_begins_at_its_first_second_in_utc() -> None:
    assert moment("2026-10-20") == datetime(2026, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["yesterday", "20261020", "2026-10-20T", "2026-10-20T04:00 CET", "12.10.2026", ""]
)
def test_what_is_no_moment_is_told_how_to_be_written(text: str) -> None:
    with pytest.raises(
        typer.BadParameter, match=r"is no moment; write it like 2026-10-20, 2026-10-20T04:30 \(UTC\)"
    ):
        moment(text)


def test_a_moment_before_clocks_of_computers_begin_is_refused() -> None:
    assert moment("1970-01-01").timestamp() == 0
    for text in ("1969-12-31", "1970-01-01T00:30+01:00", "0001-01-01"):
        with pytest.raises(typer.BadParameter, match="is before 1970, when no machine was known"):
            moment(text)


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-10-20T24:30", "2026-10-20T04:61", "0001-01-01T00:00+02:00"]
)
def test_a_moment_that_never_was_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="no calendar or clock has; correct it"):
        moment(text)
