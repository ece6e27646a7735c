"""Numbers that are right as numbers and hard to believe: most often a unit that the heading does not say."""

from collections.abc import Sequence

from catalog.estates import EstateMachine
from tierwise.estates.findings import Findings

_SMALL_MIB = 256
_LARGEST_MIB = 32 * 1024**2
"""No hypervisor runs a machine with more than 32 TiB."""
_MOST_VCPUS = 1024
_SMALL_DISK_MIB = 1024
_MOST_PERCENT = 200
"""A processor above its nominal clock gives more than 100 % of it, but not twice as much."""
_FEW = 3


def check_plausible(sheet: str, machines: Sequence[EstateMachine], findings: Findings) -> None:
    """Notes about machines without size, of no size that exists, or all far too small or idle."""
    if _nine_in_ten_below(_SMALL_MIB, [one.memory_mib for one in machines]):
        findings.note(
            f"{sheet}: nine in ten machines have less than {_SMALL_MIB} MiB of memory; if the column is in GiB, name it "
            "'Memory GiB', and import again"
        )
    if _nine_in_ten_below(_SMALL_DISK_MIB, [one.provisioned_mib for one in machines]):
        findings.note(
            f"{sheet}: nine in ten machines have less than 1 GiB of disk; if the column is in GiB, let its heading end "
            "in 'GiB', and import again"
        )
    if machines and not any(one.provisioned_mib for one in machines):
        findings.note(
            f"{sheet}: no machine has a size of disks, so disk counts as 0; export the columns of disks too"
        )
    _check_use(sheet, machines, findings)
    for one in machines:
        if one.memory_mib > _LARGEST_MIB:
            findings.count(
                sheet,
                "machines with more than 32 TiB of memory, for which the column's unit should be checked",
                f"'{one.name}'",
            )
        if one.vcpus > _MOST_VCPUS:
            findings.count(
                sheet,
                f"machines with more than {_MOST_VCPUS:,} vCPUs, for which the column should be checked",
                f"'{one.name}'",
            )
        if not one.vcpus or not one.memory_mib:
            findings.count(sheet, "machines without vCPUs or memory, which count as 0", f"'{one.name}'")


def _nine_in_ten_below(small: int, sizes: Sequence[int]) -> bool:
    there = sorted(size for size in sizes if size)
    return len(there) >= _FEW and there[len(there) * 9 // 10] < small


def _check_use(sheet: str, machines: Sequence[EstateMachine], findings: Findings) -> None:
    """Use is what machines are right-sized by: a share that is taken for a percentage would take all they have."""
    for what, values in (
        ("CPU", {one.name: one.utilization.cpu_percent for one in machines}),
        ("memory", {one.name: one.utilization.memory_percent for one in machines}),
    ):
        seen = [value for value in values.values() if value]
        if len(seen) >= _FEW and max(seen) <= 1:
            findings.note(
                f"{sheet}: no machine uses more than 1 % of its {what}; if the column has shares from 0 to 1, multiply "
                "them by 100, and import again"
            )
        for name, value in values.items():
            if value is not None and value > _MOST_PERCENT:
                findings.count(
                    sheet,
                    f"machines that use more than {_MOST_PERCENT} % of their {what}, for which the columns' units should "
                    "be checked",
                    f"'{name}'",
                )
