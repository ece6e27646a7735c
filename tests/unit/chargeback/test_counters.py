"""Meters become samples that add up to what the meters gained."""

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from chargeback.counters import LAST, Reading, Sampled, sampled

NOTHING = LAST.empty_table()


def cpu(value: int, at: int, meter: str = "cpu_ms", machine: str = "m", part: str = "") -> Reading:
    return Reading(machine, meter, value, at, counter=True, part=part)


def after(last: Any, *readings: Reading, **more: Any) -> tuple[Sampled, Any]:
    return sampled(readings, last, endpoint="e", **more)


def in_all(found: Sampled) -> int:
    return sum(row[3] * seconds for row, seconds in zip(found.rows, found.seconds, strict=True))


def test_a_first_reading_is_only_where_counting_begins() -> None:
    found, last = after(NOTHING, cpu(123_456_789, 100))
    assert (found.rows, found.notes) == ([], [])
    found, _ = after(last, cpu(123_456_789 + 25_500, 110))
    assert list(zip(found.rows, found.seconds, strict=True)) == [
        (("m", "vcpu", 100, 3), 5), (("m", "vcpu", 105, 2), 5),
    ]  # fmt: skip
    assert in_all(found) == 25, "half a vcpu-second waits for the next reading"


@pytest.mark.parametrize("seed", range(5))
def test_what_was_sampled_in_all_is_what_the_counter_gained_to_the_last_unit_second(seed: int) -> None:
    chance = Random(seed)
    value, at, last, total = chance.randrange(10**9), 1000, NOTHING, 0
    first = value
    covered = 1000
    for _ in range(200):
        found, last = after(last, cpu(value, at))
        total += in_all(found)
        for row, seconds in zip(found.rows, found.seconds, strict=True):
            assert row[2] == covered, "samples follow one another without gap or overlap"
            covered += seconds
        at += chance.choice([0, 1, 7, 300, 90_000])
        value += chance.choice([0, 1, 999, 123_456, 10**8])
        again, last_again = after(last, cpu(value, at - 1_000_000))
        assert (again.rows, last_again) == ([], last), "an old reading changes nothing"
    gained = Fraction(int(last.to_pylist()[0]["value"]) - first, 1000)
    assert 0 <= gained - total < 1


def test_the_same_readings_twice_are_once() -> None:
    _, last = after(NOTHING, cpu(0, 100))
    _, last = after(last, cpu(5000, 110))
    found, again = after(last, cpu(5000, 110))
    assert found.rows == []
    assert again == last


def test_a_machine_that_began_anew_and_a_counter_that_went_over_are_told_apart() -> None:
    _, last = after(NOTHING, cpu(2**32 - 5000, 100))
    found, last = after(last, cpu(4_000, 110))
    assert in_all(found) == 4
    assert "cpu_ms fell from 4294962296 to 4000, so it began anew" in found.notes[0], "it has 64 bits"
    _, last = after(last, cpu(2**64 - 500, 120))
    found, _ = after(last, cpu(500, 121))
    assert in_all(found) == 1
    assert "went over 18446744073709551615" in found.notes[0]


def test_counters_of_one_metric_count_together_and_a_new_one_only_from_now_on() -> None:
    _, last = after(NOTHING, cpu(10_000, 100, "disk_read_bytes"))
    found, last = after(last, cpu(40_000, 110, "disk_read_bytes"), cpu(999_000, 110, "disk_written_bytes"))
    assert in_all(found) == 30
    found, _ = after(last, cpu(40_000, 120, "disk_read_bytes"), cpu(1_009_000, 120, "disk_written_bytes"))
    assert in_all(found) == 10


def test_a_disk_that_comes_or_goes_leaves_the_others_counters_as_they_are() -> None:
    def disks(at: int, **read: int) -> list[Reading]:
        return [cpu(value, at, "disk_read_bytes", part=part) for part, value in read.items()]

    _, last = after(NOTHING, *disks(100, vda=900_000, sdb=70_000))
    found, last = after(last, *disks(110, vda=905_000))
    assert (in_all(found), found.notes) == (5, [])
    found, last = after(last, *disks(120, vda=905_000, sdc=30_000))
    assert in_all(found) == 30, "all that a disk has read that was not there before"
    found, last = after(last, *disks(130, vda=906_000, sdb=2_000))
    assert in_all(found) == 1 + 2
    assert "disk_read_bytes/sdb fell from 70000 to 2000" in found.notes[0]


def test_a_long_time_without_readings_is_told_and_what_was_gained_is_spread() -> None:
    _, last = after(NOTHING, cpu(0, 0))
    found, _ = after(last, cpu(7_200_000, 7200))
    assert [(row[2], row[3]) for row in found.rows] == [(0, 1)]
    assert "was not read from 1970-01-01T00:00:00Z to 1970-01-01T02:00:00Z" in found.notes[0]


def test_counters_that_count_from_a_moment_are_taken_from_there_whatever_was_read_before() -> None:
    found, last = after(NOTHING, cpu(10_000, 110), since=100)
    assert [(row[2], row[3]) for row in found.rows] == [(100, 1)]
    found, _ = after(last, cpu(20_000, 120), since=110)
    assert [(row[2], row[3]) for row in found.rows] == [(110, 2)]


def test_each_machine_counts_from_its_own_moment() -> None:
    of = {"m": 90, "other": 110}
    _, last = after(NOTHING, cpu(0, 90), cpu(0, 100, machine="other"))
    found, _ = after(last, cpu(30_000, 120), cpu(5_000, 115, machine="other"), since=90, since_of=of)
    assert found.rows == [("m", "vcpu", 90, 1), ("other", "vcpu", 100, 0), ("other", "vcpu", 110, 1)]
    assert found.seconds == [30, 10, 5]


def test_what_another_collection_counted_meanwhile_is_not_counted_again() -> None:
    _, before = after(NOTHING, cpu(10_000, 110), since=100)
    _, last = after(before, cpu(20_000, 130), since=110)
    found, again = after(last, cpu(30_000, 140), since=110)
    assert (found.rows, again) == ([], last)
    found, _ = after(again, cpu(20_000, 150), since=130)
    assert in_all(found) == 20


def mhz_s(value: int, at: int, begun: int) -> Reading:
    return Reading("m", "cpu_mhz_s", value, at, counter=True, begun=begun)


def test_hyper_vs_counters_are_megahertz_and_megabytes() -> None:
    read = [cpu(value, at, "disk_read_mb") for value, at in ((7, 100), (9, 110))]
    _, last = after(NOTHING, mhz_s(1000, 100, 0), read[0])
    found, _ = after(last, mhz_s(1045, 110, 0), read[1])
    kb = 2 * 2**20 // 1000
    assert [(row[1], row[3], s) for row, s in zip(found.rows, found.seconds, strict=True)] == [
        ("cpu_mhz", 5, 5), ("cpu_mhz", 4, 5),
        ("disk_io_kbps", kb // 10 + 1, kb % 10), ("disk_io_kbps", kb // 10, 10 - kb % 10),
    ]  # fmt: skip


def test_a_counter_that_is_a_little_lower_by_rounding_counts_nothing_twice() -> None:
    _, last = after(NOTHING, mhz_s(1_000_000, 100, 0))
    found, last = after(last, mhz_s(999_000, 110, 0))
    assert (in_all(found), found.notes) == (0, [])
    found, _ = after(last, mhz_s(1_000_500, 120, 0))
    assert in_all(found) == 500


def test_a_counter_that_was_reset_counts_anew_however_far_it_has_come() -> None:
    _, last = after(NOTHING, mhz_s(1000, 100, 0))
    found, last = after(last, mhz_s(4000, 110, 102))
    assert in_all(found) == 4000
    found, last = after(last, mhz_s(3900, 120, 112))
    assert in_all(found) == 3900, "nearly as far as before, but from 0"
    found, _ = after(last, mhz_s(10, 130, 120))
    assert in_all(found) == 10, "reset in the second of the last reading"


def test_a_counter_that_was_put_back_to_an_older_state_counts_nothing_twice() -> None:
    _, last = after(NOTHING, mhz_s(9000, 100, 0))
    found, last = after(last, mhz_s(2000, 110, 0))
    assert in_all(found) == 0
    assert "put back to an older state" in found.notes[0]
    found, _ = after(last, mhz_s(2100, 120, 0))
    assert in_all(found) == 100


def test_what_a_machine_gained_it_gained_while_it_was_on() -> None:
    _, last = after(NOTHING, cpu(5_000, 100), cpu(5_000, 100, machine="other"))
    found, _ = after(
        last, cpu(15_000, 200), cpu(15_000, 200, machine="other"), on_since={"m": 190, "other": 300}
    )
    assert [row for row in found.rows if row[0] == "m"] == [("m", "vcpu", 100, 0), ("m", "vcpu", 190, 1)]
    assert found.seconds[:2] == [90, 10]
    assert in_all(found) == 20


def test_of_several_gauges_of_memory_the_one_that_says_most_is_taken_once() -> None:
    readings = [
        Reading("m", meter, n, 100, counter=False)
        for n, meter in enumerate(("memory_mib", "memory_used_mib"))
    ]
    found, last = after(NOTHING, *readings)
    assert found.rows == [("m", "memory_mib", 100, 1)]
    assert after(last, *readings)[0].rows == []


def test_broken_meters_are_told_and_not_taken() -> None:
    _, last = after(NOTHING, cpu(0, 0))
    found, _ = after(last, cpu(2**62, 1), Reading("m", "memory_mib", -5, 1, counter=False))
    assert found.rows == []
    assert ["cannot be; left out" in note for note in found.notes] == [True, True]
    found, _ = after(last, cpu(1000, 10), Reading("m", "fan_rpm", 5, 1, counter=True))
    assert len(found.rows) == 2


def test_other_endpoints_and_machines_keep_what_was_read() -> None:
    _, last = after(NOTHING, cpu(1, 1), cpu(2, 1, machine="other"))
    _, last = sampled([cpu(3, 1)], last, endpoint="f")
    found, last = sampled([cpu(5_003, 2)], last, endpoint="f")
    assert in_all(found) == 5
    kept = {(row["endpoint"], row["machine"], row["meter"]): row["value"] for row in last.to_pylist()}
    assert kept["e", "other", "cpu_ms"] == "2"
    assert kept["e", "m", "cpu_ms"] == "1"
    assert kept["f", "m", "cpu_ms"] == "5003"
