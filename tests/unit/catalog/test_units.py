"""Amounts are shown exactly, in the largest unit that needs at most two decimals."""

import pytest

from catalog.units import amount_more, amount_of, format_amount

SHOWN = [
    ("vcpu", 4, "4 vCPU"),
    ("vcpu", 2048, "2,048 vCPU"),
    ("memory_mib", 0, "0 MiB"),
    ("memory_mib", 512, "512 MiB"),
    ("memory_mib", 12288, "12 GiB"),
    ("memory_mib", 1536, "1.5 GiB"),
    ("memory_mib", 1280, "1.25 GiB"),
    ("memory_mib", 1025, "1,025 MiB"),
    ("memory_mib", 1_572_864, "1.5 TiB"),
    ("memory_mib", 1_049_600, "1,025 GiB"),
    ("memory_mib", 100 * 1024, "100 GiB"),
    ("disk_gib", 500, "500 GiB"),
    ("disk_gib", 2048, "2 TiB"),
    ("disk_gib", 2**53, "8,589,934,592 PiB"),
    ("gpu", 3, "3 gpu"),
]


@pytest.mark.parametrize(("resource_class", "amount", "text"), SHOWN)
def test_an_amount_is_shown_exactly(resource_class: str, amount: int, text: str) -> None:
    assert format_amount(resource_class, amount) == text


def test_a_missing_amount_says_of_what() -> None:
    assert amount_more("memory_mib", 12288) == "12 GiB more memory"
    assert amount_more("vcpu", 4) == "4 more vCPU"
    assert amount_of("disk_gib", 100) == "100 GiB of disk"
    assert amount_of("vcpu", 4) == "4 vCPU"
