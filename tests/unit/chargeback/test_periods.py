import itertools
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from chargeback.instants import epoch_s, instant, utc_text, zone
from chargeback.periods import BillingPeriod, months

BERLIN = zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("month", "time_zone", "hours"),
    [
        ("2026-10", "Europe/Berlin", 745),
        ("2026-03", "Europe/Berlin", 743),
        ("2026-10", "UTC", 744),
        ("2026-02", "Europe/Berlin", 672),
        ("2028-02", "UTC", 696),
        ("2026-10", "Australia/Lord_Howe", Fraction(1487, 2)),
        ("2026-04", "Australia/Lord_Howe", Fraction(1441, 2)),
        ("2026-11", "America/New_York", 721),
    ],
)
def test_a_month_is_as_long_as_its_time_zones_clocks_make_it(
    month: Any, time_zone: str, hours: Any
) -> None:
    assert BillingPeriod.parse(month, time_zone).hours == hours


def test_a_month_begins_at_local_midnight() -> None:
    period = BillingPeriod.parse("2026-10", "Europe/Berlin")
    assert utc_text(period.t_from) == "2026-09-30T22:00:00Z"
    assert utc_text(period.t_to) == "2026-10-31T23:00:00Z"


def test_months_follow_one_another_without_gap_over_the_turn_of_the_year() -> None:
    run = months(BillingPeriod.parse("2026-11", "Europe/Berlin"), 4)
    assert [period.name for period in run] == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert all(one.t_to == other.t_from for one, other in itertools.pairwise(run))
    assert months(run[0], 0) == ()


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "26-10", "2026-1", "2026-10-01", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no month; write it like 2026-10"):
        BillingPeriod.parse(text, "UTC")


@pytest.mark.parametrize("text", ["1969-12", "9999-01", "0000-01"])
def test_a_month_that_cannot_be_billed_says_which_can(text: str) -> None:
    with pytest.raises(
        ValueError, match=f"^'{text}' cannot be billed; give a month from 1970-01 to 9998-12$"
    ):
        BillingPeriod.parse(text, "UTC")


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../../etc/passwd", "Europe", "CEST5"])
def test_what_is_no_time_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValidationError, match="use an IANA name like Europe/Berlin"):
        BillingPeriod(year=2026, month=1, time_zone=name)


def test_a_local_time_that_the_clock_skips_or_repeats_needs_an_offset() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        instant("2026-03-29T02:30:00", BERLIN)
    with pytest.raises(ValueError, match="happens twice"):
        instant("2026-10-25T02:30:00", BERLIN)
    first = instant("2026-10-25T02:30:00+02:00", BERLIN)
    assert instant("2026-10-25T02:30:00+01:00", BERLIN) - first == 3600


def test_a_date_is_the_first_second_of_its_day_even_where_midnight_is_skipped() -> None:
    # In Beirut, 2022-03-27 began at 01:00: the clock went from 23:59:59 +02:00 to 01:00:00 +03:00.
    skipped = instant("2022-03-27", zone("Asia/Beirut"))
    assert utc_text(skipped) == "2022-03-26T22:00:00Z"
    assert utc_text(instant("2026-10-01", BERLIN)) == "2026-09-30T22:00:00Z"


@pytest.mark.parametrize("text", ["1.10.2026", "tomorrow", "2026-10", "2026-10-01T10:00:00.5"])
def test_a_date_that_is_not_iso_or_not_whole_seconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        instant(text, BERLIN)


def test_naive_times_have_no_place_on_the_time_line() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        epoch_s(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    east = datetime(2026, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert epoch_s(east) == epoch_s(datetime(2026, 1, 1, tzinfo=UTC)) == 1767225600
